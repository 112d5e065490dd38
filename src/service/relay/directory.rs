//! Who publishes and who plays: the one table that the HTTP routes and the packet loop share.
//!
//! The routes decide here, under a short lock, whether a session may exist; the loop takes entries out when
//! sessions die. Nothing waits while it holds the lock, and no packet needs it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::offer::Role;

/// Sessions of all streams together.
const MAX_SESSIONS: usize = 512;
/// Sessions of one user: nobody takes all the places alone.
const MAX_PER_USER: usize = 64;
/// Players of one stream.
const MAX_PLAYERS: usize = 64;
/// Play sessions of one user on one stream; the oldest gives way (a page that was reloaded leaves one behind).
const MAX_PLAYERS_PER_USER: usize = 3;
/// Media is live if some arrived this recently.
const LIVE: Duration = Duration::from_secs(3);

/// What flowed through a session.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) connected: AtomicBool,
    pub(super) packets_in: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) packets_out: AtomicU64,
    pub(super) bytes_out: AtomicU64,
}

/// A session as status and tests see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionInfo {
    /// The stream that is published or played.
    pub stream: String,
    /// Whose session it is.
    pub user: String,
    /// Which way media flows.
    pub role: Role,
    /// ICE and DTLS are up.
    pub connected: bool,
    /// Datagrams received from the client.
    pub packets_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Datagrams sent to the client.
    pub packets_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
}

/// When media of a stream last arrived, in milliseconds after the directory was made, plus one; 0 is never.
#[derive(Debug, Default)]
pub(super) struct Pulse(AtomicU64);

/// Why no session is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// The relay or the stream has as many sessions as it takes.
    Full,
    /// Another user publishes this stream.
    Taken,
    /// Nobody publishes this stream.
    NobodyPublishes,
}

/// A session that was let in.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) id: u64,
    pub(super) resource: String,
    pub(super) etag: String,
    pub(super) counters: Arc<Counters>,
    pub(super) pulse: Arc<Pulse>,
    /// Sessions that had to give way.
    pub(super) replaced: Vec<u64>,
}

