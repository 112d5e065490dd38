//! The table of H.264 encoders and decoders, and how each is set.
//!
//! A row says what differs between elements: property and unit of the bitrate, how a key frame is asked for, the
//! settings of a low-latency baseline stream, the memory it takes and what has to stand before it, what is known to go
//! wrong with it, and whether this code ever ran it. Every fact carries where it is written: a public source file with
//! its line, or an issue. Settings are probed on the element, never assumed from a version: one that an element does
//! not have is passed over.
//!
//! Rows are tried from the top, hardware before software; [`Video`] may name another order. A row whose plugin or
//! device is missing is passed over without a word unless the board file named it.
//!
//! Revisions of the sources that are named by file and line:
//! - `gst-plugins-good`, `gst-plugins-bad`: 1.22.0, as in Debian 12
//! - `gst-plugins-ugly`: GStreamer/gstreamer 46dbf194, `subprojects/gst-plugins-ugly/ext/x264/`
//! - `gst-libav`: GStreamer/gstreamer ebf7966a, `subprojects/gst-libav/ext/libav/`
//! - `gstreamer-rockchip`: JeffyCN/mirrors, `gst/rockchipmpp/`: `gstmppenc.c` ef9dea38, `gstmpph264enc.c` dc737f6e
//! - `gst-v4l2` of NVIDIA: Extend-Robotics/gst-nvvideo4linux2 e3ebc13b, `gst-v4l2/`
//! - `imx-gst1.0-plugin` of NXP: nxp-imx/imx-gst1.0-plugin 056d64fe, `plugins/vpu/`

mod fake;
pub mod health;
mod imx;
mod jetson;
pub mod level;
mod make;
mod rockchip;
mod software;
pub mod trial;
mod v4l2;
mod va;

use anyhow::{Result, anyhow};
use serde::Serialize;

pub use self::make::{Made, Picture};
use super::plugins;
use super::protocol::{Settings, Video};

/// Frames between key frames when nobody asks for one: ten seconds, for servers that never ask.
const KEY_INTERVAL: &str = "300";

/// Where a fact is written: file and line, an issue, or a page.
pub type Source = &'static str;

/// A property and its value, in GStreamer's notation.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The property.
    pub name: &'static str,
    /// Its value.
    pub value: &'static str,
    /// Where the property is written.
    pub source: Source,
}

const fn set(name: &'static str, value: &'static str, source: Source) -> Setting {
    Setting { name, value, source }
}

/// How an encoder is told its bitrate, also while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bitrate {
    /// A property in bits a second.
    Bits(&'static str, Source),
    /// A property in thousands of bits a second.
    Kilobits(&'static str, Source),
    /// A V4L2 control in bits a second, by the property `extra-controls`: what is set there goes to the open device at
    /// once. Settings belong to the open file, so nobody else's are touched.
    Control(&'static str, Source),
}

/// How a key frame is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRequest {
    /// By a force-key-unit event, as GStreamer means it.
    Event(Source),
    /// By a V4L2 control: the element knows no such event.
    Control(&'static str, Source),
    /// By an action signal: the element knows no such event.
    Signal(&'static str, Source),
}

/// How the profile is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// By the caps behind the element.
    Caps(Source),
    /// By one of the row's settings; the element does not take it from caps.
    Setting,
    /// It cannot be: the element neither takes nor tells one.
    Unknown(Source),
}

/// How the level is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// By the element, from size and rate.
    Free,
    /// By the caps behind the element.
    Caps(Source),
    /// By a property that takes names such as `3.1`.
    Property(&'static str, Source),
}

/// The memory pictures lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// Any; copied by the element where its device wants its own.
    System,
    /// NVIDIA's; a converter stands between.
    Nvmm,
}

/// An element that stands beside the codec, and the caps behind it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The element.
    pub element: &'static str,
    /// The plugin it is in.
    pub plugin: &'static str,
    /// Caps behind it.
    pub caps: &'static str,
}

/// What has to be there for a row to be worth loading its plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The plugin alone: it comes with the board's own software, or needs no device.
    None,
    /// A device file whose path begins so.
    File(&'static str),
}

