//! The thread that follows an input line: opens it, hands its levels to the loop, and opens it again when it is lost.
//! A chip on USB, or a driver that comes late, is waited for so.

use std::sync::Weak;
use std::time::{Duration, Instant};

use super::button::{Edges, Shared};
use super::fault::Fault;
use super::fitting::{Fitting, Follows, Standing};
use super::line::{Driver, Line};
use super::{gpio, raspberry, simulated};

/// Between two attempts to open a line.
const RETRY: Duration = Duration::from_secs(3);
/// A line with edges is looked at this often even without: an edge may have been lost, the thread may have to end.
const LOOK: Duration = Duration::from_secs(1);
/// A line without edges: a fraction of what a finger takes.
const POLL: Duration = Duration::from_millis(10);

/// What is followed.
enum Input {
    Chip(gpio::Input),
    Pi(raspberry::Input),
    File(simulated::Port),
}

impl Input {
    fn open(line: &Line, fitting: Fitting) -> Result<(Self, Follows), Fault> {
        match line.driver {
            Driver::Gpiocdev => {
                let input = gpio::Input::open(line, &format!("rtcroom-kiosk {fitting}"));
                input.map(|(input, follows)| (Self::Chip(input), follows))
            }
            Driver::Rppal => raspberry::Input::open(line).map(|(input, follows)| (Self::Pi(input), follows)),
            Driver::File => simulated::Port::open(line).map(|port| (Self::File(port), Follows::Polls)),
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Chip(input) => input.place(),
            Self::Pi(input) => input.place(),
            Self::File(port) => port.place(),
        }
    }

    fn level(&self) -> Result<bool, Fault> {
        match self {
            Self::Chip(input) => input.level(),
            Self::Pi(input) => Ok(input.level()),
            Self::File(port) => port.level(),
        }
    }

    fn edge(&self, follows: Follows) -> Result<Option<(bool, Instant)>, Fault> {
        match self {
            Self::Chip(input) if follows != Follows::Polls => input.edge(LOOK),
            Self::Pi(input) => input.edge(LOOK),
            Self::Chip(_) | Self::File(_) => {
                std::thread::sleep(POLL);
                Ok(None)
            }
        }
    }
}

/// Follows `line` until nobody holds `edges` any more.
pub fn follow(fitting: Fitting, line: Line, edges: &Edges) -> std::io::Result<()> {
    edges.stands(fitting, Standing::Opening);
    let edges = edges.downgrade();
    // Room for the search through the chips, and for formatting what is wrong.
    std::thread::Builder::new()
        .name(fitting.to_string())
        .stack_size(256 * 1024)
        .spawn(move || run(fitting, &line, &edges))
        .map(drop)
}

fn run(fitting: Fitting, line: &Line, edges: &Weak<Shared>) {
    let stands = |standing| Edges::upgrade(edges).map(|edges| edges.stands(fitting, standing));
    loop {
        let fault = match Input::open(line, fitting) {
            Ok((input, follows)) => {
                let armed = Standing::Armed { at: input.place(), follows: Some(follows) };
                if stands(armed).is_none() {
                    return;
                }
                match hand_on(fitting, &input, follows, edges) {
                    Ok(()) => return,
                    Err(fault) => fault,
                }
            }
            Err(fault) => fault,
        };
        if stands(Standing::Trouble { detail: fault.to_string() }).is_none() {
            return;
        }
        std::thread::sleep(RETRY);
    }
}

/// Hands on the levels of `input`; `Ok` when nobody takes them any more.
fn hand_on(fitting: Fitting, input: &Input, follows: Follows, edges: &Weak<Shared>) -> Result<(), Fault> {
    let (mut level, mut at) = (input.level()?, Instant::now());
    let mut known = None;
    loop {
        let Some(edges) = Edges::upgrade(edges) else { return Ok(()) };
        // A level that found no room is offered again at the next look.
        if known != Some(level) && edges.level(fitting, level, at) {
            known = Some(level);
        }
        drop(edges);
        (level, at) = match input.edge(follows)? {
            Some(edge) => edge,
            None => (input.level()?, Instant::now()),
        };
    }
}
