//! The media worker: camera, microphone, H.264, Opus, WebRTC, screen and speaker, in a process of its own.
//!
//! ```text
//! camera ─► outlet ─► encode ─► outlet ─► publish (webrtcbin) ─► WHIP server
//!              └────► screen ◄───────────── play (webrtcbin)  ◄── WHEP server, one for each member
//! microphone ─► opus ─► outlet ─► publish      └─► speaker
//! ```
//! Each arrow between words crosses from one small pipeline to another through an [`outlet::Outlet`], which never
//! waits. All pipelines share a clock and base time ([`timebase`]).
//!
//! # Layout
//! - [`protocol`], [`line`]: what is said to `kioskd`, and how.
//! - [`worker`]: the loop. [`arguments`]: the command line.
//! - [`capture`], [`camera`], [`picture`], [`mark`]: the camera; the test picture and what it says of itself.
//! - [`encode`], [`codec`], [`slice`]: the encoder, the table of codecs, and a look into what comes out.
//! - [`session`], [`publish`], [`play`], [`gcc`]: WebRTC.
//! - [`sound`], [`screen`]: what the customer hears and sees.
//! - [`card`], [`bridge`], [`pace`], [`resample`], [`voices`], [`ear`], [`echo`]: sound between the clocks of cards and network, without its echo.
//! - [`room`]: a simulated room, for where there is none.
//! - [`stats`], [`path`], [`watchdog`]: what is measured, and what follows when it stands still.
//! - [`check`]: what `kioskd doctor` has tried.
//! - [`jail`]: what the worker may not do.
//! - [`fault`]: codecs that fail on purpose.
//! - [`pipe`], [`outlet`], [`door`], [`plugins`], [`timebase`]: how pipelines are made and joined.

pub mod arguments;
pub mod bridge;
pub mod camera;
pub mod capture;
pub mod card;
pub mod check;
pub mod codec;
pub mod door;
pub mod ear;
pub mod echo;
pub mod encode;
pub mod fault;
pub mod gcc;
pub mod jail;
pub mod line;
pub mod mark;
pub mod outlet;
pub mod pace;
pub mod path;
pub mod picture;
pub mod pipe;
pub mod play;
pub mod plugins;
pub mod protocol;
pub mod publish;
pub mod resample;
pub mod room;
pub mod screen;
pub mod session;
pub mod slice;
pub mod sound;
pub mod stats;
pub mod timebase;
pub mod voices;
pub mod watchdog;
pub mod worker;
