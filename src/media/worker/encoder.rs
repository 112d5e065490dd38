//! The encoder in use: started, aimed, watched, and left for the next row of the table.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Worker;
use super::device::RETRY;
use crate::media::capture;
use crate::media::codec::health::{Counts, Health};
use crate::media::codec::{self, Picture};
use crate::media::encode::Encoder;
use crate::media::protocol::{Event, Fault, Part};
use crate::media::session::Setup;

/// An encoder that is fed and gives nothing for so long hangs.
const STALL: Duration = Duration::from_secs(1);
/// The same for its first frame: hardware allocates its memory then.
const FIRST: Duration = Duration::from_secs(2);
/// An encoder that is not ready to be fed after so long never is.
const START: Duration = Duration::from_secs(3);

/// What the loop knows of the encoder in use.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) began: Instant,
    /// Frames encoded when it began.
    pub(super) base: u64,
    pub(super) fed: u64,
    pub(super) fed_at: Instant,
    pub(super) encoded: u64,
    pub(super) moved: Instant,
    /// What it does wrong though it works; not looked at when there is no other.
    pub(super) health: Option<Health>,
    /// When it is tried again, with no other to take over.
    pub(super) retry: Option<Instant>,
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
    pub(super) fn watch_encoder(&mut self) {
        let camera = &self.setup.settings.camera;
        let pixels = u64::from(camera.width) * u64::from(camera.height) * u64::from(camera.fps);
        let (counts, fed) = (self.counts(), self.setup.counters.fed.load(Ordering::Relaxed));
        let now = Instant::now();
        self.watched = Watched::new(Some(Health::new(pixels, counts, now)), counts.frames, now);
        self.watched.fed = fed;
    }

    fn counts(&self) -> Counts {
        let counters = &self.setup.counters;
        Counts {
            frames: counters.encoded.load(Ordering::Relaxed),
            intra: counters.intra.load(Ordering::Relaxed),
            asked: counters.asked.load(Ordering::Relaxed),
            bytes: counters.encoded_bytes.load(Ordering::Relaxed),
        }
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
                self.watched.health = None;
                Vec::new()
            }
            Fault::Hang => {
                self.over = true;
                vec![Event::Left { part, element, fault, next: None, detail: detail.to_owned() }]
            }
            Fault::Error | Fault::NoStart => {
                self.encoder.put(None);
                self.watched.retry = Some(Instant::now() + RETRY);
                let detail = format!(
                    "the encoder {element} {} ({detail}), and there is no other; install another",
                    fault.did()
                );
                vec![Event::Trouble { part, detail }]
            }
        }
    }

    /// Looks whether the encoder is fed and gives nothing, or gives the wrong thing.
    pub(super) fn check_encoder(&mut self, now: Instant) -> Vec<Event> {
        if let Some(at) = self.watched.retry {
            if at > now {
                return Vec::new();
            }
            return match self.start_encoder() {
                Ok(()) => vec![Event::Well { part: Part::Encoder }],
                Err(error) => self.leave_encoder(Fault::NoStart, &format!("{error:#}")),
            };
        }
        let counts = self.counts();
        let fed = self.setup.counters.fed.load(Ordering::Relaxed);
        let mut started = false;
        self.encoder.with(|encoder| started = encoder.is_started());
        let watched = &mut self.watched;
        if fed != watched.fed {
            (watched.fed, watched.fed_at) = (fed, now);
        }
        if counts.frames != watched.encoded || now.saturating_duration_since(watched.fed_at) > STALL {
            (watched.encoded, watched.moved) = (counts.frames, now);
        }
        let still = now.saturating_duration_since(watched.moved);
        if !started && now.saturating_duration_since(watched.began) > START {
            let detail = format!("not ready after {} s", START.as_secs());
            return self.leave_encoder(Fault::NoStart, &detail);
        }
        let patience = if counts.frames == watched.base { FIRST } else { STALL };
        if still > patience {
            let fault = if started { Fault::Hang } else { Fault::NoStart };
            let detail = format!("fed, and no frame for {} s", patience.as_secs());
            return self.leave_encoder(fault, &detail);
        }
        let target = u64::from(self.target);
        let wrong = watched.health.as_mut().and_then(|health| health.look(counts, target, now));
        wrong.map_or_else(Vec::new, |fault| {
            let detail = format!("{} kbit/s are asked of it", target / 1000);
            self.leave_encoder(fault, &detail)
        })
    }
}

impl Watched {
    pub(super) fn new(health: Option<Health>, base: u64, now: Instant) -> Self {
        Self { began: now, base, fed: 0, fed_at: now, encoded: base, moved: now, health, retry: None }
    }
}
