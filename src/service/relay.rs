//! Stand-in for the relay: the agreed names, and a 503 for every media request.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::http::StatusCode;

/// Where the relay listens and what it tells the members.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The UDP address.
    pub listen: SocketAddr,
    /// The addresses given to members as candidates.
    pub advertise: Vec<IpAddr>,
}

/// A handle to the running relay.
#[derive(Clone, Debug)]
pub struct Relay {
    listen: SocketAddr,
}

impl Relay {
    /// Starts it.
    pub async fn start(config: RelayConfig) -> std::io::Result<Self> {
        Ok(Self { listen: config.listen })
    }

    /// The UDP address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listen
    }

    /// Whether media of this stream arrived within the last seconds.
    #[must_use]
    pub fn is_live(&self, _stream: &str) -> bool {
        false
    }

    /// Ends the publish session of a stream and its players.
    pub fn close_stream(&self, _stream: &str) {}

    /// Ends a user's play sessions of a stream.
    pub fn close_viewer(&self, _user: &str, _stream: &str) {}
}

/// Why a WHIP or WHEP request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token, or one that is not known.
    Unauthorized,
    /// The caller may not do this.
    Forbidden(&'static str),
    /// There is no such stream.
    NoStream,
}

/// Who may publish and play.
pub trait Gate: Send + Sync + 'static {
    /// The user behind the token, if it may publish this stream.
    fn may_publish(&self, bearer: Option<&str>, stream: &str, query: &str) -> Result<String, Refusal>;
    /// The user behind the token, if it may play this stream.
    fn may_play(&self, bearer: Option<&str>, stream: &str, query: &str) -> Result<String, Refusal>;
    /// The user behind the token.
    fn caller(&self, bearer: Option<&str>) -> Result<String, Refusal>;
}

/// The WHIP and WHEP routes.
pub fn routes(_relay: Relay, _gate: Arc<dyn Gate>) -> axum::Router {
    let full = || async { StatusCode::SERVICE_UNAVAILABLE };
    axum::Router::new()
        .route("/whip/{stream}", axum::routing::post(full))
        .route("/whep/{stream}", axum::routing::post(full))
}
