//! Our seat in the room: wanted or not, held or not, and nothing forgotten in between.
//!
//! Every `add_pusher` that may have succeeded is followed by a `delete_pusher` that was answered, or the seat is known
//! to be lost: the server said so, or it heard no heartbeat for longer than it keeps a silent member.

use std::time::{Duration, Instant};

use super::core::Core;
use super::event::{Reply, Request, RequestId};
use super::timers::Timer;
use crate::room::failure::Failure;
use crate::room::wire::code;

/// A silent member is removed 21 to 26 s after its last beat (section 4.5); twice that is certain.
const KNOWN_LOST: Duration = Duration::from_secs(60);
const FIRST_RETRY: Duration = Duration::from_millis(300);
const MOST_RETRY: Duration = Duration::from_secs(2);

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// Not in the room.
    Free,
    /// Asked for.
    Taking { id: RequestId, url: String, held: bool },
    /// In the room, playable by `url`.
    Held { url: String },
    /// Asked to be taken back.
    Giving { id: RequestId },
    /// The server did not answer: in the room or not.
    Unknown,
}

/// What came of a reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    /// We are in the room now.
    Taken,
    /// The room is full.
    Full,
    /// The server says no for good.
    Refused,
    /// The token was refused.
    Token,
}

#[derive(Debug)]
pub(crate) struct Seat {
    state: State,
    /// The last time the server may have heard of us as a member.
    touched: Instant,
    failures: u32,
}

impl Seat {
    pub(crate) fn new(now: Instant) -> Self {
        Self { state: State::Free, touched: now, failures: 0 }
    }

    pub(crate) fn is_held(&self) -> bool {
        matches!(self.state, State::Held { .. } | State::Taking { held: true, .. })
    }

    pub(crate) fn is_free(&self) -> bool {
        self.state == State::Free
    }

    /// The server says we are not in the room.
    pub(crate) fn lost(&mut self) {
        if matches!(self.state, State::Held { .. } | State::Unknown) {
            self.state = State::Free;
        }
    }

    /// Takes or gives back, whichever is wanted; `url` is what others are to play us by. A held seat changes its
    /// address only when `renew` says the new one is being published.
    pub(crate) fn advance(
        &mut self,
        wanted: bool,
        url: Option<&str>,
        renew: bool,
        logged_in: bool,
        core: &mut Core,
    ) {
        if self.is_held() {
            self.touched = core.now;
        }
        if self.state == State::Unknown && !wanted && core.now > self.touched + KNOWN_LOST {
            core.note("the seat is known to be lost: no heartbeat for a minute");
            self.state = State::Free;
        }
        if !logged_in || core.timers.is_set(Timer::Seat) {
            return;
        }
        let take = match (&self.state, url.filter(|_| wanted)) {
            (State::Free | State::Unknown, Some(url)) => Some(url),
            (State::Held { url: held }, Some(url)) if renew && held != url => Some(url),
            _ => None,
        };
        if let Some(url) = take {
            if let Some(id) = core.request(Request::TakeSeat { push_url: url.to_owned() }) {
                self.touched = core.now;
                self.state = State::Taking { id, url: url.to_owned(), held: self.is_held() };
            }
        } else if !wanted
            && matches!(self.state, State::Held { .. } | State::Unknown)
            && let Some(id) = core.request(Request::GiveSeat)
        {
            self.state = State::Giving { id };
        }
    }

    /// Takes a reply if it is ours.
    pub(crate) fn reply(
        &mut self,
        id: RequestId,
        reply: &Result<Reply, Failure>,
        core: &mut Core,
    ) -> Option<Heard> {
        match &self.state {
            State::Taking { id: asked, url, held } if *asked == id => {
                let (url, held) = (url.clone(), *held);
                Some(self.taken(url, held, reply, core))
            }
            State::Giving { id: asked } if *asked == id => {
                let given = match reply {
                    Ok(_) => true,
                    Err(failure) => matches!(failure.code(), Some(code::NOT_A_MEMBER | code::NO_ROOM)),
                };
                if given {
                    self.state = State::Free;
                    self.failures = 0;
                    return Some(Heard::Nothing);
                }
                self.state = State::Unknown;
                self.wait(core);
                let token = matches!(reply, Err(failure) if failure.is_token_refused());
                Some(if token { Heard::Token } else { Heard::Nothing })
            }
            _ => None,
        }
    }

    fn taken(&mut self, url: String, held: bool, reply: &Result<Reply, Failure>, core: &mut Core) -> Heard {
        let Err(failure) = reply else {
            self.touched = core.now;
            self.failures = 0;
            self.state = State::Held { url };
            return Heard::Taken;
        };
        // Refused before anything was changed, so what was before still is: a seat that was held may still be ours.
        self.state = if held || failure.is_silence() || failure.code().is_none() {
            State::Unknown
        } else {
            State::Free
        };
        match failure.code() {
            Some(code::ROOM_FULL) => Heard::Full,
            _ if failure.is_token_refused() => Heard::Token,
            Some(code) if code > 0 && code != code::TOO_MANY => Heard::Refused,
            _ => {
                self.wait(core);
                Heard::Nothing
            }
        }
    }

    fn wait(&mut self, core: &mut Core) {
        self.failures += 1;
        let wait = core.jitter.backoff(self.failures, FIRST_RETRY, MOST_RETRY);
        core.timer(Timer::Seat, wait);
    }

    /// When something happens here without an input.
    pub(crate) fn next(&self) -> Option<Instant> {
        (self.state == State::Unknown).then(|| self.touched + KNOWN_LOST + Duration::from_millis(1))
    }
}
