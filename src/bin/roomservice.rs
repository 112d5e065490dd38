//! RoomService: rooms, messages, media relay and the clerk's page.

use std::fs;
use std::io::Write as _;

use anyhow::{Context as _, bail};
use clap::Parser as _;
use rtcroom_kiosk::journald;
use rtcroom_kiosk::room::user_sig::Mint;
use rtcroom_kiosk::service::arguments::{Arguments, Command, Serve, Sign};
use rtcroom_kiosk::service::clock::Now;
use rtcroom_kiosk::service::config::{self, Config};
use rtcroom_kiosk::service::keys;
use rtcroom_kiosk::service::server::Server;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> anyhow::Result<()> {
    journald::start();
    match Arguments::parse().command {
        Command::Serve(arguments) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(serve(arguments))
        }
        Command::Keygen { out } => Ok(keys::generate(&out)?),
        Command::Sign(arguments) => sign(&arguments),
    }
}

async fn serve(arguments: Serve) -> anyhow::Result<()> {
    let mut config = match &arguments.config {
        Some(path) => Config::load(path)?,
        None => Config::dev()?,
    };
    if let Some(listen) = arguments.listen {
        config.listen = listen;
    }
    if !arguments.advertise.is_empty() {
        config.relay.advertise = arguments.advertise;
    }
    if arguments.dev && !config.listen.ip().is_loopback() {
        bail!("--listen {}: --dev gives tickets to anybody and serves loopback only", config.listen);
    }
    // Before the address is out: who reads it may stop us at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = Server::bind(config).await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", server.url()).and_then(|()| out.flush()).context("stdout")?;
    server
        .run(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            log::info!("stopping");
        })
        .await;
    Ok(())
}

fn sign(arguments: &Sign) -> anyhow::Result<()> {
    let (app, private, secret) = match (&arguments.config, &arguments.key, arguments.sdk_app_id) {
        (Some(path), ..) => config::signing_keys(path)?,
        (None, Some(key), Some(app)) => {
            let text = fs::read(key).with_context(|| format!("--key {}", key.display()))?;
            let is_pem = text.trim_ascii_start().starts_with(b"-----BEGIN");
            if is_pem { (app, Some(key.clone()), None) } else { (app, None, Some(key.clone())) }
        }
        _ => bail!("give --config FILE, or --key FILE and --sdk-app-id N"),
    };
    let mint = match (private, secret) {
        (Some(path), _) if !arguments.v2 => {
            let pem = fs::read(&path).with_context(|| format!("private key {}", path.display()))?;
            Mint::from_private_pem(&pem).with_context(|| format!("private key {}", path.display()))?
        }
        (_, Some(path)) if !arguments.v1 => {
            let text = fs::read_to_string(&path).with_context(|| format!("secret {}", path.display()))?;
            Mint::from_secret(&text).with_context(|| format!("secret {}", path.display()))?
        }
        _ => bail!("no key for this version: v1 needs tickets.private_key (PEM), v2 tickets.secret_file"),
    };
    println!("{}", mint.mint(&arguments.user, app, Now::read().unix(), arguments.days * 24 * 3600)?);
    Ok(())
}