/// What is known to go wrong with a row, and what is done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// Below this level (times ten) it gives nothing; a higher one is asked for.
    LowestLevel(u8, Source),
    /// Below this frame rate it hangs; the row is passed over.
    LowestFps(u32, Source),
    /// Below this bitrate (kbit/s) it hangs; it is not told less.
    LowestKbps(u32, Source),
    /// With fewer frames between key frames it hangs; never set.
    ShortestKeyInterval(u32, Source),
    /// It takes no other sizes; the row is passed over.
    Sizes {
        /// Least and most pixels across.
        width: (u32, u32),
        /// Least and most pixels down.
        height: (u32, u32),
        /// Where that is written.
        source: Source,
    },
    /// It works on lines in sixteens, 1088 for 1080, and may say so; a trial compares what comes out with what went in.
    LinesInSixteens(Source),
    /// It was seen to give key frames only; [`health`] watches for it.
    OnlyKeyFrames(Source),
    /// It was seen to hang; the worker goes on without it.
    Hangs(Source),
    /// A board of its family has none.
    NotOn(&'static str, Source),
    /// It is a fake that fails on purpose.
    Fake,
}

/// Whether this code ever ran the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// In this repository's tests.
    Ran,
    /// Never: written from its sources alone.
    Unverified,
}

/// An encoder.
#[derive(Clone, Copy, Debug)]
pub struct Encoder {
    /// GStreamer's name of the element.
    pub element: &'static str,
    /// The plugin it is in.
    pub plugin: &'static str,
    /// The package that brings it.
    pub package: &'static str,
    /// What it needs besides.
    pub device: Device,
    /// Whether the processor does the work; such rows are bounded by the board file.
    pub software: bool,
    /// How it is told its bitrate.
    pub bitrate: Bitrate,
    /// How it is asked for a key frame.
    pub key: KeyRequest,
    /// Its properties.
    pub settings: &'static [Setting],
    /// V4L2 controls set when it opens.
    pub controls: &'static [(&'static str, i32, Source)],
    /// How its profile is chosen.
    pub profile: Profile,
    /// How its level is chosen.
    pub level: Level,
    /// Where its pictures lie.
    pub memory: Memory,
    /// What stands before it.
    pub before: &'static [Step],
    /// What goes wrong with it.
    pub quirks: &'static [Quirk],
    /// Whether it ever ran.
    pub proof: Proof,
}

/// A decoder.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    /// GStreamer's name of the element.
    pub element: &'static str,
    /// The plugin it is in.
    pub plugin: &'static str,
    /// The package that brings it.
    pub package: &'static str,
    /// What it needs besides.
    pub device: Device,
    /// Its properties.
    pub settings: &'static [Setting],
    /// Where its pictures lie.
    pub memory: Memory,
    /// What stands behind it.
    pub after: &'static [Step],
    /// What goes wrong with it.
    pub quirks: &'static [Quirk],
    /// Whether it ever ran.
    pub proof: Proof,
}

/// Encoders in order of preference: hardware first. The fake is in no order but one that names it.
pub const ENCODERS: &[Encoder] = &[
    v4l2::ENCODER,
    rockchip::ENCODER,
    jetson::ENCODER,
    va::ENCODER,
    va::ENCODER_LOW_POWER,
    imx::ENCODER,
    software::OPENH264,
    software::X264,
    fake::ENCODER,
];

/// Decoders in order of preference: hardware first; libav doubles the worker's memory, so it comes last.
pub const DECODERS: &[Decoder] = &[
    v4l2::DECODER,
    v4l2::DECODER_STATELESS,
    rockchip::DECODER,
    jetson::DECODER,
    va::DECODER,
    imx::DECODER,
    software::OPENH264_DECODER,
    software::LIBAV_DECODER,
    fake::DECODER,
];

/// What both tables have in common.
trait Row: Copy {
    fn element(&self) -> &'static str;
    fn plugin(&self) -> &'static str;
    fn package(&self) -> &'static str;
    fn device(&self) -> Device;
    fn quirks(&self) -> &'static [Quirk];
    fn proof(&self) -> Proof;

