//! Sound of one clock, read on another: a card's samples go in as they come, and come out by the system's time.
//!
//! The microphone's sound crosses one bridge, what the speaker plays another. So both, and the echo canceller between
//! them, and the far end, live on the system's clock, whatever the crystals of two cards do.

use super::pace::{Mark, Pace};
use super::resample::Resampler;
use super::stats::RATE;

/// How fast a small error of place is made good: a hundredth of it in each 10 ms.
const PULL: f64 = 0.01;
/// The pitch is never bent more than this.
const BEND: f64 = 1e-3;
/// An error of place that is not mended by bending but jumped over, seconds: an echo canceller finds its echo again
/// sooner after a jump than while it moves. Less than a block of 10 ms, so that one that was not read is jumped over.
const JUMP_S: f64 = 0.005;
/// What is kept of sound that nobody reads, seconds, and the longest loss for which there is silence instead.
const KEEP_S: f64 = 1.0;

/// A bridge from a card's clock to the system's, 48 kHz behind it.
#[derive(Debug)]
pub struct Bridge {
    rate: f64,
    pace: Pace,
    resampler: Resampler,
    /// Samples that went in, silence for lost ones too.
    taken: f64,
    /// Those that were lost.
    lost: f64,
    started: bool,
}

impl Bridge {
    /// From a card of `rate` samples a second.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self {
            rate,
            pace: Pace::new(rate),
            resampler: Resampler::new(rate / RATE as f64),
            taken: 0.0,
            lost: 0.0,
            started: false,
        }
    }

    /// Takes the card's next samples.
    pub fn push(&mut self, samples: impl ExactSizeIterator<Item = f32>) {
        self.taken += samples.len() as f64;
        self.resampler.push(samples);
        let over = self.resampler.ahead() - KEEP_S * self.rate;
        if over > 0.0 {
            self.resampler.skip(over);
        }
    }

    /// The card says where it is, counting as in [`Self::push`]. If it broke off there is silence in that place, so
    /// that what came before and what came after are both in theirs.
    pub fn observe(&mut self, mark: Mark) {
        if let Some(given) = mark.broke_at
            && self.pace.known()
        {
            let gap = (self.pace.count_at(mark.at_ns) - mark.count - self.lost).round();
            if gap > 0.0 && gap < KEEP_S * self.rate {
                let since = (self.taken - self.lost - given as f64).max(0.0);
                self.resampler.silence(gap as usize, since as usize);
                self.taken += gap;
                self.lost += gap;
            }
        }
        self.pace.observe(mark.count + self.lost, mark.at_ns);
    }

    /// When the next sample that would be read was, or will be, at the card; `None` before anything was observed.
    #[must_use]
    pub fn next_ns(&self) -> Option<u64> {
        if !self.pace.known() {
            return None;
        }
        // The line is straight: a step of Newton's from anywhere hits.
        let near = self.pace.count_at(0);
        Some(((self.taken - self.resampler.ahead() - near) / self.pace.rate() * 1e9).max(0.0) as u64)
    }

    /// Reads the sound from `at_ns` on, 48,000 samples for each second of the system's clock; `false` while it is not
    /// all there. Before its first sample there is silence.
    pub fn read(&mut self, at_ns: u64, out: &mut [f32]) -> bool {
        if !self.pace.known() {
            return false;
        }
        let natural = self.pace.rate() / RATE as f64;
        let right = self.pace.count_at(at_ns);
        let off = right - (self.taken - self.resampler.ahead());
        let jumps = !self.started || off.abs() > JUMP_S * self.rate;
        let pull = if jumps { 0.0 } else { off * PULL / out.len() as f64 };
        let step = natural + pull.clamp(-BEND * natural, BEND * natural);
        let there = self.resampler.ahead() - if jumps { off } else { 0.0 };
        if there < step * out.len() as f64 + Resampler::LOOKS_AHEAD {
            return false;
        }
        let mut sound = out;
        if jumps {
            self.resampler.skip(off);
            // What was before that is not there any more, or never was.
            let before = ((self.taken - self.resampler.ahead() - right) / natural).round().max(0.0);
            let (silence, rest) = sound.split_at_mut((before as usize).min(sound.len()));
            silence.fill(0.0);
            self.started = !rest.is_empty();
            sound = rest;
        }
        for sample in sound {
            *sample = self.resampler.next(step).unwrap_or_default();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a card against the system's clock for `seconds`; how far the sound was out of place at the end, samples.
    fn out_of_place(rate: f64, ppm: f64, seconds: u64) -> f64 {
        let real = rate * (1.0 + ppm * 1e-6);
        let mut bridge = Bridge::new(rate);
        let (mut given, mut read_ns, mut worst) = (0u64, 0, 0f64);
        let mut out = [0.0; 480];
        for tick in 1..=seconds * 100 {
            let now = tick * 10_000_000;
            let due = (now as f64 / 1e9 * real) as u64;
            // A ramp in time that a wrong place shows in: a slow tone of 10 Hz.
            let wave = |n: u64| (n as f64 / real * 10.0 * std::f64::consts::TAU).sin() as f32;
            bridge.push((given..due).map(wave).collect::<Vec<_>>().into_iter());
            given = due;
            let at_ns = now + tick * 7919 % 1001 * 1000;
            bridge.observe(Mark { count: due as f64, at_ns, broke_at: None });
            while bridge.read(read_ns, &mut out) {
                if tick > 500 {
                    let right = (read_ns as f64 / 1e9 * 10.0 * std::f64::consts::TAU).sin() as f32;
                    // The tone's steepest slope is 2 pi 10 / 48000 a sample.
                    worst = worst
                        .max(f64::from((out[0] - right).abs()) / (std::f64::consts::TAU * 10.0 / 48_000.0));
                }
                read_ns += 10_000_000;
            }
        }
        let behind = seconds * 1_000_000_000 - read_ns;
        assert!(behind < 40_000_000, "{} ms behind", behind / 1_000_000);
        worst
    }

    #[test]
    fn two_crystals_that_differ_never_part_and_nothing_clicks() {
        for (rate, ppm) in [(48_000.0, 100.0), (48_000.0, -1000.0), (44_100.0, 100.0), (16_000.0, 0.0)] {
            let worst = out_of_place(rate, ppm, 60);
            // 1 ms of scheduling, averaged, and no more.
            assert!(worst < 80.0, "{rate} Hz {ppm} ppm: {worst:.1} samples out of place");
        }
    }

    /// A card of 48 kHz that counts its samples from 1 and starts at 1 s; the bridge, after `seconds` of it.
    fn counting(seconds: u64, breaks: impl Fn(u64) -> Option<u64>) -> Bridge {
        let mut bridge = Bridge::new(48_000.0);
        let mut late_ns = 0;
        for block in 0..seconds * 100 {
            let broke = breaks(block);
            late_ns += broke.unwrap_or(0);
            bridge.push((1..=480u16).map(|n| (block * 480) as f32 + f32::from(n)));
            bridge.observe(Mark {
                count: ((block + 1) * 480) as f64,
                at_ns: 1_000_000_000 + late_ns + (block + 1) * 10_000_000,
                broke_at: broke.map(|_| block * 480),
            });
        }
        bridge
    }

    /// Reads a block at a time, ms.
    fn read(bridge: &mut Bridge, at_ms: u64) -> [f32; 480] {
        let mut out = [-1.0; 480];
        assert!(bridge.read(at_ms * 1_000_000, &mut out), "{at_ms} ms");
        out
    }

    #[test]
    fn before_its_first_sample_a_card_is_silent_and_then_at_once_in_its_place() {
        let mut bridge = counting(1, |_| None);
        assert_eq!(read(&mut bridge, 985), [0.0; 480]);
        let begins = read(&mut bridge, 995);
        assert!(begins[..238].iter().all(|sample| *sample == 0.0));
        let next = read(&mut bridge, 1005);
        assert!((next[100] - 341.0).abs() < 2.0, "{}", next[100]);
    }

    #[test]
    fn a_block_that_nobody_read_is_jumped_over_and_the_next_is_in_its_place() {
        let mut bridge = counting(1, |_| None);
        read(&mut bridge, 1100);
        let next = read(&mut bridge, 1120);
        assert!((next[100] - (120.0 * 48.0 + 101.0)).abs() < 2.0, "{}", next[100]);
    }

    #[test]
    fn what_a_card_lost_is_silence_and_what_came_before_and_after_is_in_its_place() {
        // 20 ms are lost after half a second.
        let mut bridge = counting(1, |block| (block == 50).then_some(20_000_000));
        let before = read(&mut bridge, 1480);
        assert!((before[100] - (480.0 * 48.0 + 101.0)).abs() < 2.0, "{}", before[100]);
        read(&mut bridge, 1490);
        assert!(read(&mut bridge, 1500)[40..].iter().all(|sample| sample.abs() < 2.0));
        read(&mut bridge, 1510);
        let after = read(&mut bridge, 1520);
        assert!((after[100] - (500.0 * 48.0 + 101.0)).abs() < 2.0, "{}", after[100]);
    }
}
