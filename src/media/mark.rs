//! The pixel mark: a frame counter and a time, readable by machine from the picture itself.
//!
//! Two rows of forty square cells in the top left corner, one bit a cell. Row 0 is the counter, most significant bit
//! first, then the high byte of the checksum; row 1 is the sender's CLOCK_MONOTONIC in milliseconds, then the low
//! byte. The checksum is CRC-16/CCITT-FALSE over both, big-endian. It survives H.264 at any bitrate a call can use,
//! and a damaged mark is no mark.

/// Cells in a row.
const CELLS: usize = 40;
/// Luma of a 1 and of a 0, and what lies between them.
const ONE: u8 = 235;
const ZERO: u8 = 16;
const THRESHOLD: u32 = 128;

/// What a frame says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Counts frames.
    pub counter: u32,
    /// CLOCK_MONOTONIC at capture, milliseconds, mod 2^32.
    pub time_ms: u32,
}

/// The size of a cell in a picture of this width; 0 when it is too narrow for a mark.
#[must_use]
pub fn cell(width: usize) -> usize {
    width / CELLS
}

/// Draws the mark into a luma plane; does nothing to a picture too small for it.
pub fn draw(luma: &mut [u8], stride: usize, width: usize, height: usize, mark: Mark) {
    let cell = cell(width);
    if cell == 0 || height < 2 * cell || luma.len() < (2 * cell - 1) * stride + width {
        return;
    }
    for (row, bits) in rows(mark).into_iter().enumerate() {
        let first = row * cell * stride;
        for (index, pixels) in luma[first..first + CELLS * cell].chunks_exact_mut(cell).enumerate() {
            pixels.fill(if bits >> (CELLS - 1 - index) & 1 == 1 { ONE } else { ZERO });
        }
        for line in 1..cell {
            luma.copy_within(first..first + CELLS * cell, first + line * stride);
        }
    }
}

/// Reads the mark from a luma plane; `None` when there is none or it is damaged.
#[must_use]
pub fn read(luma: &[u8], stride: usize, width: usize, height: usize) -> Option<Mark> {
    let cell = cell(width);
    if cell == 0 || height < 2 * cell || luma.len() < (2 * cell - 1) * stride + width {
        return None;
    }
    let (from, to) = (cell / 4, (cell - cell / 4).max(cell / 4 + 1));
    let count = ((to - from) * (to - from)) as u32;
    let row = |row: usize| {
        (0..CELLS).fold(0u64, |bits, index| {
            let sum: u32 = (row * cell + from..row * cell + to)
                .map(|y| {
                    let start = y * stride + index * cell;
                    luma[start + from..start + to].iter().map(|pixel| u32::from(*pixel)).sum::<u32>()
                })
                .sum();
            bits << 1 | u64::from(sum > THRESHOLD * count)
        })
    };
    let (top, bottom) = (row(0), row(1));
    let mark = Mark { counter: (top >> 8) as u32, time_ms: (bottom >> 8) as u32 };
    (rows(mark) == [top, bottom]).then_some(mark)
}

fn rows(mark: Mark) -> [u64; 2] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&mark.counter.to_be_bytes());
    bytes[4..].copy_from_slice(&mark.time_ms.to_be_bytes());
    let crc = u64::from(crc16(&bytes));
    [u64::from(mark.counter) << 8 | crc >> 8, u64::from(mark.time_ms) << 8 | crc & 0xff]
}

/// CRC-16/CCITT-FALSE.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc16(b"123456789"), 0x29b1);
    }

    #[test]
    fn a_picture_too_small_has_no_mark_and_does_no_harm() {
        for (width, height) in [(0, 0), (39, 100), (640, 31), (40, 1)] {
            let mut luma = vec![77; width * height];
            draw(&mut luma, width, width, height, Mark { counter: 1, time_ms: 2 });
            assert!(luma.iter().all(|pixel| *pixel == 77));
            assert_eq!(read(&luma, width, width, height), None);
        }
    }

    #[test]
    fn flat_pictures_have_no_mark() {
        for level in [0, 16, 127, 128, 235, 255] {
            assert_eq!(read(&vec![level; 640 * 480], 640, 640, 480), None, "level {level}");
        }
    }

    proptest! {
        #[test]
        fn what_is_drawn_is_read(counter: u32, time_ms: u32, width in 40usize..1300, pad in 0usize..33) {
            let (stride, height) = (width + pad, 2 * cell(width) + 1);
            let mut luma = vec![100; stride * height];
            let mark = Mark { counter, time_ms };
            draw(&mut luma, stride, width, height, mark);
            prop_assert_eq!(read(&luma, stride, width, height), Some(mark));
        }

        #[test]
        fn a_flipped_cell_is_noticed(counter: u32, time_ms: u32, row in 0usize..2, index in 0usize..40) {
            let mut luma = vec![100; 640 * 32];
            draw(&mut luma, 640, 640, 32, Mark { counter, time_ms });
            for y in row * 16..row * 16 + 16 {
                for pixel in &mut luma[y * 640 + index * 16..y * 640 + index * 16 + 16] {
                    *pixel = 251 - *pixel;
                }
            }
            prop_assert_eq!(read(&luma, 640, 640, 32), None);
        }

        #[test]
        fn noise_of_a_coarse_encoder_is_borne(counter: u32, time_ms: u32, noise in proptest::collection::vec(-90i16..90, 640)) {
            let mut luma = vec![100; 640 * 32];
            let mark = Mark { counter, time_ms };
            draw(&mut luma, 640, 640, 32, mark);
            for (index, pixel) in luma.iter_mut().enumerate() {
                *pixel = (i16::from(*pixel) + noise[index * 7 % 640] / 2).clamp(0, 255) as u8;
            }
            prop_assert_eq!(read(&luma, 640, 640, 32), Some(mark));
        }
    }
}
