//! Tickets that end and begin anew: fetched over the client certificate, or put there by somebody.
#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod kiosk_support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use kiosk_support::{Kiosk, config_text, until};
use rtcroom_kiosk::kiosk::control::Ask;
use rtcroom_kiosk::room::user_sig::Mint;
use serde_json::Value;

const DAY: u64 = 24 * 3600;
const APP: u64 = 1_400_000_001;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Runs `openssl`, whose words are split at spaces.
fn openssl(dir: &Path, words: &str) {
    let done = Command::new("openssl").args(words.split(' ')).current_dir(dir).output().unwrap();
    assert!(done.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A RoomService with HTTPS that renews tickets, and the certificates around it.
struct Server {
    dir: tempfile::TempDir,
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        for name in ["ca", "stranger"] {
            openssl(
                at,
                &format!(
                    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
                ),
            );
        }
        fs::write(at.join("san"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
        for (name, by) in [("localhost", "ca"), ("kiosk-7", "ca"), ("kiosk-8", "stranger")] {
            openssl(
                at,
                &format!(
                    "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
                ),
            );
            openssl(
                at,
                &format!(
                    "x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -days 2 -extfile san -out {name}.pem"
                ),
            );
        }
        let mut keygen = Command::new(env!("CARGO_BIN_EXE_roomservice"));
        assert!(keygen.args(["keygen", "--out"]).arg(at.join("keys")).status().unwrap().success());
        let config = at.join("roomservice.toml");
        let text = format!(
            "listen = \"127.0.0.1:0\"\nsdk_app_id = {APP}\n[tls]\ncert = \"localhost.pem\"\nkey = \"localhost.key\"\n\
             client_ca = \"ca.pem\"\nclient_optional = true\n\
             [tickets]\npublic_key = \"keys/public.pem\"\nprivate_key = \"keys/private.pem\"\nrenew_days = 30\n"
        );
        fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_roomservice"))
            .args(["serve", "--config"])
            .arg(&config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("https://"), "RoomService says {address:?}");
        Self { dir, child, address: address.trim().to_owned() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A ticket for `user` that began so many days ago and is good for so many.
    fn ticket(&self, user: &str, ago: u64, days: u64) -> String {
        let mint = Mint::from_private_pem(&fs::read(self.at("keys/private.pem")).unwrap()).unwrap();
        mint.mint(user, APP, now() - ago * DAY, days * DAY).unwrap()
    }

    /// Asks for a ticket with this client certificate; the answer, or nothing when the connection is refused.
    fn renew(&self, certificate: Option<&str>, more: &[&str]) -> Option<String> {
        let mut curl = Command::new("curl");
        curl.args(["-s", "--max-time", "20", "--cacert"]).arg(self.at("ca.pem")).args(more);
        if let Some(name) = certificate {
            curl.arg("--cert").arg(self.at(&format!("{name}.pem")));
            curl.arg("--key").arg(self.at(&format!("{name}.key")));
        }
        let done = curl.arg(format!("{}weapp/utils/renew_ticket", self.address)).output().unwrap();
        done.status.success().then(|| String::from_utf8(done.stdout).unwrap())
    }

    /// What `kioskd.toml` says of it, with a ticket file and these lines for `[user]`.
    fn config(&self, more: &str) -> String {
        let ticket = format!("ticket_file = {:?}\n{more}", self.at("ticket"));
        let text = config_text(&self.address, "kiosk-7", &ticket, "");
        let files = format!(
            "[server]\nca = {:?}\nclient_cert = {:?}\nclient_key = {:?}",
            self.at("ca.pem"),
            self.at("kiosk-7.pem"),
            self.at("kiosk-7.key")
        );
        text.replace("[server]", &files)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn an_expired_ticket_is_renewed_over_the_client_certificate_and_kept() {
    let server = Server::start();
    fs::write(server.at("ticket"), server.ticket("kiosk-7", 60, 30)).unwrap();
    let url = format!("ticket_url = \"{}weapp/utils/renew_ticket\"", server.address);
    let kiosk = Kiosk::start_text(&server.config(&url));
    kiosk.until_state("idle", 60);
    let kept = kiosk.dir.path().join("state/ticket");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let status = until("the new ticket in the status", 20, || {
        let status = kiosk.status();
        (status["ticket"]["expires_unix"].as_u64()? > now() + 29 * DAY).then_some(status)
    });
    let renewed = status["ticket"]["renew_unix"].as_u64().unwrap();
    assert!(renewed > now() + 19 * DAY && renewed < now() + 21 * DAY, "at two thirds: {renewed}");
    assert_eq!(status["ticket"]["warning"], Value::Null);
    let metrics = kiosk.ask(Ask::Metrics).unwrap()["text"].as_str().unwrap().to_owned();
    for line in [
        "rtcroom_kiosk_state{state=\"idle\"} 1",
        "rtcroom_kiosk_ticket_warning 0",
        "rtcroom_kiosk_calls_total 0",
    ] {
        assert!(metrics.lines().any(|other| other == line), "{line} in {metrics}");
    }
    assert!(metrics.contains("rtcroom_kiosk_ticket_expires_timestamp_seconds "), "{metrics}");
    assert!(metrics.contains("rtcroom_kiosk_encoder_info{encoder="), "{metrics}");

    // Without the URL, the kept one serves after a restart though the file still has the old one.
    let kiosk = kiosk.again(&server.config(""));
    kiosk.until_state("idle", 60);
}

#[test]
fn an_expired_ticket_puts_the_kiosk_out_of_service_until_a_new_one_appears() {
    let server = Server::start();
    fs::write(server.at("ticket"), server.ticket("kiosk-7", 60, 30)).unwrap();
    let kiosk = Kiosk::start_text(&server.config(""));
    let status = kiosk.until_state("fault", 60);
    let detail = status["detail"].as_str().unwrap();
    assert!(detail.contains("expired"), "{detail}");
    let warning =
        until("the warning", 10, || kiosk.status()["ticket"]["warning"].as_str().map(str::to_owned));
    assert!(warning.contains("expired 30 days ago") && warning.contains("roomservice sign"), "{warning}");
    fs::write(server.at("ticket"), server.ticket("kiosk-7", 0, 10)).unwrap();
    kiosk.until_state("idle", 30);
    let warning = until("the next warning", 10, || {
        let warning = kiosk.status()["ticket"]["warning"].as_str()?.to_owned();
        warning.contains("expires in 9 days").then_some(warning)
    });
    assert!(kiosk.log().contains(&warning), "in the log, too");
    let metrics = kiosk.ask(Ask::Metrics).unwrap()["text"].as_str().unwrap().to_owned();
    assert!(metrics.contains("\nrtcroom_kiosk_ticket_warning 1\n"), "{metrics}");
    fs::write(server.at("ticket"), server.ticket("kiosk-7", 0, 30)).unwrap();
    until("the warning to go", 10, || kiosk.status()["ticket"]["warning"].is_null().then_some(()));
}

#[test]
fn a_ticket_is_given_to_whoever_the_certificate_names_and_to_nobody_else() {
    let server = Server::start();
    let answer: Value = serde_json::from_str(&server.renew(Some("kiosk-7"), &[]).unwrap()).unwrap();
    assert_eq!((&answer["code"], &answer["userID"]), (&0.into(), &"kiosk-7".into()), "{answer}");
    let given = answer["userSig"].as_str().unwrap();
    let claims = rtcroom_kiosk::room::ticket::claims(given).unwrap();
    assert_eq!(claims.user.as_deref(), Some("kiosk-7"));
    assert!((now() + 30 * DAY).abs_diff(claims.expires) < 120);

    let refused = server.renew(None, &[]).unwrap();
    assert!(refused.contains("\"code\":7") && !refused.contains("userSig"), "{refused}");
    assert_eq!(server.renew(Some("kiosk-8"), &[]), None, "a certificate of a stranger's is no certificate");
    let from_a_page = server.renew(Some("kiosk-7"), &["-H", "Origin: https://evil.example"]).unwrap();
    assert!(!from_a_page.contains("userSig"), "{from_a_page}");
    let posted = server.renew(Some("kiosk-7"), &["-X", "POST"]).unwrap();
    assert!(!posted.contains("userSig"), "{posted}");
}
