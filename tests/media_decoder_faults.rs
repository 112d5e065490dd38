//! A decoder that fails in a call, or never comes back from a frame, is left for the next of the table. What counts are
//! pictures of the member behind the next decoder, and how many of the member's are missing in between.

#![allow(missing_docs, clippy::unwrap_used)]

mod media_support;

use std::time::Duration;

use media_support::{Server, Worker, print_median};
use rtcroom_kiosk::media::protocol::{
    Camera, CameraSource, Command, Event, Fake, Fault, Marks, Part, Plant, Role, SessionId, Settings, Stats,
    Video,
};

const FAKE: &str = "faultyh264dec";
const NEXT: &str = "openh264dec";
/// Pictures a second of the member's camera.
const FPS: u64 = 30;

/// Settings under which the first decoder fails after so many frames.
fn planted(plant: Plant, decoders: &[&str], after_frames: u32) -> Settings {
    let fake = Fake { decoder: plant, after_frames, ..Fake::default() };
    let decoders = decoders.iter().map(ToString::to_string).collect();
    Settings { video: Video { decoders, fake, ..Video::default() }, ..Settings::default() }
}

/// A member that sends pictures.
fn member(server: &Server) -> Worker {
    let mut sender = Worker::ready(Settings::default());
    sender.publish(server, 1, "member");
    sender.send(&Command::Capture { on: true });
    sender.send(&Command::Send { on: true });
    sender
}

fn marks(stats: &Stats, session: SessionId) -> Option<Marks> {
    stats.players.iter().find(|player| player.session == session)?.mark.clone()
}

fn is_lost(event: &Event, lost: SessionId) -> bool {
    matches!(event, Event::Lost { session, .. } if *session == lost)
}

/// Lets a decoder fail in a call, and waits for pictures behind the next; the marks of both in one report, the last
/// picture of the one and the first of the other.
fn switched(plant: Plant, expected: Fault) -> (Option<Marks>, Marks) {
    let server = Server::start(0);
    let _sender = member(&server);
    let mut player = Worker::ready(planted(plant, &[FAKE, NEXT], 30));
    // One is ready before the fault, as kioskd has it.
    let spare = player.offer(2, Role::Play);
    player.play(&server, 1, "member");
    let said = player.leaves(Part::Decoder, FAKE, expected, Some(NEXT));
    assert!(expected != Fault::Error || said.contains("decode stream"), "{said}");
    player.wait("the loss", |event| is_lost(event, 1));
    let sdp = server.post("/whep/member", &spare).unwrap();
    player.send(&Command::Answer { session: 2, sdp, member: None });
    let stats = player.until("pictures behind the next decoder", |stats| {
        marks(stats, 2).is_some_and(|marks| marks.distinct >= 60)
    });
    assert_eq!(stats.decoder, NEXT);
    let (before, after) = (marks(&stats, 1), marks(&stats, 2).unwrap());
    // Whatever hangs of the old one, its session is closed, the other goes on, and the worker ends in good order.
    player.send(&Command::Close { session: 1 });
    player.until("pictures without the old session", |stats| {
        stats.players.len() == 1 && marks(stats, 2).is_some_and(|marks| marks.distinct >= after.distinct + 60)
    });
    player.stops();
    (before, after)
}

/// The same; how long no picture of the member was shown, in milliseconds.
fn pause(plant: Plant, expected: Fault) -> u64 {
    let (before, after) = switched(plant, expected);
    let before = before.unwrap();
    assert!(after.first > before.last, "{before:?} {after:?}");
    let pause = u64::from(after.first - before.last) * 1000 / FPS;
    println!("{plant:?}: no picture of the member for {pause} ms");
    pause
}

#[test]
fn a_decoder_that_fails_is_replaced_in_the_call() {
    assert!(pause(Plant::Error, Fault::Error) < 5000);
}

#[test]
fn a_decoder_that_never_comes_back_from_a_frame_is_replaced_in_the_call() {
    let gap = pause(Plant::HangInChain, Fault::Hang);
    assert!((1900..10_000).contains(&gap), "{gap}: it was to hang");
}

#[test]
fn a_decoder_that_cannot_be_taken_down_is_left_behind() {
    assert!(pause(Plant::HangOnStop, Fault::Error) < 5000);
}

#[test]
fn a_decoder_that_does_not_start_is_replaced_in_the_call() {
    // There was no picture before.
    switched(Plant::HangOnStart, Fault::NoStart);
}

#[test]
fn hangs_with_no_other_decoder_cost_the_worker_only_when_too_much_is_left_behind() {
    let server = Server::start(0);
    let _sender = member(&server);
    let mut player = Worker::ready(planted(Plant::HangInChain, &[FAKE], 5));
    for session in 1..4 {
        player.play(&server, session, "member");
        player.wait("the loss", |event| {
            assert!(!matches!(event, Event::Left { .. }), "session {session}: {event:?}");
            is_lost(event, session)
        });
        player.send(&Command::Close { session });
    }
    player.play(&server, 4, "member");
    player.leaves(Part::Decoder, FAKE, Fault::Hang, None);
    assert_eq!(player.ends(Duration::from_secs(2)).code(), Some(70));
}

