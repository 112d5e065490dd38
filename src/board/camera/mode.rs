//! Which of a camera's modes serves a wanted picture best. Nothing here touches a device.

use std::fmt;

use crate::media::protocol::PixelFormat;

/// What V4L2 calls a format, and what GStreamer calls its pixels; coded formats have none.
///
/// GStreamer's names are `gst_v4l2_object_v4l2fourcc_to_video_format`'s in `sys/v4l2/gstv4l2object.c` of
/// gst-plugins-good 1.22. Formats that are no picture yet (Bayer, grey, tiled) are left out.
const FORMATS: &[(&[u8; 4], PixelFormat, &str)] = &[
    (b"H264", PixelFormat::H264, ""),
    (b"MJPG", PixelFormat::Mjpg, ""),
    (b"JPEG", PixelFormat::Mjpg, ""),
    (b"NV12", PixelFormat::Nv12, "NV12"),
    (b"NM12", PixelFormat::Nv12, "NV12"),
    (b"YUYV", PixelFormat::Yuyv, "YUY2"),
    (b"YU12", PixelFormat::Raw, "I420"),
    (b"YM12", PixelFormat::Raw, "I420"),
    (b"YV12", PixelFormat::Raw, "YV12"),
    (b"YM21", PixelFormat::Raw, "YV12"),
    (b"NV21", PixelFormat::Raw, "NV21"),
    (b"NM21", PixelFormat::Raw, "NV21"),
    (b"UYVY", PixelFormat::Raw, "UYVY"),
    (b"YVYU", PixelFormat::Raw, "YVYU"),
    (b"NV16", PixelFormat::Raw, "NV16"),
    (b"NM16", PixelFormat::Raw, "NV16"),
    (b"422P", PixelFormat::Raw, "Y42B"),
    (b"BGR3", PixelFormat::Raw, "BGR"),
    (b"RGB3", PixelFormat::Raw, "RGB"),
    (b"XR24", PixelFormat::Raw, "BGRx"),
    (b"BX24", PixelFormat::Raw, "xRGB"),
];

/// A coded picture is made of blocks of so many lines: 1080 lines may come as 1088, with rubbish below.
const BLOCK: u32 = 16;
/// A preferred format may be so many times larger than what is wanted before a less preferred one is taken.
const SPARE: u64 = 3;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames a second.
    pub fps: u32,
}

/// Frames a second, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Frames.
    pub frames: u32,
    /// In so many seconds.
    pub seconds: u32,
}

impl Rate {
    /// Thousandths of frames a second.
    #[must_use]
    pub fn millis(self) -> u64 {
        u64::from(self.frames) * 1000 / u64::from(self.seconds.max(1))
    }
}

/// The sizes a format comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// This one.
    Exact(u32, u32),
    /// Width and height from `min` to `max` in steps.
    Range {
        /// Smallest.
        min: (u32, u32),
        /// Largest.
        max: (u32, u32),
        /// Steps.
        step: (u32, u32),
    },
}

impl Size {
    /// The size of these nearest to the wanted one, larger rather than smaller.
    #[must_use]
    pub fn nearest(self, width: u32, height: u32) -> (u32, u32) {
        let fit = |wanted: u32, min: u32, max: u32, step: u32| {
            let step = step.max(1);
            let steps = wanted.saturating_sub(min).div_ceil(step);
            let last = max.saturating_sub(min) / step;
            min + steps.min(last) * step
        };
        match self {
            Self::Exact(width, height) => (width, height),
            Self::Range { min, max, step } => {
                (fit(width, min.0, max.0, step.0), fit(height, min.1, max.1, step.1))
            }
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(width, height) => write!(f, "{width}x{height}"),
            Self::Range { min, max, .. } => write!(f, "{}x{} to {}x{}", min.0, min.1, max.0, max.1),
        }
    }
}

/// Something a camera offers: a format in a size, and how fast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// V4L2's code of the format.
    pub fourcc: [u8; 4],
    /// The size or sizes.
    pub size: Size,
    /// The rates at that size, fastest first; empty when the driver does not say.
    pub rates: Vec<Rate>,
}

