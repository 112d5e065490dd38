//! One request and its answer, and what its failure means.

use serde::de::DeserializeOwned;
use url::Url;

use super::connect::TIMEOUT;
use super::failure::Failure;
use super::ticket;
use super::wire::{Status, code};

/// More than `get_pushers` of a full room.
const MOST_BODY: usize = 256 * 1024;
/// Of a server's words.
const MOST_MESSAGE: usize = 200;

/// Sends `request` and reads its answer; also gives the server's time.
pub(super) async fn exchange<T: DeserializeOwned>(
    operation: &'static str,
    request: reqwest::RequestBuilder,
) -> (Result<T, Failure>, Option<u64>) {
    let mut response = match request.timeout(TIMEOUT).send().await {
        Ok(response) => response,
        Err(error) => return (Err(failure_of(&error)), None),
    };
    let host = host_of(response.url().as_str());
    let date = response.headers().get("date").and_then(|date| ticket::http_date(date.to_str().ok()?));
    let status = response.status();
    let body = match read_body(&mut response, MOST_BODY).await {
        Ok(body) => body,
        Err(failure) => return (Err(failure), date),
    };
    let nonsense = |detail: String| Failure::Nonsense { operation, host: host.clone(), detail };
    let outcome = match serde_json::from_slice::<Status>(&body) {
        Ok(Status { code: code::OK, .. }) if status.is_success() => {
            serde_json::from_slice(&body).map_err(|error| nonsense(error.to_string()))
        }
        Ok(Status { code, message }) if status.is_success() || status == 401 || status == 403 => {
            Err(Failure::Code { operation, code, message: cut(&message) })
        }
        _ if !status.is_success() => Err(Failure::Status {
            operation,
            host: host.clone(),
            status: status.as_u16(),
            message: cut(&String::from_utf8_lossy(&body)),
            retry_after: None,
        }),
        Ok(status) => Err(nonsense(format!("code {}", status.code))),
        Err(error) => Err(nonsense(error.to_string())),
    };
    (outcome, date)
}

/// Reads a body of at most `most` bytes.
pub(super) async fn read_body(response: &mut reqwest::Response, most: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure_of(&error))? {
        if body.len() + chunk.len() > most {
            let host = host_of(response.url().as_str());
            return Err(Failure::Nonsense {
                operation: "reading",
                host,
                detail: format!("more than {most} bytes"),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Sorts what the HTTP library says by what cures it.
pub(super) fn failure_of(error: &reqwest::Error) -> Failure {
    let host = error.url().map(|url| host_of(url.as_str())).unwrap_or_default();
    if let Some(tls) = find_tls(error) {
        return tls_failure(host, tls);
    }
    if error.is_timeout() {
        return Failure::TimedOut { host, secs: TIMEOUT.as_secs() };
    }
    let detail = innermost(error);
    if error.is_dns() { Failure::UnknownHost { host, detail } } else { Failure::Unreachable { host, detail } }
}

/// The TLS library's own error among the causes. An `io::Error` gives what its content was caused by, not the content
/// itself, and wraps one another, so both ways are gone.
fn find_tls<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref() {
        return Some(tls);
    }
    let content = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let content = content.and_then(|content| find_tls(content));
    content.or_else(|| find_tls(error.source()?))
}

fn tls_failure(host: String, error: &rustls::Error) -> Failure {
    use rustls::{CertificateError, Error};
    let detail = error.to_string();
    match error {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature | CertificateError::Revoked,
        ) => Failure::UnknownAuthority { host, detail },
        // A server starts with a certificate that is valid; a board without a battery starts in 1970.
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => Failure::Clock { detail: format!("the certificate of {host} is not valid yet") },
        _ => Failure::Tls { host, detail },
    }
}

/// The last cause of an error, which is the one that says something.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

pub(super) fn host_of(address: &str) -> String {
    let url = Url::parse(address).ok();
    url.map_or_else(
        || cut(address),
        |url| {
            let host = url.host_str().unwrap_or_default();
            url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
        },
    )
}

/// Cuts a server's words to a sane length, on one line.
pub(super) fn cut(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_tls_error_is_found_however_often_it_is_wrapped() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::other(tls));
        let failure = tls_failure("host:1".into(), find_tls(&wrapped).expect("it is inside"));
        assert!(matches!(failure, Failure::UnknownAuthority { .. }), "{failure}");
        assert!(find_tls(&io::Error::other("refused")).is_none());
    }
}
