//! Encoders and decoders that the processor runs.

use super::{
    Bitrate, Decoder, Device, Encoder, KEY_INTERVAL, KeyRequest, Level, Memory, Profile, Proof, set,
};

/// Cisco's, in gst-plugins-bad.
pub(super) const OPENH264: Encoder = Encoder {
    element: "openh264enc",
    plugin: "openh264",
    package: "gstreamer1.0-plugins-bad",
    device: Device::None,
    software: true,
    bitrate: Bitrate::Bits("bitrate", "gst-plugins-bad ext/openh264/gstopenh264enc.cpp:300"),
    key: KeyRequest::Event("gst-plugins-bad ext/openh264/gstopenh264enc.cpp:960"),
    settings: &[
        set("usage-type", "camera", "gst-plugins-bad ext/openh264/gstopenh264enc.cpp:272"),
        set("rate-control", "bitrate", "gst-plugins-bad ext/openh264/gstopenh264enc.cpp:278"),
        set("complexity", "low", "gst-plugins-bad ext/openh264/gstopenh264enc.cpp:369"),
        set("gop-size", KEY_INTERVAL, "gst-plugins-bad ext/openh264/gstopenh264enc.cpp:324"),
        // One slice a frame: fewer packets, and no pool of threads.
        set("multi-thread", "1", "gst-plugins-bad ext/openh264/gstopenh264enc.cpp:284"),
        // A change of scene must not cost a key frame nobody asked for.
        set("scene-change-detection", "false", "gst-plugins-bad ext/openh264/gstopenh264enc.cpp:352"),
    ],
    controls: &[],
    profile: Profile::Caps("gst-plugins-bad ext/openh264/gstopenh264enc.cpp:710"),
    level: Level::Free,
    memory: Memory::System,
    before: &[],
    quirks: &[],
    proof: Proof::Ran,
};

/// x264, in gst-plugins-ugly. Its file is too long to have its lines counted by hand, and its package could not be had:
/// the names in it are given, and `tests/media_codecs.rs` asks the element itself.
pub(super) const X264: Encoder = Encoder {
    element: "x264enc",
    plugin: "x264",
    package: "gstreamer1.0-plugins-ugly",
    device: Device::None,
    software: true,
    bitrate: Bitrate::Kilobits("bitrate", "gst-plugins-ugly gstx264enc.c, ARG_BITRATE"),
    key: KeyRequest::Event("asked of the element by tests/media_codecs.rs"),
    settings: &[
        set("tune", "zerolatency", "gst-plugins-ugly gstx264enc.c, ARG_TUNE"),
        set("speed-preset", "ultrafast", "gst-plugins-ugly gstx264enc.c, ARG_SPEED_PRESET"),
        set("key-int-max", KEY_INTERVAL, "gst-plugins-ugly gstx264enc.c, ARG_KEYINT_MAX"),
        set("bframes", "0", "gst-plugins-ugly gstx264enc.c, ARG_BFRAMES"),
        set("threads", "1", "gst-plugins-ugly gstx264enc.c, ARG_THREADS"),
        set("sliced-threads", "false", "gst-plugins-ugly gstx264enc.c, ARG_SLICED_THREADS"),
        set("vbv-buf-capacity", "300", "gst-plugins-ugly gstx264enc.c, ARG_VBV_BUF_CAPACITY"),
        set("option-string", "scenecut=0", "gst-plugins-ugly gstx264enc.c, ARG_OPTION_STRING"),
    ],
    controls: &[],
    profile: Profile::Caps(
        "gst-plugins-ugly gstx264enc.c, element documentation: \"set it in the downstream caps\"",
    ),
    level: Level::Free,
    memory: Memory::System,
    before: &[],
    quirks: &[],
    proof: Proof::Ran,
};

/// Cisco's.
pub(super) const OPENH264_DECODER: Decoder = Decoder {
    element: "openh264dec",
    plugin: "openh264",
    package: "gstreamer1.0-plugins-bad",
    device: Device::None,
    settings: &[],
    memory: Memory::System,
    after: &[],
    quirks: &[],
    proof: Proof::Ran,
};

/// FFmpeg's.
pub(super) const LIBAV_DECODER: Decoder = Decoder {
    element: "avdec_h264",
    plugin: "libav",
    package: "gstreamer1.0-libav",
    device: Device::None,
    settings: &[
        set("max-threads", "1", "gst-libav gstavviddec.c:49, DEFAULT_MAX_THREADS"),
        set("output-corrupt", "false", "gst-libav gstavviddec.c:50, DEFAULT_OUTPUT_CORRUPT"),
    ],
    memory: Memory::System,
    after: &[],
    quirks: &[],
    proof: Proof::Ran,
};
