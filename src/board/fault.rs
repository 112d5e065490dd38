//! Why a line of the board cannot be used, and what cures it: one sentence each, naming chip and line.

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no such chip.
    #[error(
        "GPIO chip {chip} is not there (found: {found}): load its driver, or correct the chip in the board file"
    )]
    NoChip {
        /// As the board file calls it.
        chip: String,
        /// What is there.
        found: String,
    },
    /// No chip has such a line.
    #[error("{line} is not there (looked at: {looked}): correct the line in the board file")]
    NoLine {
        /// As the board file calls it.
        line: String,
        /// The chips.
        looked: String,
    },
    /// Several chips have such a line.
    #[error("{line} is on several chips ({looked}): name the chip in the board file")]
    Ambiguous {
        /// As the board file calls it.
        line: String,
        /// The chips that have one.
        looked: String,
    },
    /// Somebody else has it.
    #[error("{line} of {chip} is in use by {user}: end that, or choose another line in the board file")]
    Busy {
        /// Its number and name.
        line: String,
        /// The chip.
        chip: String,
        /// Who, as the kernel knows it.
        user: String,
    },
    /// We may not open it.
    #[error("no permission for {path}: kioskd's user has to be in the group that owns it (`ls -l {path}`)")]
    Denied {
        /// The device.
        path: String,
    },
    /// The driver does not do what is asked for.
    #[error("{line} of {chip} cannot be {what}: {detail}; choose another line or driver in the board file")]
    Unable {
        /// Its number and name.
        line: String,
        /// The chip.
        chip: String,
        /// What was asked for.
        what: &'static str,
        /// What the system said.
        detail: String,
    },
    /// This is no Raspberry Pi that `rppal` knows.
    #[error(
        "this is no Raspberry Pi that the driver rppal knows: set driver = \"gpiocdev\" in the board file"
    )]
    NoPi,
    /// It was there and is gone.
    #[error("{line} of {chip} is gone: {detail}; plug it in again")]
    Gone {
        /// Its number and name.
        line: String,
        /// The chip.
        chip: String,
        /// What the system said.
        detail: String,
    },
}
