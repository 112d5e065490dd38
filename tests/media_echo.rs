//! Echo cancelling, measured at the far end: a kiosk in a simulated room (200 ms of reverberation, 80 ms delay, a
//! microphone whose clock is 100 ppm fast, the echo 8 dB below the speaker), a clerk who speaks, and what the clerk's
//! speaker is given after Opus both ways, written to a file by ALSA.

#![allow(clippy::unwrap_used)]

mod media_support;

use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::time::{Duration, Instant};

use media_support::{PATIENCE, Server, Worker};
use rtcroom_kiosk::media::protocol::{Camera, Command, Room, Settings, Sound, SoundSink, SoundSource};
use rtcroom_kiosk::media::resample::Resampler;

const RATE: usize = 48_000;
/// 100 ms.
const WINDOW: usize = RATE / 10;
/// How far a place may slip from one window to the next: two Opus frames that a busy machine was late with.
const SLIP: usize = RATE / 25;
/// How long the canceller has before it is measured, and how long that is.
const SETTLE: Duration = Duration::from_secs(3);
const MEASURE: Duration = Duration::from_secs(5);

/// Speaks a text into a WAV file: active speech at `dbfs`, pauses taken out so that there is always something to hear.
fn speak(into: &Path, voice: &str, text: &str, dbfs: f64) -> Vec<f32> {
    let raw = into.with_extension("espeak");
    let spoken = Process::new("espeak-ng")
        .args(["-v", voice, "-s", "150", "-w"])
        .arg(&raw)
        .arg(text)
        .status()
        .expect("espeak-ng: boards/setup.sh test installs it");
    assert!(spoken.success());
    let bytes = std::fs::read(raw).unwrap();
    let rate = f64::from(u32::from_le_bytes(bytes[24..28].try_into().unwrap()));
    let mut resampler = Resampler::new(rate / RATE as f64);
    resampler.push(
        bytes[44..].chunks_exact(2).map(|two| f32::from(i16::from_le_bytes([two[0], two[1]])) / 32768.0),
    );
    let mut samples = Vec::new();
    while let Some(sample) = resampler.next(rate / RATE as f64) {
        samples.push(sample);
    }
    let loudest = samples.chunks(WINDOW / 2).map(power).fold(0.0, f64::max);
    let mut speech: Vec<f32> = samples
        .chunks(WINDOW / 2)
        .filter(|piece| power(piece) > loudest * 0.003)
        .flatten()
        .copied()
        .collect();
    let gain = (10f64.powf(dbfs / 10.0) / power(&speech)).sqrt() as f32;
    speech.iter_mut().for_each(|sample| *sample *= gain);
    let mut wav = Vec::new();
    let length = speech.len() as u32 * 2;
    wav.extend(b"RIFF");
    wav.extend((36 + length).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(48_000u32.to_le_bytes());
    wav.extend(96_000u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(length.to_le_bytes());
    wav.extend(speech.iter().flat_map(|sample| ((sample * 32767.0) as i16).to_le_bytes()));
    std::fs::write(into, wav).unwrap();
    speech
}

fn power(samples: &[f32]) -> f64 {
    samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}

fn db(ratio: f64) -> f64 {
    10.0 * (ratio + 1e-12).log10()
}

/// A small picture, so that sound has the machine.
fn settings(sound: Sound) -> Settings {
    Settings {
        camera: Camera { width: 160, height: 120, fps: 2, ..Camera::default() },
        sound,
        ..Settings::default()
    }
}

/// What the clerk hears of a kiosk in its room.
struct Case {
    cancel: bool,
    gated: bool,
    clerk_speaks: bool,
    customer_speaks: bool,
}

struct Studio {
    folder: tempfile::TempDir,
    customer: Vec<f32>,
}

impl Studio {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        speak(
            &folder.path().join("clerk.wav"),
            "en-gb",
            "Good morning, this is the bank. My name is Helen. Could you please show me the damage on the left side \
             of your car, and tell me when the accident happened? I also need your insurance number, the one that \
             begins with four zero seven. Thank you, please wait a moment while I look for your file in our system.",
            -22.0,
        );
        let customer = speak(
            &folder.path().join("customer.wav"),
            "en-us+m3",
            "Hello, yes, I can hear you. The damage is right here beside the front wheel, somebody hit me on the \
             parking lot on Monday evening. My number is four zero seven, nine nine, one two three. I have the \
             papers here with me. Should I hold them in front of the camera?",
            -26.0,
        );
        Self { folder, customer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a call; what the clerk heard once the canceller has had its three seconds.
    fn call(&self, name: &str, case: &Case) -> Vec<f32> {
        let server = Server::start(0);
        let speech = |file: &str, speaks: bool| {
            if speaks { self.path(file).display().to_string() } else { String::new() }
        };
        let kiosk = Sound {
            source: SoundSource::Room,
            sink: SoundSink::Room,
            echo_cancel: case.cancel,
            room: Room { speech: speech("customer.wav", case.customer_speaks), ..Room::default() },
            ..Sound::default()
        };
        let file = self.path(name);
        let clerk = Sound {
            source: SoundSource::Room,
            sink: SoundSink::Alsa,
            playback: format!("file:{}", file.display()),
            echo_cancel: false,
            room: Room { speech: speech("clerk.wav", case.clerk_speaks), ..Room::default() },
            ..Sound::default()
        };
        let fault: &[(&str, &str)] = if case.gated { &[("RTCROOM_FAULT", "microphone-gate")] } else { &[] };
        let mut kiosk = Worker::ready_with(fault, settings(kiosk));
        let mut clerk = Worker::ready(settings(clerk));
        for (worker, stream) in [(&mut kiosk, "kiosk"), (&mut clerk, "clerk")] {
            worker.publish(&server, 1, stream);
            worker.send(&Command::Capture { on: true });
            worker.send(&Command::Send { on: true });
        }
        clerk.play(&server, 2, "kiosk");
        kiosk.play(&server, 2, "clerk");
        kiosk.player("sound of the clerk", |player| player.audio_ms > 500);
        clerk.player("sound of the kiosk", |player| player.audio_ms > 500);
        // Both are played in real time from here on.
        let length = || std::fs::metadata(&file).map_or(0, |data| data.len()) as usize;
        let (begin, end) = (length() + bytes(SETTLE), length() + bytes(SETTLE + MEASURE));
        let patience = Instant::now() + SETTLE + MEASURE + PATIENCE;
        while length() < end {
            assert!(Instant::now() < patience, "the clerk's card took {} of {end} bytes", length());
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(
            kiosk.troubles.is_empty() && clerk.troubles.is_empty(),
            "{:?} {:?}",
            kiosk.troubles,
            clerk.troubles
        );
        let heard = std::fs::read(&file).unwrap();
        // Two channels of 16 bits; both are the same.
        heard[begin / 4 * 4..end / 4 * 4]
            .chunks_exact(4)
            .map(|frame| f32::from(i16::from_le_bytes([frame[0], frame[1]])) / 32768.0)
            .collect()
    }

    /// How much of the customer's own words is left in what was heard, and how much in a call where the clerk is
    /// silent: dB lost, by projecting each 100 ms on what was said.
    fn kept(&self, heard: &[f32]) -> f64 {
        let said: Vec<f32> =
            self.customer.iter().cycle().take(self.customer.len() + heard.len() + RATE).copied().collect();
        let mut place = place(&said, heard, self.customer.len());
        let (mut product, mut square) = (0.0, 0.0);
        for start in (0..heard.len() - WINDOW).step_by(WINDOW) {
            let piece = &heard[start..start + WINDOW];
            // Playing a little faster or slower moves the place.
            let (score, at) = (place.saturating_sub(SLIP)..=place + SLIP)
                .filter_map(|at| {
                    let said = said.get(at + start..)?.get(..WINDOW)?;
                    Some((said.iter().zip(piece).map(|(a, b)| f64::from(a * b)).sum::<f64>(), at))
                })
                .fold((0.0, place), |best, other| if other.0 > best.0 { other } else { best });
            square += power(&said[place + start..place + start + WINDOW]) * WINDOW as f64;
            product += score;
            place = at;
        }
        20.0 * (product / square + 1e-6).log10()
    }
}

fn bytes(time: Duration) -> usize {
    time.as_millis() as usize * RATE / 1000 * 4
}

/// Where in `said`, within its first `period` samples, what was heard begins; looked for at 6 kHz.
fn place(said: &[f32], heard: &[f32], period: usize) -> usize {
    let thin =
        |samples: &[f32]| samples.chunks_exact(8).map(|eight| eight.iter().sum::<f32>()).collect::<Vec<_>>();
    let (said, heard) = (thin(said), thin(heard));
    let score = |lag: usize| said[lag..].iter().zip(&heard).step_by(3).map(|(a, b)| a * b).sum::<f32>();
    (0..period / 8).max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap_or(0) * 8
}

const CALL: Case = Case { cancel: true, gated: false, clerk_speaks: true, customer_speaks: false };

#[test]
fn the_clerk_hears_no_echo_and_all_of_the_customer() {
    let studio = Studio::new();
    let calls = [
        ("cancelled", CALL),
        ("echo", Case { cancel: false, ..CALL }),
        ("double", Case { customer_speaks: true, ..CALL }),
        ("alone", Case { customer_speaks: true, clerk_speaks: false, ..CALL }),
        ("gated", Case { customer_speaks: true, gated: true, ..CALL }),
    ];
    let booth = &studio;
    // Two calls at once are four workers with two codecs each: what two cores bear that have other work to do, too.
    let mut heard: Vec<Vec<f32>> = Vec::new();
    for together in calls.chunks(2) {
        heard.extend(std::thread::scope(|scope| {
            let running: Vec<_> =
                together.iter().map(|(name, case)| scope.spawn(move || booth.call(name, case))).collect();
            running.into_iter().map(|call| call.join().unwrap()).collect::<Vec<_>>()
        }));
    }
    let [cancelled, echo, double, alone, gated] = heard.try_into().unwrap();

    let down = db(power(&echo)) - db(power(&cancelled));
    eprintln!(
        "echo: {:.1} dBFS without, {:.1} with cancelling: {down:.1} dB down",
        db(power(&echo)),
        db(power(&cancelled))
    );
    let [with, without, shut] = [&double, &alone, &gated].map(|heard| studio.kept(heard));
    let level = db(power(&alone)) - db(power(&double));
    eprintln!(
        "customer: {:.1} dB lost in double talk by projection, {level:.1} by level; {:.1} with a gate",
        without - with,
        without - shut
    );
    // That there is an echo at all, -22 - 8 dBFS and some dB of the codec, and that the customer is heard and recognised:
    // Opus keeps the level and changes the wave.
    let heard = db(power(&alone)) - db(power(&studio.customer));
    eprintln!("customer alone: {heard:.1} dB by level, {without:.1} by projection");
    assert!(db(power(&echo)) > -36.0, "there is no echo to cancel");
    assert!(heard.abs() < 3.0 && without > -9.0, "the measurement is no good");
    assert!(down >= 25.0, "the echo is {down:.1} dB down");
    assert!(without - with <= 6.0 && level <= 6.0, "the customer loses {:.1} dB", without - with);
    // The same bounds, so that neither passes by itself: no cancelling leaves the echo, a gate takes the customer.
    assert!(without - shut > 6.0, "a gated microphone passes: {:.1} dB", without - shut);
}
