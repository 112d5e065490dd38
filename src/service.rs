//! RoomService: rooms, members, messages, tickets, the clerk's page, and the gate of the media relay.
//!
//! ```text
//! clients ──HTTP──► routes ─► operations ─┐                   ┌─► rooms   (sans-IO)
//!         ──/im───► im ───────────────────┼─► office (a lock) ┼─► tokens, limits, loose (sans-IO)
//! relay ───asks───► gate ─────────────────┘        │          └─► hub     (queues of the sockets)
//!                                                   └─ ends streams and players ─► relay
//! ```
//!
//! Section numbers in comments are those of the RoomService protocol description (`rtcroom-protocol.md`).
//!
//! # Layout
//! - [`arguments`]: the command line. [`server`], `slots`: bind, accept, stop. [`config`]: roomservice.toml. [`tls`], [`keys`].
//! - `routes`, `cors`, `page`, `im`, `metrics`: what is at which address. [`fields`] in, [`answer`] out.
//! - `operations`: one function an operation.
//! - [`office`]: what they share. [`rooms`], [`tokens`], [`limits`], [`loose`], [`roles`], [`address`]: the rules; they
//!   read no clock and touch no socket.
//! - [`hub`]: the queues of the message sockets.
//! - [`gate`]: answers the relay's questions. [`relay`]: the media.

pub mod address;
pub mod answer;
pub mod arguments;
pub mod clock;
pub mod config;
mod cors;
pub mod fields;
pub mod gate;
pub mod hub;
mod im;
pub mod keys;
pub mod limits;
pub mod loose;
mod metrics;
pub mod office;
mod operations;
mod page;
pub mod random;
pub mod relay;
pub mod roles;
pub mod rooms;
mod routes;
pub mod server;
mod slots;
pub mod tls;
pub mod tokens;
