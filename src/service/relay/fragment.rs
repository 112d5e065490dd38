//! `application/trickle-ice-sdpfrag` (RFC 8840), as far as an ICE-lite relay needs it.

use super::section::is_ice;

/// The largest fragment that is read.
pub(super) const MAX_FRAGMENT: usize = 16 * 1024;

/// What a client's fragment says. Its candidates are not kept: the relay learns addresses from checks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    pub(super) ufrag: &'a str,
    pub(super) pwd: &'a str,
}

impl<'a> Fragment<'a> {
    /// Reads a fragment, or says what is wrong with it.
    pub(super) fn parse(text: &'a str) -> Result<Self, &'static str> {
        if text.len() > MAX_FRAGMENT {
            return Err("the fragment is longer than 16 KiB");
        }
        let attribute = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        let ufrag = attribute("ice-ufrag")
            .filter(|u| is_ice(u, 4))
            .ok_or("the fragment has no usable a=ice-ufrag")?;
        let pwd =
            attribute("ice-pwd").filter(|p| is_ice(p, 22)).ok_or("the fragment has no usable a=ice-pwd")?;
        Ok(Self { ufrag, pwd })
    }
}

/// The fragment that answers an ICE restart.
pub(super) fn restarted(ufrag: &str, pwd: &str) -> String {
    format!("a=ice-lite\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_found_among_candidates() {
        let text = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n\
                    a=mid:0\r\na=candidate:1 1 UDP 2122 192.0.2.1 61764 typ host\r\na=end-of-candidates\r\n";
        let fragment = Fragment::parse(text).unwrap();
        assert_eq!(fragment, Fragment { ufrag: "EsAw", pwd: "P2uYro0UCOQ4zxjKXaWCBui1" });
        assert!(Fragment::parse("a=ice-ufrag:EsAw\r\n").is_err());
        assert!(Fragment::parse("a=ice-ufrag:Es Aw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1").is_err());
    }
}
