//! The encoder in use: started, aimed, watched, and left for the next row of the table.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;

use super::Worker;
use super::device::RETRY;
use crate::media::capture;
use crate::media::codec::encoder_watch::{Seen, Watch};
use crate::media::codec::health::Counts;
use crate::media::codec::{self, Picture};
use crate::media::encode::Encoder;
use crate::media::protocol::{Event, Fault, Part};
use crate::media::session::Setup;

/// What becomes of the encoder in use.
#[derive(Debug)]
pub(super) enum Encoding {
    /// It is there, and watched.
    Watched(Watch),
    /// There is none that works; it is tried again then.
    Again(Instant),
}

impl Worker {
    pub(super) fn start_encoder(&mut self) -> Result<()> {
        self.encoder_generation += 1;
        let Setup { settings, timebase, inbox, counters, keys, video, .. } = &self.setup;
        let raw = capture::picture_info(&settings.camera)?.to_caps()?;
        let encoder = Encoder::start(
            self.encoders[0],
            self.encoder_generation,
            settings,
            &raw,
            self.target,
            timebase,
            inbox,
            counters,
            keys,
            video,
        )?;
        self.encoder.put(Some(encoder));
        self.applied = self.target;
        keys.want();
        self.watch_encoder();
        Ok(())
    }

    /// Begins to watch the encoder in use.
    fn watch_encoder(&mut self) {
        let camera = &self.setup.settings.camera;
        let pixels = u64::from(camera.width) * u64::from(camera.height) * u64::from(camera.fps);
        self.encoding = Encoding::Watched(Watch::new(pixels, &self.encoder_seen(), Instant::now()));
    }

    /// Begins anew: what was before is no measure of what comes.
    pub(super) fn rewatch_encoder(&mut self) {
        if let Encoding::Watched(_) = self.encoding {
            self.watch_encoder();
        }
    }

    fn encoder_seen(&self) -> Seen {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.setup.counters;
        let counts = Counts {
            frames: count(&counters.encoded),
            intra: count(&counters.intra),
            asked: count(&counters.asked),
            bytes: count(&counters.encoded_bytes),
        };
        let mut started = false;
        self.encoder.with(|encoder| started = encoder.is_started());
        Seen { fed: count(&counters.fed), counts, started, target_bps: u64::from(self.target) }
    }

    /// Tells the encoder a new bitrate; small changes only when they are downward.
    pub(super) fn aim(&mut self, bps: u32) {
        self.target = bps;
        if bps < self.applied || bps - self.applied > self.applied / 20 {
            self.applied = bps;
            self.encoder.with(|encoder| encoder.set_bitrate(bps));
        }
    }

    /// Goes on with the next row of the table, in the same process and the same sessions. The one that is left is taken
    /// down on a thread of its own; if it hangs, that thread hangs, until the process ends with the call.
    pub(super) fn leave_encoder(&mut self, fault: Fault, detail: &str) -> Vec<Event> {
        let part = Part::Encoder;
        let element = self.encoders[0].element.to_owned();
        let picture = Picture::of(&self.setup.settings.camera);
        let mut rest: Vec<_> = self.encoders[1..].to_vec();
        loop {
            while rest.first().is_some_and(|row| !codec::is_usable(row, &picture)) {
                rest.remove(0);
            }
            let Some(row) = rest.first() else { break };
            let next = row.element.to_owned();
            self.encoders.clone_from(&rest);
            match self.start_encoder() {
                Ok(()) => {
                    let detail = detail.to_owned();
                    return vec![Event::Left { part, element, fault, next: Some(next), detail }];
                }
                Err(error) => log::warn!("the encoder {next} does not start either: {error:#}"),
            }
            rest.remove(0);
        }
        match fault {
            Fault::OnlyKeyFrames | Fault::IgnoresBitrate => {
                // Better than nothing.
                log::warn!("the encoder {element} {}, and there is no other", fault.did());
                if let Encoding::Watched(watch) = &mut self.encoding {
                    watch.bear();
                }
                Vec::new()
            }
            Fault::Hang => {
                self.over = true;
                vec![Event::Left { part, element, fault, next: None, detail: detail.to_owned() }]
            }
            Fault::Error | Fault::NoStart => {
                self.encoder.put(None);
                self.encoding = Encoding::Again(Instant::now() + RETRY);
                let detail = format!(
                    "the encoder {element} {} ({detail}), and there is no other; install another",
                    fault.did()
                );
                vec![Event::Trouble { part, detail }]
            }
        }
    }

    /// Looks whether the encoder does what it is to do; leaves it when it does not.
    pub(super) fn check_encoder(&mut self, now: Instant) -> Vec<Event> {
        let seen = self.encoder_seen();
        let wrong = match &mut self.encoding {
            Encoding::Watched(watch) => watch.look(&seen, now),
            Encoding::Again(at) if *at > now => None,
            Encoding::Again(_) => {
                return match self.start_encoder() {
                    Ok(()) => vec![Event::Well { part: Part::Encoder }],
                    Err(error) => self.leave_encoder(Fault::NoStart, &format!("{error:#}")),
                };
            }
        };
        wrong.map_or_else(Vec::new, |(fault, detail)| self.leave_encoder(fault, &detail))
    }
}
