//! What a finger means: levels of the button's line with their times in, presses out. No I/O, no clock.
//!
//! A press counts when the button goes **down**: the call begins at once, not when the finger is lifted. Held for the
//! long time, the button means "hang up", whatever the press before it meant; so a button somebody leans on cannot keep
//! a call open. Held for much longer it is stuck: said once, and it means nothing any more until it is released. A
//! button that is down when it is first looked at has not been pressed, but it may be stuck.

use std::time::{Duration, Instant};

use heapless::Deque;

use super::debounce::Debounce;

/// Events not yet taken. A press held to the end makes four of its two levels, and [`super::button::Edges`] hands over
/// sixteen levels in a turn.
const EVENTS: usize = 40;

/// What the button means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It went down.
    Press,
    /// It has been down for the long time.
    LongPress,
    /// It has been down for so long that no finger does it.
    Stuck,
    /// A stuck button was released, or nothing is known of it any more.
    Unstuck,
}

#[derive(Clone, Copy, Debug)]
enum Finger {
    /// Nobody has looked yet.
    Unknown,
    /// Not on the button.
    Away,
    /// On it; `next` is what holding on will mean, if anything.
    There { since: Instant, next: Option<Event> },
}

/// Makes levels into events.
#[derive(Clone, Debug)]
pub struct Decoder {
    debounce: Debounce,
    long: Option<Duration>,
    stuck: Duration,
    finger: Finger,
    is_stuck: bool,
    events: Deque<Event, EVENTS>,
}

impl Decoder {
    /// A button of which nothing is known. `long` of zero: no long press.
    #[must_use]
    pub fn new(debounce: Duration, long: Duration, stuck: Duration) -> Self {
        Self {
            debounce: Debounce::new(debounce),
            long: Some(long).filter(|long| !long.is_zero()),
            stuck,
            finger: Finger::Unknown,
            is_stuck: false,
            events: Deque::new(),
        }
    }

    /// The line is `down` since `at`; times do not go back.
    pub fn level(&mut self, down: bool, at: Instant) {
        self.pass(at);
        self.debounce.level(down, at);
        self.pass(at);
    }

    /// The line cannot be read any more, or is read anew with another debouncer: what was half done is forgotten.
    pub fn forget(&mut self, debounce: Duration) {
        self.debounce = Debounce::new(debounce);
        self.lift();
        self.finger = Finger::Unknown;
    }

    /// The next thing the button means, by `now`. Hand in every level known by then first.
    pub fn poll(&mut self, now: Instant) -> Option<Event> {
        self.pass(now);
        self.events.pop_front()
    }

