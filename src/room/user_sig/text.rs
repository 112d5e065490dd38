//! A ticket as text: what it says, how that is packed, and which lines of it are signed.

use std::fmt::Write as _;
use std::io::{Read, Write as _};

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde_json::{Map, Value};

use super::Refusal;

/// The longest ticket text looked at; the longest seen in the field is under 1 KiB.
const TEXT_LIMIT: usize = 8 * 1024;
/// The most a ticket may inflate to (section 9: "4 KiB is plenty").
const JSON_LIMIT: u64 = 4 * 1024;

/// Padding may be missing: some portals cut trailing `_`.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The fields both versions have, under one set of names.
pub(super) struct Ticket<'a> {
    pub(super) version: Version<'a>,
    pub(super) identifier: &'a str,
    pub(super) sdk_app_id: u64,
    pub(super) time: u64,
    pub(super) life: u64,
    pub(super) signature: &'a str,
}

pub(super) enum Version<'a> {
    V1 { appid_at_3rd: Option<&'a str>, account_type: &'a str },
    V2,
}

impl<'a> Ticket<'a> {
    pub(super) fn parse(json: &'a Map<String, Value>) -> Result<Self, Refusal> {
        let text = |key: &'static str| match json.get(key).and_then(Value::as_str) {
            // A line break inside a value could stand in for another signed line.
            Some(value) if value.chars().any(char::is_control) => Err(Refusal::Malformed(key)),
            Some(value) => Ok(value),
            None => Err(Refusal::Malformed(key)),
        };
        let number = |key: &'static str| json.get(key).and_then(Value::as_u64).ok_or(Refusal::Malformed(key));
        let digits = |key: &'static str| strict_number(text(key)?).ok_or(Refusal::Malformed(key));
        if json.get("TLS.ver").and_then(Value::as_str) == Some("2.0") {
            return Ok(Self {
                version: Version::V2,
                identifier: text("TLS.identifier")?,
                sdk_app_id: number("TLS.sdkappid")?,
                time: number("TLS.time")?,
                life: number("TLS.expire")?,
                signature: text("TLS.sig")?,
            });
        }
        let appid_at_3rd = match json.get("TLS.appid_at_3rd") {
            None => None,
            Some(_) => Some(text("TLS.appid_at_3rd")?),
        };
        Ok(Self {
            version: Version::V1 { appid_at_3rd, account_type: text("TLS.account_type")? },
            identifier: text("TLS.identifier")?,
            sdk_app_id: digits("TLS.sdk_appid")?,
            time: digits("TLS.time")?,
            life: digits("TLS.expire_after")?,
            signature: text("TLS.sig")?,
        })
    }

    pub(super) fn signed_text(&self) -> String {
        let mut text = String::new();
        let Self { identifier, sdk_app_id, time, life, .. } = self;
        // Writing to a String cannot go wrong.
        let _ = match &self.version {
            Version::V1 { appid_at_3rd, account_type } => {
                if let Some(appid) = appid_at_3rd {
                    let _ = writeln!(text, "TLS.appid_at_3rd:{appid}");
                }
                write!(
                    text,
                    "TLS.account_type:{account_type}\nTLS.identifier:{identifier}\nTLS.sdk_appid:{sdk_app_id}\n\
                     TLS.time:{time}\nTLS.expire_after:{life}\n"
                )
            }
            Version::V2 => write!(
                text,
                "TLS.identifier:{identifier}\nTLS.sdkappid:{sdk_app_id}\nTLS.time:{time}\nTLS.expire:{life}\n"
            ),
        };
        text
    }
}

/// Decimal digits without sign, blank or leading zero, so that the number signs as the text it was.
fn strict_number(text: &str) -> Option<u64> {
    let plain = text == "0" || !text.starts_with(['0', '+']);
    plain.then(|| text.parse().ok()).flatten()
}

pub(super) fn decode(user_sig: &str) -> Result<Map<String, Value>, Refusal> {
    if user_sig.is_empty() || user_sig.len() > TEXT_LIMIT {
        return Err(Refusal::Malformed("its length"));
    }
    let standard: String = user_sig
        .chars()
        .map(|c| match c {
            // Java's decoder takes a blank for `*` (section 9).
            '*' | ' ' => '+',
            '-' => '/',
            '_' => '=',
            other => other,
        })
        .collect();
    let packed = LENIENT.decode(standard).map_err(|_| Refusal::Malformed("not base64"))?;
    let mut json = Vec::new();
    ZlibDecoder::new(packed.as_slice())
        .take(JSON_LIMIT + 1)
        .read_to_end(&mut json)
        .map_err(|_| Refusal::Malformed("not zlib"))?;
    if json.len() as u64 > JSON_LIMIT {
        return Err(Refusal::Malformed("too long"));
    }
    match serde_json::from_slice(&json) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err(Refusal::Malformed("not a JSON object")),
    }
}

pub(super) fn encode(json: &Value) -> String {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to a Vec cannot go wrong.
    let _ = packer.write_all(json.to_string().as_bytes());
    let packed = packer.finish().unwrap_or_default();
    STANDARD
        .encode(packed)
        .chars()
        .map(|c| match c {
            '+' => '*',
            '/' => '-',
            '=' => '_',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_strictly() {
        for (text, value) in
            [("0", Some(0)), ("12", Some(12)), ("012", None), ("+1", None), (" 1", None), ("-1", None)]
        {
            assert_eq!(strict_number(text), value, "{text:?}");
        }
    }
}
