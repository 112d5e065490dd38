//! The button: signals come in from whatever the board has, and the loop takes them out.

use std::io::BufRead;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use heapless::Deque;
use serde::Deserialize;
use tokio::sync::Notify;

use super::fitting::{Fitting, Standing};
use super::line::Line;

/// Signals between two turns of the loop. More in one turn mean nothing new: the newest are dropped.
const EDGES: usize = 16;

/// `[button]` of the board file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Button {
    /// What it is.
    pub kind: Kind,
    /// Its line.
    pub gpio: Option<Line>,
    /// Held this long, it ends a call; 0: never.
    pub long_press_ms: u64,
    /// Held this long, it is stuck.
    pub stuck_ms: u64,
}

impl Default for Button {
    fn default() -> Self {
        Self { kind: Kind::Terminal, gpio: None, long_press_ms: 2000, stuck_ms: 10_000 }
    }
}

/// What the button is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Enter on the terminal, and `kioskd press`.
    #[default]
    Terminal,
    /// A GPIO line.
    Gpio,
}

/// What button and door switch do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Enter on the terminal: a press without length.
    Click,
    /// A line has a level.
    Level {
        /// Whose line.
        fitting: Fitting,
        /// Whether it is pressed, or open.
        active: bool,
        /// Since when.
        at: Instant,
    },
}

/// The queue of signals, shared by the threads of button and door switch and the loop; and how the parts stand.
#[derive(Clone, Debug, Default)]
pub struct Edges(Arc<Shared>);

/// See [`Edges`].
#[derive(Debug, Default)]
pub struct Shared {
    queue: Mutex<Deque<Signal, EDGES>>,
    standings: Mutex<[Option<Standing>; 3]>,
    news: Notify,
}

impl Edges {
    /// Notes a press; `false` if there was so much that it is dropped.
    pub fn press(&self) -> bool {
        self.push(Signal::Click)
    }

    /// Notes a level; `false` if there was so much that it is dropped.
    pub(crate) fn level(&self, fitting: Fitting, active: bool, at: Instant) -> bool {
        self.push(Signal::Level { fitting, active, at })
    }

    fn push(&self, signal: Signal) -> bool {
        let kept = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(signal).is_ok();
        self.0.news.notify_one();
        kept
    }

    /// Notes how a part stands; only the newest counts.
    pub fn stands(&self, fitting: Fitting, standing: Standing) {
        self.0.standings.lock().unwrap_or_else(PoisonError::into_inner)[fitting as usize] = Some(standing);
        self.0.news.notify_one();
    }

    /// Everything new: how parts have come to stand, and then the signals. In this order a level never comes before the
    /// news that its line was opened, for the thread says them in that order.
    #[must_use]
    pub fn take(&self) -> ([Option<Standing>; 3], Deque<Signal, EDGES>) {
        let signals = std::mem::take(&mut *self.0.queue.lock().unwrap_or_else(PoisonError::into_inner));
        let standings = std::mem::take(&mut *self.0.standings.lock().unwrap_or_else(PoisonError::into_inner));
        (standings, signals)
    }

    /// Waits until there may be something to take.
    pub async fn news(&self) {
        self.0.news.notified().await;
    }

    /// For the threads: they end when nobody takes anything any more.
    pub(crate) fn downgrade(&self) -> Weak<Shared> {
        Arc::downgrade(&self.0)
    }

    /// The other way.
    pub(crate) fn upgrade(edges: &Weak<Shared>) -> Option<Self> {
        edges.upgrade().map(Self)
    }
}

/// Makes each line of standard input a press, until it ends. The thread lives as long as the process: reading a
/// terminal cannot be interrupted.
pub fn read_terminal(edges: Edges) -> std::io::Result<()> {
    let read = move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() {
                return;
            }
            if !edges.press() {
                log::debug!("more presses than can be meant");
            }
        }
    };
    std::thread::Builder::new().name("button".into()).stack_size(64 * 1024).spawn(read).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presses_beyond_the_queue_are_dropped_and_the_rest_come_out() {
        let edges = Edges::default();
        let kept = (0..50).filter(|_| edges.press()).count();
        assert_eq!(kept, EDGES);
        assert_eq!(edges.take().1.len(), EDGES);
        assert_eq!(edges.take().1.len(), 0);
        assert!(edges.press());
    }

    #[test]
    fn only_how_a_part_stands_now_is_told_and_once() {
        let edges = Edges::default();
        edges.stands(Fitting::Lamp, Standing::Opening);
        edges.stands(Fitting::Lamp, Standing::Trouble { detail: "no chip".into() });
        let told = [None, Some(Standing::Trouble { detail: "no chip".into() }), None];
        assert_eq!(edges.take().0, told);
        assert_eq!(edges.take().0, [None, None, None]);
    }

    #[test]
    fn whoever_waits_hears_of_a_press_that_came_before() {
        let edges = Edges::default();
        edges.press();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let limit = std::time::Duration::from_secs(10);
        let heard = runtime.block_on(async { tokio::time::timeout(limit, edges.news()).await });
        assert!(heard.is_ok());
    }
}
