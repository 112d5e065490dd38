//! Where things go on the screen.

use crate::media::protocol::View;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Rect {
    /// From the left.
    pub(super) x: usize,
    /// From the top.
    pub(super) y: usize,
    /// Wide.
    pub(super) w: usize,
    /// High.
    pub(super) h: usize,
}

impl Rect {
    /// The largest rectangle of these proportions in the middle of this one, at even places.
    #[must_use]
    pub(super) fn fit(self, width: usize, height: usize) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        let (w, h) = if self.w * height > self.h * width {
            (self.h * width / height, self.h)
        } else {
            (self.w, self.w * height / width)
        };
        let (w, h) = (w & !1, h & !1);
        Self { x: self.x + (self.w - w) / 2, y: self.y + (self.h - h) / 2, w, h }
    }

    /// This rectangle without a margin.
    #[must_use]
    pub(super) fn inset(self, margin: usize) -> Self {
        let margin = margin.min(self.w / 2).min(self.h / 2);
        Self { x: self.x + margin, y: self.y + margin, w: self.w - 2 * margin, h: self.h - 2 * margin }
    }
}

/// The screen's parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// The members' places, in order.
    pub(super) members: Vec<Rect>,
    /// The preview's place, and whether it has a frame.
    pub(super) preview: Option<(Rect, bool)>,
    /// The words' place.
    pub(super) words: Rect,
    /// The message's place; it takes as much of it, from below, as it needs.
    pub(super) message: Rect,
}

/// Divides a screen of this size.
#[must_use]
pub(super) fn divide(width: usize, height: usize, view: View, members: usize) -> Layout {
    let whole = Rect { x: 0, y: 0, w: width, h: height };
    let bar = height / 5;
    let margin = height / 40;
    let message = Rect { x: width / 8, y: height * 9 / 20, w: width * 3 / 4, h: height / 2 };
    match view {
        View::Idle | View::Trouble => {
            let words = Rect { x: width / 12, y: height * 9 / 20, w: width * 5 / 6, h: height / 2 };
            Layout { words, message, ..Layout::default() }
        }
        View::Waiting => {
            let picture = Rect { h: height - bar, ..whole };
            let words = Rect { y: height - bar, h: bar, ..whole };
            Layout {
                preview: Some((picture, false)),
                words,
                message: Rect { h: height - bar - margin - message.y, ..message },
                ..Layout::default()
            }
        }
        // Until the first of their pictures is there, the customer's own fills the screen and not a corner of a black one.
        View::InCall if members == 0 => {
            let words = Rect { x: margin, y: margin, w: width / 2, h: height / 8 };
            Layout { preview: Some((whole, false)), words, message, ..Layout::default() }
        }
        View::InCall => {
            let (columns, rows) = match members {
                0 | 1 => (1, 1),
                2 => (2, 1),
                3 | 4 => (2, 2),
                _ => (3, members.div_ceil(3)),
            };
            let (w, h) = (width / columns, height / rows);
            let members = (0..members)
                .map(|index| Rect { x: index % columns * w, y: index / columns * h, w, h })
                .collect();
            let small = Rect { x: 0, y: 0, w: width / 5, h: height / 5 };
            let preview = Rect { x: width - small.w - margin, y: margin, ..small };
            let words = Rect { x: margin, y: margin, w: width / 2, h: height / 8 };
            Layout { members, preview: Some((preview, true)), words, message }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_lies_on_the_screen() {
        for (width, height) in [(1280, 720), (1280, 800), (1920, 1080), (720, 1280), (320, 240)] {
            for view in [View::Idle, View::Waiting, View::InCall, View::Trouble] {
                for members in 0..7 {
                    let layout = divide(width, height, view, members);
                    let mut rects = layout.members.clone();
                    rects.extend(layout.preview.map(|(rect, _)| rect));
                    rects.extend([layout.words, layout.message]);
                    for rect in rects {
                        assert!(rect.x + rect.w <= width && rect.y + rect.h <= height, "{view:?} {rect:?}");
                        let fit = rect.fit(640, 480);
                        assert!(fit.x + fit.w <= width && fit.y + fit.h <= height, "{view:?} {fit:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_customer_s_own_picture_makes_room_for_the_first_of_the_others() {
        let alone = divide(1280, 800, View::InCall, 0).preview.expect("a preview");
        assert_eq!(alone, (Rect { x: 0, y: 0, w: 1280, h: 800 }, false));
        let (corner, framed) = divide(1280, 800, View::InCall, 1).preview.expect("a preview");
        assert!(framed && corner.w * 4 < 1280 && corner.x > 640 && corner.y < 200, "{corner:?}");
    }
}
