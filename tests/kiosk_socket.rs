//! The worker behind a socket, as on a board: systemd starts one for each connection, and `kioskd` cannot kill it.
#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod kiosk_support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use kiosk_support::{Kiosk, Server, config_text, is_alive, signal, until};

/// systemd's own stand-in for a `.socket` with `Accept=yes`.
struct Activator(Child);

impl Activator {
    fn start(path: &Path) -> Self {
        let child = Command::new("systemd-socket-activate")
            .args(["--accept", "--inetd", "-l"])
            .arg(path)
            .args(["-E", "PATH", env!("CARGO_BIN_EXE_kiosk-media")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("systemd-socket-activate; boards/setup.sh test installs it");
        until("the socket", 10, || path.exists().then_some(()));
        Self(child)
    }
}

impl Drop for Activator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A kiosk whose workers come from `socket`.
fn kiosk(server: &Server, user: &str, socket: &Path) -> Kiosk {
    let text = config_text(&server.address, user, "dev_ticket = true", "");
    let worker = format!("worker = \"{}\"", env!("CARGO_BIN_EXE_kiosk-media"));
    assert!(text.contains(&worker));
    Kiosk::start_text(&text.replace(&worker, &format!("socket = \"{}\"", socket.display())))
}

fn socket() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("media.sock");
    (dir, path)
}

fn status_line(pid: u64, name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().to_owned()
}

#[test]
fn a_call_goes_with_a_worker_that_systemd_started_and_comes_back_when_it_hangs() {
    let (_dir, path) = socket();
    let activator = Activator::start(&path);
    let server = Server::start();
    let peer = Kiosk::start(&server.address, "peer");
    let kiosk = kiosk(&server, "kiosk-7", &path);
    peer.until_state("idle", 40);
    kiosk.until_state("idle", 40);
    let worker = kiosk.worker_pid();
    assert_eq!(status_line(worker, "PPid"), activator.0.id().to_string(), "it is no child of kioskd");
    assert_eq!(status_line(worker, "Seccomp"), "2", "it has taken TCP from itself");
    assert_eq!(status_line(worker, "NoNewPrivs"), "1");
    peer.press();
    peer.until_state("waiting", 20);
    kiosk.press();
    kiosk.until_state("in_call", 20);
    kiosk.until_media_flows(30);

    signal(worker, libc::SIGSTOP);
    let next =
        until("another worker", 30, || kiosk.status()["worker"]["pid"].as_u64().filter(|pid| *pid != worker));
    assert!(is_alive(worker), "kioskd may not kill it, and goes on without");
    kiosk.until_media_flows(30);
    peer.until_media_flows(30);
    assert_eq!(kiosk.state(), "in_call");
    // As the watchdog of its unit would.
    signal(worker, libc::SIGKILL);

    kiosk.press();
    kiosk.until_state("idle", 20);
    until("the worker of the call to end by itself", 20, || (!is_alive(next)).then_some(()));
    assert_eq!(kiosk.status()["worker"]["restarts"], 1);
}

#[test]
fn a_hung_worker_is_replaced_as_soon_as_its_watchdog_has_ended_it() {
    let (_dir, path) = socket();
    let _activator = Activator::start(&path);
    let server = Server::start();
    let kiosk = kiosk(&server, "kiosk-7", &path);
    kiosk.until_state("idle", 40);
    let worker = kiosk.worker_pid();
    signal(worker, libc::SIGKILL);
    let next =
        until("another worker", 10, || kiosk.status()["worker"]["pid"].as_u64().filter(|pid| *pid != worker));
    assert!(is_alive(next));
    let log = kiosk.log();
    assert!(!log.contains("does not die"), "nothing was waited for: {log}");
}

#[test]
fn without_a_socket_the_kiosk_says_what_to_start_and_recovers_when_it_is_there() {
    let (_dir, path) = socket();
    let server = Server::start();
    let kiosk = kiosk(&server, "kiosk-7", &path);
    let status = kiosk.until_state("fault", 40);
    let detail = status["detail"].as_str().unwrap();
    assert!(detail.contains("kiosk-media.socket") && detail.contains("media.sock"), "{detail}");
    assert_eq!(status["worker"]["restarts"], 4, "the first and three restarts");
    let _activator = Activator::start(&path);
    kiosk.until_state("idle", 40);
}
