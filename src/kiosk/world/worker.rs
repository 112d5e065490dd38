//! The simulated media worker.

use std::collections::BTreeMap;

use super::server::Answers;
use super::{Later, World};
use crate::kiosk::event::{Input, WorkerNews};
use crate::media::protocol::{Command, Event, Player, Role, SessionId, Stats};

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) generation: u32,
    pub(super) alive: bool,
    pub(super) hung: bool,
    pub(super) stalled: bool,
    pub(super) stopping: bool,
    pub(super) capture: bool,
    pub(super) send: bool,
    pub(super) sessions: BTreeMap<SessionId, (Role, bool)>,
    pub(super) frames: u64,
}

impl Worker {
    pub(super) fn new(generation: u32, alive: bool) -> Self {
        Self {
            generation,
            alive,
            hung: false,
            stalled: false,
            stopping: false,
            capture: false,
            send: false,
            sessions: BTreeMap::new(),
            frames: 0,
        }
    }
}

impl World {
    pub(super) fn spawn(&mut self, generation: u32) {
        assert!(!self.worker.alive, "two workers at once");
        self.worker = Worker::new(generation, self.workers_start);
        if self.workers_start {
            let pid = Some(1000 + generation);
            self.later(20, Later::Input(Input::Worker { generation, news: WorkerNews::Started { pid } }));
            self.later(1000, Later::Stats(generation));
        } else {
            self.gone(5, generation, "no such file");
        }
    }

    pub(super) fn kill(&mut self, generation: u32) {
        self.kills += 1;
        if generation == self.worker.generation && self.worker.alive {
            self.worker.alive = false;
            self.gone(10, generation, "killed");
        }
    }

    pub(super) fn connected(&mut self, generation: u32, session: SessionId) {
        if generation == self.worker.generation && self.worker.alive && !self.worker.hung {
            let Some((role, up)) = self.worker.sessions.get_mut(&session) else { return };
            *up = true;
            let play = *role == Role::Play;
            self.say(generation, Event::Connected { session });
            if play {
                self.say(generation, Event::FirstFrame { session });
                self.say(generation, Event::FirstSound { session });
            }
        }
    }

    pub(super) fn say(&mut self, generation: u32, event: Event) {
        self.later(5, Later::Input(Input::Worker { generation, news: WorkerNews::Said(Box::new(event)) }));
    }

    pub(super) fn stats(&mut self, generation: u32) {
        if generation != self.worker.generation || !self.worker.alive || self.worker.hung {
            return;
        }
        if self.worker.capture && !self.worker.stalled {
            self.worker.frames += 30;
        }
        let frames = self.worker.frames;
        let good = self.server.media_good && self.server.answers == Answers::Well;
        let player = |(session, (_, up)): (&SessionId, &(Role, bool))| {
            let shown = if *up && good { frames } else { 7 };
            Player { session: *session, frames_shown: shown, ..Player::default() }
        };
        let players =
            self.worker.sessions.iter().filter(|(_, (role, _))| *role == Role::Play).map(player).collect();
        let stats = Stats {
            capturing: self.worker.capture,
            sending: self.worker.send,
            frames_captured: frames,
            frames_encoded: if self.worker.send { frames } else { 0 },
            frames_sent: if self.worker.send { frames } else { 0 },
            players,
            ..Stats::default()
        };
        self.say(generation, Event::Stats(Box::new(stats)));
        self.later(1000, Later::Stats(generation));
    }

    pub(super) fn gone(&mut self, wait_ms: u64, generation: u32, reason: &str) {
        self.later(
            wait_ms,
            Later::Input(Input::Worker { generation, news: WorkerNews::Gone { reason: reason.into() } }),
        );
    }

    pub(super) fn tell(&mut self, generation: u32, command: Command) {
        self.told.push(command.clone());
        if generation != self.worker.generation || !self.worker.alive || self.worker.hung {
            return;
        }
        assert!(!self.worker.stopping, "told {command:?} after stop");
        match command {
            Command::Configure(_) => {
                let event =
                    Event::Ready { encoder: "e".into(), decoder: "d".into(), gstreamer: "g".into(), pid: 7 };
                let news = WorkerNews::Said(Box::new(event));
                self.later(200, Later::Input(Input::Worker { generation, news }));
            }
            Command::Prepare { session, role } => {
                assert!(
                    self.worker.sessions.insert(session, (role, false)).is_none(),
                    "session {session} again"
                );
                let news =
                    WorkerNews::Said(Box::new(Event::Offer { session, sdp: format!("offer {session}") }));
                self.later(230, Later::Input(Input::Worker { generation, news }));
            }
            Command::Answer { session, .. } => {
                assert!(self.worker.sessions.contains_key(&session), "answer for unknown session {session}");
                if self.server.media_good && self.server.answers == Answers::Well {
                    self.later(80, Later::Connect(generation, session));
                }
            }
            Command::Close { session } => {
                self.worker.sessions.remove(&session);
            }
            Command::Capture { on } => self.worker.capture = on,
            Command::Send { on } => self.worker.send = on,
            Command::Screen(_) | Command::Message { .. } => {}
            Command::Stop => {
                self.worker.stopping = true;
                self.worker.alive = false;
                self.gone(100, generation, "exit 0");
            }
        }
    }

    pub(super) fn lose(&mut self, role: Role) {
        let lost = self.worker.sessions.iter().find(|(_, (r, _))| *r == role).map(|(id, _)| *id);
        if let (Some(session), true) = (lost, self.worker.alive && !self.worker.hung) {
            self.say(self.worker.generation, Event::Lost { session, reason: "test".into() });
        }
    }
}