/// The kind of a format; `None` when the kiosk cannot use it.
#[must_use]
pub fn kind(fourcc: [u8; 4]) -> Option<PixelFormat> {
    FORMATS.iter().find(|(code, ..)| **code == fourcc).map(|(_, kind, _)| *kind)
}

/// GStreamer's name for the pixels of a raw format.
#[must_use]
pub fn pixels(fourcc: [u8; 4]) -> Option<&'static str> {
    FORMATS
        .iter()
        .find(|(code, _, pixels)| **code == fourcc && !pixels.is_empty())
        .map(|(.., pixels)| *pixels)
}

/// Lines and columns to cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crop {
    /// Columns.
    pub left: u32,
    /// Columns.
    pub right: u32,
    /// Lines.
    pub top: u32,
    /// Lines.
    pub bottom: u32,
}

/// The mode to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The format's kind.
    pub kind: PixelFormat,
    /// V4L2's code of the format.
    pub fourcc: [u8; 4],
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// The rate; `None` when the driver does not say.
    pub rate: Option<Rate>,
    /// What to cut off before scaling, so that nothing is distorted.
    pub crop: Crop,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}x{}", String::from_utf8_lossy(&self.fourcc), self.width, self.height)?;
        match self.rate {
            Some(rate) => write!(f, " at {} fps", rate.millis() as f64 / 1000.0),
            None => Ok(()),
        }
    }
}

/// The best of `offers`: one that covers the wanted size and reaches the wanted rate, of the format that comes first
/// in `order`, and of those the smallest and slowest. A format that is not in `order` is never used. When nothing is
/// enough, half the rate at full size is better than a small picture, and a small one better than a slide show.
#[must_use]
pub fn choose(offers: &[Offer], order: &[PixelFormat], wish: Wish) -> Option<Choice> {
    let order = if order.is_empty() { &PixelFormat::ORDER } else { order };
    offers
        .iter()
        .filter_map(|offer| {
            let kind = kind(offer.fourcc)?;
            let place = order.iter().position(|other| *other == kind)?;
            let (width, height) = offer.size.nearest(wish.width, wish.height);
            let rate = rate(&offer.rates, wish.fps);
            let choice = Choice {
                kind,
                fourcc: offer.fourcc,
                width,
                height,
                rate,
                crop: crop((width, height), (wish.width, wish.height)),
            };
            (width >= 2 && height >= 2).then(|| (rank(&choice, place, wish), choice))
        })
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, choice)| choice)
}

/// Smaller is better.
fn rank(choice: &Choice, place: usize, wish: Wish) -> (u8, bool, usize, u64, u64) {
    let wanted = u64::from(wish.fps) * 1000;
    // A driver that does not say is believed to be fast enough. 29.97 is 30.
    let speed = choice.rate.map_or(wanted, Rate::millis);
    let fast = speed * 100 >= wanted * 99;
    let half = speed * 2 >= wanted;
    let covers = choice.width >= wish.width && choice.height >= wish.height;
    let tier = match (covers, fast, half) {
        (true, true, _) => 0,
        (true, false, true) => 1,
        (false, _, true) => 2,
        (_, _, false) => 3,
    };
    let area = u64::from(choice.width) * u64::from(choice.height);
    let wished = u64::from(wish.width) * u64::from(wish.height);
    match tier {
        0 => (tier, area > wished * SPARE, place, area, speed),
        1 => (tier, area > wished * SPARE, place, area, u64::MAX - speed),
        // The largest comes first, and only then the format.
        2 => (tier, false, (wished.saturating_sub(area)) as usize, place as u64, u64::MAX - speed),
        _ => (tier, false, (u64::MAX - speed) as usize, place as u64, area.abs_diff(wished)),
    }
}

/// The slowest rate that is enough, or the fastest there is.
fn rate(rates: &[Rate], fps: u32) -> Option<Rate> {
    let enough = |rate: &&Rate| rate.millis() * 100 >= u64::from(fps) * 1000 * 99;
    rates
        .iter()
        .filter(enough)
        .min_by_key(|rate| rate.millis())
        .or_else(|| rates.iter().max_by_key(|rate| rate.millis()))
        .copied()
}

