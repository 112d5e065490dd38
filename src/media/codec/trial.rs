//! Tries a row for real: encodes test pictures, decodes them, and reads back from the pixels which they were.
//!
//! `kioskd doctor` asks `kiosk-media --try` for this, so that a codec that hangs hangs a process of its own.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use gst::prelude::*;
use gst_video::prelude::*;
use serde::Serialize;

use super::{DECODERS, ENCODERS, Picture, Proof, Row, usable_decoder, usable_encoder};
use crate::media::capture;
use crate::media::mark::{self, Mark};
use crate::media::picture::{Layout, Picture as Drawn};
use crate::media::pipe::{self, Pipe};
use crate::media::plugins;
use crate::media::protocol::Settings;
use crate::media::slice;
use crate::media::timebase::Timebase;
use crate::media::worker::{Input, Origin};

/// Longer no codec may take for its first frame, nor for all of them.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pictures that are in an encoder or decoder while the next is wanted.
const INSIDE: u32 = 30;

/// What came of a trial.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// The encoder.
    pub encoder: &'static str,
    /// The decoder.
    pub decoder: &'static str,
    /// Whether this code ever ran the row that was tried, before now.
    pub proof: Proof,
    /// Pictures put in.
    pub given: u32,
    /// Frames that left the encoder.
    pub encoded: u32,
    /// Of those, key frames.
    pub intra: u32,
    /// Bits a second of what left the encoder.
    pub bps: u64,
    /// Pictures that left the decoder.
    pub decoded: u32,
    /// Of those, pictures that are one that was put in.
    pub right: u32,
    /// From the first picture in to the first out, milliseconds.
    pub first_ms: u64,
    /// Pixels across and down of what left the decoder.
    pub size: (u32, u32),
}

#[derive(Default)]
struct Seen {
    encoded: u32,
    intra: u32,
    bytes: u64,
    decoded: u32,
    right: u32,
    newest: Option<u32>,
    first: Option<Instant>,
    size: (u32, u32),
}

