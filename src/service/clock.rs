//! The time, read in the shell and passed to everything else as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For durations.
    pub instant: Instant,
    /// Since 1970, for tickets, addresses and messages.
    pub unix_ms: u64,
}

impl Now {
    /// Reads the clocks.
    #[must_use]
    pub fn read() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { instant: Instant::now(), unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
    }

    /// Unix seconds.
    #[must_use]
    pub fn unix(self) -> u64 {
        self.unix_ms / 1000
    }
}

impl std::ops::Add<Duration> for Now {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self { instant: self.instant + span, unix_ms: self.unix_ms.saturating_add(millis) }
    }
}
