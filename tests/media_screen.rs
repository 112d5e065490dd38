//! What the customer sees, read from the X server's memory.

#![allow(clippy::unwrap_used)]

mod media_support;

use media_support::glass::{AMBER, GREEN, Glass, Picture, WHITE};
use media_support::{Server, Worker};
use rtcroom_kiosk::media::mark;
use rtcroom_kiosk::media::protocol::{Command, Display, Event, Output, Part, Role, Screen, Settings, View};

const WIDTH: usize = 1280;
const HEIGHT: usize = 800;

fn kiosk(glass: &Glass) -> Worker {
    let display =
        Display { output: Output::Auto, width: WIDTH as u32, height: HEIGHT as u32, ..Display::default() };
    Worker::ready_with(&glass.variables(), Settings { display, ..Settings::default() })
}

fn show(worker: &mut Worker, view: View, headline: &str) {
    worker.send(&Command::Screen(Screen { view, headline: headline.into(), detail: String::new() }));
}

/// The mark in the member's picture: 640x480 made 1066x800, in the middle.
fn mark_on(picture: &Picture) -> Option<mark::Mark> {
    let (width, left) = (1066, (WIDTH - 1066) / 2);
    let luma: Vec<u8> = (0..64)
        .flat_map(|y| {
            (0..640).map(move |x| picture.at(left + (x * width + width / 2) / 640, (y * width) / 640).1)
        })
        .collect();
    mark::read(&luma, 640, 640, 64)
}

#[test]
fn the_idle_screen_is_drawn_once_and_then_costs_nothing() {
    let glass = Glass::x11(WIDTH, HEIGHT);
    let mut worker = kiosk(&glass);
    show(&mut worker, View::Idle, "按下按钮");
    glass.until("the button", |picture| picture.count_all(GREEN) > 5000);
    let white = |picture: &Picture| picture.count((200, 280, 880, 200), WHITE);
    glass.until("words", |picture| white(picture) > 1000);
    let drawn = worker.until("a report", |_| true).frames_drawn;
    worker.until("a report", |_| true);
    let later = worker.until("a report", |_| true).frames_drawn;
    assert_eq!(drawn, later);
}

#[test]
fn a_message_appears_over_the_member_s_picture_and_goes_again() {
    let server = Server::start(0);
    let glass = Glass::x11(WIDTH, HEIGHT);
    let mut clerk = Worker::ready(Settings::default());
    clerk.publish(&server, 1, "clerk");
    clerk.send(&Command::Capture { on: true });
    clerk.send(&Command::Send { on: true });
    let mut worker = kiosk(&glass);
    show(&mut worker, View::InCall, "");
    worker.play(&server, 1, "clerk");
    worker.wait("a frame", |event| matches!(event, Event::FirstFrame { .. }));
    let first = glass.until("the member's mark", |picture| mark_on(picture).is_some());
    let first = mark_on(&first).map_or(0, |mark| mark.counter);
    glass.until("a later mark", |picture| mark_on(picture).is_some_and(|mark| mark.counter > first + 10));

    assert_eq!(glass.picture().count_all(AMBER), 0);
    worker.send(&Command::Message {
        from: "王".into(),
        text: "请出示身份证 & <b>wait</b>".repeat(500),
        seconds: 2,
    });
    glass.until("the message", |picture| picture.count_all(AMBER) > 2000);
    glass.until("its end", |picture| picture.count_all(AMBER) == 0);
    worker.send(&Command::Close { session: 1 });
    glass.until("nobody", |picture| mark_on(picture).is_none());
}

#[test]
fn a_screen_that_is_not_there_is_told_and_the_call_goes_on() {
    let display = Display { output: Output::Window, ..Display::default() };
    let mut worker = Worker::ready_with(&[("DISPLAY", ":4999")], Settings { display, ..Settings::default() });
    worker.wait("trouble", |event| matches!(event, Event::Trouble { part: Part::Screen, .. }));
    assert!(worker.offer(1, Role::Publish).contains("H264"));
}
