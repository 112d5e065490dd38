//! Draws a scene into a buffer, and remembers what each buffer shows already.

use std::collections::HashMap;

use gst::glib::translate::from_glib_full;
use gst_video::prelude::*;

use super::layout::{self, Layout, Rect};
use super::text::{self, Shape, Style};
use super::{Picture, Scene};
use crate::media::protocol::{SessionId, View};

/// The fourth byte of a pixel. Nobody is to look at it, but some take BGRx for BGRA: all that is drawn is opaque.
const OPAQUE: u32 = 0xff00_0000;
/// Colours, RGB.
const NIGHT: u32 = 0x0b_1526;
const DUSK: u32 = 0x1d_3557;
const ALARM: u32 = 0x4a_1216;
const EMBER: u32 = 0x7d_1f24;
const WHITE: u32 = 0xff_ffff;
const PALE: u32 = 0xb9_c7da;
const AMBER: u32 = 0xff_d166;
const GREEN: u32 = 0x2e_c27e;
const NOTE: u32 = 0x14_213d;

/// An opaque picture, BGRx, without padding.
#[derive(Clone, Debug)]
struct Panel {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// A panel and where its corner is.
type Placed = (usize, usize, Panel);

/// What is drawn on.
pub(super) struct Sheet<'a> {
    /// BGRx.
    pub(super) data: &'a mut [u8],
    /// Bytes in a row.
    pub(super) stride: usize,
}

/// What decides all that does not move.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    words: crate::media::protocol::Screen,
    message: Option<super::Message>,
    members: Vec<(u32, u32, u32, String)>,
    preview: bool,
}

/// A converter and what it was made for.
struct Convert {
    from: gst_video::VideoInfo,
    rect: Rect,
    stride: usize,
    /// `None` when there is no way to convert it.
    made: Option<(gst_video::VideoConverter, gst_video::VideoInfo)>,
}

