//! Where a sound card's clock stands against the system's: crystals differ, by up to a thousandth on cheap cards.

/// How long an observation counts: its weight falls to a third in this time.
const MEMORY_S: f64 = 10.0;
/// The weight, in seconds squared, of the belief that a card runs as fast as it says.
const BELIEF: f64 = 0.5;
/// No crystal is as wrong as this; what says so is.
const WRONGEST: f64 = 2e-3;
/// An observation so far off is a break: an overrun, a suspended machine.
const BREAK_S: f64 = 0.03;
const NANOS: f64 = 1e9;

/// Where a card's clock stands: a count of its own samples, and the system's time.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// Samples.
    pub count: f64,
    /// CLOCK_MONOTONIC.
    pub at_ns: u64,
    /// After how many samples the card broke off, if it did since the mark before: somebody came too late, and it lost
    /// sound, or played none.
    pub broke_at: Option<u64>,
}

/// A straight line through pairs of a card's sample count and the system's time, the newest weighing most.
#[derive(Clone, Debug)]
pub struct Pace {
    nominal: f64,
    /// Samples a second beside the nominal ones, as they were before a break.
    believed: f64,
    newest_ns: u64,
    weight: f64,
    /// Sums over observations: time before the newest, in seconds; sample beside the nominal line; products.
    time: f64,
    beside: f64,
    time_time: f64,
    time_beside: f64,
    /// The count at `newest_ns` on the nominal line.
    base: f64,
}

impl Pace {
    /// A card of `rate` samples a second, of which nothing was seen yet.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self {
            nominal: rate,
            believed: 0.0,
            newest_ns: 0,
            weight: 0.0,
            time: 0.0,
            beside: 0.0,
            time_time: 0.0,
            time_beside: 0.0,
            base: 0.0,
        }
    }

    /// The card was at sample `count` at `at_ns`; whether that fits what was seen before.
    pub fn observe(&mut self, count: f64, at_ns: u64) -> bool {
        let fits = self.weight == 0.0 || (self.count_at(at_ns) - count).abs() < BREAK_S * self.nominal;
        if self.weight == 0.0 || !fits {
            let believed = self.line().0;
            *self = Self { believed, newest_ns: at_ns, weight: 1.0, base: count, ..Self::new(self.nominal) };
            return fits;
        }
        let passed = at_ns.saturating_sub(self.newest_ns) as f64 / NANOS;
        // The origin moves to the newest time: every older one lies further back.
        self.time_time += passed * (passed * self.weight - 2.0 * self.time);
        self.time_beside -= passed * self.beside;
        self.time -= passed * self.weight;
        self.newest_ns = self.newest_ns.max(at_ns);
        self.base += passed * self.nominal;
        let fade = (-passed / MEMORY_S).exp();
        for sum in
            [&mut self.weight, &mut self.time, &mut self.beside, &mut self.time_time, &mut self.time_beside]
        {
            *sum *= fade;
        }
        self.weight += 1.0;
        self.beside += count - self.base;
        true
    }

    /// Samples a second beside the nominal ones, and the line's height now.
    fn line(&self) -> (f64, f64) {
        if self.weight == 0.0 {
            return (0.0, 0.0);
        }
        let spread = self.time_time - self.time * self.time / self.weight;
        let belief = BELIEF * self.weight.min(100.0);
        let slope = (self.time_beside - self.time * self.beside / self.weight + belief * self.believed)
            / (spread + belief);
        let slope = slope.clamp(-WRONGEST * self.nominal, WRONGEST * self.nominal);
        (slope, (self.beside - slope * self.time) / self.weight)
    }

    /// Samples a second, by the system's clock.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.nominal + self.line().0
    }

    /// Whether anything was observed.
    #[must_use]
    pub fn known(&self) -> bool {
        self.weight > 0.0
    }

    /// The card's sample at a time.
    #[must_use]
    pub fn count_at(&self, at_ns: u64) -> f64 {
        let (slope, height) = self.line();
        self.base + height + (at_ns as f64 - self.newest_ns as f64) / NANOS * (self.nominal + slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_a_thousandth_fast_is_known_within_ten_seconds_however_late_it_was_looked_at() {
        for ppm in [-1000.0, -100.0, 0.0, 100.0, 1000.0] {
            let rate = 48_000.0 * (1.0 + ppm * 1e-6);
            let mut pace = Pace::new(48_000.0);
            for step in 0..1000u64 {
                // A scheduler that is up to 2 ms late.
                let at = step * 10_000_000;
                let seen = at + (step * 7919 % 2001) * 1000;
                assert!(pace.observe(at as f64 / NANOS * rate, seen));
            }
            let found = (pace.rate() / 48_000.0 - 1.0) * 1e6;
            assert!((found - ppm).abs() < 40.0, "{ppm} ppm found as {found:.1}");
            let off = pace.count_at(10_000_000_000) - 10.0 * rate;
            assert!(off.abs() < 100.0, "{ppm} ppm: {off} samples off");
        }
    }

    #[test]
    fn a_break_starts_anew_and_the_crystal_is_still_known() {
        let mut pace = Pace::new(48_000.0);
        for step in 0..3000u64 {
            pace.observe(step as f64 * 480.048, step * 10_000_000);
        }
        assert!(!pace.observe(100_000.0, 30_000_000_000));
        assert!((pace.count_at(30_000_000_000) - 100_000.0).abs() < 1e-6);
        let found = (pace.rate() / 48_000.0 - 1.0) * 1e6;
        assert!((found - 100.0).abs() < 5.0, "{found:.1} ppm");
    }
}
