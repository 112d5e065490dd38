//! The machine's view of the media worker: started, told, watched, and ended when it no longer moves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::codecs::Codecs;
use super::core::Core;
use super::event::{Generation, Output};
use super::pool::Pool;
use super::timers::Timer;
use super::words::{self, Language, Say};
use crate::media::protocol::{Command, Fault, Part, Role, Settings, Stats};

/// From start to `ready`; loading plugins from a slow card takes seconds.
const READY: Duration = Duration::from_secs(15);
/// A line of statistics comes every second; in a call three missing ones mean it hangs.
const SILENT_IN_CALL: Duration = Duration::from_secs(3);
/// Idle, a hang hurts nobody yet.
const SILENT_IDLE: Duration = Duration::from_secs(10);
/// From `stop` to the end of the process.
const STOP: Duration = Duration::from_millis(1500);
/// From `SIGKILL` to the end; longer only when it sleeps in a driver. Then it is left behind. Behind a socket, from
/// letting it go to the end: as long as its unit's watchdog takes (`WatchdogSec=3`, of which most is over by then).
const KILLED: Duration = Duration::from_secs(3);
/// A worker that lived this long was no start-up failure.
const WELL: Duration = Duration::from_secs(10);
/// Restarts in a row, each without such a life, before somebody has to be told.
pub(crate) const RESTARTS: u32 = 3;
/// Opening a camera takes up to seconds, then frames never pause this long.
const CAMERA_OPENS: Duration = Duration::from_secs(8);
const CAMERA_STALLS: Duration = Duration::from_secs(4);
const ENCODER_STALLS: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Absent,
    Spawning,
    Running,
    Stopping,
    Killing,
}

/// What the machine wants of the worker just now.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// A worker at all.
    pub(crate) run: bool,
    pub(crate) capture: bool,
    pub(crate) send: bool,
    pub(crate) say: Say,
    /// Spare sessions.
    pub(crate) publish: usize,
    pub(crate) play: usize,
}

/// When a counter last moved.
#[derive(Clone, Copy, Debug)]
struct Moving {
    count: u64,
    at: Instant,
}

impl Moving {
    fn new(now: Instant) -> Self {
        Self { count: 0, at: now }
    }

    /// How long it has stood still; `due` false counts as moving.
    fn still(&mut self, count: u64, due: bool, now: Instant) -> Duration {
        if count != self.count || !due {
            *self = Self { count, at: now };
        }
        now.saturating_duration_since(self.at)
    }
}

#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) generation: Generation,
    phase: Phase,
    ready: bool,
    configured: bool,
    /// This worker or one before it was ready, or failed: whoever waits for us need not any longer.
    answered: bool,
    /// It has served a call, or begun to.
    served: bool,
    kill_told: bool,
    capture: bool,
    send: bool,
    screen: Option<(Say, Option<Part>)>,
    pub(crate) pool: Pool,
    pub(crate) pid: Option<u32>,
    pub(crate) codecs: Codecs,
    pub(crate) restarts: u64,
    pub(crate) last_restart_reason: Option<String>,
    quick_deaths: u32,
    trouble: Option<Arc<str>>,
    /// Parts in trouble, by their place in [`Part`].
    broken: heapless::Vec<Part, 6>,
    pub(crate) newest: Option<Box<Stats>>,
    captured: Moving,
    encoded: Moving,
    sent: Moving,
    /// Frames left the encoder between the last two lines.
    encoding: bool,
}

