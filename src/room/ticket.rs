//! What a ticket (userSig) says about itself, without judging it: the server does that.

use std::io::Read;

use base64::Engine as _;

/// More than any ticket; what inflates to more is none.
const MOST: u64 = 4096;

/// What a ticket says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Whose it is.
    pub user: Option<String>,
    /// Since when it is good, unix seconds.
    pub issued: u64,
    /// Until when.
    pub expires: u64,
}

/// What `user_sig` says of itself, if it can be read at all (section 9; v1 writes texts, v2 numbers).
#[must_use]
pub fn claims(user_sig: &str) -> Option<Claims> {
    let base64 = user_sig.trim().replace(['*', ' '], "+").replace('-', "/").replace('_', "=");
    let packed = base64::engine::general_purpose::STANDARD.decode(base64).ok()?;
    let mut json = Vec::new();
    flate2::read::ZlibDecoder::new(&packed[..]).take(MOST).read_to_end(&mut json).ok()?;
    let ticket: serde_json::Value = serde_json::from_slice(&json).ok()?;
    let number = |name: &str| {
        let value = ticket.get(name)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    let life = number("TLS.expire").or_else(|| number("TLS.expire_after"))?;
    let issued = number("TLS.time")?;
    let user = ticket.get("TLS.identifier").and_then(|user| user.as_str()).map(str::to_owned);
    Some(Claims { user, issued, expires: issued.checked_add(life)? })
}

/// Unix seconds of an HTTP date such as `Sun, 22 Nov 2026 21:41:05 GMT`.
#[must_use]
pub fn http_date(text: &str) -> Option<u64> {
    let mut words = text.split_ascii_whitespace().skip(1);
    let day: u64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| *name == month)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..3000).contains(year))?;
    let mut time = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (time.next()??, time.next()??, time.next()??);
    // Days since 1970-01-01, counting years from March so that the leap day comes last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A ticket that nobody signed.
    pub(crate) fn made(user: &str, time: u64, life: u64) -> String {
        pack(&format!(
            r#"{{"TLS.ver":"2.0","TLS.identifier":"{user}","TLS.time":{time},"TLS.expire":{life}}}"#
        ))
    }

    fn pack(json: &str) -> String {
        use std::io::Write as _;
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(json.as_bytes()).expect("writing to memory");
        let packed =
            base64::engine::general_purpose::STANDARD.encode(zlib.finish().expect("writing to memory"));
        packed.replace('+', "*").replace('/', "-").replace('=', "_")
    }

    #[test]
    fn both_kinds_of_ticket_tell_when_they_expire() {
        let expires_unix = |text: &str| claims(text).map(|claims| claims.expires);
        assert_eq!(expires_unix(&pack(r#"{"TLS.time":"1000","TLS.expire_after":"86400"}"#)), Some(87_400));
        assert_eq!(expires_unix(&pack(r#"{"TLS.ver":"2.0","TLS.time":1000,"TLS.expire":60}"#)), Some(1060));
        for none in ["", "x", "eJw*", &pack("[]"), &pack(r#"{"TLS.time":1}"#)] {
            assert_eq!(expires_unix(none), None, "{none}");
        }
    }

    #[test]
    fn http_dates_are_unix_seconds() {
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(http_date("yesterday"), None);
    }
}
