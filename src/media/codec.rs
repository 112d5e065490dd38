//! The table of H.264 encoders and decoders, and how each is set.
//!
//! A row says what differs between elements: the property and unit of the bitrate, and the settings of a low-latency
//! constrained-baseline stream with key frames on request. Settings are probed on the element, never assumed from a
//! version: one that an element does not have is passed over. Every GStreamer encoder takes a key-frame request as a
//! force-key-unit event. Rows are tried from the top; [`Video`] may name another order.

use anyhow::{Result, anyhow};
use gst::prelude::*;

use super::plugins;
use super::protocol::Video;

/// Frames between key frames when nobody asks for one: ten seconds, for servers that never ask.
const KEY_INTERVAL: &str = "300";

/// How an encoder is told its bitrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bitrate {
    /// A property in bits a second.
    Bits(&'static str),
    /// A property in thousands of bits a second.
    Kilobits(&'static str),
}

/// An encoder.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    /// GStreamer's name of the element.
    pub element: &'static str,
    /// The plugin it is in.
    pub plugin: &'static str,
    /// How it is told its bitrate, also while it runs.
    pub bitrate: Bitrate,
    /// Property and value, in GStreamer's notation.
    pub settings: &'static [(&'static str, &'static str)],
}

/// A decoder.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// GStreamer's name of the element.
    pub element: &'static str,
    /// The plugin it is in.
    pub plugin: &'static str,
    /// Property and value, in GStreamer's notation.
    pub settings: &'static [(&'static str, &'static str)],
}

/// Encoders in order of preference. Names and units are `gst-inspect-1.0`'s of GStreamer 1.22.
pub const ENCODERS: &[Encoder] = &[
    Encoder {
        element: "openh264enc",
        plugin: "openh264",
        bitrate: Bitrate::Bits("bitrate"),
        settings: &[
            ("usage-type", "camera"),
            ("rate-control", "bitrate"),
            ("complexity", "low"),
            ("gop-size", KEY_INTERVAL),
            // One slice a frame: fewer packets, and no pool of threads.
            ("multi-thread", "1"),
            // A change of scene must not cost a key frame nobody asked for.
            ("scene-change-detection", "false"),
        ],
    },
    Encoder {
        element: "x264enc",
        plugin: "x264",
        bitrate: Bitrate::Kilobits("bitrate"),
        settings: &[
            ("tune", "zerolatency"),
            ("speed-preset", "ultrafast"),
            ("key-int-max", KEY_INTERVAL),
            ("bframes", "0"),
            ("threads", "1"),
            ("sliced-threads", "false"),
            ("vbv-buf-capacity", "300"),
            ("option-string", "scenecut=0"),
        ],
    },
];

/// Decoders in order of preference: libav doubles the worker's memory, so it comes last.
pub const DECODERS: &[Decoder] = &[
    Decoder { element: "openh264dec", plugin: "openh264", settings: &[] },
    Decoder {
        element: "avdec_h264",
        plugin: "libav",
        settings: &[("max-threads", "1"), ("output-corrupt", "false")],
    },
];

impl Encoder {
    /// Makes the element, set but for its bitrate.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn make(&self) -> Result<gst::Element> {
        let element = plugins::element(self.plugin, self.element)?;
        set(&element, self.settings);
        Ok(element)
    }

    /// Sets the bitrate in bits a second.
    pub fn set_bitrate(&self, element: &gst::Element, bps: u32) {
        match self.bitrate {
            Bitrate::Bits(name) => set(element, &[(name, &bps.to_string())]),
            Bitrate::Kilobits(name) => set(element, &[(name, &(bps / 1000).max(1).to_string())]),
        }
    }
}

impl Decoder {
    /// Makes the element.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn make(&self) -> Result<gst::Element> {
        let element = plugins::element(self.plugin, self.element)?;
        set(&element, self.settings);
        Ok(element)
    }
}

/// Sets what the element has, and says what it has not.
fn set(element: &gst::Element, settings: &[(&str, &str)]) {
    for (name, text) in settings {
        let value = element
            .find_property(name)
            .and_then(|pspec| gst::glib::Value::deserialize_with_pspec(text, &pspec).ok());
        match value {
            Some(value) => element.set_property_from_value(name, &value),
            None => log::warn!("{} takes no {name}={text}", element.name()),
        }
    }
}

/// The encoders that are installed, best first.
///
/// # Errors
/// When there is none, or the board names one that is not in the table.
pub fn encoders(video: &Video) -> Result<Vec<Encoder>> {
    let rows = ordered(ENCODERS, &video.encoders, |row| row.element)?;
    usable(rows, |row| row.make().map(drop), "encoder", "gstreamer1.0-plugins-bad (openh264enc)")
}

/// The decoders that are installed, best first; those behind the first usable are not probed, only listed.
///
/// # Errors
/// When there is none, or the board names one that is not in the table.
pub fn decoders(video: &Video) -> Result<Vec<Decoder>> {
    let rows = ordered(DECODERS, &video.decoders, |row| row.element)?;
    usable(rows, |row| row.make().map(drop), "decoder", "gstreamer1.0-plugins-bad (openh264dec)")
}

/// The table with what is installed, for people.
#[must_use]
pub fn inspect() -> String {
    let line = |kind: &str, element: &str, made: Result<gst::Element>| match made {
        Ok(_) => format!("{kind} {element}: installed\n"),
        Err(error) => format!("{kind} {element}: {error:#}\n"),
    };
    let encoders = ENCODERS.iter().map(|row| line("encoder", row.element, row.make()));
    let decoders = DECODERS.iter().map(|row| line("decoder", row.element, row.make()));
    encoders.chain(decoders).collect()
}

fn ordered<T: Copy>(table: &[T], wanted: &[String], name: impl Fn(&T) -> &'static str) -> Result<Vec<T>> {
    if wanted.is_empty() {
        return Ok(table.to_vec());
    }
    wanted
        .iter()
        .map(|wanted| {
            table.iter().find(|row| name(row) == wanted).copied().ok_or_else(|| {
                let known: Vec<_> = table.iter().map(&name).collect();
                anyhow!("[video] names {wanted}, which is not in the table ({})", known.join(", "))
            })
        })
        .collect()
}

/// Drops rows from the top until one can be made. Rows below it stay unprobed: probing loads their libraries.
fn usable<T>(rows: Vec<T>, probe: impl Fn(&T) -> Result<()>, what: &str, cure: &str) -> Result<Vec<T>> {
    let mut errors = Vec::new();
    let mut rows = rows.into_iter();
    while let Some(row) = rows.next() {
        match probe(&row) {
            Ok(()) => return Ok(std::iter::once(row).chain(rows).collect()),
            Err(error) => errors.push(format!("{error:#}")),
        }
    }
    Err(anyhow!("no H.264 {what} works: {}; install {cure}", errors.join("; ")))
}
