//! The camera and the picture wanted of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
    /// The same, as a camera that codes H.264 gives it: it has to be decoded first.
    TestH264,
    /// A V4L2 device.
    V4l2,
}
