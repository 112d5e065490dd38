//! Sound of one clock, read on another: a card's samples go in as they come, and come out by the system's time.
//!
//! The microphone's sound crosses one bridge, what the speaker plays another. So both, and the echo canceller between
//! them, and the far end, live on the system's clock, whatever the crystals of two cards do.

use super::pace::Pace;
use super::resample::Resampler;
use super::stats::RATE;

/// How fast a small error of place is made good: a hundredth of it in each 10 ms.
const PULL: f64 = 0.01;
/// The pitch is never bent more than this, and beyond what it mends in a while, the place jumps.
const BEND: f64 = 1e-3;
/// An error of place that jumps, seconds.
const JUMP_S: f64 = 0.02;
/// What is kept of sound that nobody reads, seconds.
const KEEP_S: f64 = 1.0;

/// A bridge from a card's clock to the system's, 48 kHz behind it.
#[derive(Debug)]
pub struct Bridge {
    rate: f64,
    pace: Pace,
    resampler: Resampler,
    /// Samples that went in.
    taken: f64,
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

    /// The card was at sample `count`, counted as in [`Self::push`], at `at_ns`.
    pub fn observe(&mut self, count: f64, at_ns: u64) {
        self.pace.observe(count, at_ns);
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

    /// The card's rate by the system's clock, parts in a million beside the nominal one.
    #[must_use]
    pub fn ppm(&self) -> f64 {
        (self.pace.rate() / self.rate - 1.0) * 1e6
    }

    /// Reads the sound from `at_ns` on, 48,000 samples for each second of the system's clock; `false` while it is not
    /// all there.
    pub fn read(&mut self, at_ns: u64, out: &mut [f32]) -> bool {
        if !self.pace.known() {
            return false;
        }
        let right = self.pace.count_at(at_ns);
        let mut place = self.taken - self.resampler.ahead();
        if !self.started || (right - place).abs() > JUMP_S * self.rate {
            self.resampler.skip(right - place);
            place = self.taken - self.resampler.ahead();
            self.started = true;
        }
        let natural = self.pace.rate() / RATE as f64;
        let pull = ((right - place) * PULL / out.len() as f64).clamp(-BEND * natural, BEND * natural);
        let step = natural + pull;
        if self.resampler.ahead() < step * out.len() as f64 + Resampler::LOOKS_AHEAD {
            return false;
        }
        for sample in out {
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
            bridge.observe(due as f64, now + tick * 7919 % 1001 * 1000);
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
}
