//! `kiosk-media --check`: what `kioskd doctor` has tried in a process of its own, which may hang and be ended: a codec
//! there and back, the microphone's level, a tone on the speaker, and a picture of what the camera sees.
//!
//! Settings come as JSON on stdin; each finding goes out as a line of JSON (`kiosk::doctor::check::Said`).

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use alsa::Direction;
use anyhow::{Context, Result, anyhow};
use gst::prelude::*;

use super::camera::Habits;
use super::capture::{self, Capture};
use super::codec::{self, Proof};
use super::outlet::Outlet;
use super::pipe;
use super::plugins;
use super::protocol::{Display, Output, Settings, Sound, SoundSink, SoundSource};
use super::screen::Screen;
use super::session::Setup;
use super::sound as media_sound;
use super::timebase::Timebase;
use super::worker::Input;
use crate::board::{holder, sound};
use crate::kiosk::doctor::check::Said;
use crate::kiosk::doctor::finding::{Finding, Part, Verdict};

/// Settings are no longer than a line of the worker's.
const MOST_SETTINGS: u64 = 64 * 1024;
/// Frames that go through encoder and decoder.
const FRAMES: u32 = 30;
/// No camera, card or codec needs longer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the microphone is listened to.
const LISTEN: Duration = Duration::from_millis(1500);
/// The tone, and how long it lasts, in pieces of 20 ms.
const TONE_HZ: f64 = 880.0;
const PIECES: &str = "75";
/// Quieter than this is a microphone that is muted or not plugged in: even a silent room is louder.
const DEAD_DBFS: f64 = -85.0;
/// A camera's first pictures are dark while it finds its exposure.
const WARM_UP: u32 = 10;

/// Runs all of it; the exit code.
///
/// # Errors
/// When the settings cannot be read or nobody reads the findings.
pub fn run(picture: Option<&Path>) -> Result<i32> {
    let input = std::io::Read::take(std::io::stdin().lock(), MOST_SETTINGS);
    let settings: Settings = serde_json::from_reader(input).context("no settings on stdin")?;
    // Codec libraries print to stdout; what is said to doctor goes another way.
    let mut out = super::line::take()?.1;
    let mut say = |part: Part, check: &dyn Fn() -> Vec<Finding>| -> Result<()> {
        out.send(&Said::Begin(part))?;
        for finding in check() {
            out.send(&Said::Found(finding))?;
        }
        Ok(())
    };
    say(Part::Decoder, &|| codecs(&settings))?;
    say(Part::Microphone, &|| vec![microphone(&settings.sound)])?;
    say(Part::Speaker, &|| vec![speaker(&settings.sound)])?;
    if let Some(path) = picture {
        say(Part::Camera, &|| {
            take_picture(settings.clone(), path).err().into_iter().map(no_picture).collect()
        })?;
    }
    Ok(0)
}

fn no_picture(error: anyhow::Error) -> Finding {
    Finding::told(Part::Camera, Verdict::Fail, &format!("{error:#}"))
}

/// Waits for the end of a pipeline that ends by itself.
fn play(pipeline: &gst::Pipeline) -> Result<()> {
    let bus = pipeline.bus().context("a pipeline without a bus")?;
    let _ = pipeline.set_state(gst::State::Playing);
    let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
    let limit = gst::ClockTime::from_nseconds(PATIENCE.as_nanos() as u64);
    let message = bus.timed_pop_filtered(limit, &kinds);
    let outcome = match message.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Eos(_)) => Ok(()),
        Some(gst::MessageView::Error(error)) => Err(anyhow!("{}", error.error())),
        _ => Err(anyhow!("not done within {} s", PATIENCE.as_secs())),
    };
    let _ = pipeline.set_state(gst::State::Null);
    outcome
}

fn chain(elements: &[&gst::Element]) -> Result<gst::Pipeline> {
    let pipeline = gst::Pipeline::new();
    pipeline.add_many(elements.iter().copied())?;
    gst::Element::link_many(elements.iter().copied())?;
    Ok(pipeline)
}

