//! The units: nothing in them is unknown to systemd, each is as closed as it is meant to be, and users and files are
//! those they name.
#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Each service and how exposed it may be, in tenths (`systemd-analyze security`).
const SERVICES: [(&str, u32); 4] = [
    ("kioskd.service", 14),
    ("kiosk-media@.service", 14),
    ("kioskd-reboot.service", 14),
    ("roomservice.service", 12),
];
const OTHERS: [&str; 2] = ["kiosk-media.socket", "kioskd-reboot.path"];

fn systemd() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let done = Command::new(program).args(arguments).env("SYSTEMD_COLORS", "0").output();
    done.unwrap_or_else(|error| panic!("{program}: {error}; boards/setup.sh test installs it"))
}

fn said(done: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

/// All units in a directory, with the programs where they were built, and these lines changed.
fn units(change: impl Fn(&str, String) -> String) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in SERVICES.iter().map(|(name, _)| *name).chain(OTHERS) {
        let mut text = fs::read_to_string(systemd().join(name)).unwrap();
        for (installed, built) in [
            ("/usr/bin/kioskd", env!("CARGO_BIN_EXE_kioskd")),
            ("/usr/bin/kiosk-media", env!("CARGO_BIN_EXE_kiosk-media")),
            ("/usr/bin/roomservice", env!("CARGO_BIN_EXE_roomservice")),
        ] {
            text = text.replace(&format!("ExecStart={installed}"), &format!("ExecStart={built}"));
        }
        fs::write(dir.path().join(name), change(name, text)).unwrap();
    }
    dir
}

