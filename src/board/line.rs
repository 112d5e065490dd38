//! One GPIO line of the board file, and which driver works it.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// A kernel debouncer waits this long for a line to settle, so it is also what a press is late by. Contacts bounce for
/// a few milliseconds; more than a second can only be a slip of the pen.
const MOST_DEBOUNCE: u64 = 1000;
/// The longest name the kernel keeps: `GPIO_MAX_NAME_SIZE` of `include/uapi/linux/gpio.h` is 32, its last byte a zero.
const MOST_NAME: usize = 31;

/// `[button.gpio]`, `[lamp.gpio]` and `[tamper.gpio]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What works the line.
    #[serde(default)]
    pub driver: Driver,
    /// The chip: a path (`/dev/gpiochip0`), a name (`gpiochip0`) or a label (`pinctrl-bcm2711`). Without it, all chips are
    /// searched for a line of that name. With the driver `file`: the folder.
    #[serde(default)]
    pub chip: Option<String>,
    /// The line: its name, or its offset on the chip.
    pub line: Id,
    /// Whether a low level means pressed, lit, open.
    #[serde(default)]
    pub active_low: bool,
    /// The resistor inside the chip; of an input.
    #[serde(default)]
    pub pull: Option<Pull>,
    /// A level has to last this long to count; of an input.
    #[serde(default)]
    pub debounce_ms: Option<u64>,
}

/// What works a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// The kernel's GPIO character device, version 2.
    #[default]
    Gpiocdev,
    /// The registers of a Raspberry Pi, by the crate of that name.
    Rppal,
    /// No hardware: a file that holds `0` or `1`, for the simulator and for tests.
    File,
}

/// Which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    /// As the device tree calls it.
    Name(String),
    /// Counted from 0 on its chip.
    Offset(u32),
}

/// A resistor inside the chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pull {
    /// None: there is one on the board.
    None,
    /// To the supply: for a contact to ground.
    Up,
    /// To ground: for a contact to the supply.
    Down,
}

impl Line {
    /// How long a level has to last.
    #[must_use]
    pub fn debounce(&self) -> Duration {
        // Long enough for the contacts of a push button, too short for a finger to notice.
        Duration::from_millis(self.debounce_ms.unwrap_or(15))
    }

    /// What is impossible about it: key, value, why.
    pub(crate) fn check(&self, output: bool) -> Result<(), (&'static str, String, &'static str)> {
        match &self.line {
            Id::Name(name) if name.is_empty() || name.len() > MOST_NAME => {
                return Err(("line", format!("{name:?}"), "a line's name has 1 to 31 bytes"));
            }
            Id::Offset(offset) if self.chip.is_none() && self.driver == Driver::Gpiocdev => {
                return Err(("line", offset.to_string(), "an offset needs the chip it is counted on"));
            }
            _ => {}
        }
        if let Some(chip) = self.chip.as_ref().filter(|chip| chip.is_empty()) {
            return Err(("chip", format!("{chip:?}"), "is empty; without the key, all chips are searched"));
        }
        if output && (self.pull.is_some() || self.debounce_ms.is_some()) {
            return Err(("pull, debounce_ms", "given".into(), "mean nothing for a lamp"));
        }
        match self.debounce_ms {
            Some(ms) if ms > MOST_DEBOUNCE => {
                Err(("debounce_ms", ms.to_string(), "more than 1000 would keep a customer waiting"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        match (&self.chip, self.driver) {
            (Some(chip), _) => write!(f, " of {chip}"),
            (None, Driver::Gpiocdev) => f.write_str(" of any GPIO chip"),
            (None, Driver::Rppal) => f.write_str(" of the Raspberry Pi"),
            (None, Driver::File) => Ok(()),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Offset(offset) => offset.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl serde::de::Visitor<'_> for Either {
            type Value = Id;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a line's name or its offset on the chip")
            }
            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Id, E> {
                Ok(Id::Name(name.to_owned()))
            }
            fn visit_i64<E: serde::de::Error>(self, offset: i64) -> Result<Id, E> {
                u32::try_from(offset)
                    .map(Id::Offset)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(offset), &self))
            }
            fn visit_u64<E: serde::de::Error>(self, offset: u64) -> Result<Id, E> {
                u32::try_from(offset)
                    .map(Id::Offset)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Unsigned(offset), &self))
            }
        }
        from.deserialize_any(Either)
    }
}
