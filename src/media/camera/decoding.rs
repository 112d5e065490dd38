//! The decoder of a camera that gives H.264, in a pipeline of its own: one that hangs keeps that, and not the camera.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use anyhow::{Context, Result};
use gst::prelude::*;

use crate::media::codec::Decoder;
use crate::media::codec::decoder_watch::Seen;
use crate::media::door::Door;
use crate::media::pipe::{self, Pipe};
use crate::media::protocol::Fake;
use crate::media::worker::{Input, Origin};

/// Frames that may wait for the decoder: a second of most cameras.
const DEPTH: u64 = 30;

/// What is seen of a camera's decoder.
#[derive(Clone, Copy, Debug)]
pub struct Decodes {
    /// Its element.
    pub element: &'static str,
    /// How it does.
    pub seen: Seen,
    /// Frames that the camera gave.
    pub coded: u64,
}

/// The decoder; dropping it takes it down, or leaves it behind when it hangs.
#[derive(Debug)]
pub(super) struct Decoding {
    element: &'static str,
    pipe: Pipe,
    input: gst_app::AppSrc,
    door: Door,
    starting: Arc<AtomicBool>,
    coded: Arc<AtomicU64>,
    fed: Arc<AtomicU64>,
    given: Arc<AtomicU64>,
}

impl Decoding {
    /// Makes this decoder and, behind it, what its pictures go through.
    ///
    /// # Errors
    /// When an element is missing; names it and its package.
    pub(super) fn new(row: &Decoder, fake: &Fake, pipe: Pipe, behind: Vec<gst::Element>) -> Result<Self> {
        let input = pipe::capless_source("coded", DEPTH);
        let made = row.make(fake)?;
        let counted = |pad: &str| {
            let count = Arc::<AtomicU64>::default();
            let counts = Arc::clone(&count);
            let pad =
                made.codec.static_pad(pad).with_context(|| format!("{} has no pad {pad}", row.element))?;
            pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                counts.fetch_add(1, Ordering::Relaxed);
                gst::PadProbeReturn::Ok
            });
            anyhow::Ok(count)
        };
        let (fed, given) = (counted("sink")?, counted("src")?);
        let door = Door::new(&input.static_pad("src").context("appsrc has no source pad")?);
        let elements = [vec![input.clone().upcast()], made.elements, behind].concat();
        pipe.chain(&elements.iter().collect::<Vec<_>>())
            .context("the camera's pictures cannot be decoded")?;
        let (starting, coded) = (Arc::default(), Arc::default());
        Ok(Self { element: row.element, pipe, input, door, starting, coded, fed, given })
    }

    /// Where the camera's frames go in.
    pub(super) fn entrance(&self) -> gst::Element {
        let (input, count) = (self.input.clone(), Arc::clone(&self.coded));
        let mut known = None;
        let sink = pipe::sink("entrance", Some(&coded()), move |sample| {
            count.fetch_add(1, Ordering::Relaxed);
            let caps = sample.caps_owned();
            if caps != known {
                input.set_caps(caps.as_ref());
                known = caps;
            }
            if let Some(buffer) = pipe::timed(sample) {
                let _ = input.push_buffer(buffer);
            }
        });
        sink.upcast()
    }

    /// Starts it; `up` is called once it can be fed, so that the first key frame is not lost.
    pub(super) fn play_then(
        &self,
        inbox: &Sender<Input>,
        origin: Origin,
        up: impl FnOnce() + Send + 'static,
    ) {
        let starting = Arc::clone(&self.starting);
        starting.store(true, Ordering::Release);
        self.pipe.play_then(inbox, origin, move || {
            starting.store(false, Ordering::Release);
            up();
        });
    }

    /// What is seen of it.
    pub(super) fn look(&self) -> Decodes {
        Decodes {
            element: self.element,
            seen: Seen {
                starting: self.starting.load(Ordering::Acquire),
                fed: self.fed.load(Ordering::Relaxed),
                given: self.given.load(Ordering::Relaxed),
                inside: self.door.is_busy(),
            },
            coded: self.coded.load(Ordering::Relaxed),
        }
    }
}

fn coded() -> gst::Caps {
    gst::Caps::builder("video/x-h264").field("stream-format", "byte-stream").field("alignment", "au").build()
}
