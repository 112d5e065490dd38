//! Microphone and speaker, and Opus on the way out.
//!
//! The microphone is open only while capture is on, the speaker only while a member plays. Echo is cancelled when
//! both are real devices: `webrtcdsp` behind the microphone finds its probe on the speaker's path, across pipelines,
//! since they share clock and base time.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use anyhow::{Result, anyhow};
use gst::prelude::*;

use super::outlet::Outlet;
use super::pipe::{self, Pipe};
use super::plugins;
use super::protocol::{SessionId, Sound, SoundSink, SoundSource};
use super::stats::RATE;
use super::timebase::Timebase;
use super::worker::{Input, Origin};

/// Name of the echo probe.
const PROBE: &str = "speaker-probe";
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

/// Whether there is echo to cancel. The microphone then needs an open [`Speaker`], with its probe, before it opens.
#[must_use]
pub fn cancels_echo(sound: &Sound) -> bool {
    let pair = (sound.source, sound.sink);
    sound.echo_cancel
        && matches!(pair, (SoundSource::Alsa, SoundSink::Alsa) | (SoundSource::Tone, SoundSink::Fake))
}

/// Opens the microphone; Opus pours from `outlet` while media is to be sent.
///
/// # Errors
/// When it is known at once that it does not work; names the device and the cure.
pub fn microphone(
    sound: &Sound,
    generation: u32,
    timebase: &Timebase,
    inbox: &Sender<Input>,
    sending: bool,
    cancel: bool,
    outlet: &Arc<Outlet>,
) -> Result<Microphone> {
    let origin = Origin::Microphone(generation);
    let pipe = Pipe::new("microphone", timebase, inbox, origin);
    let mut chain = match sound.source {
        SoundSource::Tone => {
            plugins::load("audiotestsrc")?;
            let source = pipe::make(
                "audiotestsrc",
                &[("is-live", "true"), ("wave", "sine"), ("volume", "0.25"), ("samplesperbuffer", "960")],
            )?;
            source.set_property("freq", f64::from(sound.tone_hz.clamp(20, 20_000)));
            vec![source]
        }
        SoundSource::Room => anyhow::bail!("the simulated room is not there yet"),
        SoundSource::Alsa => {
            for plugin in ["alsa", "audioconvert", "audioresample"] {
                plugins::load(plugin)?;
            }
            let source = pipe::make("alsasrc", &[("buffer-time", "100000"), ("latency-time", "10000")])?;
            source.set_property("device", device(&sound.capture));
            vec![source, pipe::make("audioconvert", &[])?, pipe::make("audioresample", &[])?]
        }
    };
    chain.push(pipe::filter(&raw())?);
    if cancel {
        plugins::load("webrtcdsp")?;
        let cancel = pipe::make("webrtcdsp", &[("echo-suppression-level", "moderate")])?;
        cancel.set_property("probe", PROBE);
        chain.push(cancel);
    }
    let encoder = pipe::make(
        "opusenc",
        &[("frame-size", "20"), ("audio-type", "voice"), ("inband-fec", "true"), ("complexity", "5")],
    )?;
    encoder.set_property("bitrate", OPUS_BPS as i32);
    // Before the encoder, so that nothing is encoded while nothing is sent.
    let gate = pipe::make("valve", &[])?;
    gate.set_property("drop", !sending);
    tell_first(&gate, inbox, origin);
    chain.extend([gate.clone(), encoder]);
    let outlet = Arc::clone(outlet);
    let sink = pipe::sink("opus", None, move |sample| {
        if let Some(buffer) = pipe::timed(sample) {
            outlet.pour(&buffer);
        }
    });
    chain.push(sink.upcast());
    pipe.chain(&chain.iter().collect::<Vec<_>>())?;
    pipe.play(inbox, origin);
    Ok(Microphone { gate, _pipe: pipe })
}

fn device(named: &str) -> &str {
    if named.is_empty() { "default" } else { named }
}

