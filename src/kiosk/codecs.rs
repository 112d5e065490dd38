//! What is remembered of codecs: which run, which failed and when. A worker serves one call and forgets; this does not.
//!
//! A codec that failed is used last for an hour, twice as long each further time up to a day, and as if new after a
//! start of `kioskd`, which is also what a new configuration takes. Long enough that a broken driver costs the customers
//! of a morning one pause, short enough that a firmware that recovered is used again.

use std::time::{Duration, Instant};

use crate::media::protocol::{Fault, Part};

/// How long a codec is used last after its first failure.
const PROBATION: Duration = Duration::from_secs(3600);
/// The longest it is.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Codecs remembered; the longest ago goes first.
const MOST: usize = 8;

/// A codec that failed.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) part: Part,
    pub(crate) element: String,
    pub(crate) fault: Fault,
    /// When it failed last.
    pub(crate) at: Instant,
    /// When a worker may begin with it again.
    pub(crate) until: Instant,
    times: u32,
}

/// The codecs of this board.
#[derive(Debug, Default)]
pub(crate) struct Codecs {
    pub(crate) encoder: String,
    pub(crate) decoder: String,
    /// The latest last.
    left: heapless::Vec<Left, MOST>,
}

impl Codecs {
    /// A codec failed.
    pub(crate) fn leave(&mut self, part: Part, element: &str, fault: Fault, now: Instant) {
        if element.is_empty() {
            return;
        }
        let place = self.left.iter().position(|left| left.part == part && left.element == element);
        let times = place.map_or(0, |place| self.left.remove(place).times) + 1;
        if self.left.is_full() {
            self.left.remove(0);
        }
        let probation = PROBATION.saturating_mul(1 << (times - 1).min(8)).min(LONGEST);
        let left = Left { part, element: element.to_owned(), fault, at: now, until: now + probation, times };
        let _ = self.left.push(left);
    }

    /// The elements that a new worker is to use last, the longest ago first.
    pub(crate) fn avoid(&self, now: Instant) -> Vec<String> {
        self.on_probation(now).map(|left| left.element.clone()).collect()
    }

    /// The codecs that failed not long ago, the longest ago first.
    pub(crate) fn on_probation(&self, now: Instant) -> impl Iterator<Item = &Left> {
        self.left.iter().filter(move |left| left.until > now)
    }

    /// The failure because of which another codec of this part runs.
    pub(crate) fn why(&self, part: Part, running: &str) -> Option<&Left> {
        self.left.iter().rfind(|left| left.part == part && left.element != running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_codec_that_failed_is_used_last_for_an_hour_and_longer_each_time() {
        let (mut codecs, start) = (Codecs::default(), Instant::now());
        let second = Duration::from_secs(1);
        let mut now = start;
        for hours in [1, 2, 4, 8, 16, 24, 24] {
            codecs.leave(Part::Encoder, "v4l2h264enc", Fault::Hang, now);
            assert_eq!(codecs.avoid(now + hours * HOUR - second), ["v4l2h264enc"]);
            assert!(codecs.avoid(now + hours * HOUR).is_empty());
            now += hours * HOUR;
        }
    }

    #[test]
    fn the_longest_ago_comes_first_and_the_latest_is_the_reason() {
        let (mut codecs, now) = (Codecs::default(), Instant::now());
        for (second, element) in ["a", "b", "a"].into_iter().enumerate() {
            codecs.leave(Part::Encoder, element, Fault::Error, now + Duration::from_secs(second as u64));
        }
        assert_eq!(codecs.avoid(now), ["b", "a"]);
        assert_eq!(codecs.why(Part::Encoder, "c").map(|left| left.element.as_str()), Some("a"));
        assert_eq!(codecs.why(Part::Encoder, "a").map(|left| left.element.as_str()), Some("b"));
        assert!(codecs.why(Part::Decoder, "c").is_none());
    }

    #[test]
    fn no_number_of_bad_codecs_is_too_much() {
        let (mut codecs, now) = (Codecs::default(), Instant::now());
        for number in 0..20 {
            codecs.leave(Part::Decoder, &format!("d{number}"), Fault::NoStart, now);
        }
        codecs.leave(Part::Decoder, "", Fault::Hang, now);
        assert_eq!(codecs.avoid(now).len(), MOST);
        assert_eq!(codecs.avoid(now).last().map(String::as_str), Some("d19"));
    }
}
