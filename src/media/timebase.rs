//! The one clock and base time of all pipelines of the worker.

use gst::prelude::*;

/// Clock and base time.
#[derive(Clone, Debug)]
pub struct Timebase {
    clock: gst::Clock,
    base: gst::ClockTime,
}

impl Timebase {
    /// Starts now, on CLOCK_MONOTONIC.
    #[must_use]
    pub fn start() -> Self {
        let clock = gst::SystemClock::obtain();
        let base = clock.time();
        Self { clock, base }
    }

    /// Running time of every pipeline.
    #[must_use]
    pub fn now(&self) -> gst::ClockTime {
        self.clock.time().saturating_sub(self.base)
    }

    /// Running time at a time of CLOCK_MONOTONIC, which is also the pipelines' clock.
    #[must_use]
    pub fn at(&self, monotonic_ns: u64) -> gst::ClockTime {
        gst::ClockTime::from_nseconds(monotonic_ns).saturating_sub(self.base)
    }

    /// Puts a pipeline on this clock and base time.
    pub fn rule(&self, pipeline: &gst::Pipeline) {
        pipeline.use_clock(Some(&self.clock));
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(self.base);
    }
}

/// CLOCK_MONOTONIC in milliseconds.
#[must_use]
pub fn monotonic_ms() -> u64 {
    monotonic_ns() / 1_000_000
}

/// CLOCK_MONOTONIC in nanoseconds.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the struct given; CLOCK_MONOTONIC always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
