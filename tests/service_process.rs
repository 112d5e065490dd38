//! The program itself: its first line, its end, its keys, TLS.

#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(clippy::unwrap_used)]

mod service_fixture;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use serde_json::Value;
use service_fixture::{APP, http};

fn roomservice(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roomservice"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    roomservice(arguments).output().unwrap()
}

/// Ends with the test.
struct Running {
    child: Child,
    url: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = roomservice(arguments).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, url: line.trim_end().to_owned() }
    }

    fn terminate(&self) {
        let done = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn it_says_where_it_is_and_ends_in_good_order() {
    let mut server = Running::start(&["serve", "--dev", "--listen", "127.0.0.1:0"]);
    assert!(server.url.starts_with("http://127.0.0.1:") && server.url.ends_with('/'), "{}", server.url);
    // A kept connection, a message socket and half a request are open when it is told to stop.
    let client = http();
    let info: Value = client
        .get(format!("{}weapp/utils/get_login_info?userID=a", server.url))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let query = format!("sdkAppID={APP}&userID=a&userSig={}", info["userSig"].as_str().unwrap());
    let login: Value = client
        .post(format!("{}weapp/double_room/login?{query}", server.url))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let member = service_fixture::Member {
        user: "a".into(),
        token: login["token"].as_str().unwrap().into(),
        url: server.url.trim_end_matches('/').into(),
        kind: "double_room",
        http: client,
    };
    let mut socket = member.socket().await;
    let mut half = std::net::TcpStream::connect(server.url[7..].trim_end_matches('/')).unwrap();
    std::io::Write::write_all(&mut half, b"POST /weapp/double_room/login HTTP/1.1\r\n").unwrap();
    let told = Instant::now();
    server.terminate();
    assert_eq!(socket.closed().await, 1001);
    let status = loop {
        if let Some(status) = server.child.try_wait().unwrap() {
            break status;
        }
        assert!(told.elapsed() < Duration::from_secs(3), "still there after 3 s");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(0));
    let mut rest = String::new();
    std::io::Read::read_to_string(server.child.stdout.as_mut().unwrap(), &mut rest).unwrap();
    assert_eq!(rest, "", "nothing else on stdout");
}

#[test]
fn it_does_not_serve_others_without_tls() {
    let dev = run(&["serve", "--dev", "--listen", "0.0.0.0:0"]);
    assert!(!dev.status.success());
    assert!(String::from_utf8_lossy(&dev.stderr).contains("--dev"), "{dev:?}");
    let dir = tempfile::tempdir().unwrap();
    let config = configure(dir.path(), "");
    let plain = run(&["serve", "--config", &config, "--listen", "0.0.0.0:0"]);
    assert!(!plain.status.success());
    assert!(String::from_utf8_lossy(&plain.stderr).contains("[tls]"), "{plain:?}");
    assert!(plain.stdout.is_empty());
}

#[test]
fn a_bad_configuration_is_told_by_file_key_and_value() {
    let dir = tempfile::tempdir().unwrap();
    let config = configure(dir.path(), "[rooms]\nmulti_seats = 99\n");
    let refused = run(&["serve", "--config", &config]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    for part in ["roomservice.toml", "rooms.multi_seats", "99"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(!run(&["serve"]).status.success(), "neither --dev nor --config");
}

#[tokio::test]
async fn what_it_signs_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let config = configure(dir.path(), "listen = \"127.0.0.1:0\"\n");
    let server = Running::start(&["serve", "--config", &config]);
    let keys = dir.path().join("keys");
    let private = keys.join("private.pem").display().to_string();
    let secret = keys.join("secret.hex").display().to_string();
    let app = APP.to_string();
    for arguments in [
        vec!["sign", "--user", "kiosk-7", "--config", &config],
        vec!["sign", "--user", "kiosk-7", "--config", &config, "--v2", "--days", "1"],
        vec!["sign", "--user", "kiosk-7", "--key", &private, "--sdk-app-id", &app, "--v1"],
        vec!["sign", "--user", "kiosk-7", "--key", &secret, "--sdk-app-id", &app],
    ] {
        let signed = run(&arguments);
        assert!(signed.status.success(), "{arguments:?}: {signed:?}");
        let ticket = String::from_utf8(signed.stdout).unwrap();
        assert_eq!(ticket.lines().count(), 1);
        let query = format!("sdkAppID={APP}&userID=kiosk-7&userSig={}", ticket.trim());
        let login = http().post(format!("{}weapp/multi_room/login?{query}", server.url));
        let login: Value = login.send().await.unwrap().json().await.unwrap();
        assert_eq!(login["code"], 0, "{arguments:?}: {login}");
    }
    assert!(!run(&["sign", "--user", "a", "--key", &secret, "--sdk-app-id", &app, "--v1"]).status.success());
    assert!(
        !run(&["keygen", "--out", &keys.display().to_string()]).status.success(),
        "keys are not overwritten"
    );
}

#[tokio::test]
async fn it_serves_https_and_asks_for_a_client_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let write = |name: &str, bytes: Vec<u8>| fs::write(dir.path().join(name), bytes).unwrap();
    let (cert, key) = authority.issue("server");
    write("cert.pem", cert);
    write("key.pem", key);
    write("ca.pem", authority.certificate.to_pem().unwrap());
    let open =
        configure(dir.path(), "listen = \"127.0.0.1:0\"\n[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n");
    let server = Running::start(&["serve", "--config", &open]);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    http(); // Installs the crypto provider.
    let root = reqwest::Certificate::from_pem(&authority.certificate.to_pem().unwrap()).unwrap();
    let client = || reqwest::Client::builder().no_proxy().tls_certs_only([root.clone()]);
    let ask = async |client: reqwest::Client, url: &str| client.get(format!("{url}healthz")).send().await;
    assert_eq!(ask(client().build().unwrap(), &server.url).await.unwrap().status(), 200);
    let stranger = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    assert!(ask(stranger, &server.url).await.is_err(), "an authority it does not know");
    drop(server);

    let closed = configure(
        dir.path(),
        "listen = \"127.0.0.1:0\"\n[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\nclient_ca = \"ca.pem\"\n",
    );
    let server = Running::start(&["serve", "--config", &closed]);
    assert!(ask(client().build().unwrap(), &server.url).await.is_err(), "no client certificate");
    let (cert, key) = authority.issue("kiosk-7");
    let identity = reqwest::Identity::from_pem(&[cert, key].concat()).unwrap();
    let known = client().identity(identity).build().unwrap();
    assert_eq!(ask(known, &server.url).await.unwrap().status(), 200);
    let (cert, key) = Authority::new().issue("kiosk-7");
    let foreign = reqwest::Identity::from_pem(&[cert, key].concat()).unwrap();
    assert!(
        ask(client().identity(foreign).build().unwrap(), &server.url).await.is_err(),
        "another authority"
    );
}

/// Writes roomservice.toml with fresh keys (made by the program) beside it.
fn configure(dir: &Path, lines: &str) -> String {
    let keys = dir.join("keys");
    if !keys.exists() {
        let made = run(&["keygen", "--out", &keys.display().to_string()]);
        assert!(made.status.success(), "{made:?}");
    }
    let path = dir.join("roomservice.toml");
    let (top, tables) = lines.find('[').map_or((lines, ""), |at| lines.split_at(at));
    let tickets = "[tickets]\npublic_key = \"keys/public.pem\"\nprivate_key = \"keys/private.pem\"\nsecret_file = \"keys/secret.hex\"\n";
    fs::write(&path, format!("sdk_app_id = {APP}\n{top}{tickets}{tables}")).unwrap();
    path.display().to_string()
}

struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

fn new_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

impl Authority {
    fn new() -> Self {
        let key = new_key();
        Self { certificate: certificate("test authority", &key, None), key }
    }

    /// A certificate for 127.0.0.1 and its key, PEM.
    fn issue(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
        let key = new_key();
        let certificate = certificate(name, &key, Some(self));
        (certificate.to_pem().unwrap(), key.private_key_to_pem_pkcs8().unwrap())
    }
}

fn certificate(name: &str, key: &PKey<Private>, issuer: Option<&Authority>) -> X509 {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut x509 = X509::builder().unwrap();
    x509.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, openssl::bn::MsbOption::ONE, false).unwrap();
    x509.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    x509.set_subject_name(&subject).unwrap();
    x509.set_issuer_name(issuer.map_or(&*subject, |ca| ca.certificate.subject_name())).unwrap();
    x509.set_pubkey(key).unwrap();
    x509.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    x509.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    match issuer {
        None => x509.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap(),
        Some(ca) => {
            let names = SubjectAlternativeName::new()
                .ip("127.0.0.1")
                .build(&x509.x509v3_context(Some(&ca.certificate), None));
            x509.append_extension(names.unwrap()).unwrap();
        }
    }
    x509.sign(issuer.map_or(key, |ca| &ca.key), MessageDigest::sha256()).unwrap();
    x509.build()
}
