//! Waiting longer after each failure, never in step with the other kiosks.

use std::time::Duration;

/// Scatters waits. Seeded from outside, so the machine itself stays deterministic.
#[derive(Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        // Spread over all bits: seeds may be small numbers, and xorshift wants none to be 0.
        Self((seed | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A duration between half of `of` and all of it.
    pub(crate) fn scatter(&mut self, of: Duration) -> Duration {
        // xorshift64: plenty for spreading retries, and nothing secret depends on it.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let half = of / 2;
        half + half.mul_f64((self.0 >> 11) as f64 / (1u64 << 53) as f64)
    }

    /// How long to wait after the `failures`th failure in a row: doubling from `first`, never above `most`.
    pub(crate) fn backoff(&mut self, failures: u32, first: Duration, most: Duration) -> Duration {
        let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16));
        self.scatter(doubled.min(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_are_scattered_by_half() {
        let mut jitter = Jitter::new(7);
        for (failures, most) in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0), (900, 10.0)] {
            let wait =
                jitter.backoff(failures, Duration::from_secs(1), Duration::from_secs(10)).as_secs_f64();
            assert!(wait >= most / 2.0 && wait <= most, "{failures}: {wait}");
        }
        assert_ne!(
            Jitter::new(2).scatter(Duration::from_secs(1)),
            Jitter::new(9).scatter(Duration::from_secs(1))
        );
    }
}
