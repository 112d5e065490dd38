//! Takes the speaker's sound out of the microphone's: WebRTC's AEC3, ported to Rust as `sonora`.
//!
//! GStreamer's `webrtcdsp` is built on what the distribution has: on Debian 12 webrtc-audio-processing 0.3 and its
//! older canceller, which wants to be told the delay. This one finds it, and is the same on every distribution and
//! board. `tests/media_echo.rs` holds it to 25 dB of echo and 6 dB of the customer's speech at the far end.

use sonora::config::EchoCanceller;
use sonora::{AudioProcessing, Config, StreamConfig};

use super::stats::RATE;

/// Samples of 10 ms.
pub const BLOCK: usize = RATE / 100;

/// An echo canceller of one speaker and one microphone.
#[derive(Debug)]
pub struct Canceller {
    processing: AudioProcessing,
}

impl Default for Canceller {
    fn default() -> Self {
        let config = Config { echo_canceller: Some(EchoCanceller::default()), ..Config::default() };
        let mono = StreamConfig::new(RATE as u32, 1);
        Self {
            processing: AudioProcessing::builder()
                .config(config)
                .capture_config(mono)
                .render_config(mono)
                .build(),
        }
    }
}

impl Canceller {
    /// Takes the echo of `played`, and of what was played before, out of `heard`: 10 ms of both, by the same clock.
    pub fn cancel(&mut self, played: &[f32; BLOCK], heard: &mut [f32; BLOCK]) {
        let mut out = [0.0; BLOCK];
        let done = self
            .processing
            .process_render_f32(&[played], &mut [&mut out])
            .and_then(|()| self.processing.process_capture_f32(&[heard.as_slice()], &mut [&mut out]));
        match done {
            Ok(()) => *heard = out,
            Err(error) => log::error!("the echo canceller refuses a block: {error:?}"),
        }
    }
}
