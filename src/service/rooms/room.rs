//! One room: its seats and its numbered events.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::audience::Listener;
use crate::room::wire::{ImEvent, Sender};
use crate::service::clock::Now;

/// The most events kept for members who come back.
const BACKLOG_EVENTS: usize = 64;
/// The most bytes of events kept, as JSON.
const BACKLOG_BYTES: usize = 64 * 1024;

/// Who wants a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrant {
    /// The token's user.
    pub user: String,
    /// Shown to the other members.
    pub name: String,
    /// A picture, opaque to us.
    pub avatar: String,
    /// What it publishes.
    pub stream: String,
    /// Until when its play address is good, unix seconds.
    pub play_until: u64,
}

/// Who has a seat.
#[derive(Clone, Debug)]
pub struct Member {
    who: Entrant,
    joined_seq: u64,
    last_beat: Instant,
}

impl Member {
    /// The user ID.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.who.user
    }

    /// What it publishes.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.who.stream
    }

    /// As given on entering.
    #[must_use]
    pub fn who(&self) -> &Entrant {
        &self.who
    }

    /// As the sender of a message.
    #[must_use]
    pub fn sender(&self) -> Sender {
        let Entrant { user, name, avatar, .. } = self.who.clone();
        Sender { user_id: user, user_name: name, user_avatar: avatar }
    }

    /// The newest event before it was seated: what came earlier is not for it.
    #[must_use]
    pub(super) fn joined_seq(&self) -> u64 {
        self.joined_seq
    }

    /// Silent for longer than `silence` (section 4.5: stamp + timeout < now).
    pub(super) fn is_late(&self, now: Now, silence: Duration) -> bool {
        self.last_beat + silence < now.instant
    }

    pub(super) fn beat(&mut self, now: Now) {
        self.last_beat = now.instant;
    }
}

/// A room and who is in it.
#[derive(Debug)]
pub struct Room {
    age: u64,
    made_at: Instant,
    maker: String,
    info: String,
    creator: Option<String>,
    members: Vec<Member>,
    alone_since: Option<Instant>,
    seq: u64,
    backlog: VecDeque<(usize, ImEvent)>,
    backlog_bytes: usize,
    pub(super) counters: BTreeMap<String, i64>,
    pub(super) audience: Vec<Listener>,
}

impl Room {
    pub(super) fn new(now: Now, age: u64, seq: u64, maker: &str, info: &str) -> Self {
        Self {
            age,
            made_at: now.instant,
            maker: maker.to_owned(),
            info: info.to_owned(),
            creator: None,
            members: Vec::new(),
            alone_since: None,
            seq,
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            counters: BTreeMap::new(),
            audience: Vec::new(),
        }
    }

    /// The maker's text.
    #[must_use]
    pub fn info(&self) -> &str {
        &self.info
    }

    /// The first who entered.
    #[must_use]
    pub fn creator(&self) -> Option<&str> {
        self.creator.as_deref()
    }

    /// Who called create_room, or was the first to enter.
    #[must_use]
    pub fn maker(&self) -> &str {
        &self.maker
    }

    /// Whether anybody ever entered.
    #[must_use]
    pub fn is_entered(&self) -> bool {
        self.creator.is_some()
    }

    /// The members in order of entering.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// A member by its user ID.
    #[must_use]
    pub fn member(&self, user: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.user() == user)
    }

    /// How long the only member has been alone.
    #[must_use]
    pub fn waiting(&self, now: Now) -> Option<Duration> {
        self.alone_since.map(|since| now.instant.saturating_duration_since(since))
    }

    /// The counters as JSON text.
    #[must_use]
    pub fn counters_json(&self) -> String {
        // A map of numbers always serializes.
        serde_json::to_string(&self.counters).unwrap_or_default()
    }

    /// The number of the newest event.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    pub(super) fn age(&self) -> u64 {
        self.age
    }

    pub(super) fn made_at(&self) -> Instant {
        self.made_at
    }

    pub(super) fn next_seq(&self) -> u64 {
        self.seq + 1
    }

    pub(super) fn user_ids(&self) -> Vec<String> {
        self.members.iter().map(|member| member.user().to_owned()).collect()
    }

    pub(super) fn members_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.members.iter_mut()
    }

    /// Seats or updates a member; returns the stream it had before.
    pub(super) fn seat(&mut self, now: Now, who: Entrant) -> Option<String> {
        self.creator.get_or_insert_with(|| who.user.clone());
        if let Some(member) = self.members.iter_mut().find(|member| member.user() == who.user) {
            member.beat(now);
            return Some(std::mem::replace(&mut member.who, who).stream);
        }
        self.members.push(Member { who, joined_seq: self.seq, last_beat: now.instant });
        None
    }

    pub(super) fn unseat(&mut self, user: &str) -> Option<Member> {
        let at = self.members.iter().position(|member| member.user() == user)?;
        Some(self.members.remove(at))
    }

    pub(super) fn beat(&mut self, now: Now, user: &str) -> bool {
        let member = self.members.iter_mut().find(|member| member.user() == user);
        member.map(|member| member.beat(now)).is_some()
    }

    /// Keeps `alone_since` in step with the number of members.
    pub(super) fn stamp_loneliness(&mut self, now: Now) {
        if self.members.len() == 1 {
            self.alone_since.get_or_insert(now.instant);
        } else {
            self.alone_since = None;
        }
    }

    /// Numbers an event and keeps it for who comes back.
    pub(super) fn record(&mut self, event: ImEvent) {
        self.seq += 1;
        let size = json_len(&event);
        self.backlog_bytes += size;
        self.backlog.push_back((size, event));
        while self.backlog.len() > BACKLOG_EVENTS || self.backlog_bytes > BACKLOG_BYTES {
            let Some((size, _)) = self.backlog.pop_front() else { break };
            self.backlog_bytes -= size;
        }
    }

    /// The kept events after `from`, and whether they are all that came after `wanted`.
    pub(super) fn since(&self, from: u64, wanted: u64) -> (Vec<ImEvent>, bool) {
        let oldest = self.seq + 1 - self.backlog.len() as u64;
        let skip = usize::try_from(from.saturating_add(1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        let events = self.backlog.iter().skip(skip).map(|(_, event)| event.clone()).collect();
        let whole = wanted >= from && wanted <= self.seq && wanted + 1 >= oldest;
        (events, whole)
    }
}

/// The event's size on the wire.
pub(super) fn json_len(event: &ImEvent) -> usize {
    serde_json::to_string(event).map_or(usize::MAX, |json| json.len())
}
