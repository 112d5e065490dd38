//! What is wrong is said in one sentence, and heals when the cause is gone.
#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod kiosk_support;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use kiosk_support::{Kiosk, Server, config_text, until};

fn until_said(kiosk: &Kiosk, screen: &str, log: &str) {
    until(&format!("{screen:?} on the screen"), 15, || {
        let said = kiosk.status()["screen"].clone();
        (said["view"] == "trouble" && said["detail"].as_str()?.contains(screen)).then_some(())
    });
    until(&format!("{log:?} in the log"), 15, || kiosk.log().contains(log).then_some(()));
}

#[test]
fn a_server_that_is_not_there_is_named_and_found_when_it_comes() {
    let mut server = Server::start();
    server.stop();
    let kiosk = Kiosk::start(&server.address, "kiosk-7");
    until_said(&kiosk, "127.0.0.1", "check [server] url");
    assert_eq!(kiosk.state(), "offline");
    server.again();
    kiosk.until_state("idle", 15);
    // And again, from idle.
    server.stop();
    kiosk.until_state("offline", 15);
    server.again();
    kiosk.until_state("idle", 15);
}

#[test]
fn a_name_that_does_not_resolve_is_named() {
    let kiosk = Kiosk::start("http://kiosk-test.invalid:1/", "kiosk-7");
    until_said(&kiosk, "kiosk-test.invalid:1 cannot be found", "does not resolve");
}

#[test]
fn a_ticket_that_is_missing_or_wrong_is_named_with_its_file() {
    let server = Server::start();
    let tickets = tempfile::tempdir().unwrap();
    let file = tickets.path().join("ticket");
    let kiosk = Kiosk::start_with(&server.address, "kiosk-7", &format!("ticket_file = {file:?}"), "");
    until_said(&kiosk, "no ticket", &file.display().to_string());
    assert_eq!(kiosk.state(), "fault");
    std::fs::write(&file, "not a ticket").unwrap();
    until_said(&kiosk, "no ticket", "it holds no userSig");
}

#[test]
fn a_worker_that_does_not_start_is_a_fault_and_is_tried_again() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let worker = dir.path().join("worker");
    let text = config_text(&server.address, "kiosk-7", "dev_ticket = true", "");
    let real = env!("CARGO_BIN_EXE_kiosk-media");
    let kiosk = Kiosk::start_text(&text.replace(real, &worker.display().to_string()));
    until_said(&kiosk, "media program", "No such file");
    std::os::unix::fs::symlink(real, &worker).unwrap();
    kiosk.until_state("idle", 40);
}

#[test]
fn the_control_socket_is_for_this_user_alone_and_for_one_kioskd() {
    let server = Server::start();
    let kiosk = Kiosk::idle(&server, "kiosk-7");
    let socket = kiosk.runtime_dir().join("control.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let second = Command::new(env!("CARGO_BIN_EXE_kioskd"))
        .args(["run", "--config"])
        .arg(kiosk.dir.path().join("kioskd.toml"))
        .arg("--runtime-dir")
        .arg(kiosk.runtime_dir())
        .output()
        .unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another kioskd"));
    assert_eq!(kiosk.state(), "idle");
}

#[test]
fn a_wrong_configuration_names_file_line_key_and_value() {
    let dir = tempfile::tempdir().unwrap();
    let good = config_text("http://127.0.0.1:1/", "kiosk-7", "dev_ticket = true", "");
    let check = |text: &str| {
        let file = dir.path().join("kioskd.toml");
        std::fs::write(&file, text).unwrap();
        let done = Command::new(env!("CARGO_BIN_EXE_kioskd"))
            .args(["check-config", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    assert_eq!(check(&good), (Some(0), String::new()));
    for (from, to, words) in [
        (
            "language = ",
            "colour = 3\nlanguage = ",
            vec!["kioskd.toml:3", "unknown field `colour`", "colour = 3"],
        ),
        ("language = \"en\"", "language = \"fr\"", vec!["kioskd.toml:3", "fr"]),
        ("output = \"none\"", "output = \"hologram\"", vec!["hologram", "kioskd.toml:15"]),
        ("boards/simulator.toml", "boards/nowhere.toml", vec!["nowhere.toml"]),
        ("double_room", "single_room", vec!["[server] url", "single_room"]),
        ("id = \"kiosk-7\"", "id = \"\"", vec!["[user] id"]),
        (
            "dev_ticket = true",
            "ticket_file = \"t\"\ndev_ticket = true",
            vec!["[user] dev_ticket", "ticket_file"],
        ),
        ("[room]", "ca = \"nowhere.pem\"\n[room]", vec!["[server] ca", "nowhere.pem"]),
        ("[screen]", "[video]\nmin_kbps = 9000\n[screen]", vec!["min_kbps", "9000"]),
    ] {
        let (code, said) = check(&good.replace(from, to));
        assert_eq!(code, Some(2), "{said}");
        for word in words {
            assert!(said.contains(word), "{word:?} in {said:?}");
        }
    }
}
