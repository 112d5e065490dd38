//! The table as people and programs are shown it.

use serde::Serialize;

use super::choice::Row;
use super::{DECODERS, ENCODERS, Proof, Quirk, level};
use crate::media::protocol::Video;

/// A row as `kiosk-media --inspect` and `kioskd doctor` show it.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// `encoder` or `decoder`.
    pub kind: &'static str,
    /// The element.
    pub element: &'static str,
    /// The package that brings it.
    pub package: &'static str,
    /// Whether it can be made here.
    pub installed: bool,
    /// Why not.
    pub why: Option<String>,
    /// Whether this code ever ran it.
    pub proof: Proof,
    /// What is known to go wrong with it, with its source.
    pub quirks: Vec<String>,
}

/// The table with what is installed; the fakes only when `video` names them.
#[must_use]
pub fn rows(video: &Video) -> Vec<Shown> {
    fn show<T: Row>(kind: &'static str, row: &T) -> Shown {
        let why = row.probe().err().map(|error| format!("{error:#}"));
        Shown {
            kind,
            element: row.element(),
            package: row.package(),
            installed: why.is_none(),
            why,
            proof: row.proof(),
            quirks: row.quirks().iter().map(Quirk::words).collect(),
        }
    }
    let named =
        |names: &[String], element: &str, fake: bool| !fake || names.iter().any(|name| name == element);
    let encoders = ENCODERS.iter().filter(|row| named(&video.encoders, row.element, row.is_fake()));
    let decoders = DECODERS.iter().filter(|row| named(&video.decoders, row.element, row.is_fake()));
    let encoders = encoders.map(|row| show("encoder", row));
    encoders.chain(decoders.map(|row| show("decoder", row))).collect()
}

/// The same for people.
#[must_use]
pub fn inspect() -> String {
    let line = |row: Shown| {
        let state = row.why.unwrap_or_else(|| "installed".into());
        let proof = if row.proof == Proof::Unverified { ", unverified" } else { "" };
        let quirks: String = row.quirks.iter().map(|quirk| format!("    {quirk}\n")).collect();
        format!("{} {}: {state}{proof}\n{quirks}", row.kind, row.element)
    };
    rows(&Video::default()).into_iter().map(line).collect()
}

impl Quirk {
    /// What it is, for people, with its source.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::LowestLevel(level, source) => {
                format!("gives nothing below level {} ({source})", level::name(*level))
            }
            Self::LowestFps(fps, source) => format!("hangs below {fps} frames a second ({source})"),
            Self::LowestKbps(kbps, source) => format!("hangs below {kbps} kbit/s ({source})"),
            Self::ShortestKeyInterval(frames, source) => {
                format!("hangs with less than {frames} frames from key frame to key frame ({source})")
            }
            Self::Sizes { width, height, source } => {
                format!("takes {}x{} to {}x{} ({source})", width.0, height.0, width.1, height.1)
            }
            Self::LinesInSixteens(source) => format!("makes 1088 lines of 1080 ({source})"),
            Self::OnlyKeyFrames(source) => format!("was seen to give key frames only ({source})"),
            Self::Hangs(source) => format!("was seen to hang ({source})"),
            Self::NotOn(board, source) => format!("not on {board} ({source})"),
            Self::Fake => "a fake that fails on purpose".into(),
        }
    }
}
