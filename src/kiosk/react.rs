//! What the machine makes of replies, of the message socket and of the worker.

use std::time::Duration;

use super::call::{Report, cut};
use super::event::{ImNews, Reply, RequestId, WorkerNews};
use super::link::{Heard, ImHeard};
use super::timers::Timer;
use super::words::End;
use super::worker::RESTARTS;
use super::{HANGUP, Kiosk, MESSAGE_SECS, MOST_TEXT, State, leg, seat};
use crate::media::protocol::{Command, Event, SessionId, Stats};
use crate::room::failure::Failure;
use crate::room::wire::{ImEvent, code};

/// Between two fetches of the members: nothing is lost for longer, even when a notice is.
const POLL: Duration = Duration::from_secs(20);
/// The same while there is no message socket.
const POLL_WITHOUT_IM: Duration = Duration::from_secs(3);
/// After a fetch that failed.
const POLL_FAILED: Duration = Duration::from_secs(1);
/// A member that brings neither picture nor sound for this long is played anew.
const FROZEN: Duration = Duration::from_secs(5);
/// Publish attempts in a row that failed.
const MOST_PUBLISH_FAILURES: u32 = 12;

impl Kiosk {
    pub(super) fn reply(&mut self, id: RequestId, reply: &Result<Reply, Failure>) {
        let in_call = self.state.in_call();
        if let Some(heard) = self.link.reply(id, reply, in_call, &mut self.core) {
            if heard == Heard::SeatLost {
                self.seat.lost();
                self.come_back();
            }
        } else if let Some(heard) = self.seat.reply(id, reply, &mut self.core) {
            self.seat_heard(id, heard, reply);
        } else if self.chores.reply(id, reply, &self.core) {
            // Settled, or tried again by itself.
        } else if self.members_reply(id, reply) || self.leg_reply(id, reply) {
            // Done.
        } else if let Ok(Reply::Session { resource: Some(resource), .. }) = reply {
            // Nobody waits for it any more: the call ended, or the session was given up, while the request ran.
            self.chores.delete(resource.clone(), &mut self.core);
        }
    }

    fn seat_heard(&mut self, id: RequestId, heard: seat::Heard, reply: &Result<Reply, Failure>) {
        match heard {
            seat::Heard::Nothing => {}
            seat::Heard::Token => self.link.refuse(id, &mut self.core),
            seat::Heard::Full => {
                if let Err(failure) = reply {
                    self.core.warn(&failure.to_string());
                }
                self.leave(End::Busy);
            }
            seat::Heard::Refused => {
                if let Err(failure) = reply {
                    self.core.warn(&failure.to_string());
                    self.leave(End::Refused(failure.clone().into()));
                }
            }
            seat::Heard::Taken => {
                self.link.accepted();
                self.link.seated(&mut self.core);
                if let (Some(call), false) = (self.state.call(), self.link.im_is_open()) {
                    // Without notices, whoever came while we entered shows only in a newer list.
                    call.dirty |= call.polling.is_some();
                    self.core.timers.clear(Timer::Poll);
                }
                let now = self.core.now;
                if let (true, Some(report)) = (self.state.in_call(), &mut self.report) {
                    Report::stage(&mut report.joined, report.pressed_at, now);
                }
            }
        }
    }

