//! A simulated room with a sound card: a fake for where there is neither, with the faults real ones are known for.
//!
//! What the speaker plays comes back into the microphone through 200 ms of reverberation, `delay_ms` late, on a clock that
//! differs by `drift_ppm` (USB cards on ARM boards: 48 samples a second, pjproject #2339), with a low noise and perhaps
//! somebody speaking. Its card loses sound when it is read too late, and falls silent when it is written too late, as
//! real ones do. No I/O here: time is an argument.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail};

use super::echo::BLOCK;
use super::pace::Mark;
use super::protocol;
use super::resample::Resampler;
use super::stats::RATE;

/// The room falls silent, by 60 dB, within 200 ms.
const RESPONSE: usize = RATE / 5;
/// Samples in which there is one reflection: with 2,000 in a second they sound, and are spread over the spectrum, as
/// noise does, and cost a twentieth of it.
const SPARSE: usize = RATE / 2000;
/// Of the echo's power, what comes straight from the speaker.
const DIRECT: f64 = 0.5;
/// The microphone's own noise, RMS: -72 dBFS.
const NOISE: f32 = 0.000_25;
/// What the card stores, samples: as much as [`crate::board::sound::stream`] asks real ones for.
const MICROPHONE_STORE: u64 = RATE as u64 / 5;
const SPEAKER_STORE: u64 = RATE as u64 * 6 / 100;

/// The room: what is played, and what is recorded.
#[derive(Debug)]
pub struct Room {
    /// Each echo: how many samples late, and how loud.
    response: Vec<(usize, f32)>,
    speech: Vec<f32>,
    spoken: usize,
    /// What the speaker plays, from sample `echoed + 1 - RESPONSE` on.
    played: VecDeque<f32>,
    /// Samples whose echo is known.
    echoed: u64,
    echo: Resampler,
    /// Speaker's samples for each of the microphone's.
    step: f64,
    delay: u64,
    recorded: u64,
    dice: Dice,
}

impl Room {
    /// A silent room where somebody says `speech` over and over.
    #[must_use]
    pub fn new(settings: &protocol::Room, speech: Vec<f32>) -> Self {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let mut response: Vec<(usize, f32)> = (1..RESPONSE)
            .step_by(SPARSE)
            .map(|begin| {
                let late = begin + (dice.uniform() * (SPARSE - 1) as f32) as usize;
                let sign = if dice.uniform() < 0.5 { -1.0 } else { 1.0 };
                (late.min(RESPONSE - 1), sign * 10f32.powf(-3.0 * late as f32 / RESPONSE as f32))
            })
            .collect();
        let power: f64 = response.iter().map(|(_, tap)| f64::from(*tap).powi(2)).sum();
        let wanted = 10f64.powf(settings.echo_db / 10.0);
        let scale = (wanted * (1.0 - DIRECT) / power).sqrt() as f32;
        response.iter_mut().for_each(|(_, tap)| *tap *= scale);
        response.push((0, (wanted * DIRECT).sqrt() as f32));
        Self {
            response,
            speech,
            spoken: 0,
            played: VecDeque::from(vec![0.0; RESPONSE - 1]),
            echoed: 0,
            echo: Resampler::new(1.0),
            step: 1.0 / (1.0 + settings.drift_ppm * 1e-6),
            delay: u64::from(settings.delay_ms) * RATE as u64 / 1000,
            recorded: 0,
            dice,
        }
    }

    /// Plays samples, the first of them as sample `at` of the speaker's clock; what was not played was silence.
    pub fn play(&mut self, at: u64, samples: &[f32]) {
        let end = self.echoed + (self.played.len() + 1 - RESPONSE) as u64;
        // What comes too late is not heard.
        let late = end.saturating_sub(at).min(samples.len() as u64);
        for _ in end..at {
            self.played.push_back(0.0);
        }
        self.played.extend(&samples[late as usize..]);
    }

    /// The microphone's next samples.
    pub fn record(&mut self, samples: &mut [f32]) {
        for sample in samples {
            let echo = loop {
                // The microphone's first samples hear what was played before there was a speaker.
                if (self.recorded as f64 * self.step) < self.delay as f64 {
                    break 0.0;
                }
                match self.echo.next(self.step) {
                    Some(echo) => break echo,
                    None => self.reverberate(),
                }
            };
            self.recorded += 1;
            let said =
                if self.speech.is_empty() { 0.0 } else { self.speech[self.spoken % self.speech.len()] };
            self.spoken += 1;
            *sample = (echo + said + self.dice.normal() * NOISE).clamp(-1.0, 1.0);
        }
    }

    /// Makes the echo of the next 10 ms.
    fn reverberate(&mut self) {
        const STEP: usize = RATE / 100;
        while self.played.len() < RESPONSE - 1 + STEP {
            self.played.push_back(0.0);
        }
        let played = self.played.make_contiguous();
        // A room in which nothing was played costs nothing.
        let silent = played.iter().all(|sample| *sample == 0.0);
        let mut echo = [0.0; STEP];
        for (late, loud) in self.response.iter().filter(|_| !silent) {
            let played = &played[RESPONSE - 1 - late..][..STEP];
            echo.iter_mut().zip(played).for_each(|(echo, played)| *echo += loud * played);
        }
        self.echo.push(echo);
        self.played.drain(..STEP);
        self.echoed += STEP as u64;
    }
}

/// The room's card, of which a microphone and a speaker are opened.
#[derive(Debug)]
pub struct Card {
    settings: protocol::Room,
    speech: Vec<f32>,
    /// And when its microphone was opened.
    room: Mutex<(Room, u64)>,
}

