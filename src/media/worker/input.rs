//! What the worker's loop is told, and by whom.

use crate::media::protocol::{Command, Event, SessionId};

/// Where something in the worker comes from. The number of a device or encoder rises each time it is opened, so that
/// the last words of one that was closed are not taken for its successor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The camera.
    Camera(u32),
    /// The decoder of a camera that gives H.264.
    Decoding(u32),
    /// The microphone.
    Microphone(u32),
    /// The speaker.
    Speaker(u32),
    /// The encoder.
    Encoder(u32),
    /// The screen.
    Screen(u32),
    /// A session.
    Session(SessionId),
}

/// What the loop is told.
#[derive(Debug)]
pub enum Input {
    /// By `kioskd`.
    Command(Command),
    /// `kioskd` is gone, or speaks another language.
    End(Option<String>),
    /// Something for `kioskd`.
    Event(Event),
    /// A pipeline has an error.
    Broken {
        /// Where.
        origin: Origin,
        /// The element.
        element: String,
        /// What it says.
        detail: String,
    },
    /// A device gave its first picture or sound.
    Works(Origin),
    /// A device cannot be opened.
    Fails {
        /// Which.
        origin: Origin,
        /// What is wrong and what cures it, naming the device; one sentence.
        detail: String,
    },
    /// What congestion control allows the video encoder.
    Target {
        /// The session it belongs to.
        session: SessionId,
        /// Bits a second.
        bps: u32,
    },
}
