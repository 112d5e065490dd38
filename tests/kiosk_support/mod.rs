//! Real programs for the kiosk's tests: RoomService for development, and kiosks with their workers, all on loopback.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rtcroom_kiosk::kiosk::control::{self, Ask};
use serde_json::Value;

/// Asks until it is so.
pub fn until<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(value) = ask() {
            return value;
        }
        assert!(Instant::now() < end, "waited {seconds} s for {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

pub fn signal(pid: u64, number: i32) {
    // SAFETY: only sends a signal, to a process these tests started.
    assert_eq!(unsafe { libc::kill(i32::try_from(pid).unwrap(), number) }, 0, "signal {number} to {pid}");
}

pub fn is_alive(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// RoomService, `--dev`.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    fn start_at(listen: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_roomservice"))
            .args(["serve", "--dev", "--listen", listen])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("http://"), "RoomService says {address:?}");
        Self { child, address: address.trim().to_owned() }
    }

    pub fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, at the same address.
    pub fn again(&mut self) {
        let listen = self.address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        *self = Self::start_at(&listen);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A kiosk, or with another name a member that behaves like one.
pub struct Kiosk {
    child: Child,
    pub dir: tempfile::TempDir,
}

impl Kiosk {
    pub fn start(server: &str, user: &str) -> Self {
        Self::start_with(server, user, "dev_ticket = true", "")
    }

    pub fn start_with(server: &str, user: &str, ticket: &str, more: &str) -> Self {
        Self::start_text(&config_text(server, user, ticket, more))
    }

    pub fn start_text(text: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), text, &[])
    }

    /// In a directory that may hold files of the test's, and with these variables.
    pub fn start_in(dir: tempfile::TempDir, text: &str, variables: &[(&str, &str)]) -> Self {
        std::fs::create_dir_all(dir.path().join("state")).unwrap();
        let config = dir.path().join("kioskd.toml");
        std::fs::write(&config, text).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_kioskd"))
            .args(["run", "--button-stdin", "--config"])
            .arg(&config)
            .arg("--runtime-dir")
            .arg(dir.path().join("run"))
            .arg("--state-dir")
            .arg(dir.path().join("state"))
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stderr(std::fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, dir }
    }

    /// Starts it and waits until it waits for the button.
    pub fn idle(server: &Server, user: &str) -> Self {
        let kiosk = Self::start(&server.address, user);
        kiosk.until_state("idle", 20);
        kiosk
    }

    pub fn pid(&self) -> u64 {
        self.child.id().into()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn runtime_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    pub fn ask(&self, ask: Ask) -> Option<Value> {
        control::ask(&self.runtime_dir(), ask).ok()
    }

    pub fn status(&self) -> Value {
        self.ask(Ask::Status).unwrap_or(Value::Null)
    }

    pub fn press(&self) {
        self.ask(Ask::Press).unwrap();
    }

    /// Enter.
    pub fn enter(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    pub fn state(&self) -> String {
        self.status()["state"].as_str().unwrap_or_default().to_owned()
    }

    pub fn until_state(&self, state: &str, seconds: u64) -> Value {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let status = self.status();
            if status["state"] == state {
                return status;
            }
            assert!(Instant::now() < end, "not {state} within {seconds} s: {status:#}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    pub fn worker_pid(&self) -> u64 {
        self.status()["worker"]["pid"].as_u64().unwrap()
    }

    /// Frames that differ and milliseconds of loud sound, of the one member played, with its session and worker.
    pub fn played(&self) -> Option<(u64, u64, u64, u64)> {
        let status = self.status();
        let player = &status["call"]["stats"]["players"][0];
        Some((
            player["frames_changed"].as_u64()?,
            player["audio_loud_ms"].as_u64()?,
            player["session"].as_u64()?,
            status["worker"]["generation"].as_u64()?,
        ))
    }

    /// Waits for ten frames and 200 ms of tone that came after now.
    pub fn until_media_flows(&self, seconds: u64) {
        let before = self.played();
        until("ten new frames and tone", seconds, || {
            let now = self.played()?;
            let (frames, loud) = match before {
                Some(before) if (before.2, before.3) == (now.2, now.3) => (before.0, before.1),
                _ => (0, 0),
            };
            (now.0 >= frames + 10 && now.1 >= loud + 200).then_some(())
        });
    }

    /// Ends it, and starts it in the same directory with another configuration.
    pub fn again(mut self, text: &str) -> Self {
        if !self.has_ended() {
            self.terminate();
        }
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        Self::start_in(dir, text, &[])
    }

    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        signal(self.pid(), libc::SIGTERM);
        let status = self.child.wait().unwrap();
        (status, start.elapsed())
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Kiosk {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            signal(self.pid(), libc::SIGTERM);
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// A `kioskd.toml`; `server` is the address RoomService printed, or all of the url.
pub fn config_text(server: &str, user: &str, ticket: &str, more: &str) -> String {
    let board = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/simulator.toml");
    let url =
        if server.contains("/weapp/") { server.to_owned() } else { format!("{server}weapp/double_room") };
    format!(
        r#"
board = "{}"
language = "en"
[server]
url = "{url}"
[room]
id = "branch-7"
[user]
id = "{user}"
sdk_app_id = 1400000001
{ticket}
[media]
worker = "{}"
[screen]
output = "none"
{more}
"#,
        board.display(),
        env!("CARGO_BIN_EXE_kiosk-media"),
    )
}

/// Two kiosks in a call with each other; the second one waited.
pub fn call(server: &Server) -> (Kiosk, Kiosk) {
    let peer = Kiosk::start(&server.address, "peer");
    let kiosk = Kiosk::start(&server.address, "kiosk-7");
    peer.until_state("idle", 20);
    kiosk.until_state("idle", 20);
    peer.press();
    peer.until_state("waiting", 10);
    kiosk.press();
    for one in [&kiosk, &peer] {
        one.until_state("in_call", 10);
        one.until_media_flows(20);
    }
    (kiosk, peer)
}