/// What `systemd-analyze verify` finds in our units.
fn complaints(dir: &Path) -> Vec<String> {
    let names: Vec<String> =
        SERVICES.iter().map(|(name, _)| *name).chain(OTHERS).map(str::to_owned).collect();
    let paths: Vec<String> = names.iter().map(|name| dir.join(name).display().to_string()).collect();
    let mut arguments = vec!["verify", "--man=no", "--recursive-errors=no"];
    arguments.extend(paths.iter().map(String::as_str));
    let text = said(&run("systemd-analyze", &arguments));
    // Units of this machine are no business of ours.
    text.lines()
        .filter(|line| line.contains("kiosk") || line.contains("roomservice"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn systemd_knows_every_word_of_every_unit() {
    let dir = units(|_, text| text);
    assert_eq!(complaints(dir.path()), Vec::<String>::new());
    let broken = units(|name, text| match name {
        "kioskd.service" => text.replace("ProtectHome=yes", "ProtectHmoe=yes"),
        _ => text,
    });
    assert!(
        complaints(broken.path()).iter().any(|line| line.contains("ProtectHmoe")),
        "the check sees a typo"
    );
}

#[test]
fn no_service_is_more_exposed_than_it_has_to_be() {
    for (name, most) in SERVICES {
        let path = systemd().join(name).display().to_string();
        let threshold = format!("--threshold={most}");
        let done = run("systemd-analyze", &["security", "--offline=true", "--no-pager", &threshold, &path]);
        let text = said(&done);
        let level = text.lines().find(|line| line.contains("Overall exposure level")).unwrap_or(&text);
        println!("{level}");
        assert!(done.status.success(), "more than {most} tenths: {text}");
    }
}

#[test]
fn every_example_of_a_drop_in_is_understood_and_leaves_its_unit_as_closed() {
    for entry in fs::read_dir(systemd().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        // Each says itself where it goes; hardware-watchdog.conf is no unit's.
        let Some(name) = SERVICES.iter().find(|(name, _)| text.contains(&format!("/system/{name}.d/")))
        else {
            assert!(text.contains("/etc/systemd/system.conf.d/"), "{} says where it goes", path.display());
            continue;
        };
        let dir = units(|_, text| text);
        let drop_ins = dir.path().join(format!("{}.d", name.0));
        fs::create_dir(&drop_ins).unwrap();
        fs::write(drop_ins.join("example.conf"), &text).unwrap();
        assert_eq!(complaints(dir.path()), Vec::<String>::new(), "{}", path.display());
        let (unit, threshold) = (dir.path().join(name.0), format!("--threshold={}", name.1));
        let unit = unit.display().to_string();
        let done = run("systemd-analyze", &["security", "--offline=true", "--no-pager", &threshold, &unit]);
        assert!(done.status.success(), "{}: {}", path.display(), said(&done));
        // Which devices a vendor has is nobody's guess.
        let mut source = false;
        for line in text.lines().filter(|line| text.contains("DeviceAllow=") && !line.starts_with('[')) {
            source =
                (line.starts_with('#') && line.contains('/')) || (source && line.starts_with("DeviceAllow="));
            assert!(source || line.starts_with('#'), "{}: {line} has no source", path.display());
        }
    }
}

#[test]
fn nothing_runs_as_root_and_no_start_limit_strands_the_kiosk() {
    for (name, _) in SERVICES {
        let text = fs::read_to_string(systemd().join(name)).unwrap();
        let has = |line: &str| text.lines().any(|other| other == line);
        let user = text.lines().find_map(|line| line.strip_prefix("User="));
        assert!(has("DynamicUser=yes") || user.is_some_and(|user| user != "root"), "{name} has a user");
        assert!(has("StartLimitIntervalSec=0"), "{name} is started however often");
        if name == "kioskd.service" || name == "roomservice.service" {
            assert!(has("Restart=always"), "{name} comes back");
        }
    }
    for name in OTHERS {
        let text = fs::read_to_string(systemd().join(name)).unwrap();
        assert!(text.contains("TriggerLimitIntervalSec=0"), "{name} triggers however often");
    }
}

#[test]
fn the_worker_has_less_than_the_supervisor() {
    let worker = fs::read_to_string(systemd().join("kiosk-media@.service")).unwrap();
    let supervisor = fs::read_to_string(systemd().join("kioskd.service")).unwrap();
    assert!(supervisor.contains("LoadCredential=") && !worker.contains("LoadCredential"));
    assert!(!worker.contains("StateDirectory") && !worker.contains("/etc/rtcroom-kiosk/kioskd.toml"));
    let devices = |text: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix("DeviceAllow="));
        lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for text in [&worker, &supervisor] {
        assert!(text.lines().any(|line| line == "DevicePolicy=closed"));
    }
    assert!(
        devices(&worker).iter().all(|device| !devices(&supervisor).contains(device)),
        "no device in common"
    );
    assert!(devices(&supervisor).iter().all(|device| device.contains("gpio")), "button and lamp alone");
}

#[test]
fn users_groups_and_directories_are_made_as_the_units_name_them() {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path);
    for kind in ["sysusers.d", "tmpfiles.d"] {
        let to = at("usr/lib").join(kind);
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(systemd().join(kind)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    fs::create_dir_all(at("etc/rtcroom-kiosk")).unwrap();
    for name in ["kioskd.toml", "ticket", "client.key"] {
        fs::write(at("etc/rtcroom-kiosk").join(name), "x").unwrap();
    }
    let root_option = format!("--root={}", root.path().display());
    let made = run("systemd-sysusers", &[&root_option]);
    assert!(made.status.success(), "{}", said(&made));
    let users = fs::read_to_string(at("etc/passwd")).unwrap();
    let groups = fs::read_to_string(at("etc/group")).unwrap();
    for name in ["kioskd", "kiosk-media", "roomservice"] {
        let user = users.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        assert!(user.ends_with("nologin") && !user.contains(":0:"), "{user}");
    }
    for (group, member) in
        [("gpio", "kioskd"), ("video", "kiosk-media"), ("audio", "kiosk-media"), ("render", "kiosk-media")]
    {
        let line = groups.lines().find(|line| line.starts_with(&format!("{group}:"))).unwrap();
        assert!(line.ends_with(member), "{line}");
    }
    // Only root may give files away.
    // SAFETY: asks for our user ID.
    if unsafe { libc::geteuid() } != 0 {
        return;
    }
    let made = run("systemd-tmpfiles", &[&root_option, "--create"]);
    assert!(made.status.success(), "{}", said(&made));
    let group: u32 = {
        let line = groups.lines().find(|line| line.starts_with("kioskd:")).unwrap();
        line.split(':').nth(2).unwrap().parse().unwrap()
    };
    for (path, mode, owner) in [
        ("etc/rtcroom-kiosk", 0o750, group),
        ("etc/rtcroom-kiosk/kioskd.toml", 0o640, group),
        ("etc/rtcroom-kiosk/ticket", 0o640, group),
        ("etc/rtcroom-kiosk/client.key", 0o600, 0),
    ] {
        let data = fs::metadata(at(path)).unwrap();
        assert_eq!((data.permissions().mode() & 0o7777, data.gid()), (mode, owner), "{path}");
    }
}
