//! userSig tickets: text(zlib(JSON)), signed with ECDSA (v1) or HMAC (v2). Protocol section 9.
//!
//! ```text
//! base64 with + / = written * - _  ──►  zlib, at most 4 KiB  ──►  JSON object  ──►  signed lines, each ended by LF
//! ```

mod text;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, PKey, Private, Public};
use openssl::sign::{Signer, Verifier};
use serde_json::json;

use self::text::{Ticket, Version, decode, encode};

/// How far a ticket's clock may run ahead of ours.
const CLOCK_SKEW_SECS: u64 = 600;
/// No library gives more than 180 days; ten years is a mistake or a forgery.
const LONGEST_LIFE_SECS: u64 = 10 * 366 * 24 * 3600;

/// Why a ticket is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not decode, or a field is missing or of the wrong type.
    #[error("the userSig is malformed ({0})")]
    Malformed(&'static str),
    /// It was made for another application or another user.
    #[error("the userSig was made for another {0}")]
    Mismatch(&'static str),
    /// Its time is over.
    #[error("the userSig has expired")]
    Expired,
    /// It starts in the future, or lives longer than any honest one.
    #[error("the userSig's time is not credible: check the clocks of both machines")]
    Time,
    /// The signature is not by our key.
    #[error("the userSig was not signed with this server's key")]
    BadSignature,
    /// It carries a user buffer, so it is a permission for something else than logging in.
    #[error("a userSig with a user buffer is not a login ticket")]
    UserBuffer,
    /// No key of this version is configured here.
    #[error("this server takes no userSig of version {0}")]
    NoKey(u8),
}

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The PEM text holds no such key.
    #[error("not a PEM key of the needed kind: {0}")]
    Pem(#[from] openssl::error::ErrorStack),
    /// The key is on a curve no ticket library uses.
    #[error("the key must be EC on P-256 or secp256k1")]
    Curve,
    /// The v2 key is empty.
    #[error("the secret is empty")]
    Empty,
}

/// What a ticket must say.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Who logs in.
    pub user_id: &'a str,
    /// This server's application.
    pub sdk_app_id: u64,
    /// Unix seconds.
    pub now: u64,
}

/// The keys tickets are checked with.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    v1: Option<PKey<Public>>,
    v2: Option<Vec<u8>>,
}

impl Keys {
    /// Takes v1 tickets signed with the private half of this key (PEM, SPKI).
    pub fn with_public_pem(mut self, pem: &[u8]) -> Result<Self, KeyError> {
        let key = PKey::public_key_from_pem(pem)?;
        check_curve(&key)?;
        self.v1 = Some(key);
        Ok(self)
    }

    /// Takes v2 tickets made with this secret, used as the text it is.
    pub fn with_secret(mut self, secret: &str) -> Result<Self, KeyError> {
        let secret = secret.trim();
        if secret.is_empty() {
            return Err(KeyError::Empty);
        }
        self.v2 = Some(secret.as_bytes().to_vec());
        Ok(self)
    }

    /// Whether there is any key at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v1.is_none() && self.v2.is_none()
    }

    /// Checks a ticket in the order of section 9; returns when it runs out (unix seconds).
    pub fn verify(&self, user_sig: &str, claim: &Claim<'_>) -> Result<u64, Refusal> {
        let json = decode(user_sig)?;
        let ticket = Ticket::parse(&json)?;
        if ticket.sdk_app_id != claim.sdk_app_id {
            return Err(Refusal::Mismatch("application"));
        }
        if ticket.identifier != claim.user_id {
            return Err(Refusal::Mismatch("user"));
        }
        if ticket.life > LONGEST_LIFE_SECS || ticket.time > claim.now.saturating_add(CLOCK_SKEW_SECS) {
            return Err(Refusal::Time);
        }
        let end = ticket.time + ticket.life;
        if claim.now > end {
            return Err(Refusal::Expired);
        }
        if json.contains_key("TLS.userbuf") {
            return Err(Refusal::UserBuffer);
        }
        if self.signature_is_ours(&ticket)? { Ok(end) } else { Err(Refusal::BadSignature) }
    }

    fn signature_is_ours(&self, ticket: &Ticket<'_>) -> Result<bool, Refusal> {
        let text = ticket.signed_text();
        let signature =
            STANDARD.decode(ticket.signature).map_err(|_| Refusal::Malformed("TLS.sig is not base64"))?;
        match ticket.version {
            Version::V1 { .. } => {
                let key = self.v1.as_ref().ok_or(Refusal::NoKey(1))?;
                // An undecodable signature is an error to OpenSSL, and a false signature to us.
                Ok(Verifier::new(MessageDigest::sha256(), key)
                    .and_then(|mut v| v.verify_oneshot(&signature, text.as_bytes()))
                    .unwrap_or(false))
            }
            Version::V2 => {
                let key = self.v2.as_ref().ok_or(Refusal::NoKey(2))?;
                let ours = hmac(key, text.as_bytes()).map_err(|_| Refusal::BadSignature)?;
                Ok(ours.len() == signature.len() && openssl::memcmp::eq(&ours, &signature))
            }
        }
    }
}

