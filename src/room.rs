//! RoomService as seen from the wire: the types both ends share, and with `kiosk` the client half.

#[cfg(feature = "roomservice")]
pub mod user_sig;
pub mod wire;

#[cfg(feature = "kiosk")]
pub mod client;
#[cfg(feature = "kiosk")]
mod connect;
#[cfg(feature = "kiosk")]
mod exchange;
#[cfg(feature = "kiosk")]
pub mod failure;
#[cfg(feature = "kiosk")]
pub mod im;
#[cfg(feature = "kiosk")]
pub mod look;
#[cfg(feature = "kiosk")]
pub mod renewal;
#[cfg(feature = "kiosk")]
pub mod ticket;
#[cfg(feature = "kiosk")]
pub mod tickets;
#[cfg(feature = "kiosk")]
pub mod whip;
