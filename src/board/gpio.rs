//! Lines of the kernel's GPIO character device, version 2 of its interface: `include/uapi/linux/gpio.h`.
//!
//! Three ways to follow an input, the first that the driver can do: edges that the kernel debounces, edges as they
//! come, and no edges at all. The kernel refuses a line that cannot interrupt with `ENXIO`, and hands on whatever a
//! chip's own debouncer says to a time it cannot do (`drivers/gpio/gpiolib-cdev.c`, `debounce_setup` and
//! `edge_detector_setup`).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gpiocdev::line::{Bias, EdgeDetection, EdgeKind, Value};
use gpiocdev::{Chip, Error, Request};
use gpiocdev_uapi::{Errno, Error as UapiError};

use super::fault::Fault;
use super::fitting::Follows;
use super::line::{Id, Line, Pull};
use crate::media::timebase::monotonic_ns;

/// Where a line is.
#[derive(Clone, Debug)]
pub struct Place {
    chip: PathBuf,
    offset: u32,
    /// `gpiochip0 [pinctrl-bcm2711]`.
    chip_name: String,
    /// `line 17 (GPIO17)`.
    line_name: String,
}

impl Place {
    /// Looks for the line on the chips there are, without taking it.
    pub fn find(line: &Line) -> Result<Self, Fault> {
        let Chips { open, denied } = Chips::there(line.chip.as_deref());
        let looked = || open.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", ");
        let denied = |fault| denied.map_or(fault, |path| Fault::Denied { path: path.display().to_string() });
        if open.is_empty() {
            let chip = line.chip.clone().unwrap_or_else(|| "of any kind".into());
            return Err(denied(Fault::NoChip { chip, found: Chips::there(None).names() }));
        }
        let mut places = Vec::new();
        for (chip, chip_name) in &open {
            let info = match &line.line {
                Id::Offset(offset) => chip.line_info(*offset).ok(),
                Id::Name(name) => chip.find_line_info(name),
            };
            if let Some(info) = info {
                let name = if info.name.is_empty() { String::new() } else { format!(" ({})", info.name) };
                places.push(Self {
                    chip: chip.path().to_owned(),
                    offset: info.offset,
                    chip_name: chip_name.clone(),
                    line_name: format!("line {}{name}", info.offset),
                });
            }
        }
        match places.len() {
            1 => Ok(places.remove(0)),
            0 => Err(denied(Fault::NoLine { line: line.to_string(), looked: looked() })),
            _ => {
                let looked =
                    places.iter().map(|place| place.chip_name.as_str()).collect::<Vec<_>>().join(", ");
                Err(Fault::Ambiguous { line: line.to_string(), looked })
            }
        }
    }

    /// Who has the line, if anybody.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        let info = Chip::from_path(&self.chip).and_then(|chip| chip.line_info(self.offset)).ok()?;
        let named =
            || if info.consumer.is_empty() { "the kernel".into() } else { format!("{:?}", info.consumer) };
        info.used.then(named)
    }

    fn fault(&self, what: &'static str, error: &Error) -> Fault {
        let (line, chip) = (self.line_name.clone(), self.chip_name.clone());
        let detail = match errno(error) {
            Some(code) => std::io::Error::from_raw_os_error(code).to_string(),
            None => error.to_string(),
        };
        match errno(error) {
            Some(libc::EBUSY) => {
                Fault::Busy { line, chip, user: self.user().unwrap_or_else(|| "nobody known".into()) }
            }
            Some(libc::EACCES | libc::EPERM) => Fault::Denied { path: self.chip.display().to_string() },
            Some(libc::ENODEV | libc::ENOENT) => Fault::Gone { line, chip, detail },
            _ => Fault::Unable { line, chip, what, detail },
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}", self.chip_name, self.line_name)
    }
}

/// The chips there are.
struct Chips {
    open: Vec<(Chip, String)>,
    /// One that may not be opened.
    denied: Option<PathBuf>,
}

impl Chips {
    /// All, or those that `wanted` means.
    fn there(wanted: Option<&str>) -> Self {
        let paths = match wanted {
            Some(path) if path.contains('/') => vec![PathBuf::from(path)],
            _ => gpiocdev::chip::chips().unwrap_or_default(),
        };
        let mut chips = Self { open: Vec::new(), denied: None };
        for path in paths {
            let chip = match Chip::from_path(&path) {
                Ok(chip) => chip,
                Err(error) => {
                    if matches!(errno(&error), Some(libc::EACCES | libc::EPERM)) {
                        chips.denied.get_or_insert(path);
                    }
                    continue;
                }
            };
            let label = chip.info().map(|info| info.label).unwrap_or_default();
            let meant = wanted.is_none_or(|wanted| {
                wanted.contains('/') || wanted == label || Path::new(wanted) == Path::new(&chip.name())
            });
            if meant {
                let name = format!("{} [{label}]", chip.name());
                chips.open.push((chip, name));
            }
        }
        chips
    }