#[test]
fn a_member_that_stops_sending_for_some_seconds_keeps_session_and_decoder() {
    let server = Server::start(0);
    let mut sender = member(&server);
    let mut player = Worker::ready(planted(Plant::None, &[FAKE, NEXT], 0));
    player.play(&server, 1, "member");
    let well = |event: &Event| {
        assert!(!matches!(event, Event::Left { .. } | Event::Lost { .. }), "{event:?}");
    };
    let distinct = |event: &Event| match event {
        Event::Stats(stats) => marks(stats, 1).map(|marks| marks.distinct),
        _ => None,
    };
    player.wait("pictures", |event| {
        well(event);
        distinct(event) >= Some(30)
    });
    sender.send(&Command::Send { on: false });
    // Longer than a hang takes to be noticed.
    let mut seen = (0, None);
    for _ in 0..4 {
        player.wait("a report", |event| {
            well(event);
            matches!(event, Event::Stats(_))
        });
        let now = marks(&player.stats, 1).map(|marks| marks.distinct);
        seen = if now == seen.1 { (seen.0 + 1, now) } else { (0, now) };
    }
    assert!(seen.0 >= 2, "pictures came though none were sent: {seen:?}");
    sender.send(&Command::Send { on: true });
    player.wait("pictures again", |event| {
        well(event);
        distinct(event) >= seen.1.map(|seen| seen + 30)
    });
    assert_eq!(player.stats.decoder, FAKE);
}

/// A camera that codes by itself, before these decoders; what its worker says of it when the first one fails.
fn camera(server: &Server, plant: Plant, decoders: &[&str], expected: Fault) -> (Worker, String) {
    let camera = Camera { source: CameraSource::TestH264, ..Camera::default() };
    let mut sender = Worker::ready(Settings { camera, ..planted(plant, decoders, 60) });
    sender.publish(server, 1, "camera");
    sender.send(&Command::Capture { on: true });
    sender.send(&Command::Send { on: true });
    if decoders.len() > 1 {
        sender.leaves(Part::Decoder, decoders[0], expected, Some(decoders[1]));
    }
    let told = |event: &Event| matches!(event, Event::Trouble { part: Part::Camera, .. });
    let Event::Trouble { detail, .. } = sender.wait("the trouble to be told", told) else { unreachable!() };
    println!("{plant:?}: {detail}");
    (sender, detail)
}

/// Lets the decoder of a camera's pictures fail, and waits at the far end for pictures behind the next.
fn camera_switched(plant: Plant, expected: Fault) {
    let server = Server::start(0);
    let (mut sender, said) = camera(&server, plant, &[FAKE, NEXT], expected);
    assert!(said.contains(FAKE) && said.contains(&format!("{NEXT} is tried next")), "{said}");
    let well = |event: &Event| matches!(event, Event::Well { part: Part::Camera });
    sender.wait("the camera to work again", well);
    let mut player = Worker::ready(Settings::default());
    player.play(&server, 1, "camera");
    player.until("its pictures at the far end", |stats| {
        marks(stats, 1).is_some_and(|marks| marks.distinct >= 60)
    });
    // The decoder that hangs keeps neither the camera nor the worker.
    sender.stops();
}

#[test]
fn a_decoder_of_the_cameras_pictures_that_hangs_is_blamed_and_replaced_and_not_the_camera() {
    camera_switched(Plant::HangInChain, Fault::Hang);
}

#[test]
fn a_decoder_of_the_cameras_pictures_that_fails_is_blamed_and_replaced() {
    camera_switched(Plant::Error, Fault::Error);
}

#[test]
fn a_decoder_of_the_cameras_pictures_that_does_not_start_is_blamed_and_replaced() {
    camera_switched(Plant::HangOnStart, Fault::NoStart);
}

#[test]
fn the_only_decoder_of_the_cameras_pictures_is_blamed_before_another_format_is_tried() {
    let server = Server::start(0);
    let (_sender, said) = camera(&server, Plant::Error, &[FAKE], Fault::Error);
    assert!(said.contains(FAKE) && said.contains("another format of the camera"), "{said}");
}

/// Figures: `cargo test --release --test media_decoder_faults -- --ignored --nocapture --test-threads 1 pauses`.
#[test]
#[ignore = "takes minutes; for figures on a quiet machine"]
fn pauses_of_several_runs() {
    for (plant, fault) in
        [(Plant::Error, Fault::Error), (Plant::HangInChain, Fault::Hang), (Plant::HangOnStop, Fault::Error)]
    {
        print_median(plant, || pause(plant, fault));
    }
}
