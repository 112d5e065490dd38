//! Microphone and speaker, and Opus on the way out.
//!
//! The microphone is open only while capture is on, the speaker only while a member plays. Each has a thread that moves
//! sound at the pace of its card; what the microphone gives is brought to the system's clock, and what the speaker
//! played at that time is taken out of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use gst::prelude::*;

use super::bridge::Bridge;
use super::card;
use super::ear::{BLOCK_NS, Ear};
use super::echo::{BLOCK, Canceller};
use super::fault;
use super::outlet::Outlet;
use super::pipe::{self, Pipe};
use super::protocol::{SessionId, Sound, SoundSink, SoundSource};
use super::room;
use super::stats::RATE;
use super::timebase::Timebase;
use super::voices::Voices;
use super::worker::{Input, Origin};

/// Opus, bits a second: clear speech, one channel.
pub const OPUS_BPS: u32 = 32_000;

/// Mono sound at the rate of Opus.
#[must_use]
pub fn raw() -> gst::Caps {
    gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("layout", "interleaved")
        .field("rate", RATE as i32)
        .field("channels", 1)
        .build()
}

/// Caps of what the microphone's encoder gives.
#[must_use]
pub fn opus() -> gst::Caps {
    gst::Caps::builder("audio/x-opus")
        .field("rate", RATE as i32)
        .field("channels", 1)
        .field("channel-mapping-family", 0)
        .build()
}

/// Whether there is echo to cancel.
#[must_use]
fn cancels_echo(sound: &Sound) -> bool {
    let source = matches!(sound.source, SoundSource::Alsa | SoundSource::Room);
    let sink = matches!(sound.sink, SoundSink::Alsa | SoundSink::Room);
    // The tone into nothing is what benchmarks pay for both.
    sound.echo_cancel
        && (source && sink || (sound.source, sound.sink) == (SoundSource::Tone, SoundSink::Fake))
}

/// What microphone and speaker share.
#[derive(Debug)]
pub struct Stage {
    sound: Sound,
    room: Option<Arc<room::Card>>,
    voices: Mutex<Voices>,
    /// What the speaker plays, while it is open.
    played: Mutex<Option<Bridge>>,
}

impl Stage {
    /// Sets the stage; nothing is opened.
    #[must_use]
    pub fn new(sound: &Sound) -> Arc<Self> {
        let room = (sound.source == SoundSource::Room || sound.sink == SoundSink::Room)
            .then(|| room::Card::new(&sound.room).inspect_err(|error| log::error!("{error:#}")).ok())
            .flatten();
        Arc::new(Self {
            sound: sound.clone(),
            room: room.map(Arc::new),
            voices: Mutex::default(),
            played: Mutex::new(None),
        })
    }

    fn voices(&self) -> MutexGuard<'_, Voices> {
        self.voices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn played(&self) -> MutexGuard<'_, Option<Bridge>> {
        self.played.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a member's sound into the speaker, until what is given back is dropped.
    #[must_use]
    pub fn join(self: &Arc<Self>, session: SessionId) -> Voice {
        self.voices().join(session);
        Voice { stage: Arc::clone(self), session }
    }
}

/// A member's way into the speaker.
#[derive(Debug)]
pub struct Voice {
    stage: Arc<Stage>,
    session: SessionId,
}

impl Voice {
    /// Takes the member's next sound; never waits.
    pub fn push(&self, samples: &[i16]) {
        self.stage.voices().push(self.session, samples);
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.stage.voices().leave(self.session);
    }
}

/// Opens the microphone; Opus pours from `outlet` while media is to be sent.
///
/// # Errors
/// When an element is missing; that the card does not work comes as [`Input::Broken`].
pub fn microphone(
    stage: &Arc<Stage>,
    generation: u32,
    timebase: &Timebase,
    inbox: &Sender<Input>,
    sending: bool,
    outlet: &Arc<Outlet>,
) -> Result<Microphone> {
    let origin = Origin::Microphone(generation);
    let pipe = Pipe::new("microphone", timebase, inbox, origin);
    let source = pipe::source("samples", &raw(), 50);
    // Before the encoder, so that nothing is encoded while nothing is sent.
    let gate = pipe::make("valve", &[])?;
    gate.set_property("drop", !sending);
    let encoder = pipe::make(
        "opusenc",
        &[("frame-size", "20"), ("audio-type", "voice"), ("inband-fec", "true"), ("complexity", "5")],
    )?;
    encoder.set_property("bitrate", OPUS_BPS as i32);
    let outlet = Arc::clone(outlet);
    let sink = pipe::sink("opus", None, move |sample| {
        if let Some(buffer) = pipe::timed(sample) {
            outlet.pour(&buffer);
        }
    });
    pipe.chain(&[source.upcast_ref(), &gate, &encoder, sink.upcast_ref()])?;
    pipe.play(inbox, origin);
    let ended = Arc::<AtomicBool>::default();
    let (stage, timebase, end) = (Arc::clone(stage), timebase.clone(), Arc::clone(&ended));
    threaded("microphone", origin, inbox, move |works| {
        listen(&stage, &timebase, &end, works, |buffer| {
            let _ = source.push_buffer(buffer);
        })
    });
    Ok(Microphone { gate, ended, _pipe: pipe })
}

