//! The sessions of one worker: prepared ones with their offers, taken ones, and those to be closed.

use std::time::{Duration, Instant};

use super::core::Core;
use super::event::Generation;
use crate::media::protocol::{Command, Role, SessionId};

/// Publish, eight players, spares, and those about to be closed.
const MOST: usize = 24;
/// Making an offer includes making a key (RSA: gst-plugins-bad/ext/dtls/gstdtlscertificate.c), whose time is a matter of luck
/// and of the processor; a worker that hangs as a whole is found out much sooner, by its silence.
const OFFER: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Slot {
    id: SessionId,
    role: Role,
    offer: Option<String>,
    taken: bool,
    closing: bool,
    asked_at: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Pool {
    slots: heapless::Vec<Slot, MOST>,
    last: SessionId,
}

impl Pool {
    /// A prepared session nobody has, one with an offer if possible.
    pub(crate) fn take(&mut self, role: Role) -> Option<SessionId> {
        let free = |slot: &&mut Slot| slot.role == role && !slot.taken && !slot.closing;
        let with_offer =
            self.slots.iter_mut().filter(free).position(|slot| slot.offer.is_some()).unwrap_or(0);
        let slot = self.slots.iter_mut().filter(free).nth(with_offer)?;
        slot.taken = true;
        Some(slot.id)
    }

    pub(crate) fn offer(&self, session: SessionId) -> Option<&str> {
        self.slots.iter().find(|slot| slot.id == session && !slot.closing)?.offer.as_deref()
    }

    /// Notes an offer; `true` if it replaces another.
    pub(crate) fn offered(&mut self, session: SessionId, sdp: String) -> bool {
        self.slots
            .iter_mut()
            .find(|slot| slot.id == session)
            .is_some_and(|slot| slot.offer.replace(sdp).is_some())
    }

    pub(crate) fn close(&mut self, session: SessionId) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| slot.id == session) {
            slot.closing = true;
        }
    }

    /// How many sessions of `role` nobody has, and how many of them have their offer.
    pub(crate) fn spare(&self, role: Role) -> (usize, usize) {
        let spare = self.slots.iter().filter(|slot| slot.role == role && !slot.taken && !slot.closing);
        spare.fold((0, 0), |(all, ready), slot| (all + 1, ready + usize::from(slot.offer.is_some())))
    }

    /// Has `wanted` spare sessions of `role` prepared, and closes what is to be closed.
    pub(crate) fn advance(&mut self, generation: Generation, wanted: [(Role, usize); 2], core: &mut Core) {
        self.slots.retain(|slot| {
            if slot.closing {
                core.tell(generation, Command::Close { session: slot.id });
            }
            !slot.closing
        });
        for (role, wanted) in wanted {
            for _ in self.spare(role).0..wanted {
                let id = self.last + 1;
                let slot = Slot { id, role, offer: None, taken: false, closing: false, asked_at: core.now };
                if self.slots.push(slot).is_err() {
                    // Cannot be: legs are bounded and give their sessions back. A spare less does no harm.
                    log::error!("no place for another session of the worker");
                    break;
                }
                self.last = id;
                core.tell(generation, Command::Prepare { session: id, role });
            }
        }
    }

    /// The worker has started: only from here on can it make offers.
    pub(crate) fn ready(&mut self, now: Instant) {
        for slot in &mut self.slots {
            slot.asked_at = now;
        }
    }

    /// Whether the worker owes an offer for too long.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        self.slots.iter().any(|slot| slot.offer.is_none() && !slot.closing && now >= slot.asked_at + OFFER)
    }
}
