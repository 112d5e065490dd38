//! The SDP offer of a WHIP or WHEP client, read with suspicion.
//!
//! Browsers, GStreamer and OBS write offers that differ in everything the relay does not care about. So the
//! offer is read leniently, one H.264 and one Opus payload type are chosen, and str0m is given a small
//! SDP written here, in which nothing is left that it could stumble over (candidates included: an ICE-lite
//! agent learns the peer's addresses from its checks). The answer that comes back gets the refused m-lines put in again.

use std::fmt::Write as _;

use str0m::format::{Codec, CodecConfig, FormatParams};
use str0m::media::{Frequency, Mid, Pt};

use super::section::{Choice, SDES_MID, Section, extension, is_ice, refusal, sha256, sources, split, value};

/// The largest SDP that is read.
pub(super) const MAX_SDP: usize = 64 * 1024;
/// More m-lines than any client of ours makes.
const MAX_SECTIONS: usize = 16;

/// What the client of a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends media to the relay (WHIP).
    Publisher,
    /// Receives media from the relay (WHEP).
    Player,
}

/// Why an offer is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Bad {
    #[error("the offer is {0} bytes long, the limit is 65536")]
    TooLong(usize),
    #[error("the offer does not begin with v=0")]
    NotSdp,
    #[error("the offer has more than 16 m-lines")]
    TooManySections,
    #[error("the offer has no usable a={0}")]
    Missing(&'static str),
    #[error("the offer has several m-lines but no a=group:BUNDLE; use bundle-policy max-bundle")]
    NotBundled,
    #[error("the offer has no audio or video m-line with H.264 or Opus in the right direction ({0})")]
    NothingUsable(&'static str),
    #[error("the offer is not accepted: {0}")]
    Refused(String),
}

/// One chosen media section.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) mid: Mid,
    pub(super) pt: u8,
    pub(super) rtx: Option<u8>,
    pub(super) nack: bool,
    pub(super) pli: bool,
    pub(super) fir: bool,
    /// A publisher's packets say to which section they belong; without it they are known by SSRC or payload type.
    pub(super) by_mid: bool,
    /// The SSRC that a publisher announced.
    pub(super) ssrc: Option<u32>,
    /// The SSRC it announced for resends.
    pub(super) rtx_ssrc: Option<u32>,
}

/// What was made of an offer.
#[derive(Debug)]
pub(super) struct Plan {
    /// The SDP for str0m.
    pub(super) sdp: String,
    pub(super) codecs: CodecConfig,
    pub(super) audio: Option<Track>,
    pub(super) video: Option<Track>,
    /// The ICE user fragment of the client.
    pub(super) ufrag: String,
    /// In the offer's order: an accepted mid, or the text of a refused section.
    layout: Vec<Slot>,
    /// H.264 parameters that str0m answers with though the offer was silent about them: text in the answer, and what it becomes.
    unsaid: Option<(String, String)>,
}

#[derive(Debug)]
enum Slot {
    Accepted(String),
    Refused(String),
}

impl Plan {
    /// Reads an offer and decides what of it is taken.
    pub(super) fn make(text: &str, role: Role) -> Result<Self, Bad> {
        if text.len() > MAX_SDP {
            return Err(Bad::TooLong(text.len()));
        }
        let (session, sections) = split(text).ok_or(Bad::NotSdp)?;
        if sections.len() > MAX_SECTIONS {
            return Err(Bad::TooManySections);
        }
        let common = |name: &'static str| {
            value(&session, name)
                .or_else(|| sections.iter().find_map(|s| s.value(name)))
                .ok_or(Bad::Missing(name))
        };
        let ufrag = common("ice-ufrag")?;
        let pwd = common("ice-pwd")?;
        if !is_ice(ufrag, 4) {
            return Err(Bad::Missing("ice-ufrag"));
        }
        if !is_ice(pwd, 22) {
            return Err(Bad::Missing("ice-pwd"));
        }
        let setup @ ("actpass" | "active" | "passive") = common("setup")? else {
            return Err(Bad::Missing("setup"));
        };
        let fingerprint = session
            .iter()
            .chain(sections.iter().flat_map(|s| s.attributes.iter()))
            .find_map(|a| sha256(a.strip_prefix("fingerprint:")?))
            .ok_or(Bad::Missing("fingerprint:sha-256"))?;
        let bundled: Vec<&str> = session
            .iter()
            .find_map(|a| a.strip_prefix("group:BUNDLE"))
            .map(|mids| mids.split_ascii_whitespace().collect())
            .unwrap_or_default();
        if sections.len() > 1 && bundled.is_empty() {
            return Err(Bad::NotBundled);
        }

