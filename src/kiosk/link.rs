//! Our standing with RoomService: login, prefetched push address, message socket, and the probe that tells whether it
//! still answers.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::event::{ImNews, Output, Reply, Request, RequestId};
use super::timers::Timer;
use crate::room::failure::Failure;

/// Between heartbeats; evicted after 20 s without one (section 4.5).
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(5);
/// Between the requests that keep connections open while idle. Servers close silent ones after 5 s (Node, Apache), 10 s
/// (our RoomService) or more.
const WARM: Duration = Duration::from_secs(4);
/// A prefetched push address is replaced after this while idle.
const PUSH_ADDRESS_OLD: Duration = Duration::from_secs(1800);
const FIRST_RETRY: Duration = Duration::from_millis(400);
const MOST_RETRY: Duration = Duration::from_secs(8);
/// In a call every second counts.
const MOST_RETRY_IN_CALL: Duration = Duration::from_secs(1);

#[derive(Debug, PartialEq, Eq)]
enum Login {
    Out,
    Asking(RequestId),
    In,
}

#[derive(Debug)]
enum PushAddress {
    None,
    Asking(RequestId),
    Ready(String),
}

#[derive(Debug, PartialEq, Eq)]
enum Im {
    Closed,
    Opening,
    Open,
}

/// What set the trouble; only its success clears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Login,
    PushAddress,
    Probe,
}

/// What the machine wants of the link just now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// In a call, or getting there: retry fast.
    pub(crate) in_call: bool,
    /// A push address is wanted now, or soon.
    pub(crate) push_address: bool,
    /// The seat is held: the probe is the heartbeat.
    pub(crate) seated: bool,
}

/// What the machine has to hear of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing.
    Nothing,
    /// The server says we are no member: the seat is gone.
    SeatLost,
}

