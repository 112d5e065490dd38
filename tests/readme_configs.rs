//! What the README tells a newcomer to write is read by the programs as it stands there.
#![cfg(all(feature = "kiosk", feature = "roomservice"))]

use std::path::{Path, PathBuf};
use std::process::Command;

use rtcroom_kiosk::config;
use rtcroom_kiosk::service::config::Config as ServiceConfig;

/// The README's TOML block that begins with a comment naming `file`, written to `dir`.
fn block(file: &str, dir: &Path) -> PathBuf {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let text = readme
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .find(|block| block.lines().next().is_some_and(|line| line.ends_with(file)))
        .unwrap_or_else(|| panic!("README.md has no block for {file}"));
    let path = dir.join(file);
    std::fs::write(&path, text).expect("a file in the temporary folder");
    path
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_readmes_kioskd_toml_is_taken() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = block("kioskd.toml", dir.path());
    let config = config::load(&path, Some(&root().join("boards"))).expect("the README's kioskd.toml");
    assert_eq!((config.room.id.as_str(), config.user.id.as_str()), ("branch-7", "kiosk-7"));
}

#[test]
fn the_readmes_roomservice_toml_is_taken_with_keys_made_as_it_says() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = block("roomservice.toml", dir.path());
    let made = Command::new(env!("CARGO_BIN_EXE_roomservice"))
        .args(["keygen", "--out"])
        .arg(dir.path().join("keys"))
        .output()
        .expect("roomservice keygen");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let config = ServiceConfig::load(&path).expect("the README's roomservice.toml");
    assert!(config.tls.is_some() && !config.keys.is_empty());
    let signed = Command::new(env!("CARGO_BIN_EXE_roomservice"))
        .args(["sign", "--user", "kiosk-7", "--config"])
        .arg(&path)
        .output()
        .expect("roomservice sign");
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    assert!(String::from_utf8_lossy(&signed.stdout).trim().len() > 100, "a ticket on stdout");
}

#[test]
fn every_board_file_is_taken() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut boards = 0;
    for entry in std::fs::read_dir(root().join("boards")).expect("boards/") {
        let board = entry.expect("an entry").path();
        if board.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        boards += 1;
        let path = dir.path().join("kioskd.toml");
        let text = format!(
            "board = {:?}\n[server]\nurl = \"https://rooms.example.com/weapp/double_room\"\n[room]\nid = \"r\"\n\
             [user]\nid = \"u\"\nsdk_app_id = 1\ndev_ticket = true\n",
            board.to_str().expect("a path in UTF-8")
        );
        std::fs::write(&path, text).expect("a file in the temporary folder");
        if let Err(error) = config::load(&path, None) {
            panic!("{}: {error}", board.display());
        }
    }
    assert!(boards > 0, "boards/ has no board");
}
