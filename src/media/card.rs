//! A microphone or a speaker, whatever is behind it: an ALSA card, the simulated room, a tone, or a clock alone.
//!
//! Each says with every piece of sound where its clock stands. None waits for ever: a card that gives or takes nothing
//! for a while is an error, and so is one that was pulled out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alsa::Direction;
use anyhow::{Context, Result, bail};

use super::echo::BLOCK;
use super::protocol::{Sound, SoundSink, SoundSource};
use super::resample::Resampler;
use super::room;
use super::stats::RATE;
use super::timebase::monotonic_ns;
use crate::board::sound::{self as cards, Stream, Trouble};

/// A card that neither gives nor takes sound for so long does not work.
const DEAD: Duration = Duration::from_secs(2);
/// How long one wait for a card is.
const WAIT_MS: u32 = 100;
/// A card that was closed a moment ago, or whose device node is just being made, is tried again for so long.
const OPENING: Duration = Duration::from_millis(1000);
/// What a speaker without a card stores, samples: as much as an ALSA one.
const STORE: u64 = RATE as u64 / 25;

/// Where a card's clock stands: a count of its own samples, and the system's time.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// Samples.
    pub count: f64,
    /// CLOCK_MONOTONIC.
    pub at_ns: u64,
}

/// Finds and opens an ALSA card, and sets its mixer.
fn open(named: &str, direction: Direction, sound: &Sound) -> Result<(Stream, String)> {
    let end = Instant::now() + OPENING;
    loop {
        let opened = cards::find(named, direction)
            .and_then(|found| Ok((cards::open(&found.device, direction)?, found)));
        match opened {
            Ok((stream, found)) => {
                if let Some(card) = &found.card {
                    match cards::set_mixer(card, direction, sound) {
                        Ok(set) if !set.is_empty() => log::info!("mixer of {card}: {} set", set.join(", ")),
                        Ok(_) => {}
                        // Sound at the wrong volume is better than none.
                        Err(error) => log::warn!("{error}"),
                    }
                }
                log::info!("{} open: {} Hz, {} channels", found.device, stream.rate, stream.channels);
                return Ok((stream, found.device));
            }
            Err(Trouble::Busy { .. }) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sleeps until `due` samples of a clock that started at `since_ns` are over.
fn pace(since_ns: u64, due: f64, rate: f64) {
    let at = since_ns + (due / rate * 1e9) as u64;
    let now = monotonic_ns();
    if at > now {
        std::thread::sleep(Duration::from_nanos(at - now));
    }
}

/// An open microphone.
pub enum Microphone {
    /// An ALSA card.
    Alsa {
        /// The card.
        stream: Stream,
        /// Its name.
        device: String,
        /// Samples read.
        read: u64,
        /// When it last gave sound.
        alive: Instant,
        /// When it was opened.
        since_ns: u64,
    },
    /// The simulated room's.
    Room {
        /// The room.
        card: Arc<room::Card>,
        /// Samples read.
        read: u64,
        /// When it was opened.
        since_ns: u64,
    },
    /// A tone.
    Tone {
        /// Hz.
        hz: f64,
        /// Samples made.
        made: u64,
        /// When it began.
        since_ns: u64,
    },
}

impl Microphone {
    /// Opens the board's microphone.
    ///
    /// # Errors
    /// One sentence with the card and the cure.
    pub fn open(sound: &Sound, room: Option<&Arc<room::Card>>) -> Result<Self> {
        let since_ns = monotonic_ns();
        Ok(match sound.source {
            SoundSource::Tone => {
                Self::Tone { hz: f64::from(sound.tone_hz.clamp(20, 20_000)), made: 0, since_ns }
            }
            SoundSource::Room => {
                let card = Arc::clone(room.context("the simulated room is closed; see [sound.room]")?);
                card.open(since_ns);
                Self::Room { card, read: 0, since_ns }
            }
            SoundSource::Alsa => {
                let (stream, device) = open(&sound.capture, Direction::Capture, sound)?;
                stream.pcm.start().map_err(|error| Trouble::of(Direction::Capture, &device, &error))?;
                Self::Alsa { stream, device, read: 0, alive: Instant::now(), since_ns }
            }
        })
    }

    /// Its own samples a second, nominally.
    #[must_use]
    pub fn rate(&self) -> f64 {
        match self {
            Self::Alsa { stream, .. } => f64::from(stream.rate),
            Self::Room { .. } | Self::Tone { .. } => RATE as f64,
        }
    }

    /// Waits for sound, a tenth of a second at the most, and adds it, one channel, to `into`.
    ///
    /// # Errors
    /// When the card is gone or dead.
    pub fn read(&mut self, into: &mut Vec<f32>) -> Result<Option<Mark>> {
        match self {
            Self::Tone { hz, made, since_ns } => {
                pace(*since_ns, (*made + BLOCK as u64) as f64, RATE as f64);
                let turn = *hz / RATE as f64 * std::f64::consts::TAU;
                into.extend((*made..*made + BLOCK as u64).map(|n| ((n as f64 * turn).sin() * 0.25) as f32));
                *made += BLOCK as u64;
                let at_ns = *since_ns + *made * 1_000_000_000 / RATE as u64;
                Ok(Some(Mark { count: *made as f64, at_ns }))
            }
            Self::Room { card, read, since_ns } => {
                let rate = card.microphone_rate();
                pace(*since_ns, (*read + BLOCK as u64) as f64, rate);
                let mut block = [0.0; BLOCK];
                card.record(&mut block);
                into.extend(block);
                *read += BLOCK as u64;
                Ok(Some(Mark { count: *read as f64, at_ns: *since_ns + (*read as f64 / rate * 1e9) as u64 }))
            }
            Self::Alsa { stream, device, read, alive, since_ns } => {
                let got =
                    capture(stream, into).map_err(|error| Trouble::of(Direction::Capture, device, &error))?;
                let Some((frames, behind)) = got else {
                    if alive.elapsed() > DEAD {
                        bail!("the microphone {device} gives no sound; unplug it and plug it in again");
                    }
                    return Ok(None);
                };
                *read += frames as u64;
                *alive = Instant::now();
                let at_ns = monotonic_ns();
                // Some devices of ALSA's configuration have no clock: they give whatever is asked for, at once.
                let ahead = *read as f64 - (at_ns - *since_ns) as f64 / 1e9 * f64::from(stream.rate);
                if ahead > f64::from(stream.rate) / 5.0 {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Ok(Some(Mark { count: *read as f64 + behind as f64, at_ns }))
            }
        }
    }
}

/// Reads what is there, one channel of it; the frames, and how many the card has besides.
fn capture(stream: &Stream, into: &mut Vec<f32>) -> alsa::Result<Option<(usize, i64)>> {
    let again = |error: alsa::Error| -> alsa::Result<Option<(usize, i64)>> {
        // An overrun, or a machine that slept: what was missed is lost.
        stream.pcm.try_recover(error, true)?;
        stream.pcm.start()?;
        Ok(None)
    };
    match stream.pcm.wait(Some(WAIT_MS)) {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(error) => return again(error),
    }
    let mut frames = vec![0i16; stream.rate as usize / 100 * stream.channels];
    let count = match stream.pcm.io_i16()?.readi(&mut frames) {
        Ok(0) => return Ok(None),
        Ok(count) => count,
        Err(error) if error.errno() == libc::EAGAIN => return Ok(None),
        Err(error) => return again(error),
    };
    let scale = 1.0 / (32768.0 * stream.channels as f32);
    into.extend(
        frames[..count * stream.channels]
            .chunks_exact(stream.channels)
            .map(|frame| frame.iter().map(|sample| f32::from(*sample)).sum::<f32>() * scale),
    );
    let behind = stream.pcm.avail_delay().map_or(0, |(_, delay)| delay);
    Ok(Some((count, i64::from(behind as i32).max(0))))
}

/// An open speaker.
pub enum Speaker {
    /// An ALSA card.
    Alsa {
        /// The card.
        stream: Stream,
        /// Its name.
        device: String,
        /// To the card's rate.
        resampler: Resampler,
        /// Its frames written.
        written: u64,
        /// When it last took sound.
        alive: Instant,
        /// When it was opened.
        since_ns: u64,
    },
    /// The simulated room's, or, without a room, a clock alone.
    Room {
        /// The room.
        card: Option<Arc<room::Card>>,
        /// Samples written.
        written: u64,
        /// When it was opened.
        since_ns: u64,
    },
}

impl Speaker {
    /// Opens the board's speaker; `None` when sound goes nowhere.
    ///
    /// # Errors
    /// One sentence with the card and the cure.
    pub fn open(sound: &Sound, room: Option<&Arc<room::Card>>) -> Result<Option<Self>> {
        let since_ns = monotonic_ns();
        Ok(match sound.sink {
            SoundSink::None => None,
            SoundSink::Fake => Some(Self::Room { card: None, written: 0, since_ns }),
            SoundSink::Room => Some(Self::Room { card: room.cloned(), written: 0, since_ns }),
            SoundSink::Alsa => {
                let (stream, device) = open(&sound.playback, Direction::Playback, sound)?;
                let resampler = Resampler::new(RATE as f64 / f64::from(stream.rate));
                Some(Self::Alsa { stream, device, resampler, written: 0, alive: Instant::now(), since_ns })
            }
        })
    }

    /// Plays 10 ms, waiting for room; says which sample, of those given to it, is heard now.
    ///
    /// # Errors
    /// When the card is gone or dead.
    pub fn write(&mut self, block: &[f32; BLOCK]) -> Result<Mark> {
        match self {
            Self::Room { card, written, since_ns } => {
                if let Some(card) = card {
                    card.play(*since_ns, *written, block);
                }
                *written += BLOCK as u64;
                pace(*since_ns, written.saturating_sub(STORE) as f64, RATE as f64);
                let at_ns = monotonic_ns();
                Ok(Mark { count: (at_ns - *since_ns) as f64 * RATE as f64 / 1e9, at_ns })
            }
            Self::Alsa { stream, device, resampler, written, alive, since_ns } => {
                let step = RATE as f64 / f64::from(stream.rate);
                resampler.push(block.iter().copied());
                let mut frames = Vec::with_capacity((BLOCK + 8) * stream.channels);
                while let Some(sample) = resampler.next(step) {
                    let sample = (sample * 32767.0).clamp(-32768.0, 32767.0) as i16;
                    frames.extend(std::iter::repeat_n(sample, stream.channels));
                }
                let mut left = frames.as_slice();
                while !left.is_empty() {
                    let count = play(stream, left)
                        .map_err(|error| Trouble::of(Direction::Playback, device, &error))?;
                    if count == 0 && alive.elapsed() > DEAD {
                        bail!("the speaker {device} takes no sound; unplug it and plug it in again");
                    }
                    if count > 0 {
                        *alive = Instant::now();
                        *written += count as u64;
                        left = &left[count * stream.channels..];
                    }
                }
                let waiting = stream.pcm.delay().map_or(0, |delay| i64::from(delay as i32).max(0));
                let at_ns = monotonic_ns();
                // As with microphones: without a clock of its own it gets the system's.
                let ahead = *written as f64 - (at_ns - *since_ns) as f64 / 1e9 * f64::from(stream.rate);
                if ahead > f64::from(stream.rate) / 5.0 {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Ok(Mark { count: (*written as f64 - waiting as f64) * step, at_ns })
            }
        }
    }
}

/// Writes what the card has room for; the frames, 0 when it had none for a while.
fn play(stream: &Stream, frames: &[i16]) -> alsa::Result<usize> {
    let count = stream.pcm.io_i16()?.writei(frames);
    let error = match count {
        Ok(count) => return Ok(count),
        Err(error) if error.errno() == libc::EAGAIN => match stream.pcm.wait(Some(WAIT_MS)) {
            Ok(_) => return Ok(0),
            Err(error) => error,
        },
        Err(error) => error,
    };
    // An underrun, or a machine that slept.
    stream.pcm.try_recover(error, true)?;
    Ok(0)
}
