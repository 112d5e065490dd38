//! The panel of a real kioskd: levels on its lines in, calls and light out. The lines are the shipped simulated ones,
//! files that hold a level, so that a test can take a chip away and bring it back.
#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod kiosk_support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kiosk_support::{Kiosk, Server, until};
use serde_json::Value;

struct Panel {
    dir: tempfile::TempDir,
}

impl Panel {
    fn new() -> Self {
        let panel = Self { dir: tempfile::tempdir().unwrap() };
        panel.plug_in();
        panel
    }

    fn chip(&self) -> PathBuf {
        self.dir.path().join("chip")
    }

    /// Button to ground with a pull-up, lamp lit by a high level, door switch that opens to high.
    fn config(&self) -> String {
        let chip = self.chip();
        let line = |name: &str| format!("driver = \"file\"\nchip = {chip:?}\nline = {name:?}\n");
        format!(
            "[button]\nkind = \"gpio\"\nlong_press_ms = 1500\nstuck_ms = 4000\n[button.gpio]\n{}active_low = true\n\
             [lamp]\nkind = \"gpio\"\n[lamp.gpio]\n{}[tamper]\nkind = \"gpio\"\n[tamper.gpio]\n{}",
            line("button"),
            line("lamp"),
            line("door"),
        )
    }

    fn plug_in(&self) {
        std::fs::create_dir(self.chip()).unwrap();
        for (name, level) in [("button", "1"), ("lamp", "0"), ("door", "0")] {
            self.set(name, level);
        }
    }

    fn set(&self, name: &str, level: &str) {
        // As one step: a file that is just being written is empty for a moment.
        let new = self.chip().join("new");
        std::fs::write(&new, level).unwrap();
        std::fs::rename(new, self.chip().join(name)).unwrap();
    }

    fn press(&self, held: Duration) {
        self.set("button", "0");
        std::thread::sleep(held);
        self.set("button", "1");
    }

    fn is_lit(&self) -> bool {
        std::fs::read(self.chip().join("lamp")).is_ok_and(|level| level.first() == Some(&b'1'))
    }

