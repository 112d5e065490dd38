//! VA-API: Intel's and AMD's graphics.

use super::{
    Bitrate, Decoder, Device, Encoder, KEY_INTERVAL, KeyRequest, Level, Memory, Profile, Proof, Step, set,
};

const RENDER: &str = "/dev/dri/renderD";

/// The encoder of the first device; others are named after theirs (`sys/va/gstvah264enc.c:3826`).
pub(super) const ENCODER: Encoder = Encoder {
    element: "vah264enc",
    plugin: "va",
    package: "gstreamer1.0-plugins-bad, and the VA driver of the graphics",
    device: Device::File(RENDER),
    software: false,
    bitrate: Bitrate::Kilobits("bitrate", "gst-plugins-bad sys/va/gstvah264enc.c:3712"),
    key: KeyRequest::Event("gst-plugins-bad sys/va/gstvah264enc.c:1720"),
    settings: &[
        set("rate-control", "cbr", "gst-plugins-bad sys/va/gstvah264enc.c:3756"),
        set("key-int-max", KEY_INTERVAL, "gst-plugins-bad sys/va/gstvah264enc.c:3546"),
        set("b-frames", "0", "gst-plugins-bad sys/va/gstvah264enc.c:3556"),
        set("ref-frames", "1", "gst-plugins-bad sys/va/gstvah264enc.c:3574"),
        set("target-usage", "7", "gst-plugins-bad sys/va/gstvah264enc.c:3740"),
    ],
    controls: &[],
    profile: Profile::Caps("gst-plugins-bad sys/va/gstvah264enc.c:1310-1317"),
    level: Level::Free,
    memory: Memory::System,
    before: &[Step {
        element: "videoconvertscale",
        plugin: "videoconvertscale",
        caps: "video/x-raw,format=NV12",
    }],
    quirks: &[],
    proof: Proof::Unverified,
};

/// The low-power entry point, on some of Intel's the only one (`sys/va/gstvah264enc.c:3829`).
pub(super) const ENCODER_LOW_POWER: Encoder = Encoder { element: "vah264lpenc", ..ENCODER };

/// The first device's (`sys/va/gstvah264dec.c:969`).
pub(super) const DECODER: Decoder = Decoder {
    element: "vah264dec",
    plugin: "va",
    package: "gstreamer1.0-plugins-bad, and the VA driver of the graphics",
    device: Device::File(RENDER),
    settings: &[],
    memory: Memory::System,
    after: &[],
    quirks: &[],
    proof: Proof::Unverified,
};
