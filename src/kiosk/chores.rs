//! WHIP and WHEP resources that are still to be deleted.

use std::time::{Duration, Instant};

use super::core::Core;
use super::event::{Reply, Request, RequestId};
use crate::room::failure::Failure;

/// More than one call leaves behind. When it is full the oldest is left to the server, which expires silent peers.
const MOST: usize = 16;
const ATTEMPTS: u32 = 3;
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Chore {
    url: String,
    asked: Option<RequestId>,
    attempts: u32,
    at: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Chores(heapless::Deque<Chore, MOST>);

impl Chores {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Deletes `url` some time soon.
    pub(crate) fn delete(&mut self, url: String, core: &mut Core) {
        if self.0.is_full()
            && let Some(oldest) = self.0.pop_front()
        {
            log::warn!("{} is left for the server to expire: too much to put away", oldest.url);
        }
        let _ = self.0.push_back(Chore { url, asked: None, attempts: 0, at: core.now });
    }

    pub(crate) fn advance(&mut self, core: &mut Core) {
        for chore in self.0.iter_mut() {
            if chore.asked.is_none() && chore.at <= core.now {
                chore.asked = core.request(Request::Delete { url: chore.url.clone() });
            }
        }
    }

    /// Takes a reply if it is ours. Any answer of the server settles it; silence is tried again.
    pub(crate) fn reply(&mut self, id: RequestId, reply: &Result<Reply, Failure>, core: &Core) -> bool {
        let mut ours = false;
        for _ in 0..self.0.len() {
            let Some(mut chore) = self.0.pop_front() else { break };
            if chore.asked == Some(id) {
                ours = true;
                chore.asked = None;
                chore.attempts += 1;
                chore.at = core.now + RETRY;
                let silent = matches!(reply, Err(failure) if failure.is_silence());
                if !silent || chore.attempts >= ATTEMPTS {
                    continue;
                }
            }
            let _ = self.0.push_back(chore);
        }
        ours
    }

    /// When something happens here without an input.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().filter(|chore| chore.asked.is_none()).map(|chore| chore.at).min()
    }
}
