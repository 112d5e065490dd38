//! A world for the machine's tests: a server, a worker and a clerk, all simulated, with time that jumps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::event::{ImNews, Input, Lamp, Output, Reply, Request, RequestId, WorkerNews};
use super::words::Language;
use super::{Kiosk, Settings};
use crate::board::fitting::{Fitting, Standing};
use crate::media::protocol::{Command, Event, Player, Role, SessionId, Stats};
use crate::room::failure::Failure;
use crate::room::wire::{ImEvent, Kind, Pusher, code};

/// Something the world does to the kiosk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Press,
    LongPress,
    Stuck,
    Unstuck,
    ButtonFails,
    ButtonWorks,
    Hangup,
    ClerkJoins,
    /// A member that does not publish: a page that was closed, before the server misses it.
    GhostJoins,
    ClerkQuits,
    ClerkHangsUp,
    ClerkNewStream,
    Stranger,
    ServerRefuses,
    ServerSilent,
    RepliesLost,
    ServerRestarts,
    ServerHeals,
    TokenRevoked,
    Evicted,
    RoomClosed,
    ImCut,
    Text,
    TicketBad,
    TicketGood,
    MediaBroken,
    MediaHeals,
    WorkerDies,
    WorkerHangs,
    WorkerStalls,
    WorkersFail,
    WorkersStart,
    PublishLost,
    PlayLost,
    OfferAgain,
}

pub(crate) const ACTS: [Act; 35] = [
    Act::Press,
    Act::LongPress,
    Act::Stuck,
    Act::Unstuck,
    Act::ButtonFails,
    Act::ButtonWorks,
    Act::Hangup,
    Act::ClerkJoins,
    Act::GhostJoins,
    Act::ClerkQuits,
    Act::ClerkHangsUp,
    Act::ClerkNewStream,
    Act::Stranger,
    Act::ServerRefuses,
    Act::ServerSilent,
    Act::RepliesLost,
    Act::ServerRestarts,
    Act::ServerHeals,
    Act::TokenRevoked,
    Act::Evicted,
    Act::RoomClosed,
    Act::ImCut,
    Act::Text,
    Act::TicketBad,
    Act::TicketGood,
    Act::MediaBroken,
    Act::MediaHeals,
    Act::WorkerDies,
    Act::WorkerHangs,
    Act::WorkerStalls,
    Act::WorkersFail,
    Act::WorkersStart,
    Act::PublishLost,
    Act::PlayLost,
    Act::OfferAgain,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    Well,
    Refuses,
    Silent,
    /// Carried out, but nobody hears of it.
    Lost,
}

#[derive(Debug)]
struct Server {
    answers: Answers,
    /// Counts logins; 0 knows nobody.
    token: u32,
    ticket_good: bool,
    media_good: bool,
    /// user → play address.
    members: BTreeMap<String, String>,
    last_beat: Instant,
    resources: BTreeSet<String>,
    count: u32,
    im: Option<u32>,
    seq: u64,
}

#[derive(Debug)]
struct SimWorker {
    generation: u32,
    alive: bool,
    hung: bool,
    stalled: bool,
    stopping: bool,
    capture: bool,
    send: bool,
    sessions: BTreeMap<SessionId, (Role, bool)>,
    frames: u64,
}

#[derive(Debug)]
enum Later {
    Input(Input),
    Arrive(RequestId, u32, Request),
    Stats(u32),
    Connect(u32, SessionId),
}

pub(crate) const OWN: &str = "kiosk-7";
/// How the play addresses of who does not publish begin.
const GHOST: &str = "play-ghost";

