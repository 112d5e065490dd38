//! What the customer sees, read from the X server's memory.

#![allow(clippy::unwrap_used)]

mod media_support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use media_support::{PATIENCE, Server, Worker};
use rtcroom_kiosk::media::mark;
use rtcroom_kiosk::media::protocol::{Command, Display, Event, Output, Part, Role, Screen, Settings, View};

const WIDTH: usize = 1280;
const HEIGHT: usize = 800;

/// An X server of our own, whose picture lies in a file.
struct Glass {
    server: Child,
    display: String,
    folder: tempfile::TempDir,
}

impl Glass {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Process::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                &format!("{WIDTH}x{HEIGHT}x24"),
                "-nolisten",
                "tcp",
                "-fbdir",
            ])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is needed: install xvfb");
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Self { server, display: format!(":{}", number.trim()), folder }
    }

    /// The picture, four bytes a pixel: blue, green, red, nothing.
    fn pixels(&self) -> Vec<u8> {
        let file: PathBuf = self.folder.path().join("Xvfb_screen0");
        let data = std::fs::read(file).unwrap();
        // The XWD header says its own length first, and how many colours follow it in its twentieth word.
        let word =
            |index: usize| u32::from_be_bytes(data[index * 4..index * 4 + 4].try_into().unwrap()) as usize;
        data[word(0) + word(19) * 12..].to_vec()
    }

    /// Waits until the picture `is` so.
    fn until(&self, what: &str, is: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let end = Instant::now() + PATIENCE;
        loop {
            let pixels = self.pixels();
            if is(&pixels) {
                return pixels;
            }
            assert!(Instant::now() < end, "never seen: {what}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Drop for Glass {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn at(pixels: &[u8], x: usize, y: usize) -> (u8, u8, u8) {
    let start = (y * WIDTH + x) * 4;
    (pixels[start + 2], pixels[start + 1], pixels[start])
}

/// Pixels of one colour, nearly, in a rectangle.
fn count(pixels: &[u8], (x, y, w, h): (usize, usize, usize, usize), colour: (u8, u8, u8)) -> usize {
    let near = |a: u8, b: u8| a.abs_diff(b) < 8;
    (y..y + h)
        .flat_map(|y| (x..x + w).map(move |x| (x, y)))
        .filter(|(x, y)| {
            let (r, g, b) = at(pixels, *x, *y);
            near(r, colour.0) && near(g, colour.1) && near(b, colour.2)
        })
        .count()
}

const WHOLE: (usize, usize, usize, usize) = (0, 0, WIDTH, HEIGHT);
const GREEN: (u8, u8, u8) = (0x2e, 0xc2, 0x7e);
const AMBER: (u8, u8, u8) = (0xff, 0xd1, 0x66);

fn kiosk(glass: &Glass) -> Worker {
    let display =
        Display { output: Output::Auto, width: WIDTH as u32, height: HEIGHT as u32, ..Display::default() };
    Worker::ready_with(&[("DISPLAY", &glass.display)], Settings { display, ..Settings::default() })
}

fn show(worker: &mut Worker, view: View, headline: &str) {
    worker.send(&Command::Screen(Screen { view, headline: headline.into(), detail: String::new() }));
}

/// The mark in the member's picture: 640x480 made 1066x800, in the middle.
fn mark_on(pixels: &[u8]) -> Option<mark::Mark> {
    let (width, left) = (1066, (WIDTH - 1066) / 2);
    let luma: Vec<u8> = (0..64)
        .flat_map(|y| {
            (0..640).map(move |x| at(pixels, left + (x * width + width / 2) / 640, (y * width) / 640).1)
        })
        .collect();
    mark::read(&luma, 640, 640, 64)
}

#[test]
fn the_idle_screen_is_drawn_once_and_then_costs_nothing() {
    let glass = Glass::start();
    let mut worker = kiosk(&glass);
    show(&mut worker, View::Idle, "按下按钮");
    glass.until("the button", |pixels| count(pixels, WHOLE, GREEN) > 5000);
    let white = |pixels: &[u8]| count(pixels, (200, 280, 880, 200), (255, 255, 255));
    glass.until("words", |pixels| white(pixels) > 1000);
    let drawn = worker.until("a report", |_| true).frames_drawn;
    worker.until("a report", |_| true);
    let later = worker.until("a report", |_| true).frames_drawn;
    assert_eq!(drawn, later);
}

#[test]
fn a_message_appears_over_the_member_s_picture_and_goes_again() {
    let server = Server::start(0);
    let glass = Glass::start();
    let mut clerk = Worker::ready(Settings::default());
    clerk.publish(&server, 1, "clerk");
    clerk.send(&Command::Capture { on: true });
    clerk.send(&Command::Send { on: true });
    let mut worker = kiosk(&glass);
    show(&mut worker, View::InCall, "");
    worker.play(&server, 1, "clerk");
    worker.wait("a frame", |event| matches!(event, Event::FirstFrame { .. }));
    let first = glass.until("the member's mark", |pixels| mark_on(pixels).is_some());
    let first = mark_on(&first).map_or(0, |mark| mark.counter);
    glass.until("a later mark", |pixels| mark_on(pixels).is_some_and(|mark| mark.counter > first + 10));

    assert_eq!(count(&glass.pixels(), WHOLE, AMBER), 0);
    worker.send(&Command::Message {
        from: "王".into(),
        text: "请出示身份证 & <b>wait</b>".repeat(500),
        seconds: 2,
    });
    glass.until("the message", |pixels| count(pixels, WHOLE, AMBER) > 2000);
    glass.until("its end", |pixels| count(pixels, WHOLE, AMBER) == 0);
    worker.send(&Command::Close { session: 1 });
    glass.until("nobody", |pixels| mark_on(pixels).is_none());
}

#[test]
fn a_screen_that_is_not_there_is_told_and_the_call_goes_on() {
    let display = Display { output: Output::Window, ..Display::default() };
    let mut worker = Worker::ready_with(&[("DISPLAY", ":4999")], Settings { display, ..Settings::default() });
    worker.wait("trouble", |event| matches!(event, Event::Trouble { part: Part::Screen, .. }));
    assert!(worker.offer(1, Role::Publish).contains("H264"));
}
