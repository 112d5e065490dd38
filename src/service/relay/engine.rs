//! The relay without its socket: datagrams, commands and time go in, datagrams come out.
//!
//! A datagram finds its session by the sender's address, or, when it is an ICE check, by the user fragment in it; never by asking
//! all sessions. Whatever a session does wrong, up to a panic inside str0m, ends that session and no other.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::RtcError;
use str0m::media::KeyframeRequestKind;
use tokio::sync::oneshot;

use super::directory::Directory;
use super::offer::{Bad, Role};
use super::session::{Happened, Session, Sink};

/// Addresses remembered for one session; a client has a few interfaces, an attacker many.
const MAX_ADDRESSES: usize = 16;
/// Key frames are asked of a publisher no more often than this, whatever players ask.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(300);
/// Players stay attached this long without a publisher, for it to come back.
const ORPHAN_GRACE: Duration = Duration::from_secs(30);

/// What the HTTP side asks of the loop.
#[derive(Debug)]
pub(super) enum Command {
    /// Takes a new session in; answered when packets for it will be recognised.
    Add(Box<Session>, oneshot::Sender<()>),
    /// Ends sessions that the directory no longer has.
    Close(Vec<u64>),
    /// Ends all sessions; answered when every client was told.
    Stop(oneshot::Sender<()>),
    /// Restarts ICE, or confirms that `ufrag` is the session's current one (then without new credentials).
    Ice { id: u64, ufrag: String, pwd: String, reply: oneshot::Sender<Result<IceState, Bad>> },
}

/// The answer to [`Command::Ice`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum IceState {
    /// The credentials are the known ones.
    Unchanged,
    /// ICE was restarted with these local credentials.
    Restarted { ufrag: String, pwd: String },
}

#[derive(Debug, Default)]
struct Stream {
    publisher: Option<u64>,
    players: Vec<u64>,
    orphaned: Option<Instant>,
    /// A key frame that players want and the publisher was not asked for yet.
    wanted: Option<KeyframeRequestKind>,
    asked: Option<Instant>,
    /// The publisher was told of a limit.
    limited: bool,
}

/// All sessions and how packets find them.
#[derive(Debug)]
pub(super) struct Engine {
    directory: Arc<Directory>,
    sessions: HashMap<u64, Session>,
    streams: HashMap<Arc<str>, Stream>,
    by_ufrag: HashMap<String, u64>,
    by_address: HashMap<SocketAddr, u64>,
    timers: BTreeSet<(Instant, u64)>,
    /// Kept for its allocation.
    happened: Happened,
}

impl Engine {
    pub(super) fn new(directory: Arc<Directory>) -> Self {
        Self {
            directory,
            sessions: HashMap::new(),
            streams: HashMap::new(),
            by_ufrag: HashMap::new(),
            by_address: HashMap::new(),
            timers: BTreeSet::new(),
            happened: Happened::default(),
        }
    }

    /// When [`Engine::tick`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Carries out a command.
    pub(super) fn command(&mut self, command: Command, now: Instant, sink: &mut Sink<'_>) {
        match command {
            Command::Add(session, reply) => {
                self.add(*session, now, sink);
                let _ = reply.send(());
            }
            Command::Close(ids) => {
                for id in ids {
                    self.end(id, "closed", now, sink);
                }
            }
            Command::Stop(reply) => {
                self.shut_down(now, sink);
                let _ = reply.send(());
            }
            Command::Ice { id, ufrag, pwd, reply } => {
                let _ = reply.send(self.ice(id, &ufrag, &pwd, now, sink));
            }
        }
    }

