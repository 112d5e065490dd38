//! A video-call appliance with one button, and the RoomService behind it.
//!
//! ```text
//! button ─► board ─┐                            ┌─► board (lamp)
//! timers ──────────►│                            ├─► room::client ──HTTP──► service::routes
//! room notices ────►│  kiosk::Kiosk (sans-IO)    ├─► room::whip   ──HTTP──► service::relay
//! media events ────►│  handle(input, now)        ├─► media (a worker process, JSON lines)
//! control socket ──►│  poll_output()             └─► systemd
//!                   └────────────────────────────
//! ```
//!
//! # Layout
//! - [`room`]: the wire types both sides share; with `kiosk` also the client half.
//! - `kiosk`, `board`, `config`, `credential` (feature `kiosk`): the supervisor, `kioskd`.
//! - `media` (feature `kiosk`): the media worker, `kiosk-media`.
//! - [`journald`]: the log of all three.
//! - `service` (feature `roomservice`): rooms, messages, relay and page, `roomservice`.

pub mod journald;
pub mod room;

#[cfg(feature = "kiosk")]
pub mod board;
#[cfg(feature = "kiosk")]
pub mod config;
#[cfg(feature = "kiosk")]
pub mod credential;
#[cfg(feature = "kiosk")]
pub mod kiosk;
#[cfg(feature = "kiosk")]
pub mod media;

#[cfg(feature = "roomservice")]
pub mod service;
