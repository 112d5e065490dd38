//! Two workers talk through the relay, both ways: what is counted is decoded from pixels and samples at the far end.

mod media_support;

use std::time::Duration;

use media_support::{Server, Worker};
use rtcroom_kiosk::media::protocol::{Command, Role, Settings, Sound};

fn tone(hz: u32) -> Settings {
    Settings { sound: Sound { tone_hz: hz, ..Sound::default() }, ..Settings::default() }
}

/// Two workers in a call: each publishes, captures, sends, and plays the other.
fn call(server: &Server, hz: [u32; 2]) -> [Worker; 2] {
    let mut pair = hz.map(|hz| Worker::ready(tone(hz)));
    for (worker, name) in pair.iter_mut().zip(["a", "b"]) {
        worker.publish(server, 1, name);
        worker.send(&Command::Capture { on: true });
        worker.send(&Command::Send { on: true });
    }
    for (worker, name) in pair.iter_mut().zip(["b", "a"]) {
        worker.play(server, 2, name);
    }
    pair
}

#[test]
fn picture_and_sound_arrive_on_both_sides() {
    let server = Server::start(0);
    let mut pair = call(&server, [440, 880]);
    for (worker, hz) in pair.iter_mut().zip([880.0, 440.0]) {
        let player = worker.player("five seconds of media", |player| {
            player.mark.as_ref().is_some_and(|mark| mark.distinct >= 150) && player.audio_loud_ms >= 4000
        });
        let mark = player.mark.clone().unwrap_or_default();
        assert!(u64::from(mark.last - mark.first + 1) * 95 / 100 <= mark.distinct, "{mark:?}");
        assert_eq!(mark.out_of_order, 0, "{mark:?}");
        assert!(player.frames_changed * 100 >= player.frames_shown * 95, "{player:?}");
        assert!((player.audio_hz - hz).abs() < 5.0, "{player:?}");
        assert!(player.audio_dbfs > -25.0, "{player:?}");
        eprintln!("{:?}", worker.stats);
    }
}

/// A relay for people and scripts, on port 18555: `cargo test --test media_call -- --ignored relay_alone`.
#[test]
#[ignore = "runs until it is killed"]
fn relay_alone() {
    let _server = Server::start(18_555);
    std::thread::sleep(Duration::from_secs(3600));
}

#[test]
fn nothing_is_captured_or_encoded_until_it_is_wanted() {
    let server = Server::start(0);
    let mut worker = Worker::ready(Settings::default());
    worker.publish(&server, 1, "idle");
    let idle = worker.until("a report", |_| true);
    assert_eq!((idle.capturing, idle.frames_captured, idle.frames_encoded), (false, 0, 0));

    worker.send(&Command::Capture { on: true });
    let preview = worker.until("pictures", |stats| stats.frames_captured > 30);
    assert_eq!((preview.capturing, preview.sending, preview.frames_encoded), (true, false, 0));

    worker.send(&Command::Send { on: true });
    let sending = worker.until("media", |stats| stats.frames_sent > 30);
    assert!(sending.sending && sending.encoded_bps > 50_000, "{sending:?}");

    worker.send(&Command::Send { on: false });
    worker.send(&Command::Capture { on: false });
    worker.until("the end of capture", |stats| !stats.capturing);
    let then = worker.until("a report", |_| true);
    let later = worker.until("a report", |_| true);
    assert_eq!((then.frames_captured, then.frames_encoded), (later.frames_captured, later.frames_encoded));
    assert!(worker.offer(7, Role::Publish).contains("H264"));
}
