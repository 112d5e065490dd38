//! Lines of a Raspberry Pi by the crate `rppal`, which works the chip's registers; everything the crate is used for is
//! in this file.
//!
//! unverified on a real Raspberry Pi. Run once on an emulated one: QEMU 10.0.2 `-M raspi3b`, Debian's kernel 7.3.4 with
//! `bcm2837-rpi-3-b.dtb` and `iomem=relaxed` (there is no `/dev/gpiomem` in that kernel, so the crate maps `/dev/mem`).
//! There this file took GPIO17 as debounced input, which the kernel then listed as RPPAL's; drove GPIO27 of either
//! polarity, read back from the level register; and named a line that it, or another program, already has. QEMU's pins
//! have no pulls and nothing drives them, so an edge has not been seen.
//!
//! What its source says (0.22.1), and what this file does about it:
//! - `gpio/ioctl.rs`, `find_gpiochip`: opens `/dev/gpiochip0`, `1`, … until it finds the Pi's own, and gives up at the
//!   first that is missing or forbidden. So kioskd's user needs all of them.
//! - `gpio/interrupt.rs`, `AsyncInterrupt::new`: a line that is in use is noticed in a thread nobody asks. So the line
//!   is first taken the synchronous way, which says so.
//! - `gpio/pin.rs`, `poll_interrupt`: holds a lock all pins share while it waits. So edges come by the asynchronous way.
//! - An output is written to the registers without asking the kernel whether somebody else has the line.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rppal::gpio::{Bias, Error, Gpio, InputPin, Level, OutputPin, Pin, Trigger};

use super::fault::Fault;
use super::fitting::Follows;
use super::line::{Id, Line, Pull};

/// Edges on their way from the crate's thread; more in one turn of ours are noise.
const EDGES: usize = 64;

/// A line that is read.
#[derive(Debug)]
pub(crate) struct Input {
    pin: InputPin,
    active_low: bool,
    edges: Receiver<(bool, Instant)>,
}

impl Input {
    /// Takes the line.
    pub(crate) fn open(line: &Line) -> Result<(Self, Follows), Fault> {
        let (pin, number) = take(line)?;
        let mut pin = pin.into_input();
        match line.pull {
            None => {}
            Some(Pull::None) => pin.set_bias(Bias::Off),
            Some(Pull::Up) => pin.set_bias(Bias::PullUp),
            Some(Pull::Down) => pin.set_bias(Bias::PullDown),
        }
        let debounce = Some(line.debounce()).filter(|period| !period.is_zero());
        pin.set_interrupt(Trigger::Both, debounce).map_err(|error| fault(error, number, "read"))?;
        let (sender, edges) = mpsc::sync_channel(EDGES);
        let active_low = line.active_low;
        let heard = move |event: rppal::gpio::Event| {
            // The crate leaves open what a time stamp counts from; the kernel's edge is microseconds old here.
            let _ = sender.try_send(((event.trigger == Trigger::RisingEdge) != active_low, Instant::now()));
        };
        pin.set_async_interrupt(Trigger::Both, debounce, heard)
            .map_err(|error| fault(error, number, "followed"))?;
        let follows = if debounce.is_some() { Follows::Debounced } else { Follows::Edges };
        Ok((Self { pin, active_low, edges }, follows))
    }

    /// Where it is.
    pub(crate) fn place(&self) -> String {
        format!("Raspberry Pi (rppal), GPIO{}", self.pin.pin())
    }

    /// The next edge, if one comes within `wait`.
    pub(crate) fn edge(&self, wait: Duration) -> Result<Option<(bool, Instant)>, Fault> {
        match self.edges.recv_timeout(wait) {
            Ok(edge) => Ok(Some(edge)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                let detail = "its interrupt thread ended".into();
                Err(Fault::Gone {
                    line: format!("GPIO{}", self.pin.pin()),
                    chip: "the Raspberry Pi".into(),
                    detail,
                })
            }
        }
    }

    /// Whether it is active now.
    pub(crate) fn level(&self) -> bool {
        self.pin.is_high() != self.active_low
    }
}

/// A line that is driven. Dropped, it becomes an input again, as it was.
#[derive(Debug)]
pub(crate) struct Output {
    pin: OutputPin,
    active_low: bool,
}

impl Output {
    /// Takes the line, dark.
    pub(crate) fn open(line: &Line) -> Result<Self, Fault> {
        let (pin, _) = take(line)?;
        let pin = if line.active_low { pin.into_output_high() } else { pin.into_output_low() };
        Ok(Self { pin, active_low: line.active_low })
    }

    /// Where it is.
    pub(crate) fn place(&self) -> String {
        format!("Raspberry Pi (rppal), GPIO{}", self.pin.pin())
    }

    /// Lights it or not.
    pub(crate) fn set(&mut self, lit: bool) {
        self.pin.write(if lit == self.active_low { Level::Low } else { Level::High });
    }
}

/// The crate counts lines as the chip does; the device tree calls them `GPIO17`.
fn number(line: &Line) -> Option<u8> {
    match &line.line {
        Id::Offset(offset) => u8::try_from(*offset).ok(),
        Id::Name(name) => name.strip_prefix("GPIO").and_then(|number| number.parse().ok()),
    }
}

fn take(line: &Line) -> Result<(Pin, u8), Fault> {
    let unknown = || Fault::NoLine { line: line.to_string(), looked: "GPIO0 and up, as rppal counts".into() };
    let number = number(line).ok_or_else(unknown)?;
    let pin = Gpio::new().and_then(|gpio| gpio.get(number)).map_err(|error| fault(error, number, "taken"))?;
    Ok((pin, number))
}

fn fault(error: Error, number: u8, what: &'static str) -> Fault {
    let (line, chip) = (format!("GPIO{number}"), String::from("the Raspberry Pi"));
    match error {
        Error::UnknownModel => Fault::NoPi,
        Error::PinUsed(_) => Fault::Busy { line, chip, user: "kioskd itself, for another part".into() },
        Error::PinNotAvailable(_) => {
            Fault::NoLine { line: format!("{line} of {chip}"), looked: "the lines rppal knows".into() }
        }
        Error::PermissionDenied(path) => Fault::Denied { path },
        Error::Io(error) if error.raw_os_error() == Some(libc::EBUSY) => {
            Fault::Busy { line, chip, user: "another program, or the kernel (`gpioinfo` says which)".into() }
        }
        Error::Io(error) if error.raw_os_error() == Some(libc::ENOENT) => Fault::NoChip {
            chip: "of the Raspberry Pi".into(),
            found: "not all of /dev/gpiochip0 and up".into(),
        },
        Error::Io(error) => Fault::Unable { line, chip, what, detail: error.to_string() },
        Error::ThreadPanic => Fault::Unable { line, chip, what, detail: "rppal's thread panicked".into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        toml::from_str(&format!("driver = \"rppal\"\nline = {text}")).expect("a line")
    }

    #[test]
    fn a_line_is_named_as_the_device_tree_does_or_by_its_number() {
        for (text, want) in [("17", Some(17)), ("\"GPIO17\"", Some(17)), ("\"button\"", None), ("300", None)]
        {
            assert_eq!(number(&line(text)), want, "{text}");
        }
    }

    #[test]
    fn elsewhere_than_on_a_raspberry_pi_it_says_so() {
        if std::path::Path::new("/proc/device-tree/model").exists() {
            return;
        }
        assert_eq!(Input::open(&line("17")).err(), Some(Fault::NoPi));
        assert_eq!(Output::open(&line("\"GPIO27\"")).err(), Some(Fault::NoPi));
    }
}