/// Runs a device on a thread of its own, which tells how it fares.
fn threaded(
    name: &str,
    origin: Origin,
    inbox: &Sender<Input>,
    body: impl FnOnce(&mut dyn FnMut()) -> Result<()> + Send + 'static,
) {
    let inbox = inbox.clone();
    pipe::spawn(name, move || {
        let mut told = false;
        let mut works = || {
            if !std::mem::replace(&mut told, true) {
                let _ = inbox.send(Input::Works(origin));
            }
        };
        if let Err(error) = body(&mut works) {
            let detail = format!("{error:#}");
            let _ = inbox.send(Input::Broken { origin, element: String::new(), detail });
        }
    });
}

fn listen(
    stage: &Stage,
    timebase: &Timebase,
    ended: &AtomicBool,
    works: &mut dyn FnMut(),
    give: impl Fn(gst::Buffer),
) -> Result<()> {
    let mut card = card::Microphone::open(&stage.sound, stage.room.as_ref())?;
    let canceller = cancels_echo(&stage.sound).then(Canceller::default);
    let mut ear = Ear::new(card.rate(), canceller, fault::gates_microphone());
    let mut samples = Vec::new();
    while !ended.load(Ordering::Acquire) {
        samples.clear();
        let mark = card.read(&mut samples)?;
        ear.take(&samples, mark);
        while let Some((at_ns, heard)) = ear.hear(&stage.played) {
            give(buffer(&heard, timebase.at(at_ns)));
            works();
        }
    }
    Ok(())
}

fn buffer(samples: &[f32; BLOCK], at: gst::ClockTime) -> gst::Buffer {
    let bytes: Vec<u8> = samples
        .iter()
        .flat_map(|sample| ((sample * 32767.0).clamp(-32768.0, 32767.0) as i16).to_le_bytes())
        .collect();
    let mut buffer = gst::Buffer::from_slice(bytes);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(at);
        buffer.set_duration(gst::ClockTime::from_nseconds(BLOCK_NS));
    }
    buffer
}

/// An open microphone; dropping it closes it.
#[derive(Debug)]
pub struct Microphone {
    gate: gst::Element,
    ended: Arc<AtomicBool>,
    _pipe: Pipe,
}

impl Microphone {
    /// Lets sound through to the encoder, or not.
    pub fn send(&self, on: bool) {
        self.gate.set_property("drop", !on);
    }
}

impl Drop for Microphone {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
    }
}

/// An open speaker: mixes the members and plays them. Dropping it closes it.
#[derive(Debug)]
pub struct Speaker {
    ended: Arc<AtomicBool>,
}

impl Speaker {
    /// Opens it; `None` when sound goes nowhere. That its card does not work comes as [`Input::Broken`].
    #[must_use]
    pub fn open(stage: &Arc<Stage>, generation: u32, inbox: &Sender<Input>) -> Option<Self> {
        if stage.sound.sink == SoundSink::None {
            return None;
        }
        let ended = Arc::<AtomicBool>::default();
        let (stage, end) = (Arc::clone(stage), Arc::clone(&ended));
        threaded("speaker", Origin::Speaker(generation), inbox, move |works| {
            let played = play(&stage, &end, works);
            *stage.played() = None;
            played
        });
        Some(Self { ended })
    }
}

fn play(stage: &Stage, ended: &AtomicBool, works: &mut dyn FnMut()) -> Result<()> {
    let Some(mut card) = card::Speaker::open(&stage.sound, stage.room.as_ref())? else { return Ok(()) };
    *stage.played() = Some(Bridge::new(RATE as f64));
    let mut block = [0.0; BLOCK];
    while !ended.load(Ordering::Acquire) {
        stage.voices().mix(&mut block);
        if let Some(played) = stage.played().as_mut() {
            played.push(block.iter().copied());
        }
        let mark = card.write(&block)?;
        if let (Some(played), Some(mark)) = (stage.played().as_mut(), mark) {
            played.observe(mark);
        }
        works();
    }
    Ok(())
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
    }
}
