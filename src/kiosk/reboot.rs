//! A reboot as the last resort, when media worker after media worker fails: a codec or camera driver that only a new
//! kernel frees. Off by default (`[media] reboot = true`). Sans-IO.
//!
//! `kioskd` has no right to reboot. It touches [`WISH`] in its runtime directory; `kioskd-reboot.path` sees that and
//! starts `kioskd-reboot.service`, which asks [`may`] by `kioskd may-reboot`.

use std::time::{Duration, Instant};

/// The file that says so.
pub const WISH: &str = "reboot-wanted";
/// Drivers get this long to come round by themselves.
const PATIENCE: Duration = Duration::from_secs(300);
/// The wish is repeated, since it may be granted later.
const AGAIN: Duration = Duration::from_secs(60);
/// A board that was up for less is not rebooted: at most once an hour, whatever the clock says.
pub const UPTIME: Duration = Duration::from_secs(3600);

/// How long the board has been up.
#[must_use]
pub fn uptime() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid for the call, and this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
}

/// Whether a board that has been up for `uptime` may be rebooted.
#[must_use]
pub fn may(uptime: Duration) -> bool {
    uptime >= UPTIME
}

/// When a reboot is wished for.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    broken_since: Option<Instant>,
    told: Option<Instant>,
}

impl Wish {
    /// Whether to say so now. `broken`: no worker works; `busy`: somebody is in a call.
    pub(crate) fn is_due(&mut self, broken: bool, busy: bool, now: Instant) -> bool {
        if !broken {
            *self = Self::default();
            return false;
        }
        let since = *self.broken_since.get_or_insert(now);
        let patient = now.saturating_duration_since(since) < PATIENCE;
        let just_told = self.told.is_some_and(|told| now.saturating_duration_since(told) < AGAIN);
        if patient || busy || just_told {
            return false;
        }
        self.told = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_minutes_without_a_worker_and_then_every_minute() {
        let (mut wish, start) = (Wish::default(), Instant::now());
        let at = |secs: u64| start + Duration::from_secs(secs);
        let told: Vec<u64> = (0..600).filter(|secs| wish.is_due(true, false, at(*secs))).collect();
        assert_eq!(told, [300, 360, 420, 480, 540]);
        assert!(!wish.is_due(true, true, at(660)), "not in a call");
        assert!(!wish.is_due(false, false, at(700)));
        assert!(!wish.is_due(true, false, at(701)), "it begins anew");
    }

    #[test]
    fn a_board_is_rebooted_at_most_hourly() {
        assert!(!may(Duration::from_secs(3599)));
        assert!(may(Duration::from_secs(3600)));
    }
}
