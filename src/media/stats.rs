//! What is measured, and where: behind the encoder, behind the decoder, at the speaker.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::mark;
use super::protocol::{Marks, Player, SessionId};
use super::timebase::monotonic_ms;

/// Progress of capture, encoder, publish session and screen, counted where it happens.
#[derive(Debug, Default)]
pub struct Counters {
    /// Frames the camera gave.
    pub captured: AtomicU64,
    /// Frames handed to the encoder.
    pub fed: AtomicU64,
    /// Frames that left the encoder.
    pub encoded: AtomicU64,
    /// Bytes that left the encoder.
    pub encoded_bytes: AtomicU64,
    /// Frames that left the encoder without reference to others.
    pub intra: AtomicU64,
    /// Key frames the encoder was asked for.
    pub asked: AtomicU64,
    /// Frames handed to RTP while connected.
    pub sent: AtomicU64,
    /// Frames of members handed to a decoder.
    pub received: AtomicU64,
    /// Frames that left one.
    pub decoded: AtomicU64,
    /// Frames handed to the screen.
    pub drawn: AtomicU64,
    /// Whether media is to be sent.
    pub sending: AtomicBool,
}

/// Ages kept for the percentiles.
const AGES: usize = 300;
/// Every how many pixels one is looked at to see whether a picture changed.
const SPARSE: usize = 16;

/// Measures the decoded pictures of one member.
#[derive(Debug, Default)]
pub struct Watch {
    shown: u64,
    changed: u64,
    last_ms: u64,
    longest_gap_ms: u64,
    sum: u64,
    marks: Option<Marks>,
    ages: VecDeque<u32>,
}

impl Watch {
    /// Looks at a decoded frame's luma.
    pub fn frame(&mut self, luma: &[u8], stride: usize, width: usize, height: usize) {
        self.shown += 1;
        let now = monotonic_ms();
        if self.shown > 1 {
            self.longest_gap_ms = self.longest_gap_ms.max(now.saturating_sub(self.last_ms));
        }
        self.last_ms = now;
        let sum = sparse_sum(luma, stride, width, height);
        self.changed += u64::from(self.shown == 1 || sum != self.sum);
        self.sum = sum;
        if let Some(mark) = mark::read(luma, stride, width, height) {
            self.mark(mark, now);
        }
    }

    fn mark(&mut self, mark: mark::Mark, now_ms: u64) {
        let marks = self.marks.get_or_insert_with(|| Marks {
            first: mark.counter,
            first_at_ms: now_ms,
            ..Marks::default()
        });
        if marks.distinct > 0 && mark.counter <= marks.last {
            marks.out_of_order += 1;
        } else {
            marks.distinct += 1;
        }
        marks.last = mark.counter;
        if self.ages.len() == AGES {
            self.ages.pop_front();
        }
        self.ages.push_back((now_ms as u32).wrapping_sub(mark.time_ms));
    }

    /// Writes what was seen into a report.
    pub fn report(&self, player: &mut Player) {
        player.frames_shown = self.shown;
        player.frames_changed = self.changed;
        player.longest_gap_ms = self.longest_gap_ms;
        player.mark = self.marks.clone().map(|mut marks| {
            let mut ages: Vec<u32> = self.ages.iter().copied().collect();
            ages.sort_unstable();
            let at = |percent: usize| ages.get(ages.len().saturating_sub(1) * percent / 100).copied();
            marks.age_p50_ms = at(50).map_or(0.0, f64::from);
            marks.age_p95_ms = at(95).map_or(0.0, f64::from);
            marks
        });
    }
}

/// A sum over a sparse grid of luma that any visible change alters: FNV-1a.
fn sparse_sum(luma: &[u8], stride: usize, width: usize, height: usize) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325u64;
    for y in (SPARSE / 2..height).step_by(SPARSE) {
        let Some(row) = luma.get(y * stride..y * stride + width) else { break };
        for pixel in row.iter().skip(SPARSE / 2).step_by(SPARSE) {
            sum = (sum ^ u64::from(*pixel)).wrapping_mul(0x100_0000_01b3);
        }
    }
    sum
}

/// The rate of decoded sound.
pub const RATE: usize = 48_000;
/// Every how many samples one is kept for the spectrum: up to 6 kHz.
const DECIMATE: usize = 4;
/// Points of the spectrum: 0.68 s.
const POINTS: usize = 8192;
/// Quieter than this is silence, dBFS.
const LOUD: f64 = -45.0;

/// Measures the decoded sound of one member: mono, 48 kHz.
#[derive(Debug, Default)]
pub struct Meter {
    samples: u64,
    loud: u64,
    energy: f64,
    energy_of: u64,
    thinned: VecDeque<f32>,
    rest: (i32, usize),
}

impl Meter {
    /// Listens to a piece of sound.
    pub fn sound(&mut self, samples: &[i16]) {
        if samples.is_empty() {
            return;
        }
        let energy: f64 = samples.iter().map(|sample| f64::from(*sample) * f64::from(*sample)).sum();
        self.samples += samples.len() as u64;
        if decibels(energy / samples.len() as f64) > LOUD {
            self.loud += samples.len() as u64;
        }
        self.energy += energy;
        self.energy_of += samples.len() as u64;
        for sample in samples {
            self.rest.0 += i32::from(*sample);
            self.rest.1 += 1;
            if self.rest.1 == DECIMATE {
                if self.thinned.len() == POINTS {
                    self.thinned.pop_front();
                }
                self.thinned.push_back(self.rest.0 as f32);
                self.rest = (0, 0);
            }
        }
    }

