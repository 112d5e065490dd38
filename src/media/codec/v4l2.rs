//! The kernel's memory-to-memory codecs: `bcm2835-codec` of Raspberry Pi up to 4, and others that look the same.

use super::{Bitrate, Decoder, Device, Encoder, KeyRequest, Level, Memory, Profile, Proof, Quirk};

/// The first stateful H.264 encoder the plugin finds has this name; only further ones are named after their device
/// (`gstv4l2videoenc.c:1273`).
pub(super) const ENCODER: Encoder = Encoder {
    element: "v4l2h264enc",
    plugin: "video4linux2",
    package: "gstreamer1.0-plugins-good",
    device: Device::File("/dev/video"),
    software: false,
    // Set on an open device at once; see also raspberrypi/linux #4917: settings are per open file.
    bitrate: Bitrate::Control("video_bitrate", "gst-plugins-good sys/v4l2/gstv4l2object.c:687-695"),
    // gstv4l2videoenc.c, also on GStreamer's main branch (01416a52), never looks at the force-key-unit flag. Buttons
    // are among the controls that can be set by name.
    key: KeyRequest::Control("force_key_frame", "gst-plugins-good sys/v4l2/v4l2_calls.c:333"),
    settings: &[],
    controls: &[
        ("video_bitrate_mode", 1, "raspberrypi/linux #4740; 1 is constant, V4L2_MPEG_VIDEO_BITRATE_MODE_CBR"),
        ("h264_i_frame_period", 300, "raspberrypi/linux #4740"),
        ("repeat_sequence_header", 1, "raspberrypi/linux #4740"),
    ],
    profile: Profile::Caps("gst-plugins-good sys/v4l2/gstv4l2videoenc.c:431-463"),
    level: Level::Caps("gst-plugins-good sys/v4l2/gstv4l2videoenc.c:474-505; raspberrypi/linux #3974"),
    memory: Memory::System,
    before: &[],
    quirks: &[
        Quirk::LowestLevel(30, "raspberrypi/linux #4906"),
        Quirk::LowestFps(9, "raspberrypi/linux #4739"),
        Quirk::LowestKbps(100, "raspberrypi/rpicam-apps #664"),
        Quirk::ShortestKeyInterval(2, "raspberrypi/linux #4740"),
        Quirk::Hangs("raspberrypi/linux #4906"),
        Quirk::NotOn("Raspberry Pi 5", "owncast/owncast #1379"),
    ],
    proof: Proof::Unverified,
};

/// Stateful.
pub(super) const DECODER: Decoder = Decoder {
    element: "v4l2h264dec",
    plugin: "video4linux2",
    package: "gstreamer1.0-plugins-good",
    device: Device::File("/dev/video"),
    settings: &[],
    memory: Memory::System,
    after: &[],
    quirks: &[
        Quirk::Hangs("raspberrypi/linux #4592, #4606"),
        Quirk::LinesInSixteens("H.264 7.4.2.1.1: frames are coded in macroblocks, cropping is told apart"),
    ],
    proof: Proof::Unverified,
};

/// Stateless, by the request API: Hantro G1 of i.MX8M Plus, the RK3588's under a mainline kernel. Named
/// `v4l2slh264dec` when it is the first (`gst-plugins-bad sys/v4l2codecs/gstv4l2codech264dec.c:1596`).
pub(super) const DECODER_STATELESS: Decoder = Decoder {
    element: "v4l2slh264dec",
    plugin: "v4l2codecs",
    package: "gstreamer1.0-plugins-bad",
    device: Device::File("/dev/media"),
    settings: &[],
    memory: Memory::System,
    after: &[],
    quirks: &[],
    proof: Proof::Unverified,
};
