//! What the worker tells of its progress, every second.

use serde::{Deserialize, Serialize};

use super::SessionId;

/// Progress since the worker started, measured where it counts: behind the encoder, behind the decoder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stats {
    /// Whether camera and microphone are open.
    pub capturing: bool,
    /// Whether media is being sent.
    pub sending: bool,
    /// Frames the camera gave.
    pub frames_captured: u64,
    /// Frames that left the encoder.
    pub frames_encoded: u64,
    /// Frames handed to RTP while the publish session was connected.
    pub frames_sent: u64,
    /// Frames handed to the screen (idle picture and preview included).
    pub frames_drawn: u64,
    /// The encoder in use.
    pub encoder: String,
    /// The decoder that new sessions use.
    pub decoder: String,
    /// What congestion control asks of the encoder, bits a second.
    pub target_bps: u64,
    /// What left the encoder in the last second, bits a second.
    pub encoded_bps: u64,
    /// One for each [`Role::Play`](super::Role::Play) session.
    pub players: Vec<Player>,
}

/// Progress of one [`Role::Play`](super::Role::Play) session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Player {
    /// The session.
    pub session: SessionId,
    /// Whose media.
    pub user_id: String,
    /// Frames decoded and handed to the screen.
    pub frames_shown: u64,
    /// Of those, frames whose pixels differ from the frame before.
    pub frames_changed: u64,
    /// The longest time between two of them, milliseconds.
    pub longest_gap_ms: u64,
    /// Milliseconds of sound handed to the speaker.
    pub audio_ms: u64,
    /// Of those, milliseconds louder than -45 dBFS.
    pub audio_loud_ms: u64,
    /// Loudness of the last second, dBFS (RMS).
    pub audio_dbfs: f64,
    /// Strongest frequency of the last second of sound, Hz; 0 when silent.
    pub audio_hz: f64,
    /// What the pixel marks said; absent while none was ever read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<Marks>,
}

/// Marks read from the pixels of decoded frames (see `media::mark`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Marks {
    /// Frames with a readable mark and a counter not seen before.
    pub distinct: u64,
    /// Frames whose counter was not above the one before.
    pub out_of_order: u64,
    /// The first counter read.
    pub first: u32,
    /// The newest counter read.
    pub last: u32,
    /// CLOCK_MONOTONIC of this machine when the first mark was read, milliseconds.
    pub first_at_ms: u64,
    /// Age of the newest frames when shown, median over the last 300, milliseconds. Only sensible when both ends run on
    /// one machine: the mark carries the sender's CLOCK_MONOTONIC.
    pub age_p50_ms: f64,
    /// The same, 95th percentile.
    pub age_p95_ms: f64,
}
