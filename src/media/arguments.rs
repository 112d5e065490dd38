//! The command line of `kiosk-media`. Its man page and shell completions are made from it.

use std::path::PathBuf;

use clap::Parser;

/// The media worker of rtcroom-kiosk. It speaks JSON lines with kioskd over the socket it is given as stdin.
#[derive(Debug, Parser)]
#[command(name = "kiosk-media", version)]
pub struct Arguments {
    /// Lists the encoders and decoders of the table: whether they are installed, whether this program ever ran them,
    /// what is known to go wrong with them.
    #[arg(long)]
    pub inspect: bool,
    /// Encodes and decodes 30 test pictures with this encoder or decoder; fails when it fails, hangs or gives others.
    #[arg(long = "try", value_name = "ELEMENT")]
    pub try_codec: Option<String>,
    /// Reads the worker's settings as JSON from stdin, for --try.
    #[arg(long, requires = "try_codec")]
    pub settings: bool,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    /// For `kioskd doctor`: reads settings as JSON from stdin, tries codecs, microphone and speaker, and says what it
    /// finds as lines of JSON.
    #[arg(long)]
    pub check: bool,
    /// With --check: saves what the camera sees there.
    #[arg(long, requires = "check", value_name = "FILE")]
    pub picture: Option<PathBuf>,
}
