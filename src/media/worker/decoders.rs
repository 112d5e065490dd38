//! The decoders of the sessions: watched, and left for the next row of the table.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::Worker;
use crate::media::codec;
use crate::media::protocol::{Event, Fault, Part};

/// A decoder that is fed and gives nothing for so long hangs: longer than a key frame takes to come on request.
const DECODER_STALL: Duration = Duration::from_secs(2);

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

    /// Looks whether a decoder is fed and gives nothing. One that never returns from a frame is fed no more and is not
    /// seen here: `kioskd` replaces the session when its picture has stood still, with the same decoder.
    pub(super) fn check_decoders(&mut self, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        let decoders: Vec<_> = self
            .sessions
            .iter()
            .filter_map(|(id, (_, opened))| Some((*id, opened.playing.as_ref()?.decoding())))
            .collect();
        self.decoding.retain(|id, _| self.sessions.contains_key(id));
        for (session, (element, fed, given)) in decoders {
            let seen = self.decoding.entry(session).or_insert((fed, given, now));
            if given != seen.1 || fed == seen.0 {
                *seen = (fed, given, now);
            }
            if now.saturating_duration_since(seen.2) <= DECODER_STALL {
                continue;
            }
            seen.2 = now;
            let detail = format!("fed, and no picture for {} s", DECODER_STALL.as_secs());
            if element == self.decoders[0].element {
                events.extend(self.leave_decoder(Fault::Hang, &detail));
            }
            events.push(Event::Lost { session, reason: format!("{element} is {detail}") });
        }
        events
    }
}
