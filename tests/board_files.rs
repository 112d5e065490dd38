//! Every shipped board file is read by the program, is named as it is called, and holds values that can be.
#![cfg(feature = "kiosk")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rtcroom_kiosk::board::line::{Driver, Id, Line};
use rtcroom_kiosk::board::{button, lamp};
use rtcroom_kiosk::config::{self, Config};
use rtcroom_kiosk::media::codec;
use rtcroom_kiosk::media::protocol::{CameraSource, SoundSink, SoundSource};

/// The boards of the issue; another one is added here when it is added there.
const BOARDS: [&str; 8] = [
    "generic-x86_64",
    "imx8mp-evk",
    "jetson-orin-nano",
    "qemu-virt",
    "raspberry-pi-4",
    "raspberry-pi-5",
    "rk3588-rock-5b",
    "simulator",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("boards")
}

/// Reads a board as kioskd does, with `more` of kioskd.toml laid over it.
fn load(board: &str, more: &str) -> Result<Config, config::Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kioskd.toml");
    let text = format!(
        "board = {board:?}\n[server]\nurl = \"https://rooms.example.com/weapp/double_room\"\n[room]\nid = \"r\"\n\
         [user]\nid = \"u\"\nsdk_app_id = 1\ndev_ticket = true\n{more}"
    );
    std::fs::write(&path, text).unwrap();
    config::load(&path, Some(&folder()))
}

fn boards() -> BTreeMap<String, Config> {
    BOARDS
        .iter()
        .map(|board| ((*board).to_owned(), load(board, "").unwrap_or_else(|error| panic!("{error}"))))
        .collect()
}

fn lines(config: &Config) -> impl Iterator<Item = &Line> {
    [&config.button.gpio, &config.lamp.gpio, &config.tamper.gpio].into_iter().flatten()
}

#[test]
fn the_boards_of_the_list_are_there_and_no_others() {
    let mut there: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    there.sort();
    assert_eq!(there, BOARDS);
}

#[test]
fn every_board_is_read_and_named_as_its_file() {
    for board in boards().keys() {
        let text = std::fs::read_to_string(folder().join(format!("{board}.toml"))).unwrap();
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["name"].as_str(), Some(board.as_str()));
        assert!(text.starts_with("# "), "{board} does not say what it is");
    }
}

#[test]
fn no_two_parts_of_a_board_share_a_line() {
    for (board, config) in boards() {
        let all: Vec<_> = lines(&config).map(|line| (&line.chip, line.line.to_string())).collect();
        for (index, line) in all.iter().enumerate() {
            assert!(!all[..index].contains(line), "{board}: {line:?} twice");
        }
    }
}

#[test]
fn only_a_raspberry_pi_uses_rppal_and_only_tests_use_files_as_lines() {
    for (board, config) in boards() {
        for line in lines(&config) {
            assert_ne!(line.driver, Driver::File, "{board}");
            if line.driver == Driver::Rppal {
                assert!(board.starts_with("raspberry-pi"), "{board}");
                // So that the other driver can be chosen with one word.
                assert!(matches!(&line.line, Id::Name(name) if name.starts_with("GPIO")), "{board}: {line}");
            }
        }
    }
}

#[test]
fn pictures_and_bitrates_are_ones_a_kiosk_can_want() {
    for (board, config) in boards() {
        let (camera, display, video) = (&config.media.camera, &config.media.display, &config.media.video);
        assert!(
            (160..=3840).contains(&camera.width) && camera.width.is_multiple_of(16),
            "{board}: {}",
            camera.width
        );
        assert!(
            (120..=2160).contains(&camera.height) && camera.height.is_multiple_of(2),
            "{board}: {}",
            camera.height
        );
        assert!((5..=60).contains(&camera.fps), "{board}: {}", camera.fps);
        assert!(display.width >= 320 && display.height >= 240, "{board}: {display:?}");
        assert!(video.min_kbps >= 50 && video.max_kbps <= 10_000, "{board}: {video:?}");
        // More than a bit a pixel is no bitrate, it is a slip of the pen.
        let pixels = u64::from(camera.width) * u64::from(camera.height) * u64::from(camera.fps);
        assert!(u64::from(video.max_kbps) * 1000 < pixels, "{board}: {} kbit/s", video.max_kbps);
    }
}

#[test]
fn encoders_and_decoders_are_in_the_table() {
    for (board, config) in boards() {
        for encoder in &config.media.video.encoders {
            assert!(
                codec::ENCODERS.iter().any(|row| row.element == encoder.as_str()),
                "{board}: encoder {encoder}"
            );
        }
        for decoder in &config.media.video.decoders {
            assert!(
                codec::DECODERS.iter().any(|row| row.element == decoder.as_str()),
                "{board}: decoder {decoder}"
            );
        }
    }
}

#[test]
fn a_real_board_has_a_real_camera_and_real_sound() {
    for (board, config) in boards() {
        let real = board != "simulator";
        assert_eq!(config.media.camera.source == CameraSource::V4l2, real, "{board}");
        assert_eq!(config.media.sound.source == SoundSource::Alsa, real, "{board}");
        assert_eq!(config.media.sound.sink == SoundSink::Alsa, real, "{board}");
    }
}

#[test]
fn kioskd_toml_may_move_the_button_or_take_it_away() {
    let moved = load("qemu-virt", "[button.gpio]\nline = \"other\"\n[lamp]\nidle = [500, 500]\n").unwrap();
    let line = moved.button.gpio.unwrap();
    assert_eq!((line.line, line.active_low), (Id::Name("other".into()), true), "the rest is the board's");
    assert_eq!(moved.lamp.kind, lamp::Kind::Gpio);
    let without = load("qemu-virt", "[button]\nkind = \"terminal\"\n[tamper]\nkind = \"none\"\n").unwrap();
    assert_eq!((without.button.kind, without.tamper.kind), (button::Kind::Terminal, lamp::Kind::None));
}

#[test]
fn what_cannot_be_is_refused_with_section_key_value_and_reason() {
    for (more, says) in [
        ("[button]\nkind = \"gpio\"\n", "[button] kind = \"gpio\": needs a table"),
        ("[lamp]\nkind = \"gpio\"\n", "[lamp] kind = \"gpio\": needs a table"),
        (
            "[button]\nlong_press_ms = 100\n",
            "[button] long_press_ms = 100: has to be 0 (never) or at least 500",
        ),
        ("[button]\nstuck_ms = 2000\n", "[button] stuck_ms = 2000: has to be more than long_press_ms"),
        ("[button.gpio]\nline = 3\n", "[button.gpio] line = 3: an offset needs the chip"),
        ("[button.gpio]\nline = \"\"\n", "[button.gpio] line = \"\": a line's name has 1 to 31 bytes"),
        (
            "[tamper.gpio]\nline = \"x\"\ndebounce_ms = 5000\n",
            "[tamper.gpio] debounce_ms = 5000: more than 1000",
        ),
        ("[lamp.gpio]\nline = \"x\"\npull = \"up\"\n", "[lamp.gpio] pull, debounce_ms = given: mean nothing"),
        ("[button.gpio]\nline = -1\n", "expected a line's name or its offset"),
        ("[button.gpio]\nline = \"x\"\npolarity = \"low\"\n", "unknown field `polarity`"),
        ("[lamp]\nidle = [1, 1]\n", "20 to 60000 ms"),
    ] {
        let error = load("simulator", more).expect_err(more).to_string();
        assert!(error.contains(says), "{more}: {error}");
        assert!(error.contains("kioskd.toml"), "{error}");
    }
}
