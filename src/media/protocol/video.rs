//! H.264: codecs, bounds, and the faults that are planted on purpose.

use serde::{Deserialize, Serialize};

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
