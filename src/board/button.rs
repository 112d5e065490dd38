//! The button: edges come in from whatever the board has, and the loop takes them out.

use std::io::BufRead;
use std::sync::{Arc, Mutex, PoisonError};

use heapless::Deque;
use serde::Deserialize;
use tokio::sync::Notify;

use super::line::Line;

/// Presses between two turns of the loop. More in one turn mean nothing new: the newest are dropped.
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

/// The queue of presses, shared by the button's thread and the loop.
#[derive(Clone, Debug, Default)]
pub struct Edges(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Deque<(), EDGES>>,
    news: Notify,
}

impl Edges {
    /// Notes a press; `false` if there were so many that it is dropped.
    pub fn press(&self) -> bool {
        let kept = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(()).is_ok();
        self.0.news.notify_one();
        kept
    }

    /// Takes the next press, waiting for it.
    pub async fn next(&self) {
        loop {
            if self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front().is_some() {
                return;
            }
            self.0.news.notified().await;
        }
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
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            for _ in 0..EDGES {
                edges.next().await;
            }
        });
        assert!(edges.press());
    }
}
