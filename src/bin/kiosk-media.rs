//! `kiosk-media`, the media worker; `kioskd` starts it with a socket for stdin.

use std::process::ExitCode;

use clap::Parser;
use rtcroom_kiosk::journald;
use rtcroom_kiosk::media::{codec, jail, line, plugins, worker};

/// The media worker of rtcroom-kiosk. It speaks JSON lines with kioskd over the socket it is given as stdin.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Lists the encoders and decoders of the table and whether they are installed, and exits.
    #[arg(long)]
    inspect: bool,
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
            print!("{}", codec::inspect());
            return Ok(0);
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