impl Card {
    /// A card in a room of its own.
    ///
    /// # Errors
    /// When the file with the speech cannot be read or is something else.
    pub fn new(settings: &protocol::Room) -> Result<Self> {
        let speech = if settings.speech.is_empty() { Vec::new() } else { speech(&settings.speech)? };
        let room = Mutex::new((Room::new(settings, Vec::new()), u64::MAX));
        Ok(Self { settings: settings.clone(), speech, room })
    }

    fn room(&self) -> MutexGuard<'_, (Room, u64)> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The microphone of a card.
#[derive(Debug)]
pub struct Microphone {
    card: Arc<Card>,
    rate: f64,
    /// When its first sample was, had none been lost.
    since_ns: u64,
    read: u64,
}

impl Microphone {
    /// Opens it at a time.
    #[must_use]
    pub fn open(card: Arc<Card>, now_ns: u64) -> Self {
        *card.room() = (Room::new(&card.settings, card.speech.clone()), now_ns);
        let rate = RATE as f64 * (1.0 + card.settings.drift_ppm * 1e-6);
        Self { card, rate, since_ns: now_ns, read: 0 }
    }

    /// When its next 10 ms are there.
    #[must_use]
    pub fn due_ns(&self) -> u64 {
        self.since_ns + ((self.read + BLOCK as u64) as f64 / self.rate * 1e9) as u64
    }

    /// Reads them; not before they are there.
    pub fn read(&mut self, now_ns: u64, block: &mut [f32; BLOCK]) -> Mark {
        let mut room = self.card.room();
        let count = |since: u64| now_ns.saturating_sub(since) as f64 / 1e9 * self.rate;
        let over = count(self.since_ns) - self.read as f64 - MICROPHONE_STORE as f64;
        let mut broke_at = None;
        if over > 0.0 {
            // All that it stores is lost.
            let lost = over as u64 + MICROPHONE_STORE - BLOCK as u64;
            (0..lost).for_each(|_| room.0.record(&mut [0.0]));
            self.since_ns += (lost as f64 / self.rate * 1e9) as u64;
            broke_at = Some(self.read);
        }
        room.0.record(block);
        self.read += BLOCK as u64;
        Mark { count: count(self.since_ns), at_ns: now_ns, broke_at }
    }
}

/// The speaker of a card; without one a clock alone.
#[derive(Debug)]
pub struct Speaker {
    card: Option<Arc<Card>>,
    /// When its first sample was, had there been no silence.
    since_ns: u64,
    written: u64,
    broke_at: Option<u64>,
}

impl Speaker {
    /// Opens it at a time.
    #[must_use]
    pub fn open(card: Option<Arc<Card>>, now_ns: u64) -> Self {
        Self { card, since_ns: now_ns, written: 0, broke_at: None }
    }

    /// When it has room for the next 10 ms.
    #[must_use]
    pub fn due_ns(&self) -> u64 {
        let due = (self.written + BLOCK as u64).saturating_sub(SPEAKER_STORE);
        self.since_ns + due * 1_000_000_000 / RATE as u64
    }

    /// Writes them.
    pub fn write(&mut self, now_ns: u64, block: &[f32; BLOCK]) {
        let dry_ns = self.since_ns + self.written * 1_000_000_000 / RATE as u64;
        if now_ns > dry_ns {
            self.since_ns += now_ns - dry_ns;
            self.broke_at = Some(self.written);
        }
        if let Some(card) = &self.card {
            let mut room = card.room();
            let between = (i128::from(self.since_ns) - i128::from(room.1)) * RATE as i128 / 1_000_000_000;
            // What is played while nobody listens is heard by nobody.
            if let Ok(at) = u64::try_from(between + i128::from(self.written)) {
                room.0.play(at, block);
            }
        }
        self.written += BLOCK as u64;
    }

    /// Where it is.
    pub fn mark(&mut self, now_ns: u64) -> Mark {
        let count = now_ns.saturating_sub(self.since_ns) as f64 * RATE as f64 / 1e9;
        Mark { count, at_ns: now_ns, broke_at: self.broke_at.take() }
    }
}

/// Reads a WAV file of 16 bits, one channel, 48 kHz.
fn speech(path: &str) -> Result<Vec<f32>> {
    const LARGEST: u64 = 64 << 20;
    let wrong = || format!("[sound.room] speech = {path:?}");
    let size = std::fs::metadata(path).map_err(|error| anyhow::anyhow!("{}: {error}", wrong()))?.len();
    if size > LARGEST {
        bail!("{}: larger than {} MiB", wrong(), LARGEST >> 20);
    }
    let bytes = std::fs::read(path).map_err(|error| anyhow::anyhow!("{}: {error}", wrong()))?;
    let mut chunks = bytes.get(12..).unwrap_or_default();
    let mut right = false;
    // RIFF: a name of four letters, a length, and what it says, padded to an even length.
    while let (Some(name), Some(length)) = (chunks.get(..4), chunks.get(4..8)) {
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let body = &chunks[8..chunks.len().min(8 + length)];
        if name == b"fmt " && body.len() >= 16 {
            // PCM, one channel; 48,000 samples; 16 bits.
            right =
                body[..4] == [1, 0, 1, 0] && body[4..8] == 48_000u32.to_le_bytes() && body[14..16] == [16, 0];
        } else if name == b"data" && right {
            return Ok(body
                .chunks_exact(2)
                .map(|two| f32::from(i16::from_le_bytes([two[0], two[1]])) / 32768.0)
                .collect());
        }
        chunks = chunks.get(8 + length + length % 2..).unwrap_or_default();
    }
    bail!("{} is no WAV file of 16 bits, one channel, 48 kHz", wrong());
}

/// Numbers that look random and are the same each time: xorshift64*.
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn uniform(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1u32 << 24) as f32
    }

    /// About normal, of variance 1: the sum of twelve.
    pub(super) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}