pub(super) struct Canvas {
    width: usize,
    height: usize,
    key: Option<Key>,
    version: u64,
    shown: HashMap<usize, u64>,
    layout: Layout,
    base: Vec<u8>,
    over: Vec<Placed>,
    /// Those of the members, and the preview's, which has no session.
    converters: HashMap<Option<SessionId>, Convert>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            key: None,
            version: 0,
            shown: HashMap::new(),
            layout: Layout::default(),
            base: Vec::new(),
            over: Vec::new(),
            converters: HashMap::new(),
        }
    }

    /// Draws `scene` into a buffer.
    pub(super) fn draw(&mut self, buffer: usize, mut sheet: Sheet<'_>, scene: &Scene) {
        if sheet.stride < self.width * 4
            || sheet.data.len() < sheet.stride * (self.height - 1) + self.width * 4
        {
            log::error!("the window's buffer is smaller than the window");
            return;
        }
        self.settle(scene);
        if self.shown.insert(buffer, self.version) != Some(self.version) {
            for (row, line) in self.base.chunks_exact(self.width * 4).enumerate() {
                sheet.data[row * sheet.stride..][..line.len()].copy_from_slice(line);
            }
        }
        if scene.words.view == View::InCall {
            for (place, (id, picture, _)) in self.layout.members.clone().into_iter().zip(&scene.members) {
                self.picture(Some(*id), picture, place, &mut sheet, false);
            }
        }
        if let (Some((place, framed)), Some(preview)) = (self.layout.preview, &scene.preview) {
            self.picture(None, preview, place, &mut sheet, framed);
        }
        for (x, y, panel) in &self.over {
            sheet.blit(*x, *y, panel);
        }
    }

    /// Works out anew what does not move, when it changed.
    fn settle(&mut self, scene: &Scene) {
        let key = Key {
            words: scene.words.clone(),
            message: scene.message.clone(),
            members: scene
                .members
                .iter()
                .map(|(id, picture, name)| (*id, picture.info.width(), picture.info.height(), name.clone()))
                .collect(),
            preview: scene.preview.is_some(),
        };
        if self.key.as_ref() == Some(&key) {
            return;
        }
        let view = scene.words.view;
        let since = std::time::Instant::now();
        self.version += 1;
        self.layout = layout::divide(self.width, self.height, view, scene.members.len());
        self.base = background(self.width, self.height, view);
        // A member that comes back has another number.
        self.converters
            .retain(|key, _| key.is_none_or(|key| scene.members.iter().any(|(id, ..)| *id == key)));
        self.over.clear();
        self.words(scene);
        if view == View::InCall {
            self.names(scene);
        }
        self.message(scene);
        self.key = Some(key);
        log::debug!("the screen's new layout took {:?}", since.elapsed());
    }

    fn words(&mut self, scene: &Scene) {
        let place = self.layout.words;
        let (size, centred) = match scene.words.view {
            View::Idle => (self.height / 12, true),
            View::Trouble => (self.height / 14, true),
            View::Waiting => (self.height / 19, true),
            View::InCall => (self.height / 28, false),
        };
        let headline = Style { size, bold: true, ink: WHITE, centred };
        let detail = Style { size: (size * 5 / 9).max(self.height / 40), bold: false, ink: PALE, centred };
        let lines = [(scene.words.headline.as_str(), headline), (scene.words.detail.as_str(), detail)];
        if scene.words.view == View::InCall {
            if let Some(panel) = note(&lines, place.w, place.h) {
                self.over.push((place.x, place.y, panel));
            }
            return;
        }
        // Here nothing moves behind the words, so they become part of the background.
        let mut base = Sheet { data: &mut self.base, stride: self.width * 4 };
        let (mut y, end) = (place.y + size / 3, (place.y + place.h).saturating_sub(size / 3));
        if scene.words.view == View::Waiting {
            base.blit(place.x, place.y, &solid(place.w, place.h, NOTE));
        }
        for (text, style) in lines {
            let left = end.saturating_sub(y);
            // The headline leaves room for the detail.
            let most = if style.bold { left * 2 / 3 } else { left };
            if let Some(shape) = shape(text, style, place.w, most) {
                base.ink(place.x, y, &shape, style.ink);
                y += shape.height + size / 3;
            }
        }
    }

    fn names(&mut self, scene: &Scene) {
        let size = self.height / 30;
        for (place, (_, _, name)) in self.layout.members.iter().zip(&scene.members) {
            // As wide as its letters; Chinese ones are as wide as high.
            let letters: usize = name.chars().map(|letter| if letter.is_ascii() { 2 } else { 3 }).sum();
            let width = (letters * size / 3 + size * 2).min(place.w / 2);
            let style = Style { size, bold: false, ink: WHITE, centred: true };
            if let Some(panel) = note(&[(name, style)], width, size * 3) {
                let y = (place.y + place.h).saturating_sub(panel.height + size / 2);
                self.over.push((place.x + size / 2, y, panel));
            }
        }
    }

    fn message(&mut self, scene: &Scene) {
        let (Some(message), place) = (&scene.message, self.layout.message) else { return };
        let size = self.height / 22;
        let from = Style { size: size * 3 / 4, bold: true, ink: AMBER, centred: false };
        let text = Style { size, bold: false, ink: WHITE, centred: false };
        if let Some(panel) = note(&[(&message.from, from), (&message.text, text)], place.w, place.h) {
            let y = place.y + place.h - panel.height.min(place.h);
            self.over.push((place.x, y.saturating_sub(4), solid(panel.width, 4, AMBER)));
            self.over.push((place.x, y, panel));
        }
    }

    fn picture(
        &mut self,
        key: Option<SessionId>,
        picture: &Picture,
        place: Rect,
        sheet: &mut Sheet<'_>,
        framed: bool,
    ) {
        let (width, height) = (picture.info.width() as usize, picture.info.height() as usize);
        let mut rect = place.fit(width, height);
        if framed {
            // The small preview sits in the corner, not in the middle of its place.
            rect.x = place.x + place.w - rect.w;
            rect.y = place.y;
            sheet.border(rect);
            rect = rect.inset(2);
        }
        if rect.w < 2 || rect.h < 2 {
            return;
        }
        let known =
            self.converters.get(&key).is_some_and(|made| made.is_for(&picture.info, rect, sheet.stride));
        if !known {
            self.converters.insert(key, Convert::new(&picture.info, rect, sheet.stride, framed));
        }
        let Some(made) = self.converters.get(&key) else { return };
        let turned = if picture.mirrored { mirrored(picture) } else { None };
        let buffer = turned.as_ref().unwrap_or(&picture.buffer);
        let Ok(source) = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &picture.info) else {
            return;
        };
        made.run(&source, sheet);
    }
}

