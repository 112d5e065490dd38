//! The room table, sans-IO: the time and the state of the streams are arguments, what follows from a change is an
//! [`Output`].
//!
//! 1. Call a method that changes something, or [`Rooms::sweep`] every [`Limits::sweep_every`].
//! 2. Drain [`Rooms::poll_output`].
//!
//! The rules are those of sections 4 and 5 of the protocol description:
//! - A room is made by `create_room` (and dropped when nobody enters for 30 s) or by the first to enter.
//! - The first to enter is its creator for as long as the room lives. The last to leave takes the room along.
//! - A member who does not beat and whose stream is not live leaves as if it had asked to.
//! - A room's events are numbered. A number is never used twice for one name, not even for a later room of that name
//!   or by a later run of the server: numbering starts at the clock.

mod audience;
mod denied;
mod limits;
mod output;
mod room;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::room::wire::{ImEvent, Kind, Sender};
use crate::service::clock::Now;

pub use audience::Listener;
pub use denied::Denied;
pub use limits::Limits;
pub use output::Output;
pub use room::{Entrant, Member, Room};

/// The longest `roomInfo` in bytes (section 2, code 10).
pub const ROOM_INFO_LIMIT: usize = 1024;
/// How long a room waits for its first member (section 4.2).
pub const UNENTERED_LIFE: Duration = Duration::from_secs(30);
/// The most rooms of all kinds together.
const ROOMS_LIMIT: usize = 10_000;
/// The most rooms one user may be in, and may have made without anybody entering.
const ROOMS_PER_USER: usize = 16;

/// Names a room.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName {
    /// The namespace.
    pub kind: Kind,
    /// Unique in it.
    pub id: String,
}

impl RoomName {
    /// A name from its parts.
    pub fn new(kind: Kind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into() }
    }
}

impl std::fmt::Display for RoomName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.id)
    }
}

/// What a member says to its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saying {
    /// A text.
    Text(String),
    /// A command and its data.
    Custom {
        /// The command's name.
        cmd: String,
        /// The command's data.
        msg: String,
    },
}

/// All rooms of all kinds.
#[derive(Debug)]
pub struct Rooms {
    limits: Limits,
    rooms: HashMap<RoomName, Room>,
    /// Creation order, for listing.
    by_age: BTreeMap<(Kind, u64), RoomName>,
    next_age: u64,
    /// Which rooms a user is seated in.
    by_user: HashMap<String, BTreeSet<RoomName>>,
    /// In which rooms a stream belongs to a seated member.
    by_stream: HashMap<String, BTreeSet<RoomName>>,
    /// Where a new room's numbering starts: at or above every number used so far.
    first_seq: u64,
    outputs: VecDeque<Output>,
}

impl Rooms {
    /// An empty table, numbering events from the clock.
    #[must_use]
    pub fn new(limits: Limits, now: Now) -> Self {
        Self {
            limits,
            rooms: HashMap::new(),
            by_age: BTreeMap::new(),
            next_age: 0,
            by_user: HashMap::new(),
            by_stream: HashMap::new(),
            first_seq: now.unix_ms,
            outputs: VecDeque::new(),
        }
    }

    /// What followed from the last changes, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A room, whether entered or not.
    #[must_use]
    pub fn get(&self, name: &RoomName) -> Option<&Room> {
        self.rooms.get(name)
    }

    /// A room somebody has entered.
    pub fn entered(&self, name: &RoomName) -> Result<&Room, Denied> {
        self.rooms.get(name).filter(|room| room.is_entered()).ok_or(Denied::NoRoom)
    }

