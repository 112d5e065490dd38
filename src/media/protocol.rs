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

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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

/// What the worker uses, from the board file and `kioskd.toml`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The camera.
    pub camera: Camera,
    /// Microphone and speaker.
    pub sound: Sound,
    /// H.264 and the bounds of its bitrate.
    pub video: Video,
    /// The screen.
    pub display: Display,
    /// Extra local addresses to offer, `127.0.0.1` in the simulator (libnice never gathers it by itself).
    pub local_addresses: Vec<std::net::IpAddr>,
    /// Codec elements that failed lately, the longest ago first: they are used when nothing else works.
    pub avoid: Vec<String>,
    /// For the worker's log.
    pub labels: Labels,
}

/// Fields of each record in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Labels {
    /// The room.
    pub room: String,
    /// The user ID.
    pub user: String,
    /// The board.
    pub board: String,
}

/// The camera and the picture wanted of it; the board file's `[camera]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Camera {
    /// Where pictures come from.
    pub source: CameraSource,
    /// With `v4l2`: a stable path such as `/dev/v4l/by-id/…`, or part of the card's name; empty takes the first that captures.
    pub device: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames a second.
    pub fps: u32,
    /// With `v4l2`: the formats that may be used, the preferred first; empty means [`PixelFormat::ORDER`].
    pub formats: Vec<PixelFormat>,
    /// With `v4l2`: what is sent is mirrored, by the camera itself where it can.
    pub mirror: bool,
    /// The customer sees itself as in a mirror.
    pub mirror_preview: bool,
    /// With `v4l2`: controls by name as `kioskd doctor` lists them, such as `power_line_frequency = "50 Hz"`.
    pub controls: BTreeMap<String, ControlValue>,
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            source: CameraSource::Test,
            device: String::new(),
            width: 640,
            height: 480,
            fps: 30,
            formats: Vec::new(),
            mirror: false,
            mirror_preview: true,
            controls: BTreeMap::new(),
        }
    }
}

/// What a camera can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelFormat {
    /// H.264, coded by the camera. It is decoded and coded again: congestion control drives our encoder, not the camera's.
    H264,
    /// JPEG pictures.
    Mjpg,
    /// Raw, 12 bits a pixel.
    Nv12,
    /// Raw, 16 bits a pixel.
    Yuyv,
    /// Any other raw format that GStreamer converts.
    Raw,
}

impl PixelFormat {
    /// The order when the board file names none.
    pub const ORDER: [Self; 5] = [Self::H264, Self::Mjpg, Self::Nv12, Self::Yuyv, Self::Raw];
}

/// The value of a camera's control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ControlValue {
    /// Of a switch.
    Switch(bool),
    /// Of a number, or the index of a menu's item.
    Number(i64),
    /// The name of a menu's item.
    Item(String),
}

/// Where pictures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CameraSource {
    /// A test picture: a running clock and the machine-readable mark.
    Test,
    /// A V4L2 device.
    V4l2,
}

/// Microphone and speaker; the board file's `[sound]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sound {
    /// Where sound comes from.
    pub source: SoundSource,
    /// With `alsa`: the microphone's card, by its ID (first column in brackets of `/proc/asound/cards`, never its number), by part of
    /// its name or of the USB path in its long name, or an ALSA device such as `plughw:CARD=Device,DEV=0`; empty takes the first card that captures.
    pub capture: String,
    /// Where sound goes to.
    pub sink: SoundSink,
    /// With `alsa`: the speaker's card, named in the same way; empty takes the first card that plays.
    pub playback: String,
    /// The speaker's volume, `"70%"` of the control's range or `"-6dB"`; empty leaves it as it is. Set whenever the card is opened.
    pub speaker_volume: String,
    /// The microphone's, in the same way.
    pub microphone_volume: String,
    /// Mutes the speaker at the mixer; otherwise it is unmuted whenever the card is opened.
    pub mute: bool,
    /// The speaker's mixer controls; empty takes those of the usual names (`Master`, `Speaker`, `PCM`, …).
    pub speaker_controls: Vec<String>,
    /// The microphone's; empty takes those of the usual names (`Mic`, `Capture`, …).
    pub microphone_controls: Vec<String>,
    /// With `tone`: its frequency in Hz.
    pub tone_hz: u32,
    /// Echo cancelling between real devices.
    pub echo_cancel: bool,
    /// With `room`: what the simulated room is like.
    pub room: Room,
}

