//! `kioskd`: the supervisor of a video-call kiosk.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use rtcroom_kiosk::board::button::{self, Edges};
use rtcroom_kiosk::config;
use rtcroom_kiosk::kiosk::control::{self, Ask};
use rtcroom_kiosk::kiosk::driver;
use rtcroom_kiosk::room::client::Client;

/// One button, one room, one call: the supervisor of a video-call kiosk.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the kiosk until SIGTERM. The log goes to stderr (RUST_LOG, default info).
    Run {
        #[command(flatten)]
        configured: Configured,
        #[command(flatten)]
        runtime: Runtime,
        /// Each line of standard input is a press even when it is no terminal.
        #[arg(long)]
        button_stdin: bool,
    },
    /// Press the button of the running kiosk.
    Press(Runtime),
    /// End the call of the running kiosk, if there is one.
    Hangup(Runtime),
    /// Say how the running kiosk is doing.
    Status {
        #[command(flatten)]
        runtime: Runtime,
        /// Everything, as one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Read the configuration and the files it names, and say what is wrong with them.
    CheckConfig(Configured),
}

#[derive(Args)]
struct Configured {
    /// kioskd.toml.
    #[arg(long, default_value = "/etc/rtcroom-kiosk/kioskd.toml")]
    config: PathBuf,
    /// Where board files are looked for first.
    #[arg(long)]
    boards_dir: Option<PathBuf>,
}

#[derive(Args)]
struct Runtime {
    /// Where the control socket is; $RUNTIME_DIRECTORY, else /run/kioskd.
    #[arg(long)]
    runtime_dir: Option<PathBuf>,
}

impl Runtime {
    fn dir(self) -> PathBuf {
        let from_systemd = || std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
        self.runtime_dir.or_else(from_systemd).unwrap_or_else(|| "/run/kioskd".into())
    }
}

/// What is wrong with the configuration is for whoever wrote it: exit code 2.
const BAD_CONFIG: u8 = 2;

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let outcome = match command {
        Command::Run { configured, runtime, button_stdin } => return run(&configured, &runtime.dir(), button_stdin),
        Command::CheckConfig(configured) => {
            return match load(&configured) {
                Ok(_) => {
                    println!("{}: ok", configured.config.display());
                    ExitCode::SUCCESS
                }
                Err(code) => code,
            };
        }
        Command::Press(runtime) => short(&runtime.dir(), Ask::Press),
        Command::Hangup(runtime) => short(&runtime.dir(), Ask::Hangup),
        Command::Status { runtime, json } => status(&runtime.dir(), json),
    };
    report(outcome)
}

fn run(configured: &Configured, runtime_dir: &Path, button_stdin: bool) -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();
    let (config, client) = match load(configured) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let edges = Edges::default();
    let outcome = (|| {
        // One thread: little memory, and the worker's death signal is tied to the thread that starts it.
        let threads = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build()?;
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

fn load(configured: &Configured) -> Result<(config::Config, Client), ExitCode> {
    let bad = |error: &dyn std::fmt::Display| {
        eprintln!("kioskd: {error}");
        ExitCode::from(BAD_CONFIG)
    };
    let config = config::load(&configured.config, configured.boards_dir.as_deref()).map_err(|error| bad(&error))?;
    let room = config.room.clone();
    let client = Client::new(&config.server, config.user.clone(), room.id, room.info)
        .map_err(|error| bad(&format!("{}: {error}", configured.config.display())))?;
    Ok((config, client))
}

fn short(dir: &Path, ask: Ask) -> Result<()> {
    let reply = control::ask(dir, ask)?;
    println!("{}: {}", reply["state"].as_str().unwrap_or_default(), reply["detail"].as_str().unwrap_or_default());
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

fn report(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kioskd: {error:#}");
            ExitCode::FAILURE
        }
    }
}
