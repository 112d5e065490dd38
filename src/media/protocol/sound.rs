//! Microphone and speaker.

use serde::{Deserialize, Serialize};

/// Microphone and speaker; the board file's `[sound]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sound {
    /// Where sound comes from.
    pub source: SoundSource,
    /// With `alsa`: the microphone's card, by its ID (first column in brackets of `/proc/asound/cards`, never its number), by part of
    /// its name or of the USB path in its long name, or an ALSA device such as `plughw:CARD=Device,DEV=0`; empty takes the first card that captures.
    pub capture: String,
    /// Where sound goes to.
    pub sink: SoundSink,
    /// With `alsa`: the speaker's card, named in the same way; empty takes the first card that plays.
    pub playback: String,
    /// The speaker's volume, `"70%"` of the control's range or `"-6dB"`; empty leaves it as it is. Set whenever the card is opened.
    pub speaker_volume: String,
    /// The microphone's, in the same way.
    pub microphone_volume: String,
    /// Mutes the speaker at the mixer; otherwise it is unmuted whenever the card is opened.
    pub mute: bool,
    /// The speaker's mixer controls; empty takes those of the usual names (`Master`, `Speaker`, `PCM`, …).
    pub speaker_controls: Vec<String>,
    /// The microphone's; empty takes those of the usual names (`Mic`, `Capture`, …).
    pub microphone_controls: Vec<String>,
    /// With `tone`: its frequency in Hz.
    pub tone_hz: u32,
    /// Echo cancelling between real devices.
    pub echo_cancel: bool,
    /// With `room`: what the simulated room is like.
    pub room: Room,
}

impl Default for Sound {
    fn default() -> Self {
        Self {
            source: SoundSource::Tone,
            capture: String::new(),
            sink: SoundSink::None,
            playback: String::new(),
            speaker_volume: String::new(),
            microphone_volume: String::new(),
            mute: false,
            speaker_controls: Vec::new(),
            microphone_controls: Vec::new(),
            tone_hz: 440,
            echo_cancel: true,
            room: Room::default(),
        }
    }
}

/// A simulated room with a speaker, a microphone, an echo and perhaps somebody speaking; `[sound.room]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Room {
    /// A WAV file (16 bits, one channel, 48 kHz) that somebody in the room speaks, over and over; empty: nobody is there.
    pub speech: String,
    /// From the speaker's sample to its first echo in the microphone's, milliseconds.
    pub delay_ms: u32,
    /// How fast the microphone's clock runs against the speaker's, parts in a million.
    pub drift_ppm: f64,
    /// Power of the echo over that of the speaker, dB.
    pub echo_db: f64,
}

impl Default for Room {
    fn default() -> Self {
        Self { speech: String::new(), delay_ms: 80, drift_ppm: 100.0, echo_db: -8.0 }
    }
}

/// Where sound comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoundSource {
    /// A test tone.
    Tone,
    /// An ALSA capture device.
    Alsa,
    /// The microphone of a simulated room.
    Room,
}

/// Where sound goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoundSink {
    /// Decoded, measured, and dropped at the pace of a clock.
    None,
    /// All that a speaker costs, echo cancelling of the tone included, with a clock in place of the card; for benchmarks.
    Fake,
    /// An ALSA playback device.
    Alsa,
    /// The speaker of a simulated room.
    Room,
}
