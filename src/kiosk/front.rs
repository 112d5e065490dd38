//! What the machine knows of the front of the board: for journal, log and status, and for what the customer is told.

use serde::Serialize;

use super::core::Core;
use crate::board::fitting::{Fitting, Standing};

/// How button, lamp and door switch stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Front {
    /// The button.
    pub button: Button,
    /// The lamp's line; what it shows stands in the status beside this.
    pub lamp: Standing,
    /// The door switch.
    pub tamper: Tamper,
}

/// The button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Button {
    /// Whether it can be pressed.
    #[serde(flatten)]
    pub standing: Standing,
    /// Held for so long that it is ignored until it is released.
    pub stuck: bool,
}

/// The door switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tamper {
    /// Whether it can be read.
    #[serde(flatten)]
    pub standing: Standing,
    /// Whether the housing is open; unknown without a switch that works.
    pub open: Option<bool>,
}

impl Front {
    pub(crate) fn new() -> Self {
        Self {
            button: Button { standing: Standing::Opening, stuck: false },
            lamp: Standing::Absent,
            tamper: Tamper { standing: Standing::Absent, open: None },
        }
    }

    /// A part has come to stand otherwise; said once, however often it is tried again in vain.
    pub(crate) fn stands(&mut self, fitting: Fitting, standing: Standing, core: &mut Core) {
        let place = match fitting {
            Fitting::Button => &mut self.button.standing,
            Fitting::Lamp => &mut self.lamp,
            Fitting::Tamper => {
                self.tamper.open = None;
                &mut self.tamper.standing
            }
        };
        if *place == standing {
            return;
        }
        match &standing {
            Standing::Trouble { .. } => core.warn(&format!("{fitting}: {standing}")),
            Standing::Armed { .. } => core.note(&format!("{fitting}: {standing}")),
            Standing::Absent | Standing::Opening => {}
        }
        *place = standing;
    }

    pub(crate) fn stuck(&mut self, stuck: bool, core: &mut Core) {
        if self.button.stuck != stuck {
            if stuck {
                core.warn("the button is stuck or held down: ignored until it is released");
            } else {
                core.note("the button is released and works again");
            }
        }
        self.button.stuck = stuck;
    }

    pub(crate) fn door(&mut self, open: bool, core: &mut Core) {
        // Shut when first looked at is as it should be.
        if open && self.tamper.open != Some(true) {
            core.warn("tamper: the housing was opened");
        } else if !open && self.tamper.open == Some(true) {
            core.note("tamper: the housing was shut again");
        }
        self.tamper.open = Some(open);
    }

    /// Nobody can start a call by pressing it.
    pub(crate) fn button_is_broken(&self) -> bool {
        self.button.stuck || matches!(self.button.standing, Standing::Trouble { .. })
    }
}
