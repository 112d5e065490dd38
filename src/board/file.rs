//! The board file: what is soldered where.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::button::{self, Button};
use super::lamp::{self, Lamp};
use super::line::Line;
use super::tamper::Tamper;
use crate::media::protocol::{Camera, Display, Sound, Video};

/// A board file. All but the name is also what `kioskd.toml` may override.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Board {
    /// The board's name, for people.
    pub name: String,
    /// The button.
    pub button: Button,
    /// The lamp.
    pub lamp: Lamp,
    /// The door switch.
    pub tamper: Tamper,
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

/// A value that is well-formed and impossible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impossible {
    /// The section.
    pub section: &'static str,
    /// The key.
    pub key: &'static str,
    /// The value.
    pub value: String,
    /// What is wrong.
    pub detail: &'static str,
}

impl Board {
    /// What is impossible about button, lamp and door switch.
    pub fn check(&self) -> Result<(), Impossible> {
        let button_is_gpio = self.button.kind == button::Kind::Gpio;
        line("button", "button.gpio", button_is_gpio, self.button.gpio.as_ref(), false)?;
        line("lamp", "lamp.gpio", self.lamp.kind == lamp::Kind::Gpio, self.lamp.gpio.as_ref(), true)?;
        line(
            "tamper",
            "tamper.gpio",
            self.tamper.kind == lamp::Kind::Gpio,
            self.tamper.gpio.as_ref(),
            false,
        )?;
        let (long, stuck) = (self.button.long_press_ms, self.button.stuck_ms);
        let button = |key, value: u64, detail| {
            Err(Impossible { section: "button", key, value: value.to_string(), detail })
        };
        match (long, stuck) {
            (1..500, _) => {
                button("long_press_ms", long, "has to be 0 (never) or at least 500: shorter is a press")
            }
            (30_001.., _) => button("long_press_ms", long, "nobody holds a button for more than 30000 ms"),
            (_, ..1000 | 600_001..) => button("stuck_ms", stuck, "has to be 1000 to 600000"),
            _ if stuck <= long => button("stuck_ms", stuck, "has to be more than long_press_ms"),
            _ => Ok(()),
        }
    }
}

fn line(
    section: &'static str,
    table: &'static str,
    wanted: bool,
    line: Option<&Line>,
    output: bool,
) -> Result<(), Impossible> {
    if wanted && line.is_none() {
        let detail = "needs a table saying which line: chip, line, active_low";
        return Err(Impossible { section, key: "kind", value: "\"gpio\"".into(), detail });
    }
    line.map_or(Ok(()), |line| line.check(output)).map_err(|(key, value, detail)| Impossible {
        section: table,
        key,
        value,
        detail,
    })
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
