//! Everything on the front of the board as one: levels and the state of the kiosk in, presses and light out. No I/O, no
//! clock: hand in what is known, then ask [`Panel::poll`] until it has nothing more to say, then [`Panel::light`].

use std::time::{Duration, Instant};

use super::button::{Button, Signal};
use super::debounce::Debounce;
use super::fitting::{Fitting, Follows, Standing};
use super::lamp::{Lamp, Pattern, Player};
use super::line::Line;
use super::press::{self, Decoder};
use super::tamper::Tamper;

/// What was done to the panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The button.
    Button(press::Event),
    /// The housing is open, or shut.
    Door {
        /// Whether it is open.
        open: bool,
    },
    /// A part has come to work, or to be in trouble.
    Fitting(Fitting, Standing),
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Panel {
    button: Decoder,
    button_debounce: Duration,
    door: Debounce,
    door_debounce: Duration,
    patterns: Lamp,
    player: Player,
    events: heapless::Deque<Event, 32>,
}

impl Panel {
    /// A panel nothing is known of.
    #[must_use]
    pub fn new(button: &Button, lamp: Lamp, tamper: &Tamper, now: Instant) -> Self {
        let debounce = |line: &Option<Line>| line.as_ref().map_or(Duration::ZERO, Line::debounce);
        let (button_debounce, door_debounce) = (debounce(&button.gpio), debounce(&tamper.gpio));
        let long = Duration::from_millis(button.long_press_ms);
        let stuck = Duration::from_millis(button.stuck_ms);
        Self {
            button: Decoder::new(button_debounce, long, stuck),
            button_debounce,
            door: Debounce::new(door_debounce),
            door_debounce,
            patterns: lamp,
            player: Player::new(now),
            events: heapless::Deque::new(),
        }
    }

    /// A part has come to stand otherwise.
    pub fn stands(&mut self, fitting: Fitting, standing: Standing) {
        // What the kernel has debounced is not debounced again.
        let here = |period| match standing {
            Standing::Armed { follows: Some(Follows::Debounced), .. } => Duration::ZERO,
            _ => period,
        };
        match fitting {
            Fitting::Button => self.button.forget(here(self.button_debounce)),
            Fitting::Tamper => self.door = Debounce::new(here(self.door_debounce)),
            Fitting::Lamp => {}
        }
        self.say(Event::Fitting(fitting, standing));
    }

    /// Something was done to it.
    pub fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::Click => self.say(Event::Button(press::Event::Press)),
            Signal::Level { fitting: Fitting::Button, active, at } => self.button.level(active, at),
            Signal::Level { fitting: Fitting::Tamper, active, at } => {
                self.settle_door(at);
                self.door.level(active, at);
            }
            Signal::Level { fitting: Fitting::Lamp, .. } => {}
        }
    }

    /// What was done, by `now`; hand in every signal known by then first.
    pub fn poll(&mut self, now: Instant) -> Option<Event> {
        self.settle_door(now);
        self.events.pop_front().or_else(|| self.button.poll(now).map(Event::Button))
    }

    /// Lets the lamp play the pattern that `choose` picks.
    pub fn show(&mut self, choose: impl FnOnce(&Lamp) -> Option<&Pattern>, now: Instant) {
        match choose(&self.patterns) {
            Some(pattern) => self.player.play(pattern, now),
            None => self.player.play(&Pattern::dark(), now),
        }
    }

    /// Whether the lamp is lit.
    #[must_use]
    pub fn light(&self, now: Instant) -> bool {
        self.player.level(now).0
    }

    /// When to ask again, unless something is handed in before.
    #[must_use]
    pub fn next(&self, now: Instant) -> Option<Instant> {
        // Without a lamp nobody sees the pattern, and the loop need not turn for it.
        let change = self.patterns.gpio.as_ref().and_then(|_| self.player.level(now).1);
        [self.button.next(), self.door.next(), change].into_iter().flatten().min()
    }

    fn settle_door(&mut self, to: Instant) {
        if let Some((open, _)) = self.door.settle(to) {
            self.say(Event::Door { open });
        }
    }

    fn say(&mut self, event: Event) {
        // Full only when nobody polls; then the newest means nothing new.
        let _ = self.events.push_back(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn panel(start: Instant) -> Panel {
        let line = "line = \"x\"\ndebounce_ms = 20\n";
        let button = toml::from_str(&format!("kind = \"gpio\"\n[gpio]\n{line}")).expect("a button");
        let tamper = toml::from_str(&format!("kind = \"gpio\"\n[gpio]\n{line}")).expect("a door switch");
        let lamp = toml::from_str("kind = \"gpio\"\n[gpio]\nline = \"y\"\n").expect("a lamp");
        Panel::new(&button, lamp, &tamper, start)
    }

    fn all(panel: &mut Panel, now: Instant) -> Vec<Event> {
        std::iter::from_fn(|| panel.poll(now)).collect()
    }

    fn level(fitting: Fitting, active: bool, at: Instant) -> Signal {
        Signal::Level { fitting, active, at }
    }

    fn armed(follows: Follows) -> Standing {
        Standing::Armed { at: "here".into(), follows: Some(follows) }
    }

    #[test]
    fn what_the_kernel_debounced_counts_at_once_and_the_rest_after_its_time() {
        for (follows, after) in [(Follows::Debounced, 0), (Follows::Edges, 20), (Follows::Polls, 20)] {
            let start = Instant::now();
            let mut panel = panel(start);
            panel.stands(Fitting::Button, armed(follows));
            panel.signal(level(Fitting::Button, false, start));
            let press = start + 1000 * MS;
            assert_eq!(all(&mut panel, press), [Event::Fitting(Fitting::Button, armed(follows))]);
            panel.signal(level(Fitting::Button, true, press));
            if after > 0 {
                assert_eq!(panel.next(press), Some(press + after * MS), "{follows:?}");
                assert_eq!(all(&mut panel, press + (after - 1) * MS), []);
            }
            assert_eq!(all(&mut panel, press + after * MS), [Event::Button(press::Event::Press)]);
        }
    }

    #[test]
    fn the_door_is_told_of_when_it_opens_and_shuts_and_when_it_is_first_seen() {
        let start = Instant::now();
        let mut panel = panel(start);
        panel.signal(level(Fitting::Tamper, false, start));
        assert_eq!(all(&mut panel, start + 20 * MS), [Event::Door { open: false }]);
        panel.signal(level(Fitting::Tamper, true, start + 100 * MS));
        panel.signal(level(Fitting::Tamper, false, start + 110 * MS));
        assert_eq!(all(&mut panel, start + 500 * MS), [], "the wind");
        panel.signal(level(Fitting::Tamper, true, start + 600 * MS));
        panel.signal(level(Fitting::Tamper, false, start + 700 * MS));
        let events = all(&mut panel, start + 800 * MS);
        assert_eq!(events, [Event::Door { open: true }, Event::Door { open: false }]);
    }

    #[test]
    fn the_lamp_plays_what_is_chosen_and_asks_to_be_woken_for_each_change() {
        let start = Instant::now();
        let mut panel = panel(start);
        assert_eq!((panel.light(start), panel.next(start)), (false, None));
        panel.show(|lamp| Some(&lamp.waiting), start);
        let change = panel.next(start).expect("a change");
        assert!(panel.light(start) && panel.light(change - MS) && !panel.light(change));
        panel.show(|_| None, change);
        assert_eq!((panel.light(change), panel.next(change)), (false, None));
    }
}
