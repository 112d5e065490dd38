//! The kiosk state machine: button in, call out, and back to the button whatever happens.
//!
//! It does no IO and owns no clock. One invariant: **call [`Kiosk::handle`], then drain [`Kiosk::poll_output`] until it
//! gives [`Output::Timeout`]; wait for that time or the next input; again.** `handle` only changes what is wanted;
//! `poll_output` compares what is wanted with what is under way and asks for the difference, so nothing is lost when a
//! queue is full, and everything is tried again until it is so.
//!
//! ```text
//! Starting ──► Idle ──press──► Joining ──► Waiting ◄─► InCall
//!    ▲ ▲        ▲ │               │           │          │ ▲ (cut: Joining again)
//!    │ │        │ └─────────┐     └───────────┴──────────┘ │
//!    │ └─ Offline, Fault ◄──┤                 ▼
//!    └──────────────────────┴───────────── Leaving
//! ```
//!
//! # Trouble
//!
//! | trouble | the customer sees | what is retried | given up |
//! |---|---|---|---|
//! | server unknown, refuses, silent | "not available", the server's name | login or probe, 0.4 to 8 s apart, scattered; a press tries at once | never |
//! | ticket missing, expired, refused (7) | "needs service" and why | login, the tickets read anew, up to 8 s apart and when a file changes; with `ticket_url` a new one is fetched, up to a minute apart | never |
//! | unknown authority, TLS, wrong clock | "needs service" and why | login, up to 8 s apart | never |
//! | room forbidden (5003) | "may not enter its room" | probe, up to 8 s apart | never |
//! | room full (5001) | "busy" for 6 s, then idle | nothing | at once |
//! | token refused (7) | nothing | login, then what was refused; from the second time on with growing waits | never |
//! | seat lost (5), RoomService restarted | "reconnecting" | seat, publish, play, all anew | after 120 s |
//! | server silent in a call | nothing while media flows, then "reconnecting" | heartbeat, 0.4 to 1 s apart | after 120 s |
//! | message socket cut | nothing | the socket, resumed; meanwhile the members are polled every 3 s | never |
//! | join not done | "connecting" | each request by itself | after 15 s, "connection lost" |
//! | WHIP refused, silent, lost, not connected in 8 s | preview, "reconnecting" | new session, new push address, 0.25 to 3 s apart | 12 in a row |
//! | WHEP refused (404: not there yet), lost, frozen for 5 s | "reconnecting" | new session, 0.25 to 3 s apart | never while the member is in |
//! | worker exits | "reconnecting" | new worker at once, from the second quick end on 0.2 to 5 s apart | after 3 restarts in a row the call; idle: "needs service", still retried, and rebooted when so configured |
//! | codec fails, hangs, gives the wrong thing | a pause of one to three seconds | the next of the table, in the same worker; the codec is used last for an hour | never |
//! | worker silent for 3 s, or frames stand still | "reconnecting" | `SIGKILL`, or its unit's watchdog, then as above | as above |
//! | `kioskd` itself killed in a call | "reconnecting" for a second or two | it is started again and goes back into the call | after twice |
//! | camera, microphone, speaker broken | a sentence below the picture | by the worker itself | never |
//! | button's line missing, busy, forbidden | "needs service", while idle | the line, every 3 s | never |
//! | button held for the long time | as after a hang-up: a call ends, none begins | nothing | |
//! | button stuck | "needs service", while idle | nothing: it counts again once released | |
//! | lamp or door switch missing, busy, forbidden | nothing | the line, every 3 s | never |
//! | nobody comes | "nobody can answer" for 6 s | nothing | after `waiting_secs` |
//! | who was there left and never sent anything | "waiting" again | nothing | after `waiting_secs`, at the latest twice that after the press |
//! | everybody left | "the other side has left" | nothing | after `alone_secs` |
//! | `delete_pusher` unanswered | nothing, idle again after 3 s | 0.3 to 2 s apart | after 60 s without heartbeat: the server has forgotten us |
//! | WHIP or WHEP `DELETE` unanswered | nothing | 3 times, 1 s apart | then the server expires it |
//!
//! # What is bounded, and what happens then
//!
//! Outputs (64): requests and levels wait for the next drain; a lost line to the worker costs the worker. Timers: a
//! table. Button and door signals (16, in `board::button`): later ones of the same turn mean nothing new and are
//! dropped; a level so lost is said again within a second. Journal
//! (64): the oldest entry goes. Members played (8): later ones are not shown. Resources to delete (16): the oldest is
//! left to the server.