    fn is_fake(&self) -> bool {
        self.quirks().contains(&Quirk::Fake)
    }

    /// Whether its element can be made; cheap when its plugin or device is not there.
    fn probe(&self) -> Result<()> {
        if let Device::File(prefix) = self.device()
            && !device_exists(prefix)
        {
            return Err(anyhow!("there is no device {prefix}*"));
        }
        make::element(self.plugin(), self.element()).map(drop).map_err(|error| {
            if plugins::is_installed(self.plugin()) {
                error
            } else {
                anyhow!("not installed: {}", self.package())
            }
        })
    }

    /// Why it cannot be used for this picture.
    fn refuses(&self, picture: &Picture) -> Option<String> {
        let Picture { width, height, fps } = *picture;
        self.quirks().iter().find_map(|quirk| match quirk {
            Quirk::LowestFps(lowest, source) if fps < *lowest => {
                Some(format!("it hangs below {lowest} frames a second ({source}), and [camera] fps is {fps}"))
            }
            Quirk::Sizes { width: across, height: down, .. }
                if !(across.0..=across.1).contains(&width) || !(down.0..=down.1).contains(&height) =>
            {
                Some(format!(
                    "it takes {}x{} to {}x{}, and [camera] is {width}x{height}",
                    across.0, down.0, across.1, down.1
                ))
            }
            _ => None,
        })
    }
}

macro_rules! row {
    ($($table:ty),*) => {$(
        impl Row for $table {
            fn element(&self) -> &'static str { self.element }
            fn plugin(&self) -> &'static str { self.plugin }
            fn package(&self) -> &'static str { self.package }
            fn device(&self) -> Device { self.device }
            fn quirks(&self) -> &'static [Quirk] { self.quirks }
            fn proof(&self) -> Proof { self.proof }
        }
    )*};
}
row!(Encoder, Decoder);

fn device_exists(prefix: &str) -> bool {
    let Some((folder, name)) = prefix.rsplit_once('/') else { return false };
    std::fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(name))
    })
}

/// The encoders to use, best first; those behind the first usable are not probed, only listed.
///
/// # Errors
/// When there is none, or the board names one that is not in the table.
pub fn encoders(settings: &Settings) -> Result<Vec<Encoder>> {
    let picture = Picture::of(&settings.camera);
    let rows = ordered(ENCODERS, &settings.video.encoders, &settings.avoid)?;
    usable(rows, &picture, &settings.video.encoders, "encoder", "gstreamer1.0-plugins-bad (openh264enc)")
}

/// The decoders to use, best first; those behind the first usable are not probed, only listed.
///
/// # Errors
/// When there is none, or the board names one that is not in the table.
pub fn decoders(settings: &Settings) -> Result<Vec<Decoder>> {
    let picture = Picture::of(&settings.camera);
    let rows = ordered(DECODERS, &settings.video.decoders, &settings.avoid)?;
    usable(rows, &picture, &settings.video.decoders, "decoder", "gstreamer1.0-plugins-bad (openh264dec)")
}

fn usable_encoder(settings: &Settings) -> Result<Encoder> {
    encoders(settings).map(|rows| rows[0])
}

fn usable_decoder(settings: &Settings) -> Result<Decoder> {
    decoders(settings).map(|rows| rows[0])
}

/// Whether `row` can be used now, for this picture.
pub(super) fn is_usable(row: &Encoder, picture: &Picture) -> bool {
    row.refuses(picture).is_none() && row.probe().is_ok()
}

/// Whether `row` can be used now.
pub(super) fn is_usable_decoder(row: &Decoder) -> bool {
    row.probe().is_ok()
}

/// The table in the wanted order; those to be avoided come last, in the order they are named.
fn ordered<T: Row>(table: &[T], wanted: &[String], avoid: &[String]) -> Result<Vec<T>> {
    let rows: Vec<T> = if wanted.is_empty() {
        table.iter().filter(|row| !row.is_fake()).copied().collect()
    } else {
        let named = wanted.iter().map(|wanted| {
            table.iter().find(|row| row.element() == wanted).copied().ok_or_else(|| {
                let known: Vec<_> = table.iter().map(Row::element).collect();
                anyhow!("[video] names {wanted}, which is not in the table ({})", known.join(", "))
            })
        });
        named.collect::<Result<_>>()?
    };
    let place =
        |row: &T| avoid.iter().position(|element| element == row.element()).map_or(0, |place| place + 1);
    let mut rows = rows;
    rows.sort_by_key(place);
    Ok(rows)
}

