//! A call with real media: press, talk, press.
#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod kiosk_support;

use std::time::Duration;

use kiosk_support::{Kiosk, Server, call, is_alive, until};

#[test]
fn enter_starts_a_call_and_enter_ends_it() {
    let server = Server::start();
    let mut kiosk = Kiosk::idle(&server, "kiosk-7");
    assert_eq!(kiosk.status()["screen"]["view"], "idle");
    kiosk.enter();
    let status = kiosk.until_state("waiting", 5);
    assert_eq!(status["screen"]["view"], "waiting");
    assert!(status["call"]["joined_ms"].as_u64().unwrap() < 1000);
    // An impatient finger is one press.
    std::thread::sleep(Duration::from_millis(700));
    kiosk.enter();
    kiosk.enter();
    let status = kiosk.until_state("idle", 5);
    assert_eq!(status["calls"], 1);
    assert_eq!(status["call"]["end"], "pressed");
}

#[test]
fn both_see_and_hear_each_other_and_nothing_is_left_afterwards() {
    let server = Server::start();
    let (kiosk, peer) = call(&server);
    let worker = kiosk.worker_pid();
    let call = kiosk.status()["call"].clone();
    for stage in [
        "whip_answered_ms",
        "whip_connected_ms",
        "joined_ms",
        "listed_ms",
        "whep_answered_ms",
        "whep_connected_ms",
        "first_remote_frame_ms",
        "first_remote_sound_ms",
    ] {
        assert!(call[stage].is_u64(), "{stage} in {call:#}");
    }
    kiosk.press();
    let status = kiosk.until_state("idle", 5);
    let last = &status["call"]["last_stats"];
    assert!(last["players"][0]["frames_shown"].as_u64().unwrap() >= 10, "{last:#}");
    assert!(!is_alive(worker), "one worker serves one call");
    // The other one is alone, stops sending, and ends by itself.
    until("the peer to stop sending", 5, || {
        (peer.status()["call"]["stats"]["sending"] == false).then_some(())
    });
    assert_eq!(peer.state(), "in_call");
    peer.press();
    peer.until_state("idle", 5);
}

#[test]
fn twenty_calls_leave_no_descriptor_thread_or_process() {
    let server = Server::start();
    let kiosk = Kiosk::idle(&server, "kiosk-7");
    let count = |what: &str| std::fs::read_dir(format!("/proc/{}/{what}", kiosk.pid())).unwrap().count();
    let children = || {
        let path = format!("/proc/{0}/task/{0}/children", kiosk.pid());
        std::fs::read_to_string(path).unwrap().split_whitespace().count()
    };
    let mut before = None;
    for round in 0..20 {
        kiosk.press();
        kiosk.until_state("waiting", 10);
        std::thread::sleep(Duration::from_millis(600));
        kiosk.press();
        kiosk.until_state("idle", 20);
        if round == 2 {
            before = Some((count("fd"), count("task")));
        }
    }
    let (files, threads) = before.unwrap();
    // Connections to RoomService come and go by one or two.
    assert!(count("fd") <= files + 2, "{} descriptors, {files} before", count("fd"));
    assert!(count("task") <= threads, "{} threads, {threads} before", count("task"));
    assert_eq!(children(), 1);
    assert_eq!(kiosk.status()["worker"]["restarts"], 0);
}
