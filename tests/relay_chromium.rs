//! Chromium publishes its fake camera through the relay and plays it back.
#![cfg(feature = "roomservice")]
#![allow(missing_docs, clippy::unwrap_used)]

mod relay_support;

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use axum::response::Html;
use axum::routing::{get, post};
use relay_support::Server;

#[test]
fn chromium_publishes_and_plays() {
    let (tell, result) = mpsc::channel();
    let page =
        axum::Router::new().route("/", get(async || Html(include_str!("relay_support/page.html")))).route(
            "/result",
            post(move |body: String| {
                let tell = tell.clone();
                async move { drop(tell.send(body)) }
            }),
        );
    let server = Server::with("127.0.0.1:0", page);
    let profile = tempfile::tempdir().unwrap();
    let chromium = Command::new("chromium")
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
        ])
        .args(["--disable-component-update", "--disable-sync", "--disable-quic", "--disable-dev-shm-usage"])
        .args(["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream=fps=30"])
        .args(["--allow-loopback-in-peer-connection", "--autoplay-policy=no-user-gesture-required"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{}/", server.http))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut chromium = match chromium {
        Ok(child) => child,
        Err(error) => return eprintln!("skipped: there is no chromium here ({error})"),
    };
    let result = result.recv_timeout(Duration::from_secs(90));
    let _ = chromium.kill();
    let _ = chromium.wait();
    let text = result.expect("a result from the page");
    println!("{text}");
    let result: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(result["ok"], true, "{text}");
    assert_eq!(result["restartStatus"], 200);
    // A busy machine may stop the browser itself for a moment.
    assert!(result["freezes"].as_u64().unwrap() <= 2, "{text}");
    assert_eq!(result["lost"], 0, "{text}");
    assert!(
        result["codec"].as_str().unwrap().contains("packetization-mode=1;profile-level-id=42e01f"),
        "{text}"
    );
    assert!(result["loudest"].as_f64().unwrap() > 0.01, "the beep is not heard: {text}");
    // Transport-wide feedback lets the browser's estimate rise above the 300 kbit/s it begins with.
    assert!(result["availableOutgoing"].as_u64().unwrap() > 1_000_000, "{text}");
}
