//! A world for the machine's tests: a server, a worker and a clerk, all simulated, with time that jumps.

mod act;
mod server;
mod worker;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::server::{OWN, Server};
use self::worker::Worker;
use super::event::{Input, Lamp, Output, Request, RequestId, WorkerNews};
use super::words::Language;
use super::{Kiosk, Settings};
use crate::board::fitting::{Fitting, Standing};
use crate::media::protocol::{Command, SessionId};
use crate::room::wire::Kind;

pub(crate) use self::act::{ACTS, Act};

/// What is under way.
#[derive(Debug)]
enum Later {
    Input(Input),
    Arrive(RequestId, u32, Request),
    Stats(u32),
    Connect(u32, SessionId),
}

pub(crate) struct World {
    pub(crate) kiosk: Kiosk,
    pub(crate) now: Instant,
    later: BTreeMap<(Instant, u64), Later>,
    serial: u64,
    random: u64,
    server: Server,
    worker: Worker,
    /// Whether a worker that is spawned lives.
    workers_start: bool,
    /// The token each request in flight was made with.
    client_token: u32,
    /// Since when nothing is broken any more.
    pub(crate) well_since: Option<Instant>,
    pub(crate) finished: bool,
    pub(crate) told: Vec<Command>,
    pub(crate) requests: Vec<Request>,
    pub(crate) kills: u32,
    pub(crate) turns: u64,
    pub(crate) lamp: Option<Lamp>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let now = Instant::now();
        let settings = Settings {
            kind: Kind::DoubleRoom,
            room_id: "branch-7".into(),
            user_id: OWN.into(),
            language: Language::En,
            waiting: Duration::from_secs(120),
            alone: Duration::from_secs(30),
            early_media: false,
            media: crate::media::protocol::Settings::default(),
            seed,
        };
        let mut world = Self {
            kiosk: Kiosk::new(settings, now),
            now,
            later: BTreeMap::new(),
            serial: 0,
            random: seed | 1,
            server: Server::new(now),
            worker: Worker::new(0, false),
            workers_start: true,
            client_token: 0,
            well_since: Some(now),
            finished: false,
            told: Vec::new(),
            requests: Vec::new(),
            kills: 0,
            turns: 0,
            lamp: None,
        };
        world.input(Input::Time);
        world.button_works();
        world
    }

    fn button_works(&mut self) {
        let standing = Standing::Armed { at: "gpiochip0, line 17".into(), follows: None };
        self.input(Input::Fitting(Fitting::Button, standing));
    }

    /// A world in which the kiosk is idle.
    pub(crate) fn idle() -> Self {
        let mut world = Self::new(3);
        world.run(Duration::from_secs(3));
        assert_eq!(world.state(), "idle");
        world
    }

    pub(crate) fn state(&self) -> &'static str {
        self.kiosk.state.name()
    }

    pub(crate) fn is_member(&self) -> bool {
        self.server.members.contains_key(OWN)
    }

    pub(crate) fn resources(&self) -> usize {
        self.server.resources.len()
    }

    pub(crate) fn capture(&self) -> bool {
        self.worker.alive && self.worker.capture
    }

    pub(crate) fn generation(&self) -> u32 {
        self.worker.generation
    }

    pub(crate) fn is_sending(&self) -> bool {
        self.worker.alive && self.worker.send
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 20) % below
    }

    fn later(&mut self, wait_ms: u64, what: Later) {
        self.serial += 1;
        self.later.insert((self.now + Duration::from_millis(wait_ms), self.serial), what);
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.turns += 1;
        self.kiosk.handle(input, self.now);
        for turn in 0.. {
            assert!(turn < 500, "the machine never comes to rest");
            match self.kiosk.poll_output() {
                Output::Timeout(_) => break,
                output => self.output(output),
            }
        }
        if !self.kiosk.state.in_call() {
            assert!(!self.capture() || self.worker.hung, "the camera is open in {}", self.state());
        }
    }

    /// Lets `span` pass.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        let mut standing = 0;
        loop {
            let before = self.now;
            let next_event = self.later.keys().next().map(|(at, _)| *at);
            let next = next_event.into_iter().chain([self.kiosk.next_timeout()]).min().unwrap_or(end);
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            standing = if self.now == before { standing + 1 } else { 0 };
            assert!(standing < 500, "time stands still: {:#?}", self.kiosk);
            self.sweep();
            let due = self.later.first_key_value().is_some_and(|((at, _), _)| *at <= self.now);
            match due.then(|| self.later.pop_first()).flatten() {
                Some((_, what)) => self.happen(what),
                None => self.input(Input::Time),
            }
        }
        self.now = end;
        self.sweep();
    }

    fn happen(&mut self, what: Later) {
        match what {
            Later::Input(input) => {
                if let Input::Worker { generation, news: WorkerNews::Started { .. } } = &input
                    && self.worker.generation != *generation
                {
                    return;
                }
                self.input(input);
            }
            Later::Arrive(id, token, request) => self.arrive(id, token, &request),
            Later::Stats(generation) => self.stats(generation),
            Later::Connect(generation, session) => self.connected(generation, session),
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Timeout(_) | Output::Status => {}
            Output::Lamp(lamp) => self.lamp = Some(lamp),
            Output::Request { id, request } => {
                self.requests.push(request.clone());
                let way = 1 + self.random(40);
                self.later(way, Later::Arrive(id, self.client_token, request));
            }
            Output::OpenIm { serial, .. } => self.open_im(serial),
            Output::Spawn { generation } => self.spawn(generation),
            Output::Kill { generation } => self.kill(generation),
            Output::Tell { generation, command } => self.tell(generation, command),
            Output::Finished => self.finished = true,
        }
    }
}
