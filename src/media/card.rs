//! A microphone or a speaker, whatever is behind it: an ALSA card, the simulated room, a tone, or a clock alone.
//!
//! Each says with every piece of sound where its clock stands. None waits for ever: a card that gives or takes nothing
//! for a while is an error, and so is one that was pulled out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alsa::Direction;
use alsa::pcm::State;
use anyhow::{Context, Result, bail};

use super::echo::BLOCK;
use super::pace::Mark;
use super::protocol::{Sound, SoundSink, SoundSource};
use super::resample::Resampler;
use super::room;
use super::stats::RATE;
use super::timebase::monotonic_ns;
use crate::board::sound::stream::{self, Stream};
use crate::board::sound::{self as cards, Trouble, mixer};

/// A card that neither gives nor takes sound for so long does not work.
const DEAD: Duration = Duration::from_secs(2);
/// What breaking off counts for, so that a card that does nothing else does not work either.
const BREAK: Duration = Duration::from_millis(10);
/// How long one wait for a card is; one that took longer was kept up by the scheduler.
const WAIT: Duration = Duration::from_millis(100);
/// A card that was closed a moment ago, or whose device node is just being made, is tried again for so long.
const OPENING: Duration = Duration::from_millis(1000);
/// A look at a card that takes longer was interrupted, and is done again, so many times at most.
const GLANCE_NS: u64 = 1_000_000;
const GLANCES: u32 = 3;