impl Convert {
    fn new(from: &gst_video::VideoInfo, rect: Rect, stride: usize, coarse: bool) -> Self {
        let mut config = gst_video::VideoConverterConfig::new();
        config.set_resampler_method(if coarse {
            gst_video::VideoResamplerMethod::Nearest
        } else {
            gst_video::VideoResamplerMethod::Linear
        });
        config.set_chroma_resampler_method(gst_video::VideoResamplerMethod::Nearest);
        config.set_dither_method(gst_video::VideoDitherMethod::None);
        config.set_chroma_mode(gst_video::VideoChromaMode::None);
        // The rectangle is a picture of its own, in the window's memory: a converter told of a part of a larger
        // picture also writes beside it.
        let into = gst_video::VideoInfo::builder(gst_video::VideoFormat::Bgrx, rect.w as u32, rect.h as u32)
            .stride(&[stride as i32])
            .offset(&[0])
            .size(stride * (rect.h - 1) + rect.w * 4)
            .build();
        let made = into
            .and_then(|into| Ok((gst_video::VideoConverter::new(&still(from), &into, Some(config))?, into)));
        let made = made.inspect_err(|error| log::error!("{:?} cannot be shown: {error}", from.format())).ok();
        Self { from: from.clone(), rect, stride, made }
    }

    fn is_for(&self, from: &gst_video::VideoInfo, rect: Rect, stride: usize) -> bool {
        self.rect == rect && self.stride == stride && self.from == *from
    }

    fn run(&self, source: &gst_video::VideoFrameRef<&gst::BufferRef>, sheet: &mut Sheet<'_>) {
        let Some((converter, into)) = &self.made else { return };
        let start = self.rect.y * self.stride + self.rect.x * 4;
        let Some(region) = sheet.data.get_mut(start..start + into.size()) else { return };
        // SAFETY: the buffer borrows `region` without owning it, and is gone before the borrow ends.
        let mut window: gst::Buffer = unsafe {
            from_glib_full(gst::ffi::gst_buffer_new_wrapped_full(
                0,
                region.as_mut_ptr().cast(),
                region.len(),
                0,
                region.len(),
                std::ptr::null_mut(),
                None,
            ))
        };
        let Some(window) = window.get_mut() else { return };
        if let Ok(mut target) = gst_video::VideoFrameRef::from_buffer_ref_writable(window, into) {
            converter.frame_ref(source, &mut target);
        }
    }
}