    /// The rooms of a kind, entered or not, oldest first.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&RoomName, &Room)> {
        self.by_age
            .range((kind, 0)..=(kind, u64::MAX))
            .filter_map(|(_, name)| Some((name, self.rooms.get(name)?)))
    }

    /// The entered rooms of a kind, oldest first.
    pub fn list(&self, kind: Kind) -> impl Iterator<Item = (&RoomName, &Room)> {
        self.of_kind(kind).filter(|(_, room)| room.is_entered())
    }

    /// The rooms in which a stream belongs to a seated member.
    pub fn rooms_of_stream(&self, stream: &str) -> impl Iterator<Item = &RoomName> {
        self.by_stream.get(stream).into_iter().flatten()
    }

    /// The streams of all members.
    pub fn streams(&self) -> impl Iterator<Item = &str> {
        self.by_stream.keys().map(String::as_str)
    }

    /// Whether the user is seated in the room.
    #[must_use]
    pub fn is_member(&self, name: &RoomName, user: &str) -> bool {
        self.rooms.get(name).is_some_and(|room| room.member(user).is_some())
    }

    /// Makes a room nobody is in yet.
    pub fn create(&mut self, now: Now, name: &RoomName, maker: &str, info: &str) -> Result<(), Denied> {
        if self.rooms.contains_key(name) {
            return Err(Denied::RoomExists);
        }
        let waiting = self.rooms.values().filter(|room| !room.is_entered() && room.maker() == maker);
        if waiting.take(ROOMS_PER_USER).count() == ROOMS_PER_USER {
            return Err(Denied::TooManyRooms);
        }
        self.make(now, name, maker, info).map(|_| ())
    }

    /// Seats a member, making the room when it does not exist. A member already seated is brought up to date.
    /// Returns whether the room was made.
    pub fn enter(&mut self, now: Now, name: &RoomName, entrant: Entrant, info: &str) -> Result<bool, Denied> {
        let seated = self.is_member(name, &entrant.user);
        if !seated {
            if self.rooms.get(name).is_some_and(|room| room.members().len() >= self.limits.seats(name.kind)) {
                return Err(Denied::RoomFull);
            }
            if self.by_user.get(&entrant.user).is_some_and(|rooms| rooms.len() >= ROOMS_PER_USER) {
                return Err(Denied::TooManyRooms);
            }
        }
        let made = !self.rooms.contains_key(name);
        if made {
            self.make(now, name, &entrant.user, info)?;
        }
        let Some(room) = self.rooms.get_mut(name) else { return Err(Denied::NoRoom) };
        let (user, stream) = (entrant.user.clone(), entrant.stream.clone());
        let old_stream = room.seat(now, entrant).filter(|old| *old != stream);
        self.by_user.entry(user).or_default().insert(name.clone());
        self.by_stream.entry(stream).or_default().insert(name.clone());
        if let Some(old) = old_stream {
            self.release_stream(name, old);
        }
        self.notify(now, name, None);
        Ok(made)
    }

    /// Takes a member out of a room.
    pub fn leave(&mut self, now: Now, name: &RoomName, user: &str) -> Result<(), Denied> {
        if !self.is_member(name, user) {
            return Err(Denied::NotAMember);
        }
        self.unseat(now, name, user, true);
        Ok(())
    }

    /// A member says that it is still there.
    pub fn beat(&mut self, now: Now, name: &RoomName, user: &str) -> Result<(), Denied> {
        let room = self.rooms.get_mut(name).ok_or(Denied::NotAMember)?;
        if room.beat(now, user) { Ok(()) } else { Err(Denied::NotAMember) }
    }

    /// Ends a room: its creator may, and while nobody has entered, who made it.
    pub fn destroy(&mut self, name: &RoomName, user: &str) -> Result<(), Denied> {
        let room = self.rooms.get(name).ok_or(Denied::NoRoom)?;
        if room.creator().unwrap_or(room.maker()) != user {
            return Err(Denied::NotTheCreator);
        }
        self.close(name);
        Ok(())
    }

    /// Passes on what a member says to all members, itself included.
    pub fn say(&mut self, now: Now, name: &RoomName, user: &str, saying: Saying) -> Result<(), Denied> {
        let room = self.rooms.get_mut(name).ok_or(Denied::NoRoom)?;
        let from = room.member(user).map(Member::sender).ok_or(Denied::NotAMember)?;
        let event = saying.into_event(name, room.next_seq(), from, now.unix_ms);
        if room::json_len(&event) > crate::room::wire::IM_FRAME_LIMIT {
            return Err(Denied::TooLarge);
        }
        room.record(event.clone());
        let to = room.user_ids();
        self.outputs.push_back(Output::Send { to, event });
        Ok(())
    }

    /// What a member missed after `after`. Ends with a [`ImEvent::Gap`] when that is not all of it; for who is not a
    /// member it is nothing but that.
    #[must_use]
    pub fn missed(&self, name: &RoomName, user: &str, after: u64) -> Vec<ImEvent> {
        let gap = |seq| ImEvent::Gap { kind: name.kind, room_id: name.id.clone(), seq };
        match self.rooms.get(name).and_then(|room| Some((room, room.member(user)?))) {
            None => vec![gap(0)],
            Some((room, member)) => {
                let (mut events, whole) = room.since(after.max(member.joined_seq()), after);
                if !whole {
                    events.push(gap(room.seq()));
                }
                events
            }
        }
    }

    /// The streams of the members who have been silent too long: ask the media plane whether they are live, then
    /// [`Self::sweep`].
    pub fn late_streams(&self, now: Now) -> impl Iterator<Item = &str> {
        let silence = self.limits.heartbeat;
        self.rooms
            .values()
            .flat_map(Room::members)
            .filter(move |m| m.is_late(now, silence))
            .map(Member::stream)
    }

    /// Removes who is silent and does not publish, and rooms nobody ever entered.
    pub fn sweep(&mut self, now: Now, is_live: impl Fn(&str) -> bool) {
        let mut late = Vec::new();
        for (name, room) in &mut self.rooms {
            for member in room.members_mut().filter(|m| m.is_late(now, self.limits.heartbeat)) {
                if is_live(member.stream()) {
                    member.beat(now);
                } else {
                    late.push((name.clone(), member.user().to_owned()));
                }
            }
        }
        for (name, user) in late {
            // The room may have ended with its creator a moment ago.
            if self.is_member(&name, &user) {
                log::info!("{name}: {user} is silent and does not publish, removed");
                self.unseat(now, &name, &user, false);
            }
        }
        let unentered = self.rooms.iter().filter(|(_, room)| !room.is_entered());
        let stale = unentered.filter(|(_, room)| now.instant >= room.made_at() + UNENTERED_LIFE);
        for name in stale.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.forget(&name);
        }
    }

    fn make(&mut self, now: Now, name: &RoomName, maker: &str, info: &str) -> Result<(), Denied> {
        if info.len() > ROOM_INFO_LIMIT {
            return Err(Denied::RoomInfoTooLong);
        }
        if self.rooms.len() >= ROOMS_LIMIT {
            return Err(Denied::TooManyRooms);
        }
        let age = self.next_age;
        self.next_age += 1;
        self.by_age.insert((name.kind, age), name.clone());
        self.rooms.insert(name.clone(), Room::new(now, age, self.first_seq, maker, info));
        Ok(())
    }

    /// Tells the members, and who may see the room, that its members changed; `left` is who said goodbye.
    fn notify(&mut self, now: Now, name: &RoomName, left: Option<&str>) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.stamp_loneliness(now);
        let event = ImEvent::Notice {
            kind: name.kind,
            room_id: name.id.clone(),
            seq: room.next_seq(),
            // Byte for byte what the clients look for (section 4.6).
            content: r#"{"cmd":"notifyPusherChange","data":""}"#.to_owned(),
            left: left.map(str::to_owned),
        };
        room.record(event.clone());
        let to = room.user_ids();
        self.outputs.push_back(Output::Send { to, event });
        self.outputs.push_back(Output::RoomsChanged(name.clone()));
    }

    fn unseat(&mut self, now: Now, name: &RoomName, user: &str, by_wish: bool) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let Some(member) = room.unseat(user) else { return };
        let was_creator = room.creator() == Some(user);
        let empty = room.members().is_empty();
        let others: Vec<String> = room.members().iter().map(|m| m.stream().to_owned()).collect();
        self.drop_membership(name, user);
        self.release_stream(name, member.stream().to_owned());
        for stream in others {
            let shared = self.rooms_of_stream(&stream).any(|other| self.is_member(other, user));
            if !shared {
                self.outputs.push_back(Output::CloseViewer { user: user.to_owned(), stream });
            }
        }
        if empty {
            self.forget(name);
            self.outputs.push_back(Output::RoomsChanged(name.clone()));
        } else if was_creator && self.limits.ends_with_creator(name.kind) {
            self.close(name);
        } else {
            self.notify(now, name, by_wish.then_some(user));
        }
    }

    /// Ends a room for everybody in it.
    fn close(&mut self, name: &RoomName) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let event = ImEvent::Closed { kind: name.kind, room_id: name.id.clone(), seq: room.next_seq() };
        room.record(event.clone());
        let members: Vec<(String, String)> =
            room.members().iter().map(|m| (m.user().to_owned(), m.stream().to_owned())).collect();
        let to = room.user_ids();
        if !to.is_empty() {
            self.outputs.push_back(Output::Send { to, event });
        }
        for (user, stream) in members {
            self.drop_membership(name, &user);
            self.release_stream(name, stream);
        }
        self.forget(name);
        self.outputs.push_back(Output::RoomsChanged(name.clone()));
    }

    fn drop_membership(&mut self, name: &RoomName, user: &str) {
        if let Some(rooms) = self.by_user.get_mut(user) {
            rooms.remove(name);
            if rooms.is_empty() {
                self.by_user.remove(user);
            }
        }
    }

    /// The stream is no longer of this room; unless another room has it, it ends.
    fn release_stream(&mut self, name: &RoomName, stream: String) {
        if let Some(rooms) = self.by_stream.get_mut(&stream) {
            rooms.remove(name);
            if rooms.is_empty() {
                self.by_stream.remove(&stream);
                self.outputs.push_back(Output::CloseStream(stream));
            }
        }
    }

    fn forget(&mut self, name: &RoomName) {
        if let Some(room) = self.rooms.remove(name) {
            self.by_age.remove(&(name.kind, room.age()));
            self.first_seq = self.first_seq.max(room.seq());
        }
    }
}

impl Saying {
    fn into_event(self, name: &RoomName, seq: u64, from: Sender, time: u64) -> ImEvent {
        let (kind, room_id) = (name.kind, name.id.clone());
        match self {
            Self::Text(text) => ImEvent::Text { kind, room_id, seq, from, time, text },
            Self::Custom { cmd, msg } => ImEvent::Custom { kind, room_id, seq, from, time, cmd, msg },
        }
    }
}
