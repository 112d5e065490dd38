//! The command line of `kiosk-media`. Its man page and shell completions are made from it.

use clap::Parser;

/// The media worker of rtcroom-kiosk. It speaks JSON lines with kioskd over the socket it is given as stdin.
#[derive(Debug, Parser)]
#[command(name = "kiosk-media", version)]
pub struct Arguments {
    /// Lists the encoders and decoders of the table and whether they are installed, and exits.
    #[arg(long)]
    pub inspect: bool,
}
