//! What has moved: told to `kioskd` every second, and to the service manager's watchdog.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::Worker;
use crate::media::protocol::{Event, Stats};
use crate::media::watchdog::{self, Progress};

impl Worker {
    /// Feeds the service manager's watchdog unless something that is due stands still.
    pub(super) fn feed_watchdog(&mut self) {
        let counters = &self.setup.counters;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let progress = Progress {
            camera: self.capturing && self.camera.open.is_some(),
            captured: count(&counters.captured),
            fed: count(&counters.fed),
            encoded: count(&counters.encoded),
            received: count(&counters.received),
            decoded: count(&counters.decoded),
            drawing: self.setup.screen.drawing(),
        };
        let stuck = self.judge.stuck(progress, Instant::now());
        if stuck.is_none() {
            watchdog::feed();
        } else if stuck != self.stuck {
            log::error!("{} stands still; the watchdog is not fed any more", stuck.unwrap_or_default());
        }
        self.stuck = stuck;
    }

    pub(super) fn report(&mut self, now: Instant) -> Event {
        let counters = &self.setup.counters;
        let bytes = counters.encoded_bytes.load(Ordering::Relaxed);
        let (then, before) = std::mem::replace(&mut self.reported, (now, bytes));
        let mut players: Vec<_> = self
            .sessions
            .values()
            .filter_map(|(_, opened)| Some(opened.playing.as_ref()?.report()))
            .collect();
        players.sort_by_key(|player| player.session);
        Event::Stats(Box::new(Stats {
            capturing: self.capturing,
            sending: counters.sending.load(Ordering::Relaxed),
            frames_captured: counters.captured.load(Ordering::Relaxed),
            frames_encoded: counters.encoded.load(Ordering::Relaxed),
            frames_sent: counters.sent.load(Ordering::Relaxed),
            frames_drawn: counters.drawn.load(Ordering::Relaxed),
            encoder: self.encoders[0].element.to_owned(),
            decoder: self.decoders[0].element.to_owned(),
            target_bps: u64::from(self.target),
            encoded_bps: ((bytes - before) as f64 * 8.0 / (now - then).as_secs_f64()) as u64,
            players,
        }))
    }
}
