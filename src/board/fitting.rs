//! The parts of the board one can touch or see, and how each of them stands.

use std::fmt;

use serde::Serialize;

/// A part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fitting {
    /// The button.
    Button,
    /// The lamp in it.
    Lamp,
    /// The door switch.
    Tamper,
}

/// How a part stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Standing {
    /// The board has none.
    #[default]
    Absent,
    /// It is being opened.
    Opening,
    /// It works.
    Armed {
        /// Where it is: chip and line.
        at: String,
        /// How an input is followed.
        #[serde(skip_serializing_if = "Option::is_none")]
        follows: Option<Follows>,
    },
    /// It does not, and is tried again every few seconds.
    Trouble {
        /// What is wrong and what cures it; one sentence.
        detail: String,
    },
}

/// How an input is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Follows {
    /// The kernel, or the chip, debounces it.
    Debounced,
    /// Its edges come as they are, and are debounced here.
    Edges,
    /// It cannot interrupt, and is looked at every few milliseconds.
    Polls,
}

impl Fitting {
    /// All of them, each at its own number.
    pub const ALL: [Self; 3] = [Self::Button, Self::Lamp, Self::Tamper];
}

impl Standing {
    /// Whether it is clear that the part works, or that it does not.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self, Self::Opening)
    }
}

impl fmt::Display for Fitting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Button => "button",
            Self::Lamp => "lamp",
            Self::Tamper => "door switch",
        })
    }
}

impl fmt::Display for Follows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debounced => "debounced by the kernel",
            Self::Edges => "debounced by kioskd",
            Self::Polls => "without interrupts, looked at every 10 ms",
        })
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("none"),
            Self::Opening => f.write_str("being opened"),
            Self::Armed { at, follows: Some(follows) } => write!(f, "{at}, {follows}"),
            Self::Armed { at, follows: None } => f.write_str(at),
            Self::Trouble { detail } => f.write_str(detail),
        }
    }
}
