//! Fakes that fail on purpose, for boards' tests and ours: see [`crate::media::fault`]. Used only when the board file
//! names them.

use super::software::{OPENH264, OPENH264_DECODER};
use super::{Bitrate, Decoder, Encoder, Proof, Quirk};
use crate::media::fault;

const SOURCE: &str = "src/media/fault/encoder.rs";

/// Wraps openh264enc.
pub(super) const ENCODER: Encoder = Encoder {
    element: fault::ENCODER,
    plugin: fault::PLUGIN,
    package: "rtcroom-kiosk",
    bitrate: Bitrate::Bits("bitrate", SOURCE),
    settings: &[],
    quirks: &[Quirk::Fake],
    proof: Proof::Ran,
    ..OPENH264
};

/// Wraps openh264dec.
pub(super) const DECODER: Decoder = Decoder {
    element: fault::DECODER,
    plugin: fault::PLUGIN,
    package: "rtcroom-kiosk",
    quirks: &[Quirk::Fake],
    proof: Proof::Ran,
    ..OPENH264_DECODER
};