#[derive(Debug)]
pub(crate) struct Link {
    login: Login,
    /// Requests below this were made with an older token.
    logged_in_from: RequestId,
    failures: u32,
    /// Times the token was refused since it was last accepted.
    refused: u32,
    push: PushAddress,
    push_failures: u32,
    im: Im,
    im_serial: u32,
    im_failures: u32,
    probe: Option<(RequestId, bool)>,
    probe_failures: u32,
    /// A probe came back well since the login.
    probed: bool,
    trouble: Option<(Source, Arc<Failure>)>,
    /// The newest event of our room.
    pub(crate) last_seq: Option<u64>,
    pub(crate) expires_unix: Option<u64>,
    pub(crate) logins: u64,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            login: Login::Out,
            logged_in_from: 0,
            failures: 0,
            refused: 0,
            push: PushAddress::None,
            push_failures: 0,
            im: Im::Closed,
            im_serial: 0,
            im_failures: 0,
            probe: None,
            probe_failures: 0,
            probed: false,
            trouble: None,
            last_seq: None,
            expires_unix: None,
            logins: 0,
        }
    }

    pub(crate) fn is_in(&self) -> bool {
        self.login == Login::In
    }

    /// Logged in, answered for, and a press would find everything prefetched.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_in() && self.probed && matches!(self.push, PushAddress::Ready(_))
    }

    pub(crate) fn im_is_open(&self) -> bool {
        self.im == Im::Open
    }

    pub(crate) fn trouble(&self) -> Option<&Arc<Failure>> {
        self.trouble.as_ref().map(|(_, failure)| failure)
    }

    /// The server does not answer just now.
    pub(crate) fn is_shaky(&self) -> bool {
        self.probe_failures > 0 || !self.is_in()
    }

    /// Takes the prefetched push address, if there is one.
    pub(crate) fn take_push_address(&mut self) -> Option<String> {
        match std::mem::replace(&mut self.push, PushAddress::None) {
            PushAddress::Ready(url) => Some(url),
            other => {
                self.push = other;
                None
            }
        }
    }

    /// The token was refused for a request; `id` tells whether it was the newest token.
    pub(crate) fn refuse(&mut self, id: RequestId, core: &mut Core) {
        if id < self.logged_in_from || !self.is_in() {
            return;
        }
        self.login = Login::Out;
        self.probed = false;
        self.push = PushAddress::None;
        self.refused += 1;
        core.note("the token is refused: logging in again");
        if self.refused > 1 {
            // Somebody else logs in under our name, or the server takes no token of its own: no storm.
            let wait = core.jitter.backoff(self.refused - 1, FIRST_RETRY, MOST_RETRY);
            core.timer(Timer::Login, wait);
        } else {
            core.timers.clear(Timer::Login);
        }
    }

    /// A request made with the token was carried out.
    pub(crate) fn accepted(&mut self) {
        self.refused = 0;
    }

    /// Tries everything that waits for a retry now.
    pub(crate) fn hurry(&mut self, core: &mut Core) {
        for timer in [Timer::Login, Timer::PushAddress, Timer::Probe, Timer::Im] {
            core.timers.clear(timer);
        }
    }

    /// A ticket was put somewhere: if we are not in, it may let us in.
    pub(crate) fn ticket_changed(&mut self, core: &mut Core) {
        if self.login == Login::Out {
            self.failures = 0;
            core.timers.clear(Timer::Login);
        }
    }

    /// Finds out at once whether the server still answers.
    pub(crate) fn probe_now(&mut self, core: &mut Core) {
        core.timers.clear(Timer::Probe);
    }

    /// The seat was just taken, which counts as a heartbeat.
    pub(crate) fn seated(&mut self, core: &mut Core) {
        core.timer(Timer::Probe, HEARTBEAT);
    }

    /// The prefetched address is old.
    pub(crate) fn push_address_is_old(&mut self) {
        if matches!(self.push, PushAddress::Ready(_)) {
            self.push = PushAddress::None;
        }
    }

    /// Asks for what is wanted and not under way. A timer that is set means: not yet.
    pub(crate) fn advance(&mut self, wish: Wish, core: &mut Core) {
        if self.login == Login::Out
            && !core.timers.is_set(Timer::Login)
            && let Some(id) = core.request(Request::Login)
        {
            self.login = Login::Asking(id);
        }
        if !self.is_in() {
            return;
        }
        if matches!(self.push, PushAddress::None)
            && wish.push_address
            && !core.timers.is_set(Timer::PushAddress)
            && let Some(id) = core.request(Request::PushAddress)
        {
            self.push = PushAddress::Asking(id);
        }
        if self.im == Im::Closed && !core.timers.is_set(Timer::Im) {
            let serial = self.im_serial + 1;
            if core.push(Output::OpenIm { serial, resume_after: self.last_seq }) {
                self.im_serial = serial;
                self.im = Im::Opening;
            }
        }
        // Between press and seat there is nothing to keep alive; the requests of the join tell more than a probe would.
        let due = wish.seated || !wish.in_call;
        if due && self.probe.is_none() && !core.timers.is_set(Timer::Probe) {
            let push_url = match &self.push {
                PushAddress::Ready(url) => Some(url.clone()),
                _ => None,
            };
            let request = if wish.seated { Request::Heartbeat } else { Request::Warm { push_url } };
            self.probe = core.request(request).map(|id| (id, wish.seated));
        }
    }

    /// Takes a reply if it is ours.
    pub(crate) fn reply(
        &mut self,
        id: RequestId,
        reply: &Result<Reply, Failure>,
        in_call: bool,
        core: &mut Core,
    ) -> Option<Heard> {
        let most = if in_call { MOST_RETRY_IN_CALL } else { MOST_RETRY };
        if self.login == Login::Asking(id) {
            self.logged_in(reply, most, core);
            return Some(Heard::Nothing);
        }
        if matches!(self.push, PushAddress::Asking(asked) if asked == id) {
            self.push = PushAddress::None;
            match reply {
                Ok(Reply::PushAddress(url)) => {
                    self.push = PushAddress::Ready(url.clone());
                    self.push_failures = 0;
                    core.timer(Timer::PushAddressOld, PUSH_ADDRESS_OLD);
                    if !in_call {
                        // The way to the media server is warmed from the start.
                        self.probe_now(core);
                    }
                    self.clear(Source::PushAddress, core);
                }
                Ok(_) => {}
                Err(failure) => {
                    self.push_failures += 1;
                    let wait = core.jitter.backoff(self.push_failures, FIRST_RETRY, most);
                    core.timer(Timer::PushAddress, wait);
                    self.failed(Source::PushAddress, id, failure, core);
                }
            }
            return Some(Heard::Nothing);
        }
        let (asked, was_heartbeat) = self.probe?;
        if asked != id {
            return None;
        }
        self.probe = None;
        let mut heard = Heard::Nothing;
        match reply {
            Ok(_) => {
                self.well(core);
                core.timer(Timer::Probe, if was_heartbeat { HEARTBEAT } else { WARM });
            }
            Err(failure)
                if was_heartbeat && failure.code() == Some(crate::room::wire::code::NOT_A_MEMBER) =>
            {
                self.well(core);
                core.timer(Timer::Probe, HEARTBEAT);
                heard = Heard::SeatLost;
            }
            Err(failure) => {
                self.probe_failures += 1;
                let wait = core.jitter.backoff(self.probe_failures, FIRST_RETRY, most);
                core.timer(Timer::Probe, wait);
                self.failed(Source::Probe, id, failure, core);
            }
        }
        Some(heard)
    }

    fn well(&mut self, core: &mut Core) {
        self.probed = true;
        self.probe_failures = 0;
        self.accepted();
        self.clear(Source::Probe, core);
    }

    fn logged_in(&mut self, reply: &Result<Reply, Failure>, most: Duration, core: &mut Core) {
        match reply {
            Ok(reply) => {
                self.login = Login::In;
                self.failures = 0;
                self.logins += 1;
                self.logged_in_from = core.next_request();
                if let Reply::LoggedIn { expires_unix } = reply {
                    self.expires_unix = *expires_unix;
                }
                self.clear(Source::Login, core);
                // A new token: the old socket belongs to the old one, and the seat is asked after at once.
                self.im = Im::Closed;
                for timer in [Timer::Probe, Timer::PushAddress, Timer::Im] {
                    core.timers.clear(timer);
                }
                core.note("logged in");
            }
            Err(failure) => {
                self.login = Login::Out;
                self.failures += 1;
                let wait = core.jitter.backoff(self.failures, FIRST_RETRY, most);
                core.timer(Timer::Login, wait);
                self.set(Source::Login, failure, core);
            }
        }
    }

    fn failed(&mut self, source: Source, id: RequestId, failure: &Failure, core: &mut Core) {
        if failure.is_token_refused() {
            self.refuse(id, core);
        } else {
            self.set(source, failure, core);
        }
    }

    fn set(&mut self, source: Source, failure: &Failure, core: &mut Core) {
        if self.trouble.as_ref().is_none_or(|(_, known)| **known != *failure) {
            core.warn(&failure.to_string());
        }
        self.trouble = Some((source, Arc::new(failure.clone())));
    }

    fn clear(&mut self, source: Source, core: &mut Core) {
        if self.trouble.as_ref().is_some_and(|(set_by, _)| *set_by == source || source == Source::Probe) {
            self.trouble = None;
            core.note("RoomService answers again");
        }
    }

    /// Takes news of the message socket; gives the event of the current one.
    pub(crate) fn im(&mut self, serial: u32, news: ImNews, in_call: bool, core: &mut Core) -> ImHeard {
        if serial != self.im_serial {
            return ImHeard::Nothing;
        }
        match news {
            ImNews::Open => {
                self.im = Im::Open;
                self.im_failures = 0;
                ImHeard::Opened
            }
            ImNews::Closed(failure) => {
                let was_open = self.im == Im::Open;
                self.im = Im::Closed;
                self.im_failures += 1;
                let most = if in_call { MOST_RETRY_IN_CALL } else { MOST_RETRY };
                let wait = core.jitter.backoff(self.im_failures, FIRST_RETRY, most);
                core.timer(Timer::Im, wait);
                if failure.is_token_refused() && self.is_in() {
                    // The probe says the same and knows which token it used.
                    self.probe_now(core);
                }
                if was_open {
                    core.note(&format!("the message socket closed: {failure}"));
                    self.probe_now(core);
                } else {
                    log::debug!("message socket: {failure}");
                }
                ImHeard::Nothing
            }
            ImNews::Event(event) => ImHeard::Event(event),
        }
    }
}

/// What came of news of the message socket.
#[derive(Debug)]
pub(crate) enum ImHeard {
    Nothing,
    Opened,
    Event(Box<crate::room::wire::ImEvent>),
}
