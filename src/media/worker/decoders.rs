//! The decoders of the sessions and of the camera: watched, and left for the next row of the table.
//!
//! A session whose decoder fails or hangs is lost; `kioskd` answers with one that is ready, which takes the next row. A
//! pipeline whose decoder never comes back from a frame, or from starting, cannot be taken down: the thread that tries
//! stays with it, and both are left behind until the process ends with the call.

use std::sync::PoisonError;
use std::time::Instant;

use super::Worker;
use super::devices::SEARCH;
use crate::media::camera::Decodes;
use crate::media::capture::Capture;
use crate::media::codec;
use crate::media::codec::decoder_watch::{Hang, Watch};
use crate::media::protocol::{Event, Fault, Part, SessionId};

/// So many pipelines may be left behind in one process while no other decoder takes over; with more it is better to
/// begin anew.
const LEFT_BEHIND: u32 = 4;

impl Worker {
    /// Lets new sessions use the next decoder; nothing when there is none.
    pub(super) fn leave_decoder(&mut self, fault: Fault, detail: &str) -> Option<Event> {
        let next = (1..self.decoders.len()).find(|at| codec::is_usable_decoder(&self.decoders[*at]))?;
        let element = self.decoders[0].element.to_owned();
        self.decoders.drain(..next);
        *self.setup.decoder.lock().unwrap_or_else(PoisonError::into_inner) = self.decoders[0];
        let next = Some(self.decoders[0].element.to_owned());
        Some(Event::Left { part: Part::Decoder, element, fault, next, detail: detail.to_owned() })
    }

    /// Looks whether a decoder hangs.
    pub(super) fn check_decoders(&mut self, now: Instant) -> Vec<Event> {
        let sessions = self.sessions.iter();
        let decoding: Vec<_> = sessions
            .filter_map(|(id, (_, opened))| {
                let playing = opened.playing.as_ref()?;
                Some((*id, playing.decoder()?, playing.seen()))
            })
            .collect();
        self.decoding.retain(|id, _| self.sessions.contains_key(id));
        let mut events = Vec::new();
        for (session, element, seen) in decoding {
            let watch = self.decoding.entry(session).or_insert_with(|| Watch::new(seen, now));
            if let Some(hang) = watch.look(seen, now) {
                events.extend(self.decoder_hangs(session, element, hang));
            }
        }
        events
    }

    fn decoder_hangs(&mut self, session: SessionId, element: &'static str, hang: Hang) -> Vec<Event> {
        let mut events = self.leave_hanging(element, hang);
        events.push(Event::Lost { session, reason: format!("its decoder {element} was {hang}") });
        events
    }

    /// Lets new sessions use another decoder than the one that hangs, or the next worker, when too much is left behind.
    fn leave_hanging(&mut self, element: &'static str, hang: Hang) -> Vec<Event> {
        let detail = hang.to_string();
        self.left_behind += u32::from(hang.holds());
        let mut events = Vec::new();
        // Another session may have left it already.
        if element == self.decoders[0].element {
            events.extend(self.leave_decoder(hang.fault(), &detail));
            if events.is_empty() && self.left_behind >= LEFT_BEHIND {
                self.over = true;
                let (part, element, fault) = (Part::Decoder, element.to_owned(), hang.fault());
                events.push(Event::Left { part, element, fault, next: None, detail });
            }
        }
        events
    }

    /// Looks whether the decoder of the camera's pictures hangs.
    pub(super) fn check_camera_decoder(&mut self, decodes: &Decodes, now: Instant) -> Vec<Event> {
        let watch = self.camera_decoding.get_or_insert_with(|| Watch::new(decodes.seen, now));
        let Some(hang) = watch.look(decodes.seen, now) else { return Vec::new() };
        let mut events = self.leave_hanging(decodes.element, hang);
        events.extend(self.camera_is_not_decoded(
            decodes.element,
            &format!("{}: {hang}", decodes.element),
            now,
        ));
        events
    }

    /// A decoder of the camera's pictures has an error.
    pub(super) fn camera_decoder_breaks(&mut self, detail: &str) -> Vec<Event> {
        let used = self.camera.open.as_ref().and_then(Capture::decodes).map(|decodes| decodes.element);
        let element = used.unwrap_or(self.decoders[0].element);
        let mut events = Vec::new();
        if element == self.decoders[0].element {
            events.extend(self.leave_decoder(Fault::Error, detail));
        }
        events.extend(self.camera_is_not_decoded(element, detail, Instant::now() + SEARCH));
        events
    }

    /// The camera is opened again for another decoder, or for another format when there is none.
    fn camera_is_not_decoded(&mut self, element: &str, why: &str, again: Instant) -> Vec<Event> {
        let next = self.decoders[0].element;
        let camera = self.camera.open.as_ref().map(Capture::title).unwrap_or_default();
        let then = if next == element {
            if let Some(camera) = &self.camera.open {
                camera.cannot_be_decoded();
            }
            "there is no other, so another format of the camera is tried".to_owned()
        } else {
            format!("{next} is tried next")
        };
        self.camera_rests(
            format!(
                "the pictures of the camera {camera} are not decoded ({why}); {then}, see [video] decoders"
            ),
            again,
        )
    }
}
