//! The lamp in the button: a pattern for each state, and which level that is now.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::line::Line;

/// Changes in one round of a pattern.
const MOST_STEPS: usize = 16;
/// Shorter cannot be seen, and makes the loop turn for nothing.
const SHORTEST: u64 = 20;
/// Longer cannot be told from steady.
const LONGEST: u64 = 60_000;

/// `[lamp]`: what it is, and what it shows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lamp {
    /// Whether there is one.
    pub kind: Kind,
    /// Its line.
    pub gpio: Option<Line>,
    /// Ready to be pressed.
    pub idle: Pattern,
    /// Somebody is being called.
    pub waiting: Pattern,
    /// In a call.
    pub in_call: Pattern,
    /// Not usable; the screen says why.
    pub trouble: Pattern,
}

impl Default for Lamp {
    fn default() -> Self {
        // One lamp of one brightness tells four states apart by time alone: lit asks for a press, blinking is on its
        // way, winking talks, flashing twice calls for help.
        Self {
            kind: Kind::None,
            gpio: None,
            idle: Pattern(vec![Duration::MAX]),
            waiting: Pattern::of(&[300, 300]),
            in_call: Pattern::of(&[1800, 200]),
            trouble: Pattern::of(&[100, 100, 100, 1700]),
        }
    }
}

/// What a lamp, or a door switch, hangs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// There is none.
    #[default]
    None,
    /// A GPIO line.
    Gpio,
}

/// On and off times, in turn, beginning with on; in a file `"on"`, `"off"` or milliseconds such as `[300, 300]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Duration>);

impl Pattern {
    /// Never lit.
    #[must_use]
    pub fn dark() -> Self {
        Self(Vec::new())
    }

    fn of(times: &[u64]) -> Self {
        Self(times.iter().copied().map(Duration::from_millis).collect())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Times;
        impl<'de> serde::de::Visitor<'de> for Times {
            type Value = Pattern;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"on\", \"off\" or milliseconds on and off in turn, such as [300, 300]")
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Pattern, E> {
                match word {
                    "on" => Ok(Pattern(vec![Duration::MAX])),
                    "off" => Ok(Pattern::dark()),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
                }
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Pattern, A::Error> {
                let mut times = Vec::new();
                while let Some(ms) = seq.next_element::<u64>()? {
                    if !(SHORTEST..=LONGEST).contains(&ms) || times.len() == MOST_STEPS {
                        return Err(serde::de::Error::custom(
                            "a lamp's pattern has at most 16 times of 20 to 60000 ms",
                        ));
                    }
                    times.push(ms);
                }
                if times.is_empty() || times.len() % 2 == 1 {
                    return Err(serde::de::Error::custom(
                        "a lamp's pattern has as many times off as on; steady is \"on\" or \"off\"",
                    ));
                }
                Ok(Pattern::of(&times))
            }
        }
        from.deserialize_any(Times)
    }
}

/// Plays a pattern from the moment it is asked for.
#[derive(Clone, Debug)]
pub struct Player {
    pattern: Pattern,
    since: Instant,
}

