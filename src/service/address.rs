//! Push and play addresses (section 3.1), the only place that makes or reads one.
//!
//! ```text
//! pushURL       {base}/whip/{stream}?expires={unix s}&secret={hex HMAC of "push", stream, expires, user}
//! accelerateURL {base}/whep/{stream}?expires={unix s}&secret={hex HMAC of "play", stream, expires}
//! ```
//!
//! A deployment with media servers of its own gives them out here, and nowhere else.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::random;
use crate::room::user_sig::hmac;

/// How long an address is good (section 3.1: 7 days).
pub const ADDRESS_LIFE_SECS: u64 = 7 * 24 * 3600;
/// The longest push address looked at.
const URL_LIMIT: usize = 2048;

/// Why an address is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Not one of ours.
    #[error("pushURL is not an address this server gave out")]
    Foreign,
    /// Given out to another user, or altered.
    #[error("the address was not given to this user, or was altered")]
    Secret,
    /// Too old.
    #[error("the address has expired, ask for a new one")]
    Expired,
}

/// Makes and checks addresses.
#[derive(Debug)]
pub struct Addresses {
    key: [u8; 32],
    public_url: Option<String>,
    scheme: &'static str,
    listen: String,
}

impl Addresses {
    /// With a fresh key: addresses of an earlier run are void, as are its streams.
    pub fn new(public_url: Option<String>, tls: bool, listen: String) -> Result<Self, getrandom::Error> {
        let public_url = public_url.map(|url| url.trim_end_matches('/').to_owned());
        Ok(Self { key: random::bytes()?, public_url, scheme: if tls { "https" } else { "http" }, listen })
    }

    /// What goes before the path: the configured `public_url`, else how the caller reached us.
    #[must_use]
    pub fn base(&self, host: Option<&str>) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let plain = |host: &&str| {
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]_".contains(&b))
        };
        format!("{}://{}", self.scheme, host.filter(plain).unwrap_or(&self.listen))
    }

    /// The configured public address.
    #[must_use]
    pub fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// A push address for a stream that never was.
    pub fn push(&self, base: &str, user: &str, now: u64) -> Result<String, getrandom::Error> {
        let stream = URL_SAFE_NO_PAD.encode(random::bytes::<18>()?);
        let expires = now + ADDRESS_LIFE_SECS;
        let secret = self.secret(&["push", &stream, &expires.to_string(), user]);
        Ok(format!("{base}/whip/{stream}?expires={expires}&secret={secret}"))
    }

    /// The play address of a stream.
    #[must_use]
    pub fn play(&self, base: &str, stream: &str, expires: u64) -> String {
        let secret = self.secret(&["play", stream, &expires.to_string()]);
        format!("{base}/whep/{stream}?expires={expires}&secret={secret}")
    }

    /// The stream of a push address, if it was given to this user.
    pub fn stream_of(&self, push_url: &str, user: &str, now: u64) -> Result<String, BadAddress> {
        if push_url.len() > URL_LIMIT {
            return Err(BadAddress::Foreign);
        }
        let (path, query) = push_url.split_once('?').ok_or(BadAddress::Foreign)?;
        let (_, stream) = path.rsplit_once("/whip/").ok_or(BadAddress::Foreign)?;
        self.check_push(stream, query, user, now)?;
        Ok(stream.to_owned())
    }

    /// Whether this user was given this stream to publish.
    pub fn check_push(&self, stream: &str, query: &str, user: &str, now: u64) -> Result<(), BadAddress> {
        self.check(query, now, |expires| self.secret(&["push", stream, expires, user]))
    }

    /// Whether this is the play address of this stream.
    pub fn check_play(&self, stream: &str, query: &str, now: u64) -> Result<(), BadAddress> {
        self.check(query, now, |expires| self.secret(&["play", stream, expires]))
    }

    fn check(&self, query: &str, now: u64, ours: impl Fn(&str) -> String) -> Result<(), BadAddress> {
        let field = |key: &str| {
            query.split('&').filter_map(|pair| pair.split_once('=')).find(|(k, _)| *k == key).map(|(_, v)| v)
        };
        let (Some(expires), Some(secret)) = (field("expires"), field("secret")) else {
            return Err(BadAddress::Secret);
        };
        let ours = ours(expires);
        if ours.is_empty()
            || ours.len() != secret.len()
            || !openssl::memcmp::eq(ours.as_bytes(), secret.as_bytes())
        {
            return Err(BadAddress::Secret);
        }
        match expires.parse::<u64>() {
            Ok(end) if now <= end => Ok(()),
            _ => Err(BadAddress::Expired),
        }
    }

    /// Every part ends with a byte no part contains, so no two lists of parts sign alike.
    fn secret(&self, parts: &[&str]) -> String {
        let mut text = Vec::new();
        for part in parts {
            text.extend_from_slice(part.as_bytes());
            text.push(0);
        }
        let mut hex = String::with_capacity(64);
        // An HMAC that could not be made is no secret: the address is then refused when it comes back.
        for byte in hmac(&self.key, &text).unwrap_or_default() {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn addresses() -> Addresses {
        Addresses::new(None, false, "127.0.0.1:80".into()).unwrap()
    }

    #[test]
    fn a_push_address_is_good_for_its_user_until_it_expires() {
        let ours = addresses();
        let url = ours.push("http://h", "kiosk-7", 1000).unwrap();
        let stream = ours.stream_of(&url, "kiosk-7", 1000).unwrap();
        assert!(
            stream.len() >= 20 && stream.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        );
        assert_eq!(ours.stream_of(&url, "kiosk-8", 1000), Err(BadAddress::Secret));
        assert_eq!(ours.stream_of(&url, "kiosk-7", 1001 + ADDRESS_LIFE_SECS), Err(BadAddress::Expired));
        assert_eq!(addresses().stream_of(&url, "kiosk-7", 1000), Err(BadAddress::Secret));
        let later = url.replace("expires=60", "expires=90");
        assert_eq!(ours.stream_of(&later, "kiosk-7", 1000), Err(BadAddress::Secret));
        assert_ne!(url, ours.push("http://h", "kiosk-7", 1000).unwrap());
    }

    #[test]
    fn a_play_secret_does_not_publish() {
        let ours = addresses();
        let url = ours.push("http://h", "a", 1000).unwrap();
        let stream = ours.stream_of(&url, "a", 1000).unwrap();
        let play = ours.play("http://h", &stream, 2000);
        let query = play.split_once('?').unwrap().1;
        assert_eq!(ours.check_play(&stream, query, 1500), Ok(()));
        assert_eq!(ours.check_push(&stream, query, "a", 1500), Err(BadAddress::Secret));
        assert_eq!(ours.check_play("other", query, 1500), Err(BadAddress::Secret));
        assert_eq!(ours.check_play(&stream, "", 1500), Err(BadAddress::Secret));
    }

    #[test]
    fn foreign_addresses_are_not_taken() {
        for url in
            ["", "rtmp://h/live/1_a?txSecret=1", "http://h/whip/abc", "http://h/whip/?expires=1&secret=2"]
        {
            assert!(addresses().stream_of(url, "a", 0).is_err(), "{url}");
        }
    }

    #[test]
    fn a_strange_host_header_is_not_repeated() {
        let ours = addresses();
        assert_eq!(ours.base(Some("kiosk.bank:8443")), "http://kiosk.bank:8443");
        assert_eq!(ours.base(Some("a/\"><b")), "http://127.0.0.1:80");
        let fixed = Addresses::new(Some("https://rooms.bank/".into()), false, String::new()).unwrap();
        assert_eq!(fixed.base(Some("evil")), "https://rooms.bank");
    }
}
