//! The thread that drives the lamp's line: whatever a slow bus or an unplugged chip does, the loop does not wait for it.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::button::Edges;
use super::fault::Fault;
use super::fitting::{Fitting, Standing};
use super::line::{Driver, Line};
use super::{gpio, raspberry, simulated};

/// Between two attempts to open the line.
const RETRY: Duration = Duration::from_secs(3);
/// The level is written this often even when it stays: a chip that is gone shows only so.
const AGAIN: Duration = Duration::from_secs(1);

/// What is driven.
enum Output {
    Chip(gpio::Output),
    Pi(raspberry::Output),
    File(simulated::Port),
}

impl Output {
    fn open(line: &Line) -> Result<Self, Fault> {
        match line.driver {
            Driver::Gpiocdev => gpio::Output::open(line, "rtcroom-kiosk lamp").map(Self::Chip),
            Driver::Rppal => raspberry::Output::open(line).map(Self::Pi),
            Driver::File => simulated::Port::open(line).map(Self::File),
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Chip(output) => output.place(),
            Self::Pi(output) => output.place(),
            Self::File(port) => port.place(),
        }
    }

    fn set(&mut self, lit: bool) -> Result<(), Fault> {
        match self {
            Self::Chip(output) => output.set(lit),
            Self::Pi(output) => {
                output.set(lit);
                Ok(())
            }
            Self::File(port) => port.set(lit),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wish {
    #[default]
    Dark,
    Lit,
    /// Dark, and then no more.
    End,
    /// So it is.
    Ended,
}

/// The lamp.
#[derive(Debug)]
pub struct Light(Arc<(Mutex<Wish>, Condvar)>);

impl Light {
    /// Starts the thread.
    pub fn start(line: Line, edges: Edges) -> std::io::Result<Self> {
        edges.stands(Fitting::Lamp, Standing::Opening);
        let wish = Arc::new((Mutex::new(Wish::Dark), Condvar::new()));
        let light = Self(wish.clone());
        std::thread::Builder::new().name("lamp".into()).stack_size(256 * 1024).spawn(move || {
            while let Err(fault) = drive(&line, &edges, &wish) {
                edges.stands(Fitting::Lamp, Standing::Trouble { detail: fault.to_string() });
                if wait(&wish, None, Instant::now() + RETRY) == Wish::End {
                    break;
                }
            }
            *wish.0.lock().unwrap_or_else(PoisonError::into_inner) = Wish::Ended;
            wish.1.notify_all();
        })?;
        Ok(light)
    }

    /// Lights it or not, soon.
    pub fn set(&self, lit: bool) {
        self.wish(if lit { Wish::Lit } else { Wish::Dark });
    }

    /// Makes it dark for good; waits for that, but no longer than `limit`.
    pub fn put_out(self, limit: Duration) {
        self.wish(Wish::End);
        let end = Instant::now() + limit;
        while Instant::now() < end && wait(&self.0, Some(Wish::End), end) != Wish::Ended {}
    }

    fn wish(&self, wish: Wish) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = wish;
        self.0.1.notify_all();
    }
}

/// The wish, once it is another than `known`, or at `until`; the end is waited for always.
fn wait(wish: &(Mutex<Wish>, Condvar), known: Option<Wish>, until: Instant) -> Wish {
    let mut now = wish.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let news = known.map_or(*now == Wish::End, |known| *now != known);
        if news || left.is_zero() {
            return *now;
        }
        now = wish.1.wait_timeout(now, left).unwrap_or_else(PoisonError::into_inner).0;
    }
}

/// Drives the line until the end is wished, or it fails.
fn drive(line: &Line, edges: &Edges, wish: &(Mutex<Wish>, Condvar)) -> Result<(), Fault> {
    let mut output = Output::open(line)?;
    edges.stands(Fitting::Lamp, Standing::Armed { at: output.place(), follows: None });
    let mut known = *wish.0.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        output.set(known == Wish::Lit)?;
        if known == Wish::End {
            return Ok(());
        }
        known = wait(wish, Some(known), Instant::now() + AGAIN);
    }
}
