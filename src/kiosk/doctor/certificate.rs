//! When a certificate expires: the one field that is wanted of it, read from its DER. The TLS library has verified the
//! certificate; this only looks.

use crate::room::ticket;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, the version, which may be left out.
const VERSION: u8 = 0xa0;

/// `notAfter` in unix seconds (RFC 5280, sections 4.1 and 4.1.2.5); `None` if it cannot be found.
#[must_use]
pub fn expires(der: &[u8]) -> Option<u64> {
    let (SEQUENCE, certificate, _) = element(der)? else { return None };
    let (SEQUENCE, mut rest, _) = element(certificate)? else { return None };
    if let (VERSION, _, after) = element(rest)? {
        rest = after;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (SEQUENCE, validity, _) = element(rest)? else { return None };
    let (kind, text, _) = element(element(validity)?.2)?;
    time(kind, std::str::from_utf8(text).ok()?)
}

/// A DER element: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn time(kind: u8, text: &str) -> Option<u64> {
    let (year, rest) = match kind {
        // RFC 5280, section 4.1.2.5.1: from 50 on it is the last century.
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: u64 = year.parse().ok()?;
            (if year >= 50 { 1900 + year } else { 2000 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let field = |at: usize| rest.get(at..at + 2);
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.get(field(0)?.parse::<usize>().ok()?.checked_sub(1)?)?;
    let (day, hour, minute, second) = (field(2)?, field(4)?, field(6)?, field(8)?);
    ticket::http_date(&format!("x, {day} {month} {year} {hour}:{minute}:{second} GMT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut der = vec![tag, 0x82];
        der.extend((content.len() as u16).to_be_bytes());
        der.extend(content);
        der
    }

    fn certificate(version: bool, kind: u8, not_after: &str) -> Vec<u8> {
        let times = [wrap(UTC_TIME, b"240101000000Z"), wrap(kind, not_after.as_bytes())].concat();
        let body = [
            if version { wrap(VERSION, &[2, 1, 2]) } else { Vec::new() },
            vec![2, 1, 5],
            wrap(SEQUENCE, b"algorithm"),
            wrap(SEQUENCE, b"issuer"),
            wrap(SEQUENCE, &times),
            wrap(SEQUENCE, b"subject and the rest"),
        ];
        wrap(SEQUENCE, &wrap(SEQUENCE, &body.concat()))
    }

    #[test]
    fn both_kinds_of_time_are_read() {
        assert_eq!(expires(&certificate(true, UTC_TIME, "261122214105Z")), Some(1_795_383_665));
        assert_eq!(expires(&certificate(false, GENERALIZED_TIME, "20261122214105Z")), Some(1_795_383_665));
        assert_eq!(ticket::http_date("Sun, 22 Nov 2026 21:41:05 GMT"), Some(1_795_383_665));
    }

    #[test]
    fn what_is_cut_off_or_no_certificate_is_nothing_and_no_panic() {
        let whole = certificate(true, UTC_TIME, "261122214105Z");
        for end in 0..whole.len() {
            assert_eq!(expires(&whole[..end]), None, "{end}");
        }
        for odd in [&b"-----BEGIN"[..], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0x30, 0x80, 0, 0]] {
            assert_eq!(expires(odd), None);
        }
        assert_eq!(expires(&certificate(true, UTC_TIME, "269922214105Z")), None);
        assert_eq!(expires(&certificate(true, UTC_TIME, "\u{e9}\u{e9}22214105Z")), None);
    }
}
