//! The command line of `roomservice`. Its man page and shell completions are made from it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// RoomService: rooms, messages, media relay and the clerk's page.
#[derive(Debug, Parser)]
#[command(name = "roomservice", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve until SIGTERM. The first line on stdout is the address.
    Serve(Serve),
    /// Make the keys userSig tickets are signed with: private.pem, public.pem (v1), secret.hex (v2).
    Keygen {
        /// Where to; nothing is overwritten.
        #[arg(long)]
        out: PathBuf,
    },
    /// Print a userSig ticket.
    Sign(Sign),
}

/// How to serve.
#[derive(Debug, Args)]
pub struct Serve {
    /// roomservice.toml.
    #[arg(long, required_unless_present = "dev")]
    pub config: Option<PathBuf>,
    /// Instead of `listen` of the configuration; port 0 takes any.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// An address members are told to send media to; may be repeated.
    #[arg(long)]
    pub advertise: Vec<IpAddr>,
    /// Loopback, plain HTTP, a key made now, tickets for anybody who asks, no roles.
    #[arg(long, conflicts_with = "config")]
    pub dev: bool,
}

/// What to sign, and with what.
#[derive(Debug, Args)]
pub struct Sign {
    /// Whose ticket.
    #[arg(long)]
    pub user: String,
    /// Take the key and the application from roomservice.toml.
    #[arg(long, required_unless_present = "key", conflicts_with_all = ["key", "sdk_app_id"])]
    pub config: Option<PathBuf>,
    /// A private key (PEM, v1) or a secret (v2).
    #[arg(long, requires = "sdk_app_id")]
    pub key: Option<PathBuf>,
    /// The application.
    #[arg(long)]
    pub sdk_app_id: Option<u64>,
    /// How long it is good.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub days: u64,
    /// Only with an ECDSA key.
    #[arg(long, conflicts_with = "v2")]
    pub v1: bool,
    /// Only with a secret.
    #[arg(long)]
    pub v2: bool,
}
