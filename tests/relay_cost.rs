//! What forwarding costs: `cargo test --release --test relay_cost -- --ignored --nocapture`.
#![cfg(feature = "roomservice")]
#![allow(missing_docs, clippy::unwrap_used)]

mod relay_support;

use std::time::{Duration, Instant};

use relay_support::{Peer, Server};
use rtcroom_kiosk::service::relay::Role;

/// Processor time of the thread with this name, in clock ticks of 10 ms.
fn ticks(name: &str) -> u64 {
    let mut sum = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        if std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name) {
            let stat = std::fs::read_to_string(path.join("stat")).unwrap();
            let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
            sum += fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        }
    }
    sum
}

#[test]
#[ignore = "a measurement, not a test"]
fn cost_of_a_packet() {
    let server = Server::start();
    let measure = |what: &str| {
        let total = |role| -> u64 {
            server
                .relay
                .sessions()
                .iter()
                .filter(|s| s.role == role)
                .map(|s| s.packets_in + s.packets_out)
                .sum()
        };
        let (busy, packets, start) =
            (ticks("relay"), total(Role::Publisher) + total(Role::Player), Instant::now());
        std::thread::sleep(Duration::from_secs(10));
        let (busy, packets) =
            ((ticks("relay") - busy) * 10_000, total(Role::Publisher) + total(Role::Player) - packets);
        println!(
            "{what}: {:.1} % of a core, {:.0} datagrams a second, {:.1} us each",
            busy as f64 / start.elapsed().as_micros() as f64 * 100.0,
            packets as f64 / start.elapsed().as_secs_f64(),
            busy as f64 / packets.max(1) as f64
        );
    };
    measure("nobody");
    let silent = Peer::publish_silently(&server, "ann-0", "ann");
    measure("one silent publisher");
    drop(silent);
    let _publisher = Peer::publish(&server, "ann-1", "ann");
    let first = Peer::play(&server, "ann-1", "bob");
    first.wait_for_frames(10);
    measure("one publisher, one player");
    let players: Vec<Peer> = (0..10).map(|n| Peer::play(&server, "ann-1", &format!("user{n}"))).collect();
    players.iter().for_each(|p| p.wait_for_frames(10));
    measure("one publisher, eleven players");
}
