//! A codec that failed is remembered beyond the worker it failed in, and `kioskd status` says which runs and why.
#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod kiosk_support;

use std::process::Command;

use kiosk_support::{Kiosk, Server, until};

const FAULT: &str = r#"
[video]
encoders = ["faultyh264enc", "openh264enc"]
[video.fake]
encoder = "hang_in_chain"
after_frames = 60
"#;

fn people(kiosk: &Kiosk) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_kioskd"))
        .arg("status")
        .arg("--runtime-dir")
        .arg(kiosk.runtime_dir())
        .output()
        .unwrap();
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn a_hanging_encoder_costs_one_pause_and_no_later_call() {
    let server = Server::start();
    let peer = Kiosk::start(&server.address, "peer");
    let kiosk = Kiosk::start_with(&server.address, "kiosk-7", "dev_ticket = true", FAULT);
    peer.until_state("idle", 30);
    kiosk.until_state("idle", 30);
    assert_eq!(kiosk.status()["worker"]["encoder"], "faultyh264enc");
    peer.press();
    peer.until_state("waiting", 15);
    kiosk.press();
    kiosk.until_state("in_call", 15);
    until("the next encoder", 30, || (kiosk.status()["worker"]["encoder"] == "openh264enc").then_some(()));
    peer.until_media_flows(20);
    let worker = kiosk.status()["worker"].clone();
    let why = worker["encoder_why"].as_str().unwrap();
    assert!(why.starts_with("since faultyh264enc hung at "), "{why}");
    assert_eq!((worker["restarts"].as_u64(), &worker["left"][0]["fault"]), (Some(0), &"hang".into()));
    assert!(people(&kiosk).contains(&format!("encoder openh264enc, {why}")), "{}", people(&kiosk));
    assert!(kiosk.log().contains("faultyh264enc hung"), "{}", kiosk.log());
    let gap = peer.status()["call"]["stats"]["players"][0]["longest_gap_ms"].as_u64().unwrap();
    println!("no new picture at the other end for {gap} ms");
    assert!(gap < 10_000, "{gap}");

    // The next call has another worker, which begins with the encoder that works.
    let first = kiosk.worker_pid();
    kiosk.press();
    kiosk.until_state("idle", 20);
    until("the next worker", 20, || {
        let worker = &kiosk.status()["worker"];
        (worker["pid"].as_u64()? != first && worker["warm"] == true).then_some(())
    });
    assert_eq!(kiosk.status()["worker"]["encoder"], "openh264enc");
    kiosk.press();
    kiosk.until_state("in_call", 20);
    peer.until_media_flows(20);
    assert_eq!(kiosk.log().matches("takes over").count(), 1, "{}", kiosk.log());
    assert_eq!(kiosk.status()["worker"]["encoder_why"].as_str(), Some(why));
}

const DECODER_FAULT: &str = r#"
[video]
decoders = ["faultyh264dec", "openh264dec"]
[video.fake]
decoder = "hang_in_chain"
after_frames = 60
"#;

#[test]
fn a_hanging_decoder_costs_one_pause_and_no_later_call() {
    let server = Server::start();
    let peer = Kiosk::start(&server.address, "peer");
    let kiosk = Kiosk::start_with(&server.address, "kiosk-7", "dev_ticket = true", DECODER_FAULT);
    peer.until_state("idle", 30);
    kiosk.until_state("idle", 30);
    assert_eq!(kiosk.status()["worker"]["decoder"], "faultyh264dec");
    peer.press();
    peer.until_state("waiting", 15);
    kiosk.press();
    kiosk.until_state("in_call", 15);
    // The last picture behind the one decoder, by the counter in its pixels, and the first behind the other.
    let mut last = (0, 0);
    let first = until("pictures behind the next decoder", 30, || {
        let status = kiosk.status();
        let player = &status["call"]["stats"]["players"][0];
        let (session, mark) = (player["session"].as_u64()?, &player["mark"]);
        if last.0 == 0 || session == last.0 {
            last = (session, mark["last"].as_u64()?);
            return None;
        }
        (mark["distinct"].as_u64()? >= 30).then(|| mark["first"].as_u64())?
    });
    println!("no picture of the member for {} ms", (first - last.1) * 1000 / 30);
    let worker = kiosk.status()["worker"].clone();
    assert_eq!(worker["decoder"], "openh264dec");
    let why = worker["decoder_why"].as_str().unwrap();
    assert!(why.starts_with("since faultyh264dec hung at "), "{why}");
    assert_eq!((worker["restarts"].as_u64(), &worker["left"][0]["fault"]), (Some(0), &"hang".into()));
    assert!(people(&kiosk).contains(&format!("decoder openh264dec, {why}")), "{}", people(&kiosk));
    assert!(kiosk.log().contains("faultyh264dec hung (at one frame for 2 s); openh264dec takes over"));
    kiosk.until_media_flows(20);
    peer.until_media_flows(20);

    // The next call has another worker, which begins with the decoder that works.
    let before = kiosk.worker_pid();
    kiosk.press();
    kiosk.until_state("idle", 20);
    until("the next worker", 20, || {
        let worker = &kiosk.status()["worker"];
        (worker["pid"].as_u64()? != before && worker["warm"] == true).then_some(())
    });
    assert_eq!(kiosk.status()["worker"]["decoder"], "openh264dec");
    kiosk.press();
    kiosk.until_state("in_call", 20);
    kiosk.until_media_flows(20);
    assert_eq!(kiosk.log().matches("takes over").count(), 1, "{}", kiosk.log());
}
