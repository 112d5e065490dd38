//! The units under systemd itself, as PID 1 of namespaces of its own (`systemd/boot.sh`): the sandbox lets everything
//! through that a call needs, and its watchdogs bite. As root; without, there is nothing to boot.
#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A booted systemd; ends with the test.
struct Board {
    outer: Child,
    pid: String,
    dir: tempfile::TempDir,
}

/// Asks until it is so.
fn until<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(value) = ask() {
            return value;
        }
        assert!(Instant::now() < end, "waited {seconds} s for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl Board {
    /// Boots one that believes to have been up for so many seconds; nothing when this user cannot.
    fn boot(uptime: i64) -> Option<Self> {
        // SAFETY: asks for our user ID.
        if unsafe { libc::geteuid() } != 0 {
            println!("not root: nothing is booted");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/systemd/boot.sh");
        let bin = Path::new(env!("CARGO_BIN_EXE_kioskd")).parent().unwrap();
        let mut outer = Command::new(script)
            .args([dir.path(), bin])
            .arg(uptime.to_string())
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(dir.path().with_extension("log")).unwrap())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let id = outer.id();
        let pid = until("PID 1", 60, || {
            assert!(outer.try_wait().unwrap().is_none(), "boot.sh has ended");
            let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
            let pid = children.split(' ').next().filter(|pid| !pid.is_empty())?.to_owned();
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            (name.trim() == "systemd").then_some(pid)
        });
        let board = Self { outer, pid, dir };
        until("kioskd to be ready", 90, || {
            (board.run("systemctl is-active kioskd.service").trim() == "active").then_some(())
        });
        Some(board)
    }

    /// What a command in there says.
    fn run(&self, words: &str) -> String {
        let done =
            Command::new("nsenter").args(["-t", &self.pid, "-a", "--", "sh", "-c", words]).output().unwrap();
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// What root is told that opens the character device of this number, with the devices this unit has.
    fn opens_in_the_group_of(&self, unit: &str, number: &str) -> String {
        self.run(&format!(
            r#"mknod /run/node c {number}; export GROUP="$(systemctl show -p ControlGroup --value {unit})"
            sh -c 'echo 0 > "/sys/fs/cgroup$GROUP/cgroup.procs" && exec 3< /run/node' 2>&1; rm /run/node"#
        ))
    }

    fn status(&self, member: &str) -> Value {
        serde_json::from_str(&self.run(&format!("kioskd status --json --runtime-dir /run/{member}")))
            .unwrap_or(Value::Null)
    }

    fn until_state(&self, member: &str, state: &str, seconds: u64) {
        until(&format!("{member} to be {state}: {:#}", self.status(member)["detail"]), seconds, || {
            (self.status(member)["state"] == state).then_some(())
        });
    }

    /// A call between the kiosk of the units and a member that behaves like one.
    fn call(&self) {
        let peer = "kioskd run --config /etc/peer/kioskd.toml --runtime-dir /run/peer";
        self.run(&format!("systemd-run --quiet --unit=peer /usr/bin/{peer}"));
        self.until_state("kioskd", "idle", 60);
        self.until_state("peer", "idle", 60);
        self.run("kioskd press --runtime-dir /run/peer");
        self.until_state("peer", "waiting", 30);
        self.run("kioskd press");
        self.until_state("kioskd", "in_call", 30);
        self.until_media_flows(40);
    }

    /// Of what a member plays: changing frames, milliseconds of loud sound, and its worker and session.
    fn played(&self, member: &str) -> Option<(u64, u64, Value, Value)> {
        let status = self.status(member);
        let player = &status["call"]["stats"]["players"][0];
        let source = status["worker"]["pid"].clone();
        Some((
            player["frames_changed"].as_u64()?,
            player["audio_loud_ms"].as_u64()?,
            source,
            player["session"].clone(),
        ))
    }

    /// Waits for ten new frames and 200 ms of tone at both ends.
    fn until_media_flows(&self, seconds: u64) {
        for member in ["kioskd", "peer"] {
            let before = self.played(member);
            until(&format!("ten new frames and tone at {member}"), seconds, || {
                let now = self.played(member)?;
                let (frames, loud) = match &before {
                    Some(before) if (&before.2, &before.3) == (&now.2, &now.3) => (before.0, before.1),
                    _ => (0, 0),
                };
                (now.0 >= frames + 10 && now.1 >= loud + 200).then_some(())
            });
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.run("journalctl --no-pager -n 80; systemctl --no-pager --failed"));
        }
        let _ = Command::new("kill").args(["-9", &self.pid]).status();
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).status();
        let _ = std::fs::remove_file(self.dir.path().with_extension("log"));
        // Its processes take a moment to be gone, and their groups with them.
        let tidy = "for try in $(seq 50); do [ -d $0 ] || break; find $0 -depth -type d -exec rmdir {} + && break; sleep 0.1; done";
        for group in ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"] {
            let group = Path::new(group).join(format!("rtcroom-test-{}", self.outer.id()));
            let _ = Command::new("sh").args(["-c", tidy]).arg(group).stderr(Stdio::null()).status();
        }
    }
}

