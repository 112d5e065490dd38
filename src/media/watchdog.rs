//! The service manager's watchdog, fed by media that moves whenever media is due: a live loop over a dead picture is
//! not healthy. `kioskd` cannot kill a worker of another user; this is what ends one that hangs.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::path::Path;

/// A camera opens within this, or the worker has put a placeholder in its place.
const CAMERA_OPENS: Duration = Duration::from_secs(8);
/// Longer than the worker itself takes to notice a camera that stands still (4 s), and to replace it.
const CAMERA: Duration = Duration::from_secs(6);
/// Longer than the worker itself takes to notice an encoder that hangs (1 s).
const ENCODER: Duration = Duration::from_secs(3);
/// Longer than `kioskd` takes to replace a session whose picture stands still (5 s).
const DECODER: Duration = Duration::from_secs(10);
/// One picture takes a sixtieth of a second, or the driver of the screen hangs.
const SCREEN: Duration = Duration::from_secs(4);

/// What has moved so far, and what should move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The camera is to give pictures: it is open, and not known to be broken.
    pub camera: bool,
    /// Pictures it gave.
    pub captured: u64,
    /// Pictures handed to the encoder.
    pub fed: u64,
    /// Pictures that left it.
    pub encoded: u64,
    /// Pictures of members handed to decoders.
    pub received: u64,
    /// Pictures that left them.
    pub decoded: u64,
    /// How long the screen has been at one picture.
    pub drawing: Duration,
}

/// Judges progress; sans-IO.
#[derive(Debug)]
pub struct Judge {
    camera_since: Option<Instant>,
    captured: u64,
    opened: bool,
    encoder: Path,
    decoder: Path,
}

impl Judge {
    /// Nothing has moved yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let path = Path::new(0, 0, now);
        Self { camera_since: None, captured: 0, opened: false, encoder: path, decoder: path }
    }

    /// What is due and does not move, if anything.
    pub fn stuck(&mut self, at: Progress, now: Instant) -> Option<&'static str> {
        let moved = at.captured != self.captured;
        self.captured = at.captured;
        self.opened = at.camera && (self.opened || moved);
        let since = match self.camera_since {
            Some(since) if at.camera && !moved => since,
            _ => now,
        };
        self.camera_since = at.camera.then_some(since);
        if now.saturating_duration_since(since) > if self.opened { CAMERA } else { CAMERA_OPENS } {
            return Some("the camera");
        }
        if self.encoder.still(at.fed, at.encoded, now) > ENCODER {
            return Some("the encoder");
        }
        if self.decoder.still(at.received, at.decoded, now) > DECODER {
            return Some("the decoder");
        }
        (at.drawing > SCREEN).then_some("the screen")
    }
}

/// Tells the service manager that the worker serves.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Feeds the watchdog.
pub fn feed() {
    tell(&[NotifyState::Watchdog]);
}

/// Without `NOTIFY_SOCKET` nothing happens.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("service manager: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every quarter second for so long; when the judge first found something stuck, in milliseconds, and what.
    fn first_stuck(seconds: u64, mut progress: impl FnMut(u64) -> Progress) -> Option<(u64, &'static str)> {
        let start = Instant::now();
        let mut judge = Judge::new(start);
        (0..seconds * 4).find_map(|tick| {
            let ms = tick * 250;
            Some((ms, judge.stuck(progress(ms), start + Duration::from_millis(ms))?))
        })
    }

    fn frames(ms: u64) -> u64 {
        ms * 30 / 1000
    }

    fn call(ms: u64) -> Progress {
        let n = frames(ms);
        Progress {
            camera: true,
            captured: n,
            fed: n,
            encoded: n,
            received: n,
            decoded: n,
            ..Progress::default()
        }
    }

    #[test]
    fn a_call_that_moves_and_a_kiosk_that_waits_are_well_for_a_day() {
        assert_eq!(first_stuck(86_400, |_| Progress::default()), None, "idle");
        assert_eq!(first_stuck(86_400, call), None, "in a call");
    }

    #[test]
    fn a_camera_that_stands_still_starves_it_unless_it_is_known_to_be_broken() {
        let dead = |ms: u64| Progress { captured: frames(ms.min(10_000)), ..call(ms) };
        assert_eq!(first_stuck(60, dead), Some((16_250, "the camera")));
        assert_eq!(first_stuck(60, |ms| Progress { captured: 0, ..call(ms) }), Some((8_250, "the camera")));
        // After four seconds the worker knows, and a placeholder takes its place.
        assert_eq!(first_stuck(60, |ms| Progress { camera: ms < 14_000, ..dead(ms) }), None);
    }

    #[test]
    fn an_encoder_or_decoder_that_swallows_pictures_starves_it() {
        let encoder = |ms: u64| Progress { encoded: frames(ms.min(10_000)), ..call(ms) };
        assert_eq!(first_stuck(60, encoder), Some((13_250, "the encoder")));
        let decoder = |ms: u64| Progress { decoded: frames(ms.min(10_000)), ..call(ms) };
        assert_eq!(first_stuck(60, decoder), Some((20_250, "the decoder")));
    }

    #[test]
    fn nothing_is_due_of_an_encoder_or_decoder_that_is_not_fed() {
        // The other side switches its camera off, and one picture never comes out of the decoder.
        let muted = |ms: u64| {
            let received = frames(ms.min(10_000));
            Progress { received, decoded: received.saturating_sub(1), ..call(ms) }
        };
        assert_eq!(first_stuck(120, muted), None);
        let held = |ms: u64| {
            let fed = frames(ms.min(10_000));
            Progress { fed, encoded: fed.saturating_sub(1), ..call(ms) }
        };
        assert_eq!(first_stuck(120, held), None);
    }

    #[test]
    fn a_screen_that_hangs_at_one_picture_starves_it() {
        let screen =
            |ms: u64| Progress { drawing: Duration::from_millis(ms.saturating_sub(5_000)), ..call(ms) };
        assert_eq!(first_stuck(60, screen), Some((9_250, "the screen")));
    }
}
