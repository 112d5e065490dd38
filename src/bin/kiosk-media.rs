//! `kiosk-media`, the media worker; `kioskd` starts it with a socket for stdin.

use std::process::ExitCode;

use clap::Parser as _;
use rtcroom_kiosk::journald;
use rtcroom_kiosk::media::arguments::Arguments;
use rtcroom_kiosk::media::{codec, jail, line, plugins, worker};

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
