//! Notices a decoder that hangs: it is fed and gives nothing, never comes back from a frame, or never gets ready for one.
//!
//! No clock inside: what is seen and the time come as arguments.

use std::fmt;
use std::time::{Duration, Instant};

use crate::media::path::Path;
use crate::media::protocol::Fault;

/// A decoder that is fed and gives nothing for so long hangs: longer than a key frame takes to come on request.
const SWALLOWS: Duration = Duration::from_secs(2);
/// One that has been at one frame for so long never comes back: as long as an encoder has for its first frame, when
/// hardware allocates its memory.
const INSIDE: Duration = Duration::from_secs(2);
/// One that is not ready to be fed after so long never is: as long as an encoder has.
const START: Duration = Duration::from_secs(3);

/// What is seen of a decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// It is getting ready just now.
    pub starting: bool,
    /// Frames that went in.
    pub fed: u64,
    /// Pictures that came out.
    pub given: u64,
    /// It is at a frame just now.
    pub inside: bool,
}

/// How it hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hang {
    /// It takes frames and gives no pictures.
    Swallows,
    /// It never comes back from a frame.
    Inside,
    /// It never gets ready.
    Start,
}

impl Hang {
    /// What that is called.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::Swallows | Self::Inside => Fault::Hang,
            Self::Start => Fault::NoStart,
        }
    }

    /// Whether a thread is in it, so that its pipeline cannot be taken down.
    #[must_use]
    pub fn holds(self) -> bool {
        self != Self::Swallows
    }
}

impl fmt::Display for Hang {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Swallows => write!(out, "fed, and no picture for {} s", SWALLOWS.as_secs()),
            Self::Inside => write!(out, "at one frame for {} s", INSIDE.as_secs()),
            Self::Start => write!(out, "not ready after {} s", START.as_secs()),
        }
    }
}

/// Watches one session's decoder.
#[derive(Debug)]
pub struct Watch {
    path: Path,
    /// Since when it has been getting ready.
    starting: Option<Instant>,
    /// How many frames had gone in when it was first seen at the last of them, and when that was.
    entered: Option<(u64, Instant)>,
    /// It hung, and that was told.
    told: bool,
}

impl Watch {
    /// Begins with a decoder of which so much has been seen.
    #[must_use]
    pub fn new(seen: Seen, now: Instant) -> Self {
        Self { path: Path::new(seen.fed, seen.given, now), starting: None, entered: None, told: false }
    }

    /// Looks at it; says once how it hangs.
    pub fn look(&mut self, seen: Seen, now: Instant) -> Option<Hang> {
        let still = self.path.still(seen.fed, seen.given, now);
        self.entered = match self.entered {
            Some(at) if seen.inside && at.0 == seen.fed => Some(at),
            _ => seen.inside.then_some((seen.fed, now)),
        };
        self.starting = seen.starting.then(|| self.starting.unwrap_or(now));
        let for_how_long =
            |since: Option<Instant>| since.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let hang = if for_how_long(self.starting) > START {
            Hang::Start
        } else if for_how_long(self.entered.map(|(_, at)| at)) > INSIDE {
            Hang::Inside
        } else if still > SWALLOWS {
            Hang::Swallows
        } else {
            return None;
        };
        (!std::mem::replace(&mut self.told, true)).then_some(hang)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every quarter second for a minute; what it said and when, in milliseconds.
    fn says(seen: impl Fn(u64) -> Seen) -> Vec<(u64, Hang)> {
        let start = Instant::now();
        let mut watch = Watch::new(Seen::default(), start);
        let ticks = (0..240).map(|tick| tick * 250);
        ticks.filter_map(|ms| Some((ms, watch.look(seen(ms), start + Duration::from_millis(ms))?))).collect()
    }

    fn good(ms: u64) -> Seen {
        let frames = ms * 30 / 1000;
        Seen { fed: frames, given: frames, ..Seen::default() }
    }

    #[test]
    fn a_decoder_that_gives_what_it_is_fed_is_left_in_peace() {
        assert_eq!(says(good), []);
        // Busy whenever it is looked at, but with another frame each time.
        assert_eq!(says(|ms| Seen { inside: true, ..good(ms) }), []);
    }

    #[test]
    fn a_decoder_that_never_comes_back_from_a_frame_is_told_once_after_two_seconds() {
        let enters = |ms: u64| if ms < 10_000 { good(ms) } else { Seen { inside: true, ..good(10_000) } };
        assert_eq!(says(enters), [(12_250, Hang::Inside)]);
        // Nor from what comes before the first frame: the caps.
        assert_eq!(says(|_| Seen { inside: true, ..Seen::default() }), [(2_250, Hang::Inside)]);
    }

    #[test]
    fn a_decoder_that_never_gets_ready_is_told_once_after_three_seconds() {
        assert_eq!(says(|_| Seen { starting: true, ..Seen::default() }), [(3_250, Hang::Start)]);
        let late = |ms: u64| if ms < 3_000 { Seen { starting: true, ..Seen::default() } } else { good(ms) };
        assert_eq!(says(late), []);
    }

    #[test]
    fn a_decoder_that_takes_a_second_and_a_half_for_a_frame_is_slow_and_no_more() {
        let slow = |ms: u64| {
            let frames = ms / 1_500;
            Seen { fed: frames + 1, given: frames, inside: !ms.is_multiple_of(1_500), ..Seen::default() }
        };
        assert_eq!(says(slow), []);
    }

    #[test]
    fn a_decoder_that_swallows_frames_is_told_once_after_two_seconds_however_few_they_are() {
        let swallows = |ms: u64| Seen { given: good(ms.min(10_000)).given, ..good(ms) };
        assert_eq!(says(swallows), [(12_250, Hang::Swallows)]);
        let rare = |ms: u64| Seen { fed: ms / 600, ..Seen::default() };
        assert_eq!(says(rare).first().map(|(_, hang)| *hang), Some(Hang::Swallows));
    }

    #[test]
    fn a_member_that_switches_its_camera_off_is_no_hang() {
        let muted = |ms: u64| {
            let seen = good(ms.min(10_000));
            Seen { given: seen.given.saturating_sub(1), ..seen }
        };
        assert_eq!(says(muted), []);
    }
}
