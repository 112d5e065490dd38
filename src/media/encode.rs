//! The H.264 encoder: one pipeline, warm from the start, fed only while media is to be sent.
//!
//! Once it runs, only its own streaming thread speaks with the element: a driver that hangs in a setting then hangs
//! that thread alone, not the camera's and not the worker's loop.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gst::prelude::*;

use super::codec::{self, Picture};
use super::outlet::Outlet;
use super::pipe::{self, Pipe};
use super::plugins;
use super::protocol::{Bound, Settings};
use super::slice;
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
    input: gst_app::AppSrc,
    orders: Arc<Orders>,
    pace: Mutex<Pace>,
    most_bps: u32,
    _pipe: Pipe,
}

/// What the streaming thread is to tell the element, and what it tells us.
#[derive(Debug)]
struct Orders {
    bps: AtomicU32,
    /// It is in use: what comes out of one that was left goes nowhere.
    used: AtomicBool,
    /// Its pipeline came up.
    started: AtomicBool,
}

/// Leaves out frames of a camera that is faster than the encoder may be.
#[derive(Debug)]
struct Pace {
    apart: Duration,
    due: Option<Instant>,
}

impl Pace {
    /// No more than `fps`.
    fn new(fps: Option<u32>) -> Self {
        Self { apart: fps.map_or(Duration::ZERO, |fps| Duration::from_secs(1) / fps.max(1)), due: None }
    }

    /// Whether a frame that comes now is taken. Half a frame early is early enough: cameras are not that exact.
    fn takes(&mut self, now: Instant) -> bool {
        let due = self.due.unwrap_or(now);
        if now + self.apart / 4 < due {
            return false;
        }
        self.due = Some(due.max(now.checked_sub(self.apart).unwrap_or(now)) + self.apart);
        true
    }
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
        settings: &Settings,
        raw: &gst::Caps,
        bps: u32,
        timebase: &Timebase,
        inbox: &Sender<Input>,
        counters: &Arc<Counters>,
        keys: &Arc<Keys>,
        outlet: &Arc<Outlet>,
    ) -> Result<Self> {
        let origin = Origin::Encoder(generation);
        let pipe = Pipe::new("encode", timebase, inbox, origin);
        let input = pipe::source("pictures", raw, 2);
        let given = Picture::of(&settings.camera);
        let bound = if row.software { settings.video.software } else { Bound::default() };
        let picture = bounded(&given, &bound);
        let most_bps = bound.max_kbps.map_or(u32::MAX, |kbps| kbps.saturating_mul(1000));
        let bps = bps.min(most_bps);
        let made = row.make(&picture, bps, &settings.video.fake)?;
        let orders = Arc::new(Orders {
            bps: AtomicU32::new(bps),
            used: AtomicBool::new(true),
            started: AtomicBool::new(false),
        });
        obey(&row, &made.codec, bps, &orders, keys, counters)?;
        let (counters, outlet, its) = (Arc::clone(counters), Arc::clone(outlet), Arc::clone(&orders));
        let output = pipe::sink("encoded", Some(&row.caps(&picture)), move |sample| {
            if !its.used.load(Ordering::Acquire) {
                return;
            }
            let Some(buffer) = pipe::timed(sample) else { return };
            counters.encoded.fetch_add(1, Ordering::Relaxed);
            counters.encoded_bytes.fetch_add(buffer.size() as u64, Ordering::Relaxed);
            if buffer.map_readable().is_ok_and(|unit| slice::is_intra(&unit)) {
                counters.intra.fetch_add(1, Ordering::Relaxed);
            }
            outlet.pour(&buffer);
        });
        let mut elements = vec![input.clone().upcast()];
        elements.extend(smaller(&given, &picture)?);
        elements.extend(made.elements);
        elements.push(output.upcast());
        pipe.chain(&elements.iter().collect::<Vec<_>>())?;
        let up = Arc::clone(&orders);
        pipe.play_then(inbox, origin, move || up.started.store(true, Ordering::Release));
        let pace = Mutex::new(Pace::new(bound.max_fps.filter(|fps| *fps < given.fps)));
        Ok(Self { row, input, orders, pace, most_bps, _pipe: pipe })
    }

    /// The element's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.row.element
    }

    /// Whether its pipeline came up.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.orders.started.load(Ordering::Acquire)
    }

    /// Sets the bitrate while it runs, from the next picture on.
    pub fn set_bitrate(&self, bps: u32) {
        self.orders.bps.store(bps.min(self.most_bps), Ordering::Release);
    }

    /// Encodes a picture, as a key frame when one is due. Never waits.
    pub fn picture(&self, buffer: &gst::Buffer) {
        if self.pace.lock().unwrap_or_else(PoisonError::into_inner).takes(Instant::now()) {
            let _ = self.input.push_buffer(buffer.clone());
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.orders.used.store(false, Ordering::Release);
    }
}

