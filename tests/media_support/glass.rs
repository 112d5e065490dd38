//! Screens of our own: an X server or a Wayland compositor that shows its picture to nobody but us.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// Colours of the kiosk's pictures.
pub const GREEN: (u8, u8, u8) = (0x2e, 0xc2, 0x7e);
pub const AMBER: (u8, u8, u8) = (0xff, 0xd1, 0x66);
pub const WHITE: (u8, u8, u8) = (0xff, 0xff, 0xff);

/// What a screen shows at one moment.
#[derive(Clone)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    /// Four bytes a pixel: blue, green, red, nothing.
    data: Vec<u8>,
}

impl Picture {
    pub fn at(&self, x: usize, y: usize) -> (u8, u8, u8) {
        let start = (y * self.width + x) * 4;
        (self.data[start + 2], self.data[start + 1], self.data[start])
    }

    /// Pixels of one colour, nearly, in a rectangle: left, top, width and height.
    pub fn count(&self, (x, y, w, h): (usize, usize, usize, usize), colour: (u8, u8, u8)) -> usize {
        let all = (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y)));
        all.filter(|(x, y)| near(self.at(*x, *y), colour)).count()
    }

    /// Pixels of one colour, nearly.
    pub fn count_all(&self, colour: (u8, u8, u8)) -> usize {
        self.count((0, 0, self.width, self.height), colour)
    }

    /// Pixels that are clearly not as in the other.
    pub fn differs(&self, other: &Self) -> usize {
        assert_eq!((self.width, self.height), (other.width, other.height));
        let all = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
        all.filter(|(x, y)| !near(self.at(*x, *y), other.at(*x, *y))).count()
    }

    /// The same, a quarter further clockwise.
    pub fn turned(&self) -> Self {
        let mut data = Vec::with_capacity(self.data.len());
        for y in 0..self.width {
            for x in 0..self.height {
                let start = ((self.height - 1 - x) * self.width + y) * 4;
                data.extend_from_slice(&self.data[start..start + 4]);
            }
        }
        Self { width: self.height, height: self.width, data }
    }
}

fn near(a: (u8, u8, u8), b: (u8, u8, u8)) -> bool {
    a.0.abs_diff(b.0) < 8 && a.1.abs_diff(b.1) < 8 && a.2.abs_diff(b.2) < 8
}

enum System {
    /// Its picture lies in a file.
    X11 { display: String },
    /// It is asked for its picture.
    Wayland,
}

/// A screen.
pub struct Glass {
    server: Child,
    system: System,
    folder: tempfile::TempDir,
    width: usize,
    height: usize,
}

impl Glass {
    /// An X server.
    pub fn x11(width: usize, height: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Process::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24"), "-nolisten", "tcp"])
            .arg("-fbdir")
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is needed: boards/setup.sh test");
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        let system = System::X11 { display: format!(":{}", number.trim()) };
        Self { server, system, folder, width, height }
    }

    /// A Wayland compositor.
    pub fn wayland(width: usize, height: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        // Nothing of its own on the screen. Not its kiosk shell, which shows nobody's window where there is no seat.
        let config =
            "[core]\nshell=desktop-shell.so\nidle-time=0\n[shell]\nlocking=false\npanel-position=none\n";
        std::fs::write(folder.path().join("weston.ini"), config).unwrap();
        std::fs::create_dir(folder.path().join("shots")).unwrap();
        let server = Self::weston(&folder, width, height);
        Self { server, system: System::Wayland, folder, width, height }
    }

    fn weston(folder: &tempfile::TempDir, width: usize, height: usize) -> Child {
        let socket = folder.path().join("glass");
        let server = Process::new("weston")
            .args(["--backend=headless-backend.so", "--use-pixman", "--socket=glass", "--debug"])
            .args([format!("--width={width}"), format!("--height={height}")])
            .arg(format!("--config={}", folder.path().join("weston.ini").display()))
            .env("XDG_RUNTIME_DIR", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("weston is needed: boards/setup.sh test");
        let end = Instant::now() + PATIENCE;
        while !socket.exists() {
            assert!(Instant::now() < end, "weston makes no {}", socket.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// The compositor ends, and another begins in its place.
    pub fn restart(&mut self) {
        self.end();
        let _ = std::fs::remove_file(self.folder.path().join("glass"));
        self.server = Self::weston(&self.folder, self.width, self.height);
    }

    /// The server is stopped, and goes on.
    pub fn stopped(&self, yes: bool) {
        let signal = if yes { libc::SIGSTOP } else { libc::SIGCONT };
        // SAFETY: a signal to a child that was not waited for.
        unsafe { libc::kill(self.server.id() as libc::pid_t, signal) };
    }

    fn end(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    /// What a program needs to be told to find it.
    pub fn variables(&self) -> Vec<(&str, &str)> {
        match &self.system {
            System::X11 { display } => vec![("DISPLAY", display)],
            System::Wayland => {
                vec![("WAYLAND_DISPLAY", "glass"), ("XDG_RUNTIME_DIR", self.folder.path().to_str().unwrap())]
            }
        }
    }

    /// What it shows now.
    pub fn picture(&self) -> Picture {
        let data = match &self.system {
            System::X11 { .. } => {
                let file: PathBuf = self.folder.path().join("Xvfb_screen0");
                let data = std::fs::read(file).unwrap();
                // The XWD header says its own length first, and how many colours follow it in its twentieth word.
                let word = |index: usize| {
                    u32::from_be_bytes(data[index * 4..index * 4 + 4].try_into().unwrap()) as usize
                };
                data[word(0) + word(19) * 12..].to_vec()
            }
            System::Wayland => self.shot(),
        };
        assert!(data.len() >= self.width * self.height * 4, "{} bytes", data.len());
        Picture { width: self.width, height: self.height, data }
    }

    /// What the compositor's own tool saves. Its picture is meant to be opaque all over: what is not comes out black.
    fn shot(&self) -> Vec<u8> {
        let folder = self.folder.path().join("shots");
        let run = |program: &str, arguments: &[&str]| {
            let done = Process::new(program)
                .args(arguments)
                .envs(self.variables())
                .env("XDG_PICTURES_DIR", &folder)
                .current_dir(&folder)
                .output()
                .unwrap_or_else(|error| panic!("{program}: {error}; boards/setup.sh test installs it"));
            assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
            done.stdout
        };
        run("weston-screenshooter", &[]);
        let file = std::fs::read_dir(&folder).unwrap().next().expect("a picture").unwrap().path();
        let pixels = run("convert", &[file.to_str().unwrap(), "-alpha", "off", "-depth", "8", "bgra:-"]);
        std::fs::remove_file(file).unwrap();
        pixels
    }

    /// Waits until the picture `is` so.
    pub fn until(&self, what: &str, is: impl Fn(&Picture) -> bool) -> Picture {
        let end = Instant::now() + PATIENCE;
        loop {
            let picture = self.picture();
            if is(&picture) {
                return picture;
            }
            assert!(Instant::now() < end, "never seen: {what}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Drop for Glass {
    fn drop(&mut self) {
        self.end();
    }
}
