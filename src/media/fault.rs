//! Faults on request, for tests: codecs of real boards hang and fail, those on a developer's machine do not.
//!
//! `RTCROOM_FAULT=encoder-error` makes the first encoder fail after a second, `encoder-hang` makes it never return.
//! Only who writes the worker's unit can set its environment; the log says that a fault is planted.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gst::prelude::*;

/// Frames that still go well.
const GOOD: u32 = 30;

/// Prepares the fault that the environment asks for in an encoder of this generation.
pub fn inject(encoder: &gst::Element, generation: u32) {
    if generation > 1 {
        return;
    }
    let hang = match std::env::var("RTCROOM_FAULT").as_deref() {
        Ok("encoder-hang") => true,
        Ok("encoder-error") => false,
        _ => return,
    };
    log::warn!(
        "RTCROOM_FAULT is set: the encoder will {} after {GOOD} frames",
        if hang { "hang" } else { "fail" }
    );
    let (Some(pad), weak, seen) = (encoder.static_pad("sink"), encoder.downgrade(), AtomicU32::new(0)) else {
        return;
    };
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        if seen.fetch_add(1, Ordering::Relaxed) < GOOD {
            return gst::PadProbeReturn::Ok;
        }
        if hang {
            loop {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
        if let Some(encoder) = weak.upgrade() {
            gst::element_error!(encoder, gst::StreamError::Encode, ["a fault was asked for"]);
        }
        gst::PadProbeReturn::Remove
    });
}
