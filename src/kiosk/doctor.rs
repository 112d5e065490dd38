//! `kioskd doctor`: every part of the kiosk tried, one line each: what is wrong, and what to do.
//!
//! ```text
//! files, board file ──► ticket, permissions, disk, panel     (this process)
//! look, login       ──► server, tls, clock, room             (this process; no login while kioskd runs)
//! kiosk-media       ──► relay, camera, encoder, screen       (half a call: `call`)
//! kiosk-media --check ► decoder, microphone, speaker, picture (`check`)
//! ```
//! While a `kioskd` runs it is asked, and a call is not disturbed: its lines and its login are its own (a second login of
//! the same user would end the first), and during a call so are camera and sound. What was not tried says so.
//!
//! What is judged is judged without I/O, beside the tests; media run in processes that may hang and be ended.

mod call;
pub mod certificate;
pub mod check;
mod files;
pub mod finding;
mod panel;
mod server;
mod ticket;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use self::files::Use;
use self::finding::{Finding, Part, Verdict};
use super::control::{self, Ask};
use super::process::Source;
use super::words::Language;
use crate::board::button;
use crate::board::font;
use crate::board::lamp;
use crate::config::{self, Config};
use crate::media::protocol::{CameraSource, Output, SoundSource};
use crate::room::client::Client;
use crate::room::look::look;
use crate::room::tickets::Tickets;

/// What to look at, and how to tell.
#[derive(Clone, Debug)]
pub struct Options {
    /// `kioskd.toml`.
    pub config: PathBuf,
    /// Where board files are looked for first.
    pub boards_dir: Option<PathBuf>,
    /// Where a running `kioskd` is asked.
    pub runtime_dir: PathBuf,
    /// Where a renewed ticket is kept.
    pub state_dir: Option<PathBuf>,
    /// For programs.
    pub json: bool,
    /// Where to save what the camera sees.
    pub picture: Option<PathBuf>,
}

/// Findings as they come.
struct Told {
    findings: Vec<Finding>,
    json: bool,
    /// Somebody watches: slow checks are announced.
    watched: bool,
}

impl Told {
    fn add(&mut self, finding: Finding) {
        // The first word about a part that does not work stands; what follows from it is not told again.
        if self.findings.iter().any(|known| known.part == finding.part && known.verdict == Verdict::Fail)
            && finding.part != Part::Permissions
        {
            return;
        }
        self.clear();
        if !self.json {
            println!("{finding}");
        }
        // What is wrong after all takes the place of what looked well; a program reads one line a part.
        self.findings.retain(|known| {
            known.part != finding.part || known.verdict != Verdict::Ok || finding.verdict <= Verdict::Skip
        });
        self.findings.push(finding);
    }

    fn all(&mut self, findings: Vec<Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    fn has_failed(&self, part: Part) -> bool {
        self.findings.iter().any(|known| known.part == part && known.verdict == Verdict::Fail)
    }

    fn begins(&self, what: &str) {
        if self.watched {
            eprint!("\r\u{1b}[K… {what}");
        }
    }

    fn clear(&self) {
        if self.watched {
            eprint!("\r\u{1b}[K");
        }
    }
}

/// Checks everything; the exit code: 0 well, 1 warnings, 2 something does not work.
#[must_use]
pub fn run(options: &Options) -> u8 {
    let watched = std::io::stderr().is_terminal();
    let mut told = Told { findings: Vec::new(), json: options.json, watched };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            runtime.block_on(examine(options, &mut told));
            runtime.shutdown_background();
        }
        Err(error) => told.add(Finding::fail(Part::Kioskd, error.to_string(), "reboot the board")),
    }
    told.clear();
    if options.json {
        println!("{}", finding::json(&told.findings));
    } else {
        println!("{}", finding::summary(&told.findings));
    }
    finding::exit_code(&told.findings)
}

async fn examine(options: &Options, told: &mut Told) {
    let path = options.config.display();
    let config = match config::load(&options.config, options.boards_dir.as_deref()) {
        Ok(config) => config,
        Err(error) => {
            let cure = "correct that line; the keys and what they mean are in README.md and boards/*.toml";
            return told.add(Finding::fail(Part::Config, error.to_string(), cure));
        }
    };
    let tickets = Tickets::new(&config.user.id, config.ticket_places.clone(), options.state_dir.as_deref());
    let (user, room) = (config.user.clone(), config.room.clone());
    let client = match Client::new(&config.server, user, tickets.clone(), room.id, room.info) {
        Ok(client) => client,
        Err(error) => {
            let cure = "correct it, or put the file there";
            return told.add(Finding::fail(Part::Config, format!("{path}: {error}"), cure));
        }
    };
    told.add(Finding::ok(Part::Config, path.to_string()));
    told.add(left_open(&config));

    let status = control::ask(&options.runtime_dir, Ask::Status).ok();
    let state = status.as_ref().and_then(|status| status["state"].as_str()).unwrap_or_default().to_owned();
    told.add(kioskd(status.as_ref()));
    let now = unix();
    told.add(if config.user.dev_ticket {
        Finding::ok(Part::Ticket, "asked of the server, which is for development")
    } else {
        ticket::judge(&tickets.find(), config.user.ticket_url.is_some(), now)
    });
    let secrets: Vec<PathBuf> =
        config.ticket_places.iter().chain(&config.server.client_key).cloned().collect();
    told.all(files::permissions(&secrets, &uses(&config)));
    told.add(files::disk(options.state_dir.as_deref()));
    told.begins("button and lamp");
    told.all(match &status {
        Some(status) => panel::of_status(&status["panel"]),
        None => panel::check(&config),
    });
    let logged_in = network(&config, &client, status.as_ref(), told).await;
    media(options, &config, logged_in.then_some(&client), &state, told).await;
}