/// A key tickets are made with.
#[derive(Debug)]
pub enum Mint {
    /// ECDSA, what both original servers check.
    V1(PKey<Private>),
    /// HMAC, what the later libraries make.
    V2(Vec<u8>),
}

impl Mint {
    /// From a private key (PEM, PKCS#8 or SEC1).
    pub fn from_private_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let key = PKey::private_key_from_pem(pem)?;
        check_curve(&key)?;
        Ok(Self::V1(key))
    }

    /// From a v2 secret, used as the text it is.
    pub fn from_secret(secret: &str) -> Result<Self, KeyError> {
        match secret.trim() {
            "" => Err(KeyError::Empty),
            text => Ok(Self::V2(text.as_bytes().to_vec())),
        }
    }

    /// Makes a ticket valid from `now` for `life_secs`.
    pub fn mint(
        &self,
        user_id: &str,
        sdk_app_id: u64,
        now: u64,
        life_secs: u64,
    ) -> Result<String, openssl::error::ErrorStack> {
        let version = match self {
            // "0" and "0" is the layout both original servers accept (section 9, "Who fills what").
            Self::V1(_) => Version::V1 { appid_at_3rd: Some("0"), account_type: "0" },
            Self::V2(_) => Version::V2,
        };
        let ticket =
            Ticket { version, identifier: user_id, sdk_app_id, time: now, life: life_secs, signature: "" };
        let text = ticket.signed_text();
        let json = match self {
            Self::V1(key) => {
                let signature =
                    Signer::new(MessageDigest::sha256(), key)?.sign_oneshot_to_vec(text.as_bytes())?;
                json!({
                    "TLS.appid_at_3rd": "0", "TLS.account_type": "0", "TLS.identifier": user_id,
                    "TLS.sdk_appid": sdk_app_id.to_string(), "TLS.time": now.to_string(),
                    "TLS.expire_after": life_secs.to_string(), "TLS.version": "201512300000",
                    "TLS.sig": STANDARD.encode(signature),
                })
            }
            Self::V2(key) => json!({
                "TLS.ver": "2.0", "TLS.identifier": user_id, "TLS.sdkappid": sdk_app_id, "TLS.time": now,
                "TLS.expire": life_secs, "TLS.sig": STANDARD.encode(hmac(key, text.as_bytes())?),
            }),
        };
        Ok(encode(&json))
    }
}

/// HMAC-SHA256.
pub(crate) fn hmac(key: &[u8], text: &[u8]) -> Result<Vec<u8>, openssl::error::ErrorStack> {
    let key = PKey::hmac(key)?;
    Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot_to_vec(text)
}