    /// Changes of the lamp's level in a second.
    fn changes(&self) -> usize {
        let end = Instant::now() + Duration::from_secs(1);
        let (mut level, mut changes) = (self.is_lit(), 0);
        while Instant::now() < end {
            if self.is_lit() != level {
                level = !level;
                changes += 1;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        changes
    }
}

fn until_button(kiosk: &Kiosk, what: &str, ask: impl Fn(&Value) -> bool) -> Value {
    until(what, 20, || Some(kiosk.status()["panel"]["button"].clone()).filter(|button| ask(button)))
}

const FINGER: Duration = Duration::from_millis(120);

#[test]
fn a_press_calls_another_hangs_up_holding_hangs_up_and_fifty_presses_do_no_harm() {
    let server = Server::start();
    let panel = Panel::new();
    let kiosk = Kiosk::start_with(&server.address, "kiosk-7", "dev_ticket = true", &panel.config());
    kiosk.until_state("idle", 30);
    until_button(&kiosk, "the button armed", |button| {
        button["state"] == "armed" && button["follows"] == "polls"
    });
    until("the lamp to be lit", 10, || panel.is_lit().then_some(()));
    assert_eq!(panel.changes(), 0, "steady while idle");

    panel.press(FINGER);
    kiosk.until_state("waiting", 20);
    until("the lamp to blink", 20, || (panel.changes() >= 2).then_some(()));
    std::thread::sleep(Duration::from_millis(700));
    panel.press(FINGER);
    kiosk.until_state("idle", 20);

    // The press that begins a call ends it when it is held; the release begins no other.
    panel.press(Duration::from_millis(2600));
    let status = kiosk.until_state("idle", 20);
    assert_eq!((&status["calls"], &status["call"]["end"]), (&2.into(), &"hung_up".into()), "{status:#}");

    for _ in 0..50 {
        panel.press(Duration::from_millis(50));
        std::thread::sleep(Duration::from_millis(50));
    }
    if kiosk.state() != "idle" {
        panel.press(Duration::from_millis(2000));
    }
    let status = kiosk.until_state("idle", 20);
    assert_eq!(status["worker"]["restarts"], 0, "{status:#}");
}

#[test]
fn a_stuck_button_is_told_and_ignored_until_it_is_released_and_so_it_is_from_the_start() {
    let server = Server::start();
    let panel = Panel::new();
    panel.set("button", "0");
    let kiosk = Kiosk::start_with(&server.address, "kiosk-7", "dev_ticket = true", &panel.config());
    until_button(&kiosk, "the button to be stuck", |button| button["stuck"] == true);
    let status = kiosk.until_state("idle", 30);
    assert_eq!(status["calls"], 0, "down from the start is no press");
    assert!(kiosk.log().contains("the button is stuck"), "{}", kiosk.log());
    let people = rtcroom_kiosk::kiosk::status::for_people(&status);
    assert!(people.contains("STUCK, ignored until it is released"), "{people}");
    panel.set("button", "1");
    until_button(&kiosk, "the button to be free", |button| button["stuck"] == false);
    panel.press(FINGER);
    kiosk.until_state("waiting", 20);
}

#[test]
fn a_chip_that_is_missing_is_named_and_found_when_it_comes_and_the_kiosk_runs_meanwhile() {
    let server = Server::start();
    let panel = Panel::new();
    std::fs::remove_dir_all(panel.chip()).unwrap();
    let kiosk = Kiosk::start_with(&server.address, "kiosk-7", "dev_ticket = true", &panel.config());
    let chip = panel.chip().display().to_string();
    let button = until_button(&kiosk, "the button in trouble", |button| button["state"] == "trouble");
    assert!(button["detail"].as_str().unwrap().contains(&chip), "{button}");
    let status = kiosk.until_state("idle", 30);
    assert_eq!(status["lamp"], "trouble");
    for part in ["lamp", "tamper"] {
        assert_eq!(status["panel"][part]["state"], "trouble", "{status:#}");
    }
    kiosk.press();
    kiosk.until_state("waiting", 20);
    // Sooner it would be the same impatient finger.
    std::thread::sleep(Duration::from_millis(700));
    kiosk.press();
    kiosk.until_state("idle", 20);

    panel.plug_in();
    until_button(&kiosk, "the button armed", |button| button["state"] == "armed");
    kiosk.until_state("idle", 20);
    until("the lamp to be lit", 10, || panel.is_lit().then_some(()));
    // A button that is down when it is first looked at was not pressed.
    until("the lines to be looked at", 10, || {
        (kiosk.status()["panel"]["tamper"]["open"] == false).then_some(())
    });
    panel.press(FINGER);
    kiosk.until_state("waiting", 20);

    // And unplugged in the call: it goes on.
    std::fs::remove_dir_all(panel.chip()).unwrap();
    until_button(&kiosk, "the button in trouble", |button| button["state"] == "trouble");
    assert_eq!(kiosk.state(), "waiting");
    let lines = kiosk.log().lines().filter(|line| line.contains("button: GPIO chip")).count();
    assert!(lines <= 2, "said once, however often it is tried again:\n{}", kiosk.log());
}

#[test]
fn an_opened_housing_is_an_event_and_the_lamp_goes_out_with_kioskd() {
    let server = Server::start();
    let panel = Panel::new();
    let mut kiosk = Kiosk::start_with(&server.address, "kiosk-7", "dev_ticket = true", &panel.config());
    let open = |want: bool| {
        until("the door", 20, || (kiosk.status()["panel"]["tamper"]["open"] == want).then_some(()));
    };
    open(false);
    panel.set("door", "1");
    open(true);
    panel.set("door", "0");
    open(false);
    let status = kiosk.until_state("idle", 30);
    for line in ["tamper: the housing was opened", "tamper: the housing was shut again"] {
        let journal = status["journal"].as_array().unwrap();
        assert_eq!(journal.iter().filter(|entry| entry["text"] == line).count(), 1, "{line}: {status:#}");
    }
    until("the lamp to be lit", 10, || panel.is_lit().then_some(()));
    let (status, _) = kiosk.terminate();
    assert!(status.success());
    assert!(!panel.is_lit(), "a kiosk that does not run invites nobody");
}
