//! H.264 levels: the lowest that holds a picture.

/// Level times ten, the most macroblocks a second, the most macroblocks in a frame: ITU-T H.264, table A-1.
const LEVELS: &[(u8, u32, u32)] = &[
    (10, 1_485, 99),
    (11, 3_000, 396),
    (12, 6_000, 396),
    (13, 11_880, 396),
    (21, 19_800, 792),
    (22, 20_250, 1_620),
    (30, 40_500, 1_620),
    (31, 108_000, 3_600),
    (32, 216_000, 5_120),
    (40, 245_760, 8_192),
    (42, 522_240, 8_704),
    (50, 589_824, 22_080),
    (51, 983_040, 36_864),
    (52, 2_073_600, 36_864),
];

/// The lowest level, times ten, that holds pictures of this size and rate.
#[must_use]
pub fn lowest(width: u32, height: u32, fps: u32) -> u8 {
    let blocks = width.div_ceil(16) * height.div_ceil(16);
    let holds = |(_, a_second, a_frame): &&(u8, u32, u32)| blocks <= *a_frame && blocks * fps <= *a_second;
    LEVELS.iter().find(holds).map_or(52, |(level, ..)| *level)
}

/// The level as caps name it: `4`, `3.1`.
#[must_use]
pub fn name(level: u8) -> String {
    match (level / 10, level % 10) {
        (whole, 0) => whole.to_string(),
        (whole, tenth) => format!("{whole}.{tenth}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_level_that_holds_a_picture_is_found() {
        for (width, height, fps, level) in [
            (176, 144, 15, "1"),
            (640, 480, 30, "3"),
            (640, 480, 60, "3.1"),
            (1280, 720, 30, "3.1"),
            (1280, 720, 60, "3.2"),
            // 1080 lines are 68 rows of blocks: 8160 of the 8192 that level 4 holds.
            (1920, 1080, 30, "4"),
            (1920, 1080, 60, "4.2"),
            (7680, 4320, 30, "5.2"),
        ] {
            assert_eq!(name(lowest(width, height, fps)), level, "{width}x{height} at {fps}");
        }
    }
}
