//! `kiosk-media`, the media worker; `kioskd` starts it with a socket for stdin.

use std::process::ExitCode;

use clap::Parser as _;
use rtcroom_kiosk::journald;
use rtcroom_kiosk::media::arguments::Arguments;
use rtcroom_kiosk::media::protocol::{Settings, Video};
use rtcroom_kiosk::media::{check, codec, jail, line, plugins, worker};

/// Pictures of a trial.
const TRIAL: u32 = 30;

fn inspect(json: bool) -> anyhow::Result<i32> {
    if json {
        println!("{}", serde_json::to_string_pretty(&codec::rows(&Video::default()))?);
    } else {
        print!("{}", codec::inspect());
    }
    Ok(0)
}

fn try_codec(element: &str, settings: bool, json: bool) -> anyhow::Result<i32> {
    let settings =
        if settings { serde_json::from_reader(std::io::stdin().lock())? } else { Settings::default() };
    let trial = codec::trial::run(element, &settings, TRIAL)?;
    if json {
        println!("{}", serde_json::to_string(&trial)?);
    } else {
        println!(
            "{} to {}: {} of {} pictures came back right, the first after {} ms, {} kbit/s",
            trial.encoder,
            trial.decoder,
            trial.right,
            trial.decoded,
            trial.first_ms,
            trial.bps / 1000
        );
    }
    Ok(0)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    journald::start();
    if let Err(error) = jail::enter() {
        log::warn!("the worker is not kept from making TCP connections: {error}");
    }
    // SAFETY: nothing has started a thread yet.
    let done = unsafe { plugins::start() }.and_then(|()| {
        if arguments.inspect {
            return inspect(arguments.json);
        }
        if let Some(element) = &arguments.try_codec {
            return try_codec(element, arguments.settings, arguments.json);
        }
        if arguments.check {
            return check::run(arguments.picture.as_deref());
        }
        let (reader, writer) = line::take()?;
        worker::run(reader, writer)
    });
    let code = done.unwrap_or_else(|error| {
        log::error!("{error:#}");
        1
    });
    // SAFETY: ends the process at once; a library's exit handlers may wait for threads that hang.
    unsafe { libc::_exit(code) }
}
