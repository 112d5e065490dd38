//! The relay carries pictures and sound from a WHIP client to WHEP clients, and lets go of them as told.
#![cfg(feature = "roomservice")]
#![allow(missing_docs, clippy::unwrap_used)]

mod relay_support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use relay_support::{Frame, Peer, Server, eventually};
use rtcroom_kiosk::service::relay::Role;

/// Every frame once, in order, none missing.
fn assert_gapless(frames: &[Frame]) {
    assert!(frames[0].key, "a player begins with a key frame");
    for pair in frames.windows(2) {
        assert_eq!(pair[1].counter, pair[0].counter + 1, "a frame is missing or doubled");
        assert!(pair[1].contiguous, "sequence numbers have a gap before frame {}", pair[1].counter);
        assert!(pair[1].time > pair[0].time, "time stands still at frame {}", pair[1].counter);
    }
}

#[test]
fn pictures_and_sound_reach_a_player() {
    let server = Server::start();
    let publisher = Peer::publish(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    player.wait_for_frames(60);
    let frames = player.frames();
    assert_gapless(&frames);
    assert!(player.seen.sounds.load(Ordering::Relaxed) > 50);
    assert!(server.relay.is_live("ann-1"));
    let sessions = server.relay.sessions();
    assert!(sessions.iter().all(|s| s.connected && s.packets_in > 0 && s.bytes_out > 0), "{sessions:?}");
    assert!(sessions[0].packets_in > 100 && sessions[1].packets_out > 100, "{sessions:?}");

    // For the record: what the relay adds.
    let sent = publisher.seen.sent_at.lock().unwrap();
    let mut delays: Vec<u128> =
        frames.iter().filter_map(|f| Some((f.at - *sent.get(&f.counter)?).as_micros())).collect();
    delays.sort_unstable();
    println!(
        "frame through the relay: p50 {} us, p95 {} us",
        delays[delays.len() / 2],
        delays[delays.len() * 95 / 100]
    );
}

#[test]
fn a_late_player_gets_a_key_frame_at_once() {
    let server = Server::start();
    let publisher = Peer::publish(&server, "ann-1", "ann");
    let first = Peer::play(&server, "ann-1", "bob");
    first.wait_for_frames(30);
    let asked = publisher.seen.key_requests.load(Ordering::Relaxed);
    let start = Instant::now();
    let second = Peer::play(&server, "ann-1", "cat");
    second.wait_for_frames(1);
    println!("first frame of a late player after {} ms", start.elapsed().as_millis());
    second.wait_for_frames(20);
    assert_gapless(&second.frames());
    assert_gapless(&first.frames());
    assert_eq!(publisher.seen.key_requests.load(Ordering::Relaxed), asked + 1);
}

#[test]
fn key_frame_requests_of_players_are_passed_on_but_not_all() {
    let server = Server::start();
    let publisher = Peer::publish(&server, "ann-1", "ann");
    let players: Vec<Peer> = ["bob", "cat", "dan"].map(|user| Peer::play(&server, "ann-1", user)).into();
    players.iter().for_each(|p| p.wait_for_frames(30));
    let requests = || publisher.seen.key_requests.load(Ordering::Relaxed);
    let before = requests();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        for player in &players {
            player.doing.ask_key_frame.store(true, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let passed = requests() - before;
    assert!((2..=5).contains(&passed), "{passed} requests in a second");
}

#[test]
fn a_silent_publisher_may_be_attached_to_and_begins_later() {
    let server = Server::start();
    let publisher = Peer::publish_silently(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    eventually("both connected", || publisher.is_connected() && player.is_connected());
    // Longer than a session may be silent: ICE checks alone keep both.
    std::thread::sleep(Duration::from_secs(36));
    assert_eq!(server.relay.sessions().len(), 2);
    assert!(!server.relay.is_live("ann-1"));
    publisher.doing.sending.store(true, Ordering::Relaxed);
    player.wait_for_frames(30);
    assert_gapless(&player.frames());
    assert!(server.relay.is_live("ann-1"));
}

#[test]
fn players_stay_attached_when_the_publisher_publishes_anew() {
    let server = Server::start();
    let first = Peer::publish(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    player.wait_for_frames(40);
    let second = Peer::publish_silently(&server, "ann-1", "ann");
    second.doing.first_counter.store(10_000, Ordering::Relaxed);
    second.doing.sending.store(true, Ordering::Relaxed);
    eventually("the first publisher told to go", || first.is_closed());
    assert_eq!(server.delete(&first.resource, "ann"), 404);
    eventually("frames of the second publisher", || player.last_counter().is_some_and(|c| c >= 10_040));
    let frames = player.frames();
    let seam = frames.iter().position(|f| f.counter >= 10_000).unwrap();
    assert_gapless(&frames[..seam]);
    assert_gapless(&frames[seam..]);
    assert!(frames[seam].contiguous, "sequence numbers go on without a gap");
    let (last, next) = (&frames[seam - 1], &frames[seam]);
    let (ticks, real) = (next.time - last.time, (next.at - last.at).as_millis() as u64);
    assert!(ticks.abs_diff(real * 90) < 90 * 200, "time goes on as it does: {ticks} ticks in {real} ms");
    println!("seam: {real} ms");
    assert_eq!((server.count(Role::Publisher), server.count(Role::Player)), (1, 1));
}

#[test]
fn players_wait_for_a_publisher_that_deleted_its_session() {
    let server = Server::start();
    let first = Peer::publish(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    player.wait_for_frames(20);
    assert_eq!(server.delete(&first.resource, "ann"), 200);
    eventually("the publisher told to go", || first.is_closed());
    let before = player.frames().len();
    let _second = Peer::publish(&server, "ann-1", "ann");
    player.wait_for_frames(before + 30);
}

#[test]
fn a_closed_stream_takes_its_players_along_and_a_closed_viewer_nobody() {
    let server = Server::start();
    let publisher = Peer::publish(&server, "ann-1", "ann");
    let (bob, cat) = (Peer::play(&server, "ann-1", "bob"), Peer::play(&server, "ann-1", "cat"));
    bob.wait_for_frames(10);
    cat.wait_for_frames(10);
    server.relay.close_viewer("bob", "ann-1");
    eventually("bob told to go", || bob.is_closed());
    let seen = cat.frames().len();
    cat.wait_for_frames(seen + 20);
    assert!(!publisher.is_closed());
    assert_eq!(server.delete(&bob.resource, "bob"), 404);

    server.relay.close_stream("ann-1");
    eventually("all told to go", || publisher.is_closed() && cat.is_closed());
    assert!(server.relay.sessions().is_empty() && !server.relay.is_live("ann-1"));
    assert!(Peer::open(&server, Role::Player, "ann-1", "cat", false).is_err_and(|r| r.status == 404));
}

#[test]
fn lost_packets_are_sent_again() {
    let server = Server::start();
    let _publisher = Peer::publish(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    player.wait_for_frames(10);
    player.doing.lose_every.store(12, Ordering::Relaxed);
    let before = player.frames().len();
    player.wait_for_frames(before + 150);
    let frames = &player.frames()[before..];
    let got = frames.len() as f64 / f64::from(frames.last().unwrap().counter - frames[0].counter + 1);
    println!("of the frames {:.1} % arrived at 8 % loss", got * 100.0);
    assert!(got > 0.97, "only {got:.3} of the frames arrived");
}

#[test]
fn packets_lost_on_the_way_in_are_asked_for_again() {
    let server = Server::start();
    let publisher = Peer::publish(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    player.wait_for_frames(10);
    publisher.doing.lose_sent_every.store(12, Ordering::Relaxed);
    let before = player.frames().len();
    player.wait_for_frames(before + 150);
    let frames = &player.frames()[before..];
    let got = frames.len() as f64 / f64::from(frames.last().unwrap().counter - frames[0].counter + 1);
    println!("of the frames {:.1} % arrived at 8 % loss on the way in", got * 100.0);
    assert!(got > 0.97, "only {got:.3} of the frames arrived");
}

#[test]
fn every_way_of_listening_works() {
    for listen in ["0.0.0.0:0", "[::]:0", "[::1]:0"] {
        if std::net::UdpSocket::bind(listen).is_err() {
            eprintln!("skipped: {listen} cannot be had here");
            continue;
        }
        let server = Server::on(listen);
        let answer = server
            .post("/whip/bob-1", "bob", &relay_support::any_offer(str0m::media::Direction::SendOnly))
            .body;
        assert!(answer.contains("a=candidate:"), "{listen}: {answer}");
        if listen == "[::1]:0" {
            continue; // The test's clients speak IPv4.
        }
        let _publisher = Peer::publish(&server, "ann-1", "ann");
        let player = Peer::play(&server, "ann-1", "bob");
        player.wait_for_frames(10);
    }
}

#[test]
fn stopping_tells_everybody() {
    let server = Server::start();
    let publisher = Peer::publish(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    player.wait_for_frames(5);
    let start = Instant::now();
    server.runtime.block_on(server.relay.stop());
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(server.relay.sessions().is_empty());
    eventually("goodbye said", || publisher.is_closed() && player.is_closed());
}

#[test]
fn a_player_on_a_slow_line_slows_the_publisher_down_until_it_is_fast_again() {
    let server = Server::start();
    let publisher = Peer::publish(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    player.wait_for_frames(60);
    let limit = || publisher.seen.remb.load(Ordering::Relaxed);
    assert_eq!(limit(), 0, "nobody is slow yet");
    player.doing.narrow.store(250_000, Ordering::Relaxed);
    eventually("a limit below the line's capacity", || (1..280_000).contains(&limit()));
    // What fits arrives, once the flood has drained: of five seconds' frames most.
    std::thread::sleep(Duration::from_secs(3));
    let from = player.last_counter().unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let to = player.last_counter().unwrap();
    let arrived = player.frames().iter().filter(|f| (from..to).contains(&f.counter)).count();
    println!("{arrived} of {} frames over a line of 250 kbit/s, limit {}", to - from, limit());
    assert!(arrived as f64 >= f64::from(to - from) * 0.85, "{arrived} of {} frames", to - from);
    player.doing.narrow.store(0, Ordering::Relaxed);
    eventually("no limit any more", || limit() > 400_000);
}

#[test]
fn a_publisher_without_power_is_noticed() {
    let server = Server::start();
    let publisher = Peer::publish(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    player.wait_for_frames(10);
    publisher.vanish();
    eventually("not live any more", || !server.relay.is_live("ann-1"));
    let start = Instant::now();
    while server.count(Role::Publisher) > 0 {
        assert!(start.elapsed() < Duration::from_secs(40), "the dead publisher is still there");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(server.count(Role::Player), 1, "players wait for it to come back");
}

#[test]
fn the_relay_stops_with_its_last_handle() {
    let server = Server::start();
    let publisher = Peer::publish(&server, "ann-1", "ann");
    eventually("connected", || publisher.is_connected());
    drop(server);
    eventually("goodbye said", || publisher.is_closed());
}