pub mod arguments;
pub(crate) mod backoff;
pub(crate) mod call;
pub(crate) mod chores;
pub(crate) mod codecs;
pub mod control;
pub(crate) mod core;
pub mod doctor;
pub mod driver;
pub mod event;
pub(crate) mod front;
pub(crate) mod leg;
pub(crate) mod link;
pub mod metrics;
pub mod notify;
pub(crate) mod pool;
pub mod process;
mod react;
pub mod reboot;
pub(crate) mod renew;
pub(crate) mod resume;
pub(crate) mod seat;
mod settle;
pub mod status;
pub(crate) mod timers;
pub mod words;
pub(crate) mod worker;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::call::{Call, Report};
use self::chores::Chores;
use self::core::Core;
use self::event::{Input, Lamp, Output};
use self::front::Front;
use self::link::Link;
use self::seat::Seat;
use self::timers::Timer;
use self::words::{End, Language, Trouble};
use self::worker::Worker;
use crate::media;
use crate::room::failure::Failure;
use crate::room::wire::Kind;

/// A second press sooner than this is the same impatient finger, unless the screen asks for one by then.
const SAME_PRESS: Duration = Duration::from_millis(600);
/// From press to seat.
const JOIN: Duration = Duration::from_secs(15);
/// From losing the seat, or the server, to having it back.
const COME_BACK: Duration = Duration::from_secs(120);
/// Leaving is shown at most this long; what is left to do is done in the background.
const LEAVE: Duration = Duration::from_secs(3);
/// The same when the process is to end.
const LEAVE_AT_SHUTDOWN: Duration = Duration::from_millis(1800);
/// How long the customer is told why a call ended.
const NOTICE: Duration = Duration::from_secs(6);
/// A text of the clerk stays this many seconds.
const MESSAGE_SECS: u32 = 15;
/// The custom command by which the clerk's page ends a call for both.
const HANGUP: &str = "hangup";
/// Characters of a text that are shown.
const MOST_TEXT: usize = 600;

/// What the machine has to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The room's kind.
    pub kind: Kind,
    /// The one room of this kiosk.
    pub room_id: String,
    /// Our user ID.
    pub user_id: String,
    /// The language of the screen.
    pub language: Language,
    /// Alone in the room this long after the press: nobody came.
    pub waiting: Duration,
    /// Alone again this long: everybody left.
    pub alone: Duration,
    /// Sends while alone in the room, too.
    pub early_media: bool,
    /// For the worker.
    pub media: media::protocol::Settings,
    /// Scatters retries; from the outside, so that kiosks differ and tests repeat.
    pub seed: u64,
}

/// Where the kiosk stands. Each state owns only what is valid in it; what outlives states (login, seat, worker, things
/// to put away) stands beside it in [`Kiosk`].
#[derive(Debug)]
enum State {
    /// Logging in, or warming the worker.
    Starting,
    /// RoomService does not answer.
    Offline(Arc<Failure>),
    /// Somebody has to repair something.
    Fault(Trouble),
    /// Everything waits for the button.
    Idle,
    /// On the way into the room; `again` after having been cut off.
    Joining { call: Box<Call>, again: bool },
    /// In the room, alone.
    Waiting { call: Box<Call> },
    /// In the room, with others, or alone again for a moment.
    InCall { call: Box<Call> },
    /// Giving everything back.
    Leaving { why: End },
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Offline(_) => "offline",
            Self::Fault(_) => "fault",
            Self::Idle => "idle",
            Self::Joining { .. } => "joining",
            Self::Waiting { .. } => "waiting",
            Self::InCall { .. } => "in_call",
            Self::Leaving { .. } => "leaving",
        }
    }

    fn call(&mut self) -> Option<&mut Call> {
        match self {
            Self::Joining { call, .. } | Self::Waiting { call } | Self::InCall { call } => Some(call),
            _ => None,
        }
    }

    fn in_call(&self) -> bool {
        matches!(self, Self::Joining { .. } | Self::Waiting { .. } | Self::InCall { .. })
    }
}

