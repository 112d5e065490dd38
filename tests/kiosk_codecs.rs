//! A codec that failed is remembered beyond the worker it failed in, and `kioskd status` says which runs and why.
#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod kiosk_support;

use std::process::Command;

use kiosk_support::{Kiosk, Server, until};

/// A kiosk whose first encoder, or decoder, hangs, in a call with another kiosk.
struct Call {
    /// `encoder` or `decoder`.
    part: &'static str,
    faulty: &'static str,
    sound: &'static str,
    kiosk: Kiosk,
    peer: Kiosk,
    _server: Server,
}

impl Call {
    fn begin(part: &'static str, faulty: &'static str, sound: &'static str) -> Self {
        let fault = format!(
            r#"
            [video]
            {part}s = ["{faulty}", "{sound}"]
            [video.fake]
            {part} = "hang_in_chain"
            after_frames = 60
            "#
        );
        let server = Server::start();
        let peer = Kiosk::start(&server.address, "peer");
        let kiosk = Kiosk::start_with(&server.address, "kiosk-7", "dev_ticket = true", &fault);
        peer.until_state("idle", 30);
        kiosk.until_state("idle", 30);
        let call = Self { part, faulty, sound, kiosk, peer, _server: server };
        assert_eq!(call.runs(), faulty);
        call.peer.press();
        call.peer.until_state("waiting", 15);
        call.kiosk.press();
        call.kiosk.until_state("in_call", 15);
        call
    }

    /// The codec the kiosk's worker works with.
    fn runs(&self) -> String {
        self.kiosk.status()["worker"][self.part].as_str().unwrap().to_owned()
    }

    /// The codec that works has taken over in the same worker, and `kioskd status` says why; this is what it says.
    fn took_over(&self) -> String {
        let Self { part, faulty, sound, kiosk, .. } = self;
        let worker = kiosk.status()["worker"].clone();
        assert_eq!(worker[part], *sound);
        let why = worker[format!("{part}_why")].as_str().unwrap();
        assert!(why.starts_with(&format!("since {faulty} hung at ")), "{why}");
        assert_eq!((worker["restarts"].as_u64(), &worker["left"][0]["fault"]), (Some(0), &"hang".into()));
        assert!(people(kiosk).contains(&format!("{part} {sound}, {why}")), "{}", people(kiosk));
        assert!(kiosk.log().contains(&format!("{faulty} hung")), "{}", kiosk.log());
        why.to_owned()
    }

    /// The next call has another worker, which begins with the codec that works, for the reason `why`.
    fn next_begins_well(&self, why: &str) {
        let Self { part, sound, kiosk, peer, .. } = self;
        let first = kiosk.worker_pid();
        kiosk.press();
        kiosk.until_state("idle", 20);
        until("the next worker", 20, || {
            let worker = &kiosk.status()["worker"];
            (worker["pid"].as_u64()? != first && worker["warm"] == true).then_some(())
        });
        assert_eq!(self.runs(), *sound);
        kiosk.press();
        kiosk.until_state("in_call", 20);
        kiosk.until_media_flows(20);
        peer.until_media_flows(20);
        assert_eq!(kiosk.log().matches("takes over").count(), 1, "{}", kiosk.log());
        assert_eq!(kiosk.status()["worker"][format!("{part}_why")].as_str(), Some(why));
    }
}

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
    let call = Call::begin("encoder", "faultyh264enc", "openh264enc");
    until("the next encoder", 30, || (call.runs() == call.sound).then_some(()));
    call.peer.until_media_flows(20);
    let why = call.took_over();
    let gap = call.peer.status()["call"]["stats"]["players"][0]["longest_gap_ms"].as_u64().unwrap();
    println!("no new picture at the other end for {gap} ms");
    assert!(gap < 10_000, "{gap}");
    call.next_begins_well(&why);
}

#[test]
fn a_hanging_decoder_costs_one_pause_and_no_later_call() {
    let call = Call::begin("decoder", "faultyh264dec", "openh264dec");
    // The last picture behind the one decoder, by the counter in its pixels, and the first behind the other.
    let mut last = (0, 0);
    let first = until("pictures behind the next decoder", 30, || {
        let status = call.kiosk.status();
        let player = &status["call"]["stats"]["players"][0];
        let (session, mark) = (player["session"].as_u64()?, &player["mark"]);
        if last.0 == 0 || session == last.0 {
            last = (session, mark["last"].as_u64()?);
            return None;
        }
        (mark["distinct"].as_u64()? >= 30).then(|| mark["first"].as_u64())?
    });
    println!("no picture of the member for {} ms", (first - last.1) * 1000 / 30);
    let why = call.took_over();
    assert!(call.kiosk.log().contains("(at one frame for 2 s); openh264dec takes over"));
    call.kiosk.until_media_flows(20);
    call.peer.until_media_flows(20);
    call.next_begins_well(&why);
}
