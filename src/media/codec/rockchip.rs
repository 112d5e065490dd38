//! Rockchip's MPP, as the vendor's kernel has it.

use super::{
    Bitrate, Decoder, Device, Encoder, KEY_INTERVAL, KeyRequest, Level, Memory, Profile, Proof, Quirk, set,
};

const PACKAGE: &str = "gstreamer1.0-rockchip (the board's own packages)";

/// Properties are taken over before the next frame: each change marks them (`gstmppenc.c:187-210`), `handle_frame`
/// applies them.
pub(super) const ENCODER: Encoder = Encoder {
    element: "mpph264enc",
    plugin: "rockchipmpp",
    package: PACKAGE,
    device: Device::None,
    software: false,
    bitrate: Bitrate::Bits("bps", "gstreamer-rockchip gstmppenc.c:203, PROP_BPS"),
    // It takes the event, by a key-frame interval of one for one frame: gst_mpp_enc_force_keyframe in gstmppenc.c.
    key: KeyRequest::Event("gstreamer-rockchip gstmppenc.c, gst_mpp_enc_force_keyframe"),
    settings: &[
        set("gop", KEY_INTERVAL, "gstreamer-rockchip gstmppenc.c:187, PROP_GOP"),
        set("rc-mode", "cbr", "gstreamer-rockchip gstmppenc.c:72, DEFAULT_PROP_RC_MODE"),
        set("header-mode", "each-idr", "gstreamer-rockchip gstmppenc.c:70, DEFAULT_PROP_HEADER_MODE"),
        set("profile", "baseline", "gstreamer-rockchip gstmpph264enc.c:63, DEFAULT_PROP_PROFILE"),
    ],
    controls: &[],
    // Its caps say baseline where the property does, and nothing else fits them.
    profile: Profile::Setting,
    level: Level::Property("level", "gstreamer-rockchip gstmpph264enc.c:62, DEFAULT_PROP_LEVEL"),
    memory: Memory::System,
    before: &[],
    quirks: &[
        Quirk::Sizes {
            width: (96, 1920),
            height: (64, 2176),
            source: "gstreamer-rockchip gstmpph264enc.c:82, GST_MPP_H264_ENC_SIZE_CAPS",
        },
        Quirk::OnlyKeyFrames("HermanChen/mpp #52"),
        Quirk::Hangs("rockchip-linux/mpp #720, JeffyCN/rockchip_mirrors #40"),
        Quirk::LinesInSixteens("JeffyCN/rockchip_mirrors #40"),
    ],
    proof: Proof::Unverified,
};

/// Gives NV12.
pub(super) const DECODER: Decoder = Decoder {
    element: "mppvideodec",
    plugin: "rockchipmpp",
    package: PACKAGE,
    device: Device::None,
    settings: &[],
    memory: Memory::System,
    after: &[],
    quirks: &[Quirk::LinesInSixteens("JeffyCN/rockchip_mirrors #40")],
    proof: Proof::Unverified,
};
