//! One worker: how it starts, ends, and bears what goes wrong.

mod media_support;

use std::time::Duration;

use media_support::{Server, Worker};
use rtcroom_kiosk::media::protocol::{
    Camera, CameraSource, Command, Event, Role, Settings, Sound, SoundSource,
};

/// A worker that publishes and sends, with these settings.
fn sender(server: &Server, stream: &str, settings: Settings) -> Worker {
    let mut worker = Worker::ready(settings);
    worker.publish(server, 1, stream);
    worker.send(&Command::Capture { on: true });
    worker.send(&Command::Send { on: true });
    worker
}

#[test]
fn it_ends_in_good_order_when_told() {
    let server = Server::start(0);
    let mut worker = sender(&server, "stop", Settings::default());
    worker.until("media", |stats| stats.frames_sent > 10);
    worker.send(&Command::Stop);
    assert_eq!(worker.ends(Duration::from_secs(2)).code(), Some(0));
}

#[test]
fn it_ends_when_kioskd_is_gone() {
    let mut worker = Worker::ready(Settings::default());
    worker.offer(1, Role::Publish);
    worker.hang_up();
    assert_eq!(worker.ends(Duration::from_secs(2)).code(), Some(0));
}

#[test]
fn it_ends_with_an_error_at_a_line_it_does_not_know() {
    for line in ["{\"do\":\"dance\"}\n".to_owned(), format!("{}\n", "x".repeat(70_000))] {
        let mut worker = Worker::ready(Settings::default());
        worker.raw(line.as_bytes());
        assert_eq!(worker.ends(Duration::from_secs(4)).code(), Some(65));
    }
}

#[test]
fn an_unknown_encoder_is_named_and_nothing_starts() {
    let mut worker = Worker::start(&[]);
    let mut settings = Settings::default();
    settings.video.encoders = vec!["dreamenc".into()];
    worker.send(&Command::Configure(Box::new(settings)));
    assert_eq!(worker.ends(Duration::from_secs(5)).code(), Some(1));
}

#[test]
fn a_camera_that_is_not_there_is_told_and_the_stream_goes_on() {
    let server = Server::start(0);
    let camera = Camera { source: CameraSource::V4l2, device: "/dev/video99".into(), ..Camera::default() };
    let mut worker = sender(&server, "nocam", Settings { camera, ..Settings::default() });
    let stats = worker.until("placeholder pictures", |stats| stats.frames_sent >= 10);
    assert_eq!(stats.frames_captured, 0);
    assert!(worker.troubles.iter().any(|detail| detail.contains("/dev/video99")), "{:?}", worker.troubles);
    assert_eq!(worker.troubles.len(), 1, "told once, though it is tried every two seconds");
}

#[test]
fn a_microphone_that_is_not_there_is_told_and_the_picture_goes_on() {
    let server = Server::start(0);
    let sound =
        Sound { source: SoundSource::Alsa, capture: "plughw:CARD=Nowhere".into(), ..Sound::default() };
    let mut worker = sender(&server, "nomic", Settings { sound, ..Settings::default() });
    worker.until("pictures", |stats| stats.frames_sent >= 60);
    assert!(worker.troubles.iter().any(|detail| detail.contains("Nowhere")), "{:?}", worker.troubles);
}

#[test]
fn a_peer_that_never_was_is_lost_and_others_do_not_mind() {
    let server = Server::start(0);
    let mut worker = sender(&server, "good", Settings::default());
    worker.offer(2, Role::Play);
    worker.send(&Command::Answer { session: 2, sdp: "nonsense".into(), member: None });
    worker.wait("loss", |event| matches!(event, Event::Lost { session: 2, .. }));
    worker.send(&Command::Close { session: 2 });
    worker.send(&Command::Close { session: 99 });
    let sent = worker.stats.frames_sent;
    worker.until("more media", |stats| stats.frames_sent > sent + 30);
}

#[test]
fn twenty_calls_leave_no_descriptor_and_no_thread_behind() {
    let server = Server::start(0);
    let mut other = sender(&server, "other", Settings::default());
    let mut worker = Worker::ready(Settings::default());
    let mut after_first = None;
    for call in 0..20u32 {
        let (publish, play) = (2 * call, 2 * call + 1);
        worker.publish(&server, publish, &format!("call-{call}"));
        worker.send(&Command::Capture { on: true });
        worker.send(&Command::Send { on: true });
        worker.play(&server, play, "other");
        worker.wait("a frame", |event| matches!(event, Event::FirstFrame { session } if *session == play));
        worker.send(&Command::Send { on: false });
        worker.send(&Command::Capture { on: false });
        worker.send(&Command::Close { session: play });
        worker.send(&Command::Close { session: publish });
        // What GStreamer and OpenSSL keep for good is there after a few calls.
        if call == 4 {
            after_first = Some(worker.settled());
        }
    }
    let (threads, files) = worker.settled();
    let (threads_then, files_then) = after_first.unwrap_or_default();
    assert!(files <= files_then, "{files_then} descriptors became {files}");
    assert!(threads <= threads_then, "{threads_then} threads became {threads}");
    other.until("more media", |stats| stats.sending);
}