    fn members_reply(&mut self, id: RequestId, reply: &Result<Reply, Failure>) -> bool {
        let im_is_open = self.link.im_is_open();
        let Some(call) = self.state.call() else { return false };
        if call.polling != Some(id) {
            return false;
        }
        call.polling = None;
        let wait = if im_is_open { POLL } else { POLL_WITHOUT_IM };
        self.core.timer(Timer::Poll, wait);
        if std::mem::take(&mut call.dirty) {
            self.core.timers.clear(Timer::Poll);
        }
        let list = match reply {
            Ok(Reply::Members(list)) => list.as_slice(),
            Ok(_) => return true,
            // The list was asked for before our seat made the room.
            Err(failure) if failure.code() == Some(code::NO_ROOM) && !call.listed => &[],
            Err(failure) => {
                self.core.timer(Timer::Poll, POLL_FAILED);
                if failure.is_token_refused() {
                    self.link.refuse(id, &mut self.core);
                } else if self.seat.is_held() {
                    // No room, or no answer: the heartbeat tells which.
                    self.link.probe_now(&mut self.core);
                }
                return true;
            }
        };
        call.members(list, &self.settings.user_id, &mut self.worker.pool, &mut self.chores, &mut self.core);
        let (now, members) = (self.core.now, call.peers.len());
        if let Some(report) = &mut self.report {
            Report::stage(&mut report.listed, report.pressed_at, now);
            report.members = members;
        }
        true
    }

    fn leg_reply(&mut self, id: RequestId, reply: &Result<Reply, Failure>) -> bool {
        let Some(call) = self.state.call() else { return false };
        let now = self.core.now;
        if let Some(heard) = call.publish.reply(id, reply, &mut self.core) {
            match heard {
                leg::Heard::Answer { session, sdp } => {
                    self.core.tell(self.worker.generation, Command::Answer { session, sdp, member: None });
                    if let Some(report) = &mut self.report {
                        Report::stage(&mut report.whip_answered, report.pressed_at, now);
                    }
                }
                leg::Heard::Failed(failure) => {
                    self.core.warn(&failure.to_string());
                    // Some servers hold a stream busy for minutes after an attempt: each gets a stream of its own.
                    call.url = None;
                    let failures = call.publish.failures;
                    if failure.is_token_refused() {
                        self.link.refuse(id, &mut self.core);
                    } else if failures >= MOST_PUBLISH_FAILURES {
                        self.leave(End::Refused(failure.into()));
                    }
                }
            }
            return true;
        }
        for peer in &mut call.peers {
            let Some(heard) = peer.leg.reply(id, reply, &mut self.core) else { continue };
            match heard {
                leg::Heard::Answer { session, sdp } => {
                    let member = Some(peer.member());
                    self.core.tell(self.worker.generation, Command::Answer { session, sdp, member });
                    if let Some(report) = &mut self.report {
                        Report::stage(&mut report.whep_answered, report.pressed_at, now);
                    }
                }
                leg::Heard::Failed(failure) => {
                    self.core.warn(&format!("{}: {failure}", cut(&peer.user_id)));
                    if failure.is_token_refused() {
                        self.link.refuse(id, &mut self.core);
                    } else if peer.leg.failures > 1 {
                        // Perhaps the member is gone, or has another stream by now.
                        self.core.timers.clear(Timer::Poll);
                    }
                }
            }
            return true;
        }
        false
    }

    pub(super) fn im(&mut self, serial: u32, news: ImNews) {
        let in_call = self.state.in_call();
        let event = match self.link.im(serial, news, in_call, &mut self.core) {
            ImHeard::Nothing => return,
            ImHeard::Opened => {
                self.fetch_members();
                return;
            }
            ImHeard::Event(event) => *event,
        };
        let (kind, room_id, seq) = match &event {
            ImEvent::Notice { kind, room_id, seq, .. }
            | ImEvent::Text { kind, room_id, seq, .. }
            | ImEvent::Custom { kind, room_id, seq, .. }
            | ImEvent::Closed { kind, room_id, seq }
            | ImEvent::Gap { kind, room_id, seq } => (*kind, room_id, *seq),
            ImEvent::Hello { .. } | ImEvent::Rooms | ImEvent::Ack { .. } => return,
        };
        if kind != self.settings.kind || *room_id != self.settings.room_id || !in_call {
            return;
        }
        let gap = self.link.last_seq.is_some_and(|last| seq > last + 1);
        self.link.last_seq = Some(seq);
        match event {
            ImEvent::Text { from, text, .. } if from.user_id != self.settings.user_id => {
                let text: String = text.chars().take(MOST_TEXT).collect();
                let name = if from.user_name.is_empty() { &from.user_id } else { &from.user_name };
                self.core.note(&format!("a text from {}", cut(&from.user_id)));
                let message = Command::Message { from: cut(name).to_owned(), text, seconds: MESSAGE_SECS };
                if self.worker.is_running() {
                    self.core.tell(self.worker.generation, message);
                }
            }
            ImEvent::Custom { from, cmd, .. } if cmd == HANGUP => self.hung_up_by(&from.user_id),
            ImEvent::Notice { .. } | ImEvent::Gap { .. } => self.fetch_members(),
            ImEvent::Closed { .. } => {
                self.seat.lost();
                self.leave(End::RoomClosed);
            }
            _ => {}
        }
        if gap {
            self.fetch_members();
        }
    }