impl Worker {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            generation: 0,
            phase: Phase::Absent,
            ready: false,
            configured: false,
            answered: false,
            served: false,
            kill_told: false,
            capture: false,
            send: false,
            screen: None,
            pool: Pool::default(),
            pid: None,
            codecs: Codecs::default(),
            restarts: 0,
            last_restart_reason: None,
            quick_deaths: 0,
            trouble: None,
            broken: heapless::Vec::new(),
            newest: None,
            captured: Moving::new(now),
            encoded: Moving::new(now),
            sent: Moving::new(now),
            encoding: false,
        }
    }

    pub(crate) fn is_absent(&self) -> bool {
        self.phase == Phase::Absent
    }

    /// It runs and did not serve a call yet.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.served && matches!(self.phase, Phase::Absent | Phase::Spawning | Phase::Running)
    }

    /// Ready, with both offers waiting for the button.
    pub(crate) fn is_warm(&self) -> bool {
        self.phase == Phase::Running
            && self.ready
            && self.pool.spare(Role::Publish).1 > 0
            && self.pool.spare(Role::Play).1 > 0
    }

    pub(crate) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Whether it is known how the worker does: one was ready, or one failed.
    pub(crate) fn has_answered(&self) -> bool {
        self.answered
    }

    pub(crate) fn trouble(&self) -> Option<&Arc<str>> {
        self.trouble.as_ref()
    }

    /// The part in trouble that matters most to the customer.
    pub(crate) fn broken(&self) -> Option<Part> {
        let order =
            [Part::Camera, Part::Microphone, Part::Speaker, Part::Encoder, Part::Decoder, Part::Screen];
        order.into_iter().find(|part| self.broken.contains(part))
    }

    pub(crate) fn part_broken(&mut self, part: Part) {
        if !self.broken.contains(&part) {
            let _ = self.broken.push(part);
        }
    }

    pub(crate) fn part_well(&mut self, part: Part) {
        self.broken.retain(|broken| *broken != part);
    }

    /// Tells what is wanted and was not told yet.
    pub(crate) fn advance(&mut self, wish: &Wish, settings: &Settings, language: Language, core: &mut Core) {
        if self.phase == Phase::Absent && wish.run && !core.timers.is_set(Timer::WorkerStart) {
            let generation = self.generation + 1;
            if core.push(Output::Spawn { generation }) {
                self.generation = generation;
                self.phase = Phase::Spawning;
                core.timer(Timer::WorkerReady, READY);
            }
        }
        match self.phase {
            Phase::Running => {
                if !self.configured {
                    self.configured = true;
                    let avoid = self.codecs.avoid(core.now);
                    let settings = Settings { avoid, ..settings.clone() };
                    core.tell(self.generation, Command::Configure(Box::new(settings)));
                }
                let screen = (&wish.say, self.broken());
                if self.screen.as_ref().is_none_or(|(say, broken)| (say, *broken) != screen) {
                    core.tell(self.generation, Command::Screen(words::screen(language, screen.0, screen.1)));
                    self.screen = Some((screen.0.clone(), screen.1));
                }
                if self.capture != wish.capture {
                    self.capture = wish.capture;
                    self.served |= wish.capture;
                    self.captured.at = core.now;
                    core.tell(self.generation, Command::Capture { on: wish.capture });
                    // One that is still starting cannot speak: see `READY`.
                    if wish.capture && self.ready {
                        core.timers.set_if_unset(Timer::WorkerSilent, core.now + SILENT_IN_CALL);
                    }
                }
                self.pool.advance(
                    self.generation,
                    [(Role::Publish, wish.publish), (Role::Play, wish.play)],
                    core,
                );
                if self.send != wish.send {
                    self.send = wish.send;
                    self.encoded.at = core.now;
                    self.sent.at = core.now;
                    core.tell(self.generation, Command::Send { on: wish.send });
                }
            }
            Phase::Killing if !self.kill_told => {
                self.kill_told = core.push(Output::Kill { generation: self.generation });
            }
            _ => {}
        }
    }

    pub(crate) fn started(&mut self, pid: Option<u32>, core: &mut Core) {
        self.pid = pid;
        if self.phase == Phase::Spawning {
            self.phase = Phase::Running;
            core.note(&format!("media worker {} started", self.generation));
        }
    }

    pub(crate) fn ready(&mut self, encoder: String, decoder: String, pid: u32, core: &mut Core) {
        self.pool.ready(core.now);
        self.ready = true;
        self.answered = true;
        self.pid = Some(pid);
        (self.codecs.encoder, self.codecs.decoder) = (encoder, decoder);
        core.timers.clear(Timer::WorkerReady);
        core.timer(Timer::WorkerWell, WELL);
        if self.capture {
            core.timer(Timer::WorkerSilent, SILENT_IN_CALL);
        }
    }

    /// It left a codec for another, or for none.
    pub(crate) fn left(
        &mut self,
        part: Part,
        element: &str,
        fault: Fault,
        next: Option<String>,
        core: &mut Core,
    ) {
        self.codecs.leave(part, element, fault, core.now);
        let running = match part {
            Part::Decoder => &mut self.codecs.decoder,
            _ => &mut self.codecs.encoder,
        };
        if let Some(next) = next {
            *running = next;
        }
        // It had its pause already, and its frames count anew.
        self.encoded.at = core.now;
        self.sent.at = core.now;
    }

    /// It has run long enough.
    pub(crate) fn is_well(&mut self) {
        self.quick_deaths = 0;
        if self.trouble.take().is_some() {
            log::info!("the media worker stays alive again");
        }
    }

    /// Its call is over: it closes everything and ends, and the next one starts when it is gone.
    pub(crate) fn retire(&mut self, core: &mut Core) {
        match self.phase {
            Phase::Running if self.served => {
                for (on, command) in
                    [(self.send, Command::Send { on: false }), (self.capture, Command::Capture { on: false })]
                {
                    if on {
                        core.tell(self.generation, command);
                    }
                }
                core.tell(self.generation, Command::Stop);
                (self.send, self.capture) = (false, false);
                self.phase = Phase::Stopping;
                core.timer(Timer::WorkerStop, STOP);
                for timer in [Timer::WorkerReady, Timer::WorkerSilent, Timer::WorkerWell] {
                    core.timers.clear(timer);
                }
            }
            _ => {}
        }
    }

    /// The process is to end for good.
    pub(crate) fn shut_down(&mut self, core: &mut Core) {
        self.served = true;
        match self.phase {
            Phase::Spawning => self.kill("shutting down", core),
            _ => self.retire(core),
        }
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self, reason: &str, core: &mut Core) {
        if matches!(self.phase, Phase::Absent | Phase::Killing) {
            return;
        }
        core.warn(&format!("media worker {} is killed: {reason}", self.generation));
        if self.phase != Phase::Stopping {
            self.last_restart_reason = Some(reason.to_owned());
        }
        let was_stopping = self.phase == Phase::Stopping;
        self.phase = Phase::Killing;
        // Whoever is killed while stopping served its call; that is no restart.
        self.ready = was_stopping;
        self.kill_told = false;
        core.timer(Timer::WorkerStop, KILLED);
    }

    /// `stop` or `SIGKILL` had its time.
    pub(crate) fn stop_is_over(&mut self, core: &mut Core) {
        match self.phase {
            Phase::Stopping => self.kill("it does not stop", core),
            Phase::Killing => {
                log::error!(
                    "media worker {} does not die, most likely in a driver; it is left behind",
                    self.generation
                );
                self.gone("it hangs in the kernel", core);
            }
            _ => {}
        }
    }

    /// The process is gone.
    pub(crate) fn gone(&mut self, reason: &str, core: &mut Core) {
        let expected = self.phase == Phase::Stopping || (self.phase == Phase::Killing && self.ready);
        let killed = self.phase == Phase::Killing;
        if self.phase == Phase::Absent {
            return;
        }
        for timer in [Timer::WorkerReady, Timer::WorkerSilent, Timer::WorkerWell, Timer::WorkerStop] {
            core.timers.clear(timer);
        }
        if expected {
            core.note(&format!("media worker {} ended", self.generation));
        } else {
            if !killed {
                self.last_restart_reason = Some(reason.to_owned());
            }
            self.restarts += 1;
            self.quick_deaths += 1;
            let why = self.last_restart_reason.as_deref().unwrap_or(reason).to_owned();
            core.note(&format!("media worker {} is gone: {why}", self.generation));
            if self.quick_deaths > 1 {
                let wait = core.jitter.backoff(
                    self.quick_deaths - 1,
                    Duration::from_millis(200),
                    Duration::from_secs(5),
                );
                core.timer(Timer::WorkerStart, wait);
            }
            if self.quick_deaths > RESTARTS && self.trouble.is_none() {
                log::error!("the media worker ended after each of {RESTARTS} restarts: {why}");
                self.trouble = Some(why.into());
            }
        }
        *self = Self {
            generation: self.generation,
            answered: true,
            codecs: std::mem::take(&mut self.codecs),
            restarts: self.restarts,
            last_restart_reason: self.last_restart_reason.take(),
            quick_deaths: self.quick_deaths,
            trouble: self.trouble.take(),
            broken: std::mem::take(&mut self.broken),
            ..Self::new(core.now)
        };
    }

    /// A retry is wanted now.
    pub(crate) fn hurry(&mut self, core: &mut Core) {
        core.timers.clear(Timer::WorkerStart);
    }

    /// Looks at a line of statistics; `Some` names what stands still and can only be cured by a new worker.
    pub(crate) fn watch(
        &mut self,
        stats: Box<Stats>,
        publishing: bool,
        core: &mut Core,
    ) -> Option<&'static str> {
        let now = core.now;
        core.timer(Timer::WorkerSilent, if self.served { SILENT_IN_CALL } else { SILENT_IDLE });
        let camera = self.capture && !self.broken.contains(&Part::Camera);
        let captured = self.captured.still(stats.frames_captured, camera, now);
        let patience = if stats.frames_captured == 0 { CAMERA_OPENS } else { CAMERA_STALLS };
        let encode = self.send && publishing && camera && captured < Duration::from_secs(2);
        let encode = encode && !self.broken.contains(&Part::Encoder);
        let encoded = self.encoded.still(stats.frames_encoded, encode, now);
        self.encoding = self.newest.as_ref().is_some_and(|last| stats.frames_encoded > last.frames_encoded);
        if !stats.encoder.is_empty() {
            self.codecs.encoder.clone_from(&stats.encoder);
        }
        if !stats.decoder.is_empty() {
            self.codecs.decoder.clone_from(&stats.decoder);
        }
        self.newest = Some(stats);
        if captured >= patience {
            return Some("the camera gives no frames");
        }
        if encoded >= ENCODER_STALLS {
            // It should have found out itself; whatever keeps it from that, the next begins with another.
            let element = self.codecs.encoder.clone();
            self.codecs.leave(Part::Encoder, &element, Fault::Hang, now);
            return Some("the encoder gives no frames");
        }
        if self.pool.is_overdue(now) {
            return Some("it makes no offer");
        }
        None
    }

    /// Whether frames are encoded but nothing leaves: the publish session is dead though nobody said so.
    pub(crate) fn sends_nothing(&mut self, publishing: bool, now: Instant) -> bool {
        let Some(stats) = &self.newest else { return false };
        let due = publishing && self.send && self.encoding;
        let still = self.sent.still(stats.frames_sent, due, now);
        still >= ENCODER_STALLS
    }

    /// A call begins: silence now counts.
    pub(crate) fn call_begins(&mut self, core: &mut Core) {
        if self.ready {
            core.timer(Timer::WorkerSilent, SILENT_IN_CALL);
        }
    }
}
