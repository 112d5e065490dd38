//! An encoder that fails in a call is left for the next of the table, and the far end sees it: what is timed
//! is the longest pause between two pictures behind the far decoder.

#![allow(missing_docs, clippy::unwrap_used)]

mod media_support;

use std::time::Duration;

use media_support::{Server, Worker, print_median};
use rtcroom_kiosk::media::protocol::{Command, Fake, Fault, Part, Plant, Settings, Video};

const FAKE: &str = "faultyh264enc";
const NEXT: &str = "openh264enc";

/// Settings under which the first encoder fails after three seconds.
fn planted(plant: Plant) -> Settings {
    let fake = Fake { encoder: plant, after_frames: 90, ..Fake::default() };
    let video = Video { encoders: vec![FAKE.into(), NEXT.into()], fake, ..Video::default() };
    Settings { video, ..Settings::default() }
}

/// Lets an encoder fail in a call; how long the far end saw no new picture, in milliseconds.
fn pause(plant: Plant, expected: Fault) -> u64 {
    let server = Server::start(0);
    let mut sender = Worker::ready(planted(plant));
    sender.publish(&server, 1, "fault");
    sender.send(&Command::Capture { on: true });
    let mut player = Worker::ready(Settings::default());
    player.play(&server, 1, "fault");
    sender.send(&Command::Send { on: true });
    let said = sender.leaves(Part::Encoder, FAKE, expected, Some(NEXT));
    assert!(expected != Fault::Error || said.contains("encode stream"), "{said}");
    let before = sender.stats.frames_encoded;
    let stats = sender.until("frames of the next", |stats| stats.frames_encoded > before + 90);
    assert_eq!((stats.encoder.as_str(), stats.sending), (NEXT, true));
    // Nearly all that was encoded, by both: what lies waiting of the player's reports is older.
    let shown = player.player("pictures of the next encoder", |player| {
        player.mark.as_ref().is_some_and(|mark| mark.distinct + 45 >= stats.frames_encoded)
    });
    // The session is the one it was: nothing was negotiated anew.
    assert_eq!(shown.session, 1);
    // Whatever hangs of the old one, the worker ends in good order.
    sender.stops();
    println!("{plant:?}: no new picture at the far end for {} ms", shown.longest_gap_ms);
    shown.longest_gap_ms
}

#[test]
fn an_encoder_that_fails_is_replaced_in_the_call() {
    assert!(pause(Plant::Error, Fault::Error) < 5000);
}

#[test]
fn an_encoder_that_hangs_in_a_frame_is_replaced_in_the_call() {
    let gap = pause(Plant::HangInChain, Fault::Hang);
    assert!((900..10_000).contains(&gap), "{gap}: it was to hang");
}

#[test]
fn an_encoder_that_cannot_be_taken_down_is_left_behind() {
    assert!(pause(Plant::HangOnStop, Fault::Error) < 5000);
}

#[test]
fn an_encoder_that_gives_key_frames_only_is_replaced_in_the_call() {
    assert!(pause(Plant::OnlyKeyFrames, Fault::OnlyKeyFrames) < 5000);
}

#[test]
fn an_encoder_that_ignores_its_bitrate_is_replaced_in_the_call() {
    assert!(pause(Plant::IgnoresBitrate, Fault::IgnoresBitrate) < 5000);
}

#[test]
fn an_encoder_that_does_not_start_is_replaced_before_the_call() {
    let mut worker = Worker::ready(planted(Plant::HangOnStart));
    worker.leaves(Part::Encoder, FAKE, Fault::NoStart, Some(NEXT));
    assert_eq!(worker.until("a report", |_| true).frames_encoded, 0);
}

#[test]
fn a_hang_with_no_other_encoder_costs_the_worker() {
    let server = Server::start(0);
    let mut settings = planted(Plant::HangInChain);
    settings.video.encoders = vec![FAKE.into()];
    let mut worker = Worker::ready(settings);
    worker.publish(&server, 1, "alone");
    worker.send(&Command::Capture { on: true });
    worker.send(&Command::Send { on: true });
    worker.leaves(Part::Encoder, FAKE, Fault::Hang, None);
    assert_eq!(worker.ends(Duration::from_secs(2)).code(), Some(70));
}

#[test]
fn an_encoder_that_failed_in_an_earlier_worker_is_used_last() {
    let settings = Settings { avoid: vec![FAKE.into()], ..planted(Plant::Error) };
    let mut worker = Worker::ready(settings);
    assert_eq!(worker.until("a report", |_| true).encoder, NEXT);
}

/// Figures: `cargo test --release --test media_encoder_faults -- --ignored --nocapture --test-threads 1 pauses`.
#[test]
#[ignore = "takes minutes; for figures on a quiet machine"]
fn pauses_of_several_runs() {
    for (plant, fault) in [
        (Plant::Error, Fault::Error),
        (Plant::HangInChain, Fault::Hang),
        (Plant::HangOnStop, Fault::Error),
        (Plant::OnlyKeyFrames, Fault::OnlyKeyFrames),
        (Plant::IgnoresBitrate, Fault::IgnoresBitrate),
    ] {
        print_median(plant, || pause(plant, fault));
    }
}
