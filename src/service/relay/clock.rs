//! When a publisher's media was captured, in the relay's own time.
//!
//! Players keep lips and voice together by the sender reports of both streams. The relay writes those reports itself, so it has to
//! say of every packet when it was captured, not when it arrived: a picture arrives later than the sound of the same moment.

use std::time::{Duration, Instant, SystemTime};

/// A sender report of one stream: `rtp` was the media time when the publisher's clock showed `wall`.
#[derive(Clone, Copy, Debug)]
struct Report {
    wall: SystemTime,
    rtp: u32,
}

/// The mapping for one publish session, both streams on one time line.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// The publisher's wall clock and our time, of the report that came quickest.
    anchor: Option<(SystemTime, Instant)>,
    audio: Option<Report>,
    video: Option<Report>,
}

/// Which of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Audio,
    Video,
}

impl Kind {
    /// RTP ticks a second.
    pub(super) fn rate(self) -> u32 {
        match self {
            Self::Audio => 48_000,
            Self::Video => 90_000,
        }
    }
}

impl Clock {
    /// Takes note of a sender report that arrived at `at`.
    pub(super) fn report(&mut self, kind: Kind, wall: SystemTime, rtp: u32, at: Instant) {
        let report = Some(Report { wall, rtp });
        match kind {
            Kind::Audio => self.audio = report,
            Kind::Video => self.video = report,
        }
        // The smallest delay seen is the best guess of how the clocks stand; a stepped clock starts afresh.
        let expected = self.anchor.and_then(|(wall0, at0)| shift(at0, since(wall0, wall)?));
        let fresh = match expected {
            None => true,
            Some(expected) => at < expected || at.duration_since(expected) > Duration::from_secs(1),
        };
        if fresh {
            self.anchor = Some((wall, at));
        }
    }

    /// When the packet with this media time was captured; its arrival if there is nothing better, and never later than that.
    pub(super) fn captured(&self, kind: Kind, rtp: u32, arrival: Instant) -> Instant {
        let report = match kind {
            Kind::Audio => self.audio,
            Kind::Video => self.video,
        };
        self.anchor
            .zip(report)
            .and_then(|((wall0, at0), report)| {
                // Signed distance in ticks; reports are seconds old, so 31 bits are plenty.
                let ticks = i64::from(rtp.wrapping_sub(report.rtp) as i32);
                let nanos =
                    since(wall0, report.wall)?.saturating_add(ticks * 1_000_000_000 / i64::from(kind.rate()));
                shift(at0, nanos)
            })
            .filter(|at| *at <= arrival && arrival.duration_since(*at) < Duration::from_secs(2))
            .unwrap_or(arrival)
    }
}

/// Nanoseconds from one wall clock reading to another.
fn since(from: SystemTime, to: SystemTime) -> Option<i64> {
    match to.duration_since(from) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|n| -n),
    }
}

fn shift(at: Instant, nanos: i64) -> Option<Instant> {
    let by = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 { at.checked_sub(by) } else { at.checked_add(by) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn picture_and_sound_of_one_moment_get_one_time() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let start = Instant::now() + Duration::from_secs(100);
        let mut clock = Clock::default();
        assert_eq!(clock.captured(Kind::Video, 5, start), start, "arrival while nothing is known");
        clock.report(Kind::Audio, wall, 48_000, start);
        clock.report(
            Kind::Video,
            wall + Duration::from_millis(500),
            90_000,
            start + Duration::from_millis(540),
        );
        // One second after the first report: sound arrives 10 ms later, the picture 80 ms later.
        let moment = start + Duration::from_secs(1);
        let sound = clock.captured(Kind::Audio, 96_000, moment + Duration::from_millis(10));
        let picture = clock.captured(Kind::Video, 135_000, moment + Duration::from_millis(80));
        assert_eq!(sound, moment);
        assert_eq!(picture, moment);
    }

    #[test]
    fn nonsense_reports_never_put_a_packet_into_the_future() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let start = Instant::now() + Duration::from_secs(100);
        let mut clock = Clock::default();
        for (n, seconds) in [0u64, 1 << 33, 7, 1 << 20].into_iter().enumerate() {
            clock.report(Kind::Video, wall + Duration::from_secs(seconds), u32::MAX - 5, start);
            let arrival = start + Duration::from_millis(n as u64);
            for rtp in [0, 5, u32::MAX, 1 << 31] {
                assert!(clock.captured(Kind::Video, rtp, arrival) <= arrival);
            }
        }
    }
}
