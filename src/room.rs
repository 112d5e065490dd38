//! RoomService as seen from the wire.

pub mod wire;
