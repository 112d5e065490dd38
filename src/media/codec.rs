//! The table of H.264 encoders and decoders, and how each is set.
//!
//! A row says what differs between elements: property and unit of the bitrate, how a key frame is asked for, the
//! settings of a low-latency baseline stream, the memory it takes and what has to stand before it, what is known to go
//! wrong with it, and whether this code ever ran it. Every fact carries where it is written: a public source file with
//! its line, or an issue. Settings are probed on the element, never assumed from a version: one that an element does
//! not have is passed over.
//!
//! Rows are tried from the top, hardware before software; [`Video`](super::protocol::Video) may name another order. A row whose plugin or
//! device is missing is passed over without a word unless the board file named it.
//!
//! Revisions of the sources that are named by file and line:
//! - `gst-plugins-good`, `gst-plugins-bad`: 1.22.0, as in Debian 12
//! - `gst-plugins-ugly`: GStreamer/gstreamer 46dbf194, `subprojects/gst-plugins-ugly/ext/x264/`
//! - `gst-libav`: GStreamer/gstreamer ebf7966a, `subprojects/gst-libav/ext/libav/`
//! - `gstreamer-rockchip`: JeffyCN/mirrors, `gst/rockchipmpp/`: `gstmppenc.c` ef9dea38, `gstmpph264enc.c` dc737f6e
//! - `gst-v4l2` of NVIDIA: Extend-Robotics/gst-nvvideo4linux2 e3ebc13b, `gst-v4l2/`
//! - `imx-gst1.0-plugin` of NXP: nxp-imx/imx-gst1.0-plugin 056d64fe, `plugins/vpu/`

mod choice;
pub mod decoder_watch;
pub mod encoder_watch;
mod fake;
pub mod health;
mod imx;
mod jetson;
pub mod level;
mod listing;
mod make;
mod rockchip;
mod software;
pub mod trial;
mod v4l2;
mod va;

use serde::Serialize;

use self::choice::{Row, usable_decoder, usable_encoder};
pub use self::choice::{decoders, encoders};
pub(super) use self::choice::{is_usable, is_usable_decoder};
pub use self::listing::{Shown, inspect, rows};
pub use self::make::{Made, Picture};

/// Frames between key frames when nobody asks for one: ten seconds, for servers that never ask.
const KEY_INTERVAL: &str = "300";

/// Where a fact is written: file and line, an issue, or a page.
pub type Source = &'static str;

/// A property and its value, in GStreamer's notation.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The property.
    pub name: &'static str,
    /// Its value.
    pub value: &'static str,
    /// Where the property is written.
    pub source: Source,
}

const fn set(name: &'static str, value: &'static str, source: Source) -> Setting {
    Setting { name, value, source }
}

/// How an encoder is told its bitrate, also while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bitrate {
    /// A property in bits a second.
    Bits(&'static str, Source),
    /// A property in thousands of bits a second.
    Kilobits(&'static str, Source),
    /// A V4L2 control in bits a second, by the property `extra-controls`: what is set there goes to the open device at
    /// once. Settings belong to the open file, so nobody else's are touched.
    Control(&'static str, Source),
}

/// How a key frame is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRequest {
    /// By a force-key-unit event, as GStreamer means it.
    Event(Source),
    /// By a V4L2 control: the element knows no such event.
    Control(&'static str, Source),
    /// By an action signal: the element knows no such event.
    Signal(&'static str, Source),
}

/// How the profile is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// By the caps behind the element.
    Caps(Source),
    /// By one of the row's settings; the element does not take it from caps.
    Setting,
    /// It cannot be: the element neither takes nor tells one.
    Unknown(Source),
}

/// How the level is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// By the element, from size and rate.
    Free,
    /// By the caps behind the element.
    Caps(Source),
    /// By a property that takes names such as `3.1`.
    Property(&'static str, Source),
}

/// The memory pictures lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// Any; copied by the element where its device wants its own.
    System,
    /// NVIDIA's; a converter stands between.
    Nvmm,
}

/// An element that stands beside the codec, and the caps behind it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The element.
    pub element: &'static str,
    /// The plugin it is in.
    pub plugin: &'static str,
    /// Caps behind it.
    pub caps: &'static str,
}

/// What has to be there for a row to be worth loading its plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The plugin alone: it comes with the board's own software, or needs no device.
    None,
    /// A device file whose path begins so.
    File(&'static str),
}

