//! The lines of one SDP section, and what of them is of use.

use std::fmt::Write as _;

pub(super) const SDES_MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub(super) const TWCC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// The header extensions that are of use to a forwarding relay; all others are left out of the answer.
pub(super) const EXTENSIONS: [&str; 4] =
    [SDES_MID, TWCC, "urn:ietf:params:rtp-hdrext:ssrc-audio-level", "urn:3gpp:video-orientation"];

/// Attributes between two m-lines.
pub(super) struct Section<'a> {
    pub(super) media: &'a str,
    pub(super) proto: &'a str,
    pub(super) formats: Vec<&'a str>,
    pub(super) attributes: Vec<&'a str>,
}

impl<'a> Section<'a> {
    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        value(&self.attributes, name)
    }

    pub(super) fn mid(&self) -> Option<&'a str> {
        self.value("mid").filter(|mid| is_token(mid, 16))
    }

    pub(super) fn direction(&self) -> &'a str {
        let known = |a: &&&str| matches!(**a, "sendrecv" | "sendonly" | "recvonly" | "inactive");
        self.attributes.iter().find(known).copied().unwrap_or("sendrecv")
    }

    /// `pt → (name, clock, channels)` of every rtpmap whose payload type is in the m-line.
    pub(super) fn maps(&self) -> impl Iterator<Item = (u8, &'a str)> {
        self.attributes.iter().filter_map(|a| {
            let (pt, map) = a.strip_prefix("rtpmap:")?.split_once(' ')?;
            self.formats.contains(&pt).then_some((pt.parse().ok()?, map.trim()))
        })
    }

    pub(super) fn fmtp(&self, pt: u8) -> Option<&'a str> {
        self.attributes.iter().find_map(|a| {
            let (p, value) = a.strip_prefix("fmtp:")?.split_once(' ')?;
            (p.parse() == Ok(pt)).then_some(value.trim())
        })
    }

    pub(super) fn feedback(&self, pt: u8, kind: &str) -> bool {
        self.attributes.iter().any(|a| {
            let Some((p, value)) = a.strip_prefix("rtcp-fb:").and_then(|a| a.split_once(' ')) else {
                return false;
            };
            (p == "*" || p.parse() == Ok(pt)) && value.trim() == kind
        })
    }

    pub(super) fn rtx_of(&self, pt: u8) -> Option<u8> {
        self.maps().find_map(|(rtx, map)| {
            let is_rtx = map.to_ascii_lowercase().starts_with("rtx/");
            let apt = parameter(self.fmtp(rtx)?, "apt")?;
            (is_rtx && rtx != pt && usable(rtx) && apt.parse() == Ok(pt)).then_some(rtx)
        })
    }
}

/// Whether RTP with this payload type can be told from RTCP (RFC 5761 section 4).
pub(super) fn usable(pt: u8) -> bool {
    (96..=127).contains(&pt) || (35..=63).contains(&pt)
}

pub(super) fn value<'a>(attributes: &[&'a str], name: &str) -> Option<&'a str> {
    attributes.iter().find_map(|a| a.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

pub(super) fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';').find_map(|p| {
        let (key, value) = p.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

pub(super) fn is_token(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&b))
}

/// Whether `text` consists of ICE characters (RFC 8839 section 5.4).
pub(super) fn is_ice(text: &str, least: usize) -> bool {
    (least..=256).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/' || b == b'-' || b == b'_')
}

/// How gladly an H.264 payload type is taken: smaller is better, `None` is not taken.
///
/// Constrained baseline first because every board and browser has it (design section 4), packetization mode 1
/// before 0 because mode 0 cannot split a slice that is larger than a packet.
pub(super) fn h264_rank(fmtp: Option<&str>) -> Option<(u8, u8, Option<u32>)> {
    let fmtp = fmtp.unwrap_or_default();
    let mode = match parameter(fmtp, "packetization-mode") {
        None | Some("0") => 0,
        Some("1") => 1,
        Some(_) => return None,
    };
    let level = match parameter(fmtp, "profile-level-id") {
        Some(text) if text.len() == 6 => Some(u32::from_str_radix(text, 16).ok()?),
        Some(_) => return None,
        None => None,
    };
    // RFC 6184 section 8.1, table 5. Without the parameter it is baseline.
    let profile = match level.map(|l| ((l >> 16) as u8, (l >> 8) as u8)) {
        None => 1,
        Some((0x42, iop)) if iop & 0x4f == 0x40 => 0,
        Some((0x42, iop)) if iop & 0x4f == 0 => 1,
        Some((0x4d, iop)) if iop & 0x8f == 0x80 => 0,
        Some((0x4d, iop)) if iop & 0xaf == 0 => 2,
        Some((0x64, 0x0c)) => 3,
        Some((0x64, 0)) => 4,
        Some(_) => return None,
    };
    Some(((1 - mode) * 8 + profile, mode, level))
}