impl Sheet<'_> {
    fn blit(&mut self, x: usize, y: usize, panel: &Panel) {
        for (row, line) in panel.pixels.chunks_exact(panel.width * 4).enumerate() {
            if let Some(into) = self
                .data
                .get_mut((y + row) * self.stride + x * 4..)
                .and_then(|data| data.get_mut(..line.len()))
            {
                into.copy_from_slice(line);
            }
        }
    }

    fn ink(&mut self, x: usize, y: usize, shape: &Shape, ink: u32) {
        for (row, line) in shape.cover.chunks_exact(shape.width).enumerate() {
            let Some(into) = self.data.get_mut((y + row) * self.stride + x * 4..) else { return };
            for (pixel, cover) in into.chunks_exact_mut(4).zip(line).filter(|(_, cover)| **cover > 0) {
                for (channel, value) in pixel.iter_mut().enumerate().take(3) {
                    let (ink, cover) = (ink >> (8 * channel) & 0xff, u32::from(*cover));
                    *value = ((u32::from(*value) * (255 - cover) + ink * cover) / 255) as u8;
                }
            }
        }
    }

    fn border(&mut self, rect: Rect) {
        let (across, down) = (solid(rect.w, 2, PALE), solid(2, rect.h, PALE));
        self.blit(rect.x, rect.y, &across);
        self.blit(rect.x, rect.y + rect.h - 2, &across);
        self.blit(rect.x, rect.y, &down);
        self.blit(rect.x + rect.w - 2, rect.y, &down);
    }
}

/// A copy of an I420 picture, left and right swapped. Here and not in the screen's memory, which may be slow to read.
fn mirrored(picture: &Picture) -> Option<gst::Buffer> {
    let info = &picture.info;
    let from = gst_video::VideoFrameRef::from_buffer_ref_readable(&picture.buffer, info).ok()?;
    if from.format() != gst_video::VideoFormat::I420 {
        return None;
    }
    let mut copy = vec![0; info.size()];
    for plane in 0..3 {
        let width = from.comp_width(plane) as usize;
        let (there, here) = (from.comp_stride(plane).unsigned_abs() as usize, info.stride()[plane as usize]);
        let rows = from.plane_data(plane).ok()?.chunks(there);
        let start = info.offset()[plane as usize];
        let into = copy[start..].chunks_mut(here.unsigned_abs() as usize);
        for (row, into) in rows.zip(into).take(from.comp_height(plane) as usize) {
            let (row, into) = (row.get(..width)?, into.get_mut(..width)?);
            into.copy_from_slice(row);
            into.reverse();
        }
    }
    Some(gst::Buffer::from_mut_slice(copy))
}

/// The same picture without a frame rate: a converter refuses to change that.
fn still(info: &gst_video::VideoInfo) -> gst_video::VideoInfo {
    gst_video::VideoInfo::builder(info.format(), info.width(), info.height())
        .colorimetry(&info.colorimetry())
        .offset(info.offset())
        .stride(info.stride())
        .build()
        .unwrap_or_else(|_| info.clone())
}

/// A text's shape; `None` when there is nothing to draw, or no room.
fn shape(text: &str, style: Style, width: usize, height: usize) -> Option<Shape> {
    if text.trim().is_empty() || height < style.size {
        return None;
    }
    text::draw(text, style, width, height)
        .inspect_err(|error| log::error!("no text on the screen: {error:#}"))
        .ok()
}

/// Texts one below the other, on an opaque note.
fn note(lines: &[(&str, Style)], width: usize, height: usize) -> Option<Panel> {
    let pad = lines.iter().map(|(_, style)| style.size).max()? / 2;
    let inner = width.checked_sub(2 * pad)?;
    let mut left = height.saturating_sub(2 * pad);
    let mut shapes = Vec::new();
    for (text, style) in lines {
        if let Some(shape) = shape(text, *style, inner, left) {
            left = left.saturating_sub(shape.height + pad / 3);
            shapes.push((shape, style.ink));
        }
    }
    let text: usize = shapes.iter().map(|(shape, _)| shape.height).sum();
    let gaps = pad / 3 * shapes.len().checked_sub(1)?;
    let mut panel = solid(width, text + gaps + 2 * pad, NOTE);
    let mut sheet = Sheet { data: &mut panel.pixels, stride: width * 4 };
    let mut y = pad;
    for (shape, ink) in shapes {
        sheet.ink(pad, y, &shape, ink);
        y += shape.height + pad / 3;
    }
    Some(panel)
}

fn solid(width: usize, height: usize, colour: u32) -> Panel {
    Panel { width, height, pixels: (colour | OPAQUE).to_le_bytes().repeat(width * height) }
}

