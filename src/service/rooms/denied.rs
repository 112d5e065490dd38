//! Why a request about a room is refused, and the code that says so.

use crate::room::wire::code;

/// Why a request about a room is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// There is no such room, or nobody has entered it yet.
    #[error("the room does not exist")]
    NoRoom,
    /// Only the creator may do this.
    #[error("only the room's creator may destroy it")]
    NotTheCreator,
    /// The caller is not in the room.
    #[error("not a member of this room")]
    NotAMember,
    /// The name is taken.
    #[error("the room already exists")]
    RoomExists,
    /// All seats are taken.
    #[error("the room is full")]
    RoomFull,
    /// All places for listeners are taken.
    #[error("the audience list is full")]
    AudienceFull,
    /// `roomInfo` exceeds [`super::ROOM_INFO_LIMIT`].
    #[error("roomInfo is longer than 1024 bytes")]
    RoomInfoTooLong,
    /// The server, or this user, has as many rooms as it may have.
    #[error("too many rooms")]
    TooManyRooms,
    /// The room has as many counters as it may have, or the message is too long to pass on.
    #[error("too large")]
    TooLarge,
}

impl Denied {
    /// The code of section 2.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::NoRoom | Self::NotTheCreator => code::NO_ROOM,
            Self::NotAMember => code::NOT_A_MEMBER,
            Self::RoomExists => code::ROOM_EXISTS,
            Self::RoomFull => code::ROOM_FULL,
            Self::AudienceFull | Self::TooLarge => code::BAD_REQUEST,
            Self::RoomInfoTooLong => code::ROOM_INFO_TOO_LONG,
            Self::TooManyRooms => code::TOO_MANY,
        }
    }
}
