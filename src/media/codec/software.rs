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

/// x264, in gst-plugins-ugly. Its lines are not given: `tests/media_codecs.rs` asks the element itself.
pub(super) const X264: Encoder = Encoder {
    element: "x264enc",
    plugin: "x264",
    package: "gstreamer1.0-plugins-ugly",
    device: Device::None,
    software: true,
    bitrate: Bitrate::Kilobits("bitrate", X264_SOURCE),
    key: KeyRequest::Event(X264_SOURCE),
    settings: &[
        set("tune", "zerolatency", X264_SOURCE),
        set("speed-preset", "ultrafast", X264_SOURCE),
        set("key-int-max", KEY_INTERVAL, X264_SOURCE),
        set("bframes", "0", X264_SOURCE),
        set("threads", "1", X264_SOURCE),
        set("sliced-threads", "false", X264_SOURCE),
        set("vbv-buf-capacity", "300", X264_SOURCE),
        set("option-string", "scenecut=0", X264_SOURCE),
    ],
    controls: &[],
    profile: Profile::Caps(X264_SOURCE),
    level: Level::Free,
    memory: Memory::System,
    before: &[],
    quirks: &[],
    proof: Proof::Ran,
};

const X264_SOURCE: &str = "GStreamer/gstreamer 46dbf194 subprojects/gst-plugins-ugly/ext/x264/gstx264enc.c";

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
        set("max-threads", "1", "gst-libav gstavviddec.c:49"),
        set("output-corrupt", "false", "gst-libav gstavviddec.c:50"),
    ],
    memory: Memory::System,
    after: &[],
    quirks: &[],
    proof: Proof::Ran,
};
