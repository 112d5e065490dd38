//! Every way to a screen that a machine without one has: what the X server or the compositor shows is what was drawn.

#![allow(clippy::unwrap_used)]

mod media_support;

use std::time::{Duration, Instant};

use media_support::Worker;
use media_support::glass::{Glass, Picture, WHITE};
use rtcroom_kiosk::media::mark;
use rtcroom_kiosk::media::protocol::{Camera, Command, Display, Event, Output, Part, Screen, Settings, View};

/// As the test picture, so that a picture over the whole screen is neither scaled nor cut.
const WIDTH: usize = 640;
const HEIGHT: usize = 480;

fn kiosk(glass: &Glass, output: Output, rotate: u32) -> Worker {
    let display =
        Display { output, width: WIDTH as u32, height: HEIGHT as u32, rotate, device: String::new() };
    let camera = Camera { mirror_preview: false, ..Camera::default() };
    Worker::ready_with(&glass.variables(), Settings { display, camera, ..Settings::default() })
}

fn show(worker: &mut Worker, view: View, headline: &str) {
    // Words in a call would lie over the mark.
    let detail = if view == View::InCall { "" } else { "请稍候" };
    worker.send(&Command::Screen(Screen { view, headline: headline.into(), detail: detail.into() }));
}

/// Drawn by the processor alone, into a window of X11: what every other way has to look like.
fn drawn(view: View, headline: &str) -> Picture {
    let glass = Glass::x11(WIDTH, HEIGHT);
    let mut worker = kiosk(&glass, Output::Window, 0);
    show(&mut worker, view, headline);
    let last = std::cell::RefCell::new(glass.picture());
    glass.until("words that stay", |picture| {
        last.replace(picture.clone()).differs(picture) == 0 && picture.count_all(WHITE) > 100
    })
}

fn counter(picture: &Picture) -> Option<u32> {
    let luma: Vec<u8> = (0..64).flat_map(|y| (0..640).map(move |x| picture.at(x, y).1)).collect();
    mark::read(&luma, 640, 640, 64).map(|mark| mark.counter)
}

/// Pictures that stay and pictures that move come out at the other side.
fn shows_what_is_drawn(glass: &Glass, output: Output) {
    let mut worker = kiosk(glass, output, 0);
    for (view, headline) in [(View::Idle, "请按按钮开始视频通话"), (View::Trouble, "Not available")]
    {
        let wanted = drawn(view, headline);
        show(&mut worker, view, headline);
        glass.until(headline, |picture| picture.differs(&wanted) == 0);
    }
    worker.send(&Command::Capture { on: true });
    show(&mut worker, View::InCall, "");
    let first = counter(&glass.until("the camera's mark", |picture| counter(picture).is_some())).unwrap();
    glass.until("a later mark", |picture| counter(picture).is_some_and(|counter| counter > first + 5));
    assert_eq!(worker.troubles, [""; 0]);
}

#[test]
fn a_window_of_a_wayland_compositor_shows_what_is_drawn() {
    shows_what_is_drawn(&Glass::wayland(WIDTH, HEIGHT), Output::Window);
}

#[test]
fn the_whole_screen_of_a_wayland_compositor_shows_what_is_drawn() {
    shows_what_is_drawn(&Glass::wayland(WIDTH, HEIGHT), Output::Wayland);
}

#[test]
fn open_gl_shows_what_is_drawn_on_x11() {
    shows_what_is_drawn(&Glass::x11(WIDTH, HEIGHT), Output::Gl);
}

#[test]
fn on_a_screen_that_hangs_on_its_side_the_picture_is_upright() {
    let wanted = drawn(View::Trouble, "Turned");
    for (glass, output) in [
        (Glass::x11(HEIGHT, WIDTH), Output::Window),
        (Glass::wayland(HEIGHT, WIDTH), Output::Wayland),
        (Glass::x11(HEIGHT, WIDTH), Output::Gl),
    ] {
        let mut worker = kiosk(&glass, output, 90);
        show(&mut worker, View::Trouble, "Turned");
        glass.until("the picture on its side", |picture| picture.differs(&wanted.turned()) == 0);
    }
}

#[test]
fn what_is_drawn_while_a_compositor_is_busy_is_seen_in_the_end() {
    let wanted = drawn(View::Idle, "the last");
    let glass = Glass::wayland(WIDTH, HEIGHT);
    let mut worker = kiosk(&glass, Output::Wayland, 0);
    show(&mut worker, View::Idle, "the last");
    glass.until("the first picture", |picture| picture.differs(&wanted) == 0);
    // Busy for shorter than the kiosk waits before it shows the last picture once more.
    for _ in 0..5 {
        let since = Instant::now();
        glass.stopped(true);
        show(&mut worker, View::Trouble, "one of many");
        std::thread::sleep(Duration::from_millis(60));
        show(&mut worker, View::Idle, "the last");
        std::thread::sleep(Duration::from_millis(40));
        glass.stopped(false);
        if since.elapsed() < Duration::from_millis(150) {
            break;
        }
    }
    glass.until("the last of many", |picture| picture.differs(&wanted) == 0);
}

#[test]
fn the_picture_comes_back_with_a_compositor_that_was_started_again() {
    let wanted = drawn(View::Idle, "Back again");
    let mut glass = Glass::wayland(WIDTH, HEIGHT);
    let mut worker = kiosk(&glass, Output::Wayland, 0);
    show(&mut worker, View::Idle, "Back again");
    glass.until("the first picture", |picture| picture.differs(&wanted) == 0);
    glass.restart();
    worker.wait("trouble", |event| matches!(event, Event::Trouble { part: Part::Screen, .. }));
    glass.until("the second picture", |picture| picture.differs(&wanted) == 0);
    worker.wait("its end", |event| matches!(event, Event::Well { part: Part::Screen }));
}
