//! What follows from a change in the room table.

use super::RoomName;
use crate::room::wire::ImEvent;

/// Something the shell has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Deliver an event to the sockets of these users.
    Send {
        /// The members of the room.
        to: Vec<String>,
        /// The event.
        event: ImEvent,
    },
    /// The list as seen by whoever may see this room has changed.
    RoomsChanged(RoomName),
    /// No member has this stream any more: end its publisher and its players.
    CloseStream(String),
    /// The user is in no room of this stream any more: end its players of it.
    CloseViewer {
        /// The user who left.
        user: String,
        /// A stream it may be playing.
        stream: String,
    },
}
