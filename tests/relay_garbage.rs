//! Nothing that comes from the network stops or slows the relay.
#![cfg(feature = "roomservice")]
#![allow(missing_docs, clippy::unwrap_used)]

mod relay_support;

use std::net::UdpSocket;
use std::sync::atomic::Ordering;

use relay_support::{Peer, Random, Server, any_offer, damaged, eventually};
use rtcroom_kiosk::service::relay::Role;
use str0m::media::Direction;

#[test]
fn strangers_datagrams_do_no_harm() {
    let server = Server::start();
    let _publisher = Peer::publish(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    player.wait_for_frames(20);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut random = Random(99);
    let stun = [
        0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 6, 0, 3, b'a', b':',
        b'b', 0,
    ];
    let before = player.frames().len();
    for n in 0..30_000 {
        let bytes: Vec<u8> = match n % 5 {
            0 => (0..random.below(1600)).map(|_| random.below(256) as u8).collect(),
            1 => damaged(&stun, &mut random),
            2 => [&[0x80, 96][..], &vec![random.below(256) as u8; random.below(1500)]].concat(),
            3 => [&[0x16, 0xfe, 0xfd][..], &vec![random.below(256) as u8; random.below(400)]].concat(),
            _ => [&[0x80, 200][..], &vec![random.below(256) as u8; random.below(200)]].concat(),
        };
        let _ = socket.send_to(&bytes, server.relay.local_addr());
    }
    player.wait_for_frames(before + 30);
    assert_eq!(server.relay.sessions().len(), 2);
}

#[test]
fn damaged_datagrams_of_clients_do_no_harm() {
    let server = Server::start();
    let publisher = Peer::publish(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    // Once both are connected: a client that damages its own handshake may well stay without a connection.
    player.wait_for_frames(10);
    publisher.doing.garbage.store(true, Ordering::Relaxed);
    player.doing.garbage.store(true, Ordering::Relaxed);
    player.wait_for_frames(200);
    let frames = player.frames();
    let span = frames.last().unwrap().counter - frames[0].counter + 1;
    assert!(frames.len() as u32 >= span * 95 / 100, "{} of {span} frames", frames.len());
}

#[test]
fn damaged_datagrams_of_a_client_that_connects_do_no_harm_to_others() {
    let server = Server::start();
    let _publisher = Peer::publish(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    player.wait_for_frames(10);
    for user in 0..12 {
        let other = Peer::play(&server, "ann-1", &format!("user{user}"));
        // From its first datagram on: checks and handshake are damaged, too.
        other.doing.garbage.store(true, Ordering::Relaxed);
        let seen = player.frames().len();
        player.wait_for_frames(seen + 10);
    }
    eventually("the player alive", || server.count(Role::Player) >= 1 && !player.is_closed());
}

#[test]
fn damaged_offers_are_answered_or_refused() {
    let server = Server::start();
    let mut random = Random(5);
    let good = [any_offer(Direction::SendOnly), any_offer(Direction::SendRecv)];
    let mut taken = 0;
    for n in 0..400 {
        let mut lines: Vec<String> = good[n % 2].lines().map(str::to_owned).collect();
        for _ in 0..=random.below(4) {
            let at = random.below(lines.len());
            match random.below(4) {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[random.below(lines.len())].clone()),
                2 => {
                    let bytes = damaged(lines[at].as_bytes(), &mut random);
                    lines[at] = String::from_utf8_lossy(&bytes).replace(['\r', '\n'], " ");
                }
                _ => {
                    let other = random.below(lines.len());
                    lines.swap(at, other);
                }
            }
        }
        let reply = server.post("/whip/ann-1", "ann", &(lines.join("\r\n") + "\r\n"));
        assert!(matches!(reply.status, 201 | 400), "{}: {}", reply.status, reply.body);
        taken += u32::from(reply.status == 201);
    }
    println!("{taken} of 400 damaged offers were usable");
    assert!(server.count(Role::Publisher) <= 1);
    assert_eq!(
        server.post("/whip/ann-2", "ann", &any_offer(Direction::SendOnly)).status,
        201,
        "the relay still works"
    );
}
