//! RoomService.
