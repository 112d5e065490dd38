//! What is wanted in each state, and the difference to what is under way.

use std::time::{Duration, Instant};

use super::call::Report;
use super::event::{Lamp, Output, Request};
use super::timers::Timer;
use super::words::{Say, Trouble};
use super::{COME_BACK, Kiosk, State, link, worker};
use crate::media::protocol::Part;

/// The loop wakes at least this often.
const FOREVER: Duration = Duration::from_secs(3600);
/// Counted from the press, waiting begins again for no longer than so many times the waiting time: visitors without
/// media, one after the other, do not keep a customer for ever.
const MOST_WAITS: u32 = 2;
/// The shortest waiting that begins again.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

impl Kiosk {
    /// Asks for the difference between what is wanted and what is under way.
    pub(super) fn advance(&mut self) {
        if self.finished {
            return;
        }
        if self.core.take_overflowed() {
            self.worker.kill("more was to be said to it than the queue holds", &mut self.core);
        }
        self.settle();
        self.advance_call();
        self.advance_link();
        self.chores.advance(&mut self.core);
        let wish = self.worker_wish();
        self.worker.advance(&wish, &self.settings.media, self.settings.language, &mut self.core);
        self.note_capture(&wish);
        let lamp = self.wanted_lamp();
        if self.lamp != Some(lamp) && self.core.push(Output::Lamp(lamp)) {
            self.lamp = Some(lamp);
        }
        if self.status_due && self.core.push(Output::Status) {
            self.status_due = false;
        }
        let put_away = self.seat.is_free() && self.chores.is_empty();
        if self.ending && self.worker.is_absent() && (put_away || !self.core.timers.is_set(Timer::LeaveBound))
        {
            self.finished = self.core.push(Output::Finished);
        }
    }

    /// Moves to the state that fits.
    fn settle(&mut self) {
        let waiting = self.settings.waiting;
        let has_met = self.has_met();
        match &mut self.state {
            State::Joining { call, again } => {
                if !(self.seat.is_held() && call.listed) {
                    return;
                }
                let in_call = !call.peers.is_empty() || (*again && call.had_company && has_met);
                self.core.timers.clear(Timer::JoinBound);
                if let State::Joining { call, .. } = std::mem::replace(&mut self.state, State::Starting) {
                    if in_call {
                        self.enter(State::InCall { call });
                    } else {
                        self.core.timer(Timer::Waiting, waiting);
                        self.enter(State::Waiting { call });
                    }
                }
                self.settle();
            }
            State::Waiting { call } => {
                if !call.peers.is_empty() {
                    self.core.timers.clear(Timer::Waiting);
                    if let State::Waiting { call } = std::mem::replace(&mut self.state, State::Starting) {
                        self.enter(State::InCall { call });
                    }
                    return;
                }
                self.bound_silence();
            }
            State::InCall { call } => {
                if call.peers.is_empty() && !has_met {
                    self.wait_again();
                    return;
                }
                if call.peers.is_empty() {
                    self.core.timers.set_if_unset(Timer::Alone, self.core.now + self.settings.alone);
                } else {
                    self.core.timers.clear(Timer::Alone);
                }
                self.bound_silence();
            }
            State::Leaving { .. } => {
                let away = self.seat.is_free() && self.chores.is_empty() && self.worker.is_fresh();
                if away && !self.ending {
                    self.outside(true);
                }
            }
            State::Starting | State::Offline(_) | State::Fault(_) | State::Idle => self.outside(false),
        }
    }

    /// Whether media of another member has come in this call.
    fn has_met(&self) -> bool {
        let stages = |report: &Report| [report.first_remote_frame, report.first_remote_sound];
        self.report.as_ref().is_some_and(|report| stages(report).iter().any(Option::is_some))
    }

    /// Whoever was here is gone and never sent anything, like what a closed page leaves in the room until the server
    /// misses it: the customer has met nobody, and waits for another.
    fn wait_again(&mut self) {
        let most = self.settings.waiting * MOST_WAITS;
        let pressed_at = self.report.as_ref().map_or(self.core.now, |report| report.pressed_at);
        let left = (pressed_at + most).saturating_duration_since(self.core.now);
        self.core.note("who was here never sent anything");
        self.core.timer(Timer::Waiting, left.min(self.settings.waiting).max(SHORTEST_WAIT));
        if let State::InCall { call } = std::mem::replace(&mut self.state, State::Starting) {
            self.enter(State::Waiting { call });
        }
    }

    /// In a call, but the server does not answer: not for ever.
    fn bound_silence(&mut self) {
        if self.link.is_shaky() {
            self.core.timers.set_if_unset(Timer::JoinBound, self.core.now + COME_BACK);
        } else {
            self.core.timers.clear(Timer::JoinBound);
        }
    }