/// Splits an SDP into its session part and its sections; `None` if it is none.
pub(super) fn split(text: &str) -> Option<(Vec<&str>, Vec<Section<'_>>)> {
    let mut lines = text.lines().map(str::trim_end);
    if lines.next()? != "v=0" {
        return None;
    }
    let mut session = vec![];
    let mut sections: Vec<Section<'_>> = vec![];
    for line in lines {
        if let Some(m) = line.strip_prefix("m=") {
            let mut words = m.split_ascii_whitespace();
            let media = words.next()?;
            let _port = words.next()?;
            let proto = words.next()?;
            sections.push(Section { media, proto, formats: words.collect(), attributes: vec![] });
        } else if let Some(a) = line.strip_prefix("a=") {
            sections.last_mut().map_or(&mut session, |s| &mut s.attributes).push(a);
        }
    }
    Some((session, sections))
}

/// What is taken of a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) video: bool,
    pub(super) pt: u8,
    /// H.264 packetization mode.
    pub(super) mode: u8,
    /// H.264 profile-level-id, if the offer has one.
    pub(super) level: Option<u32>,
}

impl Choice {
    pub(super) fn of(section: &Section<'_>) -> Option<Self> {
        let maps = section.maps().filter(|(pt, _)| usable(*pt));
        match section.media {
            "audio" => maps
                // RFC 7587 wants "/2"; a webrtcbin that has not encoded yet leaves it out.
                .filter(|(_, map)| {
                    map.eq_ignore_ascii_case("opus/48000/2") || map.eq_ignore_ascii_case("opus/48000")
                })
                .map(|(pt, _)| Self { video: false, pt, mode: 0, level: None })
                .next(),
            "video" => maps
                .filter(|(_, map)| map.eq_ignore_ascii_case("H264/90000"))
                .filter_map(|(pt, _)| {
                    h264_rank(section.fmtp(pt)).map(|(rank, mode, level)| (rank, pt, mode, level))
                })
                .min_by_key(|(rank, ..)| *rank)
                .map(|(_, pt, mode, level)| Self { video: true, pt, mode, level }),
            _ => None,
        }
    }
}

pub(super) fn extension(attribute: &str) -> Option<(u8, &str)> {
    let (id, rest) = attribute.strip_prefix("extmap:")?.split_once(' ')?;
    let id = id.split('/').next()?.parse().ok().filter(|id| (1..=14).contains(id))?;
    let uri = rest.split_ascii_whitespace().next()?;
    EXTENSIONS.contains(&uri).then_some((id, uri))
}

/// The hex bytes of a SHA-256 fingerprint, if it is one.
pub(super) fn sha256(value: &str) -> Option<&str> {
    let (hash, bytes) = value.trim().split_once(' ')?;
    let good = hash.eq_ignore_ascii_case("sha-256")
        && bytes.split(':').count() == 32
        && bytes.split(':').all(|b| b.len() == 2 && b.bytes().all(|c| c.is_ascii_hexdigit()));
    good.then_some(bytes)
}

/// The publisher's announced SSRCs: the first, and its RTX partner. Written only as far as str0m should rely on them.
pub(super) fn sources(
    section: &Section<'_>,
    rtx: bool,
    by_mid: bool,
    out: &mut String,
) -> (Option<u32>, Option<u32>) {
    let mut ssrcs: Vec<u32> = vec![];
    for attribute in &section.attributes {
        let ssrc = attribute
            .strip_prefix("ssrc:")
            .and_then(|a| a.split_ascii_whitespace().next())
            .and_then(|n| n.parse().ok())
            .filter(|n| *n != 0);
        if let Some(ssrc) = ssrc
            && !ssrcs.contains(&ssrc)
            && ssrcs.len() < 8
        {
            ssrcs.push(ssrc);
        }
    }
    let pair = section.attributes.iter().find_map(|a| {
        let mut words = a.strip_prefix("ssrc-group:FID ")?.split_ascii_whitespace();
        Some((words.next()?.parse::<u32>().ok()?, words.next()?.parse::<u32>().ok()?))
    });
    let pair =
        pair.filter(|(main, repair)| rtx && main != repair && ssrcs.contains(main) && ssrcs.contains(repair));
    let (main, repair) =
        pair.map_or((ssrcs.first().copied(), None), |(main, repair)| (Some(main), Some(repair)));
    // An RTX payload type without announced pair: str0m finds both by mid and payload type.
    if let Some(main) = main.filter(|_| pair.is_some() || !rtx || !by_mid) {
        if let Some(repair) = repair {
            let _ = write!(out, "a=ssrc-group:FID {main} {repair}\r\na=ssrc:{repair} cname:p\r\n");
        }
        let _ = write!(out, "a=ssrc:{main} cname:p\r\n");
    }
    (main, repair)
}

/// A section with port 0 (RFC 3264 section 6).
pub(super) fn refusal(section: &Section<'_>) -> String {
    let word = |text: &str| text.chars().filter(char::is_ascii_graphic).take(32).collect::<String>();
    let format = section.formats.first().map_or_else(|| "0".to_owned(), |f| word(f));
    let mut text = format!(
        "m={} 0 {} {format}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n",
        word(section.media),
        word(section.proto)
    );
    if let Some(mid) = section.mid() {
        let _ = write!(text, "a=mid:{mid}\r\n");
    }
    text
}
