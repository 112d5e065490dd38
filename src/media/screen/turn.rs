//! Turns a picture, for a screen that hangs on its side.

/// Pixels are turned in squares, so that neither the rows read nor the rows written leave the cache.
const SQUARE: usize = 16;

/// How a picture is turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Not at all.
    None,
    /// A quarter, clockwise.
    Right,
    /// Upside down.
    Half,
    /// A quarter, anticlockwise.
    Left,
}

impl Turn {
    /// By degrees, clockwise; other angles than quarters are refused.
    ///
    /// # Errors
    /// When it is no quarter.
    pub(super) fn by(degrees: u32) -> Result<Self, String> {
        match degrees {
            0 => Ok(Self::None),
            90 => Ok(Self::Right),
            180 => Ok(Self::Half),
            270 => Ok(Self::Left),
            other => Err(format!("[screen] rotate = {other}: it has to be 0, 90, 180 or 270")),
        }
    }

    /// A size after, or before, it is turned.
    pub(super) fn size<T>(self, (width, height): (T, T)) -> (T, T) {
        match self {
            Self::None | Self::Half => (width, height),
            Self::Right | Self::Left => (height, width),
        }
    }

    /// Copies pixels of four bytes from `from`, `width` wide and without padding, to `to`, whose rows are `stride` bytes.
    pub(super) fn copy(self, from: &[u8], (width, height): (usize, usize), to: &mut [u8], stride: usize) {
        for top in (0..height).step_by(SQUARE) {
            for left in (0..width).step_by(SQUARE) {
                for y in top..(top + SQUARE).min(height) {
                    for x in left..(left + SQUARE).min(width) {
                        let (into_x, into_y) = match self {
                            Self::None => (x, y),
                            Self::Right => (height - 1 - y, x),
                            Self::Half => (width - 1 - x, height - 1 - y),
                            Self::Left => (y, width - 1 - x),
                        };
                        let (at, into) = ((y * width + x) * 4, into_y * stride + into_x * 4);
                        if let (Some(from), Some(to)) = (from.get(at..at + 4), to.get_mut(into..into + 4)) {
                            to.copy_from_slice(from);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_turned_clockwise_by_quarters() {
        let pixels: Vec<u8> = (0..6u8).flat_map(|pixel| [pixel; 4]).collect();
        // 0 1 2
        // 3 4 5
        for (degrees, wide, right) in [
            (0, 3, [0, 1, 2, 3, 4, 5]),
            (90, 2, [3, 0, 4, 1, 5, 2]),
            (180, 3, [5, 4, 3, 2, 1, 0]),
            (270, 2, [2, 5, 1, 4, 0, 3]),
        ] {
            let turn = Turn::by(degrees).expect("a quarter");
            assert_eq!(turn.size((3, 2)).0, wide);
            let stride = wide * 4 + 8;
            let mut turned = vec![99; stride * (6 / wide)];
            turn.copy(&pixels, (3, 2), &mut turned, stride);
            let turned: Vec<u8> =
                turned.chunks(stride).flat_map(|row| row[..wide * 4].chunks(4).map(|p| p[0])).collect();
            assert_eq!(turned, right, "{degrees}");
        }
        assert!(Turn::by(45).is_err());
    }

    #[test]
    fn two_quarters_are_a_half_at_any_size() {
        for (width, height) in [(1, 1), (17, 33), (40, 16), (100, 3)] {
            let pixels: Vec<u8> = (0..width * height * 4).map(|byte| byte as u8).collect();
            let (mut once, mut twice, mut half) = (pixels.clone(), pixels.clone(), pixels.clone());
            Turn::Right.copy(&pixels, (width, height), &mut once, height * 4);
            Turn::Right.copy(&once, (height, width), &mut twice, width * 4);
            Turn::Half.copy(&pixels, (width, height), &mut half, width * 4);
            assert_eq!(twice, half);
        }
    }
}
