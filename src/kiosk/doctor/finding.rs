//! What was found about a part, and how it is written down. No I/O.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A finding's text is no longer than this: some of it comes from servers and drivers.
const MOST_TEXT: usize = 600;

/// What is checked, in the order it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// `kioskd.toml`, the board file, and the files they name.
    Config,
    /// What the board file leaves open.
    Board,
    /// Whether a `kioskd` runs here, and how it is.
    Kioskd,
    /// The ticket and when it expires.
    Ticket,
    /// Who may read what, and whether devices may be opened.
    Permissions,
    /// The state directory.
    Disk,
    /// RoomService answers, and takes the login.
    Server,
    /// The server's certificate.
    Tls,
    /// This board's clock against the server's.
    Clock,
    /// Whether we may use our room.
    Room,
    /// The button.
    Button,
    /// The lamp.
    Lamp,
    /// The door switch.
    Tamper,
    /// The program that does media.
    Worker,
    /// The H.264 encoder.
    Encoder,
    /// The H.264 decoder.
    Decoder,
    /// The camera.
    Camera,
    /// The microphone.
    Microphone,
    /// The speaker.
    Speaker,
    /// The screen.
    Screen,
    /// The way of media to the relay and back.
    Relay,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Config => "config",
            Self::Board => "board file",
            Self::Kioskd => "kioskd",
            Self::Ticket => "ticket",
            Self::Permissions => "permissions",
            Self::Disk => "disk",
            Self::Server => "server",
            Self::Tls => "TLS",
            Self::Clock => "clock",
            Self::Room => "room",
            Self::Button => "button",
            Self::Lamp => "lamp",
            Self::Tamper => "door switch",
            Self::Worker => "media worker",
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
            Self::Camera => "camera",
            Self::Microphone => "microphone",
            Self::Speaker => "speaker",
            Self::Screen => "screen",
            Self::Relay => "relay UDP",
        })
    }
}

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It works, or the board has none.
    Ok,
    /// It could not be tried without harm, or something else has to work first.
    Skip,
    /// It works, and soon may not; or not all of it does.
    Warn,
    /// It does not work.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        })
    }
}

/// What was found about one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The part.
    pub part: Part,
    /// How it is.
    pub verdict: Verdict,
    /// What there is, or what is wrong.
    pub detail: String,
    /// What to do; empty when there is nothing to be done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cure: String,
}

impl Finding {
    /// With words of ours.
    pub fn new(part: Part, verdict: Verdict, detail: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { part, verdict, detail: line(&detail.into()), cure: line(&cure.into()) }
    }

    /// It works, or there is none.
    pub fn ok(part: Part, detail: impl Into<String>) -> Self {
        Self::new(part, Verdict::Ok, detail, "")
    }

    /// It was not tried.
    pub fn skip(part: Part, why: impl Into<String>) -> Self {
        Self::new(part, Verdict::Skip, why, "")
    }

    /// It does not work.
    pub fn fail(part: Part, detail: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::new(part, Verdict::Fail, detail, cure)
    }

    /// From a sentence of the program's: what is wrong, a semicolon, what cures it.
    #[must_use]
    pub fn told(part: Part, verdict: Verdict, sentence: &str) -> Self {
        match sentence.rsplit_once("; ") {
            Some((detail, cure)) => Self::new(part, verdict, detail, cure),
            None => Self::new(part, verdict, sentence, ""),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<4} {}: {}", self.verdict, self.part, self.detail)?;
        if self.cure.is_empty() { Ok(()) } else { write!(f, "; {}", self.cure) }
    }
}

/// One line, without what a terminal would obey, and no longer than a person reads.
fn line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_TEXT).collect()
}

/// The worst of them.
#[must_use]
pub fn worst(findings: &[Finding]) -> Verdict {
    findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok)
}

/// 0: nothing is wrong. 1: there are warnings. 2: something does not work.
#[must_use]
pub fn exit_code(findings: &[Finding]) -> u8 {
    match worst(findings) {
        Verdict::Ok | Verdict::Skip => 0,
        Verdict::Warn => 1,
        Verdict::Fail => 2,
    }
}

/// The last line, for people.
#[must_use]
pub fn summary(findings: &[Finding]) -> String {
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (fail, warn, skip) = (count(Verdict::Fail), count(Verdict::Warn), count(Verdict::Skip));
    if fail + warn + skip == 0 {
        return format!("all {} parts are well", findings.len());
    }
    format!("{fail} do not work, {warn} warnings, {skip} not tried, {} well", count(Verdict::Ok))
}

/// All of it, for programs.
#[must_use]
pub fn json(findings: &[Finding]) -> serde_json::Value {
    serde_json::json!({
        "verdict": worst(findings),
        "exit_code": exit_code(findings),
        "findings": findings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(verdicts: &[Verdict]) -> Vec<Finding> {
        verdicts.iter().map(|verdict| Finding::new(Part::Disk, *verdict, "x", "y")).collect()
    }

    #[test]
    fn a_finding_is_one_line_that_says_what_is_wrong_and_what_to_do() {
        let bad = Finding::fail(Part::Relay, "no answer\nfrom 10.0.0.1", "open UDP port 8443");
        assert_eq!(bad.to_string(), "FAIL relay UDP: no answer from 10.0.0.1; open UDP port 8443");
        assert_eq!(Finding::ok(Part::Lamp, "none").to_string(), "ok   lamp: none");
        let told = Finding::told(Part::Camera, Verdict::Fail, "there is none: a; b; plug it in");
        assert_eq!((told.detail.as_str(), told.cure.as_str()), ("there is none: a; b", "plug it in"));
        let escape = Finding::fail(Part::Server, "\u{1b}[2J".to_owned() + &"x".repeat(5000), "");
        assert!(escape.to_string().len() < 700 && !escape.to_string().contains('\u{1b}'));
    }

    #[test]
    fn the_exit_code_is_that_of_the_worst() {
        assert_eq!(exit_code(&[]), 0);
        assert_eq!(exit_code(&with(&[Verdict::Ok, Verdict::Skip])), 0);
        assert_eq!(exit_code(&with(&[Verdict::Warn, Verdict::Skip])), 1);
        assert_eq!(exit_code(&with(&[Verdict::Warn, Verdict::Fail, Verdict::Ok])), 2);
        assert_eq!(summary(&with(&[Verdict::Ok, Verdict::Ok])), "all 2 parts are well");
        let mixed = summary(&with(&[Verdict::Warn, Verdict::Fail, Verdict::Ok, Verdict::Skip]));
        assert_eq!(mixed, "1 do not work, 1 warnings, 1 not tried, 1 well");
    }

    #[test]
    fn programs_read_the_same_as_people() {
        let findings = with(&[Verdict::Fail]);
        let json = json(&findings);
        assert_eq!(json["verdict"], "fail");
        assert_eq!(json["exit_code"], 2);
        assert_eq!(json["findings"][0]["part"], "disk");
        let back: Vec<Finding> = serde_json::from_value(json["findings"].clone()).expect("findings");
        assert_eq!(back, findings);
    }
}