/// Tells when the first sound reaches an element.
fn tell_first(element: &gst::Element, inbox: &Sender<Input>, origin: Origin) {
    if let Some(pad) = element.static_pad("sink") {
        let inbox = inbox.clone();
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            let _ = inbox.send(Input::Works(origin));
            gst::PadProbeReturn::Remove
        });
    }
}

/// An open microphone; dropping it closes it.
#[derive(Debug)]
pub struct Microphone {
    gate: gst::Element,
    _pipe: Pipe,
}

impl Microphone {
    /// Lets sound through to the encoder, or not.
    pub fn send(&self, on: bool) {
        self.gate.set_property("drop", !on);
    }
}

/// An open speaker: mixes the members and plays them. Unverified: no sound device where this was written.
#[derive(Debug)]
pub struct Speaker {
    pipe: Pipe,
    mixer: gst::Element,
}

impl Speaker {
    /// Opens it; `None` when sound goes nowhere.
    ///
    /// # Errors
    /// When it is known at once that it does not work.
    pub fn open(
        sound: &Sound,
        generation: u32,
        timebase: &Timebase,
        inbox: &Sender<Input>,
    ) -> Result<Option<Self>> {
        if sound.sink == SoundSink::None {
            return Ok(None);
        }
        for plugin in ["alsa", "audioconvert", "audioresample", "audiomixer"] {
            plugins::load(plugin)?;
        }
        let origin = Origin::Speaker(generation);
        let pipe = Pipe::new("speaker", timebase, inbox, origin);
        let mixer =
            pipe::make("audiomixer", &[("latency", "30000000"), ("output-buffer-duration", "10000000")])?;
        let filter = pipe::filter(&raw())?;
        let convert = pipe::make("audioconvert", &[])?;
        let resample = pipe::make("audioresample", &[])?;
        let sink = if sound.sink == SoundSink::Fake {
            pipe::make("fakesink", &[("sync", "true")])?
        } else {
            let sink = pipe::make("alsasink", &[("buffer-time", "80000"), ("latency-time", "10000")])?;
            sink.set_property("device", device(&sound.playback));
            sink
        };
        tell_first(&sink, inbox, origin);
        if cancels_echo(sound) {
            plugins::load("webrtcdsp")?;
            let probe = pipe::make("webrtcechoprobe", &[])?;
            probe.set_property("name", PROBE);
            pipe.chain(&[&mixer, &filter, &probe, &convert, &resample, &sink])?;
        } else {
            pipe.chain(&[&mixer, &filter, &convert, &resample, &sink])?;
        }
        pipe.play(inbox, origin);
        Ok(Some(Self { pipe, mixer }))
    }

    /// Where a member's sound goes in.
    ///
    /// # Errors
    /// When the mixer refuses.
    pub fn join(&self, session: SessionId) -> Result<gst_app::AppSrc> {
        let input = pipe::source(&format!("member-{session}"), &raw(), 10);
        let pipeline = self.pipe.pipeline();
        pipeline.add(&input)?;
        let pad = self
            .mixer
            .request_pad_simple("sink_%u")
            .ok_or_else(|| anyhow!("the mixer takes no more members"))?;
        if let Some(out) = input.static_pad("src") {
            out.link(&pad)?;
        }
        input.sync_state_with_parent()?;
        Ok(input)
    }

    /// Takes a member out.
    pub fn leave(&self, input: &gst_app::AppSrc) {
        let Some(out) = input.static_pad("src") else { return };
        let pad = out.peer();
        let _ = input.set_state(gst::State::Null);
        let _ = self.pipe.pipeline().remove(input);
        if let Some(pad) = pad {
            self.mixer.release_request_pad(&pad);
        }
    }
}

/// What is wrong with a sound device, with the cards there are.
#[must_use]
pub fn complaint(what: &str, device: &str, detail: &str) -> String {
    let cards: Vec<String> =
        alsa::card::Iter::new().filter_map(Result::ok).filter_map(|card| card.get_name().ok()).collect();
    let cards = if cards.is_empty() {
        "there is no sound card at all".to_owned()
    } else {
        format!("the cards are {}", cards.join(", "))
    };
    format!("the {what} {device} does not work ({detail}); {cards}; plug it in, or see [sound]")
}
