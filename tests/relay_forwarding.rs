//! The relay carries pictures and sound from a WHIP client to WHEP clients, and lets go of them as told.
#![cfg(feature = "roomservice")]
#![allow(missing_docs, clippy::unwrap_used)]

mod relay_support;

use std::sync::atomic::Ordering;

use relay_support::{Peer, Server, eventually};
use rtcroom_kiosk::service::relay::Role;

#[test]
fn pictures_and_sound_reach_a_player() {
    let server = Server::start();
    let publisher = Peer::publish(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    player.wait_for_frames(60);
    let frames = player.frames();
    assert!(frames[0].key, "a player begins with a key frame");
    for pair in frames.windows(2) {
        assert_eq!(pair[1].counter, pair[0].counter + 1, "a frame is missing or doubled");
        assert!(pair[1].contiguous, "sequence numbers have a gap");
    }
    assert!(player.seen.sounds.load(Ordering::Relaxed) > 50);
    assert!(server.relay.is_live("ann-1"));

    // Latency through the relay, for the record.
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