    /// Writes what was heard into a report and starts the next second.
    pub fn report(&mut self, player: &mut Player) {
        let milliseconds = |samples: u64| samples * 1000 / RATE as u64;
        player.audio_ms = milliseconds(self.samples);
        player.audio_loud_ms = milliseconds(self.loud);
        player.audio_dbfs =
            if self.energy_of == 0 { SILENCE } else { decibels(self.energy / self.energy_of as f64) };
        player.audio_hz = if player.audio_dbfs > LOUD { self.strongest() } else { 0.0 };
        (self.energy, self.energy_of) = (0.0, 0);
    }

    fn strongest(&self) -> f64 {
        let mut wave: Vec<(f32, f32)> = self.thinned.iter().map(|sample| (*sample, 0.0)).collect();
        let filled = wave.len();
        for (index, point) in wave.iter_mut().enumerate() {
            let window = 0.5 - 0.5 * (std::f32::consts::TAU * index as f32 / filled as f32).cos();
            point.0 *= window;
        }
        wave.resize(POINTS, (0.0, 0.0));
        transform(&mut wave);
        let power = |index: usize| f64::from(wave[index].0).hypot(f64::from(wave[index].1));
        let resolution = RATE as f64 / DECIMATE as f64 / POINTS as f64;
        // Below 50 Hz is hum and offset.
        let lowest = (50.0 / resolution) as usize;
        let Some(peak) = (lowest..POINTS / 2 - 1).max_by(|a, b| power(*a).total_cmp(&power(*b))) else {
            return 0.0;
        };
        let (left, middle, right) = (power(peak - 1), power(peak), power(peak + 1));
        let bend = left - 2.0 * middle + right;
        let shift = if bend == 0.0 { 0.0 } else { 0.5 * (left - right) / bend };
        (peak as f64 + shift) * resolution
    }
}

/// What is reported for no sound at all, dBFS.
const SILENCE: f64 = -120.0;

fn decibels(mean_square: f64) -> f64 {
    (10.0 * (mean_square / (32768.0 * 32768.0)).max(1e-12).log10()).max(SILENCE)
}

/// Fourier transform in place; the length is a power of two.
fn transform(wave: &mut [(f32, f32)]) {
    let length = wave.len();
    let bits = length.trailing_zeros();
    for index in 0..length {
        let mirror = index.reverse_bits() >> (usize::BITS - bits);
        if index < mirror {
            wave.swap(index, mirror);
        }
    }
    let mut half = 1;
    while half < length {
        let turn = -std::f64::consts::PI / half as f64;
        for offset in 0..half {
            let (sin, cos) = (turn * offset as f64).sin_cos();
            let (sin, cos) = (sin as f32, cos as f32);
            for start in (offset..length).step_by(2 * half) {
                let (a, b) = (wave[start], wave[start + half]);
                let b = (b.0 * cos - b.1 * sin, b.0 * sin + b.1 * cos);
                wave[start] = (a.0 + b.0, a.1 + b.1);
                wave[start + half] = (a.0 - b.0, a.1 - b.1);
            }
        }
        half *= 2;
    }
}

/// A report on a session nothing is known of yet.
#[must_use]
pub fn blank(session: SessionId, user_id: &str) -> Player {
    Player { session, user_id: user_id.to_owned(), audio_dbfs: SILENCE, ..Player::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, level: f64, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| ((n as f64 * hz / RATE as f64 * std::f64::consts::TAU).sin() * level * 32767.0) as i16)
            .collect()
    }

    fn heard(pieces: &[Vec<i16>]) -> Player {
        let (mut meter, mut player) = (Meter::default(), Player::default());
        for piece in pieces {
            meter.sound(piece);
        }
        meter.report(&mut player);
        player
    }

    #[test]
    fn a_tone_is_measured_in_pitch_and_level() {
        for hz in [100.0, 440.0, 1000.0, 3150.0] {
            let player = heard(&[tone(hz, 0.25, RATE)]);
            assert!((player.audio_hz - hz).abs() < 2.0, "{hz} heard as {}", player.audio_hz);
            assert!((player.audio_dbfs - -15.05).abs() < 0.5, "{}", player.audio_dbfs);
            assert_eq!((player.audio_ms, player.audio_loud_ms), (1000, 1000));
        }
    }

    #[test]
    fn silence_has_no_pitch_and_counts_as_sound_but_not_as_loud() {
        let player = heard(&[vec![0; RATE]]);
        assert_eq!((player.audio_ms, player.audio_loud_ms, player.audio_hz), (1000, 0, 0.0));
    }

    #[test]
    fn marks_are_counted_once_and_disorder_is_told() {
        let mut watch = Watch::default();
        for (counter, age) in [(10, 20), (11, 30), (11, 30), (13, 40), (12, 50)] {
            watch.mark(mark::Mark { counter, time_ms: 1000 - age }, 1000);
        }
        let mut player = Player::default();
        watch.report(&mut player);
        let marks = player.mark.expect("marks");
        assert_eq!((marks.distinct, marks.out_of_order, marks.first), (3, 2, 10));
        assert_eq!((marks.age_p50_ms, marks.age_p95_ms), (30.0, 40.0));
    }

    #[test]
    fn a_frame_that_did_not_change_is_not_counted_as_changed() {
        let mut watch = Watch::default();
        let mut luma = vec![50; 640 * 480];
        for _ in 0..3 {
            watch.frame(&luma, 640, 640, 480);
        }
        luma[8 * 640 + 24] = 60;
        watch.frame(&luma, 640, 640, 480);
        let mut player = Player::default();
        watch.report(&mut player);
        assert_eq!((player.frames_shown, player.frames_changed, player.mark), (4, 2, None));
    }
}
