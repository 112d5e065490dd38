//! The command line of `kioskd`. Its man page and shell completions are made from it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// One button, one room, one call: the supervisor of a video-call kiosk.
#[derive(Debug, Parser)]
#[command(name = "kioskd", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the kiosk until SIGTERM. The log goes to stderr (RUST_LOG, default info).
    Run {
        /// Which configuration.
        #[command(flatten)]
        configured: Configured,
        /// Which kiosk of this machine.
        #[command(flatten)]
        runtime: Runtime,
        /// Each line of standard input is a press even when it is no terminal.
        #[arg(long)]
        button_stdin: bool,
        /// The socket at which systemd starts media workers, unless the configuration names a worker of its own.
        #[arg(long)]
        media_socket: Option<PathBuf>,
        /// Where a renewed ticket is kept; $STATE_DIRECTORY, else nowhere.
        #[arg(long)]
        state_dir: Option<PathBuf>,
    },
    /// Press the button of the running kiosk.
    Press(Runtime),
    /// End the call of the running kiosk, if there is one.
    Hangup(Runtime),
    /// Say how the running kiosk is doing.
    Status {
        /// Which kiosk of this machine.
        #[command(flatten)]
        runtime: Runtime,
        /// Everything, as one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Say the running kiosk's numbers, as Prometheus text.
    Metrics(Runtime),
    /// Whether this board may be rebooted now: not within an hour of the last time. For kioskd-reboot.service.
    #[command(hide = true)]
    MayReboot,
    /// Try every part of the kiosk, and say in a line what is wrong with it and what to do. Exits with 0 when all is
    /// well, 1 with warnings, 2 when something does not work. As root it also says who holds a busy device.
    Doctor {
        /// Which configuration.
        #[command(flatten)]
        configured: Configured,
        /// Which kiosk of this machine.
        #[command(flatten)]
        runtime: Runtime,
        /// Where a renewed ticket is kept; $STATE_DIRECTORY, else /var/lib/kioskd.
        #[arg(long)]
        state_dir: Option<PathBuf>,
        /// Everything, as one JSON object.
        #[arg(long)]
        json: bool,
        /// Save what the camera sees there: PNG when the name ends so, else JPEG.
        #[arg(long, value_name = "FILE")]
        picture: Option<PathBuf>,
    },
    /// Read the configuration and the files it names, and say what is wrong with them.
    CheckConfig(Configured),
}

/// Which configuration.
#[derive(Debug, Args)]
pub struct Configured {
    /// kioskd.toml.
    #[arg(long, default_value = "/etc/rtcroom-kiosk/kioskd.toml")]
    pub config: PathBuf,
    /// Where board files are looked for first.
    #[arg(long)]
    pub boards_dir: Option<PathBuf>,
}

/// Which kiosk of this machine.
#[derive(Debug, Args)]
pub struct Runtime {
    /// Where the control socket is; $RUNTIME_DIRECTORY, else /run/kioskd.
    #[arg(long)]
    pub runtime_dir: Option<PathBuf>,
}

impl Runtime {
    /// The folder of the control socket.
    #[must_use]
    pub fn dir(self) -> PathBuf {
        let from_systemd = || std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
        self.runtime_dir.or_else(from_systemd).unwrap_or_else(|| "/run/kioskd".into())
    }
}