/// Finds and opens an ALSA card, and sets its mixer.
fn open(named: &str, direction: Direction, sound: &Sound) -> Result<(Stream, String)> {
    let end = Instant::now() + OPENING;
    loop {
        let opened = cards::find(named, direction)
            .and_then(|found| Ok((stream::open(&found.device, direction)?, found)));
        match opened {
            Ok((stream, found)) => {
                if let Some(card) = &found.card {
                    match mixer::set(card, direction, sound) {
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

/// How long a card was waited for. Time in which nobody listened is not its fault: a processor too busy for us is no
/// broken microphone, and opening it anew would cost more sound.
#[derive(Debug, Default)]
pub struct Waited(Duration);

impl Waited {
    /// It gave or took sound.
    fn heard(&mut self) {
        self.0 = Duration::ZERO;
    }

    /// It did neither in this time, or broke off; whether it does not work.
    fn in_vain(&mut self, time: Duration) -> bool {
        self.0 += time.clamp(BREAK, WAIT);
        self.0 > DEAD
    }
}

fn sleep_until(at_ns: u64) {
    let now = monotonic_ns();
    if at_ns > now {
        std::thread::sleep(Duration::from_nanos(at_ns - now));
    }
}

/// Looks where a card is, and when that was.
fn glance(look: impl Fn() -> Option<f64>, broke_at: &mut Option<u64>) -> Option<Mark> {
    let mut left = GLANCES;
    loop {
        let before = monotonic_ns();
        let count = look()?;
        let after = monotonic_ns();
        left -= 1;
        if after - before < GLANCE_NS || left == 0 {
            return Some(Mark { count, at_ns: before.midpoint(after), broke_at: broke_at.take() });
        }
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
        /// After how many of them it lost some.
        broke_at: Option<u64>,
        /// Since it last gave sound.
        waited: Waited,
        /// When it was opened.
        since_ns: u64,
    },
    /// The simulated room's.
    Room(room::Microphone),
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
                Self::Room(room::Microphone::open(card, since_ns))
            }
            SoundSource::Alsa => {
                let (stream, device) = open(&sound.capture, Direction::Capture, sound)?;
                stream.pcm.start().map_err(|error| Trouble::of(Direction::Capture, &device, &error))?;
                Self::Alsa { stream, device, read: 0, broke_at: None, waited: Waited::default(), since_ns }
            }
        })
    }

    /// Its own samples a second, nominally.
    #[must_use]
    pub fn rate(&self) -> f64 {
        match self {
            Self::Alsa { stream, .. } => f64::from(stream.rate),
            Self::Room(_) | Self::Tone { .. } => RATE as f64,
        }
    }

    /// Waits for sound, a tenth of a second at the most, and adds it, one channel, to `into`; says where the card is,
    /// counted from the first sample it gave, if that could be seen.
    ///
    /// # Errors
    /// When the card is gone or dead.
    pub fn read(&mut self, into: &mut Vec<f32>) -> Result<Option<Mark>> {
        match self {
            Self::Tone { hz, made, since_ns } => {
                let end = *made + BLOCK as u64;
                let at_ns = *since_ns + end * 1_000_000_000 / RATE as u64;
                sleep_until(at_ns);
                let turn = *hz / RATE as f64 * std::f64::consts::TAU;
                into.extend((*made..end).map(|n| ((n as f64 * turn).sin() * 0.25) as f32));
                *made = end;
                Ok(Some(Mark { count: end as f64, at_ns, broke_at: None }))
            }
            Self::Room(microphone) => {
                sleep_until(microphone.due_ns());
                let mut block = [0.0; BLOCK];
                let mark = microphone.read(monotonic_ns(), &mut block);
                into.extend(block);
                Ok(Some(mark))
            }
            Self::Alsa { stream, device, read, broke_at, waited, since_ns } => {
                let begin = Instant::now();
                let got =
                    capture(stream, into).map_err(|error| Trouble::of(Direction::Capture, device, &error))?;
                match got {
                    Capture::Sound(frames) => *read += frames as u64,
                    Capture::Nothing | Capture::Broke if waited.in_vain(begin.elapsed()) => {
                        bail!("the microphone {device} gives no sound; unplug it and plug it in again")
                    }
                    Capture::Nothing => return Ok(None),
                    Capture::Broke => {
                        broke_at.get_or_insert(*read);
                        return Ok(None);
                    }
                }
                waited.heard();
                // Some devices of ALSA's configuration have no clock: they give whatever is asked for, at once.
                let ahead = *read as f64 - (monotonic_ns() - *since_ns) as f64 / 1e9 * f64::from(stream.rate);
                if ahead > f64::from(stream.rate) / 5.0 {
                    std::thread::sleep(Duration::from_millis(10));
                }
                // What the card holds besides was before, too.
                let count = || Some(*read as f64 + stream.pcm.avail_delay().ok()?.1.max(0) as f64);
                Ok(glance(count, broke_at))
            }
        }
    }
}

/// What came of reading.
enum Capture {
    /// So many frames.
    Sound(usize),
    /// None for a while.
    Nothing,
    /// The card had no room for more and began anew, or the machine slept: what it held is lost.
    Broke,
}

/// Reads what is there, one channel of it.
fn capture(stream: &Stream, into: &mut Vec<f32>) -> alsa::Result<Capture> {
    let again = |error: alsa::Error| {
        stream.pcm.try_recover(error, true)?;
        // After sleep some cards go on by themselves.
        if stream.pcm.state() == State::Prepared {
            stream.pcm.start()?;
        }
        Ok(Capture::Broke)
    };
    match stream.pcm.wait(Some(WAIT.as_millis() as u32)) {
        Ok(true) => {}
        Ok(false) => return Ok(Capture::Nothing),
        Err(error) => return again(error),
    }
    let mut frames = vec![0i16; stream.rate as usize / 100 * stream.channels];
    let count = match stream.pcm.io_i16()?.readi(&mut frames) {
        Ok(0) => return Ok(Capture::Nothing),
        Ok(count) => count,
        Err(error) if error.errno() == libc::EAGAIN => return Ok(Capture::Nothing),
        Err(error) => return again(error),
    };
    let scale = 1.0 / (32768.0 * stream.channels as f32);
    into.extend(
        frames[..count * stream.channels]
            .chunks_exact(stream.channels)
            .map(|frame| frame.iter().map(|sample| f32::from(*sample)).sum::<f32>() * scale),
    );
    Ok(Capture::Sound(count))
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
        /// After how many samples it fell silent.
        broke_at: Option<u64>,
        /// When it was opened.
        since_ns: u64,
    },
    /// The simulated room's, or, without a room, a clock alone.
    Room(room::Speaker),
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
            SoundSink::Fake => Some(Self::Room(room::Speaker::open(None, since_ns))),
            SoundSink::Room => Some(Self::Room(room::Speaker::open(room.cloned(), since_ns))),
            SoundSink::Alsa => {
                let (stream, device) = open(&sound.playback, Direction::Playback, sound)?;
                let resampler = Resampler::new(RATE as f64 / f64::from(stream.rate));
                Some(Self::Alsa { stream, device, resampler, written: 0, broke_at: None, since_ns })
            }
        })
    }

    /// Plays 10 ms, waiting for room; says which sample, of those given to it, is heard now, if that can be seen.
    ///
    /// # Errors
    /// When the card is gone or dead.
    pub fn write(&mut self, block: &[f32; BLOCK]) -> Result<Option<Mark>> {
        match self {
            Self::Room(speaker) => {
                speaker.write(monotonic_ns(), block);
                sleep_until(speaker.due_ns());
                Ok(Some(speaker.mark(monotonic_ns())))
            }
            Self::Alsa { stream, device, resampler, written, broke_at, since_ns } => {
                let step = RATE as f64 / f64::from(stream.rate);
                resampler.push(block.iter().copied());
                let mut frames = Vec::with_capacity((BLOCK + 8) * stream.channels);
                while let Some(sample) = resampler.next(step) {
                    let sample = (sample * 32767.0).clamp(-32768.0, 32767.0) as i16;
                    frames.extend(std::iter::repeat_n(sample, stream.channels));
                }
                let mut left = frames.as_slice();
                let mut waited = Waited::default();
                while !left.is_empty() {
                    let begin = Instant::now();
                    let done = play(stream, left)
                        .map_err(|error| Trouble::of(Direction::Playback, device, &error))?;
                    match done {
                        Playback::Took(count) => {
                            waited.heard();
                            *written += count as u64;
                            left = &left[count * stream.channels..];
                        }
                        Playback::Full | Playback::Broke if waited.in_vain(begin.elapsed()) => {
                            bail!("the speaker {device} takes no sound; unplug it and plug it in again")
                        }
                        Playback::Full => {}
                        Playback::Broke => {
                            broke_at.get_or_insert((*written as f64 * step) as u64);
                        }
                    }
                }
                // As with microphones: without a clock of its own it gets the system's.
                let ahead =
                    *written as f64 - (monotonic_ns() - *since_ns) as f64 / 1e9 * f64::from(stream.rate);
                if ahead > f64::from(stream.rate) / 5.0 {
                    std::thread::sleep(Duration::from_millis(10));
                }
                // Until it has enough to begin with it stands still.
                if stream.pcm.state() == State::Prepared {
                    return Ok(None);
                }
                let count = || Some((*written as f64 - stream.pcm.delay().ok()?.max(0) as f64) * step);
                Ok(glance(count, broke_at))
            }
        }
    }
}

