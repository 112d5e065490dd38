//! Screens: which there are, and which of them the kiosk uses. No GStreamer here.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::media::protocol::{Display, Output};

/// A connector of a graphics card with a screen on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connector {
    /// The card's node, such as `/dev/dri/card0`.
    pub card: PathBuf,
    /// Such as `HDMI-A-1`.
    pub name: String,
    /// The kernel's number of it; absent before Linux 5.17.
    pub id: Option<i32>,
    /// The sizes the screen has, its own first.
    pub modes: Vec<(u32, u32)>,
}

/// A framebuffer device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Framebuffer {
    /// The node, such as `/dev/fb0`.
    pub node: PathBuf,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Bits a pixel.
    pub depth: u32,
}

/// What there is to show pictures on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// A Wayland compositor's socket.
    pub wayland: Option<String>,
    /// An X11 display.
    pub x11: Option<String>,
    /// Connectors with a screen on them.
    pub connectors: Vec<Connector>,
    /// Framebuffers.
    pub framebuffers: Vec<Framebuffer>,
}

/// What the kiosk draws on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Glass {
    /// A Wayland compositor's, whole or a window.
    Wayland {
        /// Whether it is the whole screen.
        whole: bool,
    },
    /// A window on X11.
    X11,
    /// A window by OpenGL.
    Gl,
    /// A screen on a connector.
    Kms(Connector),
    /// A framebuffer.
    Fbdev(Framebuffer),
}

/// Looks around.
#[must_use]
pub fn look() -> Found {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    Found {
        wayland: set("WAYLAND_DISPLAY"),
        x11: set("DISPLAY"),
        connectors: connectors(Path::new("/sys/class/drm")),
        framebuffers: framebuffers(Path::new("/sys/class/graphics")),
    }
}

impl Found {
    /// What the board's `[screen]` means here; `None` when pictures are shown nowhere.
    ///
    /// # Errors
    /// When what it names is not there; says what is, and what to do.
    pub fn choose(&self, display: &Display) -> Result<Option<Glass>, String> {
        match display.output {
            Output::None => Ok(None),
            Output::Auto => Ok(self.first()),
            Output::Wayland => match self.wayland {
                Some(_) => Ok(Some(Glass::Wayland { whole: true })),
                None => Err("no Wayland compositor: WAYLAND_DISPLAY is not set".into()),
            },
            Output::Window if self.wayland.is_some() => Ok(Some(Glass::Wayland { whole: false })),
            Output::Window if self.x11.is_some() => Ok(Some(Glass::X11)),
            Output::Gl if self.wayland.is_some() || self.x11.is_some() => Ok(Some(Glass::Gl)),
            Output::Window | Output::Gl => {
                Err("no desktop to open a window on: neither DISPLAY nor WAYLAND_DISPLAY is set".into())
            }
            Output::Kms => {
                let named = self.connectors.iter().find(|connector| {
                    display.device.is_empty() || connector.name.eq_ignore_ascii_case(&display.device)
                });
                named.cloned().map(|connector| Some(Glass::Kms(connector))).ok_or_else(|| {
                    let names: Vec<&str> =
                        self.connectors.iter().map(|connector| connector.name.as_str()).collect();
                    let wanted = if display.device.is_empty() { "any connector" } else { &display.device };
                    let names = if names.is_empty() { "none has one".into() } else { names.join(", ") };
                    format!("no screen is connected to {wanted} ({names}): switch it on and check its cable")
                })
            }
            Output::Fbdev => {
                let wanted = Path::new(&display.device);
                let named = self
                    .framebuffers
                    .iter()
                    .find(|framebuffer| display.device.is_empty() || framebuffer.node == wanted);
                named.cloned().map(|framebuffer| Some(Glass::Fbdev(framebuffer))).ok_or_else(|| {
                    let wanted = if display.device.is_empty() { "/dev/fb0" } else { &display.device };
                    format!("there is no framebuffer {wanted}: the kernel needs its driver, or use output = \"kms\"")
                })
            }
        }
    }

