//! NVIDIA Jetson's engines, by the vendor's fork of GStreamer's V4L2 plugin.

use super::{
    Bitrate, Decoder, Device, Encoder, KEY_INTERVAL, KeyRequest, Level, Memory, Profile, Proof, Quirk, Step,
    set,
};

const PACKAGE: &str = "nvidia-l4t-gstreamer (JetPack)";
const NO_ENCODER: Quirk = Quirk::NotOn(
    "Jetson Orin Nano",
    "docs.nvidia.com/jetson/archives/r36.5/DeveloperGuide/SD/Multimedia/SoftwareEncodeInOrinNano.html",
);

/// Prints on stdout when a control fails; the worker's line is elsewhere.
pub(super) const ENCODER: Encoder = Encoder {
    element: "nvv4l2h264enc",
    plugin: "nvvideo4linux2",
    package: PACKAGE,
    device: Device::None,
    software: false,
    // Goes to the open device at once, though the property says it may not: set_property_tegra.
    bitrate: Bitrate::Bits("bitrate", "gst-v4l2 gstv4l2videoenc.c:112, PROP_BITRATE"),
    // handle_frame never looks at the force-key-unit flag.
    key: KeyRequest::Signal("force-IDR", "gst-v4l2 gstv4l2videoenc.c:98, SIGNAL_FORCE_IDR"),
    settings: &[
        set("iframeinterval", KEY_INTERVAL, "gst-v4l2 gstv4l2videoenc.c:114, PROP_INTRA_FRAME_INTERVAL"),
        set("idrinterval", KEY_INTERVAL, "gst-v4l2 gstv4l2videoenc.c:130, PROP_IDR_FRAME_INTERVAL"),
        set("control-rate", "constant_bitrate", "gst-v4l2 gstv4l2videoenc.c:113, PROP_RATE_CONTROL"),
        set("maxperf-enable", "true", "gst-v4l2 gstv4l2videoenc.c:129, PROP_MAX_PERF"),
        set("insert-sps-pps", "true", "gst-v4l2 gstv4l2h264enc.c, PROP_INSERT_SPS_PPS"),
        set("profile", "Baseline", "gst-v4l2 gstv4l2h264enc.c, PROP_PROFILE"),
    ],
    controls: &[],
    profile: Profile::Setting,
    level: Level::Free,
    memory: Memory::Nvmm,
    before: &[Step {
        element: "nvvidconv",
        plugin: "nvvidconv",
        // gst-v4l2 gstv4l2videoenc.c:51-54
        caps: "video/x-raw(memory:NVMM),format=NV12",
    }],
    quirks: &[NO_ENCODER],
    proof: Proof::Unverified,
};

/// Gives pictures in the vendor's memory.
pub(super) const DECODER: Decoder = Decoder {
    element: "nvv4l2decoder",
    plugin: "nvvideo4linux2",
    package: PACKAGE,
    device: Device::None,
    settings: &[
        // Baseline has no frames out of order: none has to wait.
        set(
            "disable-dpb",
            "true",
            "docs.nvidia.com/metropolis/deepstream/dev-guide/text/DS_plugin_gst-nvvideo4linux2.html",
        ),
        set(
            "enable-max-performance",
            "true",
            "docs.nvidia.com/metropolis/deepstream/dev-guide/text/DS_plugin_gst-nvvideo4linux2.html",
        ),
    ],
    memory: Memory::Nvmm,
    after: &[Step { element: "nvvidconv", plugin: "nvvidconv", caps: "video/x-raw,format=I420" }],
    quirks: &[],
    proof: Proof::Unverified,
};
