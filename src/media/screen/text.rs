//! Text as pixels, drawn by Pango through GStreamer's `textoverlay`, once for each text.

use anyhow::{Context, Result};
use gst::prelude::*;

use crate::media::{pipe, plugins};

/// Fonts in order; the first three are Debian's with Chinese characters. Pango takes what these lack from any other
/// font there is.
const FONTS: &str = "Noto Sans CJK SC, WenQuanYi Micro Hei, WenQuanYi Zen Hei, Sans";
/// How long drawing a text may take; the first has to read the fonts.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(5);

/// The shape of a text: how much of each pixel it covers.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// Pixels.
    pub(super) width: usize,
    /// Pixels.
    pub(super) height: usize,
    /// From 0 to 255, without padding.
    pub(super) cover: Vec<u8>,
}

/// How a text is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// Height of the letters, pixels; less when the text would not fit.
    pub(super) size: usize,
    /// Bold.
    pub(super) bold: bool,
    /// Of the letters, RGB.
    pub(super) ink: u32,
    /// In the middle, or from the left.
    pub(super) centred: bool,
}

/// Draws a text `width` wide and as high as it needs, at most `height`. What does not fit is set smaller, down to two
/// thirds, then cut, and ends in an ellipsis.
///
/// # Errors
/// When Pango is not there.
pub(super) fn draw(text: &str, style: Style, width: usize, height: usize) -> Result<Shape> {
    let text = tidy(text);
    // Fonts with Chinese characters have the dots of Chinese, halfway up the line.
    let dots = if text.contains(is_wide) { "…" } else { "..." };
    let text = text.replace('…', dots);
    let (width, height) = (width.max(32) & !1, height.max(16) & !1);
    let smallest = (style.size * 2 / 3).max(8);
    // A letter is seldom narrower than a third of its height, so no more than this can fit: bounds Pango's work.
    let most = (width * 3 / smallest + 1) * (height / smallest + 1);
    let mut letters: Vec<char> = text.chars().collect();
    let mut cut = letters.len() > most;
    let mut size = if cut { smallest } else { style.size.max(8) };
    letters.truncate(most);
    loop {
        let shown: String = letters.iter().collect();
        let shown = if cut { format!("{}{dots}", shown.trim_end()) } else { shown };
        let set = Style { size, ..style };
        let (cover, bottom) = render(&shown, set, width, height)?;
        if bottom <= height || letters.len() < 4 {
            let used = bottom.clamp(2, height);
            let shape = Shape { width, height: used, cover: cover[..width * used].to_vec() };
            return if style.centred && !cut { balance(shape, &shown, set, height) } else { Ok(shape) };
        }
        if size > smallest {
            size = (size * 5 / 6).max(smallest);
            continue;
        }
        cut = true;
        let keep = letters.len() * height / bottom.max(1);
        letters.truncate(keep.min(letters.len() * 9 / 10));
    }
}

/// Sets a few centred lines as narrow as can be without a line more, so that no word is left alone in the last.
fn balance(shape: Shape, text: &str, style: Style, most: usize) -> Result<Shape> {
    // One line needs nothing, and of many nobody sees how long the last is.
    if !(style.size * 9 / 5..style.size * 6).contains(&shape.height) {
        return Ok(shape);
    }
    // A word that does not fit would be broken instead.
    let words = text.split(|letter: char| letter.is_whitespace() || is_wide(letter));
    let longest = words.map(|word| word.chars().count()).max().unwrap_or(0) * style.size;
    let (mut narrow, mut wide) = ((shape.width / 2).max(longest.min(shape.width)), shape.width);
    let (width, lines) = (shape.width, shape.height);
    let mut best = shape;
    for _ in 0..4 {
        let middle = ((narrow + wide) / 2) & !1;
        let (cover, bottom) = render(text, style, middle.max(32), most)?;
        // The ink of the same lines may reach a little lower; that of one more reaches much lower.
        if bottom > most || bottom > lines + style.size / 2 {
            narrow = middle;
            continue;
        }
        wide = middle;
        let left = (width - middle) / 2;
        best = Shape { width, height: bottom.max(2), cover: vec![0; width * bottom.max(2)] };
        for (row, into) in cover.chunks(middle).zip(best.cover.chunks_mut(width)) {
            into[left..left + middle].copy_from_slice(row);
        }
    }
    Ok(best)
}

/// A letter as wide as it is high, between any two of which a line may end: Chinese and its neighbours.
fn is_wide(letter: char) -> bool {
    letter >= '\u{2e80}'
}