        let mut plan = Self {
            sdp: String::new(),
            codecs: CodecConfig::empty(),
            audio: None,
            video: None,
            ufrag: ufrag.to_owned(),
            layout: vec![],
            unsaid: None,
        };
        let mut taken = Taken::default();
        let mut body = String::new();
        let choices: Vec<Option<Choice>> = sections
            .iter()
            .map(|section| {
                let mid = section.mid()?;
                let in_bundle = sections.len() == 1 || bundled.contains(&mid);
                let wanted = match role {
                    Role::Publisher => matches!(section.direction(), "sendrecv" | "sendonly"),
                    Role::Player => matches!(section.direction(), "sendrecv" | "recvonly"),
                };
                // Main payload types first: a resend type that collides with one of them is the one to lose
                // (webrtcbin 1.22 hands out the same number twice).
                let usable = in_bundle && wanted && section.proto == "UDP/TLS/RTP/SAVPF" && taken.mid(mid);
                Choice::of(section).filter(|choice| usable && taken.kind(choice.video) && taken.pt(choice.pt))
            })
            .collect();
        for (section, choice) in sections.iter().zip(choices) {
            let slot = match choice.zip(section.mid()) {
                Some((choice, mid)) => {
                    plan.take(section, choice, mid, role, &mut taken, &mut body);
                    // Credentials and fingerprint in each section, as bundled offers carry them.
                    let _ = write!(
                        body,
                        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=fingerprint:sha-256 {fingerprint}\r\n\
                         a=setup:{setup}\r\n"
                    );
                    Slot::Accepted(mid.to_owned())
                }
                None => Slot::Refused(refusal(section)),
            };
            plan.layout.push(slot);
        }
        if plan.audio.is_none() && plan.video.is_none() {
            return Err(Bad::NothingUsable(match role {
                Role::Publisher => "a publisher offers sendonly",
                Role::Player => "a player offers recvonly",
            }));
        }
        let mids: Vec<&str> = plan.accepted().collect();
        plan.sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n{body}",
            mids.join(" ")
        );
        Ok(plan)
    }

    fn accepted(&self) -> impl Iterator<Item = &str> {
        self.layout.iter().filter_map(|slot| match slot {
            Slot::Accepted(mid) => Some(mid.as_str()),
            Slot::Refused(_) => None,
        })
    }

    /// Takes the section as chosen, and writes it.
    fn take(
        &mut self,
        section: &Section<'_>,
        choice: Choice,
        mid: &str,
        role: Role,
        taken: &mut Taken,
        out: &mut String,
    ) {
        let Choice { video, pt, mode, level, .. } = choice;
        let rtx = section.rtx_of(pt).filter(|rtx| video && taken.pt(*rtx));
        let (nack, pli, fir) =
            (section.feedback(pt, "nack"), section.feedback(pt, "nack pli"), section.feedback(pt, "ccm fir"));
        let media = if video { "video" } else { "audio" };
        let map = if video { "H264/90000" } else { "opus/48000/2" };
        let direction = if role == Role::Publisher { "sendonly" } else { "recvonly" };
        let _ = write!(out, "m={media} 9 UDP/TLS/RTP/SAVPF {pt}");
        if let Some(rtx) = rtx {
            let _ = write!(out, " {rtx}");
        }
        let _ = write!(out, "\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\n");
        let mut by_mid = false;
        for (id, uri) in section.attributes.iter().filter_map(|a| extension(a)) {
            if taken.extension(id, uri) {
                by_mid |= uri == SDES_MID;
                let _ = write!(out, "a=extmap:{id} {uri}\r\n");
            }
        }
        let _ = write!(out, "a=rtpmap:{pt} {map}\r\n");
        for kind in ["nack", "nack pli", "ccm fir", "goog-remb", "transport-cc"] {
            if section.feedback(pt, kind) {
                let _ = write!(out, "a=rtcp-fb:{pt} {kind}\r\n");
            }
        }
        let (clock, channels, format);
        if video {
            let profile = level.unwrap_or(0x42_00_1f);
            let _ = write!(out, "a=fmtp:{pt} level-asymmetry-allowed=1;packetization-mode={mode}");
            if level.is_some() {
                let _ = write!(out, ";profile-level-id={profile:06x}");
            } else {
                // A webrtcbin whose encoder has not run yet: what it is told that it did not say may not fit what comes out.
                let said = format!(
                    "a=fmtp:{pt} level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile:06x}\r\n"
                );
                let instead = section.fmtp(pt).map(|_| format!("a=fmtp:{pt} packetization-mode={mode}\r\n"));
                self.unsaid = Some((said, instead.unwrap_or_default()));
            }
            out.push_str("\r\n");
            format = FormatParams {
                level_asymmetry_allowed: Some(true),
                packetization_mode: Some(mode),
                profile_level_id: Some(profile),
                ..FormatParams::default()
            };
            (clock, channels) = (Frequency::NINETY_KHZ, None);
        } else {
            let _ = write!(out, "a=fmtp:{pt} minptime=10;useinbandfec=1\r\n");
            format =
                FormatParams { min_p_time: Some(10), use_inband_fec: Some(true), ..FormatParams::default() };
            (clock, channels) = (Frequency::FORTY_EIGHT_KHZ, Some(2));
        }
        if let Some(rtx) = rtx {
            let _ = write!(out, "a=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={pt}\r\n");
        }
        let codec = if video { Codec::H264 } else { Codec::Opus };
        self.codecs.add_config(pt.into(), rtx.map(Pt::from), codec, clock, channels, format);
        if let Some(params) = self.codecs.last_mut() {
            params.set_fb_nack(video && nack);
            params.set_fb_pli(video && pli);
            params.set_fb_fir(video && fir);
            params.set_fb_remb(section.feedback(pt, "goog-remb"));
            params.set_fb_transport_cc(section.feedback(pt, "transport-cc"));
        }
        let (ssrc, rtx_ssrc) =
            if role == Role::Publisher { sources(section, rtx.is_some(), by_mid, out) } else { (None, None) };
        let track = Track { mid: Mid::from(mid), pt, rtx, nack, pli, fir, by_mid, ssrc, rtx_ssrc };
        if video { self.video = Some(track) } else { self.audio = Some(track) }
    }

    /// Puts the refused m-lines back into str0m's answer, in the offer's order.
    pub(super) fn complete(&self, answer: &str) -> String {
        let mut parts = answer.split("\r\nm=");
        let mut out = String::with_capacity(answer.len() + 256);
        out.push_str(parts.next().unwrap_or_default());
        out.push_str("\r\n");
        for slot in &self.layout {
            match slot {
                Slot::Accepted(_) => {
                    // str0m keeps the order of the sections it was given.
                    if let Some(part) = parts.next() {
                        out.push_str("m=");
                        out.push_str(part.trim_end_matches("\r\n"));
                        out.push_str("\r\n");
                        if part.contains("a=candidate:") {
                            out.push_str("a=end-of-candidates\r\n");
                        }
                    }
                }
                Slot::Refused(text) => out.push_str(text),
            }
        }
        if let Some((said, instead)) = &self.unsaid {
            out = out.replace(said, instead);
        }
        // str0m gives each section a stream of its own, but browsers keep lips and voice together only within one.
        let mut streams = answer
            .lines()
            .find_map(|line| line.strip_prefix("a=msid-semantic: WMS "))
            .unwrap_or_default()
            .split_ascii_whitespace();
        if let Some(first) = streams.next() {
            for other in streams {
                out = out.replace(&format!(" {other}\r\n"), "\r\n").replace(other, first);
            }
        }
        out
    }
}

