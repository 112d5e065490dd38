//! Why a request to RoomService or to a media server brought nothing, sorted by what cures it.

use std::time::Duration;

use crate::room::wire::code;

/// A request that brought nothing. Its text goes to the log; `kiosk::words` has the customer's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The host's name is in no DNS.
    #[error("the name of {host} does not resolve: {detail}; check [server] url and the board's DNS")]
    UnknownHost {
        /// Host and port.
        host: String,
        /// What the resolver said.
        detail: String,
    },
    /// Nobody listens there, or the way there is cut.
    #[error("no connection to {host}: {detail}; check [server] url, the cable and that the server runs")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What the kernel said.
        detail: String,
    },
    /// Nobody answered in time.
    #[error("{host} did not answer within {secs} s; check [server] url, firewall and proxy")]
    TimedOut {
        /// Host and port.
        host: String,
        /// How long was waited.
        secs: u64,
    },
    /// The server's certificate comes from nobody this kiosk trusts.
    #[error(
        "the certificate of {host} is signed by an authority this kiosk does not know ({detail}); set [server] ca to that authority's certificate"
    )]
    UnknownAuthority {
        /// Host and port.
        host: String,
        /// What the verifier said.
        detail: String,
    },
    /// The TLS connection is refused for another reason.
    #[error(
        "no secure connection to {host}: {detail}; check the server's certificate and [server] client_cert"
    )]
    Tls {
        /// Host and port.
        host: String,
        /// What the library said.
        detail: String,
    },
    /// The board's clock disagrees with the server's.
    #[error("the clock of this board is wrong ({detail}); set the time, by NTP or by hand")]
    Clock {
        /// How that showed.
        detail: String,
    },
    /// The ticket file cannot be read or is no ticket.
    #[error("no ticket in {file}: {detail}; put a userSig there (roomservice sign --user ...)")]
    NoTicket {
        /// The file's path.
        file: String,
        /// Why.
        detail: String,
    },
    /// The ticket's time is over.
    #[error("the ticket in {file} has expired ({detail}); put a new one there (roomservice sign --user ...)")]
    TicketExpired {
        /// The file's path.
        file: String,
        /// Since when.
        detail: String,
    },
    /// An answer with a code other than 0.
    #[error("{operation} was refused with code {code}: {message}")]
    Code {
        /// The operation asked for.
        operation: &'static str,
        /// One of [`code`].
        code: i32,
        /// The server's words, cut to a sane length.
        message: String,
    },
    /// An HTTP status that is no success.
    #[error("{operation} at {host} was answered with HTTP {status}: {message}")]
    Status {
        /// The operation asked for.
        operation: &'static str,
        /// Host and port.
        host: String,
        /// The status.
        status: u16,
        /// The server's words, cut to a sane length.
        message: String,
        /// `Retry-After`, if it was sent.
        retry_after: Option<Duration>,
    },
    /// An answer that is none, or not one of RoomService.
    #[error(
        "{operation} at {host} got an answer that makes no sense: {detail}; is [server] url a RoomService?"
    )]
    Nonsense {
        /// The operation asked for.
        operation: &'static str,
        /// Host and port.
        host: String,
        /// What was wrong with it.
        detail: String,
    },
}

impl Failure {
    /// Whether the token was refused, so that a new login may cure it.
    #[must_use]
    pub fn is_token_refused(&self) -> bool {
        matches!(self, Self::Code { code: code::REFUSED, .. } | Self::Status { status: 401, .. })
    }

    /// The application code, if the server gave one.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Code { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the server did not answer at all: it may or may not have carried the request out.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::UnknownHost { .. }
                | Self::Unreachable { .. }
                | Self::TimedOut { .. }
                | Self::UnknownAuthority { .. }
                | Self::Tls { .. }
                | Self::Nonsense { .. }
        )
    }

    /// How long the server asks to be left alone, at most five seconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => retry_after.map(|wait| wait.min(Duration::from_secs(5))),
            _ => None,
        }
    }
}
