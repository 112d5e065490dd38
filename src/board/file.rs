//! The board file: what is soldered where.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::button::Button;
use crate::media::protocol::{Camera, Display, Sound, Video};

/// A board file. The media sections are also what `kioskd.toml` may override.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Board {
    /// The board's name, for people.
    pub name: String,
    /// The button.
    pub button: Button,
    /// The camera.
    pub camera: Camera,
    /// Microphone and speaker.
    pub sound: Sound,
    /// H.264.
    pub video: Video,
    /// The screen.
    pub screen: Display,
    /// Extra local addresses to offer.
    pub local_addresses: Vec<IpAddr>,
}

/// Where board files are looked for, in order.
#[must_use]
pub fn places(from_arguments: Option<&Path>) -> Vec<PathBuf> {
    let environment = std::env::var_os("RTCROOM_BOARDS").map(PathBuf::from);
    let fixed = ["/usr/share/rtcroom-kiosk/boards", "boards"].map(PathBuf::from);
    from_arguments.map(Path::to_path_buf).into_iter().chain(environment).chain(fixed).collect()
}

/// The path of the board called `name`, or `name` itself if it is a path.
#[must_use]
pub fn find(name: &str, places: &[PathBuf], config_dir: &Path) -> Option<PathBuf> {
    if name.contains('/') || Path::new(name).extension().is_some_and(|extension| extension == "toml") {
        return Some(config_dir.join(name));
    }
    places.iter().map(|place| place.join(format!("{name}.toml"))).find(|path| path.is_file())
}
