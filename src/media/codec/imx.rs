//! NXP's i.MX8M Plus: the VC8000E encoder and Hantro decoder by the vendor's wrapper library.

use super::{
    Bitrate, Decoder, Device, Encoder, KEY_INTERVAL, KeyRequest, Level, Memory, Profile, Proof, Quirk, set,
};

const PACKAGE: &str = "imx-gst1.0-plugin (NXP's BSP)";

/// Greets on stdout when it starts; the worker's line is elsewhere.
pub(super) const ENCODER: Encoder = Encoder {
    element: "vpuenc_h264",
    plugin: "vpu",
    package: PACKAGE,
    device: Device::None,
    software: false,
    // Taken over before the next frame: bitrate_updated in gst_vpu_enc_handle_frame.
    bitrate: Bitrate::Kilobits("bitrate", "imx-gst1.0-plugin gstvpuenc.c:284, PROP_BITRATE"),
    key: KeyRequest::Event("imx-gst1.0-plugin gstvpuenc.c, gst_vpu_enc_handle_frame"),
    settings: &[set("gop-size", KEY_INTERVAL, "imx-gst1.0-plugin gstvpuenc.c:289, PROP_GOP_SIZE")],
    controls: &[],
    profile: Profile::Unknown("imx-gst1.0-plugin gstvpuenc.c:169-178: its caps name none"),
    level: Level::Free,
    memory: Memory::System,
    before: &[],
    quirks: &[Quirk::Sizes {
        width: (64, 1920),
        height: (64, 1088),
        source: "imx-gst1.0-plugin gstvpuenc.c:143-154",
    }],
    proof: Proof::Unverified,
};

/// The vendor's decoder element; it stands where the kernel's stateless one is not.
pub(super) const DECODER: Decoder = Decoder {
    element: "vpudec",
    plugin: "vpu",
    package: PACKAGE,
    device: Device::None,
    settings: &[],
    memory: Memory::System,
    after: &[],
    quirks: &[],
    proof: Proof::Unverified,
};