/// Encodes and decodes with the first rows of the board's choice.
fn codecs(settings: &Settings) -> Vec<Finding> {
    let encoder = match codec::encoders(settings) {
        Ok(rows) => rows[0],
        Err(error) => return vec![Finding::told(Part::Encoder, Verdict::Fail, &format!("{error:#}"))],
    };
    let decoder = match codec::decoders(settings) {
        Ok(rows) => rows[0],
        Err(error) => return vec![Finding::told(Part::Decoder, Verdict::Fail, &format!("{error:#}"))],
    };
    let note = |proof| {
        if proof == Proof::Unverified { " (unverified: until now this program never ran it)" } else { "" }
    };
    match codec::trial::run(encoder.element, settings, FRAMES) {
        Ok(trial) => vec![
            Finding::ok(
                Part::Encoder,
                format!(
                    "{}{}: {} frames encoded, {} kbit/s, the first after {} ms",
                    trial.encoder,
                    note(encoder.proof),
                    trial.encoded,
                    trial.bps / 1000,
                    trial.first_ms
                ),
            ),
            Finding::ok(
                Part::Decoder,
                format!(
                    "{}{}: {} of {} pictures came back right",
                    trial.decoder,
                    note(decoder.proof),
                    trial.right,
                    trial.decoded
                ),
            ),
        ],
        Err(error) => vec![Finding::fail(
            Part::Decoder,
            format!("{error:#}{}{}", note(encoder.proof), note(decoder.proof)),
            "name others in [video] encoders and decoders; `kiosk-media --inspect` lists them",
        )],
    }
}

/// What is wrong with a card, and when it is busy, who holds it.
fn told(part: Part, suffix: char, trouble: &sound::Trouble) -> Finding {
    let mut finding = Finding::told(part, Verdict::Fail, &trouble.to_string());
    if let sound::Trouble::Busy { .. } = trouble {
        // The nodes of `Documentation/sound/designs/procfile.rst`'s devices: pcmC0D0c captures, pcmC0D0p plays.
        let nodes = std::fs::read_dir("/dev/snd").into_iter().flatten().flatten().map(|entry| entry.path());
        let ours = nodes.filter(|node| {
            let name = node.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("pcm") && name.ends_with(suffix)
        });
        let holders: Vec<_> = ours.flat_map(|node| holder::of(&node)).collect();
        if !holders.is_empty() {
            finding = Finding::fail(
                part,
                format!("{}, {}", finding.detail, holder::sentence(&holders)),
                "end that program",
            );
        }
    }
    finding
}

fn microphone(sound: &Sound) -> Finding {
    match sound.source {
        SoundSource::Tone => {
            return Finding::ok(Part::Microphone, format!("none: a test tone of {} Hz", sound.tone_hz));
        }
        SoundSource::Room => return Finding::ok(Part::Microphone, "none: a simulated room"),
        SoundSource::Alsa => {}
    }
    let found = sound::find(&sound.capture, Direction::Capture);
    let listened = found
        .and_then(|found| sound::stream::level(&found.device, LISTEN).map(|level| (found.device, level)));
    match listened {
        Ok((name, level)) if level < DEAD_DBFS => Finding::new(
            Part::Microphone,
            Verdict::Warn,
            format!("{name}: {level:.0} dBFS, which is silence"),
            "plug it in, unmute it (alsamixer, F4), or set [sound] microphone_volume",
        ),
        Ok((name, level)) => Finding::ok(Part::Microphone, format!("{name}: {level:.0} dBFS")),
        Err(trouble) => told(Part::Microphone, 'c', &trouble),
    }
}

