//! What `kioskd` and `kiosk-media` tell the service manager.
#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod kiosk_support;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kiosk_support::{Kiosk, Server, config_text, signal, until};

/// The service manager's end.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Manager {
    fn new(dir: &Path) -> Self {
        let path = dir.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self { socket, path }
    }

    /// What is said within so long.
    fn hear(&self, wait: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(wait)).unwrap();
        let mut text = [0; 4096];
        let length = self.socket.recv(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text[..length]).into_owned())
    }

    /// Listens until this is said; all that came before.
    fn until(&self, words: &str, seconds: u64) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut before = Vec::new();
        while Instant::now() < end {
            match self.hear(Duration::from_millis(200)) {
                Some(text) if text.contains(words) => return before,
                Some(text) => before.push(text),
                None => {}
            }
        }
        panic!("{words:?} was not said within {seconds} s, but {before:?}");
    }
}

fn kiosk(server: &str, manager: &Manager, dir: tempfile::TempDir, change: (&str, &str)) -> Kiosk {
    let text = config_text(server, "kiosk-7", "dev_ticket = true", "").replace(change.0, change.1);
    let variables = [("NOTIFY_SOCKET", manager.path.to_str().unwrap()), ("WATCHDOG_USEC", "2000000")];
    Kiosk::start_in(dir, &text, &variables)
}

#[test]
fn ready_comes_when_the_worker_has_answered_and_does_not_wait_for_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::new(dir.path());
    // A worker that takes its time, as on a slow card.
    let worker = env!("CARGO_BIN_EXE_kiosk-media");
    let slow = dir.path().join("slow");
    std::fs::write(&slow, format!("#!/bin/sh\nsleep 3\nexec {worker}\n")).unwrap();
    std::fs::set_permissions(&slow, std::fs::Permissions::from_mode(0o755)).unwrap();
    let start = Instant::now();
    let _kiosk = kiosk("http://127.0.0.1:9/", &manager, dir, (worker, slow.to_str().unwrap()));
    let before = manager.until("READY=1", 40);
    assert!(start.elapsed() >= Duration::from_secs(3), "before the worker could answer: {before:?}");
    let offline = "STATUS=offline: no connection to 127.0.0.1:9";
    if !before.iter().any(|text| text.contains(offline)) {
        manager.until(offline, 20);
    }
}

#[test]
fn ready_comes_when_the_worker_fails_for_all_to_see_and_the_fault_is_the_status() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::new(dir.path());
    let worker = env!("CARGO_BIN_EXE_kiosk-media");
    let _kiosk = kiosk(&server.address, &manager, dir, (worker, "/bin/false"));
    manager.until("READY=1", 40);
    manager.until("STATUS=fault", 40);
}

#[test]
fn the_watchdog_is_fed_by_the_loop_and_starves_when_it_is_stopped() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::new(dir.path());
    let kiosk = kiosk(&server.address, &manager, dir, ("", ""));
    kiosk.until_state("idle", 40);
    manager.until("WATCHDOG=1", 5);
    manager.until("WATCHDOG=1", 5);
    signal(kiosk.pid(), libc::SIGSTOP);
    let end = Instant::now() + Duration::from_secs(20);
    while manager.hear(Duration::from_secs(2)).is_some() {
        assert!(Instant::now() < end, "it goes on although it is stopped");
    }
    signal(kiosk.pid(), libc::SIGCONT);
    manager.until("WATCHDOG=1", 10);
}

#[test]
fn a_wrong_configuration_is_the_status_and_is_not_tried_again_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::new(dir.path());
    let start = Instant::now();
    let mut kiosk = kiosk("http://127.0.0.1:9/", &manager, dir, ("id = \"branch-7\"", "id = \"\""));
    manager.until("[room] id", 10);
    until("its end", 30, || kiosk.has_ended().then_some(()));
    assert!(start.elapsed() >= Duration::from_secs(9));
}

#[test]
fn a_worker_says_ready_after_it_is_configured_and_feeds_its_watchdog() {
    let dir = tempfile::tempdir().unwrap();
    let manager = Manager::new(dir.path());
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut worker = Command::new(env!("CARGO_BIN_EXE_kiosk-media"))
        .env("NOTIFY_SOCKET", &manager.path)
        .env("WATCHDOG_USEC", "3000000")
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(manager.hear(Duration::from_secs(1)), None, "nothing before it was asked anything");
    std::io::Write::write_all(&mut &ours, b"{\"do\":\"configure\"}\n").unwrap();
    assert!(manager.until("READY=1", 30).is_empty());
    for _ in 0..3 {
        manager.until("WATCHDOG=1", 3);
    }
    drop(ours);
    worker.wait().unwrap();
}