    /// When [`Self::poll`] has something to say, unless a level comes before.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.debounce.next().or_else(|| self.held_on().map(|(due, _)| due))
    }

    /// What holding on will mean, and when.
    fn held_on(&self) -> Option<(Instant, Event)> {
        match (self.finger, self.long) {
            (Finger::There { since, next: Some(Event::LongPress) }, Some(long)) => {
                Some((since + long, Event::LongPress))
            }
            (Finger::There { since, next: Some(event) }, _) => Some((since + self.stuck, event)),
            _ => None,
        }
    }

    /// Everything that happens until `to`, in its order. While it is open whether a level lasts, holding on means
    /// nothing: a finger lifted at the last moment did not hang up.
    fn pass(&mut self, to: Instant) {
        loop {
            if let Some((down, since)) = self.debounce.settle(to) {
                self.settled(down, since);
            }
            let Some((_, event)) =
                self.held_on().filter(|(due, _)| *due <= to && self.debounce.next().is_none())
            else {
                return;
            };
            self.is_stuck |= event == Event::Stuck;
            self.say(event);
            if let Finger::There { next, .. } = &mut self.finger {
                *next = (event == Event::LongPress).then_some(Event::Stuck);
            }
        }
    }

    fn settled(&mut self, down: bool, since: Instant) {
        if !down {
            return self.lift();
        }
        let pressed = matches!(self.finger, Finger::Away);
        let next = if pressed && self.long.is_some() { Event::LongPress } else { Event::Stuck };
        if pressed {
            self.say(Event::Press);
        }
        self.finger = Finger::There { since, next: Some(next) };
    }

    fn lift(&mut self) {
        self.finger = Finger::Away;
        if std::mem::take(&mut self.is_stuck) {
            self.say(Event::Unstuck);
        }
    }

    fn say(&mut self, event: Event) {
        // Full only when nobody polls; then the newest means nothing new.
        let _ = self.events.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const LONG: u32 = 2000;
    const STUCK: u32 = 10_000;

    fn decoder(debounce: u32) -> Decoder {
        Decoder::new(debounce * MS, LONG * MS, STUCK * MS)
    }

    /// Feeds `levels` (milliseconds, down) and looks every time the decoder asks to be looked at, until `end`.
    fn play(mut decoder: Decoder, levels: &[(u32, bool)], end: u32) -> Vec<(u32, Event)> {
        let start = Instant::now();
        let mut events = Vec::new();
        let mut look = |decoder: &mut Decoder, until: u32| {
            while let Some(at) = decoder.next().filter(|at| *at <= start + until * MS) {
                let before = events.len();
                while let Some(event) = decoder.poll(at) {
                    events.push((u32::try_from((at - start).as_millis()).expect("a short test"), event));
                }
                assert!(events.len() > before || decoder.next() != Some(at), "it asks for nothing at {at:?}");
            }
        };
        for (ms, down) in levels {
            look(&mut decoder, *ms);
            decoder.level(*down, start + *ms * MS);
        }
        look(&mut decoder, end);
        while let Some(event) = decoder.poll(start + end * MS) {
            events.push((end, event));
        }
        events
    }

    #[test]
    fn a_press_counts_when_the_button_goes_down() {
        let events = play(decoder(15), &[(0, false), (100, true), (1000, false)], 5000);
        assert_eq!(events, [(115, Event::Press)]);
    }

    #[test]
    fn holding_on_hangs_up_at_the_threshold_and_later_is_stuck_until_released() {
        let events = play(decoder(15), &[(0, false), (100, true), (15_000, false), (16_000, true)], 16_100);
        let want = [
            (115, Event::Press),
            (100 + LONG, Event::LongPress),
            (100 + STUCK, Event::Stuck),
            (15_015, Event::Unstuck),
            (16_015, Event::Press),
        ];
        assert_eq!(events, want);
    }

    #[test]
    fn a_finger_lifted_in_the_last_moment_did_not_hang_up() {
        let events = play(decoder(15), &[(0, false), (100, true), (100 + LONG - 1, false)], 9000);
        assert_eq!(events, [(115, Event::Press)]);
    }

    #[test]
    fn so_it_is_when_something_else_wakes_the_loop_before_the_release_has_lasted() {
        let start = Instant::now();
        let mut decoder = decoder(15);
        decoder.level(false, start);
        decoder.level(true, start + 100 * MS);
        assert_eq!(decoder.poll(start + 115 * MS), Some(Event::Press));
        let lifted = 100 + LONG - 1;
        decoder.level(false, start + lifted * MS);
        for later in 0..1000 {
            assert_eq!(decoder.poll(start + (lifted + later) * MS), None, "{later} ms after the release");
        }
    }

    #[test]
    fn a_button_that_is_down_at_boot_was_not_pressed_but_may_be_stuck() {
        let events = play(decoder(15), &[(0, true), (12_000, false), (13_000, true)], 13_100);
        assert_eq!(events, [(STUCK, Event::Stuck), (12_015, Event::Unstuck), (13_015, Event::Press)]);
    }

    #[test]
    fn without_a_long_press_holding_on_is_only_ever_stuck() {
        let events =
            play(Decoder::new(15 * MS, Duration::ZERO, STUCK * MS), &[(0, false), (100, true)], 20_000);
        assert_eq!(events, [(115, Event::Press), (100 + STUCK, Event::Stuck)]);
    }

    #[test]
    fn a_line_that_is_lost_while_stuck_is_stuck_no_more_and_starts_unknown() {
        let start = Instant::now();
        let mut decoder = decoder(0);
        decoder.level(true, start);
        let later = start + STUCK * MS;
        assert_eq!(decoder.poll(later), Some(Event::Stuck));
        decoder.forget(Duration::ZERO);
        assert_eq!((decoder.poll(later), decoder.poll(later)), (Some(Event::Unstuck), None));
        decoder.level(true, later);
        assert_eq!(decoder.poll(later + MS), None, "down when first looked at is no press");
    }

    #[test]
    fn fifty_presses_in_five_seconds_are_fifty_presses() {
        let levels: Vec<_> = [(0, false)]
            .into_iter()
            .chain((0..50).flat_map(|n| [(100 + n * 100, true), (150 + n * 100, false)]))
            .collect();
        let events = play(decoder(15), &levels, 30_000);
        assert_eq!(events.len(), 50);
        assert!(events.iter().all(|(_, event)| *event == Event::Press), "{events:?}");
    }

    /// The same said the slow way: looking at the line every millisecond.
    fn slowly(debounce: u32, levels: &[(u32, bool)], end: u32) -> Vec<Event> {
        let mut events = Vec::new();
        let (mut settled, mut raw, mut raw_since) = (None, None, 0);
        let (mut down_since, mut fresh, mut stuck) = (None, false, false);
        let mut long_said = false;
        for ms in 0..=end {
            // What lasted until now counts before what changes now.
            for changes in [false, true] {
                for (_, level) in levels.iter().filter(|(at, _)| changes && *at == ms) {
                    if raw != Some(*level) {
                        (raw, raw_since) = (Some(*level), ms);
                    }
                }
                let lasted = raw != settled && raw.is_some() && ms - raw_since >= debounce;
                if lasted {
                    fresh = settled == Some(false);
                    settled = raw;
                    if settled == Some(true) {
                        (down_since, long_said) = (Some(raw_since), false);
                        if fresh {
                            events.push(Event::Press);
                        }
                    } else {
                        down_since = None;
                        if std::mem::take(&mut stuck) {
                            events.push(Event::Unstuck);
                        }
                    }
                }
                if let (Some(since), true) = (down_since, raw == settled) {
                    if fresh && !long_said && ms - since >= LONG {
                        long_said = true;
                        events.push(Event::LongPress);
                    }
                    if !stuck && ms - since >= STUCK {
                        stuck = true;
                        events.push(Event::Stuck);
                    }
                }
            }
        }
        events
    }

    fn levels() -> impl Strategy<Value = Vec<(u32, bool)>> {
        let wait = prop_oneof![4 => 1u32..30, 2 => 30u32..500, 2 => 500u32..4000, 1 => 4000u32..15_000];
        proptest::collection::vec((wait, any::<bool>()), 1..30).prop_map(|steps| {
            let mut at = 0;
            steps
                .into_iter()
                .map(|(wait, down)| {
                    at += wait;
                    (at, down)
                })
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the line does, the decoder says what looking every millisecond would say, whether it is looked at
        /// in time or only when the next level comes.
        #[test]
        fn it_says_what_looking_every_millisecond_would(levels in levels(), debounce in prop_oneof![Just(0u32), 1u32..40]) {
            let end = levels.last().map_or(0, |(at, _)| *at) + 15_000;
            let want = slowly(debounce, &levels, end);
            let prompt: Vec<_> = play(decoder(debounce), &levels, end).into_iter().map(|(_, event)| event).collect();
            prop_assert_eq!(&prompt, &want);
            let start = Instant::now();
            let mut late = decoder(debounce);
            let mut events = Vec::new();
            for (at, down) in &levels {
                late.level(*down, start + *at * MS);
                while let Some(event) = late.events.pop_front() {
                    events.push(event);
                }
            }
            while let Some(event) = late.poll(start + end * MS) {
                events.push(event);
            }
            prop_assert_eq!(&events, &want);
        }

        /// Contacts that bounce for less than the period make one press of one finger.
        #[test]
        fn bounces_do_not_press_twice(
            bounces in proptest::collection::vec(1u32..5, 0..6),
            held in 100u32..1500,
            presses in 1usize..8,
        ) {
            let mut levels = vec![(0, false)];
            let mut at = 100;
            for _ in 0..presses {
                for down in [true, false] {
                    levels.push((at, down));
                    for bounce in bounces.chunks_exact(2) {
                        at += bounce[0];
                        levels.push((at, !down));
                        at += bounce[1];
                        levels.push((at, down));
                    }
                    at += held;
                }
            }
            let events = play(decoder(15), &levels, at + 100);
            prop_assert_eq!(events.len(), presses);
            prop_assert!(events.iter().all(|(_, event)| *event == Event::Press));
        }
    }
}