/// Payload types and extension numbers that are in use: a number has one meaning in a bundle.
#[derive(Default)]
struct Taken {
    mids: Vec<String>,
    audio: bool,
    video: bool,
    payloads: Vec<u8>,
    extensions: Vec<(u8, String)>,
}

impl Taken {
    fn mid(&mut self, mid: &str) -> bool {
        let free = self.mids.iter().all(|m| m != mid);
        if free {
            self.mids.push(mid.to_owned());
        }
        free
    }

    /// One section of each kind.
    fn kind(&mut self, video: bool) -> bool {
        !std::mem::replace(if video { &mut self.video } else { &mut self.audio }, true)
    }

    fn pt(&mut self, pt: u8) -> bool {
        let free = !self.payloads.contains(&pt);
        if free {
            self.payloads.push(pt);
        }
        free
    }

    fn extension(&mut self, id: u8, uri: &str) -> bool {
        if let Some((known, _)) = self.extensions.iter().find(|(_, u)| u == uri) {
            return *known == id;
        }
        let free = self.extensions.iter().all(|(known, _)| *known != id);
        if free {
            self.extensions.push((id, uri.to_owned()));
        }
        free
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::section::h264_rank;
    use super::*;

    const CHROMIUM: &str = "v=0\r\no=- 461 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\n\
a=msid-semantic: WMS x\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
a=candidate:1 1 udp 2113937151 a1b2.local 41000 typ host generation 0\r\n\
a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=ice-options:trickle\r\n\
a=fingerprint:sha-256 AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99\r\n\
a=setup:actpass\r\na=mid:0\r\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
a=sendrecv\r\na=msid:x y\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\n\
a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\n\
m=video 9 UDP/TLS/RTP/SAVPF 96 97 103 104 109 114 39 40\r\nb=AS:2000\r\nb=TIAS:2000000\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
a=setup:actpass\r\na=mid:1\r\na=extmap:14 urn:ietf:params:rtp-hdrext:toffset\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\na=sendonly\r\na=rtcp-mux\r\n\
a=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:103 H264/90000\r\na=rtcp-fb:103 nack\r\n\
a=fmtp:103 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f\r\na=rtpmap:104 rtx/90000\r\na=fmtp:104 apt=103\r\n\
a=rtpmap:109 H264/90000\r\na=rtcp-fb:109 nack\r\na=rtcp-fb:109 nack pli\r\na=rtcp-fb:109 goog-remb\r\n\
a=fmtp:109 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\na=rtpmap:114 rtx/90000\r\na=fmtp:114 apt=109\r\n\
a=rtpmap:39 H264/90000\r\na=fmtp:39 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f\r\n\
a=rtpmap:40 rtx/90000\r\na=fmtp:40 apt=39\r\na=ssrc-group:FID 11 12\r\na=ssrc:11 cname:c\r\na=ssrc:12 cname:c\r\n";

    #[test]
    fn a_browsers_offer_yields_constrained_baseline_with_resends_and_opus() {
        let plan = Plan::make(CHROMIUM, Role::Publisher).unwrap();
        let (audio, video) = (plan.audio.as_ref().unwrap(), plan.video.as_ref().unwrap());
        assert_eq!((audio.pt, video.pt, video.rtx), (111, 109, Some(114)));
        assert!(video.nack && video.pli && !video.fir && video.by_mid);
        assert_eq!((video.ssrc, video.rtx_ssrc), (Some(11), Some(12)));
        for absent in ["candidate", "VP8", "toffset", "a1b2", "b=", "sendrecv"] {
            assert!(!plan.sdp.contains(absent), "{absent} in\n{}", plan.sdp);
        }
    }

    #[test]
    fn every_profile_that_boards_offer_is_taken_and_the_best_first() {
        let rank = |fmtp: &str| h264_rank(Some(fmtp)).map(|(rank, ..)| rank);
        let order = [
            "packetization-mode=1;profile-level-id=42e01f",
            "packetization-mode=1;profile-level-id=42001f",
            "packetization-mode=1;profile-level-id=4d0028",
            "packetization-mode=1;profile-level-id=640c1f",
            "packetization-mode=1;profile-level-id=64001f",
            "packetization-mode=0;profile-level-id=42e01f",
            "profile-level-id=4D001F",
        ];
        let ranks: Vec<u8> = order.map(|fmtp| rank(fmtp).unwrap()).into();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
        assert_eq!(
            rank("profile-level-id=42c01e;packetization-mode=1"),
            Some(0),
            "x264 and openh264 write 42c0"
        );
        assert!(rank("").is_some(), "webrtcbin before its encoder ran");
        for bad in [
            "packetization-mode=2",
            "profile-level-id=f4001f",
            "profile-level-id=zz",
            "profile-level-id=+2e01f",
        ] {
            assert_eq!(rank(bad), None, "{bad}");
        }
    }

    #[test]
    fn refused_sections_keep_their_place_in_the_answer() {
        let offer = format!(
            "{}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n",
            CHROMIUM.replace("BUNDLE 0 1", "BUNDLE 0 1 2").replace("opus/48000", "speex/16000")
        );
        let plan = Plan::make(&offer, Role::Publisher).unwrap();
        let answer = plan.complete("v=0\r\nt=0 0\r\nm=video 9 X 109\r\na=mid:1\r\na=candidate:1\r\n");
        let sections: Vec<&str> = answer.lines().filter(|l| l.starts_with("m=")).collect();
        assert_eq!(
            sections,
            [
                "m=audio 0 UDP/TLS/RTP/SAVPF 111",
                "m=video 9 X 109",
                "m=application 0 UDP/DTLS/SCTP webrtc-datachannel"
            ]
        );
    }

    #[test]
    fn picture_and_sound_belong_to_one_stream() {
        let plan = Plan::make(&CHROMIUM.replace("sendonly", "recvonly"), Role::Player).unwrap();
        let answer = plan.complete(
            "v=0\r\na=msid-semantic: WMS one two\r\nm=audio 9 X 111\r\na=msid:one x\r\nm=video 9 X 109\r\na=msid:two y\r\na=ssrc:1 msid:two y\r\n",
        );
        assert!(
            answer.contains("WMS one\r\n") && answer.contains("a=msid:one y") && !answer.contains("two"),
            "{answer}"
        );
    }

    #[test]
    fn a_resend_type_yields_to_a_main_type_of_the_same_number() {
        let offer = CHROMIUM.replace("114", "111");
        let plan = Plan::make(&offer, Role::Publisher).unwrap();
        assert_eq!(plan.audio.unwrap().pt, 111);
        assert_eq!(plan.video.unwrap().rtx, None);
    }

    #[test]
    fn refusals_name_what_is_missing() {
        let make =
            |from: &str, to: &str| Plan::make(&CHROMIUM.replace(from, to), Role::Publisher).unwrap_err();
        assert_eq!(make("a=group:BUNDLE 0 1\r\n", ""), Bad::NotBundled);
        assert_eq!(make("sha-256", "sha-1"), Bad::Missing("fingerprint:sha-256"));
        assert_eq!(make("a=setup:actpass\r\n", ""), Bad::Missing("setup"));
        assert_eq!(make("0123456789012345678901", "short"), Bad::Missing("ice-pwd"));
        assert_eq!(make("v=0", "v=1"), Bad::NotSdp);
        assert!(matches!(Plan::make(&"x".repeat(MAX_SDP + 1), Role::Player), Err(Bad::TooLong(_))));
    }

    proptest! {
        #[test]
        fn no_offer_panics(text in "\\PC*") {
            let _ = Plan::make(&text, Role::Publisher);
        }

        #[test]
        fn no_shuffled_offer_panics(order in proptest::collection::vec(0usize..80, 0..120), role in any::<bool>()) {
            let lines: Vec<&str> = CHROMIUM.lines().collect();
            let text: Vec<&str> = order.iter().map(|i| lines[i % lines.len()]).collect();
            let role = if role { Role::Publisher } else { Role::Player };
            let _ = Plan::make(&format!("v=0\r\n{}\r\n", text.join("\r\n")), role);
        }
    }
}