impl Default for Sound {
    fn default() -> Self {
        Self {
            source: SoundSource::Tone,
            capture: String::new(),
            sink: SoundSink::None,
            playback: String::new(),
            speaker_volume: String::new(),
            microphone_volume: String::new(),
            mute: false,
            speaker_controls: Vec::new(),
            microphone_controls: Vec::new(),
            tone_hz: 440,
            echo_cancel: true,
            room: Room::default(),
        }
    }
}

/// A simulated room with a speaker, a microphone, an echo and perhaps somebody speaking; `[sound.room]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Room {
    /// A WAV file (16 bits, one channel, 48 kHz) that somebody in the room speaks, over and over; empty: nobody is there.
    pub speech: String,
    /// From the speaker's sample to its first echo in the microphone's, milliseconds.
    pub delay_ms: u32,
    /// How fast the microphone's clock runs against the speaker's, parts in a million.
    pub drift_ppm: f64,
    /// Power of the echo over that of the speaker, dB.
    pub echo_db: f64,
}

impl Default for Room {
    fn default() -> Self {
        Self { speech: String::new(), delay_ms: 80, drift_ppm: 100.0, echo_db: -8.0 }
    }
}

/// Where sound comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoundSource {
    /// A test tone.
    Tone,
    /// An ALSA capture device.
    Alsa,
    /// The microphone of a simulated room.
    Room,
}

/// Where sound goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoundSink {
    /// Decoded, measured, and dropped at the pace of a clock.
    None,
    /// All that a speaker costs, echo cancelling of the tone included, with a clock in place of the card; for benchmarks.
    Fake,
    /// An ALSA playback device.
    Alsa,
    /// The speaker of a simulated room.
    Room,
}

/// H.264 encoding; the board file's `[video]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Video {
    /// Encoder elements in order of preference; empty means the table's order.
    pub encoders: Vec<String>,
    /// Decoder elements in order of preference; empty means the table's order.
    pub decoders: Vec<String>,
    /// Congestion control never goes below this.
    pub min_kbps: u32,
    /// Where a call starts.
    pub start_kbps: u32,
    /// Congestion control never goes above this.
    pub max_kbps: u32,
    /// What an encoder that the processor runs may be given at the most; for boards that have no other, and for the
    /// day on which the other fails.
    pub software: Bound,
    /// What the codecs that fail on purpose do; see `media::fault`.
    pub fake: Fake,
}

impl Default for Video {
    fn default() -> Self {
        Self {
            encoders: Vec::new(),
            decoders: Vec::new(),
            min_kbps: 150,
            start_kbps: 1000,
            max_kbps: 2500,
            software: Bound::default(),
            fake: Fake::default(),
        }
    }
}

/// The most a software encoder is given; the board file's `[video.software]`. What is absent is not bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bound {
    /// Larger pictures are made smaller, in their shape.
    pub max_width: Option<u32>,
    /// The same for their height.
    pub max_height: Option<u32>,
    /// Of more frames a second some are left out.
    pub max_fps: Option<u32>,
    /// Congestion control stops there.
    pub max_kbps: Option<u32>,
}

/// What `faultyh264enc` and `faultyh264dec` do wrong; the board file's `[video.fake]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fake {
    /// The encoder's fault.
    pub encoder: Plant,
    /// The decoder's fault.
    pub decoder: Plant,
    /// Frames that still go well.
    pub after_frames: u32,
}

impl Default for Fake {
    fn default() -> Self {
        Self { encoder: Plant::None, decoder: Plant::None, after_frames: 30 }
    }
}