/// What came of writing.
enum Playback {
    /// So many frames were taken.
    Took(usize),
    /// There was no room for a while.
    Full,
    /// The card had played all it had, or the machine slept: it begins anew.
    Broke,
}

/// Writes what the card has room for.
fn play(stream: &Stream, frames: &[i16]) -> alsa::Result<Playback> {
    let error = match stream.pcm.io_i16()?.writei(frames) {
        Ok(count) => return Ok(Playback::Took(count)),
        Err(error) if error.errno() == libc::EAGAIN => match stream.pcm.wait(Some(WAIT.as_millis() as u32)) {
            Ok(_) => return Ok(Playback::Full),
            Err(error) => error,
        },
        Err(error) => error,
    };
    stream.pcm.try_recover(error, true)?;
    Ok(Playback::Broke)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_given_up_after_two_seconds_of_waiting_for_it() {
        let tenth = Duration::from_millis(100);
        let mut waited = Waited::default();
        assert!((0..20).all(|_| !waited.in_vain(tenth)));
        assert!(waited.in_vain(tenth));
        // One wait of ten minutes is a processor that had no time for us.
        waited.heard();
        assert!(!waited.in_vain(Duration::from_secs(600)));
        waited.heard();
        assert!(!waited.in_vain(tenth));
    }

    #[test]
    fn a_card_that_only_breaks_off_is_given_up_too() {
        let mut waited = Waited::default();
        assert_eq!((1..1000).find(|_| waited.in_vain(Duration::ZERO)), Some(201));
    }
}
