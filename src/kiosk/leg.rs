//! One WHIP or WHEP session's way: an offer from the worker, a `POST`, an answer, a connection, and again when it breaks.

use std::time::{Duration, Instant};

use super::chores::Chores;
use super::core::Core;
use super::event::{Reply, Request, RequestId};
use super::pool::Pool;
use crate::media::protocol::{Role, SessionId};
use crate::room::failure::Failure;

/// An answered session connects within this, or is made anew (at 20 % loss one connect in two never does).
const CONNECT: Duration = Duration::from_secs(8);
const FIRST_RETRY: Duration = Duration::from_millis(250);
const MOST_RETRY: Duration = Duration::from_secs(3);

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Wants an offer and a `POST`.
    Need,
    /// Posted.
    Posting(RequestId),
    /// The answer is with the worker.
    Answered { since: Instant },
    /// ICE and DTLS are up.
    Up,
}

/// What came of a reply.
#[derive(Debug)]
pub(crate) enum Heard {
    /// Answered: this is for the worker.
    Answer { session: SessionId, sdp: String },
    /// It did not work; it is tried again.
    Failed(Failure),
}

#[derive(Debug)]
pub(crate) struct Leg {
    role: Role,
    session: Option<SessionId>,
    stage: Stage,
    resource: Option<String>,
    /// Failures in a row.
    pub(crate) failures: u32,
    retry_at: Option<Instant>,
    /// The progress last seen, and when it last moved.
    progress: u64,
    moved_at: Instant,
}

impl Leg {
    pub(crate) fn new(role: Role, now: Instant) -> Self {
        Self {
            role,
            session: None,
            stage: Stage::Need,
            resource: None,
            failures: 0,
            retry_at: None,
            progress: 0,
            moved_at: now,
        }
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        self.session
    }

    pub(crate) fn is_up(&self) -> bool {
        self.stage == Stage::Up
    }

    pub(crate) fn is_answered(&self) -> bool {
        matches!(self.stage, Stage::Answered { .. } | Stage::Up)
    }

    /// Whether an offer has to be prepared for it.
    pub(crate) fn wants_session(&self) -> bool {
        self.session.is_none()
    }

    /// Posts the offer to `url` if it is there, wanted and not waiting for a retry. `true` when it did.
    pub(crate) fn advance(&mut self, url: &str, pool: &mut Pool, core: &mut Core) -> bool {
        if self.stage != Stage::Need {
            return false;
        }
        if self.session.is_none() {
            self.session = pool.take(self.role);
        }
        let ready = self.retry_at.is_none_or(|at| at <= core.now);
        let Some(sdp) = self.session.and_then(|session| pool.offer(session)).filter(|_| ready) else {
            return false;
        };
        let (url, sdp) = (url.to_owned(), sdp.to_owned());
        let request = match self.role {
            Role::Publish => Request::Publish { url, sdp },
            Role::Play => Request::Play { url, sdp },
        };
        let Some(id) = core.request(request) else { return false };
        self.retry_at = None;
        self.stage = Stage::Posting(id);
        true
    }

    /// Takes a reply if it is ours.
    pub(crate) fn reply(
        &mut self,
        id: RequestId,
        reply: &Result<Reply, Failure>,
        core: &mut Core,
    ) -> Option<Heard> {
        if self.stage != Stage::Posting(id) {
            return None;
        }
        self.stage = Stage::Need;
        match (reply, self.session) {
            (Ok(Reply::Session { sdp, resource }), Some(session)) => {
                self.resource.clone_from(resource);
                self.stage = Stage::Answered { since: core.now };
                self.progress = 0;
                self.moved_at = core.now;
                Some(Heard::Answer { session, sdp: sdp.clone() })
            }
            (Err(failure), _) => {
                self.failures += 1;
                let wait = core.jitter.backoff(self.failures, FIRST_RETRY, MOST_RETRY);
                // A server that names a time means it: the publisher may be about to come.
                let wait = failure.retry_after().map_or(wait, |asked| asked.min(wait.max(FIRST_RETRY)));
                self.retry_at = Some(core.now + wait);
                Some(Heard::Failed(failure.clone()))
            }
            _ => None,
        }
    }

    /// The worker's offer was made anew: what was posted with the old one is of no use.
    pub(crate) fn offer_changed(&mut self) {
        if matches!(self.stage, Stage::Posting(_)) {
            self.stage = Stage::Need;
        }
    }

    /// ICE and DTLS are up.
    pub(crate) fn connected(&mut self, now: Instant) {
        if self.is_answered() {
            self.stage = Stage::Up;
            self.moved_at = now;
        }
    }

    /// Ends the session, here and at the server. `again` makes another, at once the first time.
    pub(crate) fn drop_session(
        &mut self,
        again: bool,
        pool: &mut Pool,
        chores: &mut Chores,
        core: &mut Core,
    ) {
        if let Some(session) = self.session.take() {
            pool.close(session);
        }
        if let Some(resource) = self.resource.take() {
            chores.delete(resource, core);
        }
        self.stage = Stage::Need;
        self.retry_at = None;
        if again {
            if self.failures > 0 {
                let wait = core.jitter.backoff(self.failures, FIRST_RETRY, MOST_RETRY);
                self.retry_at = Some(core.now + wait);
            }
            self.failures += 1;
        }
    }

    /// Forgets failures: everything is new.
    pub(crate) fn forgive(&mut self) {
        self.failures = 0;
        self.retry_at = None;
    }

    /// Notes media progress; how long nothing has moved while the session is up.
    pub(crate) fn watch(&mut self, progress: u64, now: Instant) -> Duration {
        if progress != self.progress || !self.is_up() {
            self.progress = progress;
            self.moved_at = now;
        }
        let still = now.saturating_duration_since(self.moved_at);
        if self.is_up() && progress > 0 && still.is_zero() {
            self.failures = 0;
        }
        still
    }

    /// Answered, but not connected in time.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        matches!(self.stage, Stage::Answered { since } if now >= since + CONNECT)
    }

    /// When something happens here without an input.
    pub(crate) fn next(&self) -> Option<Instant> {
        match self.stage {
            Stage::Need => self.retry_at,
            Stage::Answered { since } => Some(since + CONNECT),
            _ => None,
        }
    }
}
