//! Codecs that fail on purpose. Those of real boards hang and fail in ways that those of a developer's machine do not;
//! these are real GStreamer elements around real software codecs, which then do what `[video.fake]` asks of them.
//!
//! They are rows of the table that no order contains but one that names them, and they say loudly what they are.
//! A microphone that is shut while the speaker plays is `microphone`'s.

mod decoder;
mod encoder;
mod gate;
mod microphone;
mod shell;

use std::sync::OnceLock;

use anyhow::{Result, anyhow};
use gst::prelude::*;

use super::protocol::Plant;
pub use microphone::{Gate, gates_microphone};

/// The plugin both are in: this program.
pub const PLUGIN: &str = "built into kiosk-media";
/// The encoder's element.
pub const ENCODER: &str = "faultyh264enc";
/// The decoder's element.
pub const DECODER: &str = "faultyh264dec";

/// Makes both elements known to GStreamer; cheap the second time.
///
/// # Errors
/// When GStreamer refuses.
pub fn register() -> Result<()> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    DONE.get_or_init(|| {
        let types = [(ENCODER, encoder::Faulty::static_type()), (DECODER, decoder::Faulty::static_type())];
        types.into_iter().try_for_each(|(name, kind)| {
            gst::Element::register(None, name, gst::Rank::NONE, kind).map_err(|error| error.to_string())
        })
    })
    .clone()
    .map_err(|error| anyhow!("the fakes do not register: {error}"))
}

/// Plants a fault.
pub fn plant(element: &gst::Element, fault: Plant, after: u32) {
    log::warn!(
        "{} is a FAKE that fails on purpose ({fault:?} after {after} frames): take it out of [video] on a kiosk",
        element.factory().map(|factory| factory.name().to_string()).unwrap_or_default()
    );
    element.set_property("fault", format!("{fault:?}"));
    element.set_property("after-frames", after);
}
