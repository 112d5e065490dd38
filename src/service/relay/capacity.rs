//! What a player's way can carry, guessed once a second from what its feedback says.
//!
//! The relay neither transcodes nor thins out: a player on a slow line can only be helped by its publisher. So each player has a limit, and the
//! publisher is told the smallest of them (REMB). This is deliberately coarser than the estimators at the ends, and it costs one event a second.

use std::time::Duration;

/// Loss below this is the air, above it a queue that is full (as in GCC's loss controller).
const LOSS_BAD: f64 = 0.10;
const LOSS_GOOD: f64 = 0.03;
/// Loss above this means that what arrives is what fits.
const LOSS_FLOOD: f64 = 0.30;
/// A round trip that is this much longer than the shortest waits in a queue.
const QUEUE_BAD: Duration = Duration::from_millis(250);
/// Less than this is no picture any more.
const FLOOR: f64 = 150_000.0;
/// A limit this far above what is sent limits nothing.
const LOOSE: f64 = 2.5;

/// One player's limit.
#[derive(Debug, Default)]
pub(super) struct Capacity {
    limit: Option<f64>,
    shortest: Option<Duration>,
    /// Seconds until the publisher can have followed the last step down.
    settling: u32,
}

/// A second of a player's life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Second {
    /// Bits sent to the player, resends included.
    pub(super) sent: f64,
    /// The fraction that did not arrive, if the player says.
    pub(super) loss: Option<f64>,
    pub(super) round_trip: Option<Duration>,
}

impl Capacity {
    /// Takes a second into account; the limit in bits a second, `None` while nothing is wrong.
    pub(super) fn observe(&mut self, second: Second) -> Option<f64> {
        let Second { sent, loss, round_trip } = second;
        let loss = loss.unwrap_or(0.0).clamp(0.0, 1.0);
        let queued = match (round_trip, self.shortest) {
            (Some(now), Some(shortest)) => {
                // Routes change: the shortest one is slowly forgotten.
                self.shortest = Some(now.min(shortest + shortest / 100));
                now > shortest + QUEUE_BAD
            }
            (now, shortest) => {
                self.shortest = now.or(shortest);
                false
            }
        };
        let settling = self.settling > 0;
        self.settling = self.settling.saturating_sub(1);
        let ceiling = self.limit.unwrap_or(f64::INFINITY).min(sent);
        if (loss > LOSS_BAD || queued) && sent > FLOOR / 2.0 {
            if !settling {
                let arrives = sent * (1.0 - loss);
                let step = if loss > LOSS_FLOOD {
                    arrives.min(ceiling) * 0.9
                } else if queued {
                    ceiling * 0.8
                } else {
                    ceiling * (1.0 - loss / 2.0)
                };
                self.limit = Some(step.max(FLOOR));
                self.settling = 2;
            }
        } else if let Some(limit) = self.limit.filter(|_| loss < LOSS_GOOD && !settling) {
            let raised = limit * 1.08 + 10_000.0;
            self.limit = Some(raised).filter(|raised| *raised < sent * LOOSE);
        }
        self.limit
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A line of so many bits a second with a queue of so many milliseconds, and a publisher that does as it is told.
    fn run(line: f64, queue_ms: f64, wants: f64, seconds: usize, capacity: &mut Capacity) -> (f64, f64) {
        let (mut queued, mut sent, mut lost) = (0.0, 0.0, 0.0);
        for _ in 0..seconds {
            let limit = capacity.limit.unwrap_or(f64::INFINITY);
            sent = limit.min(wants);
            queued += sent - line;
            lost = (queued - line * queue_ms / 1000.0).max(0.0);
            queued = (queued - lost).max(0.0);
            let round_trip = Duration::from_secs_f64(0.02 + queued / line);
            capacity.observe(Second { sent, loss: Some(lost / sent), round_trip: Some(round_trip) });
        }
        (sent, lost / sent)
    }

    #[test]
    fn a_narrow_line_is_filled_and_not_flooded() {
        for queue_ms in [20.0, 100.0, 1000.0] {
            let mut capacity = Capacity::default();
            run(5e6, queue_ms, 1.5e6, 10, &mut capacity);
            assert_eq!(capacity.limit, None, "nothing is wrong");
            let (sent, loss) = run(300_000.0, queue_ms, 1.5e6, 30, &mut capacity);
            assert!(sent < 400_000.0 && sent > 150_000.0, "{sent} bit/s at a queue of {queue_ms} ms");
            assert!(loss < 0.2, "{loss} lost at a queue of {queue_ms} ms");
            let (sent, _) = run(5e6, queue_ms, 1.5e6, 40, &mut capacity);
            assert!(sent > 1.49e6 && capacity.limit.is_none(), "{sent} bit/s after the line is wide again");
        }
    }

    #[test]
    fn a_little_loss_changes_nothing() {
        let mut capacity = Capacity::default();
        for _ in 0..60 {
            let round_trip = Some(Duration::from_millis(80));
            assert_eq!(capacity.observe(Second { sent: 1e6, loss: Some(0.05), round_trip }), None);
        }
    }

    #[test]
    fn silence_and_nonsense_are_borne() {
        let mut capacity = Capacity::default();
        for loss in [None, Some(f64::NAN), Some(-1.0), Some(7.0)] {
            let limit = capacity.observe(Second { sent: 0.0, loss, round_trip: None });
            assert!(limit.is_none_or(|l| l >= FLOOR));
        }
    }
}
