//! A device that is wanted: open, or to be tried again.

use std::time::{Duration, Instant};

use crate::media::protocol::{Event, Part};

/// How often a device that does not work is tried again.
pub(super) const RETRY: Duration = Duration::from_secs(2);

/// A device that is wanted: open, or to be tried again.
#[derive(Debug)]
pub(super) struct Device<T> {
    pub(super) open: Option<T>,
    pub(super) generation: u32,
    pub(super) retry: Option<Instant>,
    pub(super) trouble: Option<String>,
}

impl<T> Device<T> {
    pub(super) fn is(&self, generation: u32) -> bool {
        self.open.is_some() && self.generation == generation
    }

    pub(super) fn next(&mut self) -> u32 {
        self.open = None;
        self.retry = None;
        self.generation += 1;
        self.generation
    }

    pub(super) fn shut(&mut self) {
        *self = Self { generation: self.generation, ..Self::default() };
    }

    /// Closes it until it is tried again; told once for each kind of trouble.
    pub(super) fn fails(&mut self, part: Part, detail: String) -> Vec<Event> {
        self.open = None;
        self.retry = Some(Instant::now() + RETRY);
        if self.trouble.as_ref() == Some(&detail) {
            return Vec::new();
        }
        log::warn!("{detail}");
        self.trouble = Some(detail.clone());
        vec![Event::Trouble { part, detail }]
    }

    pub(super) fn works(&mut self, part: Part) -> Option<Event> {
        self.trouble.take().map(|_| Event::Well { part })
    }
}

impl<T> Default for Device<T> {
    fn default() -> Self {
        Self { open: None, generation: 0, retry: None, trouble: None }
    }
}