    /// The one other member says goodbye: no need to wait whether it comes back. With several it is only leaving.
    fn hung_up_by(&mut self, user_id: &str) {
        let peers = self.state.call().map(|call| call.peers.as_slice()).unwrap_or_default();
        if matches!(peers, [peer] if peer.user_id == user_id) {
            self.leave(End::OtherHungUp);
        }
    }

    /// Fetches the members now, or again once the fetch under way is done.
    fn fetch_members(&mut self) {
        if let Some(call) = self.state.call() {
            call.dirty |= call.polling.is_some();
            self.core.timers.clear(Timer::Poll);
        }
    }

    pub(super) fn worker_news(&mut self, generation: u32, news: WorkerNews) {
        if generation != self.worker.generation {
            return;
        }
        match news {
            WorkerNews::Started { pid } => self.worker.started(pid, &mut self.core),
            WorkerNews::Gone { reason } => {
                if !self.worker.is_absent() {
                    self.worker.gone(&reason, &mut self.core);
                    self.worker_gone();
                }
            }
            WorkerNews::Said(event) => self.worker_said(*event),
        }
    }

    /// The worker is gone: its sessions with it, and the call waits for the next one.
    pub(super) fn worker_gone(&mut self) {
        let Some(call) = self.state.call() else { return };
        let served = call.legs().any(|leg| leg.session().is_some());
        call.drop_sessions(true, &mut self.worker.pool, &mut self.chores, &mut self.core);
        call.replaced += 1;
        if let (true, Some(report)) = (served, &mut self.report) {
            report.recoveries += 1;
        }
        if call.replaced > RESTARTS {
            self.leave(End::NoMedia);
        }
    }

    fn worker_said(&mut self, event: Event) {
        match event {
            Event::Ready { encoder, decoder, gstreamer, pid } => {
                log::debug!("worker ready: {encoder}, {decoder}, GStreamer {gstreamer}");
                self.worker.ready(encoder, decoder, pid, &mut self.core);
            }
            Event::Offer { session, sdp } => {
                if self.worker.pool.offered(session, sdp) {
                    let leg = self
                        .state
                        .call()
                        .and_then(|call| call.legs().find(|leg| leg.session() == Some(session)));
                    if let Some(leg) = leg {
                        leg.offer_changed();
                    }
                }
            }
            Event::Connected { session } => self.session_connected(session),
            Event::Lost { session, reason } => self.session_lost(session, &reason),
            Event::FirstFrame { session } => {
                let now = self.core.now;
                if let (true, Some(report)) = (self.is_played(session), &mut self.report) {
                    Report::stage(&mut report.first_remote_frame, report.pressed_at, now);
                }
            }
            Event::FirstSound { session } => {
                let now = self.core.now;
                if let (true, Some(report)) = (self.is_played(session), &mut self.report) {
                    Report::stage(&mut report.first_remote_sound, report.pressed_at, now);
                }
            }
            Event::Stats(stats) => self.stats(stats),
            Event::Left { part, element, fault, next, detail } => {
                let then = next
                    .as_deref()
                    .map_or_else(|| "the worker ends".into(), |next| format!("{next} takes over"));
                self.core.warn(&format!("{element} {} ({detail}); {then}", fault.did()));
                self.worker.left(part, &element, fault, next, &mut self.core);
            }
            Event::Trouble { part, detail } => {
                self.core.warn(&format!("{part:?}: {detail}"));
                self.worker.part_broken(part);
            }
            Event::Well { part } => {
                self.core.note(&format!("{part:?} works again"));
                self.worker.part_well(part);
            }
        }
    }