/// The machine. See the module's documentation.
#[derive(Debug)]
pub struct Kiosk {
    settings: Settings,
    core: Core,
    link: Link,
    seat: Seat,
    worker: Worker,
    chores: Chores,
    state: State,
    /// The name of the state last entered: `state` itself is empty while a call is carried over.
    entered: &'static str,
    entered_at: Instant,
    status_due: bool,
    lamp: Option<Lamp>,
    front: Front,
    /// Why the last call ended, while the customer is told.
    notice: Option<End>,
    report: Option<Report>,
    calls: u64,
    last_press: Option<Instant>,
    ending: bool,
    finished: bool,
}

impl Kiosk {
    /// A kiosk that was just switched on.
    #[must_use]
    pub fn new(settings: Settings, now: Instant) -> Self {
        let seed = settings.seed;
        Self {
            settings,
            core: Core::new(now, seed),
            link: Link::new(),
            seat: Seat::new(now),
            worker: Worker::new(now),
            chores: Chores::default(),
            state: State::Starting,
            entered: "starting",
            entered_at: now,
            status_due: true,
            lamp: None,
            front: Front::new(),
            notice: None,
            report: None,
            calls: 0,
            last_press: None,
            ending: false,
            finished: false,
        }
    }

    /// Takes note of `input` and of the time.
    pub fn handle(&mut self, input: Input, now: Instant) {
        self.core.now = self.core.now.max(now);
        while let Some(timer) = self.core.timers.expire(self.core.now) {
            self.fire(timer);
        }
        self.legs_overdue();
        match input {
            Input::Time => {}
            Input::Press => self.press(),
            Input::Hangup if self.state.in_call() => self.leave(End::HungUp),
            Input::LongPress if self.state.in_call() => {
                self.core.note("the button is held: hung up");
                self.leave(End::HungUp);
            }
            Input::Hangup | Input::LongPress => {}
            Input::Ticket => self.link.ticket_changed(&mut self.core),
            Input::Stuck(stuck) => self.front.stuck(stuck, &mut self.core),
            Input::Door { open } => self.front.door(open, &mut self.core),
            Input::Fitting(fitting, standing) => self.front.stands(fitting, standing, &mut self.core),
            Input::Shutdown => self.shut_down(),
            Input::Reply { id, reply } => self.reply(id, &reply),
            Input::Im { serial, news } => self.im(serial, news),
            Input::Worker { generation, news } => self.worker_news(generation, news),
        }
    }