#[derive(Debug)]
struct Entry {
    resource: String,
    stream: Arc<str>,
    user: String,
    role: Role,
    etag: String,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Stream {
    publisher: Option<u64>,
    /// In the order they came.
    players: Vec<u64>,
    pulse: Arc<Pulse>,
}

#[derive(Debug, Default)]
struct Table {
    sessions: HashMap<u64, Entry>,
    resources: HashMap<String, u64>,
    streams: HashMap<Arc<str>, Stream>,
    last_id: u64,
}

/// The table and its lock.
#[derive(Debug)]
pub(super) struct Directory {
    table: Mutex<Table>,
    start: Instant,
}

impl Directory {
    pub(super) fn new(start: Instant) -> Self {
        Self { table: Mutex::default(), start }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is changed by steps that cannot panic half way.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a session in, or says why not. `resource` and `etag` are fresh names.
    pub(super) fn admit(
        &self,
        role: Role,
        stream: &str,
        user: &str,
        resource: String,
        etag: String,
    ) -> Result<Admitted, Denied> {
        let mut table = self.lock();
        let known = table.streams.get(stream);
        let publisher = known.and_then(|s| s.publisher);
        let mut replaced = vec![];
        match role {
            Role::Publisher => {
                if let Some(old) = publisher {
                    if table.sessions.get(&old).is_some_and(|e| e.user != user) {
                        return Err(Denied::Taken);
                    }
                    replaced.push(old);
                }
            }
            Role::Player => {
                if publisher.is_none() {
                    return Err(Denied::NobodyPublishes);
                }
                let players = known.map(|s| s.players.as_slice()).unwrap_or_default();
                let own: Vec<u64> = players
                    .iter()
                    .copied()
                    .filter(|id| table.sessions.get(id).is_some_and(|e| e.user == user))
                    .collect();
                let spare = (own.len() + 1).saturating_sub(MAX_PLAYERS_PER_USER);
                replaced.extend(own.into_iter().take(spare));
                if players.len() - replaced.len() >= MAX_PLAYERS {
                    return Err(Denied::Full);
                }
            }
        }
        let of_user = table.sessions.values().filter(|e| e.user == user).count();
        if table.sessions.len() - replaced.len() >= MAX_SESSIONS || of_user - replaced.len() >= MAX_PER_USER {
            return Err(Denied::Full);
        }
        table.last_id += 1;
        let id = table.last_id;
        let name: Arc<str> =
            table.streams.get_key_value(stream).map_or_else(|| stream.into(), |(k, _)| k.clone());
        let counters = Arc::new(Counters::default());
        let entry = Entry {
            resource: resource.clone(),
            stream: name.clone(),
            user: user.to_owned(),
            role,
            etag: etag.clone(),
            counters: counters.clone(),
        };
        table.sessions.insert(id, entry);
        table.resources.insert(resource.clone(), id);
        let known = table.streams.entry(name).or_default();
        match role {
            Role::Publisher => known.publisher = Some(id),
            Role::Player => known.players.push(id),
        }
        let pulse = known.pulse.clone();
        for id in &replaced {
            table.remove(*id);
        }
        Ok(Admitted { id, resource, etag, counters, pulse, replaced })
    }

    /// Whether somebody publishes the stream, or is about to.
    pub(super) fn is_published(&self, stream: &str) -> bool {
        self.lock().streams.get(stream).is_some_and(|s| s.publisher.is_some())
    }

    /// Whether media of the stream arrived just now.
    pub(super) fn is_live(&self, stream: &str, now: Instant) -> bool {
        let last = self.lock().streams.get(stream).map_or(0, |s| s.pulse.0.load(Ordering::Relaxed));
        last != 0 && self.tick(now).saturating_sub(last) <= LIVE.as_millis() as u64
    }

    /// Notes that media arrived.
    pub(super) fn beat(&self, pulse: &Pulse, now: Instant) {
        pulse.0.store(self.tick(now), Ordering::Relaxed);
    }

    fn tick(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_millis() as u64 + 1
    }

    /// The session behind a resource address: its id, owner and current entity tag.
    pub(super) fn find(&self, role: Role, stream: &str, resource: &str) -> Option<(u64, String, String)> {
        let table = self.lock();
        let id = *table.resources.get(resource)?;
        let entry = table.sessions.get(&id)?;
        (entry.role == role && &*entry.stream == stream).then(|| (id, entry.user.clone(), entry.etag.clone()))
    }

    /// Gives the session a new entity tag, after an ICE restart.
    pub(super) fn retag(&self, id: u64, etag: String) {
        if let Some(entry) = self.lock().sessions.get_mut(&id) {
            entry.etag = etag;
        }
    }

    /// Takes a session out; `false` if it was gone already.
    pub(super) fn remove(&self, id: u64) -> bool {
        self.lock().remove(id)
    }

    /// Takes out all sessions of a stream and names them.
    pub(super) fn remove_stream(&self, stream: &str) -> Vec<u64> {
        let mut table = self.lock();
        let Some(known) = table.streams.get(stream) else { return vec![] };
        let ids: Vec<u64> = known.publisher.iter().chain(&known.players).copied().collect();
        for id in &ids {
            table.remove(*id);
        }
        ids
    }

    /// Takes out the play sessions of one user on one stream and names them.
    pub(super) fn remove_viewer(&self, user: &str, stream: &str) -> Vec<u64> {
        let mut table = self.lock();
        let Some(known) = table.streams.get(stream) else { return vec![] };
        let of_user = |id: &u64| table.sessions.get(id).is_some_and(|e| e.user == user);
        let ids: Vec<u64> = known.players.iter().copied().filter(of_user).collect();
        for id in &ids {
            table.remove(*id);
        }
        ids
    }

    /// All sessions, oldest first.
    pub(super) fn sessions(&self) -> Vec<SessionInfo> {
        let table = self.lock();
        let mut all: Vec<(&u64, &Entry)> = table.sessions.iter().collect();
        all.sort_unstable_by_key(|(id, _)| **id);
        all.into_iter()
            .map(|(_, e)| SessionInfo {
                stream: e.stream.to_string(),
                user: e.user.clone(),
                role: e.role,
                connected: e.counters.connected.load(Ordering::Relaxed),
                packets_in: e.counters.packets_in.load(Ordering::Relaxed),
                bytes_in: e.counters.bytes_in.load(Ordering::Relaxed),
                packets_out: e.counters.packets_out.load(Ordering::Relaxed),
                bytes_out: e.counters.bytes_out.load(Ordering::Relaxed),
            })
            .collect()
    }
}

impl Table {
    fn remove(&mut self, id: u64) -> bool {
        let Some(entry) = self.sessions.remove(&id) else { return false };
        self.resources.remove(&entry.resource);
        if let Some(stream) = self.streams.get_mut(&entry.stream) {
            if stream.publisher == Some(id) {
                stream.publisher = None;
            }
            stream.players.retain(|player| *player != id);
            if stream.publisher.is_none() && stream.players.is_empty() {
                self.streams.remove(&entry.stream);
            }
        }
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Fixture(Directory, u64);

    impl Fixture {
        fn new() -> Self {
            Self(Directory::new(Instant::now()), 0)
        }

        fn admit(&mut self, role: Role, stream: &str, user: &str) -> Result<Admitted, Denied> {
            self.1 += 1;
            self.0.admit(role, stream, user, format!("r{}", self.1), format!("e{}", self.1))
        }
    }

    #[test]
    fn playing_needs_a_publisher_and_a_publisher_has_one_owner() {
        let mut f = Fixture::new();
        assert_eq!(f.admit(Role::Player, "s", "bob").unwrap_err(), Denied::NobodyPublishes);
        let first = f.admit(Role::Publisher, "s", "ann").unwrap();
        let player = f.admit(Role::Player, "s", "bob").unwrap();
        assert_eq!(f.admit(Role::Publisher, "s", "eve").unwrap_err(), Denied::Taken);

        let second = f.admit(Role::Publisher, "s", "ann").unwrap();
        assert_eq!(second.replaced, [first.id]);
        assert!(f.0.find(Role::Publisher, "s", &first.resource).is_none());
        assert!(f.0.find(Role::Player, "s", &player.resource).is_some(), "players stay");
        assert!(
            f.0.find(Role::Publisher, "s", &player.resource).is_none(),
            "a WHEP resource is none of WHIP"
        );

        assert_eq!(f.0.remove_stream("s"), [second.id, player.id]);
        assert!(f.0.sessions().is_empty() && !f.0.is_published("s"));
    }

    #[test]
    fn one_user_and_all_users_are_bounded() {
        let mut f = Fixture::new();
        f.admit(Role::Publisher, "s", "ann").unwrap();
        let first = f.admit(Role::Player, "s", "bob").unwrap();
        for _ in 1..MAX_PLAYERS_PER_USER {
            assert!(f.admit(Role::Player, "s", "bob").unwrap().replaced.is_empty());
        }
        assert_eq!(f.admit(Role::Player, "s", "bob").unwrap().replaced, [first.id]);
        for n in 0..MAX_PLAYERS - MAX_PLAYERS_PER_USER {
            f.admit(Role::Player, "s", &format!("user{n}")).unwrap();
        }
        assert_eq!(f.admit(Role::Player, "s", "late").unwrap_err(), Denied::Full);
        assert_eq!(f.0.remove_viewer("bob", "s").len(), MAX_PLAYERS_PER_USER);
        f.admit(Role::Player, "s", "late").unwrap();
        for n in 0..MAX_PER_USER {
            f.admit(Role::Publisher, &format!("e{n}"), "eve").unwrap();
        }
        assert_eq!(f.admit(Role::Publisher, "e", "eve").unwrap_err(), Denied::Full);
        f.admit(Role::Publisher, "e0", "eve").expect("replacing needs no further place");
        for n in 0.. {
            match f.admit(Role::Publisher, &format!("t{n}"), &format!("user{n}")) {
                Ok(_) => assert!(f.0.sessions().len() <= MAX_SESSIONS),
                Err(denied) => {
                    return assert_eq!((denied, f.0.sessions().len()), (Denied::Full, MAX_SESSIONS));
                }
            }
        }
    }

    #[test]
    fn live_means_media_within_the_last_seconds() {
        let mut f = Fixture::new();
        let ann = f.admit(Role::Publisher, "s", "ann").unwrap();
        let now = Instant::now() + Duration::from_secs(60);
        assert!(!f.0.is_live("s", now));
        f.0.beat(&ann.pulse, now);
        assert!(f.0.is_live("s", now + LIVE / 2));
        assert!(!f.0.is_live("s", now + LIVE * 2));
    }
}