/// Server, TLS, clock, login, room; whether `client` is logged in now.
async fn network(config: &Config, client: &Client, status: Option<&Value>, told: &mut Told) -> bool {
    told.begins("server");
    match look(&config.server).await {
        Ok(seen) => told.all(server::judge(&config.server, &seen, unix(), clock_is_kept())),
        Err(error) => told.add(Finding::fail(Part::Config, error.to_string(), "correct it")),
    }
    if let Some(status) = status {
        told.add(login_of_kioskd(status));
        return false;
    }
    if [Part::Server, Part::Tls, Part::Clock, Part::Ticket].into_iter().any(|part| told.has_failed(part)) {
        told.add(Finding::skip(Part::Room, "needs server, clock and ticket"));
        return false;
    }
    if let Err(failure) = client.login().await {
        told.add(server::login(&failure));
        told.add(Finding::skip(Part::Room, "needs a login"));
        return false;
    }
    let members = client.get_pushers().await.map(|members| members.len());
    told.add(server::room(client.room_id(), &members));
    true
}

/// What the media processes find out.
async fn media(options: &Options, config: &Config, client: Option<&Client>, state: &str, told: &mut Told) {
    if let "joining" | "waiting" | "in_call" | "leaving" = state {
        let parts =
            [Part::Worker, Part::Encoder, Part::Decoder, Part::Camera, Part::Microphone, Part::Speaker];
        for part in parts.into_iter().chain([Part::Screen, Part::Relay]) {
            told.add(Finding::skip(
                part,
                format!("kioskd is {state} and uses it; try again when it is idle"),
            ));
        }
        return;
    }
    let mut settings = config.media.clone();
    let kioskd_runs = !state.is_empty();
    if kioskd_runs {
        // The idle picture is on it.
        settings.display.output = Output::None;
    }
    let program = match &config.worker {
        Source::Program(program) => program.clone(),
        Source::Socket(_) => std::env::current_exe().unwrap_or_default().with_file_name("kiosk-media"),
    };
    if let Source::Program(path) = &config.worker
        && !path.exists()
    {
        let detail = format!("{} is not there", path.display());
        let cure = "install rtcroom-kiosk again, or see [media] worker in kioskd.toml";
        return told.add(Finding::fail(Part::Worker, detail, cure));
    }
    told.begins("codecs, microphone, speaker");
    let mut found = Vec::new();
    let watched = told.watched;
    let begins = |part: Part| {
        if watched {
            eprint!("\r\u{1b}[K… {part}");
        }
    };
    check::run(&program, &settings, options.picture.as_deref(), begins, |finding| found.push(finding)).await;
    told.all(found);
    if told.has_failed(Part::Encoder) {
        for part in [Part::Worker, Part::Camera, Part::Screen, Part::Relay] {
            told.add(Finding::skip(part, "needs an encoder"));
        }
        return;
    }
    told.begins("relay, camera, encoder");
    if kioskd_runs {
        told.add(Finding::skip(
            Part::Relay,
            "kioskd has the login; systemctl stop kioskd, and run this again, to try it",
        ));
    } else if client.is_none() {
        told.add(Finding::skip(Part::Relay, "needs a login"));
    }
    let mut half = Vec::new();
    call::check(&config.worker, &settings, client, |finding| half.push(finding)).await;
    // Frames of the camera's went through the encoder, too; that is worth a line only when they did not.
    half.retain(|finding| finding.part != Part::Encoder || finding.verdict != Verdict::Ok);
    if config.language == Language::Zh
        && settings.display.output != Output::None
        && let Some(trouble) = font::chinese().trouble()
    {
        half.push(Finding::told(Part::Screen, Verdict::Warn, trouble));
    }
    if kioskd_runs {
        half.retain(|finding| finding.part != Part::Screen);
        half.push(Finding::skip(Part::Screen, "kioskd shows its idle picture on it"));
    }
    told.all(half);
}

