//! The listening server: bind, accept, stop in good order.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::address::Addresses;
use super::clock::Now;
use super::config::Config;
use super::office::Office;
use super::relay::{Relay, RelayConfig};
use super::routes::{self, Peer, Source};
use super::slots::Slots;
use super::tls;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may wait for its next request. Longer than the clients keep an idle one (reqwest 90 s), so that
/// it is they who close it and no request crosses our closing.
const IDLE: Duration = Duration::from_secs(120);
/// How long requests and sockets get to end after SIGTERM; the process has 3 s in all.
const STOPPING: Duration = Duration::from_secs(2);
/// How many ports are tried when any will do but TCP and UDP need the same.
const PORT_TRIES: usize = 20;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Plain HTTP would be reachable from outside.
    #[error("listen = {0}: only loopback is served without TLS; give [tls] cert and key")]
    Plain(SocketAddr),
    /// The port cannot be had.
    #[error("cannot listen on {what} {address}: {source}")]
    Listen {
        /// TCP or UDP.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The TLS files.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// The system gave no random bytes.
    #[error("no random bytes from the system: {0}")]
    Random(#[from] getrandom::Error),
}

/// A server that is bound and not yet running.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    office: Arc<Office>,
    router: Router,
    sweep_every: Duration,
}

impl Server {
    /// Binds TCP and the relay's UDP port.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        if config.tls.is_none() && !config.listen.ip().is_loopback() {
            return Err(StartError::Plain(config.listen));
        }
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let (listener, address, relay) = listen(&config).await?;
        let addresses = Addresses::new(config.public_url.clone(), tls.is_some(), address.to_string())?;
        let sweep_every = config.limits.sweep_every();
        let office = Arc::new(Office::new(config, addresses, relay.clone(), Now::read()));
        let router = routes::router(Arc::clone(&office), relay);
        Ok(Self { listener, address, tls, office, router, sweep_every })
    }

    /// Where the server is reached, with the port it really has.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}/", if self.tls.is_some() { "https" } else { "http" }, self.address)
    }

    /// Serves until `shutdown` is done, then ends sockets and requests in good order.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopping) = watch::channel(());
        let slots = Slots::default();
        let mut connections = JoinSet::new();
        let mut sweep = interval(self.sweep_every);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                _ = sweep.tick() => self.office.sweep(),
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, source)) => {
                        // Dropped at once: whoever has that many is better off without an answer.
                        let Some(slot) = slots.take(source.ip()) else { continue };
                        let (router, tls, stopping) = (self.router.clone(), self.tls.clone(), stopping.clone());
                        connections.spawn(async move {
                            serve(stream, source, tls, router, stopping).await;
                            drop(slot);
                        });
                    }
                    Err(e) => {
                        log::warn!("cannot accept connections: {e}; trying again");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.listener);
        drop(stop);
        let ended = async {
            self.office.stop().await;
            while connections.join_next().await.is_some() {}
        };
        if timeout(STOPPING, ended).await.is_err() {
            log::warn!("some connections did not end within {} s, cut", STOPPING.as_secs());
        }
    }
}

async fn serve(
    stream: TcpStream,
    source: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    stopping: watch::Receiver<()>,
) {
    // Small answers and message frames must not wait for more.
    let _ = stream.set_nodelay(true);
    match tls {
        None => talk(stream, source, None, router, stopping).await,
        Some(tls) => match timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let peer = tls::peer(&stream).map(|name| Peer(name.into()));
                talk(stream, source, peer, router, stopping).await;
            }
            Ok(Err(e)) => log::info!("TLS handshake with {source} ended: {e}"),
            Err(_) => log::info!("TLS handshake with {source} took too long"),
        },
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    source: SocketAddr,
    peer: Option<Peer>,
    router: Router,
    mut stopping: watch::Receiver<()>,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Source(source));
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(e) = result {
        log::debug!("connection with {source} ended: {e}");
    }
}

/// TCP and UDP, on one port number unless the relay has its own address.
async fn listen(config: &Config) -> Result<(TcpListener, SocketAddr, Relay), StartError> {
    for tries_left in (0..PORT_TRIES).rev() {
        let tcp = |source| StartError::Listen { what: "TCP", address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(tcp)?;
        let address = listener.local_addr().map_err(tcp)?;
        let media = config.relay.listen.unwrap_or(address);
        match Relay::start(RelayConfig { listen: media, advertise: config.relay.advertise.clone() }) {
            Ok(relay) => return Ok((listener, address, relay)),
            // Somebody else has the UDP port of this number; another number will do.
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && config.listen.port() == 0 && tries_left > 0 => {
            }
            Err(source) => return Err(StartError::Listen { what: "UDP", address: media, source }),
        }
    }
    Err(StartError::Listen { what: "UDP", address: config.listen, source: io::ErrorKind::AddrInUse.into() })
}