impl Player {
    /// Dark.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { pattern: Pattern::dark(), since: now }
    }

    /// Plays `pattern` from its beginning, unless it is playing.
    pub fn play(&mut self, pattern: &Pattern, now: Instant) {
        if self.pattern != *pattern {
            self.pattern = pattern.clone();
            self.since = now;
        }
    }

    /// Whether the lamp is lit, and when that changes.
    #[must_use]
    pub fn level(&self, now: Instant) -> (bool, Option<Instant>) {
        let round: Duration = match self.pattern.0.as_slice() {
            [] => return (false, None),
            [_] => return (true, None),
            times => times.iter().sum(),
        };
        let into = now.saturating_duration_since(self.since);
        // A pattern lasts milliseconds; what has passed of this round fits easily.
        let into = u64::try_from(into.as_millis() % round.as_millis()).map_or(into, |ms| {
            Duration::from_millis(ms) + Duration::from_nanos(u64::from(into.subsec_nanos() % 1_000_000))
        });
        let mut end = Duration::ZERO;
        for (step, time) in self.pattern.0.iter().enumerate() {
            end += *time;
            if into < end {
                return (step % 2 == 0, Some(now + (end - into)));
            }
        }
        (false, Some(now + Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Result<Pattern, String> {
        #[derive(Deserialize)]
        struct File {
            p: Pattern,
        }
        toml::from_str::<File>(&format!("p = {text}"))
            .map(|file| file.p)
            .map_err(|error| error.message().to_owned())
    }

    /// The levels of the next `ms`, one a millisecond, following only the times the player names.
    fn film(player: &Player, from: Instant, ms: u64) -> String {
        let mut film = String::new();
        let (mut level, mut change) = player.level(from);
        for at in (0..ms).map(|ms| from + Duration::from_millis(ms)) {
            if change.is_some_and(|change| at >= change) {
                (level, change) = player.level(at);
            }
            film.push(if level { '#' } else { '.' });
        }
        film
    }

    #[test]
    fn a_pattern_repeats_to_the_millisecond_even_after_days() {
        let start = Instant::now();
        let mut player = Player::new(start);
        assert_eq!(player.level(start), (false, None), "dark and at rest before anything is known");
        player.play(&Pattern::of(&[20, 30, 40, 50]), start);
        let round = ["#".repeat(20), ".".repeat(30), "#".repeat(40), ".".repeat(50)].concat();
        for rounds in [0, 1, 7, 10_000_000] {
            let from = start + Duration::from_millis(140) * rounds;
            assert_eq!(film(&player, from, 140), round, "after {rounds} rounds");
        }
    }

    #[test]
    fn the_same_pattern_again_does_not_start_anew_but_another_does() {
        let start = Instant::now();
        let later = start + Duration::from_millis(150);
        let mut player = Player::new(start);
        player.play(&Pattern::of(&[100, 100]), start);
        player.play(&Pattern::of(&[100, 100]), later);
        assert_eq!(player.level(later), (false, Some(start + Duration::from_millis(200))));
        player.play(&Pattern::of(&[100, 101]), later);
        assert_eq!(player.level(later), (true, Some(later + Duration::from_millis(100))));
    }

    #[test]
    fn the_patterns_of_the_four_states_look_different() {
        let lamp = Lamp::default();
        let start = Instant::now();
        let films = [lamp.idle, lamp.waiting, lamp.in_call, lamp.trouble].map(|pattern| {
            let mut player = Player::new(start);
            player.play(&pattern, start);
            film(&player, start, 2000)
        });
        for (index, one) in films.iter().enumerate() {
            assert!(one.contains('#'), "pattern {index} is dark");
            assert!(!films[..index].contains(one), "pattern {index} looks like one before it");
        }
    }

    #[test]
    fn words_and_times_are_taken_and_nonsense_is_refused_in_words() {
        assert_eq!(pattern("\"on\"").map(|p| p.0.len()), Ok(1));
        assert_eq!(pattern("\"off\"").map(|p| p.0.len()), Ok(0));
        assert_eq!(pattern("[300, 200]"), Ok(Pattern::of(&[300, 200])));
        for (bad, says) in [
            ("\"blink\"", "expected \"on\", \"off\" or milliseconds"),
            ("[]", "as many times off as on"),
            ("[300]", "as many times off as on"),
            ("[300, 1]", "20 to 60000 ms"),
            ("[300, -1]", "expected u64"),
            ("[20,20,20,20,20,20,20,20,20,20,20,20,20,20,20,20,20,20]", "at most 16"),
            ("true", "expected \"on\", \"off\" or milliseconds"),
        ] {
            let error = pattern(bad).expect_err(bad);
            assert!(error.contains(says), "{bad}: {error}");
        }
    }
}
