//! `kioskd.toml`, laid over the board file. Unknown keys are refused; an error names file, line, key and value.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::board::button::Button;
use crate::board::file::{self, Board, Impossible};
use crate::board::lamp::Lamp;
use crate::board::tamper::Tamper;
use crate::credential::Credentials;
use crate::kiosk::process::Source;
use crate::kiosk::words::Language;
use crate::media::protocol as media;
use crate::room::client::{Server, User};

/// The parts of the board file that `kioskd.toml` may override.
const OVERRIDES: [&str; 8] =
    ["button", "lamp", "tamper", "camera", "sound", "video", "screen", "local_addresses"];

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no TOML, has an unknown key or a value of the wrong kind.
    #[error("{}:{line}: {message} (at `{text}`)", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Counts from 1.
        line: usize,
        /// What is wrong.
        message: String,
        /// The line.
        text: String,
    },
    /// A value is well-formed and impossible.
    #[error("{}: [{section}] {key} = {value}: {detail}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What is wrong.
        detail: String,
    },
    /// There is no such board.
    #[error("{}: board = \"{board}\": no {board}.toml in {places}", path.display())]
    NoBoard {
        /// The file.
        path: PathBuf,
        /// The value.
        board: String,
        /// Where it was looked for.
        places: String,
    },
}

/// All of `kioskd.toml` and the board file, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The language of the screen.
    pub language: Language,
    /// Where RoomService is.
    pub server: Server,
    /// Who we are.
    pub user: User,
    /// Where tickets may lie.
    pub ticket_places: Vec<PathBuf>,
    /// The one room.
    pub room: Room,
    /// Times of a call.
    pub call: Call,
    /// How to come by a media worker.
    pub worker: Source,
    /// Nothing was said about it: the unit may know better.
    pub worker_is_default: bool,
    /// Ask for a reboot when media worker after media worker fails.
    pub reboot: bool,
    /// For the worker.
    pub media: media::Settings,
    /// The button.
    pub button: Button,
    /// The lamp.
    pub lamp: Lamp,
    /// The door switch.
    pub tamper: Tamper,
}

/// `[room]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Room {
    /// The room this kiosk calls into.
    pub id: String,
    /// Free text shown to clerks, at most 1024 bytes.
    #[serde(default)]
    pub info: String,
}

/// `[call]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Call {
    /// Nobody came within this: given up.
    pub waiting_secs: u64,
    /// Everybody left for this long: ended.
    pub alone_secs: u64,
    /// Sends picture and sound while waiting alone in the room: a faster first picture for whoever answers, at the price
    /// of encoding for nobody.
    pub early_media: bool,
}

impl Default for Call {
    fn default() -> Self {
        Self { waiting_secs: 120, alone_secs: 30, early_media: false }
    }
}

impl Call {
    /// As durations.
    #[must_use]
    pub fn durations(self) -> (Duration, Duration) {
        (Duration::from_secs(self.waiting_secs), Duration::from_secs(self.alone_secs))
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Media {
    worker: Option<PathBuf>,
    socket: Option<PathBuf>,
    reboot: bool,
}

/// The file as written; the board's sections are typed here only to be checked with their lines.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    board: String,
    #[serde(default)]
    language: Language,
    server: Server,
    room: Room,
    user: User,
    #[serde(default)]
    call: Call,
    #[serde(default)]
    media: Media,
    #[serde(default, rename = "button")]
    _button: Option<Button>,
    #[serde(default, rename = "lamp")]
    _lamp: Option<Lamp>,
    #[serde(default, rename = "tamper")]
    _tamper: Option<Tamper>,
    #[serde(default, rename = "camera")]
    _camera: Option<media::Camera>,
    #[serde(default, rename = "sound")]
    _sound: Option<media::Sound>,
    #[serde(default, rename = "video")]
    _video: Option<media::Video>,
    #[serde(default, rename = "screen")]
    _screen: Option<media::Display>,
    #[serde(default, rename = "local_addresses")]
    _local_addresses: Option<Vec<std::net::IpAddr>>,
}

/// Reads `path` and the board file it names.
pub fn load(path: &Path, boards_dir: Option<&Path>) -> Result<Config, Error> {
    let text = read(path)?;
    let file: File = parse(path, &text)?;
    let dir = path.parent().unwrap_or(Path::new(""));
    let places = file::places(boards_dir);
    let board_path = file::find(&file.board, &places, dir).ok_or_else(|| Error::NoBoard {
        path: path.into(),
        board: file.board.clone(),
        places: places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", "),
    })?;
    let board_text = read(&board_path)?;
    // Parsed alone first, so that an error names the file it is in.
    parse::<Board>(&board_path, &board_text)?;
    let mut board: Table = parse(&board_path, &board_text)?;
    let over: Table = parse(path, &text)?;
    for (key, value) in over.into_iter().filter(|(key, _)| OVERRIDES.contains(&key.as_str())) {
        lay_over(board.entry(key).or_insert(Value::Table(Table::new())), value);
    }
    let board: Board = board.try_into().map_err(|error: toml::de::Error| Error::Parse {
        path: path.into(),
        line: 1,
        message: error.message().to_owned(),
        text: "laid over the board file".into(),
    })?;
    check(path, file, board, &board_path, dir)
}