#[test]
fn a_call_has_picture_and_sound_in_the_sandbox_and_the_worker_has_neither_secrets_nor_other_devices() {
    let Some(board) = Board::boot(100) else { return };
    let readable =
        board.run("setpriv --reuid=kioskd --regid=kioskd --clear-groups cat /etc/rtcroom-kiosk/ticket");
    assert_eq!(readable, "", "the ticket came as a credential");
    board.call();
    for member in ["kioskd", "peer"] {
        let status = board.status(member);
        let hz = status["call"]["stats"]["players"][0]["audio_hz"].as_f64().unwrap();
        assert!((435.0..445.0).contains(&hz), "{member} hears {hz} Hz");
        assert_eq!(status["worker"]["restarts"], 0);
    }
    let worker = board.status("kioskd")["worker"]["pid"].to_string();
    let state = board.run(&format!("grep -E 'Seccomp:|NoNewPrivs|CapBnd|Uid' /proc/{worker}/status"));
    for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "CapBnd:\t0000000000000000"] {
        assert!(state.contains(line), "{line} in {state}");
    }
    assert!(!state.contains("Uid:\t0"), "{state}");
    let seen = board.run(&format!(
        "nsenter -t {worker} -m sh -c 'find /run/credentials /etc/rtcroom-kiosk /var/lib/kioskd /run/kioskd -type f'"
    ));
    assert_eq!(seen, "", "neither ticket nor keys");
    let unit = board.run(&format!("ps -o unit= -p {worker}"));
    let memory = board.run(&format!("systemctl show -p MemoryDenyWriteExecute {}", unit.trim()));
    assert_eq!(memory.trim(), "MemoryDenyWriteExecute=yes");
    // Cameras, sound cards and screens, also those whose driver is not loaded yet: they may just not be there.
    for number in ["81 0", "116 0", "226 0", "29 0"] {
        let said = board.opens_in_the_group_of(unit.trim(), number);
        assert!(!said.contains("not permitted"), "{number}: {said}");
    }
    // The machine's memory, its keys and pointers, its loop devices.
    for number in ["1 1", "13 64", "10 237"] {
        let said = board.opens_in_the_group_of(unit.trim(), number);
        assert!(said.contains("not permitted"), "{number}: {said}");
    }
    let journal = board.run(
        "journalctl --no-pager -o json ROOM=branch-7 USER=kiosk-7 BOARD=simulator SYSLOG_IDENTIFIER=kioskd",
    );
    assert!(journal.contains("joining -> in_call"), "fields of kioskd's records: {journal}");
    let status = board.run("systemctl show -p StatusText kioskd");
    assert!(status.contains("in_call: peer"), "{status}");
}

#[test]
fn who_hangs_in_a_call_is_ended_by_its_watchdog_and_the_call_comes_back() {
    let Some(board) = Board::boot(100) else { return };
    board.call();
    let worker = board.status("kioskd")["worker"]["pid"].to_string();
    let start = Instant::now();
    board.run(&format!("kill -STOP {worker}"));
    until("the next worker", 30, || {
        let pid = board.status("kioskd")["worker"]["pid"].as_u64()?.to_string();
        (pid != worker).then_some(())
    });
    board.until_media_flows(40);
    println!("worker stopped: picture and sound are back after {:?}", start.elapsed());
    assert!(!board.run("ls /proc").lines().any(|pid| pid == worker), "it is gone");
    let journal = board.run("journalctl --no-pager -u 'kiosk-media@*'");
    assert!(journal.contains("Failed with result 'watchdog'"), "{journal}");

    let kioskd = board.run("systemctl show -p MainPID --value kioskd").trim().to_owned();
    let start = Instant::now();
    board.run(&format!("kill -STOP {kioskd}"));
    until("the next kioskd", 40, || {
        let pid = board.run("systemctl show -p MainPID --value kioskd").trim().to_owned();
        (pid != kioskd && pid != "0").then_some(())
    });
    board.until_state("kioskd", "in_call", 40);
    board.until_media_flows(40);
    println!("kioskd stopped: picture and sound are back after {:?}", start.elapsed());
    assert!(board.run("journalctl --no-pager -u kioskd").contains("Watchdog timeout"));
}

#[test]
fn a_kiosk_that_asks_for_a_reboot_gets_it_but_not_within_an_hour() {
    let ask = "setpriv --reuid=kioskd --regid=kioskd --clear-groups touch /run/kioskd/reboot-wanted";
    let Some(young) = Board::boot(100) else { return };
    young.run(ask);
    until("the answer", 30, || {
        young
            .run("journalctl --no-pager -u kioskd-reboot")
            .contains("not rebooted: this board has been up for")
            .then_some(())
    });
    assert_eq!(young.run("systemctl is-active kioskd").trim(), "active");
    drop(young);

    let Some(mut old) = Board::boot(7200) else { return };
    old.run(ask);
    until("the end of its PID 1", 60, || old.outer.try_wait().unwrap());
}