/// Encodes and decodes `frames` test pictures, with `element` as encoder or as decoder, and for the other part the
/// first row of `settings` that can be made.
///
/// # Errors
/// When `element` is not in the table or not installed; when it fails, hangs, or gives other pictures than it was given.
pub fn run(element: &str, settings: &Settings, frames: u32) -> Result<Trial> {
    let encoder = ENCODERS.iter().find(|row| row.element == element).copied();
    let decoder = DECODERS.iter().find(|row| row.element == element).copied();
    let proof = encoder.map(|row| row.proof()).or(decoder.map(|row| row.proof()));
    let proof = proof.with_context(|| format!("{element} is not in the table"))?;
    if let Some(error) =
        encoder.and_then(|row| row.probe().err()).or(decoder.and_then(|row| row.probe().err()))
    {
        bail!("{element}: {error:#}");
    }
    let encoder = encoder.map_or_else(|| usable_encoder(settings), Ok)?;
    let decoder = decoder.map_or_else(|| usable_decoder(settings), Ok)?;
    let picture = Picture::of(&settings.camera);
    if let Some(why) = encoder.refuses(&picture) {
        bail!("{}: {why}", encoder.element);
    }

    let (inbox, news) = mpsc::channel();
    let timebase = Timebase::start();
    let pipe = Pipe::new("trial", &timebase, &inbox, Origin::Encoder(0));
    let info = capture::picture_info(&settings.camera)?;
    let input = pipe::source("pictures", &info.to_caps()?, 4);
    let coding = encoder.make(&picture, settings.video.start_kbps.max(1) * 1000, &settings.video.fake)?;
    let decoding = decoder.make(&settings.video.fake)?;
    let parse = plugins::element("videoparsersbad", "h264parse")?;
    let caps = pipe::filter(&encoder.caps(&picture))?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let coded = Arc::clone(&seen);
    let between = caps.static_pad("src").context("a capsfilter without a pad")?;
    between.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(unit) = info.buffer().and_then(|buffer| buffer.map_readable().ok()) {
            let mut seen = coded.lock().unwrap_or_else(PoisonError::into_inner);
            seen.encoded += 1;
            seen.intra += u32::from(slice::is_intra(&unit));
            seen.bytes += unit.len() as u64;
        }
        gst::PadProbeReturn::Ok
    });
    let shown = Arc::clone(&seen);
    let raw = gst::Caps::new_empty_simple("video/x-raw");
    let output = pipe::sink("frames", Some(&raw), move |sample| {
        let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else { return };
        let Ok(info) = gst_video::VideoInfo::from_caps(caps) else { return };
        let Ok(frame) = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info) else { return };
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let Ok(luma) = frame.plane_data(0) else { return };
        let mark = mark::read(luma, frame.plane_stride()[0].unsigned_abs() as usize, width, height);
        let mut seen = shown.lock().unwrap_or_else(PoisonError::into_inner);
        seen.first.get_or_insert_with(Instant::now);
        seen.decoded += 1;
        let newest = mark.map(|mark| mark.counter).filter(|counter| *counter < frames + INSIDE);
        if newest.is_some() && newest > seen.newest {
            seen.newest = newest;
            seen.right += 1;
        }
        seen.size = (info.width(), info.height());
    });
    let mut elements = vec![input.clone().upcast()];
    elements.extend(coding.elements);
    elements.extend([caps, parse]);
    elements.extend(decoding.elements);
    elements.push(output.upcast());
    pipe.chain(&elements.iter().collect::<Vec<_>>())?;
    pipe.play(&inbox, Origin::Encoder(0));

    let names = format!("{} to {}", encoder.element, decoder.element);
    let start = Instant::now();
    let step = Duration::from_secs(1) / picture.fps;
    let mut drawn = Drawn::new(Layout::of(&info));
    let mut given = 0;
    loop {
        {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.decoded >= frames {
                break;
            }
            if start.elapsed() > PATIENCE {
                bail!(
                    "{names}: {given} pictures in, {} frames encoded, {} pictures out after {} s",
                    seen.encoded,
                    seen.decoded,
                    PATIENCE.as_secs()
                );
            }
        }
        // No more than it may hold: what it cannot take yet is not lost on the way.
        let out = seen.lock().unwrap_or_else(PoisonError::into_inner).decoded;
        if given < frames + INSIDE && given < out + INSIDE {
            let mut buffer = gst::Buffer::with_size(info.size())?;
            if let Some(frame) = buffer.get_mut() {
                frame.set_pts(timebase.now());
                frame.set_duration(gst::ClockTime::from_nseconds(step.as_nanos() as u64));
                let mut data = frame.map_writable()?;
                drawn.draw(
                    &mut data,
                    u64::from(given) * 1000 / u64::from(picture.fps),
                    Some(Mark { counter: given, time_ms: given }),
                );
            }
            let _ = input.push_buffer(buffer);
            given += 1;
        }
        match news.recv_timeout(step) {
            Ok(Input::Broken { detail, .. }) => bail!("{names}: {detail}"),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(anyhow!("{names}: the pipeline is gone")),
        }
    }
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let trial = Trial {
        encoder: encoder.element,
        decoder: decoder.element,
        proof,
        given,
        encoded: seen.encoded,
        intra: seen.intra,
        bps: seen.bytes * 8 * u64::from(picture.fps) / u64::from(seen.encoded.max(1)),
        decoded: seen.decoded,
        right: seen.right,
        first_ms: seen.first.map_or(0, |first| first.saturating_duration_since(start).as_millis() as u64),
        size: seen.size,
    };
    if trial.size != (picture.width, picture.height) {
        let (width, height) = trial.size;
        bail!("{names}: {width}x{height} came out of {}x{}", picture.width, picture.height);
    }
    if trial.right * 10 < trial.decoded * 9 {
        bail!("{names}: of {} pictures that came out {} are those that went in", trial.decoded, trial.right);
    }
    if trial.intra * 2 > trial.encoded {
        bail!("{names}: {} of {} frames are key frames, and one was asked for", trial.intra, trial.encoded);
    }
    Ok(trial)
}
