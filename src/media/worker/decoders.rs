//! The decoders of the sessions: watched, and left for the next row of the table.
//!
//! A session whose decoder fails or hangs is lost; `kioskd` answers with one that is ready, which takes the next row. A
//! pipeline whose decoder never comes back from a frame, or from starting, cannot be taken down: the thread that tries
//! stays with it, and both are left behind until the process ends with the call.

use std::sync::PoisonError;
use std::time::Instant;

use super::Worker;
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
        let detail = hang.to_string();
        self.left_behind += u32::from(hang.holds());
        let mut events = Vec::new();
        // Another session may have left it already.
        if element == self.decoders[0].element {
            events.extend(self.leave_decoder(hang.fault(), &detail));
            if events.is_empty() && self.left_behind >= LEFT_BEHIND {
                self.over = true;
                let (part, element, fault) = (Part::Decoder, element.to_owned(), hang.fault());
                events.push(Event::Left { part, element, fault, next: None, detail: detail.clone() });
            }
        }
        events.push(Event::Lost { session, reason: format!("its decoder {element} was {detail}") });
        events
    }
}
