//! Draws a scene into a buffer, and remembers what each buffer shows already.

use std::collections::HashMap;

use gst_video::prelude::*;

use super::layout::{self, Layout, Rect};
use super::text::{self, Panel, Style};
use super::{Picture, Scene};
use crate::media::protocol::View;

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

/// A panel and where its corner is.
type Placed = (usize, usize, Panel);

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
    /// Made when first used; it belongs to the painter's thread.
    converter: gst_video::VideoConverter,
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
    converters: HashMap<u64, Convert>,
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

    pub(super) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// The window is gone, and its buffers with it.
    pub(super) fn forget(&mut self) {
        self.shown.clear();
        self.converters.clear();
    }

    /// Draws `scene` into a buffer.
    pub(super) fn draw(
        &mut self,
        buffer: usize,
        frame: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
        scene: &Scene,
    ) {
        self.settle(scene);
        if self.shown.insert(buffer, self.version) != Some(self.version) {
            self.ground(frame);
        }
        if scene.words.view == View::InCall {
            for (place, (id, picture, _)) in self.layout.members.clone().into_iter().zip(&scene.members) {
                self.picture(u64::from(*id) + 1, picture, place, frame, false);
            }
        }
        if let (Some((place, framed)), Some(preview)) = (self.layout.preview, &scene.preview) {
            self.picture(0, preview, place, frame, framed);
        }
        for (x, y, panel) in &self.over {
            blit(frame, *x, *y, panel);
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
        self.version += 1;
        self.layout = layout::divide(self.width, self.height, view, scene.members.len());
        self.base = background(self.width, self.height, view);
        self.over.clear();
        let mut placed = self.words(scene);
        self.over.append(&mut placed);
        if view == View::InCall {
            let unit = self.height / 28;
            for (place, (_, _, name)) in self.layout.members.clone().into_iter().zip(&scene.members) {
                let style = Style { size: unit, bold: false, ink: WHITE, paper: NOTE, centred: true };
                // A name as wide as its letters; Chinese ones are as wide as high.
                let letters: usize = name.chars().map(|letter| if letter.is_ascii() { 2 } else { 3 }).sum();
                let width = (letters * unit / 3 + unit * 2).min(place.w / 2);
                if !name.trim().is_empty()
                    && let Some(panel) = panel(name, style, width, unit * 2)
                {
                    self.over.push((place.x + unit / 2, place.y + place.h - panel.height - unit / 2, panel));
                }
            }
        }
        let mut placed = self.message(scene);
        self.over.append(&mut placed);
        self.key = Some(key);
    }

    fn words(&self, scene: &Scene) -> Vec<Placed> {
        let place = self.layout.words;
        let (headline, detail) = (scene.words.headline.trim(), scene.words.detail.trim());
        let (size, centred, paper) = match scene.words.view {
            View::Idle => (self.height / 11, true, None),
            View::Trouble => (self.height / 13, true, None),
            View::Waiting => (self.height / 18, true, Some(NOTE)),
            View::InCall => (self.height / 30, false, Some(NOTE)),
        };
        let mut y = place.y;
        let mut placed = Vec::new();
        for (text, size, bold, ink) in [(headline, size, true, WHITE), (detail, size * 5 / 9, false, PALE)] {
            if text.is_empty() {
                continue;
            }
            let left = (place.y + place.h).saturating_sub(y);
            if left < size {
                break;
            }
            let paper = paper.unwrap_or_else(|| shade(scene.words.view, y, self.height));
            let style = Style { size, bold, ink, paper, centred };
            let most = if bold { left * 2 / 3 } else { left };
            if let Some(panel) = panel(text, style, place.w, most) {
                let below = panel.height;
                placed.push((place.x, y, panel));
                y += below;
            }
        }
        placed
    }

    fn message(&self, scene: &Scene) -> Vec<Placed> {
        let (Some(message), place) = (&scene.message, self.layout.message) else { return Vec::new() };
        let unit = self.height / 22;
        let mut panels = Vec::new();
        let mut left = place.h;
        let style = Style { size: unit, bold: false, ink: WHITE, paper: NOTE, centred: false };
        if !message.from.trim().is_empty() {
            let style = Style { size: unit * 3 / 4, bold: true, ink: AMBER, ..style };
            panels.extend(panel(&message.from, style, place.w, unit * 2));
        }
        left -= panels.first().map_or(0, |panel| panel.height).min(left);
        panels.extend(panel(&message.text, style, place.w, left));
        let height: usize = panels.iter().map(|panel| panel.height).sum();
        let mut y = place.y + place.h - height.min(place.h);
        let mut placed = vec![(place.x, y.saturating_sub(4), solid(place.w, 4, AMBER))];
        for panel in panels {
            let below = panel.height;
            placed.push((place.x, y, panel));
            y += below;
        }
        placed
    }

    fn ground(&self, frame: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>) {
        let stride = frame.plane_stride()[0].unsigned_abs() as usize;
        let Ok(data) = frame.plane_data_mut(0) else { return };
        for (row, line) in self.base.chunks_exact(self.width * 4).enumerate() {
            if let Some(into) = data.get_mut(row * stride..row * stride + line.len()) {
                into.copy_from_slice(line);
            }
        }
        if let (Some((place, true)), true) = (self.layout.preview, self.key.as_ref().is_some_and(|key| key.preview)) {
            let _ = place;
        }
    }

    fn picture(
        &mut self,
        key: u64,
        picture: &Picture,
        place: Rect,
        frame: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
        framed: bool,
    ) {
        let (width, height) = (picture.info.width() as usize, picture.info.height() as usize);
        let mut rect = place.fit(width, height);
        if framed {
            // The small preview sits in the corner, not in the middle of its place.
            rect.x = place.x + place.w - rect.w;
            rect.y = place.y;
            border(frame, rect);
            rect = rect.inset(2);
        }
        let known = self.converters.get(&key).is_some_and(|made| made.rect == rect && made.from == picture.info);
        if !known {
            let mut config = gst_video::VideoConverterConfig::new();
            config.set_dest_x(rect.x as i32);
            config.set_dest_y(rect.y as i32);
            config.set_dest_width(Some(rect.w as i32));
            config.set_dest_height(Some(rect.h as i32));
            config.set_fill_border(false);
            config.set_resampler_method(if framed {
                gst_video::VideoResamplerMethod::Nearest
            } else {
                gst_video::VideoResamplerMethod::Linear
            });
            config.set_chroma_resampler_method(gst_video::VideoResamplerMethod::Nearest);
            config.set_dither_method(gst_video::VideoDitherMethod::None);
            config.set_chroma_mode(gst_video::VideoChromaMode::None);
            match gst_video::VideoConverter::new(&picture.info, frame.info(), Some(config)) {
                Ok(converter) => {
                    self.converters.insert(key, Convert { from: picture.info.clone(), rect, converter });
                }
                Err(error) => {
                    log::error!("{:?} cannot be shown: {error}", picture.info.format());
                    return;
                }
            }
        }
        let Some(made) = self.converters.get(&key) else { return };
        if let Ok(source) = gst_video::VideoFrameRef::from_buffer_ref_readable(&picture.buffer, &picture.info) {
            made.converter.frame_ref(&source, frame);
        }
    }
}