    fn add(&mut self, session: Session, now: Instant, sink: &mut Sink<'_>) {
        let id = session.id;
        log::info!("relay: {:?} of {} accepted", session.role, session.stream);
        let stream = self.streams.entry(session.stream.clone()).or_default();
        match session.role {
            Role::Publisher => {
                stream.publisher = Some(id);
                stream.orphaned = None;
            }
            Role::Player => {
                stream.players.push(id);
                if stream.publisher.is_none() && stream.orphaned.is_none() {
                    stream.orphaned = Some(now);
                }
            }
        }
        self.by_ufrag.insert(session.ufrag.clone(), id);
        self.timers.insert((session.wake, id));
        self.sessions.insert(id, session);
        self.drive(id, now, sink, |session| session.tick(now));
    }

    fn ice(
        &mut self,
        id: u64,
        ufrag: &str,
        pwd: &str,
        now: Instant,
        sink: &mut Sink<'_>,
    ) -> Result<IceState, Bad> {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Err(Bad::Refused("the session has ended".into()));
        };
        if session.remote_ufrag() == ufrag {
            return Ok(IceState::Unchanged);
        }
        let old = session.ufrag.clone();
        let restarted = catch_unwind(AssertUnwindSafe(|| session.restart(ufrag, pwd)))
            .unwrap_or_else(|_| Err(Bad::Refused("the media library gave up on it".into())));
        match restarted {
            Ok((ufrag, pwd)) => {
                self.by_ufrag.remove(&old);
                self.by_ufrag.insert(ufrag.clone(), id);
                self.drive(id, now, sink, |session| session.tick(now));
                Ok(IceState::Restarted { ufrag, pwd })
            }
            Err(bad) => {
                self.end(id, "its ICE restart was refused", now, sink);
                Err(bad)
            }
        }
    }

    /// Takes a datagram from the socket.
    pub(super) fn datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant, sink: &mut Sink<'_>) {
        let known = self.by_address.get(&from).copied();
        let id = match check_ufrag(datagram) {
            Some(ufrag) => {
                let Some(id) = self.by_ufrag.get(ufrag).copied() else { return };
                if known != Some(id) {
                    let session = self.sessions.get(&id);
                    let genuine = catch_unwind(AssertUnwindSafe(|| {
                        session.is_some_and(|s| s.accepts(from, datagram, now))
                    }));
                    if !genuine.unwrap_or(false) {
                        return;
                    }
                    self.remember(id, from);
                }
                id
            }
            None => match known {
                Some(id) => id,
                None => return,
            },
        };
        self.drive(id, now, sink, |session| session.datagram(from, datagram, now));
    }

    fn remember(&mut self, id: u64, from: SocketAddr) {
        if let Some(old) = self.by_address.insert(from, id)
            && let Some(session) = self.sessions.get_mut(&old)
        {
            session.addresses.retain(|a| *a != from);
        }
        if let Some(session) = self.sessions.get_mut(&id) {
            session.addresses.push(from);
            if session.addresses.len() > MAX_ADDRESSES {
                let oldest = session.addresses.remove(0);
                self.by_address.remove(&oldest);
            }
        }
    }

    /// Drives every session whose time has come.
    pub(super) fn tick(&mut self, now: Instant, sink: &mut Sink<'_>) {
        // Bounded: a session that is driven is put behind `now`.
        for _ in 0..self.timers.len() {
            match self.timers.first() {
                Some((at, id)) if *at <= now => {
                    let id = *id;
                    self.drive(id, now, sink, |session| session.tick(now));
                }
                _ => return,
            }
        }
    }

    /// Changes a session, lets out what follows from it, and passes on what concerns others.
    fn drive(
        &mut self,
        id: u64,
        now: Instant,
        sink: &mut Sink<'_>,
        change: impl FnOnce(&mut Session) -> Result<(), RtcError>,
    ) {
        let mut happened = std::mem::take(&mut self.happened);
        if self.step(id, now, sink, &mut happened, change) {
            self.pass_on(id, now, sink, &mut happened);
        }
        happened.packets.clear();
        self.happened = Happened { packets: happened.packets, ..Happened::default() };
    }

    /// Changes one session and drains it; `false` if that was its end.
    fn step(
        &mut self,
        id: u64,
        now: Instant,
        sink: &mut Sink<'_>,
        happened: &mut Happened,
        change: impl FnOnce(&mut Session) -> Result<(), RtcError>,
    ) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        let before = session.wake;
        let result = catch_unwind(AssertUnwindSafe(|| {
            change(session)?;
            session.drain(now, &mut *sink, happened)
        }));
        let wake = session.wake;
        let reason = match result {
            Ok(Ok(())) => session.dead(now).map(str::to_owned),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the media library panicked, which is a bug".to_owned()),
        };
        match reason {
            None => {
                if wake != before {
                    self.timers.remove(&(before, id));
                    self.timers.insert((wake, id));
                }
                true
            }
            Some(reason) => {
                self.timers.remove(&(before, id));
                self.end(id, &reason, now, sink);
                false
            }
        }
    }

    fn pass_on(&mut self, id: u64, now: Instant, sink: &mut Sink<'_>, happened: &mut Happened) {
        let Some(session) = self.sessions.get(&id) else { return };
        let (name, role) = (session.stream.clone(), session.role);
        match role {
            Role::Publisher => {
                if happened.packets.is_empty() && !happened.connected {
                    return;
                }
                if !happened.packets.is_empty() {
                    self.directory.beat(&session.admitted.pulse, now);
                }
                self.fan_out(id, &name, now, sink, &happened.packets);
            }
            Role::Player => {
                let Some(stream) = self.streams.get_mut(&name) else { return };
                let waits = happened.connected.then_some(KeyframeRequestKind::Pli);
                stream.wanted = happened.key_frame.or(stream.wanted).or(waits);
                if stream.publisher.is_none()
                    && stream.orphaned.is_some_and(|at| now.saturating_duration_since(at) >= ORPHAN_GRACE)
                {
                    self.end(id, "nobody publishes its stream any more", now, sink);
                    return;
                }
                if happened.measured {
                    self.tell_limit(&name, now, sink);
                }
            }
        }
        self.ask_key_frame(&name, now, sink);
    }

    /// Gives a publisher's packets to all players of its stream.
    fn fan_out(
        &mut self,
        publisher: u64,
        name: &Arc<str>,
        now: Instant,
        sink: &mut Sink<'_>,
        packets: &[str0m::rtp::RtpPacket],
    ) {
        let Some(players) = self.streams.get_mut(name).map(|s| std::mem::take(&mut s.players)) else {
            return;
        };
        let mut wanted = None;
        let mut back = Happened::default();
        for packet in packets {
            let Some((kind, incoming, captured)) =
                self.sessions.get(&publisher).and_then(|p| p.describe(packet))
            else {
                continue;
            };
            for player in &players {
                let mut sent = false;
                let Some(session) = self.sessions.get_mut(player) else { continue };
                // A packet that is not for the player must not cost it a drain.
                let before = session.wake;
                let result = catch_unwind(AssertUnwindSafe(|| {
                    sent = session.forward(kind, incoming, packet, captured, now)?;
                    if sent { session.drain(now, &mut *sink, &mut back) } else { Ok(()) }
                }));
                let wake = session.wake;
                if !sent && session.wants_entry(incoming.source) && kind == super::clock::Kind::Video {
                    wanted = Some(KeyframeRequestKind::Pli);
                }
                if wake != before {
                    self.timers.remove(&(before, *player));
                    self.timers.insert((wake, *player));
                }
                if !matches!(result, Ok(Ok(()))) {
                    log::warn!("relay: a player of {name} failed: {result:?}");
                    self.timers.remove(&(wake, *player));
                    self.end(*player, "it could not be sent to", now, sink);
                }
            }
        }
        let sessions = &self.sessions;
        if let Some(stream) = self.streams.get_mut(name) {
            stream.players = players;
            stream.players.retain(|player| sessions.contains_key(player));
            stream.wanted = back.key_frame.or(stream.wanted).or(wanted);
        }
    }

    /// Passes wanted key frames on to the publisher, not too often.
    fn ask_key_frame(&mut self, name: &Arc<str>, now: Instant, sink: &mut Sink<'_>) {
        let Some(stream) = self.streams.get_mut(name) else { return };
        let (Some(kind), Some(publisher)) = (stream.wanted, stream.publisher) else { return };
        if stream.asked.is_some_and(|at| now.saturating_duration_since(at) < KEY_FRAME_INTERVAL) {
            return;
        }
        let mut ignored = Happened::default();
        let mut asked = false;
        self.step(publisher, now, sink, &mut ignored, |session| {
            asked = session.request_key_frame(kind, now)?;
            Ok(())
        });
        if asked && let Some(stream) = self.streams.get_mut(name) {
            stream.asked = Some(now);
            stream.wanted = None;
        }
    }

    /// Tells the publisher what its slowest player can take; again and again while there is a limit, as REMB expects.
    fn tell_limit(&mut self, name: &Arc<str>, now: Instant, sink: &mut Sink<'_>) {
        let Some(stream) = self.streams.get_mut(name) else { return };
        let Some(publisher) = stream.publisher else { return };
        let players = stream.players.iter().filter_map(|id| self.sessions.get(id));
        let limit = players.map(Session::limit).fold(f64::INFINITY, f64::min);
        if limit.is_infinite() && !stream.limited {
            return;
        }
        if limit.is_finite() != stream.limited {
            log::info!("relay: the slowest player of {name} takes {:.0} kbit/s", limit / 1000.0);
        }
        stream.limited = limit.is_finite();
        self.step(publisher, now, sink, &mut Happened::default(), |session| session.set_limit(limit, now));
    }

    /// Ends a session and forgets everything about it.
    fn end(&mut self, id: u64, reason: &str, now: Instant, sink: &mut Sink<'_>) {
        let Some(mut session) = self.sessions.remove(&id) else { return };
        log::info!("relay: {:?} of {} ended: {reason}", session.role, session.stream);
        self.directory.remove(id);
        self.timers.remove(&(session.wake, id));
        self.by_ufrag.remove(&session.ufrag);
        for address in &session.addresses {
            if self.by_address.get(address) == Some(&id) {
                self.by_address.remove(address);
            }
        }
        if let Some(stream) = self.streams.get_mut(&session.stream) {
            stream.players.retain(|player| *player != id);
            if stream.publisher == Some(id) {
                stream.publisher = None;
                stream.orphaned = Some(now);
            }
            if stream.publisher.is_none() && stream.players.is_empty() {
                self.streams.remove(&session.stream);
            }
        }
        let _ = catch_unwind(AssertUnwindSafe(|| session.close(now, sink)));
    }

    /// Ends all sessions.
    pub(super) fn shut_down(&mut self, now: Instant, sink: &mut Sink<'_>) {
        for id in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.end(id, "the relay stops", now, sink);
        }
    }
}

/// Our user fragment in a STUN binding request (RFC 8489 section 5; RFC 8445 section 7.2.2), or `None` for any other datagram.
fn check_ufrag(datagram: &[u8]) -> Option<&str> {
    const USERNAME: u16 = 0x0006;
    let [0x00, 0x01, _, _, 0x21, 0x12, 0xa4, 0x42, _, _, _, _, _, _, _, _, _, _, _, _, attributes @ ..] =
        datagram
    else {
        return None;
    };
    let mut rest = attributes;
    while let [t0, t1, l0, l1, value @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        if u16::from_be_bytes([*t0, *t1]) == USERNAME {
            let name = std::str::from_utf8(value.get(..len)?).ok()?;
            return name.split_once(':').map(|(local, _)| local);
        }
        rest = value.get(len.next_multiple_of(4)..)?;
    }
    None
}
