//! Which rows are used, and in which order: the table's or the board's, those that failed lately last.

use anyhow::{Result, anyhow};

use super::{DECODERS, Decoder, Device, ENCODERS, Encoder, Picture, Proof, Quirk, make};
use crate::media::plugins;
use crate::media::protocol::Settings;

/// What both tables have in common.
pub(super) trait Row: Copy {
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

pub(super) fn usable_encoder(settings: &Settings) -> Result<Encoder> {
    encoders(settings).map(|rows| rows[0])
}

pub(super) fn usable_decoder(settings: &Settings) -> Result<Decoder> {
    decoders(settings).map(|rows| rows[0])
}

/// Whether `row` can be used now, for this picture.
pub(in crate::media) fn is_usable(row: &Encoder, picture: &Picture) -> bool {
    row.refuses(picture).is_none() && row.probe().is_ok()
}

/// Whether `row` can be used now.
pub(in crate::media) fn is_usable_decoder(row: &Decoder) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::{rockchip, v4l2};

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
}
