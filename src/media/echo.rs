//! Takes the speaker's sound out of the microphone's: WebRTC's AEC3, ported to Rust as `sonora`.
//!
//! GStreamer's `webrtcdsp` is built on what the distribution has: on Debian 12 webrtc-audio-processing 0.3 and its
//! older canceller. Both were measured in the room of [`super::room`], 20 s of speech, 100 ppm, after 3 s, before Opus:
//!
//! | canceller | echo down | customer loses in double talk | % of an x86_64 core |
//! |---|---|---|---|
//! | this one | 46 dB | 4 dB | 3 to 5 |
//! | `webrtcdsp`, the 80 ms untold, every setting | 2 to 8 dB | 2 to 6 dB | 3 |
//! | `webrtcdsp`, 60 of the 80 ms told, low or moderate | 15 to 29 dB, and lost again for seconds | 5 to 7 dB | 2 |
//! | the same, high | 46 dB | 11 dB | 3 |
//!
//! This one is the same on every distribution and board. `tests/media_echo.rs` holds it to 25 and 6 dB at the far end.

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