/// Control characters would be drawn as boxes, and a thousand line breaks push the text off the screen.
fn tidy(text: &str) -> String {
    let mut breaks = 0;
    text.trim()
        .chars()
        .map(|letter| if letter == '\t' || letter == '\r' { ' ' } else { letter })
        .filter(|letter| *letter == '\n' || !letter.is_control())
        .filter(|letter| {
            breaks = if *letter == '\n' { breaks + 1 } else { 0 };
            breaks <= 2
        })
        .collect()
}

/// Draws on a canvas twice as high as allowed, so that what is too much can be seen; the pixels, and where the text ends.
fn render(text: &str, style: Style, width: usize, height: usize) -> Result<(Vec<u8>, usize)> {
    let tall = height * 2;
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::Gray8, width as u32, tall as u32)
        .fps(gst::Fraction::new(1, 1))
        .build()?;
    plugins::load("pango")?;
    let pipeline = gst::Pipeline::with_name("text");
    let input = gst_app::AppSrc::builder().caps(&info.to_caps()?).format(gst::Format::Time).build();
    let weight = if style.bold { "Bold " } else { "" };
    let overlay = pipe::make(
        "textoverlay",
        &[
            ("wrap-mode", "wordchar"),
            ("valignment", "top"),
            ("halignment", if style.centred { "center" } else { "left" }),
            ("line-alignment", if style.centred { "center" } else { "left" }),
            ("draw-outline", "false"),
            ("draw-shadow", "false"),
            ("auto-resize", "false"),
            ("xpad", "0"),
            ("ypad", "0"),
        ],
    )?;
    overlay.set_property("font-desc", format!("{FONTS} {weight}{}px", style.size));
    overlay.set_property("text", gst::glib::markup_escape_text(text).as_str());
    let output = gst_app::AppSink::builder().sync(false).enable_last_sample(false).build();
    pipeline.add_many([input.upcast_ref(), &overlay, output.upcast_ref()])?;
    gst::Element::link_many([input.upcast_ref(), &overlay, output.upcast_ref()])?;
    pipeline.set_state(gst::State::Playing)?;

    let mut canvas = gst::Buffer::from_mut_slice(vec![0; info.size()]);
    if let Some(canvas) = canvas.get_mut() {
        canvas.set_pts(gst::ClockTime::ZERO);
        canvas.set_duration(gst::ClockTime::SECOND);
    }
    input.push_buffer(canvas)?;
    let sample = output.try_pull_sample(PATIENCE);
    let bottom =
        i64::from(overlay.property::<i32>("text-y")) + i64::from(overlay.property::<u32>("text-height"));
    pipeline.set_state(gst::State::Null)?;
    let sample = sample.context("Pango draws nothing")?;
    let data = sample.buffer().context("no picture of the text")?.map_readable()?;
    let stride = info.stride()[0] as usize;
    // White is 235 in video.
    let full = |luma: &u8| (u32::from(*luma) * 255 / 235).min(255) as u8;
    let cover = data.chunks(stride).take(tall).flat_map(|row| &row[..width]).map(full).collect();
    Ok((cover, bottom.max(0) as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        assert_eq!(tidy("  a\u{7}b\tc\r\n\n\n\n\nd\u{0} "), "ab c \n\nd");
    }

    /// From the first to the last column with ink, of some rows.
    fn reach(shape: &Shape, rows: std::ops::Range<usize>) -> usize {
        let inked = |column: &usize| rows.clone().any(|row| shape.cover[row * shape.width + column] > 0);
        let columns: Vec<usize> = (0..shape.width).filter(inked).collect();
        columns.last().map_or(0, |last| last - columns[0])
    }

    #[test]
    fn no_word_is_left_alone_in_the_last_line() {
        gst::init().expect("GStreamer");
        let style = Style { size: 57, bold: true, ink: 0, centred: true };
        for text in
            ["This device needs service, please tell the staff", "设备需要维护，请联系工作人员处理后再次使用"]
        {
            let shape = draw(text, style, 1066, 400).expect("Pango");
            let middle = shape.height / 2;
            let (first, second) = (reach(&shape, 0..middle), reach(&shape, middle..shape.height));
            assert!(second * 10 > first * 7, "{text}: {first} above {second}");
        }
        let shape = draw("staff", style, 1066, 400).expect("Pango");
        assert!(shape.height < 100, "one line stays one");
    }

    #[test]
    fn dots_stand_on_the_line_in_latin_script() {
        gst::init().expect("GStreamer");
        let style = Style { size: 60, bold: false, ink: 0, centred: false };
        // A text is as high as its ink reaches down.
        let [letter, dots] = ["x", "…"].map(|text| draw(text, style, 200, 100).expect("Pango").height);
        assert!(letter.abs_diff(dots) <= 4, "the letter reaches down to {letter}, the dots to {dots}");
    }
}