/// What is known to go wrong with a row, and what is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// Below this level (times ten) it gives nothing; a higher one is asked for.
    LowestLevel(u8, Source),
    /// Below this frame rate it hangs; the row is passed over.
    LowestFps(u32, Source),
    /// Below this bitrate (kbit/s) it hangs; it is not told less.
    LowestKbps(u32, Source),
    /// With fewer frames between key frames it hangs; never set.
    ShortestKeyInterval(u32, Source),
    /// It takes no other sizes; the row is passed over.
    Sizes {
        /// Least and most pixels across.
        width: (u32, u32),
        /// Least and most pixels down.
        height: (u32, u32),
        /// Where that is written.
        source: Source,
    },
    /// It works on lines in sixteens, 1088 for 1080, and may say so; a trial compares what comes out with what went in.
    LinesInSixteens(Source),
    /// It was seen to give key frames only; [`health`] watches for it.
    OnlyKeyFrames(Source),
    /// It was seen to hang; the worker goes on without it.
    Hangs(Source),
    /// A board of its family has none.
    NotOn(&'static str, Source),
    /// It is a fake that fails on purpose.
    Fake,
}

/// Whether this code ever ran the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// In this repository's tests.
    Ran,
    /// Never: written from its sources alone.
    Unverified,
}

/// An encoder.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    /// GStreamer's name of the element.
    pub element: &'static str,
    /// The plugin it is in.
    pub plugin: &'static str,
    /// The package that brings it.
    pub package: &'static str,
    /// What it needs besides.
    pub device: Device,
    /// Whether the processor does the work; such rows are bounded by the board file.
    pub software: bool,
    /// How it is told its bitrate.
    pub bitrate: Bitrate,
    /// How it is asked for a key frame.
    pub key: KeyRequest,
    /// Its properties.
    pub settings: &'static [Setting],
    /// V4L2 controls set when it opens.
    pub controls: &'static [(&'static str, i32, Source)],
    /// How its profile is chosen.
    pub profile: Profile,
    /// How its level is chosen.
    pub level: Level,
    /// Where its pictures lie.
    pub memory: Memory,
    /// What stands before it.
    pub before: &'static [Step],
    /// What goes wrong with it.
    pub quirks: &'static [Quirk],
    /// Whether it ever ran.
    pub proof: Proof,
}

/// A decoder.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// GStreamer's name of the element.
    pub element: &'static str,
    /// The plugin it is in.
    pub plugin: &'static str,
    /// The package that brings it.
    pub package: &'static str,
    /// What it needs besides.
    pub device: Device,
    /// Its properties.
    pub settings: &'static [Setting],
    /// Where its pictures lie.
    pub memory: Memory,
    /// What stands behind it.
    pub after: &'static [Step],
    /// What goes wrong with it.
    pub quirks: &'static [Quirk],
    /// Whether it ever ran.
    pub proof: Proof,
}

/// Encoders in order of preference: hardware first. The fake is in no order but one that names it.
pub const ENCODERS: &[Encoder] = &[
    v4l2::ENCODER,
    rockchip::ENCODER,
    jetson::ENCODER,
    va::ENCODER,
    va::ENCODER_LOW_POWER,
    imx::ENCODER,
    software::OPENH264,
    software::X264,
    fake::ENCODER,
];

/// Decoders in order of preference: hardware first; libav doubles the worker's memory, so it comes last.
pub const DECODERS: &[Decoder] = &[
    v4l2::DECODER,
    v4l2::DECODER_STATELESS,
    rockchip::DECODER,
    jetson::DECODER,
    va::DECODER,
    imx::DECODER,
    software::OPENH264_DECODER,
    software::LIBAV_DECODER,
    fake::DECODER,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_sets_what_is_known_to_hang_and_every_fact_has_a_source() {
        for row in ENCODERS {
            for quirk in row.quirks {
                if let Quirk::ShortestKeyInterval(shortest, _) = quirk {
                    let periods = row.controls.iter().filter(|(name, ..)| name.contains("i_frame_period"));
                    assert!(periods.clone().count() == 1);
                    assert!(periods.into_iter().all(|(_, frames, _)| *frames >= *shortest as i32));
                }
                assert!(*quirk == Quirk::Fake || quirk.words().contains('('), "{quirk:?}");
            }
            for Setting { name, source, .. } in row.settings {
                assert!(!source.is_empty(), "{} {name}", row.element);
            }
        }
    }
}