    /// Enters the state that fits when there is no call.
    pub(super) fn outside(&mut self, left: bool) {
        if left {
            self.core.timers.clear(Timer::LeaveBound);
        }
        let state = if let Some(reason) = self.worker.trouble() {
            State::Fault(Trouble::Worker(reason.clone()))
        } else if let Some(failure) = self.link.trouble() {
            let trouble = Trouble::Server(failure.clone());
            if trouble.is_fault() { State::Fault(trouble) } else { State::Offline(failure.clone()) }
        } else if self.link.is_ready() && self.worker.is_warm() {
            State::Idle
        } else {
            State::Starting
        };
        let same = match (&self.state, &state) {
            (State::Starting, State::Starting) | (State::Idle, State::Idle) => true,
            (State::Offline(old), State::Offline(new)) => old == new,
            (State::Fault(old), State::Fault(new)) => old == new,
            _ => false,
        };
        if !same && (left || !self.ending) {
            self.enter(state);
        }
    }

    fn advance_call(&mut self) {
        let logged_in = self.link.is_in();
        let now = self.core.now;
        let held = self.seat.is_held();
        let Some(call) = self.state.call() else {
            self.seat.advance(false, None, false, logged_in, &mut self.core);
            return;
        };
        if call.url.is_none() {
            call.url = self.link.take_push_address();
        }
        if let (Some(url), true) = (&call.url, logged_in)
            && call.publish.advance(url, &mut self.worker.pool, &mut self.core)
            && let Some(report) = &mut self.report
        {
            Report::stage(&mut report.whip_posted, report.pressed_at, now);
        }
        let renew = call.publish.is_answered();
        self.seat.advance(true, call.url.as_deref(), renew, logged_in, &mut self.core);
        if logged_in && call.polling.is_none() && !self.core.timers.is_set(Timer::Poll) {
            call.polling = self.core.request(Request::Members);
        }
        if !(logged_in && held) {
            return;
        }
        for peer in &mut call.peers {
            if peer.leg.advance(&peer.url, &mut self.worker.pool, &mut self.core)
                && let Some(report) = &mut self.report
            {
                Report::stage(&mut report.whep_posted, report.pressed_at, now);
            }
        }
    }

    fn advance_link(&mut self) {
        if self.ending && self.seat.is_free() {
            return;
        }
        let in_call = self.state.in_call();
        let leaving = matches!(self.state, State::Leaving { .. });
        let needs_address = self.state.call().is_some_and(|call| call.url.is_none());
        let wish = link::Wish {
            in_call: in_call || leaving,
            push_address: needs_address || !(in_call || leaving),
            seated: in_call && self.seat.is_held(),
        };
        self.link.advance(wish, &mut self.core);
    }

    fn worker_wish(&mut self) -> worker::Wish {
        let say = self.say();
        let mut wish =
            worker::Wish { run: !self.ending, capture: false, send: false, say, publish: 1, play: 1 };
        if let Some(call) = self.state.call() {
            wish.capture = true;
            wish.send = !call.peers.is_empty() || self.settings.early_media;
            wish.publish = usize::from(call.publish.wants_session());
            wish.play = call.peers.iter().filter(|peer| peer.leg.wants_session()).count();
        }
        wish
    }

    fn note_capture(&mut self, wish: &worker::Wish) {
        if wish.capture
            && self.worker.is_running()
            && let Some(report) = &mut self.report
        {
            Report::stage(&mut report.capture_on, report.pressed_at, self.core.now);
        }
    }

    /// What the customer is told.
    pub(super) fn say(&self) -> Say {
        if let (Some(end), false) = (&self.notice, self.state.in_call()) {
            return Say::Ended(end.clone());
        }
        match &self.state {
            State::Starting => Say::Starting,
            State::Offline(failure) => Say::Trouble(Trouble::Server(failure.clone())),
            State::Fault(trouble) => Say::Trouble(trouble.clone()),
            State::Idle if self.front.button_is_broken() => Say::NoButton,
            State::Idle => Say::Idle,
            State::Joining { again: true, .. } => Say::ComingBack,
            State::Joining { .. } => Say::Joining,
            State::Waiting { .. } => Say::Waiting,
            State::InCall { call } if call.peers.is_empty() => Say::Alone,
            State::InCall { call } => {
                let seen = self.report.as_ref().is_some_and(|report| report.first_remote_frame.is_some());
                let cut = seen && !call.peers.iter().any(|peer| peer.leg.is_up());
                if cut { Say::ComingBack } else { Say::InCall }
            }
            State::Leaving { .. } => Say::Leaving,
        }
    }

    /// The part of the board the customer is told about.
    pub(super) fn broken(&self) -> Option<Part> {
        self.worker.broken()
    }

    fn wanted_lamp(&self) -> Lamp {
        match &self.state {
            State::Idle if self.front.button_is_broken() => Lamp::Trouble,
            State::Idle => Lamp::Idle,
            State::Joining { .. } | State::Waiting { .. } => Lamp::Waiting,
            State::InCall { .. } => Lamp::InCall,
            State::Offline(_) | State::Fault(_) => Lamp::Trouble,
            State::Starting | State::Leaving { .. } => Lamp::Off,
        }
    }

    pub(super) fn next_timeout(&self) -> Instant {
        let call = match &self.state {
            State::Joining { call, .. } | State::Waiting { call } | State::InCall { call } => call.next(),
            _ => None,
        };
        let next = [self.core.timers.next(), self.seat.next(), self.chores.next(), call];
        // What is due already and still not done waits for an input, not for time.
        let now = self.core.now;
        next.into_iter().flatten().filter(|at| *at > now).min().unwrap_or(now + FOREVER)
    }
}