    fn is_played(&mut self, session: SessionId) -> bool {
        self.state
            .call()
            .is_some_and(|call| call.peers.iter().any(|peer| peer.leg.session() == Some(session)))
    }

    fn session_connected(&mut self, session: SessionId) {
        let now = self.core.now;
        let Some(call) = self.state.call() else { return };
        let publish = call.publish.session() == Some(session);
        if let Some(leg) = call.legs().find(|leg| leg.session() == Some(session)) {
            leg.connected(now);
            if let Some(report) = &mut self.report {
                let stage = if publish { &mut report.whip_connected } else { &mut report.whep_connected };
                Report::stage(stage, report.pressed_at, now);
            }
        }
    }

    fn session_lost(&mut self, session: SessionId, reason: &str) {
        let Some(call) = self.state.call() else {
            // A prepared one: another is prepared in its place.
            self.worker.pool.close(session);
            return;
        };
        let publish = call.publish.session() == Some(session);
        match call.legs().find(|leg| leg.session() == Some(session)) {
            Some(leg) => leg.drop_session(true, &mut self.worker.pool, &mut self.chores, &mut self.core),
            None => self.worker.pool.close(session),
        }
        let what = if publish { "publish" } else { "play" };
        if publish {
            call.url = None;
        }
        self.core.note(&format!("{what} session {session} is lost: {reason}"));
        if self.seat.is_held() {
            self.link.probe_now(&mut self.core);
        }
    }

    fn stats(&mut self, stats: Box<Stats>) {
        let publishing = self.state.call().is_some_and(|call| call.publish.is_up());
        if let (State::Leaving { .. }, Some(report)) = (&self.state, &mut self.report) {
            // Said on the way out: newer than what was known when leaving began, unless the players are gone already.
            if report.last_stats.as_ref().is_none_or(|last| stats.players.len() >= last.players.len()) {
                report.last_stats = Some(stats.clone());
            }
        }
        let now = self.core.now;
        let mut lost = None;
        if let Some(call) = self.state.call() {
            for peer in &mut call.peers {
                let of =
                    |player: &&crate::media::protocol::Player| Some(player.session) == peer.leg.session();
                let progress = stats.players.iter().find(of).map_or(0, |p| p.frames_shown + p.audio_ms);
                if peer.leg.watch(progress, now) >= FROZEN {
                    lost = peer.leg.session();
                }
            }
            let sent = stats.frames_sent;
            call.publish.watch(sent, now);
        }
        if let Some(session) = lost {
            self.session_lost(session, "neither picture nor sound");
        }
        if let Some(standing) = self.worker.watch(stats, publishing, &mut self.core) {
            self.worker.kill(standing, &mut self.core);
        } else if self.worker.sends_nothing(publishing, now) {
            let session = self.state.call().and_then(|call| call.publish.session());
            if let Some(session) = session {
                self.session_lost(session, "frames are encoded, but none is sent");
            }
        }
    }

    /// Sessions that were answered and never connected.
    pub(super) fn legs_overdue(&mut self) {
        let now = self.core.now;
        while let Some(session) =
            self.state.call().and_then(|call| call.legs().find(|leg| leg.is_overdue(now))?.session())
        {
            self.session_lost(session, "not connected in time");
        }
    }

    pub(super) fn finish_report(&mut self, why: &End) {
        let now = self.core.now;
        if let Some(report) = &mut self.report {
            Report::stage(&mut report.ended, report.pressed_at, now);
            report.end = Some(why.clone());
            report.last_stats.clone_from(&self.worker.newest);
        }
    }
}
