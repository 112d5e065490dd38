//! Congestion control: what the network bears, from transport-wide feedback.
//!
//! `rtpgccbwe` sits before the RTP session, paces packets, and tells how many bits a second get through. Its pacer
//! wakes two hundred times a second whether there is something to send or not, so it rests until the session sends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;

use super::protocol::Video;
use super::sound::OPUS_BPS;

/// What a second of sound costs on the wire: Opus, and fifty packets' headers of RTP, SRTP, UDP and IP.
const SOUND_BPS: u32 = OPUS_BPS + 50 * 8 * 60;

/// The estimator of one session.
#[derive(Clone, Debug)]
pub struct Control {
    estimator: Arc<Mutex<Option<gst::Element>>>,
    awake: Arc<AtomicBool>,
}

impl Control {
    /// Puts an estimator into `bin`; `tell` gets the bitrate meant for the video encoder.
    pub fn install(bin: &gst::Element, video: &Video, tell: impl Fn(u32) + Send + Sync + 'static) -> Self {
        // A pacer is born awake.
        let control = Self { estimator: Arc::default(), awake: Arc::new(AtomicBool::new(true)) };
        let (slot, tell) = (control.clone(), Arc::new(tell));
        let video = video.clone();
        bin.connect("request-aux-sender", false, move |_| {
            let estimator = gst::ElementFactory::make("rtpgccbwe")
                .property("min-bitrate", wire(video.min_kbps))
                .property("max-bitrate", wire(video.max_kbps.max(video.min_kbps)))
                .property("estimated-bitrate", wire(video.start_kbps))
                .build()
                .inspect_err(|error| log::error!("no congestion control: {error}"))
                .ok()?;
            let (tell, video) = (Arc::clone(&tell), video.clone());
            estimator.connect_notify(Some("estimated-bitrate"), move |estimator, _| {
                tell(for_video(estimator.property("estimated-bitrate"), &video));
            });
            *slot.estimator.lock().unwrap_or_else(PoisonError::into_inner) = Some(estimator.clone());
            Some(estimator.to_value())
        });
        control
    }

    /// Lets the pacer run; cheap when it does.
    pub fn wake(&self) {
        if self.awake.load(Ordering::Acquire) {
            return;
        }
        // Starting a task that is there already goes on with its own function, not with this one.
        self.pad(|pad| pad.start_task(|| ()).is_ok());
        self.awake.store(true, Ordering::Release);
    }

    /// Lets the pacer rest.
    pub fn rest(&self) {
        if self.awake.load(Ordering::Acquire) && self.pad(|pad| pad.is_active() && pad.pause_task().is_ok()) {
            self.awake.store(false, Ordering::Release);
        }
    }

    fn pad(&self, act: impl FnOnce(&gst::Pad) -> bool) -> bool {
        let slot = self.estimator.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().and_then(|estimator| estimator.static_pad("src")).is_some_and(|pad| act(&pad))
    }
}

/// Kilobits of video as bits on the wire, sound included.
fn wire(kbps: u32) -> u32 {
    kbps.max(1).saturating_mul(1000) / 9 * 10 + SOUND_BPS
}

/// What of an estimate is for the video encoder: a tenth is for headers and repeated packets.
#[must_use]
pub fn for_video(estimate: u32, video: &Video) -> u32 {
    let (low, high) = (video.min_kbps.max(1) * 1000, video.max_kbps.max(video.min_kbps).max(1) * 1000);
    (estimate.saturating_sub(SOUND_BPS) / 10 * 9).clamp(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoder_stays_within_the_board_s_bounds_and_below_the_estimate() {
        let video = Video::default();
        assert_eq!(for_video(0, &video), 150_000);
        assert_eq!(for_video(u32::MAX, &video), 2_500_000);
        assert!(for_video(300_000, &video) < 230_000);
        assert!((i64::from(for_video(wire(1000), &video)) - 1_000_000).abs() < 1000);
    }
}