fn check_curve<T: HasPublic>(key: &PKey<T>) -> Result<(), KeyError> {
    let curve = key.ec_key().map_err(|_| KeyError::Curve)?.group().curve_name();
    match curve {
        Some(Nid::X9_62_PRIME256V1 | Nid::SECP256K1) => Ok(()),
        _ => Err(KeyError::Curve),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use openssl::ec::{EcGroup, EcKey};
    use serde_json::Value;

    const APP: u64 = 1_400_000_001;

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../tests/data/usersig-vectors.json")).unwrap()
    }

    fn outcome(keys: &Keys, vector: &Value) -> &'static str {
        let claim = Claim {
            user_id: vector["verify_as"]["userID"].as_str().unwrap(),
            sdk_app_id: vector["verify_as"]["sdkAppID"].as_u64().unwrap(),
            now: vector["verify_as"]["now"].as_u64().unwrap(),
        };
        match keys.verify(vector["userSig"].as_str().unwrap(), &claim) {
            Ok(_) => "ok",
            Err(Refusal::Expired) => "expired",
            Err(Refusal::Mismatch(_)) => "mismatch",
            Err(Refusal::BadSignature) => "bad_signature",
            Err(Refusal::Malformed(_)) => "malformed",
            Err(Refusal::UserBuffer) => "refuse_at_login",
            Err(Refusal::Time) => "time",
            Err(Refusal::NoKey(_)) => "no key",
        }
    }

    #[test]
    fn every_vector_comes_out_as_it_says() {
        let all = vectors();
        let mut seen = 0;
        for version in ["v1", "v2"] {
            for vector in all[version].as_array().unwrap() {
                let name = vector["key"].as_str().unwrap_or("p256");
                let keys = Keys::default()
                    .with_public_pem(all["keys"][name]["public_pem"].as_str().unwrap().as_bytes())
                    .unwrap()
                    .with_secret(all["keys"]["hmac"].as_str().unwrap())
                    .unwrap();
                assert_eq!(outcome(&keys, vector), vector["expect"], "{version} {}", vector["name"]);
                seen += 1;
            }
        }
        assert_eq!(seen, 32);
    }

    fn new_pair(curve: Nid) -> (Mint, Keys) {
        let key = EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap();
        let key = PKey::from_ec_key(key).unwrap();
        let keys = Keys::default().with_public_pem(&key.public_key_to_pem().unwrap()).unwrap();
        (Mint::from_private_pem(&key.private_key_to_pem_pkcs8().unwrap()).unwrap(), keys)
    }

    #[test]
    fn what_is_minted_verifies_until_its_last_second() {
        let v2 = (Mint::from_secret("0123abcd\n").unwrap(), Keys::default().with_secret("0123abcd").unwrap());
        for (mint, keys) in [new_pair(Nid::X9_62_PRIME256V1), new_pair(Nid::SECP256K1), v2] {
            let sig = mint.mint("kiosk-7", APP, 1000, 60).unwrap();
            let at = |now| keys.verify(&sig, &Claim { user_id: "kiosk-7", sdk_app_id: APP, now });
            assert_eq!(at(1000), Ok(1060));
            assert_eq!(at(1060), Ok(1060));
            assert_eq!(at(1061), Err(Refusal::Expired));
            assert_eq!(at(399), Err(Refusal::Time), "601 s before it was made");
            assert!(sig.bytes().all(|b| b.is_ascii_alphanumeric() || b"*-_".contains(&b)));
        }
    }

    #[test]
    fn a_line_break_in_a_value_cannot_stand_in_for_a_line() {
        let (mint, keys) = new_pair(Nid::X9_62_PRIME256V1);
        let evil = "a\nTLS.sdk_appid:1400000001";
        let sig = mint.mint(evil, APP, 1000, 60).unwrap();
        let claim = Claim { user_id: evil, sdk_app_id: APP, now: 1000 };
        assert_eq!(keys.verify(&sig, &claim), Err(Refusal::Malformed("TLS.identifier")));
    }

    #[test]
    fn a_version_without_a_key_is_refused() {
        let mint = Mint::from_secret("s").unwrap();
        let sig = mint.mint("a", APP, 1000, 60).unwrap();
        let (_, v1_only) = new_pair(Nid::X9_62_PRIME256V1);
        let claim = Claim { user_id: "a", sdk_app_id: APP, now: 1000 };
        assert_eq!(v1_only.verify(&sig, &claim), Err(Refusal::NoKey(2)));
    }

    #[test]
    fn a_key_on_another_curve_is_refused() {
        let key = EcKey::generate(&EcGroup::from_curve_name(Nid::SECP384R1).unwrap()).unwrap();
        let pem = PKey::from_ec_key(key).unwrap().public_key_to_pem().unwrap();
        assert!(matches!(Keys::default().with_public_pem(&pem), Err(KeyError::Curve)));
    }
}
