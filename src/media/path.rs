//! A path that pictures take: in at one end, out at the other. Says how long it has been blocked.
//!
//! No clock inside: counters and the time come as arguments.

use std::time::{Duration, Instant};

/// Without a picture going in for so long, none has to come out.
const FED: Duration = Duration::from_secs(1);

/// The counters at both ends when they last moved.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    fed: u64,
    fed_at: Instant,
    given: u64,
    since: Instant,
}

impl Path {
    /// A path that `fed` pictures went into so far, and `given` came out of.
    #[must_use]
    pub fn new(fed: u64, given: u64, now: Instant) -> Self {
        Self { fed, fed_at: now, given, since: now }
    }

    /// How long nothing has come out though pictures went in until just now.
    pub fn still(&mut self, fed: u64, given: u64, now: Instant) -> Duration {
        if fed != self.fed {
            (self.fed, self.fed_at) = (fed, now);
        }
        if given != self.given || now.saturating_duration_since(self.fed_at) > FED {
            (self.given, self.since) = (given, now);
        }
        now.saturating_duration_since(self.since)
    }
}