fn check(path: &Path, mut file: File, board: Board, board_path: &Path, dir: &Path) -> Result<Config, Error> {
    let value = |section, key, value: String, detail: &str| Error::Value {
        path: path.into(),
        section,
        key,
        value,
        detail: detail.into(),
    };
    let id_is_good = |id: &str| !id.is_empty() && id.len() <= 64 && !id.chars().any(char::is_control);
    if !id_is_good(&file.user.id) {
        return Err(value("user", "id", format!("{:?}", file.user.id), "has to have 1 to 64 bytes"));
    }
    if !id_is_good(&file.room.id) {
        return Err(value("room", "id", format!("{:?}", file.room.id), "has to have 1 to 64 bytes"));
    }
    if file.room.info.len() > 1024 {
        return Err(value(
            "room",
            "info",
            format!("({} bytes)", file.room.info.len()),
            "has more than 1024 bytes",
        ));
    }
    if file.user.dev_ticket && (file.user.ticket_file.is_some() || file.user.ticket_url.is_some()) {
        let detail = "with dev_ticket = true there is neither ticket_file nor ticket_url";
        return Err(value("user", "dev_ticket", "true".into(), detail));
    }
    for (key, secs) in [("waiting_secs", file.call.waiting_secs), ("alone_secs", file.call.alone_secs)] {
        if !(1..=3600).contains(&secs) {
            return Err(value("call", key, secs.to_string(), "has to be 1 to 3600"));
        }
    }
    let video = &board.video;
    if !(video.min_kbps <= video.start_kbps && video.start_kbps <= video.max_kbps && video.min_kbps > 0) {
        let values = format!("{}, {}, {}", video.min_kbps, video.start_kbps, video.max_kbps);
        return Err(value(
            "video",
            "min_kbps, start_kbps, max_kbps",
            values,
            "have to be in rising order, above 0",
        ));
    }
    board
        .check()
        .map_err(|Impossible { section, key, value: given, detail }| value(section, key, given, detail))?;
    let credentials = Credentials::from_environment();
    credentials.settle(dir, &mut file.server);
    let ticket_places = credentials.ticket_places(dir, file.user.ticket_file.as_deref());
    let worker_is_default = file.media.worker.is_none() && file.media.socket.is_none();
    let worker = match (file.media.worker, file.media.socket) {
        (Some(worker), None) => Source::Program(dir.join(worker)),
        (None, Some(socket)) => Source::Socket(dir.join(socket)),
        (None, None) => {
            Source::Program(std::env::current_exe().unwrap_or_default().with_file_name("kiosk-media"))
        }
        (Some(worker), Some(_)) => {
            let detail = "either a program or a socket of systemd's, not both";
            return Err(value("media", "worker", worker.display().to_string(), detail));
        }
    };
    let media = media::Settings {
        camera: board.camera,
        sound: board.sound,
        video: board.video,
        display: board.screen,
        local_addresses: board.local_addresses,
        labels: media::Labels {
            room: file.room.id.clone(),
            user: file.user.id.clone(),
            board: board_path.file_stem().map(|name| name.to_string_lossy().into()).unwrap_or_default(),
        },
        avoid: Vec::new(),
    };
    Ok(Config {
        language: file.language,
        server: file.server,
        user: file.user,
        ticket_places,
        room: file.room,
        call: file.call,
        worker,
        worker_is_default,
        reboot: file.media.reboot,
        media,
        button: board.button,
        lamp: board.lamp,
        tamper: board.tamper,
    })
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Error> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text[..start].matches('\n').count();
        Error::Parse {
            path: path.into(),
            line: line + 1,
            message: error.message().trim().replace('\n', ", "),
            text: text.lines().nth(line).unwrap_or_default().trim().to_owned(),
        }
    })
}

fn lay_over(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Table(below), Value::Table(above)) => {
            for (key, value) in above {
                lay_over(below.entry(key).or_insert(Value::Boolean(false)), value);
            }
        }
        (below, above) => *below = above,
    }
}