/// What the board file leaves to whoever installs the board.
fn left_open(config: &Config) -> Finding {
    let media = &config.media;
    let mut open = Vec::new();
    if media.camera.source == CameraSource::V4l2 && media.camera.device.is_empty() {
        open.push("[camera] device (the first that captures is taken)");
    }
    if media.sound.source == SoundSource::Alsa && media.sound.capture.is_empty() {
        open.push("[sound] capture (ALSA's default or the first card)");
    }
    if config.button.kind == button::Kind::Gpio && config.button.gpio.is_none() {
        open.push("[button.gpio]");
    }
    if config.lamp.kind == lamp::Kind::None {
        open.push("[lamp] (none)");
    }
    if media.video.encoders.is_empty() {
        open.push("[video] encoders (the first that works is taken)");
    }
    let board = &media.labels.board;
    if open.is_empty() {
        return Finding::ok(Part::Board, format!("{board}: says everything"));
    }
    Finding::ok(
        Part::Board,
        format!("{board}: without a source that says more, left open: {}", open.join(", ")),
    )
}

fn kioskd(status: Option<&Value>) -> Finding {
    let Some(status) = status else {
        return Finding::ok(
            Part::Kioskd,
            "none runs here (or it may not be asked by this user); parts are tried directly",
        );
    };
    let text = |name: &str| status[name].as_str().unwrap_or_default();
    let line = format!("runs, {}: {}", text("state"), text("detail"));
    match text("state") {
        "fault" => Finding::fail(Part::Kioskd, line, "see the other lines, and journalctl -u kioskd"),
        "offline" => Finding::new(Part::Kioskd, Verdict::Warn, line, "see the line of the server"),
        _ => Finding::ok(Part::Kioskd, line),
    }
}

/// Whether the running `kioskd` is in; its own login is not touched.
fn login_of_kioskd(status: &Value) -> Finding {
    let detail = status["detail"].as_str().unwrap_or_default();
    match status["state"].as_str().unwrap_or_default() {
        "offline" | "fault" => Finding::told(Part::Room, Verdict::Fail, &format!("kioskd: {detail}")),
        "starting" => Finding::new(Part::Room, Verdict::Warn, format!("kioskd: {detail}"), "try again"),
        _ => Finding::ok(
            Part::Room,
            format!("{}: kioskd is logged in", status["room"].as_str().unwrap_or_default()),
        ),
    }
}

fn uses(config: &Config) -> Vec<Use> {
    let mut uses = Vec::new();
    if config.media.camera.source == CameraSource::V4l2 {
        uses.push(Use { prefix: "/dev/video", user: "kiosk-media" });
    }
    if config.media.sound.source == SoundSource::Alsa {
        uses.push(Use { prefix: "/dev/snd/pcm", user: "kiosk-media" });
    }
    let gpio = |line: Option<&crate::board::line::Line>| {
        line.is_some_and(|line| line.driver != crate::board::line::Driver::File)
    };
    if config.button.kind == button::Kind::Gpio && gpio(config.button.gpio.as_ref()) {
        uses.push(Use { prefix: "/dev/gpiochip", user: "kioskd" });
    }
    uses
}

fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Whether the kernel is told the time by something that knows it (adjtimex(2)).
fn clock_is_kept() -> bool {
    // SAFETY: a structure of plain numbers; with no mode set, the call only reads.
    unsafe {
        let mut told: libc::timex = std::mem::zeroed();
        let state = libc::adjtimex(&raw mut told);
        state >= 0 && state != libc::TIME_ERROR
    }
}

/// The state directory: as named, else as the service manager says, else the service's if there is one.
#[must_use]
pub fn state_dir(named: Option<PathBuf>) -> Option<PathBuf> {
    let there = || Some(PathBuf::from(files::STATE)).filter(|dir| dir.exists());
    named.or_else(|| std::env::var_os("STATE_DIRECTORY").map(PathBuf::from)).or_else(there)
}

/// Lets the log of this process and of the media processes be heard only when it is asked for.
///
/// # Safety
/// Sets an environment variable: no other thread may run yet.
pub unsafe fn quieten() {
    if std::env::var_os("RUST_LOG").is_none() {
        // SAFETY: the caller promises to be the only thread.
        unsafe { std::env::set_var("RUST_LOG", "error") };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_kioskd_is_believed() {
        let status = |state: &str| serde_json::json!({"state": state, "detail": "why", "room": "branch-7"});
        assert_eq!(kioskd(Some(&status("idle"))).verdict, Verdict::Ok);
        assert_eq!(kioskd(Some(&status("fault"))).verdict, Verdict::Fail);
        assert_eq!(login_of_kioskd(&status("offline")).verdict, Verdict::Fail);
        assert_eq!(login_of_kioskd(&status("in_call")).verdict, Verdict::Ok);
    }

    #[test]
    fn what_follows_from_a_part_that_failed_is_not_told_again() {
        let mut told = Told { findings: Vec::new(), json: true, watched: false };
        told.add(Finding::fail(Part::Worker, "gone", ""));
        told.add(Finding::fail(Part::Worker, "gone, again", ""));
        told.add(Finding::ok(Part::Disk, "x"));
        assert_eq!(told.findings.len(), 2);
    }
}
