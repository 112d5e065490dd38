//! The listening server: bind, accept, stop in good order.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
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
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::address::Addresses;
use super::clock::Now;
use super::config::Config;
use super::office::Office;
use super::relay::{Relay, RelayConfig};
use super::routes::{self, Source};
use super::tls;

/// The most connections at once.
const CONNECTIONS_LIMIT: usize = 8192;
/// How long a TLS handshake or the head of a request may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
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
    /// Nobody would know where to send media.
    #[error("relay.advertise: this machine has no address to tell the members; give --advertise ADDR")]
    Advertise,
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
        let slots = Arc::new(Semaphore::new(CONNECTIONS_LIMIT));
        let mut connections = JoinSet::new();
        let mut sweep = interval(self.sweep_every);
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                _ = sweep.tick() => self.office.sweep(),
                accepted = accept(&self.listener, &slots) => match accepted {
                    Ok((stream, source, slot)) => {
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
        self.office.stop();
        drop(stop);
        let ended = async { while connections.join_next().await.is_some() {} };
        if timeout(STOPPING, ended).await.is_err() {
            log::warn!("some connections did not end within {} s, cut", STOPPING.as_secs());
        }
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, source) = listener.accept().await?;
    Ok((stream, source, slot))
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
        None => talk(stream, source, router, stopping).await,
        Some(tls) => match timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => talk(stream, source, router, stopping).await,
            Ok(Err(e)) => log::info!("TLS handshake with {source} ended: {e}"),
            Err(_) => log::info!("TLS handshake with {source} took too long"),
        },
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    source: SocketAddr,
    router: Router,
    mut stopping: watch::Receiver<()>,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Source(source));
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE)
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
    let advertise = advertised(config)?;
    for tries_left in (0..PORT_TRIES).rev() {
        let tcp = |source| StartError::Listen { what: "TCP", address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(tcp)?;
        let address = listener.local_addr().map_err(tcp)?;
        let media = config.relay.listen.unwrap_or(address);
        match Relay::start(RelayConfig { listen: media, advertise: advertise.clone() }).await {
            Ok(relay) => return Ok((listener, address, relay)),
            // Somebody else has the UDP port of this number; another number will do.
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && config.listen.port() == 0 && tries_left > 0 => {}
            Err(source) => return Err(StartError::Listen { what: "UDP", address: media, source }),
        }
    }
    Err(StartError::Listen { what: "UDP", address: config.listen, source: io::ErrorKind::AddrInUse.into() })
}

/// What is configured, else the address listened on, else the one this machine uses towards others.
fn advertised(config: &Config) -> Result<Vec<IpAddr>, StartError> {
    if !config.relay.advertise.is_empty() {
        return Ok(config.relay.advertise.clone());
    }
    let ip = config.relay.listen.unwrap_or(config.listen).ip();
    if !ip.is_unspecified() {
        return Ok(vec![ip]);
    }
    // Connecting a UDP socket sends nothing; it makes the kernel choose a route (192.0.2.1 is TEST-NET-1).
    let outward = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).and_then(|()| socket.local_addr()));
    let ip = outward.map_err(|_| StartError::Advertise)?.ip();
    log::info!("relay.advertise is not set, members are told {ip}");
    Ok(vec![ip])
}
