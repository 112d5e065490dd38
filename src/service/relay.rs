//! The embedded media relay: WHIP in, WHEP out, H.264 and Opus forwarded packet by packet.
//!
//! ```text
//!            POST/PATCH/DELETE                      datagrams
//! client ─────────► http ──► directory ◄── engine ◄────────── driver ◄── one UDP socket
//!                    │           (who may)   │  one thread, never blocks
//!                    └─ offer ─ Command ────►└─ session (str0m) ─ forward, clock ─► players
//! ```
//!
//! ICE-lite, one UDP port for everybody, no transcoding. A player has one pair of SSRCs for its whole life; publishers may be replaced behind
//! it. The publisher hears of losses (NACK, transport-wide feedback) from the relay and of key frames that players want.

mod address;
mod answer;
mod capacity;
mod clock;
mod directory;
mod driver;
mod engine;
mod forward;
mod fragment;
mod http;
mod offer;
mod section;
mod session;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use str0m::config::DtlsCert;
use tokio::sync::{mpsc, oneshot};

pub use self::directory::SessionInfo;
pub use self::http::routes;
pub use self::offer::Role;

use self::directory::Directory;
use self::engine::Command;

/// Where the relay listens and what it tells clients of that.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The UDP address; port 0 takes any.
    pub listen: SocketAddr,
    /// Addresses at which clients reach the port; empty for the one listened on, or for all of this machine's if that is unspecified.
    pub advertise: Vec<IpAddr>,
}

/// Decides who may do what; called before anything else is looked at.
pub trait Gate: Send + Sync + 'static {
    /// The user who may publish this stream with this token and query.
    fn may_publish(&self, bearer: Option<&str>, stream: &str, query: &str) -> Result<String, Refusal>;
    /// The user who may play this stream with this token and query.
    fn may_play(&self, bearer: Option<&str>, stream: &str, query: &str) -> Result<String, Refusal>;
    /// The user whose token this is; sessions are changed and ended by their owner alone.
    fn caller(&self, bearer: Option<&str>) -> Result<String, Refusal>;
}

/// Why a [`Gate`] lets somebody not in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token, or one that nobody has: 401.
    Unauthorized,
    /// A known user who may not, and why: 403.
    Forbidden(&'static str),
    /// No such stream: 404.
    NoStream,
}

/// A handle on the running relay; when the last one is dropped, the relay says goodbye to all clients and stops.
#[derive(Clone)]
pub struct Relay(Arc<Inner>);

struct Inner {
    local: SocketAddr,
    advertise: Vec<IpAddr>,
    /// One for all sessions: making a key costs more than all the rest of an answer.
    certificate: DtlsCert,
    directory: Arc<Directory>,
    /// As many commands wait as there are sessions and requests, which are bounded; the packet loop is never slower than they.
    commands: mpsc::UnboundedSender<Command>,
}

impl Relay {
    /// Binds the UDP port and starts the relay's thread.
    pub fn start(config: RelayConfig) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(config.listen)?;
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        let certificate = str0m::crypto::from_feature_flags()
            .dtls_provider
            .generate_certificate()
            .ok_or_else(|| io::Error::other("the relay's DTLS certificate could not be made"))?;
        let directory = Arc::new(Directory::new(Instant::now()));
        let (commands, queue) = mpsc::unbounded_channel();
        driver::spawn(socket, directory.clone(), queue)?;
        Ok(Self(Arc::new(Inner { local, advertise: config.advertise, certificate, directory, commands })))
    }

    /// The bound UDP address.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.0.local
    }

    /// Whether media of the stream arrived within the last seconds.
    #[must_use]
    pub fn is_live(&self, stream: &str) -> bool {
        self.0.directory.is_live(stream, Instant::now())
    }

    /// Ends the stream's publish session and its players: its owner has left the room.
    pub fn close_stream(&self, stream: &str) {
        self.send(Command::Close(self.0.directory.remove_stream(stream)));
    }

    /// Ends the user's play sessions of the stream: the user has left the room.
    pub fn close_viewer(&self, user: &str, stream: &str) {
        self.send(Command::Close(self.0.directory.remove_viewer(user, stream)));
    }

    /// All sessions, oldest first.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.0.directory.sessions()
    }

    /// Ends all sessions and returns when every client was told so. For an orderly exit; new sessions are still taken.
    pub async fn stop(&self) {
        let (reply, done) = oneshot::channel();
        self.send(Command::Stop(reply));
        let _ = done.await;
    }

    fn directory(&self) -> &Directory {
        &self.0.directory
    }

    fn certificate(&self) -> DtlsCert {
        self.0.certificate.clone()
    }

    fn candidates(&self) -> Vec<SocketAddr> {
        address::candidates(&self.0.advertise, self.0.local)
    }

    fn send(&self, command: Command) {
        // Only a relay whose socket failed has no loop; that was logged when it happened.
        let _ = self.0.commands.send(command);
    }
}