/// Drops rows from the top until one can be used. Rows below it stay unprobed: probing loads their libraries.
fn usable<T: Row>(
    rows: Vec<T>,
    picture: &Picture,
    named: &[String],
    what: &str,
    cure: &str,
) -> Result<Vec<T>> {
    let mut errors = Vec::new();
    let mut rows = rows.into_iter();
    while let Some(row) = rows.next() {
        let element = row.element();
        let why = match row.refuses(picture) {
            Some(why) => why,
            None => match row.probe() {
                Ok(()) => return Ok(std::iter::once(row).chain(rows).collect()),
                Err(error) => format!("{error:#}"),
            },
        };
        if named.iter().any(|name| name == element) {
            log::warn!("[video] names the {what} {element}, which cannot be used: {why}");
        } else {
            log::debug!("no {element}: {why}");
        }
        errors.push(format!("{element}: {why}"));
    }
    Err(anyhow!("no H.264 {what} works: {}; install {cure}", errors.join("; ")))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(rows: &[Encoder]) -> Vec<&'static str> {
        rows.iter().map(|row| row.element).collect()
    }

    #[test]
    fn hardware_comes_before_software_and_the_fake_only_when_it_is_named() {
        let rows = ordered(ENCODERS, &[], &[]).expect("rows");
        let first_software = rows.iter().position(|row| row.software).expect("software");
        assert!(rows[first_software..].iter().all(|row| row.software), "{:?}", names(&rows));
        assert!(rows.len() >= 8 && !rows.iter().any(Row::is_fake));
        let named = ["faultyh264enc".to_owned(), "x264enc".to_owned()];
        assert_eq!(names(&ordered(ENCODERS, &named, &[]).expect("rows")), ["faultyh264enc", "x264enc"]);
        assert!(ordered(ENCODERS, &["dreamenc".to_owned()], &[]).is_err());
    }

    #[test]
    fn a_row_to_be_avoided_comes_last_but_stays() {
        let wanted = ["openh264enc", "x264enc", "v4l2h264enc"].map(String::from);
        let avoid = ["x264enc", "openh264enc"].map(String::from);
        let rows = ordered(ENCODERS, &wanted, &avoid).expect("rows");
        assert_eq!(names(&rows), ["v4l2h264enc", "x264enc", "openh264enc"]);
    }

    #[test]
    fn a_row_that_would_hang_at_this_rate_or_does_not_take_the_size_is_refused_with_its_issue() {
        let slow = Picture { width: 640, height: 480, fps: 8 };
        let why = v4l2::ENCODER.refuses(&slow).expect("refused");
        assert!(why.contains("4739") && why.contains("[camera] fps is 8"), "{why}");
        assert_eq!(v4l2::ENCODER.refuses(&Picture { fps: 30, ..slow }), None);
        let tiny = Picture { width: 64, height: 48, fps: 30 };
        assert!(rockchip::ENCODER.refuses(&tiny).is_some_and(|why| why.contains("96x64")));
    }

    #[test]
    fn no_row_sets_what_is_known_to_hang_and_every_fact_has_a_source() {
        for row in ENCODERS {
            for quirk in row.quirks {
                if let Quirk::ShortestKeyInterval(shortest, _) = quirk {
                    let periods = row.controls.iter().filter(|(name, ..)| name.contains("i_frame_period"));
                    assert!(periods.clone().count() == 1);
                    assert!(periods.into_iter().all(|(_, frames, _)| *frames >= *shortest as i32));
                }
                assert!(*quirk == Quirk::Fake || quirk.words().contains('('), "{quirk:?}");
            }
            for Setting { name, source, .. } in row.settings {
                assert!(!source.is_empty(), "{} {name}", row.element);
            }
        }
    }
}
