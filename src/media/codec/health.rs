//! Notices an encoder that works and does wrong: key frames only, or a bitrate that is not its target's.
//!
//! No clock inside: counters and the time come as arguments.

use std::time::{Duration, Instant};

use crate::media::protocol::Fault;

/// How long a window is.
const WINDOW: Duration = Duration::from_secs(1);
/// Windows with fewer frames say nothing.
const FEW: u64 = 8;
/// So many windows in a row of key frames only: two or three seconds of a stream that costs several times its worth.
const ONLY_KEYS: u32 = 2;
/// So many windows in a row far above the target. Rate control may take a second or two to follow a steep fall.
const OVER: u32 = 4;
/// How far is far above.
const FAR: u64 = 2;
/// What key frames and headers may cost beyond the target, bits a second.
const SLACK: u64 = 100_000;
/// Below so many thousandths of a bit a pixel an encoder that leaves out no frame may be unable to follow; then only
/// twice as far above is far.
const STARVED: u64 = 20;

/// Running totals of an encoder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Frames that left it.
    pub frames: u64,
    /// Of those, frames without reference to others.
    pub intra: u64,
    /// Key frames it was asked for.
    pub asked: u64,
    /// Bytes that left it.
    pub bytes: u64,
}

/// Watches one encoder.
#[derive(Debug)]
pub struct Health {
    pixels: u64,
    since: Instant,
    then: Counts,
    target: u64,
    only_keys: u32,
    over: u32,
}

impl Health {
    /// Begins with an encoder that stands at `counts`; `pixels` go in a second.
    #[must_use]
    pub fn new(pixels: u64, counts: Counts, now: Instant) -> Self {
        Self { pixels: pixels.max(1), since: now, then: counts, target: 0, only_keys: 0, over: 0 }
    }

    /// Looks at the totals; says what is wrong once it is sure.
    pub fn look(&mut self, counts: Counts, target_bps: u64, now: Instant) -> Option<Fault> {
        // What was allowed at any time of the window counts.
        self.target = self.target.max(target_bps);
        let span = now.saturating_duration_since(self.since);
        if span < WINDOW {
            return None;
        }
        let frames = counts.frames.saturating_sub(self.then.frames);
        let intra = counts.intra.saturating_sub(self.then.intra);
        let asked = counts.asked.saturating_sub(self.then.asked);
        let bps = counts.bytes.saturating_sub(self.then.bytes) * 8_000 / (span.as_millis() as u64).max(1);
        let target = std::mem::replace(&mut self.target, target_bps);
        (self.since, self.then) = (now, counts);
        if frames < FEW {
            (self.only_keys, self.over) = (0, 0);
            return None;
        }
        let starved = target * 1000 / self.pixels < STARVED;
        let far = target * FAR * if starved { 2 } else { 1 } + SLACK;
        self.only_keys = if intra > asked + 1 + frames / 2 { self.only_keys + 1 } else { 0 };
        self.over = if bps > far { self.over + 1 } else { 0 };
        if self.only_keys >= ONLY_KEYS {
            return Some(Fault::OnlyKeyFrames);
        }
        (self.over >= OVER).then_some(Fault::IgnoresBitrate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VGA: u64 = 640 * 480 * 30;

    /// Seconds until it complains, for an encoder of so many frames, key frames, requests and bits a second.
    fn complains(frames: u64, intra: u64, asked: u64, bps: u64, target: u64) -> Option<(u64, Fault)> {
        let start = Instant::now();
        let mut health = Health::new(VGA, Counts::default(), start);
        (1..=120u64).find_map(|quarter| {
            let total = |a_second: u64| a_second * quarter / 4;
            let counts = Counts {
                frames: total(frames),
                intra: total(intra),
                asked: total(asked),
                bytes: total(bps / 8),
            };
            let now = start + Duration::from_millis(250 * quarter);
            health.look(counts, target, now).map(|fault| (quarter / 4, fault))
        })
    }

    #[test]
    fn key_frames_only_are_noticed_after_two_seconds() {
        assert_eq!(complains(30, 30, 0, 1_000_000, 1_000_000), Some((2, Fault::OnlyKeyFrames)));
        assert_eq!(complains(15, 15, 2, 1_000_000, 1_000_000), Some((2, Fault::OnlyKeyFrames)));
    }

    #[test]
    fn key_frames_that_were_asked_for_are_no_fault() {
        assert_eq!(complains(30, 2, 2, 1_000_000, 1_000_000), None);
        assert_eq!(complains(10, 9, 9, 1_000_000, 1_000_000), None);
        // A placeholder picture of 5 frames a second says nothing.
        assert_eq!(complains(5, 5, 0, 100_000, 1_000_000), None);
    }

    #[test]
    fn a_bitrate_far_above_the_target_is_noticed_after_four_seconds() {
        assert_eq!(complains(30, 0, 0, 8_000_000, 1_000_000), Some((4, Fault::IgnoresBitrate)));
        assert_eq!(complains(30, 0, 0, 2_000_000, 1_000_000), None);
    }

    #[test]
    fn an_encoder_that_is_starved_is_borne_with() {
        assert_eq!(complains(30, 0, 0, 500_000, 150_000), None);
        assert_eq!(complains(30, 0, 0, 1_000_000, 150_000), Some((4, Fault::IgnoresBitrate)));
    }

    #[test]
    fn a_fall_of_the_target_gives_it_time_to_follow() {
        let start = Instant::now();
        let mut health = Health::new(VGA, Counts::default(), start);
        for second in 1..=60u64 {
            // Every ten seconds the target falls from 2 Mbit/s to 0.5 for five; the encoder follows two seconds later.
            let target = if second % 10 < 5 { 500_000 } else { 2_000_000 };
            let late = if second.saturating_sub(2) % 10 < 5 { 500_000 } else { 2_000_000 };
            let counts = Counts { frames: second * 30, bytes: second * late / 8, ..Counts::default() };
            assert_eq!(health.look(counts, target, start + Duration::from_secs(second)), None, "{second}");
        }
    }
}
