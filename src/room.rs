//! RoomService as seen from the wire.

#[cfg(feature = "roomservice")]
pub mod user_sig;
pub mod wire;
