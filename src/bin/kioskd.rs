//! `kioskd`: the supervisor of a video-call kiosk.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser as _;
use rtcroom_kiosk::board::button::{self, Edges};
use rtcroom_kiosk::kiosk::arguments::{Arguments, Command, Configured};
use rtcroom_kiosk::kiosk::control::{self, Ask};
use rtcroom_kiosk::kiosk::process::Source;
use rtcroom_kiosk::kiosk::{doctor, driver, notify, reboot};
use rtcroom_kiosk::room::client::Client;
use rtcroom_kiosk::room::tickets::Tickets;
use rtcroom_kiosk::{config, journald};

/// What is wrong with the configuration is for whoever wrote it: exit code 2.
const BAD_CONFIG: u8 = 2;

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let outcome = match command {
        Command::Run { configured, runtime, button_stdin, media_socket, state_dir } => {
            return run(&configured, &runtime.dir(), button_stdin, media_socket, state_dir);
        }
        Command::CheckConfig(configured) => {
            return match load(&configured, None) {
                Ok(_) => {
                    println!("{}: ok", configured.config.display());
                    ExitCode::SUCCESS
                }
                Err(bad) => {
                    bad.tell();
                    ExitCode::from(BAD_CONFIG)
                }
            };
        }
        Command::Doctor { configured, runtime, state_dir, json, picture } => {
            // SAFETY: nothing has started a thread yet.
            unsafe { doctor::quieten() };
            journald::start();
            return ExitCode::from(doctor::run(&doctor::Options {
                config: configured.config,
                boards_dir: configured.boards_dir,
                runtime_dir: runtime.dir(),
                state_dir: doctor::state_dir(state_dir),
                json,
                picture,
            }));
        }
        Command::Press(runtime) => short(&runtime.dir(), Ask::Press),
        Command::Hangup(runtime) => short(&runtime.dir(), Ask::Hangup),
        Command::Metrics(runtime) => metrics(&runtime.dir()),
        Command::MayReboot => may_reboot(),
        Command::Status { runtime, json } => status(&runtime.dir(), json),
    };
    report(outcome)
}

fn run(
    configured: &Configured,
    runtime_dir: &Path,
    button_stdin: bool,
    media_socket: Option<PathBuf>,
    state_dir: Option<PathBuf>,
) -> ExitCode {
    let from_systemd = || std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    let state_dir = state_dir.or_else(from_systemd);
    journald::start();
    let (mut config, client) = match load(configured, state_dir.as_deref()) {
        Ok(loaded) => loaded,
        Err(bad) => {
            bad.tell();
            // It stays wrong until somebody edits it; started again at once, it would fill the log.
            notify::stays_wrong(&bad.0);
            return ExitCode::from(BAD_CONFIG);
        }
    };
    if let Some(socket) = media_socket
        && config.worker_is_default
    {
        config.worker = Source::Socket(socket);
    }
    let labels = &config.media.labels;
    journald::name(&[("ROOM", &labels.room), ("USER", &labels.user), ("BOARD", &labels.board)]);
    let edges = Edges::default();
    let outcome = (|| {
        // One thread: little memory, and the worker's death signal is tied to the thread that starts it.
        let threads =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?;
        if button_stdin || std::io::stdin().is_terminal() {
            button::read_terminal(edges.clone())?;
        }
        let done = threads.block_on(async {
            let listener = control::listen(runtime_dir)?;
            let done = driver::run(config, client, listener, edges).await;
            let _ = std::fs::remove_file(control::path(runtime_dir));
            done
        });
        // A name that is still being looked up does not keep us.
        threads.shutdown_background();
        done
    })();
    report(outcome)
}

/// What is wrong with the configuration.
struct Bad(String);

impl Bad {
    fn tell(&self) {
        eprintln!("kioskd: {}", self.0);
    }
}

fn load(configured: &Configured, state_dir: Option<&Path>) -> Result<(config::Config, Client), Bad> {
    let bad = |error: &dyn std::fmt::Display| Bad(error.to_string());
    let config =
        config::load(&configured.config, configured.boards_dir.as_deref()).map_err(|error| bad(&error))?;
    let room = config.room.clone();
    let tickets = Tickets::new(&config.user.id, config.ticket_places.clone(), state_dir);
    let client = Client::new(&config.server, config.user.clone(), tickets, room.id, room.info)
        .map_err(|error| bad(&format!("{}: {error}", configured.config.display())))?;
    Ok((config, client))
}

fn short(dir: &Path, ask: Ask) -> Result<()> {
    let reply = control::ask(dir, ask)?;
    println!(
        "{}: {}",
        reply["state"].as_str().unwrap_or_default(),
        reply["detail"].as_str().unwrap_or_default()
    );
    Ok(())
}

fn status(dir: &Path, json: bool) -> Result<()> {
    let status = control::ask(dir, Ask::Status)?;
    if json {
        println!("{status}");
    } else {
        print!("{}", rtcroom_kiosk::kiosk::status::for_people(&status));
    }
    Ok(())
}

fn metrics(dir: &Path) -> Result<()> {
    print!("{}", control::ask(dir, Ask::Metrics)?["text"].as_str().unwrap_or_default());
    Ok(())
}

fn may_reboot() -> Result<()> {
    let uptime = reboot::uptime();
    if reboot::may(uptime) {
        println!("the kiosk asks for it and the board has been up for {} minutes", uptime.as_secs() / 60);
        return Ok(());
    }
    bail!("not rebooted: this board has been up for {} minutes only", uptime.as_secs() / 60)
}

fn report(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kioskd: {error:#}");
            ExitCode::FAILURE
        }
    }
}
