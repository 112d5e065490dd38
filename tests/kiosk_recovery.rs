//! What breaks in a call comes back without the customer: ten new frames and tone at both ends, not a state.
#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod kiosk_support;

use std::time::{Duration, Instant};

use kiosk_support::{Kiosk, Server, call, is_alive, signal, until};

#[test]
fn a_worker_that_is_killed_or_stopped_is_replaced() {
    let server = Server::start();
    let (kiosk, peer) = call(&server);
    for (number, seconds) in [(libc::SIGKILL, 10), (libc::SIGSTOP, 15)] {
        let worker = kiosk.worker_pid();
        let start = Instant::now();
        signal(worker, number);
        until("another worker", seconds, || {
            (kiosk.status()["worker"]["pid"].as_u64()? != worker).then_some(())
        });
        kiosk.until_media_flows(seconds);
        peer.until_media_flows(seconds);
        println!("signal {number}: picture and sound are back after {:?}", start.elapsed());
        assert!(!is_alive(worker));
        assert_eq!(kiosk.state(), "in_call");
    }
    assert_eq!(kiosk.status()["worker"]["restarts"], 2);
}

#[test]
fn a_kioskd_that_is_killed_in_a_call_goes_back_into_it_when_it_is_started_again() {
    let server = Server::start();
    let (mut kiosk, peer) = call(&server);
    let text = std::fs::read_to_string(kiosk.dir.path().join("kioskd.toml")).unwrap();
    let start = Instant::now();
    kiosk.kill();
    let mut kiosk = kiosk.again(&text);
    kiosk.until_state("in_call", 20);
    kiosk.until_media_flows(20);
    peer.until_media_flows(20);
    println!("kioskd killed: picture and sound are back after {:?}", start.elapsed());
    // Ended in good order, the next start is idle and stays so.
    kiosk.terminate();
    let kiosk = kiosk.again(&text);
    kiosk.until_state("idle", 20);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(kiosk.state(), "idle");
}

#[test]
fn a_roomservice_that_is_killed_and_started_gets_its_call_back() {
    let mut server = Server::start();
    let (kiosk, peer) = call(&server);
    server.stop();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(kiosk.state(), "in_call");
    server.again();
    let start = Instant::now();
    until("both to be back in the call", 20, || {
        let both = [&kiosk, &peer].map(|one| one.status()["call"]["recoveries"].as_u64());
        both.iter().all(|recoveries| recoveries.is_some_and(|count| count > 0)).then_some(())
    });
    kiosk.until_media_flows(20);
    peer.until_media_flows(20);
    println!("picture and sound are back after {:?}", start.elapsed());
}

#[test]
fn a_full_room_is_busy_for_a_moment() {
    let server = Server::start();
    let (kiosk, peer) = call(&server);
    let third = Kiosk::idle(&server, "kiosk-8");
    third.press();
    until("the word busy", 5, || {
        third.status()["screen"]["headline"].as_str()?.contains("busy").then_some(())
    });
    assert!(third.log().contains("5001"));
    third.until_state("idle", 5);
    until("the word to go", 10, || (third.status()["screen"]["view"] == "idle").then_some(()));
    // The two others never noticed.
    kiosk.until_media_flows(5);
    peer.until_media_flows(5);
}

#[test]
fn fifty_presses_in_a_short_time_do_not_upset_it() {
    let server = Server::start();
    let mut kiosk = Kiosk::idle(&server, "kiosk-7");
    for round in 0..50 {
        if round % 2 == 0 {
            kiosk.enter();
        } else {
            kiosk.press();
        }
        std::thread::sleep(Duration::from_millis(30));
    }
    std::thread::sleep(Duration::from_millis(700));
    kiosk.ask(rtcroom_kiosk::kiosk::control::Ask::Hangup).unwrap();
    kiosk.until_state("idle", 10);
    // The room is empty: another one takes both seats of it.
    kiosk.press();
    kiosk.until_state("waiting", 5);
    let peer = Kiosk::idle(&server, "peer");
    peer.press();
    peer.until_media_flows(20);
}

#[test]
fn the_end_of_the_process_ends_the_call_the_worker_and_the_seat() {
    let server = Server::start();
    let (mut kiosk, peer) = call(&server);
    let worker = kiosk.worker_pid();
    let (status, time) = kiosk.terminate();
    assert!(status.success() && time < Duration::from_secs(3), "{status} after {time:?}");
    assert!(!is_alive(worker));
    // At once, not when the server finds out.
    until("the seat to be free", 2, || (peer.status()["call"]["members"] == 0).then_some(()));
}

#[test]
fn a_killed_kioskd_leaves_no_worker() {
    let server = Server::start();
    let mut kiosk = Kiosk::idle(&server, "kiosk-7");
    let worker = kiosk.worker_pid();
    // Also one that cannot read that its socket is closed.
    signal(worker, libc::SIGSTOP);
    kiosk.kill();
    until("the worker to end", 3, || (!is_alive(worker)).then_some(()));
}