    /// The next thing to do; [`Output::Timeout`] when there is none.
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.core.pop() {
            return output;
        }
        self.advance();
        self.core.pop().unwrap_or_else(|| Output::Timeout(self.next_timeout()))
    }

    /// Whether it is known how the kiosk does, well or not: for who waits for us at boot. Offline counts, and so does a
    /// button that cannot be read: log and status say why.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.worker.has_answered() && self.front.button.standing.is_settled()
    }

    /// Whether somebody is in a call, or on the way there.
    #[must_use]
    pub fn is_in_call(&self) -> bool {
        self.state.in_call()
    }

    /// Whether media worker after media worker fails.
    #[must_use]
    pub fn has_no_worker(&self) -> bool {
        self.worker.trouble().is_some()
    }

    fn press(&mut self) {
        let now = self.core.now;
        let again = self.last_press.is_some_and(|last| now.saturating_duration_since(last) < SAME_PRESS);
        if self.ending || (again && !matches!(self.state, State::Idle)) {
            return;
        }
        self.last_press = Some(now);
        match &self.state {
            State::Joining { .. } | State::Waiting { .. } | State::InCall { .. } => self.leave(End::Pressed),
            State::Starting | State::Idle if self.link.is_in() => self.begin(),
            // A press on the way out is the same wish to end; the next call starts with the next press.
            State::Leaving { .. } => {}
            State::Starting | State::Idle | State::Offline(_) | State::Fault(_) => {
                self.core.note("pressed, but not ready: trying again at once");
                self.link.hurry(&mut self.core);
                self.worker.hurry(&mut self.core);
            }
        }
    }

    fn begin(&mut self) {
        self.calls += 1;
        self.notice = None;
        self.core.timers.clear(Timer::Notice);
        self.report = Some(Report::new(self.core.now));
        self.link.last_seq = None;
        self.core.timers.clear(Timer::Seat);
        self.core.timers.clear(Timer::Poll);
        self.core.timer(Timer::JoinBound, JOIN);
        self.worker.call_begins(&mut self.core);
        self.enter(State::Joining { call: Box::new(Call::new(self.core.now)), again: false });
    }

    /// Ends the call: gives back seat and sessions, closes the camera, lets the worker go.
    fn leave(&mut self, why: End) {
        let Some(call) = self.state.call() else { return };
        call.drop_sessions(false, &mut self.worker.pool, &mut self.chores, &mut self.core);
        self.finish_report(&why);
        self.worker.retire(&mut self.core);
        for timer in [Timer::JoinBound, Timer::Waiting, Timer::Alone, Timer::Poll, Timer::Seat] {
            self.core.timers.clear(timer);
        }
        self.core.timer(Timer::LeaveBound, if self.ending { LEAVE_AT_SHUTDOWN } else { LEAVE });
        // From here on the probe is no heartbeat; whatever keeps connections warm can wait.
        self.core.timer(Timer::Probe, Duration::from_secs(1));
        if why.is_worth_a_sentence() {
            self.notice = Some(why.clone());
            self.core.timer(Timer::Notice, NOTICE);
        }
        self.enter(State::Leaving { why });
    }

    /// Cut off by the server: everything is made anew, the customer does nothing.
    fn come_back(&mut self) {
        self.seat.lost();
        let Some(call) = self.state.call() else { return };
        call.drop_sessions(false, &mut self.worker.pool, &mut self.chores, &mut self.core);
        call.listed = false;
        call.polling = None;
        self.link.last_seq = None;
        self.link.push_address_is_old();
        if let Some(report) = &mut self.report {
            report.recoveries += 1;
        }
        for timer in [Timer::Waiting, Timer::Alone, Timer::Poll, Timer::Seat] {
            self.core.timers.clear(timer);
        }
        self.core.timer(Timer::JoinBound, COME_BACK);
        self.core.note("cut off: joining again");
        match std::mem::replace(&mut self.state, State::Starting) {
            State::Joining { call, .. } | State::Waiting { call } | State::InCall { call } => {
                self.enter(State::Joining { call, again: true });
            }
            other => self.state = other,
        }
    }

    fn shut_down(&mut self) {
        if self.ending {
            return;
        }
        self.ending = true;
        self.leave(End::Shutdown);
        self.worker.shut_down(&mut self.core);
        self.core.timer(Timer::LeaveBound, LEAVE_AT_SHUTDOWN);
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            // Retries: `advance` sees that nothing holds them back any more.
            Timer::Login
            | Timer::PushAddress
            | Timer::Im
            | Timer::Probe
            | Timer::Poll
            | Timer::Seat
            | Timer::WorkerStart => {}
            Timer::PushAddressOld if self.state.in_call() => {}
            Timer::PushAddressOld => self.link.push_address_is_old(),
            Timer::JoinBound => self.leave(End::NoConnection),
            Timer::Waiting => self.leave(End::NobodyCame),
            Timer::Alone => self.leave(End::EverybodyLeft),
            Timer::LeaveBound if self.ending => self.worker.kill("the process ends", &mut self.core),
            Timer::LeaveBound => self.outside(true),
            Timer::Notice => self.notice = None,
            Timer::WorkerReady => self.worker.kill("it does not become ready", &mut self.core),
            Timer::WorkerSilent => self.worker.kill("it says nothing any more", &mut self.core),
            Timer::WorkerStop => {
                let generation = self.worker.generation;
                self.worker.stop_is_over(&mut self.core);
                if self.worker.is_absent() && generation == self.worker.generation {
                    self.worker_gone();
                }
            }
            Timer::WorkerWell => {
                self.worker.is_well();
                if let Some(call) = self.state.call() {
                    call.replaced = 0;
                }
            }
        }
    }

    fn enter(&mut self, state: State) {
        let why = match &state {
            State::Offline(failure) => format!(": {failure}"),
            State::Fault(trouble) => format!(": {trouble}"),
            State::Leaving { why } => format!(": {why:?}"),
            _ => String::new(),
        };
        self.core.note(&format!("{} -> {}{why}", self.entered, state.name()));
        self.entered = state.name();
        self.state = state;
        self.entered_at = self.core.now;
        self.status_due = true;
    }
}