pub(crate) struct World {
    pub(crate) kiosk: Kiosk,
    pub(crate) now: Instant,
    later: BTreeMap<(Instant, u64), Later>,
    serial: u64,
    random: u64,
    server: Server,
    worker: SimWorker,
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
        let server = Server {
            answers: Answers::Well,
            token: 0,
            ticket_good: true,
            media_good: true,
            members: BTreeMap::new(),
            last_beat: now,
            resources: BTreeSet::new(),
            count: 0,
            im: None,
            seq: 0,
        };
        let worker = SimWorker {
            generation: 0,
            alive: false,
            hung: false,
            stalled: false,
            stopping: false,
            capture: false,
            send: false,
            sessions: BTreeMap::new(),
            frames: 0,
        };
        let mut world = Self {
            kiosk: Kiosk::new(settings, now),
            now,
            later: BTreeMap::new(),
            serial: 0,
            random: seed | 1,
            server,
            worker,
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

    fn sweep(&mut self) {
        // Three times as patient as a real server, so that a seat that was forgotten shows before it is swept away.
        if self.is_member() && self.now > self.server.last_beat + Duration::from_secs(75) {
            let long_well = self.well_since.is_some_and(|at| self.now > at + Duration::from_secs(40));
            assert!(!long_well, "a seat was left to the server to find out about");
            self.server.members.remove(OWN);
            self.notice();
        }
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
            Later::Connect(generation, session) => {
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
        }
    }

    fn say(&mut self, generation: u32, event: Event) {
        self.later(5, Later::Input(Input::Worker { generation, news: WorkerNews::Said(Box::new(event)) }));
    }

    fn stats(&mut self, generation: u32) {
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

    fn gone(&mut self, wait_ms: u64, generation: u32, reason: &str) {
        self.later(
            wait_ms,
            Later::Input(Input::Worker { generation, news: WorkerNews::Gone { reason: reason.into() } }),
        );
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
            Output::OpenIm { serial, .. } => {
                let open = self.server.answers == Answers::Well && self.client_token == self.server.token;
                let news = if open { ImNews::Open } else { ImNews::Closed(unreachable()) };
                self.server.im = open.then_some(serial);
                self.later(10, Later::Input(Input::Im { serial, news }));
            }
            Output::Spawn { generation } => {
                assert!(!self.worker.alive, "two workers at once");
                self.worker = SimWorker {
                    generation,
                    alive: self.workers_start,
                    hung: false,
                    stalled: false,
                    stopping: false,
                    capture: false,
                    send: false,
                    sessions: BTreeMap::new(),
                    frames: 0,
                };
                if self.workers_start {
                    let pid = Some(1000 + generation);
                    self.later(
                        20,
                        Later::Input(Input::Worker { generation, news: WorkerNews::Started { pid } }),
                    );
                    self.later(1000, Later::Stats(generation));
                } else {
                    self.gone(5, generation, "no such file");
                }
            }
            Output::Kill { generation } => {
                self.kills += 1;
                if generation == self.worker.generation && self.worker.alive {
                    self.worker.alive = false;
                    self.gone(10, generation, "killed");
                }
            }
            Output::Tell { generation, command } => self.tell(generation, command),
            Output::Finished => self.finished = true,
        }
    }

    fn tell(&mut self, generation: u32, command: Command) {
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

    fn notice(&mut self) {
        self.server.seq += 1;
        let (room_id, seq) = ("branch-7".to_owned(), self.server.seq);
        self.im(ImEvent::Notice { kind: Kind::DoubleRoom, room_id, seq, content: String::new(), left: None });
    }

    fn im(&mut self, event: ImEvent) {
        if let (Some(serial), true) = (self.server.im, self.is_member()) {
            self.later(8, Later::Input(Input::Im { serial, news: ImNews::Event(Box::new(event)) }));
        }
    }

    fn im_cut(&mut self) {
        if let Some(serial) = self.server.im.take() {
            self.later(3, Later::Input(Input::Im { serial, news: ImNews::Closed(unreachable()) }));
        }
    }

    fn arrive(&mut self, id: RequestId, token: u32, request: &Request) {
        let way = 1 + self.random(40);
        let reply = match self.server.answers {
            Answers::Refuses => Err(unreachable()),
            Answers::Silent => {
                self.later(5000, Later::Input(Input::Reply { id, reply: Err(timed_out()) }));
                return;
            }
            Answers::Well => self.serve(token, request),
            Answers::Lost => {
                let _ = self.serve(token, request);
                self.later(5000, Later::Input(Input::Reply { id, reply: Err(timed_out()) }));
                return;
            }
        };
        if reply.is_ok() && *request == Request::Login {
            self.client_token = self.server.token;
        }
        self.later(way, Later::Input(Input::Reply { id, reply }));
    }

    fn serve(&mut self, token: u32, request: &Request) -> Result<Reply, Failure> {
        if *request == Request::Login {
            if !self.server.ticket_good {
                return Err(refused(code::REFUSED));
            }
            self.server.token += 1;
            return Ok(Reply::LoggedIn { expires_unix: None });
        }
        if token != self.server.token || token == 0 {
            return Err(refused(code::REFUSED));
        }
        let member = self.is_member();
        match request {
            Request::Login => unreachable!(),
            Request::PushAddress => {
                self.server.count += 1;
                Ok(Reply::PushAddress(format!("push-{}", self.server.count)))
            }
            Request::TakeSeat { push_url } => {
                if !member && self.server.members.len() >= 2 {
                    return Err(refused(code::ROOM_FULL));
                }
                self.server.members.insert(OWN.into(), push_url.replace("push", "play"));
                self.server.last_beat = self.now;
                self.notice();
                Ok(Reply::Done)
            }
            Request::GiveSeat => self
                .server
                .members
                .remove(OWN)
                .map(|_| Reply::Done)
                .ok_or_else(|| refused(code::NOT_A_MEMBER)),
            Request::Members => {
                if self.server.members.is_empty() {
                    return Err(refused(code::NO_ROOM));
                }
                let pusher = |(user, url): (&String, &String)| Pusher {
                    user_id: user.clone(),
                    accelerate_url: url.clone(),
                    ..Pusher::default()
                };
                Ok(Reply::Members(self.server.members.iter().map(pusher).collect()))
            }
            Request::Heartbeat => {
                self.server.last_beat = self.now;
                if member { Ok(Reply::Done) } else { Err(refused(code::NOT_A_MEMBER)) }
            }
            Request::Warm { .. } => Ok(Reply::Done),
            Request::Publish { url, .. } | Request::Play { url, .. } => {
                let playing = matches!(request, Request::Play { .. });
                let publishes = !url.starts_with(GHOST);
                if !self.server.media_good || (playing && !(member && publishes)) {
                    return Err(Failure::Status {
                        operation: "WHIP",
                        host: "h".into(),
                        status: 404,
                        message: String::new(),
                        retry_after: Some(Duration::from_secs(1)),
                    });
                }
                self.server.count += 1;
                let resource = format!("{url}/{}", self.server.count);
                self.server.resources.insert(resource.clone());
                Ok(Reply::Session { sdp: "answer".into(), resource: Some(resource) })
            }
            Request::Delete { url } => {
                self.server.resources.remove(url);
                Ok(Reply::Done)
            }
        }
    }

    pub(crate) fn act(&mut self, act: Act) {
        match act {
            Act::Press => self.input(Input::Press),
            Act::LongPress => self.input(Input::LongPress),
            Act::Stuck => self.input(Input::Stuck(true)),
            Act::Unstuck => self.input(Input::Stuck(false)),
            Act::ButtonFails => {
                let standing = Standing::Trouble { detail: "GPIO chip x is not there".into() };
                self.input(Input::Fitting(Fitting::Button, standing));
            }
            Act::ButtonWorks => self.button_works(),
            Act::Hangup => self.input(Input::Hangup),
            Act::ClerkJoins | Act::ClerkNewStream => self.clerk_at("play-clerk"),
            Act::GhostJoins => self.clerk_at(GHOST),
            Act::ClerkQuits => {
                self.server.members.remove("clerk");
                self.server.members.remove("stranger");
                self.notice();
            }
            Act::ClerkHangsUp => {
                self.server.seq += 1;
                let (room_id, seq) = ("branch-7".to_owned(), self.server.seq);
                let from = crate::room::wire::Sender { user_id: "clerk".into(), ..Default::default() };
                let (cmd, msg) = ("hangup".into(), String::new());
                self.im(ImEvent::Custom { kind: Kind::DoubleRoom, room_id, seq, from, time: 0, cmd, msg });
            }
            Act::Stranger => {
                if !self.is_member() {
                    self.server.members.insert("clerk".into(), "play-c".into());
                    self.server.members.insert("stranger".into(), "play-s".into());
                }
            }
            Act::ServerRefuses => {
                self.server.answers = Answers::Refuses;
                self.im_cut();
            }
            Act::ServerSilent => self.server.answers = Answers::Silent,
            Act::RepliesLost => self.server.answers = Answers::Lost,
            Act::ServerRestarts => {
                self.im_cut();
                self.server.token += 1;
                self.server.members.clear();
                self.server.resources.clear();
                self.server.seq = 0;
                self.server.answers = Answers::Well;
            }
            Act::ServerHeals => self.server.answers = Answers::Well,
            Act::TokenRevoked => self.server.token += 1,
            Act::Evicted => {
                self.server.members.remove(OWN);
            }
            Act::RoomClosed => {
                let (room_id, seq) = ("branch-7".to_owned(), self.server.seq + 1);
                self.im(ImEvent::Closed { kind: Kind::DoubleRoom, room_id, seq });
                self.server.members.clear();
            }
            Act::ImCut => self.im_cut(),
            Act::Text => {
                self.server.seq += 1;
                let (room_id, seq) = ("branch-7".to_owned(), self.server.seq);
                let from = crate::room::wire::Sender { user_id: "clerk".into(), ..Default::default() };
                let text = "你好 hello".repeat(200);
                self.im(ImEvent::Text { kind: Kind::DoubleRoom, room_id, seq, from, time: 0, text });
            }
            Act::TicketBad => self.server.ticket_good = false,
            Act::TicketGood => self.server.ticket_good = true,
            Act::MediaBroken => self.server.media_good = false,
            Act::MediaHeals => self.server.media_good = true,
            Act::WorkerDies => {
                if self.worker.alive {
                    self.worker.alive = false;
                    self.gone(1, self.worker.generation, "signal 9");
                }
            }
            Act::WorkerHangs => self.worker.hung = true,
            Act::WorkerStalls => self.worker.stalled = true,
            Act::WorkersFail => self.workers_start = false,
            Act::WorkersStart => self.workers_start = true,
            Act::PublishLost => self.lose(Role::Publish),
            Act::PlayLost => self.lose(Role::Play),
            Act::OfferAgain => {
                let ids: Vec<_> = self.worker.sessions.keys().copied().collect();
                for session in ids {
                    self.say(self.worker.generation, Event::Offer { session, sdp: "offer again".into() });
                }
            }
        }
        self.well_since = None;
    }

    fn clerk_at(&mut self, url: &str) {
        self.server.count += 1;
        if self.server.members.len() < 2 || self.server.members.contains_key("clerk") {
            let url = format!("{url}-{}", self.server.count);
            self.server.members.insert("clerk".into(), url);
            self.notice();
        }
    }

    fn lose(&mut self, role: Role) {
        let lost = self.worker.sessions.iter().find(|(_, (r, _))| *r == role).map(|(id, _)| *id);
        if let (Some(session), true) = (lost, self.worker.alive && !self.worker.hung) {
            self.say(self.worker.generation, Event::Lost { session, reason: "test".into() });
        }
    }

    /// Everything works from now on; who is in the room stays as it is, and so does a worker that hangs.
    pub(crate) fn heal(&mut self) {
        self.server.answers = Answers::Well;
        self.server.ticket_good = true;
        self.server.media_good = true;
        self.workers_start = true;
        // A camera that stands still shows only in a call; a worker that hangs shows always and is left so.
        self.worker.stalled = false;
        self.well_since = Some(self.now);
    }
}

pub(crate) fn unreachable() -> Failure {
    Failure::Unreachable { host: "server:8443".into(), detail: "connection refused".into() }
}

fn timed_out() -> Failure {
    Failure::TimedOut { host: "server:8443".into(), secs: 5 }
}

fn refused(code: i32) -> Failure {
    Failure::Code { operation: "op", code, message: "no".into() }
}
