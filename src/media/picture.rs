//! The test picture: a running clock, a field of grain that gives the encoder work, and the pixel mark.
//!
//! Its background is drawn once; a frame costs one copy and a few thousand pixels. The grain is scaled to be worth
//! about the bitrate of a real camera in a room, so that congestion control has something to cut.

use super::mark::{self, Mark};

/// Digits, colon and point, 5 by 7, a row a byte.
const FONT: [[u8; 7]; 12] = [
    [0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e],
    [0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e],
    [0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f],
    [0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e],
    [0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02],
    [0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e],
    [0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e],
    [0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08],
    [0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e],
    [0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c],
    [0x00, 0x04, 0x04, 0x00, 0x04, 0x04, 0x00],
    [0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x04],
];
/// Height of the clock's font in cells.
const ROWS: usize = 7;
/// Width of a character in cells, with the gap after it.
const COLUMNS: usize = 6;
/// `HH:MM:SS.t`.
const CHARACTERS: usize = 10;

/// How an I420 picture lies in memory.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Pixels; even.
    pub width: usize,
    /// Pixels; even.
    pub height: usize,
    /// Bytes in a row of Y, U and V.
    pub stride: [usize; 3],
    /// Where Y, U and V start.
    pub offset: [usize; 3],
    /// Bytes in all.
    pub size: usize,
}

impl Layout {
    /// The layout GStreamer uses for this picture by default.
    #[must_use]
    pub fn of(info: &gst_video::VideoInfo) -> Self {
        Self {
            width: info.width() as usize,
            height: info.height() as usize,
            stride: std::array::from_fn(|plane| info.stride()[plane] as usize),
            offset: std::array::from_fn(|plane| info.offset()[plane]),
            size: info.size(),
        }
    }
}

/// Draws test pictures.
#[derive(Debug)]
pub struct Picture {
    layout: Layout,
    background: Vec<u8>,
    grain: Vec<u8>,
    seed: u32,
}

impl Picture {
    /// A picture of this layout.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        let mut seed = 0x2545_f491;
        let grain = (0..GRAIN).map(|_| 96 + (random(&mut seed) >> 26) as u8).collect();
        Self { layout, background: background(&layout), grain, seed }
    }

    /// Draws a frame into `data`, which is of the layout's size. `clock_ms` is the time of day. Without a mark it is
    /// the placeholder of a camera that does not work.
    pub fn draw(&mut self, data: &mut [u8], clock_ms: u64, mark: Option<Mark>) {
        let Layout { width, height, stride, .. } = self.layout;
        data.copy_from_slice(&self.background);
        self.clock(data, clock_ms);
        let Some(mark) = mark else { return };
        let (wide, tall) = (width / 4, height / 4);
        let (left, top) = (width * 5 / 8, height * 5 / 8);
        for y in top..top + tall {
            let from = (random(&mut self.seed) as usize) % (GRAIN - wide.min(GRAIN - 1));
            let wide = wide.min(GRAIN - from);
            data[y * stride[0] + left..][..wide].copy_from_slice(&self.grain[from..from + wide]);
        }
        // A bar that sweeps the lower edge: motion an eye can judge.
        let bar = mark.counter as usize * 4 % (width - width / 16);
        for y in height * 15 / 16..height {
            data[y * stride[0] + bar..][..width / 16].fill(200);
        }
        mark::draw(&mut data[..], stride[0], width, height, mark);
    }

    fn clock(&self, data: &mut [u8], clock_ms: u64) {
        let Layout { width, height, stride, .. } = self.layout;
        let seconds = clock_ms / 1000;
        let two = |number: u64| [(number / 10 % 10) as usize, (number % 10) as usize];
        let ([h1, h0], [m1, m0], [s1, s0]) =
            (two(seconds / 3600 % 24), two(seconds / 60 % 60), two(seconds % 60));
        let characters = [h1, h0, 10, m1, m0, 10, s1, s0, 11, (clock_ms / 100 % 10) as usize];
        let cell = width * 3 / 4 / (COLUMNS * CHARACTERS);
        let (left, top) = ((width - cell * COLUMNS * CHARACTERS) / 2, height / 3);
        for (place, character) in characters.into_iter().enumerate() {
            for (row, bits) in FONT[character].into_iter().enumerate().take(ROWS) {
                for column in (0..5).filter(|column| bits >> (4 - column) & 1 == 1) {
                    let x = left + (place * COLUMNS + column) * cell;
                    for y in top + row * cell..top + (row + 1) * cell {
                        data[y * stride[0] + x..][..cell].fill(230);
                    }
                }
            }
        }
    }
}

/// Bytes of grain to choose rows from.
const GRAIN: usize = 8192;

fn random(seed: &mut u32) -> u32 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    *seed
}

fn background(layout: &Layout) -> Vec<u8> {
    let Layout { width, height, stride, offset, size } = *layout;
    let mut data = vec![128; size];
    for y in 0..height {
        for x in 0..width {
            let grid = x % (width / 16).max(2) < 2 || y % (height / 12).max(2) < 2;
            data[offset[0] + y * stride[0] + x] = (48 + 48 * y / height + if grid { 20 } else { 0 }) as u8;
        }
    }
    for y in 0..height / 2 {
        for x in 0..width / 2 {
            data[offset[1] + y * stride[1] + x] = (128 + 40 * x / width) as u8;
            data[offset[2] + y * stride[2] + x] = (120 - 30 * y / height) as u8;
        }
    }
    // The mark lies on grey.
    let cell = mark::cell(width);
    for plane in 1..3 {
        for y in 0..(2 * cell).min(height).div_ceil(2) {
            data[offset[plane] + y * stride[plane]..][..width / 2].fill(128);
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(width: usize, height: usize) -> Layout {
        let (y, c) = (width * height, width / 2 * (height / 2));
        Layout {
            width,
            height,
            stride: [width, width / 2, width / 2],
            offset: [0, y, y + c],
            size: y + 2 * c,
        }
    }

    #[test]
    fn frames_carry_their_mark_at_every_size_a_camera_gives() {
        for (width, height) in [(160, 120), (320, 240), (640, 360), (640, 480), (1280, 720), (1920, 1080)] {
            let layout = layout(width, height);
            let mut picture = Picture::new(layout);
            let mut data = vec![0; layout.size];
            for counter in [0, 1, 77_777, u32::MAX] {
                let mark = Mark { counter, time_ms: 5 };
                picture.draw(&mut data, 86_399_900, Some(mark));
                assert_eq!(mark::read(&data, width, width, height), Some(mark), "{width}x{height}");
            }
        }
    }

    #[test]
    fn the_clock_runs_and_the_placeholder_has_no_mark() {
        let layout = layout(640, 480);
        let mut picture = Picture::new(layout);
        let (mut first, mut second) = (vec![0; layout.size], vec![0; layout.size]);
        picture.draw(&mut first, 1000, None);
        picture.draw(&mut second, 1100, None);
        assert_ne!(first, second);
        assert_eq!(mark::read(&first, 640, 640, 480), None);
    }
}
