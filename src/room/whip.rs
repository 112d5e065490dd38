//! WHIP (RFC 9725) and WHEP as a neutral client speaks them: offer in, answer out, and the resource put away afterwards.
//!
//! Servers differ: `Location` may be relative, elsewhere or missing; a missing slash is answered by a redirect; an ETag
//! and PATCH may not exist. So offers are gathered fully before they are posted, and nothing here needs PATCH.

use std::time::Duration;

use url::Url;

use super::client::Client;
use super::connect::TIMEOUT;
use super::exchange::{cut, failure_of, host_of, read_body};
use super::failure::Failure;

/// More than any answer.
const MOST_SDP: usize = 64 * 1024;
const REDIRECTS: usize = 2;

/// A WHIP or WHEP session at the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The answer.
    pub sdp: String,
    /// Where to `DELETE` it, if the server said.
    pub resource: Option<String>,
}

impl Client {
    /// Posts `offer` to a WHIP or WHEP address; `operation` names it in messages.
    pub async fn post_offer(
        &self,
        operation: &'static str,
        address: &str,
        offer: &str,
    ) -> Result<Session, Failure> {
        let nonsense = |address: &Url, detail: String| Failure::Nonsense {
            operation,
            host: host_of(address.as_str()),
            detail,
        };
        let mut address = Url::parse(address).map_err(|error| Failure::Nonsense {
            operation,
            host: cut(address),
            detail: error.to_string(),
        })?;
        for _ in 0..=REDIRECTS {
            let request = self.http.post(address.clone()).header("content-type", "application/sdp");
            let request = self.authorize(request, &address).body(offer.to_owned());
            let mut response = request.timeout(TIMEOUT).send().await.map_err(|error| failure_of(&error))?;
            let status = response.status();
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            let location = header("location").and_then(|location| address.join(location).ok());
            if status.is_redirection() {
                let next = location.filter(|next| next.scheme() == address.scheme());
                address = next.ok_or_else(|| nonsense(&address, format!("HTTP {status} leads nowhere")))?;
                continue;
            }
            let retry_after =
                header("retry-after").and_then(|text| text.parse().ok()).map(Duration::from_secs);
            let body = read_body(&mut response, MOST_SDP).await?;
            let text = String::from_utf8_lossy(&body);
            if !status.is_success() {
                return Err(Failure::Status {
                    operation,
                    host: host_of(address.as_str()),
                    status: status.as_u16(),
                    message: cut(&text),
                    retry_after,
                });
            }
            let resource = location.map(String::from);
            if !text.starts_with("v=0") {
                if let Some(resource) = &resource {
                    let _ = self.delete_resource(resource).await;
                }
                return Err(nonsense(&address, "the answer is no SDP".into()));
            }
            return Ok(Session { sdp: text.into_owned(), resource });
        }
        Err(nonsense(&address, "too many redirects".into()))
    }

    /// Ends a session at the server; that it is gone already is as good.
    pub async fn delete_resource(&self, address: &str) -> Result<(), Failure> {
        let nonsense = |detail: String| Failure::Nonsense { operation: "DELETE", host: cut(address), detail };
        let url = Url::parse(address).map_err(|error| nonsense(error.to_string()))?;
        let request = self.authorize(self.http.delete(url.clone()), &url);
        let response = request.timeout(TIMEOUT).send().await.map_err(|error| failure_of(&error))?;
        log::debug!("DELETE {}: {}", host_of(address), response.status());
        Ok(())
    }

    /// Adds our token, but never where it would leave an encrypted connection.
    fn authorize(&self, request: reqwest::RequestBuilder, address: &Url) -> reqwest::RequestBuilder {
        match self.token() {
            Some(token) if address.scheme() == "https" || !self.secure => request.bearer_auth(token),
            _ => request,
        }
    }
}
