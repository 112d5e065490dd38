//! What the fakes have in common: counts frames, and fails when it is time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gst::glib;
use gst::prelude::*;

use crate::media::protocol::Plant;

/// The fault, and how far away it is.
#[derive(Debug)]
pub(super) struct Gate {
    plant: Mutex<Plant>,
    after: AtomicU32,
    seen: AtomicU32,
}

impl Default for Gate {
    fn default() -> Self {
        Self { plant: Mutex::new(Plant::None), after: AtomicU32::new(30), seen: AtomicU32::new(0) }
    }
}

/// The properties of both elements; a specification belongs to one type alone.
pub(super) fn properties() -> Vec<glib::ParamSpec> {
    vec![
        glib::ParamSpecString::builder("fault")
            .nick("Fault")
            .blurb("What goes wrong: None, Error, HangInChain, HangOnStop, HangOnStart, OnlyKeyFrames, IgnoresBitrate")
            .default_value("None")
            .build(),
        glib::ParamSpecUInt::builder("after-frames")
            .nick("After frames")
            .blurb("Frames that still go well")
            .default_value(30)
            .build(),
    ]
}

impl Gate {
    pub(super) fn plant(&self) -> Plant {
        *self.plant.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one of [`properties`].
    pub(super) fn set(&self, name: &str, value: &glib::Value) {
        match name {
            "fault" => {
                let wanted: String = value.get().unwrap_or_default();
                let plant = Plant::ALL.into_iter().find(|plant| format!("{plant:?}") == wanted);
                *self.plant.lock().unwrap_or_else(PoisonError::into_inner) = plant.unwrap_or_default();
            }
            "after-frames" => self.after.store(value.get().unwrap_or(30), Ordering::Relaxed),
            _ => {}
        }
    }

    pub(super) fn get(&self, name: &str) -> glib::Value {
        if name == "after-frames" {
            self.after.load(Ordering::Relaxed).to_value()
        } else {
            format!("{:?}", self.plant()).to_value()
        }
    }

    /// Whether the frames that go well are over; counts this one.
    pub(super) fn is_over(&self) -> bool {
        self.seen.fetch_add(1, Ordering::Relaxed) >= self.after.load(Ordering::Relaxed)
    }

    /// Lets a frame through, or fails as planted; an error is one of this kind.
    pub(super) fn pass(
        &self,
        element: &impl IsA<gst::Element>,
        error: gst::StreamError,
    ) -> Result<(), gst::FlowError> {
        if !self.is_over() {
            return Ok(());
        }
        match self.plant() {
            Plant::HangInChain => hang(),
            // It has to be left before it can hang on the way down.
            Plant::Error | Plant::HangOnStop => {
                gst::element_error!(element, error, ["a fault was planted"]);
                Err(gst::FlowError::Error)
            }
            Plant::None | Plant::HangOnStart | Plant::OnlyKeyFrames | Plant::IgnoresBitrate => Ok(()),
        }
    }

    /// Blocks a state change for ever, if that is planted.
    pub(super) fn change(&self, transition: gst::StateChange) {
        match (self.plant(), transition) {
            (Plant::HangOnStart, gst::StateChange::NullToReady)
            | (Plant::HangOnStop, gst::StateChange::PausedToReady) => hang(),
            _ => {}
        }
    }
}

fn hang() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
