//! What only a live_room has: listeners and counters (section 3, "live_room only").

use super::{Denied, RoomName, Rooms};

/// The most listeners listed (section 10, maxAudiencesLen).
const AUDIENCE_LIMIT: usize = 30;
/// The most counters of a room.
const COUNTERS_LIMIT: usize = 32;

/// Somebody in the audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The user ID.
    pub user: String,
    /// Free text.
    pub info: String,
}

impl Rooms {
    /// Adds to a counter, which starts at 0.
    pub fn count(&mut self, name: &RoomName, field: &str, add: i64) -> Result<(), Denied> {
        let room = self.rooms.get_mut(name).filter(|room| room.is_entered()).ok_or(Denied::NoRoom)?;
        if !room.counters.contains_key(field) && room.counters.len() >= COUNTERS_LIMIT {
            return Err(Denied::TooLarge);
        }
        let counter = room.counters.entry(field.to_owned()).or_default();
        *counter = counter.saturating_add(add);
        Ok(())
    }

    /// The audience of a room; nobody where there is no room.
    #[must_use]
    pub fn audience(&self, name: &RoomName) -> &[Listener] {
        self.get(name).map_or(&[], |room| &room.audience)
    }

    /// Lists somebody; a second time brings the text up to date.
    pub fn listen(&mut self, name: &RoomName, listener: Listener) -> Result<(), Denied> {
        let room = self.rooms.get_mut(name).filter(|room| room.is_entered()).ok_or(Denied::NoRoom)?;
        if let Some(known) = room.audience.iter_mut().find(|known| known.user == listener.user) {
            *known = listener;
            return Ok(());
        }
        if room.audience.len() >= AUDIENCE_LIMIT {
            return Err(Denied::AudienceFull);
        }
        room.audience.push(listener);
        Ok(())
    }

    /// Takes somebody off the list.
    pub fn unlisten(&mut self, name: &RoomName, user: &str) {
        if let Some(room) = self.rooms.get_mut(name) {
            room.audience.retain(|known| known.user != user);
        }
    }
}