/// Tells the element what is to be told, on its streaming thread, before each picture.
fn obey(
    row: &codec::Encoder,
    codec: &gst::Element,
    told: u32,
    orders: &Arc<Orders>,
    keys: &Arc<Keys>,
    counters: &Arc<Counters>,
) -> Result<()> {
    let door = codec.static_pad("sink").with_context(|| format!("{} has no sink pad", row.element))?;
    let (row, weak, orders) = (*row, codec.downgrade(), Arc::clone(orders));
    let (keys, counters) = (Arc::clone(keys), Arc::clone(counters));
    let told = AtomicU32::new(told);
    door.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        if let Some(codec) = weak.upgrade()
            && orders.used.load(Ordering::Acquire)
        {
            let wanted = orders.bps.load(Ordering::Acquire);
            if told.swap(wanted, Ordering::Relaxed) != wanted {
                row.set_bitrate(&codec, wanted);
            }
            if keys.due(monotonic_ms()) {
                counters.asked.fetch_add(1, Ordering::Relaxed);
                row.ask_key(&codec);
            }
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// The picture an encoder is given, in the camera's shape and within the bounds.
#[must_use]
pub fn bounded(given: &Picture, bound: &Bound) -> Picture {
    let over =
        |size: u32, most: Option<u32>| most.map_or(1.0, |most| f64::from(size) / f64::from(most.max(16)));
    let shrink = over(given.width, bound.max_width).max(over(given.height, bound.max_height)).max(1.0);
    let even = |size: u32| if shrink > 1.0 { (f64::from(size) / shrink) as u32 & !1 } else { size };
    Picture {
        width: even(given.width).max(16),
        height: even(given.height).max(16),
        fps: bound.max_fps.map_or(given.fps, |most| most.clamp(1, given.fps)),
    }
}

fn smaller(given: &Picture, picture: &Picture) -> Result<Vec<gst::Element>> {
    if (given.width, given.height) == (picture.width, picture.height) {
        return Ok(Vec::new());
    }
    let scale = plugins::element("videoconvertscale", "videoconvertscale")?;
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", picture.width as i32)
        .field("height", picture.height as i32)
        .build();
    Ok(vec![scale, pipe::filter(&caps)?])
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

    #[test]
    fn a_picture_beyond_the_bounds_is_made_smaller_in_its_shape() {
        let given = Picture { width: 1920, height: 1080, fps: 30 };
        assert_eq!(bounded(&given, &Bound::default()), given);
        let bound = Bound { max_width: Some(1280), max_height: Some(720), max_fps: Some(20), max_kbps: None };
        assert_eq!(bounded(&given, &bound), Picture { width: 1280, height: 720, fps: 20 });
        let narrow = Bound { max_height: Some(480), ..Bound::default() };
        assert_eq!(bounded(&given, &narrow), Picture { width: 852, height: 480, fps: 30 });
        let wide = Bound { max_width: Some(4000), max_fps: Some(60), ..Bound::default() };
        assert_eq!(bounded(&given, &wide), given);
    }

    #[test]
    fn frames_are_left_out_of_a_camera_that_is_too_fast() {
        let count = |camera: u32, most: Option<u32>| {
            let (mut pace, start) = (Pace::new(most), Instant::now());
            let frame = |n: u32| {
                start + Duration::from_secs(1) * n / camera + Duration::from_millis(u64::from(n % 3))
            };
            (0..10 * camera).filter(|n| pace.takes(frame(*n))).count()
        };
        assert_eq!(count(30, None), 300);
        assert!((148..=152).contains(&count(30, Some(15))), "{}", count(30, Some(15)));
        assert!((196..=204).contains(&count(30, Some(20))), "{}", count(30, Some(20)));
        assert!((148..=152).contains(&count(60, Some(15))), "{}", count(60, Some(15)));
    }
}