    fn first(&self) -> Option<Glass> {
        if self.wayland.is_some() {
            return Some(Glass::Wayland { whole: false });
        }
        if self.x11.is_some() {
            return Some(Glass::X11);
        }
        let connector = self.connectors.first().cloned().map(Glass::Kms);
        connector.or_else(|| self.framebuffers.first().cloned().map(Glass::Fbdev))
    }
}

impl Glass {
    /// The size of the pictures it takes when `wanted` is asked for.
    #[must_use]
    pub fn size(&self, wanted: (u32, u32)) -> (u32, u32) {
        match self {
            Self::Wayland { .. } | Self::X11 | Self::Gl => wanted,
            Self::Kms(connector) if connector.modes.contains(&wanted) => wanted,
            Self::Kms(connector) => connector.modes.first().copied().unwrap_or(wanted),
            Self::Fbdev(framebuffer) => (framebuffer.width, framebuffer.height),
        }
    }
}

fn line(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// `1920x1080`, perhaps with letters around it (`U:1280x800p-0`, `1920x1080i`).
fn pair(text: &str) -> Option<(u32, u32)> {
    let text = text.rsplit(':').next()?;
    let (width, height) = text.split_once(['x', ','])?;
    let digits: String = height.chars().take_while(char::is_ascii_digit).collect();
    let size = (width.parse().ok()?, digits.parse().ok()?);
    // Interlaced modes and sizes no screen has are of no use.
    let whole = !height[digits.len()..].starts_with('i');
    (whole && (16..=16384).contains(&size.0) && (16..=16384).contains(&size.1)).then_some(size)
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Folders such as `card0-HDMI-A-1`, whose `status` is `connected`.
fn connectors(drm: &Path) -> Vec<Connector> {
    let connector = |entry: &String| {
        let (card, name) = entry.split_once('-')?;
        let folder = drm.join(entry);
        if line(&folder.join("status"))? != "connected" {
            return None;
        }
        let mut modes: Vec<(u32, u32)> =
            fs::read_to_string(folder.join("modes")).unwrap_or_default().lines().filter_map(pair).collect();
        modes.dedup();
        let id = line(&folder.join("connector_id")).and_then(|id| id.parse().ok());
        Some(Connector { card: Path::new("/dev/dri").join(card), name: name.into(), id, modes })
    };
    entries(drm).iter().filter_map(connector).collect()
}

fn framebuffers(graphics: &Path) -> Vec<Framebuffer> {
    let framebuffer = |entry: &String| {
        entry.strip_prefix("fb")?.parse::<u32>().ok()?;
        let folder = graphics.join(entry);
        let depth = line(&folder.join("bits_per_pixel"))?.parse().ok()?;
        // The virtual size may be several screens high.
        let shown = line(&folder.join("modes")).and_then(|modes| pair(modes.lines().next()?));
        let (width, height) = shown.or_else(|| pair(&line(&folder.join("virtual_size"))?))?;
        Some(Framebuffer { node: Path::new("/dev").join(entry), width, height, depth })
    };
    entries(graphics).iter().filter_map(framebuffer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> Found {
        let connector = |name: &str| Connector {
            card: "/dev/dri/card0".into(),
            name: name.into(),
            id: Some(31),
            modes: vec![(1920, 1080), (1280, 720)],
        };
        Found {
            wayland: Some("wayland-0".into()),
            x11: Some(":0".into()),
            connectors: vec![connector("DSI-1"), connector("HDMI-A-1")],
            framebuffers: vec![Framebuffer { node: "/dev/fb0".into(), width: 1024, height: 600, depth: 16 }],
        }
    }

    fn display(output: Output, device: &str) -> Display {
        Display { output, device: device.into(), ..Display::default() }
    }

    #[test]
    fn the_screen_is_found_from_the_desktop_down_to_the_framebuffer() {
        let mut found = everything();
        let auto = display(Output::Auto, "");
        let first = |found: &Found| found.choose(&auto).expect("never an error");
        assert_eq!(first(&found), Some(Glass::Wayland { whole: false }));
        found.wayland = None;
        assert_eq!(first(&found), Some(Glass::X11));
        found.x11 = None;
        assert!(matches!(first(&found), Some(Glass::Kms(connector)) if connector.name == "DSI-1"));
        found.connectors.clear();
        assert!(matches!(first(&found), Some(Glass::Fbdev(_))));
        found.framebuffers.clear();
        assert_eq!(first(&found), None);
    }

    #[test]
    fn the_board_file_decides_over_what_is_found() {
        let found = everything();
        let choose = |output, device| found.choose(&display(output, device));
        assert_eq!(choose(Output::None, ""), Ok(None));
        assert_eq!(choose(Output::Wayland, ""), Ok(Some(Glass::Wayland { whole: true })));
        assert_eq!(choose(Output::Gl, ""), Ok(Some(Glass::Gl)));
        assert!(matches!(choose(Output::Kms, "hdmi-a-1"), Ok(Some(Glass::Kms(c))) if c.name == "HDMI-A-1"));
        assert!(matches!(choose(Output::Fbdev, "/dev/fb0"), Ok(Some(Glass::Fbdev(_)))));
        assert!(
            choose(Output::Kms, "DP-1").is_err_and(|text| text.contains("DP-1") && text.contains("DSI-1"))
        );
        assert!(choose(Output::Fbdev, "/dev/fb1").is_err_and(|text| text.contains("/dev/fb1")));
        let nothing = Found::default();
        for output in [Output::Window, Output::Wayland, Output::Gl, Output::Kms, Output::Fbdev] {
            assert!(nothing.choose(&display(output, "")).is_err(), "{output:?}");
        }
    }

    #[test]
    fn a_size_the_screen_has_is_used_and_otherwise_its_own() {
        let connector = everything().connectors.remove(0);
        assert_eq!(Glass::Kms(connector.clone()).size((1280, 720)), (1280, 720));
        assert_eq!(Glass::Kms(connector).size((800, 600)), (1920, 1080));
        assert_eq!(Glass::Fbdev(everything().framebuffers.remove(0)).size((1280, 720)), (1024, 600));
        assert_eq!(Glass::X11.size((1280, 720)), (1280, 720));
    }

    #[test]
    fn what_the_kernel_says_of_its_screens_is_read() {
        let sys = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = sys.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        write("drm/card1-HDMI-A-1/status", "connected\n");
        write("drm/card1-HDMI-A-1/modes", "1920x1080\n1920x1080\n1920x540i\n1280x720\nrubbish\n");
        write("drm/card1-HDMI-A-1/connector_id", "33\n");
        write("drm/card1-DP-1/status", "disconnected\n");
        write("drm/card1/status", "connected\n");
        write("graphics/fb0/virtual_size", "1024,1200\n");
        write("graphics/fb0/modes", "U:1024x600p-0\n");
        write("graphics/fb0/bits_per_pixel", "16\n");
        write("graphics/fb1/virtual_size", "800,480\n");
        write("graphics/fb1/bits_per_pixel", "32\n");
        write("graphics/fbcon/rotate", "0\n");
        let found = connectors(&sys.path().join("drm"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].card, Path::new("/dev/dri/card1"));
        assert_eq!((found[0].name.as_str(), found[0].id), ("HDMI-A-1", Some(33)));
        assert_eq!(found[0].modes, [(1920, 1080), (1280, 720)]);
        let found = framebuffers(&sys.path().join("graphics"));
        let sizes: Vec<_> = found.iter().map(|fb| (fb.width, fb.height, fb.depth)).collect();
        assert_eq!(sizes, [(1024, 600, 16), (800, 480, 32)]);
    }
}
