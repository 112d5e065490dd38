//! `kioskd doctor` finds what is wrong: one fault is planted in each test, and it is named, and nothing else is.
#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod kiosk_support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kiosk_support::{Server, call, config_text};
use rtcroom_kiosk::kiosk::doctor::finding::{Finding, Part, Verdict};
use rtcroom_kiosk::room::user_sig::Mint;
use serde_json::Value;

const APP: u64 = 1_400_000_001;
const DAY: u64 = 86_400;
const DEV: &str = "dev_ticket = true";
/// Every check of doctor's is bounded; all of them together, on a machine that builds beside.
const LIMIT: Duration = Duration::from_secs(240);

/// A board to be examined, and what came of it.
struct Patient {
    dir: tempfile::TempDir,
}

struct Report {
    code: i32,
    findings: Vec<Finding>,
    text: String,
}

impl Patient {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("state")).unwrap();
        Self { dir }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A ticket beside the configuration, good until so many seconds from now.
    fn ticket(&self, issued: u64, life: u64) {
        let sig = Mint::from_secret("secret").unwrap().mint("kiosk-7", APP, issued, life).unwrap();
        fs::write(self.at("ticket"), sig).unwrap();
        fs::set_permissions(self.at("ticket"), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn doctor(&self, runtime: &Path, more: &[&str]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kioskd"))
            .args(["doctor", "--config"])
            .arg(self.at("kioskd.toml"))
            .arg("--runtime-dir")
            .arg(runtime)
            .arg("--state-dir")
            .arg(self.at("state"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let end = Instant::now() + LIMIT;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > end {
                let _ = child.kill();
                panic!("doctor is not done within {LIMIT:?}: {:?}", child.wait_with_output());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        child.wait_with_output().unwrap()
    }

    fn examine_in(&self, runtime: &Path, config: &str, more: &[&str]) -> Report {
        fs::write(self.at("kioskd.toml"), config).unwrap();
        let output = self.doctor(runtime, &[&["--json"], more].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let json: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"));
        let findings = serde_json::from_value(json["findings"].clone()).unwrap();
        let code = output.status.code().unwrap();
        assert_eq!(json["exit_code"], code, "{json:#}");
        Report { code, findings, text: format!("{json:#}\n{errors}") }
    }

    fn examine(&self, config: &str) -> Report {
        self.examine_in(&self.at("run"), config, &[])
    }
}

impl Report {
    fn bad(&self) -> Vec<Part> {
        let bad = self.findings.iter().filter(|finding| finding.verdict == Verdict::Fail);
        bad.map(|finding| finding.part).collect()
    }

    /// This part alone does not work, and the line says these words, and what to do.
    fn names(&self, part: Part, words: &[&str]) {
        assert_eq!(self.bad(), [part], "{}", self.text);
        assert_eq!(self.code, 2, "{}", self.text);
        let found = self
            .findings
            .iter()
            .find(|finding| finding.part == part && finding.verdict == Verdict::Fail)
            .unwrap();
        let line = found.to_string();
        for word in words {
            assert!(line.contains(word), "{word:?} is not in {line}\n{}", self.text);
        }
        assert!(!found.cure.is_empty() || found.detail.contains(": "), "no cure in {line}");
    }
}

/// A RoomService with these arguments; ends with the test.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_roomservice"))
            .arg("serve")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("http"), "RoomService says {address:?}");
        Self { child, address: address.trim().to_owned() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn openssl(dir: &Path, words: &str) {
    let done = Command::new("openssl").args(words.split(' ')).current_dir(dir).output().unwrap();
    assert!(done.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A RoomService with HTTPS whose certificate is for `name`; `ca.pem` signed it and `stranger.pem` did not.
fn https(dir: &Path, name: &str) -> Running {
    for ca in ["ca", "stranger"] {
        openssl(
            dir,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 99 -subj /CN={ca} -keyout {ca}.key -out {ca}.pem"
            ),
        );
    }
    fs::write(dir.join("san"), format!("subjectAltName={name}\n")).unwrap();
    openssl(
        dir,
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=server -keyout server.key -out server.csr",
    );
    openssl(
        dir,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile san -out server.pem",
    );
    fs::write(dir.join("secret"), "secret").unwrap();
    let config = dir.join("roomservice.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\nsdk_app_id = {APP}\n[tls]\ncert = \"server.pem\"\nkey = \"server.key\"\n[tickets]\nsecret_file = \"secret\"\n"
    );
    fs::write(&config, text).unwrap();
    Running::start(&["--config", config.to_str().unwrap()])
}

#[test]
fn a_healthy_simulator_is_well_in_every_part_and_its_picture_is_saved() {
    let server = Server::start();
    let patient = Patient::new();
    let picture = patient.at("seen.jpg");
    let config = config_text(&server.address, "kiosk-7", DEV, "");
    let report = patient.examine_in(&patient.at("run"), &config, &["--picture", picture.to_str().unwrap()]);
    assert_eq!(report.code, 0, "{}", report.text);
    assert!(report.findings.iter().all(|finding| finding.verdict == Verdict::Ok), "{}", report.text);
    let parts = "config board kioskd ticket permissions disk server tls clock room button lamp tamper worker encoder decoder camera microphone speaker screen relay";
    for part in parts.split(' ') {
        let part: Part = serde_json::from_value(part.into()).unwrap();
        assert_eq!(
            report.findings.iter().filter(|finding| finding.part == part).count(),
            1,
            "{part}: {}",
            report.text
        );
    }
    let image = fs::read(&picture).unwrap();
    assert!(image.len() > 5000 && image.starts_with(&[0xff, 0xd8, 0xff]), "{} bytes", image.len());

    // The same for people: a line a part, and one that sums up.
    let png = patient.at("seen.png");
    let output = patient.doctor(&patient.at("run"), &["--picture", png.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert_eq!(text.lines().count(), report.findings.len() + 1, "{text}");
    assert!(text.lines().last().unwrap().starts_with("all 21 parts are well"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("ok   relay UDP: 127.0.0.1:")), "{text}");
    assert!(fs::read(&png).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn a_key_nobody_knows_is_named_with_its_line() {
    let patient = Patient::new();
    let more = "[call]\nwaiting_seconds = 3\n";
    patient
        .examine(&config_text("http://127.0.0.1:9/", "kiosk-7", DEV, more))
        .names(Part::Config, &["kioskd.toml:", "waiting_seconds"]);
}

#[test]
fn a_board_that_does_not_exist_is_named() {
    let patient = Patient::new();
    let text = config_text("http://127.0.0.1:9/", "kiosk-7", DEV, "");
    let (_, rest) = text.trim_start().split_once('\n').unwrap();
    patient.examine(&format!("board = \"dream-board\"\n{rest}")).names(Part::Config, &["dream-board"]);
}

#[test]
fn a_missing_ticket_is_named_with_its_place() {
    let server = Server::start();
    let patient = Patient::new();
    let place = patient.at("ticket").display().to_string();
    patient
        .examine(&config_text(&server.address, "kiosk-7", "", ""))
        .names(Part::Ticket, &[&place, "roomservice sign"]);
}

#[test]
fn an_expired_ticket_is_named_with_how_long_ago() {
    let server = Server::start();
    let patient = Patient::new();
    patient.ticket(now() - 40 * DAY, 10 * DAY);
    patient
        .examine(&config_text(&server.address, "kiosk-7", "", ""))
        .names(Part::Ticket, &["expired 30 days ago"]);
}

#[test]
fn a_ticket_that_this_server_did_not_sign_is_named() {
    let server = Server::start();
    let patient = Patient::new();
    patient.ticket(now(), 100 * DAY);
    patient
        .examine(&config_text(&server.address, "kiosk-7", "", ""))
        .names(Part::Ticket, &["does not take it", "signed by a key"]);
}

#[test]
fn a_server_that_is_down_is_named() {
    let mut server = Server::start();
    server.stop();
    let patient = Patient::new();
    let host = server.address.trim_start_matches("http://").trim_end_matches('/').to_owned();
    patient
        .examine(&config_text(&server.address, "kiosk-7", DEV, ""))
        .names(Part::Server, &[&host, "no connection"]);
}

#[test]
fn https_that_is_well_tells_how_long_the_certificate_is_good() {
    let patient = Patient::new();
    let server = https(patient.dir.path(), "IP:127.0.0.1");
    patient.ticket(now(), 100 * DAY);
    let text = config_text(&server.address, "kiosk-7", "", "");
    let report = patient.examine(&text.replace("[room]", "ca = \"ca.pem\"\n[room]"));
    assert_eq!(report.code, 0, "{}", report.text);
    let tls = report.findings.iter().find(|finding| finding.part == Part::Tls).unwrap();
    assert!(tls.detail.contains("29 days") || tls.detail.contains("30 days"), "{tls}");
}

#[test]
fn an_authority_that_is_not_known_is_named() {
    let patient = Patient::new();
    let server = https(patient.dir.path(), "IP:127.0.0.1");
    patient.ticket(now(), 100 * DAY);
    let text = config_text(&server.address, "kiosk-7", "", "");
    patient
        .examine(&text.replace("[room]", "ca = \"stranger.pem\"\n[room]"))
        .names(Part::Tls, &["authority this kiosk does not know", "[server] ca"]);
}

#[test]
fn a_certificate_for_another_name_is_named() {
    let patient = Patient::new();
    let server = https(patient.dir.path(), "DNS:rooms.example.com");
    patient.ticket(now(), 100 * DAY);
    let text = config_text(&server.address, "kiosk-7", "", "");
    patient
        .examine(&text.replace("[room]", "ca = \"ca.pem\"\n[room]"))
        .names(Part::Tls, &["127.0.0.1", "name"]);
}

#[test]
fn a_relay_whose_udp_port_does_not_answer_is_named_with_its_address() {
    // Nobody listens there: the relay is bound to 127.0.0.1.
    let server = Running::start(&["--dev", "--listen", "127.0.0.1:0", "--advertise", "127.0.0.9"]);
    let port = server.address.trim_end_matches('/').rsplit(':').next().unwrap();
    Patient::new()
        .examine(&config_text(&server.address, "kiosk-7", DEV, ""))
        .names(Part::Relay, &[&format!("127.0.0.9:{port}"), "firewall"]);
}

#[test]
fn a_camera_that_is_missing_is_named() {
    let server = Server::start();
    let more = "[camera]\nsource = \"v4l2\"\ndevice = \"/dev/v4l/by-id/usb-Nobody\"\n";
    Patient::new()
        .examine(&config_text(&server.address, "kiosk-7", DEV, more))
        .names(Part::Camera, &["/dev/v4l/by-id/usb-Nobody", "plug it in"]);
}

#[test]
fn a_sound_card_that_is_missing_is_named() {
    let server = Server::start();
    let more = "[sound]\nsource = \"alsa\"\ncapture = \"Nobody\"\n";
    Patient::new()
        .examine(&config_text(&server.address, "kiosk-7", DEV, more))
        .names(Part::Microphone, &["Nobody", "plug it in"]);
}

#[test]
fn a_gpio_chip_that_is_missing_is_named() {
    let server = Server::start();
    let patient = Patient::new();
    let chip = patient.at("chip").display().to_string();
    let more = format!(
        "[button]\nkind = \"gpio\"\n[button.gpio]\ndriver = \"file\"\nchip = {chip:?}\nline = \"button\"\n"
    );
    patient
        .examine(&config_text(&server.address, "kiosk-7", DEV, &more))
        .names(Part::Button, &[&chip, "is not there"]);
}

#[test]
fn a_button_that_reads_as_pressed_is_a_warning() {
    let server = Server::start();
    let patient = Patient::new();
    fs::create_dir(patient.at("chip")).unwrap();
    fs::write(patient.at("chip/button"), "0").unwrap();
    let chip = patient.at("chip").display().to_string();
    let more = format!(
        "[button]\nkind = \"gpio\"\n[button.gpio]\ndriver = \"file\"\nactive_low = true\nchip = {chip:?}\nline = \"button\"\n"
    );
    let report = patient.examine(&config_text(&server.address, "kiosk-7", DEV, &more));
    assert_eq!(report.code, 1, "{}", report.text);
    let button = report.findings.iter().find(|finding| finding.part == Part::Button).unwrap();
    assert_eq!(button.verdict, Verdict::Warn);
    assert!(button.to_string().contains("reads as pressed"), "{button}");
}

#[test]
fn an_encoder_that_is_not_installed_is_named() {
    let server = Server::start();
    let more = "[video]\nencoders = [\"v4l2h264enc\"]\n";
    Patient::new()
        .examine(&config_text(&server.address, "kiosk-7", DEV, more))
        .names(Part::Encoder, &["v4l2h264enc", "install"]);
}

#[test]
fn a_clock_that_is_wrong_is_named() {
    // A server whose clock is two years behind ours; to a kiosk, whose own is wrong is the same.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let body = "{\"code\":7,\"message\":\"no\"}";
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ndate: Wed, 27 Nov 2024 12:00:00 GMT\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    Patient::new()
        .examine(&config_text(&address, "kiosk-7", DEV, ""))
        .names(Part::Clock, &["days ahead of the server's", "timedatectl"]);
}

/// A small file system that is full; unmounted with the test.
struct Full(PathBuf);

impl Full {
    fn at(path: PathBuf) -> Self {
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&path).status();
        assert!(mounted.unwrap().success(), "tests run as root, as tests/run.sh says");
        let filled = fs::write(path.join("log"), vec![0; 1 << 20]);
        assert!(filled.is_err(), "it takes more than it should");
        Self(path)
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_named() {
    let server = Server::start();
    let patient = Patient::new();
    let _full = Full::at(patient.at("state"));
    let state = patient.at("state").display().to_string();
    patient
        .examine(&config_text(&server.address, "kiosk-7", DEV, ""))
        .names(Part::Disk, &[&state, "cannot be written", "make room"]);
}

#[test]
fn a_ticket_that_everybody_may_read_is_named() {
    let server = Server::start();
    let patient = Patient::new();
    fs::write(patient.at("ticket"), "x").unwrap();
    fs::set_permissions(patient.at("ticket"), fs::Permissions::from_mode(0o644)).unwrap();
    let place = patient.at("ticket").display().to_string();
    patient
        .examine(&config_text(&server.address, "kiosk-7", DEV, ""))
        .names(Part::Permissions, &[&place, "0644", "chmod 640"]);
}

#[test]
fn a_media_worker_that_is_not_installed_is_named() {
    let server = Server::start();
    let text = config_text(&server.address, "kiosk-7", DEV, "");
    Patient::new()
        .examine(&text.replace(env!("CARGO_BIN_EXE_kiosk-media"), "/usr/lib/no/kiosk-media"))
        .names(Part::Worker, &["/usr/lib/no/kiosk-media", "install"]);
}

#[test]
fn a_media_worker_that_ends_at_once_is_named() {
    let server = Server::start();
    let text = config_text(&server.address, "kiosk-7", DEV, "");
    Patient::new()
        .examine(&text.replace(env!("CARGO_BIN_EXE_kiosk-media"), "/bin/false"))
        .names(Part::Worker, &["/bin/false", "exit status: 1"]);
}

#[test]
fn a_call_is_not_disturbed() {
    let server = Server::start();
    let (kiosk, _peer) = call(&server);
    let config = fs::read_to_string(kiosk.dir.path().join("kioskd.toml")).unwrap();
    let before = kiosk.status();
    let report = Patient::new().examine_in(&kiosk.runtime_dir(), &config, &[]);
    assert_eq!(report.code, 0, "{}", report.text);
    let of = |part| report.findings.iter().find(|finding: &&Finding| finding.part == part).unwrap();
    for part in [Part::Camera, Part::Relay, Part::Encoder] {
        assert_eq!(of(part).verdict, Verdict::Skip, "{}", report.text);
        assert!(of(part).detail.contains("kioskd is in_call"), "{}", of(part));
    }
    assert!(of(Part::Room).detail.contains("kioskd is logged in"), "{}", of(Part::Room));
    kiosk.until_media_flows(30);
    let after = kiosk.status();
    assert_eq!(after["call"]["recoveries"], before["call"]["recoveries"], "{after:#}");
    assert_eq!(after["worker"]["generation"], before["worker"]["generation"]);
    assert_eq!(after["state"], "in_call");
}
