//! What every part of the machine shares: the time, the queue of outputs, the timers, the journal.

use std::time::{Duration, Instant};

use heapless::{Deque, HistoryBuf};

use super::backoff::Jitter;
use super::event::{Generation, Output, Request, RequestId};
use super::timers::{Timer, Timers};
use crate::media::protocol::Command;

/// Outputs between two drains. One turn makes at most about 3 for each of 8 peers and 20 others.
const OUTPUTS: usize = 64;
/// Journal entries kept; the oldest go first.
const JOURNAL: usize = 64;

/// One line of the journal.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Instant,
    pub(crate) text: heapless::String<120>,
}

/// Shared by the machine's parts.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) now: Instant,
    pub(crate) timers: Timers,
    pub(crate) jitter: Jitter,
    outputs: Deque<Output, OUTPUTS>,
    journal: HistoryBuf<Entry, JOURNAL>,
    next_request: RequestId,
    /// An output was dropped; see [`Core::push`].
    overflowed: bool,
}

impl Core {
    pub(crate) fn new(now: Instant, seed: u64) -> Self {
        Self {
            now,
            timers: Timers::default(),
            jitter: Jitter::new(seed),
            outputs: Deque::new(),
            journal: HistoryBuf::new(),
            next_request: 1,
            overflowed: false,
        }
    }

    /// Queues an output; `false` when there is no room. Requests and levels are then simply tried again after the
    /// next drain; a dropped line to the worker sets the overflow mark, which costs the worker (the machine can no
    /// longer know what it was told).
    #[must_use]
    pub(crate) fn push(&mut self, output: Output) -> bool {
        let line = matches!(output, Output::Tell { .. });
        let kept = self.outputs.push_back(output).is_ok();
        self.overflowed |= line && !kept;
        kept
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Queues a request, if there is room.
    pub(crate) fn request(&mut self, request: Request) -> Option<RequestId> {
        let id = self.next_request;
        self.push(Output::Request { id, request }).then(|| {
            self.next_request += 1;
            id
        })
    }

    /// The id the next request will get: every request made before is below it.
    pub(crate) fn next_request(&self) -> RequestId {
        self.next_request
    }

    pub(crate) fn tell(&mut self, generation: Generation, command: Command) {
        let _ = self.push(Output::Tell { generation, command });
    }

    pub(crate) fn take_overflowed(&mut self) -> bool {
        std::mem::take(&mut self.overflowed)
    }

    pub(crate) fn timer(&mut self, timer: Timer, wait: Duration) {
        self.timers.set(timer, self.now + wait);
    }

    /// Notes what happened: in the log, and in the journal, there cut to the entry's length.
    pub(crate) fn note(&mut self, text: &str) {
        self.note_at(log::Level::Info, text);
    }

    /// The same for what should not happen: the world misbehaves.
    pub(crate) fn warn(&mut self, text: &str) {
        self.note_at(log::Level::Warn, text);
    }

    fn note_at(&mut self, level: log::Level, text: &str) {
        log::log!(target: "kioskd", level, "{text}");
        let mut entry = Entry { at: self.now, text: heapless::String::new() };
        for c in text.chars() {
            if entry.text.push(c).is_err() {
                break;
            }
        }
        self.journal.write(entry);
    }

    pub(crate) fn journal(&self) -> impl Iterator<Item = &Entry> {
        self.journal.oldest_ordered()
    }
}
