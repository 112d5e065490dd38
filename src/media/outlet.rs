//! Where one producer's buffers go: the seam between the worker's small pipelines.
//!
//! A producer (an appsink's callback, or the test picture's thread) hands each buffer to every tap. A tap must not
//! wait: it pushes into an `appsrc` that leaks, or leaves the frame for a thread that comes for it. So an error or a
//! blocked state change on one side never reaches the other. All pipelines share clock and base time, so timestamps
//! need no change.

use std::sync::{Mutex, PoisonError};

type Tap = Box<dyn FnMut(&gst::Buffer) + Send>;

/// A producer's outlet.
#[derive(Default)]
pub struct Outlet {
    taps: Mutex<Vec<(u32, Tap)>>,
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").finish_non_exhaustive()
    }
}

impl Outlet {
    /// Adds a tap, in place of one with the same name.
    pub fn tap(&self, name: u32, tap: impl FnMut(&gst::Buffer) + Send + 'static) {
        let mut taps = self.taps.lock().unwrap_or_else(PoisonError::into_inner);
        taps.retain(|(other, _)| *other != name);
        taps.push((name, Box::new(tap)));
    }

    /// Takes a tap away.
    pub fn untap(&self, name: u32) {
        self.taps.lock().unwrap_or_else(PoisonError::into_inner).retain(|(other, _)| *other != name);
    }

    /// Hands a buffer to every tap.
    pub fn pour(&self, buffer: &gst::Buffer) {
        for (_, tap) in self.taps.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            tap(buffer);
        }
    }
}