/// The background's colour at a height.
fn shade(view: View, y: usize, height: usize) -> u32 {
    let (top, bottom) = match view {
        View::Idle => (NIGHT, DUSK),
        View::Trouble => (ALARM, EMBER),
        View::Waiting | View::InCall => return 0,
    };
    let mix = |shift: u32| {
        let (a, b) = ((top >> shift & 0xff) as usize, (bottom >> shift & 0xff) as usize);
        (((a * (height - y) + b * y) / height) as u32) << shift
    };
    mix(16) | mix(8) | mix(0)
}

fn background(width: usize, height: usize, view: View) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(width * height * 4);
    for y in 0..height {
        pixels.extend((shade(view, y, height) | OPAQUE).to_le_bytes().repeat(width));
    }
    match view {
        View::Idle => button(&mut pixels, width, height, GREEN),
        View::Trouble => button(&mut pixels, width, height, AMBER),
        View::Waiting | View::InCall => {}
    }
    pixels
}

/// The button's likeness, above the words.
fn button(pixels: &mut [u8], width: usize, height: usize, colour: u32) {
    let (cx, cy, radius) = (width as f32 / 2.0, height as f32 * 0.28, height as f32 * 0.115);
    let (top, bottom) = ((cy - radius * 1.4) as usize, (cy + radius * 1.4) as usize);
    for y in top..bottom.min(height) {
        for x in (cx - radius * 1.4) as usize..((cx + radius * 1.4) as usize).min(width) {
            let distance = (x as f32 - cx).hypot(y as f32 - cy);
            let edge = |at: f32| (at - distance + 0.5).clamp(0.0, 1.0);
            let cover = edge(radius) + 0.45 * (edge(radius * 1.3) - edge(radius * 1.16));
            for channel in 0..3 {
                let pixel = &mut pixels[(y * width + x) * 4 + channel];
                let ink = (colour >> (8 * channel) & 0xff) as f32;
                *pixel = (f32::from(*pixel) * (1.0 - cover) + ink * cover) as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::protocol::Screen;

    #[test]
    fn no_pixel_is_transparent_for_those_who_look_at_the_fourth_byte() {
        gst::init().expect("GStreamer");
        let (width, height) = (320, 240);
        let message = super::super::Message {
            from: "王".into(),
            text: "请稍候".into(),
            until: std::time::Instant::now(),
        };
        for view in [View::Idle, View::Waiting, View::InCall, View::Trouble] {
            let words = Screen { view, headline: "One moment".into(), detail: "请稍候".into() };
            let scene = Scene { words, message: Some(message.clone()), preview: None, members: Vec::new() };
            let mut data = vec![0; width * height * 4];
            Canvas::new(width, height).draw(1, Sheet { data: &mut data, stride: width * 4 }, &scene);
            assert!(data.chunks(4).all(|pixel| pixel[3] == 255), "{view:?}");
            assert!(data.chunks(4).any(|pixel| pixel[0] > 200), "{view:?} has words");
        }
    }

    #[test]
    fn what_was_made_for_a_member_goes_with_it() {
        gst::init().expect("GStreamer");
        let (width, height) = (320, 240);
        let mut canvas = Canvas::new(width, height);
        let info =
            gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, 160, 120).build().expect("info");
        let buffer = gst::Buffer::from_slice(vec![128; info.size()]);
        let picture = Picture { buffer, info, mirrored: false };
        let words = Screen { view: View::InCall, headline: String::new(), detail: String::new() };
        for call in 0..50 {
            let members = vec![(call, picture.clone(), String::new())];
            let scene =
                Scene { words: words.clone(), message: None, preview: Some(picture.clone()), members };
            let mut data = vec![0; width * height * 4];
            canvas.draw(1, Sheet { data: &mut data, stride: width * 4 }, &scene);
        }
        assert_eq!(canvas.converters.len(), 2, "the preview's and the last member's");
    }
}