/// A fault that is planted on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plant {
    /// None.
    #[default]
    None,
    /// It posts an error.
    Error,
    /// It never comes back from a frame.
    HangInChain,
    /// It posts an error, and then never comes back from PAUSED to READY.
    HangOnStop,
    /// It never comes back from NULL to READY.
    HangOnStart,
    /// Every frame is a key frame.
    OnlyKeyFrames,
    /// It gives 8 Mbit/s whatever it is told.
    IgnoresBitrate,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Error,
        Self::HangInChain,
        Self::HangOnStop,
        Self::HangOnStart,
        Self::OnlyKeyFrames,
        Self::IgnoresBitrate,
    ];
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

/// The screen; the board file's `[screen]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Display {
    /// How pictures reach the glass.
    pub output: Output,
    /// Which: a DRM connector such as `HDMI-A-1` with `kms`, a node such as `/dev/fb0` with `fbdev`; empty takes the first.
    pub device: String,
    /// Pixels, as the customer sees it. What `kms` and `fbdev` cannot show is replaced by what they can.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Degrees by which the picture is turned clockwise, for a screen that hangs on its side: 0, 90, 180 or 270.
    pub rotate: u32,
}

impl Default for Display {
    fn default() -> Self {
        Self { output: Output::Auto, device: String::new(), width: 1280, height: 720, rotate: 0 }
    }
}

/// How pictures reach the glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// What is found: a Wayland or X11 display, a connected DRM connector, a framebuffer; none otherwise.
    Auto,
    /// A window (X11 or Wayland).
    Window,
    /// The whole screen of a Wayland compositor.
    Wayland,
    /// The screen itself, by the kernel's mode setting; no desktop may run.
    Kms,
    /// A window drawn by OpenGL.
    Gl,
    /// The kernel's framebuffer device, for drivers without mode setting.
    Fbdev,
    /// No screen: pictures are decoded, measured and dropped.
    None,
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

/// Progress since the worker started, measured where it counts: behind the encoder, behind the decoder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stats {
    /// Whether camera and microphone are open.
    pub capturing: bool,
    /// Whether media is being sent.
    pub sending: bool,
    /// Frames the camera gave.
    pub frames_captured: u64,
    /// Frames that left the encoder.
    pub frames_encoded: u64,
    /// Frames handed to RTP while the publish session was connected.
    pub frames_sent: u64,
    /// Frames handed to the screen (idle picture and preview included).
    pub frames_drawn: u64,
    /// The encoder in use.
    pub encoder: String,
    /// The decoder that new sessions use.
    pub decoder: String,
    /// What congestion control asks of the encoder, bits a second.
    pub target_bps: u64,
    /// What left the encoder in the last second, bits a second.
    pub encoded_bps: u64,
    /// One for each [`Role::Play`] session.
    pub players: Vec<Player>,
}

/// Progress of one [`Role::Play`] session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Player {
    /// The session.
    pub session: SessionId,
    /// Whose media.
    pub user_id: String,
    /// Frames decoded and handed to the screen.
    pub frames_shown: u64,
    /// Of those, frames whose pixels differ from the frame before.
    pub frames_changed: u64,
    /// The longest time between two of them, milliseconds.
    pub longest_gap_ms: u64,
    /// Milliseconds of sound handed to the speaker.
    pub audio_ms: u64,
    /// Of those, milliseconds louder than -45 dBFS.
    pub audio_loud_ms: u64,
    /// Loudness of the last second, dBFS (RMS).
    pub audio_dbfs: f64,
    /// Strongest frequency of the last second of sound, Hz; 0 when silent.
    pub audio_hz: f64,
    /// What the pixel marks said; absent while none was ever read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<Marks>,
}

/// Marks read from the pixels of decoded frames (see `media::mark`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Marks {
    /// Frames with a readable mark and a counter not seen before.
    pub distinct: u64,
    /// Frames whose counter was not above the one before.
    pub out_of_order: u64,
    /// The first counter read.
    pub first: u32,
    /// The newest counter read.
    pub last: u32,
    /// CLOCK_MONOTONIC of this machine when the first mark was read, milliseconds.
    pub first_at_ms: u64,
    /// Age of the newest frames when shown, median over the last 300, milliseconds. Only sensible when both ends run on
    /// one machine: the mark carries the sender's CLOCK_MONOTONIC.
    pub age_p50_ms: f64,
    /// The same, 95th percentile.
    pub age_p95_ms: f64,
}
