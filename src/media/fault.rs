//! Faults on request, for tests: codecs of real boards hang and fail, those on a developer's machine do not.
//!
//! `RTCROOM_FAULT=encoder-error` makes the first encoder fail after a second, `encoder-hang` makes it never return.
//! `microphone-gate` mutes the microphone while the speaker plays, as products do that call it echo cancelling.
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

/// Blocks for which a gated microphone stays shut: 200 ms.
const HOLD: u32 = 20;
/// A speaker whose mean square is above this plays: -50 dBFS.
const PLAYS: f32 = 1e-5;

/// A microphone that is shut while the speaker plays.
#[derive(Debug, Default)]
pub struct Gate {
    hold: u32,
}

/// The gate, if the environment asks for that fault.
#[must_use]
pub fn gates_microphone() -> Option<Gate> {
    let wanted = std::env::var("RTCROOM_FAULT").as_deref() == Ok("microphone-gate");
    if wanted {
        log::warn!("RTCROOM_FAULT is set: the microphone is shut while the speaker plays");
    }
    wanted.then(Gate::default)
}

impl Gate {
    /// Lets what the microphone heard through, or not.
    pub fn pass(&mut self, played: &[f32], heard: &mut [f32]) {
        let power = played.iter().map(|sample| sample * sample).sum::<f32>() / played.len().max(1) as f32;
        self.hold = if power > PLAYS { HOLD } else { self.hold.saturating_sub(1) };
        if self.hold > 0 {
            heard.fill(0.0);
        }
    }
}
