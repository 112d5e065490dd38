//! The H.264 encoder: one pipeline, warm from the start, fed only while media is to be sent.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use gst::prelude::*;

use super::codec;
use super::fault;
use super::outlet::Outlet;
use super::pipe::{self, Pipe};
use super::stats::Counters;
use super::timebase::{Timebase, monotonic_ms};
use super::worker::{Input, Origin};

/// Key frames come no closer than this.
const KEY_APART_MS: u64 = 100;
/// In the long run there is no more than one key frame in this time: every player's request after a loss would
/// otherwise cost one.
const KEY_EACH_MS: u64 = 500;
/// So many may come sooner: a player that joins just after another does not wait.
const KEYS_AHEAD: u64 = 3;

/// A running encoder.
#[derive(Debug)]
pub struct Encoder {
    row: codec::Encoder,
    element: gst::Element,
    input: gst_app::AppSrc,
    keys: Arc<Keys>,
    _pipe: Pipe,
}

/// Requests for key frames, several made into one.
#[derive(Debug, Default)]
pub struct Keys {
    wanted: AtomicBool,
    given_ms: AtomicU64,
    /// When the last one would have come, had all been a [`KEY_EACH_MS`] apart.
    paid_ms: AtomicU64,
}

impl Keys {
    /// Asks for a key frame.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Release);
    }

    /// Whether the next frame is to be a key frame. Asked from one thread only.
    fn due(&self, now_ms: u64) -> bool {
        let paid = self.paid_ms.load(Ordering::Relaxed).max(now_ms.saturating_sub(KEY_EACH_MS));
        if !self.wanted.load(Ordering::Acquire)
            || now_ms < self.given_ms.load(Ordering::Relaxed) + KEY_APART_MS
            || paid + KEY_EACH_MS > now_ms + KEYS_AHEAD * KEY_EACH_MS
        {
            return false;
        }
        self.given_ms.store(now_ms, Ordering::Relaxed);
        self.paid_ms.store(paid + KEY_EACH_MS, Ordering::Relaxed);
        self.wanted.store(false, Ordering::Release);
        true
    }
}

/// Caps of what the encoder gives.
#[must_use]
pub fn h264() -> gst::Caps {
    gst::Caps::builder("video/x-h264").field("stream-format", "byte-stream").field("alignment", "au").build()
}

impl Encoder {
    /// Starts the row's element; what it encodes pours from `outlet`.
    ///
    /// # Errors
    /// When the element cannot be made.
    #[allow(clippy::too_many_arguments)]
    pub fn start(
        row: codec::Encoder,
        generation: u32,
        picture: &gst::Caps,
        bps: u32,
        timebase: &Timebase,
        inbox: &Sender<Input>,
        counters: &Arc<Counters>,
        keys: &Arc<Keys>,
        outlet: &Arc<Outlet>,
    ) -> Result<Self> {
        let origin = Origin::Encoder(generation);
        let pipe = Pipe::new("encode", timebase, inbox, origin);
        let input = pipe::source("pictures", picture, 2);
        let element = row.make()?;
        row.set_bitrate(&element, bps);
        fault::inject(&element, generation);
        let baseline = gst::Caps::builder("video/x-h264")
            .field("stream-format", "byte-stream")
            .field("alignment", "au")
            .field("profile", gst::List::new(["constrained-baseline", "baseline"]))
            .build();
        let (counters, outlet) = (Arc::clone(counters), Arc::clone(outlet));
        let output = pipe::sink("encoded", Some(&baseline), move |sample| {
            let Some(buffer) = pipe::timed(sample) else { return };
            counters.encoded.fetch_add(1, Ordering::Relaxed);
            counters.encoded_bytes.fetch_add(buffer.size() as u64, Ordering::Relaxed);
            outlet.pour(&buffer);
        });
        pipe.chain(&[input.upcast_ref(), &element, output.upcast_ref()])?;
        pipe.play(inbox, origin);
        Ok(Self { row, element, input, keys: Arc::clone(keys), _pipe: pipe })
    }

    /// The element's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.row.element
    }

    /// Sets the bitrate while it runs.
    pub fn set_bitrate(&self, bps: u32) {
        self.row.set_bitrate(&self.element, bps);
    }

    /// Encodes a picture, as a key frame when one is due.
    pub fn picture(&self, buffer: &gst::Buffer) {
        if self.keys.due(monotonic_ms()) {
            let event = gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
            if let Some(pad) = self.element.static_pad("src") {
                pad.send_event(event);
            }
        }
        let _ = self.input.push_buffer(buffer.clone());
    }
}

/// The encoder in use, which may be exchanged while pictures come.
#[derive(Debug, Default)]
pub struct Slot(Mutex<Option<Encoder>>);

impl Slot {
    /// Puts an encoder in, and drops the one before.
    pub fn put(&self, encoder: Option<Encoder>) {
        let before = {
            let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *slot, encoder)
        };
        drop(before);
    }

    /// Does something with the encoder in use.
    pub fn with(&self, act: impl FnOnce(&Encoder)) {
        if let Some(encoder) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            act(encoder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_requests_costs_two_key_frames_a_second_and_the_last_is_not_lost() {
        let keys = Keys::default();
        let given: Vec<u64> = (10_000u64..20_000)
            .step_by(33)
            .filter(|now| {
                if *now < 15_000 {
                    keys.want();
                }
                keys.due(*now)
            })
            .collect();
        assert_eq!(given.first(), Some(&10_000));
        assert!(given.windows(2).all(|pair| pair[1] - pair[0] >= KEY_APART_MS), "{given:?}");
        assert!((11..=14).contains(&given.len()), "{given:?}");
        assert!(given.last().is_some_and(|last| *last >= 14_900), "{given:?}");
    }

    #[test]
    fn a_second_player_does_not_wait_long() {
        let keys = Keys::default();
        keys.want();
        assert!(keys.due(10_000));
        keys.want();
        assert!(!keys.due(10_050));
        assert!(keys.due(10_133));
    }
}