    fn names(&self) -> String {
        match self.open.as_slice() {
            [] => "none".into(),
            open => open.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", "),
        }
    }
}

/// A line that is read.
#[derive(Debug)]
pub(crate) struct Input {
    place: Place,
    request: Request,
    edges: bool,
}

impl Input {
    /// Takes the line.
    pub(crate) fn open(line: &Line, consumer: &str) -> Result<(Self, Follows), Fault> {
        let place = Place::find(line)?;
        let debounce = line.debounce();
        let ways = [Follows::Debounced, Follows::Edges, Follows::Polls];
        let first = usize::from(debounce.is_zero());
        let mut refused = None;
        for follows in ways.into_iter().skip(first) {
            let mut builder = Request::builder();
            builder.on_chip(&place.chip).with_consumer(consumer).with_line(place.offset).as_input();
            if line.active_low {
                builder.as_active_low();
            }
            match line.pull {
                None => {}
                Some(Pull::None) => _ = builder.with_bias(Bias::Disabled),
                Some(Pull::Up) => _ = builder.with_bias(Bias::PullUp),
                Some(Pull::Down) => _ = builder.with_bias(Bias::PullDown),
            }
            if follows != Follows::Polls {
                builder.with_edge_detection(EdgeDetection::BothEdges);
            }
            if follows == Follows::Debounced {
                builder.with_debounce_period(debounce);
            }
            match builder.request() {
                Ok(request) => {
                    if let Some(error) = refused {
                        log::info!("{place}: {error}; {follows}");
                    }
                    return Ok((Self { place, request, edges: follows != Follows::Polls }, follows));
                }
                Err(error) => {
                    let fault = place.fault("read", &error);
                    if !matches!(fault, Fault::Unable { .. }) {
                        return Err(fault);
                    }
                    refused = Some(fault);
                }
            }
        }
        Err(refused.unwrap_or(Fault::NoLine { line: line.to_string(), looked: place.chip_name }))
    }

    /// Where it is.
    pub(crate) fn place(&self) -> String {
        self.place.to_string()
    }

    /// The next edge, if one comes within `wait`; only of a line that [`Follows`] edges.
    pub(crate) fn edge(&self, wait: Duration) -> Result<Option<(bool, Instant)>, Fault> {
        debug_assert!(self.edges);
        let edge = self
            .request
            .wait_edge_event(wait)
            .and_then(|there| if there { self.request.read_edge_event().map(Some) } else { Ok(None) });
        let edge = edge.map_err(|error| self.place.fault("followed", &error))?;
        Ok(edge.map(|edge| (edge.kind == EdgeKind::Rising, moment(edge.timestamp_ns))))
    }

    /// Whether it is active now.
    pub(crate) fn level(&self) -> Result<bool, Fault> {
        let value = self.request.value(self.place.offset);
        value.map(|value| value == Value::Active).map_err(|error| self.place.fault("read", &error))
    }
}

/// A line that is driven.
#[derive(Debug)]
pub(crate) struct Output {
    place: Place,
    request: Request,
}

impl Output {
    /// Takes the line, dark.
    pub(crate) fn open(line: &Line, consumer: &str) -> Result<Self, Fault> {
        let place = Place::find(line)?;
        let mut builder = Request::builder();
        builder
            .on_chip(&place.chip)
            .with_consumer(consumer)
            .with_line(place.offset)
            .as_output(Value::Inactive);
        if line.active_low {
            builder.as_active_low();
        }
        let request = builder.request().map_err(|error| place.fault("driven", &error))?;
        Ok(Self { place, request })
    }

    /// Where it is.
    pub(crate) fn place(&self) -> String {
        self.place.to_string()
    }

    /// Lights it or not.
    pub(crate) fn set(&self, lit: bool) -> Result<(), Fault> {
        let value = if lit { Value::Active } else { Value::Inactive };
        self.request.set_value(self.place.offset, value).map_err(|error| self.place.fault("driven", &error))
    }
}

fn errno(error: &Error) -> Option<i32> {
    match error {
        Error::Os(Errno(code)) | Error::Uapi(_, UapiError::Os(Errno(code))) => Some(*code),
        _ => None,
    }
}

/// The moment the kernel means: its time stamps are CLOCK_MONOTONIC unless asked otherwise, and so is [`Instant`].
fn moment(timestamp_ns: u64) -> Instant {
    let now = Instant::now();
    let ago = Duration::from_nanos(monotonic_ns().saturating_sub(timestamp_ns));
    now.checked_sub(ago).unwrap_or(now)
}
