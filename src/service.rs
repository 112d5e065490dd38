//! RoomService.

pub mod relay;