/// A text with room around it.
fn panel(text: &str, style: Style, width: usize, height: usize) -> Option<Panel> {
    let pad = (style.size * 2 / 5) & !1;
    if width <= 4 * pad || height <= style.size + 2 * pad {
        return None;
    }
    let inner = text::draw(text, style, width - 2 * pad, height - 2 * pad)
        .inspect_err(|error| log::error!("no text on the screen: {error:#}"))
        .ok()?;
    let mut panel = solid(inner.width + 2 * pad, inner.height + 2 * pad, style.paper);
    for (row, line) in inner.pixels.chunks_exact(inner.width * 4).enumerate() {
        let start = ((row + pad) * panel.width + pad) * 4;
        panel.pixels[start..start + line.len()].copy_from_slice(line);
    }
    Some(panel)
}

fn solid(width: usize, height: usize, colour: u32) -> Panel {
    Panel { width, height, pixels: colour.to_le_bytes().repeat(width * height) }
}

fn blit(frame: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>, x: usize, y: usize, panel: &Panel) {
    let stride = frame.plane_stride()[0].unsigned_abs() as usize;
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    if x + panel.width > width {
        return;
    }
    let Ok(data) = frame.plane_data_mut(0) else { return };
    for (row, line) in panel.pixels.chunks_exact(panel.width * 4).enumerate().take(height.saturating_sub(y)) {
        let start = (y + row) * stride + x * 4;
        data[start..start + line.len()].copy_from_slice(line);
    }
}

fn border(frame: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>, rect: Rect) {
    let across = solid(rect.w, 2, PALE);
    let down = solid(2, rect.h, PALE);
    blit(frame, rect.x, rect.y, &across);
    blit(frame, rect.x, rect.y + rect.h - 2, &across);
    blit(frame, rect.x, rect.y, &down);
    blit(frame, rect.x + rect.w - 2, rect.y, &down);
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
        pixels.extend(shade(view, y, height).to_le_bytes().repeat(width));
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
    let (cx, cy, radius) = (width as f32 / 2.0, height as f32 * 0.22, height as f32 * 0.105);
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
