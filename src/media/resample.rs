//! Changes the rate of sound: from one card's rate to another's, and by the few parts in a million that two crystals
//! differ.

use std::collections::VecDeque;

/// Samples on either side that an output sample is made of.
const REACH: usize = 16;
/// Positions between two samples for which the filter is tabulated; between those it is interpolated.
const PHASES: usize = 128;
/// Shape of the Kaiser window: about 80 dB of stop band.
const BETA: f64 = 8.0;

/// A windowed-sinc interpolator that can be asked for any position between its input's samples, in rising order.
#[derive(Debug)]
pub struct Resampler {
    table: Vec<[f32; 2 * REACH]>,
    waiting: VecDeque<f32>,
    /// Where the next output lies, in input samples behind `waiting[REACH - 1]`.
    position: f64,
}

impl Resampler {
    /// For steps of about `step` input samples for each output sample.
    #[must_use]
    pub fn new(step: f64) -> Self {
        // Of half the lower of both rates, what the filter's slope leaves.
        let pass = 0.92 / step.max(1.0);
        let mut table = vec![[0.0; 2 * REACH]; PHASES + 1];
        for (phase, taps) in table.iter_mut().enumerate() {
            let part = phase as f64 / PHASES as f64;
            for (index, tap) in taps.iter_mut().enumerate() {
                let x = index as f64 - (REACH - 1) as f64 - part;
                let sinc = if x == 0.0 {
                    1.0
                } else {
                    (std::f64::consts::PI * x * pass).sin() / (std::f64::consts::PI * x * pass)
                };
                let edge = (x / REACH as f64).clamp(-1.0, 1.0);
                let window = bessel(BETA * (1.0 - edge * edge).sqrt()) / bessel(BETA);
                *tap = (pass * sinc * window) as f32;
            }
            // Steady sound keeps its level at every phase.
            let sum: f32 = taps.iter().sum();
            taps.iter_mut().for_each(|tap| *tap /= sum);
        }
        let mut new = Self { table, waiting: VecDeque::new(), position: 0.0 };
        new.clear();
        new
    }

    /// Forgets its input; the next input sample is the next position again.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.waiting.extend([0.0; REACH - 1]);
        self.position = 0.0;
    }

    /// Takes input.
    pub fn push(&mut self, samples: impl IntoIterator<Item = f32>) {
        self.waiting.extend(samples);
    }

    /// Puts silence before the newest `ago` samples, or before all that was not passed by.
    pub fn silence(&mut self, samples: usize, ago: usize) {
        let passed = (self.position as usize + REACH - 1).min(self.waiting.len());
        let place = self.waiting.len().saturating_sub(ago).max(passed);
        let newest = self.waiting.split_off(place);
        self.waiting.extend(std::iter::repeat_n(0.0, samples));
        self.waiting.extend(newest);
    }

    /// Input samples not yet passed by.
    #[must_use]
    pub fn ahead(&self) -> f64 {
        self.waiting.len() as f64 - (REACH - 1) as f64 - self.position
    }

    /// Goes forward, or back as far as it still holds sound, without output.
    pub fn skip(&mut self, samples: f64) {
        self.position = (self.position + samples).max(0.0);
        let whole = (self.position as usize).min(self.waiting.len().saturating_sub(REACH - 1));
        self.waiting.drain(..whole);
        self.position -= whole as f64;
    }

    /// Input it must hold beyond the position of an output.
    pub const LOOKS_AHEAD: f64 = REACH as f64 + 2.0;

    /// The sample at its position, which then moves on by `step`; `None` while too little input is there.
    pub fn next(&mut self, step: f64) -> Option<f32> {
        let whole = self.position as usize;
        if self.waiting.len() < whole + 2 * REACH {
            return None;
        }
        self.waiting.drain(..whole);
        self.position -= whole as f64;
        let place = self.position * PHASES as f64;
        let phase = place as usize;
        let part = (place - phase as f64) as f32;
        let (low, high) = (&self.table[phase], &self.table[phase + 1]);
        let mut sum = 0.0;
        for (index, sample) in self.waiting.iter().take(2 * REACH).enumerate() {
            sum += sample * (low[index] + part * (high[index] - low[index]));
        }
        self.position += step;
        Some(sum)
    }
}

/// The modified Bessel function of order 0, by its power series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far below the tone everything else is, dB, after a change of rate.
    fn purity(hz: f64, from: f64, to: f64) -> f64 {
        let wave = |n: f64, rate: f64| (n * hz / rate * std::f64::consts::TAU).sin();
        let mut resampler = Resampler::new(from / to);
        resampler.push((0..from as usize).map(|n| wave(n as f64, from) as f32));
        let (mut error, mut power) = (0.0, 0.0);
        let mut index = 0.0;
        while let Some(sample) = resampler.next(from / to) {
            // The first samples reach into nothing.
            if index > 100.0 {
                let right = wave(index, to);
                error += (f64::from(sample) - right).powi(2);
                power += right.powi(2);
            }
            index += 1.0;
        }
        assert!(index > to - 100.0, "{index} samples of {to}");
        10.0 * (power / error).log10()
    }

    #[test]
    fn a_tone_keeps_its_place_and_shape_at_every_rate_of_cards() {
        for (from, to) in
            [(48_000.0, 44_100.0), (44_100.0, 48_000.0), (48_000.0, 48_004.8), (16_000.0, 48_000.0)]
        {
            for hz in [300.0, 1000.0, 3400.0] {
                let purity = purity(hz, from, to);
                assert!(purity > 55.0, "{hz} Hz from {from} to {to}: {purity:.1} dB");
            }
        }
    }
}
