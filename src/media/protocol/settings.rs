//! What the worker is to use.

use serde::{Deserialize, Serialize};

use super::{Camera, Sound, Video};

/// What the worker uses, from the board file and `kioskd.toml`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The camera.
    pub camera: Camera,
    /// Microphone and speaker.
    pub sound: Sound,
    /// H.264 and the bounds of its bitrate.
    pub video: Video,
    /// The screen.
    pub display: Display,
    /// Extra local addresses to offer, `127.0.0.1` in the simulator (libnice never gathers it by itself).
    pub local_addresses: Vec<std::net::IpAddr>,
    /// Codec elements that failed lately, the longest ago first: they are used when nothing else works.
    pub avoid: Vec<String>,
    /// For the worker's log.
    pub labels: Labels,
}

/// Fields of each record in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Labels {
    /// The room.
    pub room: String,
    /// The user ID.
    pub user: String,
    /// The board.
    pub board: String,
}

/// The screen; the board file's `[screen]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Display {
    /// How pictures reach the glass.
    pub output: Output,
    /// Which: a DRM connector such as `HDMI-A-1` with `kms`, a node such as `/dev/fb0` with `fbdev`; empty takes the first.
    pub device: String,
    /// Pixels, as the customer sees it. What `kms` and `fbdev` cannot show is replaced by what they can.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Degrees by which the picture is turned clockwise, for a screen that hangs on its side: 0, 90, 180 or 270.
    pub rotate: u32,
}

impl Default for Display {
    fn default() -> Self {
        Self { output: Output::Auto, device: String::new(), width: 1280, height: 720, rotate: 0 }
    }
}

/// How pictures reach the glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// What is found: a Wayland or X11 display, a connected DRM connector, a framebuffer; none otherwise.
    Auto,
    /// A window (X11 or Wayland).
    Window,
    /// The whole screen of a Wayland compositor.
    Wayland,
    /// The screen itself, by the kernel's mode setting; no desktop may run.
    Kms,
    /// A window drawn by OpenGL.
    Gl,
    /// The kernel's framebuffer device, for drivers without mode setting.
    Fbdev,
    /// No screen: pictures are decoded, measured and dropped.
    None,
}