/// What to cut off a picture so that it has the wanted shape.
#[must_use]
pub fn crop((width, height): (u32, u32), (wide, high): (u32, u32)) -> Crop {
    if width == wide && height > high && height - high < BLOCK && height.is_multiple_of(BLOCK) {
        return Crop { bottom: height - high, ..Crop::default() };
    }
    let (w, h, wide, high) = (u64::from(width), u64::from(height), u64::from(wide), u64::from(high));
    // Even, since two neighbours share their colour.
    let sides = |all: u64, keep: u64| {
        // However odd the shapes are, two lines stay.
        let cut = (all.saturating_sub(keep.max(2)) as u32) & !1;
        let first = (cut / 2) & !1;
        (first, cut - first)
    };
    if w * high > wide * h {
        let (left, right) = sides(w, h * wide / high.max(1));
        Crop { left, right, ..Crop::default() }
    } else {
        let (top, bottom) = sides(h, w * high / wide.max(1));
        Crop { top, bottom, ..Crop::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offer(fourcc: &[u8; 4], width: u32, height: u32, fps: &[u32]) -> Offer {
        let rates = fps.iter().map(|fps| Rate { frames: *fps, seconds: 1 }).collect();
        Offer { fourcc: *fourcc, size: Size::Exact(width, height), rates }
    }

    fn chosen(offers: &[Offer], order: &[PixelFormat], width: u32, height: u32, fps: u32) -> String {
        choose(offers, order, Wish { width, height, fps }).map_or("none".into(), |choice| choice.to_string())
    }

    /// What common USB cameras offer: raw is fast only when small.
    fn webcam() -> Vec<Offer> {
        vec![
            offer(b"YUYV", 640, 480, &[30, 15]),
            offer(b"YUYV", 1280, 720, &[10, 5]),
            offer(b"YUYV", 1920, 1080, &[5]),
            offer(b"MJPG", 640, 480, &[30, 15]),
            offer(b"MJPG", 1280, 720, &[30, 15]),
            offer(b"MJPG", 1920, 1080, &[30, 15]),
            offer(b"MJPG", 3840, 2160, &[30]),
        ]
    }

    #[test]
    fn the_preferred_format_is_taken_where_it_is_fast_enough() {
        use PixelFormat::{H264, Mjpg, Yuyv};
        let camera = webcam();
        assert_eq!(chosen(&camera, &[], 640, 480, 30), "MJPG 640x480 at 30 fps");
        assert_eq!(chosen(&camera, &[Yuyv, Mjpg], 640, 480, 30), "YUYV 640x480 at 30 fps");
        assert_eq!(chosen(&camera, &[Yuyv, Mjpg], 1280, 720, 30), "MJPG 1280x720 at 30 fps");
        assert_eq!(chosen(&camera, &[Yuyv], 1280, 720, 30), "YUYV 640x480 at 30 fps");
        assert_eq!(chosen(&camera, &[Yuyv], 1280, 720, 15), "YUYV 1280x720 at 10 fps");
        assert_eq!(chosen(&camera, &[H264], 640, 480, 30), "none");
        let mut coded = camera;
        coded.push(offer(b"H264", 1280, 720, &[30]));
        assert_eq!(chosen(&coded, &[], 1280, 720, 30), "H264 1280x720 at 30 fps");
        assert_eq!(chosen(&coded, &[Mjpg, H264], 1280, 720, 30), "MJPG 1280x720 at 30 fps");
    }

    #[test]
    fn a_size_that_is_missing_is_covered_by_the_next_larger() {
        let camera = webcam();
        assert_eq!(chosen(&camera, &[], 800, 600, 30), "MJPG 1280x720 at 30 fps");
        assert_eq!(chosen(&camera, &[], 1600, 896, 25), "MJPG 1920x1080 at 30 fps");
        assert_eq!(chosen(&camera, &[], 4096, 2304, 30), "MJPG 3840x2160 at 30 fps");
        // Far too large in the preferred format loses against right in another.
        let camera = [offer(b"MJPG", 3840, 2160, &[30]), offer(b"YUYV", 640, 480, &[30])];
        assert_eq!(chosen(&camera, &[], 640, 480, 30), "YUYV 640x480 at 30 fps");
    }

    #[test]
    fn any_size_of_a_range_can_be_had_in_its_steps() {
        let size = Size::Range { min: (16, 16), max: (1920, 1080), step: (16, 8) };
        assert_eq!(size.nearest(640, 480), (640, 480));
        assert_eq!(size.nearest(641, 481), (656, 488));
        assert_eq!(size.nearest(4000, 4000), (1920, 1080));
        assert_eq!(size.nearest(2, 2), (16, 16));
        let odd = Size::Range { min: (2, 2), max: (100, 100), step: (0, 0) };
        assert_eq!(odd.nearest(51, 51), (51, 51), "a driver that gives no step");
    }

    #[test]
    fn a_driver_that_names_no_rate_is_believed() {
        let camera = [offer(b"NV12", 1280, 720, &[]), offer(b"YUYV", 1280, 720, &[10])];
        assert_eq!(chosen(&camera, &[PixelFormat::Yuyv, PixelFormat::Nv12], 1280, 720, 30), "NV12 1280x720");
    }

    #[test]
    fn the_rubbish_below_1080_lines_is_cut_and_nothing_is_distorted() {
        assert_eq!(crop((1920, 1088), (1920, 1080)), Crop { bottom: 8, ..Crop::default() });
        assert_eq!(crop((1920, 1080), (1920, 1080)), Crop::default());
        assert_eq!(crop((1280, 720), (640, 360)), Crop::default());
        assert_eq!(crop((1280, 960), (1280, 720)), Crop { top: 120, bottom: 120, ..Crop::default() });
        assert_eq!(crop((1280, 720), (640, 480)), Crop { left: 160, right: 160, ..Crop::default() });
    }

    fn offers() -> impl Strategy<Value = Vec<Offer>> {
        let fourcc = prop::sample::select(vec![*b"H264", *b"MJPG", *b"NV12", *b"YUYV", *b"UYVY", *b"BA81"]);
        let size = prop_oneof![
            (2u32..5000, 2u32..4000).prop_map(|(width, height)| Size::Exact(width, height)),
            (1u32..700, 1u32..700, 0u32..5000, 0u32..5000, 0u32..64).prop_map(|(w, h, x, y, step)| {
                Size::Range { min: (w, h), max: (w + x, h + y), step: (step, step) }
            }),
        ];
        let rates = prop::collection::vec((1u32..200, 0u32..5), 0..4)
            .prop_map(|rates| rates.into_iter().map(|(frames, seconds)| Rate { frames, seconds }).collect());
        let offer = (fourcc, size, rates).prop_map(|(fourcc, size, rates)| Offer { fourcc, size, rates });
        prop::collection::vec(offer, 0..12)
    }

    proptest! {
        #[test]
        fn whatever_a_camera_offers_the_choice_is_one_of_it_and_can_be_cropped(
            offers in offers(), width in 8u32..2000, height in 8u32..2000, fps in 1u32..61,
        ) {
            let (width, height) = (width * 2, height * 2);
            let wish = Wish { width, height, fps };
            let order = [PixelFormat::Nv12, PixelFormat::Yuyv];
            let usable = offers.iter().any(|offer| {
                kind(offer.fourcc).is_some_and(|kind| order.contains(&kind))
                    && offer.size.nearest(width, height).0.min(offer.size.nearest(width, height).1) >= 2
            });
            let choice = choose(&offers, &order, wish);
            prop_assert_eq!(choice.is_some(), usable);
            if let Some(choice) = choice {
                prop_assert!(order.contains(&choice.kind));
                prop_assert!(offers.iter().any(|offer| offer.fourcc == choice.fourcc
                    && offer.size.nearest(width, height) == (choice.width, choice.height)
                    && choice.rate.is_none_or(|rate| offer.rates.contains(&rate))));
                let Crop { left, right, top, bottom } = choice.crop;
                prop_assert!(left + right < choice.width && top + bottom < choice.height);
                // What another offer does better, it pays for elsewhere: nobody reaches size and rate if this does not.
                let enough = |choice: &Choice| choice.width >= width && choice.height >= height
                    && choice.rate.is_none_or(|rate| rate.millis() * 100 >= u64::from(fps) * 99_000);
                let other = offers.iter().filter_map(|offer| choose(std::slice::from_ref(offer), &order, wish)).any(|other| enough(&other));
                prop_assert_eq!(enough(&choice), other);
            }
        }
    }
}
