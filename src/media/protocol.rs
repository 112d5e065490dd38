//! The lines between `kioskd` and the media worker: one JSON object a line, at most [`LINE_LIMIT`] bytes.
//!
//! ```text
//! kioskd                        kiosk-media
//!   configure ───────────────────►        once, first
//!          ◄─────────────────── ready
//!   prepare publish ─────────────►        while idle: the offer waits for the button
//!          ◄─────────────────── offer
//!   capture on ──────────────────►        the camera opens now and not before
//!   answer ──────────────────────►        what the WHIP server said
//!          ◄─────────────────── connected
//!   prepare play, answer ────────►        one session for each other member
//!   send on ─────────────────────►        somebody is there: encode
//!          ◄─────────────────── first_frame, first_sound, stats (every second)
//!   close, capture off, stop ────►
//! ```
//! The worker never talks HTTP, and holds no ticket.

mod camera;
mod report;
mod settings;
mod sound;
mod video;

use serde::{Deserialize, Serialize};

pub use self::camera::{Camera, CameraSource, ControlValue, PixelFormat};
pub use self::report::{Marks, Player, Stats};
pub use self::settings::{Display, Labels, Output, Settings};
pub use self::sound::{Room, Sound, SoundSink, SoundSource};
pub use self::video::{Bound, Fake, Plant, Video};

/// The longest line in either direction, in bytes, its newline not counted.
pub const LINE_LIMIT: usize = 64 * 1024;

/// Names a WebRTC session of one worker; chosen by `kioskd`, never used twice with one worker.
pub type SessionId = u32;

/// From `kioskd` to the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// What to use; the first line, sent once. Answered by [`Event::Ready`].
    Configure(Box<Settings>),
    /// Makes a session and its fully gathered offer. Answered by [`Event::Offer`]; sent again when addresses change.
    Prepare {
        /// The new session.
        session: SessionId,
        /// Which way the media flows.
        role: Role,
    },
    /// The WHIP or WHEP server's answer to the session's offer.
    Answer {
        /// The session.
        session: SessionId,
        /// SDP.
        sdp: String,
        /// Whose media a [`Role::Play`] session brings.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<Member>,
    },
    /// Ends a session; no answer, and unknown sessions are ignored.
    Close {
        /// The session.
        session: SessionId,
    },
    /// Opens or closes camera and microphone; open means a preview on the screen.
    Capture {
        /// Whether they are to be open.
        on: bool,
    },
    /// Encodes and sends on the publish session, or stops doing so.
    Send {
        /// Whether to send.
        on: bool,
    },
    /// What the customer is told on the screen.
    Screen(Screen),
    /// Lays a text over the picture.
    Message {
        /// Who says so; may be empty.
        from: String,
        /// The text, any script, several lines.
        text: String,
        /// How long it stays.
        seconds: u32,
    },
    /// Ends the process in good order: camera closed, devices released, exit 0.
    Stop,
}

/// Which way a session's media flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Camera and microphone out, by WHIP.
    Publish,
    /// One other member in, by WHEP.
    Play,
}

/// Another member of the room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The member's user ID.
    pub user_id: String,
    /// The name shown with the picture.
    pub name: String,
}

/// What the screen shows; the words are `kioskd`'s, already in the customer's language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Screen {
    /// Chooses the layout.
    pub view: View,
    /// Large; one short sentence, may be empty.
    pub headline: String,
    /// Smaller, below; may be empty.
    pub detail: String,
}

/// The screen's layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// The idle picture and how to start a call.
    Idle,
    /// Joining or waiting: the preview large, the words over it.
    Waiting,
    /// The other members large, the preview small.
    InCall,
    /// The words alone, in the colours of trouble.
    Trouble,
}

/// From the worker to `kioskd`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// Configured: plugins loaded, encoder chosen, nothing captured.
    Ready {
        /// The encoder element in use.
        encoder: String,
        /// The decoder element in use.
        decoder: String,
        /// GStreamer's version.
        gstreamer: String,
        /// The worker's process; behind a socket of systemd nothing else tells.
        #[serde(default)]
        pid: u32,
    },
    /// The session's fully gathered offer.
    Offer {
        /// The session.
        session: SessionId,
        /// SDP.
        sdp: String,
    },
    /// ICE and DTLS are up.
    Connected {
        /// The session.
        session: SessionId,
    },
    /// The session will not work any more; `kioskd` closes it and makes another.
    Lost {
        /// The session.
        session: SessionId,
        /// For the log.
        reason: String,
    },
    /// The first frame of a [`Role::Play`] session was decoded and handed to the screen.
    FirstFrame {
        /// The session.
        session: SessionId,
    },
    /// The first sound of a [`Role::Play`] session was decoded and handed to the speaker.
    FirstSound {
        /// The session.
        session: SessionId,
    },
    /// Progress, every second.
    Stats(Box<Stats>),
    /// A codec is left for another. With another the call goes on in this worker; without one the worker ends.
    Left {
        /// [`Part::Encoder`] or [`Part::Decoder`].
        part: Part,
        /// The element that is left.
        element: String,
        /// What it did.
        fault: Fault,
        /// The element that takes over.
        next: Option<String>,
        /// More of it, for the log.
        detail: String,
    },
    /// A part does not work. The worker goes on trying by itself.
    Trouble {
        /// Which.
        part: Part,
        /// What is wrong and what cures it, naming the device; one sentence.
        detail: String,
    },
    /// A part that was in trouble works again.
    Well {
        /// Which.
        part: Part,
    },
}

/// A part of the board the worker uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The camera.
    Camera,
    /// The microphone.
    Microphone,
    /// The speaker.
    Speaker,
    /// The H.264 encoder.
    Encoder,
    /// The H.264 decoder.
    Decoder,
    /// The screen.
    Screen,
}

/// Why a codec is left for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It reported an error.
    Error,
    /// It is fed and gives nothing.
    Hang,
    /// It does not get ready to be fed.
    NoStart,
    /// It gives key frames only.
    OnlyKeyFrames,
    /// It gives far more bits than it is told to.
    IgnoresBitrate,
}

impl Fault {
    /// What it did, as it stands after its name.
    #[must_use]
    pub fn did(self) -> &'static str {
        match self {
            Self::Error => "failed",
            Self::Hang => "hung",
            Self::NoStart => "did not start",
            Self::OnlyKeyFrames => "gave key frames only",
            Self::IgnoresBitrate => "ignored its bitrate",
        }
    }
}
