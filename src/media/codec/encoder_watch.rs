//! Notices an encoder that does not start, hangs, or does wrong.
//!
//! No clock inside: what is seen and the time come as arguments.

use std::time::{Duration, Instant};

use super::health::{Counts, Health};
use crate::media::path::Path;
use crate::media::protocol::Fault;

/// An encoder that is fed and gives nothing for so long hangs.
const STALL: Duration = Duration::from_secs(1);
/// The same for its first frame: hardware allocates its memory then.
const FIRST: Duration = Duration::from_secs(2);
/// An encoder that is not ready to be fed after so long never is.
const START: Duration = Duration::from_secs(3);

/// What is seen of an encoder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Pictures handed to it.
    pub fed: u64,
    /// What left it.
    pub counts: Counts,
    /// Whether its pipeline came up.
    pub started: bool,
    /// What congestion control asks of it, bits a second.
    pub target_bps: u64,
}

/// Watches one encoder.
#[derive(Debug)]
pub struct Watch {
    began: Instant,
    /// Frames that had left the encoders before it when it began.
    base: u64,
    path: Path,
    /// What it does wrong though it works; not looked at when there is no other.
    health: Option<Health>,
}

impl Watch {
    /// Begins with an encoder of which so much has been seen; `pixels` go in a second.
    #[must_use]
    pub fn new(pixels: u64, seen: &Seen, now: Instant) -> Self {
        Self {
            began: now,
            base: seen.counts.frames,
            path: Path::new(seen.fed, seen.counts.frames, now),
            health: Some(Health::new(pixels, seen.counts, now)),
        }
    }

    /// What it does wrong is borne from now on: there is no other.
    pub fn bear(&mut self) {
        self.health = None;
    }

    /// Looks at it; says what is wrong, and more for the log, once it is sure.
    pub fn look(&mut self, seen: &Seen, now: Instant) -> Option<(Fault, String)> {
        let still = self.path.still(seen.fed, seen.counts.frames, now);
        if !seen.started && now.saturating_duration_since(self.began) > START {
            return Some((Fault::NoStart, format!("not ready after {} s", START.as_secs())));
        }
        let patience = if seen.counts.frames == self.base { FIRST } else { STALL };
        if still > patience {
            let fault = if seen.started { Fault::Hang } else { Fault::NoStart };
            return Some((fault, format!("fed, and no frame for {} s", patience.as_secs())));
        }
        let fault = self.health.as_mut()?.look(seen.counts, seen.target_bps, now)?;
        Some((fault, format!("{} kbit/s are asked of it", seen.target_bps / 1000)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: u64 = 1_000_000;

    fn good(ms: u64) -> Seen {
        let frames = ms * 30 / 1000;
        let counts = Counts { frames, bytes: ms * TARGET / 8000, ..Counts::default() };
        Seen { fed: frames, counts, started: true, target_bps: TARGET }
    }

    /// Looks every quarter second for a minute; when it first complained, in milliseconds, and of what.
    fn complains(seen: impl Fn(u64) -> Seen) -> Option<(u64, Fault)> {
        let start = Instant::now();
        let mut watch = Watch::new(640 * 480 * 30, &Seen::default(), start);
        (0..240).map(|tick| tick * 250).find_map(|ms| {
            watch.look(&seen(ms), start + Duration::from_millis(ms)).map(|(fault, _)| (ms, fault))
        })
    }

    #[test]
    fn an_encoder_that_gives_what_it_is_fed_is_left_in_peace() {
        assert_eq!(complains(good), None);
        assert_eq!(complains(|_| Seen { started: true, ..Seen::default() }), None, "idle");
    }

    #[test]
    fn an_encoder_that_stops_giving_hangs_after_a_second() {
        let stops = |ms: u64| Seen { counts: good(ms.min(10_000)).counts, ..good(ms) };
        assert_eq!(complains(stops), Some((11_250, Fault::Hang)));
    }

    #[test]
    fn the_first_frame_may_take_two_seconds() {
        let slow = |ms: u64| Seen { counts: good(ms.saturating_sub(1_500)).counts, ..good(ms) };
        assert_eq!(complains(slow), None);
        let never = |ms: u64| Seen { counts: Counts::default(), ..good(ms) };
        assert_eq!(complains(never), Some((2_250, Fault::Hang)));
    }

    #[test]
    fn an_encoder_that_is_fed_no_more_owes_nothing() {
        let muted = |ms: u64| {
            let seen = good(ms.min(10_000));
            Seen { fed: seen.fed + 1, ..seen }
        };
        assert_eq!(complains(muted), None);
    }

    #[test]
    fn an_encoder_that_is_not_up_after_three_seconds_does_not_start() {
        assert_eq!(complains(|_| Seen::default()), Some((3_250, Fault::NoStart)));
        // Fed meanwhile, it is called the same.
        let fed = |ms: u64| Seen { started: false, counts: Counts::default(), ..good(ms) };
        assert_eq!(complains(fed), Some((2_250, Fault::NoStart)));
    }

    #[test]
    fn what_it_does_wrong_is_borne_when_there_is_no_other() {
        let keys = |ms: u64| {
            let counts = good(ms).counts;
            Seen { counts: Counts { intra: counts.frames, ..counts }, ..good(ms) }
        };
        assert_eq!(complains(keys), Some((2_000, Fault::OnlyKeyFrames)));
        let start = Instant::now();
        let mut watch = Watch::new(640 * 480 * 30, &Seen::default(), start);
        watch.bear();
        for ms in (0..60_000).step_by(250) {
            assert!(watch.look(&keys(ms), start + Duration::from_millis(ms)).is_none(), "{ms}");
        }
    }
}
