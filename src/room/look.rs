//! One look at a server without a login: whether it answers, by which certificate, and what time it has.

use super::connect::{Server, SetupError, TIMEOUT, builder};
use super::exchange::{failure_of, innermost};
use super::failure::Failure;
use super::ticket;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// The server's time, unix seconds, if it tells.
    pub date: Option<u64>,
    /// Its certificate, DER; absent without TLS.
    pub certificate: Option<Vec<u8>>,
}

/// Asks for `/healthz` beside `/weapp/`; that the answer is another server's "not found" is as good.
///
/// # Errors
/// When the files named in `server` cannot be used.
pub async fn look(server: &Server) -> Result<Result<Look, Failure>, SetupError> {
    let secure = server.url.starts_with("https:");
    let http = builder(server, secure)?.tls_info(true).build();
    let http = http.map_err(|error| SetupError::Library(innermost(&error)))?;
    let root = server.url.split("/weapp/").next().unwrap_or(&server.url).trim_end_matches('/');
    let answer = http.get(format!("{root}/healthz")).timeout(TIMEOUT).send().await;
    Ok(answer.map_err(|error| failure_of(&error)).map(|answer| {
        let date = answer.headers().get("date").and_then(|date| ticket::http_date(date.to_str().ok()?));
        let tls = answer.extensions().get::<reqwest::tls::TlsInfo>();
        Look { date, certificate: tls.and_then(|tls| tls.peer_certificate()).map(<[u8]>::to_vec) }
    }))
}