fn speaker(sound: &Sound) -> Finding {
    match sound.sink {
        SoundSink::None => {
            return Finding::ok(
                Part::Speaker,
                "none ([sound] sink): sound is decoded and measured, not heard",
            );
        }
        SoundSink::Fake | SoundSink::Room => return Finding::ok(Part::Speaker, "none: a simulated one"),
        SoundSink::Alsa => {}
    }
    let found = sound::find(&sound.playback, Direction::Playback);
    // Opened once for its own words: GStreamer tells missing and busy apart in none.
    let opened =
        found.and_then(|found| sound::stream::open(&found.device, Direction::Playback).map(|_| found.device));
    let name = match opened {
        Ok(name) => name,
        Err(trouble) => return told(Part::Speaker, 'p', &trouble),
    };
    let tone = || -> Result<()> {
        for plugin in ["alsa", "audiotestsrc", "audioconvert", "audioresample"] {
            plugins::load(plugin)?;
        }
        let source = pipe::make(
            "audiotestsrc",
            &[("num-buffers", PIECES), ("samplesperbuffer", "960"), ("volume", "0.2")],
        )?;
        source.set_property("freq", TONE_HZ);
        let (convert, resample) = (pipe::make("audioconvert", &[])?, pipe::make("audioresample", &[])?);
        let sink = pipe::make("alsasink", &[])?;
        sink.set_property("device", &name);
        play(&chain(&[&source, &pipe::filter(&media_sound::raw())?, &convert, &resample, &sink])?)
    };
    match tone() {
        Ok(()) => Finding::ok(
            Part::Speaker,
            format!(
                "{name}: a tone of {TONE_HZ} Hz was played; if nobody heard it, see [sound] speaker_volume"
            ),
        ),
        Err(error) => Finding::fail(
            Part::Speaker,
            format!("{name}: {error:#}"),
            "unplug it and plug it in again, or name another in [sound] playback",
        ),
    }
}

/// Saves what the camera sees: PNG when the name ends so, else JPEG.
fn take_picture(mut settings: Settings, path: &Path) -> Result<()> {
    settings.display = Display { output: Output::None, ..settings.display };
    let (inbox, news) = mpsc::channel();
    let (timebase, counters) = (Timebase::start(), Arc::default());
    let info = capture::picture_info(&settings.camera)?;
    let screen = Screen::open(&settings.display, &info, false, &timebase, &inbox, &counters);
    let decoder = codec::decoders(&settings)?[0];
    let setup = Setup {
        timebase,
        inbox,
        settings: Arc::new(settings),
        counters,
        keys: Arc::default(),
        video: Arc::default(),
        audio: Arc::default(),
        decoder: Arc::new(Mutex::new(decoder)),
        screen,
    };
    let outlet = Arc::<Outlet>::default();
    let (pictures, taken) = mpsc::sync_channel(1);
    let mut seen = 0;
    outlet.tap(0, move |picture| {
        seen += 1;
        if seen > WARM_UP {
            let _ = pictures.try_send(picture.clone());
        }
    });
    let camera = Capture::open(&setup, 1, &Habits::default(), &outlet)?;
    let picture = taken.recv_timeout(PATIENCE).map_err(|_| {
        let said = news.try_iter().find_map(|input| match input {
            Input::Broken { detail, .. } | Input::Fails { detail, .. } => Some(detail),
            _ => None,
        });
        anyhow!("no picture to save: {}", said.unwrap_or_else(|| "the camera gives none".into()))
    })?;
    drop(camera);

    let png = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    let (plugin, element) = if png { ("png", "pngenc") } else { ("jpeg", "jpegenc") };
    plugins::load("videoconvertscale")?;
    let input = pipe::source("picture", &info.to_caps()?, 1);
    let (images, coded) = mpsc::sync_channel(1);
    let sink = pipe::sink("image", None, move |sample| {
        if let Some(data) = sample.buffer().and_then(|buffer| buffer.map_readable().ok()) {
            let _ = images.try_send(data.to_vec());
        }
    });
    let convert = pipe::make("videoconvertscale", &[])?;
    let coding = plugins::element(plugin, element)?;
    let pipeline = chain(&[input.upcast_ref(), &convert, &coding, sink.upcast_ref()])?;
    input.push_buffer(picture).map_err(|error| anyhow!("{element}: {error}"))?;
    input.end_of_stream().map_err(|error| anyhow!("{element}: {error}"))?;
    play(&pipeline).with_context(|| element.to_owned())?;
    let image = coded.try_recv().map_err(|_| anyhow!("{element} gave no image"))?;
    std::fs::File::create(path)
        .and_then(|mut file| file.write_all(&image))
        .with_context(|| format!("{} cannot be written", path.display()))
}
