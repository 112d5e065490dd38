//! The simulated RoomService, its relay, and the clerk in its room.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{Later, World};
use crate::kiosk::event::{ImNews, Input, Reply, Request, RequestId};
use crate::room::failure::Failure;
use crate::room::wire::{ImEvent, Kind, Pusher, code};

pub(super) const OWN: &str = "kiosk-7";
/// How the play addresses of who does not publish begin.
pub(super) const GHOST: &str = "play-ghost";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    Well,
    Refuses,
    Silent,
    /// Carried out, but nobody hears of it.
    Lost,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) answers: Answers,
    /// Counts logins; 0 knows nobody.
    pub(super) token: u32,
    pub(super) ticket_good: bool,
    pub(super) media_good: bool,
    /// user → play address.
    pub(super) members: BTreeMap<String, String>,
    pub(super) last_beat: Instant,
    pub(super) resources: BTreeSet<String>,
    pub(super) count: u32,
    pub(super) im: Option<u32>,
    pub(super) seq: u64,
}

impl Server {
    pub(super) fn new(now: Instant) -> Self {
        Self {
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
        }
    }
}

impl World {
    pub(super) fn sweep(&mut self) {
        // Three times as patient as a real server, so that a seat that was forgotten shows before it is swept away.
        if self.is_member() && self.now > self.server.last_beat + Duration::from_secs(75) {
            let long_well = self.well_since.is_some_and(|at| self.now > at + Duration::from_secs(40));
            assert!(!long_well, "a seat was left to the server to find out about");
            self.server.members.remove(OWN);
            self.notice();
        }
    }

    pub(super) fn open_im(&mut self, serial: u32) {
        let open = self.server.answers == Answers::Well && self.client_token == self.server.token;
        let news = if open { ImNews::Open } else { ImNews::Closed(unreachable()) };
        self.server.im = open.then_some(serial);
        self.later(10, Later::Input(Input::Im { serial, news }));
    }

    pub(super) fn notice(&mut self) {
        self.server.seq += 1;
        let (room_id, seq) = ("branch-7".to_owned(), self.server.seq);
        self.im(ImEvent::Notice { kind: Kind::DoubleRoom, room_id, seq, content: String::new(), left: None });
    }

    pub(super) fn im(&mut self, event: ImEvent) {
        if let (Some(serial), true) = (self.server.im, self.is_member()) {
            self.later(8, Later::Input(Input::Im { serial, news: ImNews::Event(Box::new(event)) }));
        }
    }

    pub(super) fn im_cut(&mut self) {
        if let Some(serial) = self.server.im.take() {
            self.later(3, Later::Input(Input::Im { serial, news: ImNews::Closed(unreachable()) }));
        }
    }

    pub(super) fn arrive(&mut self, id: RequestId, token: u32, request: &Request) {
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

    pub(super) fn clerk_at(&mut self, url: &str) {
        self.server.count += 1;
        if self.server.members.len() < 2 || self.server.members.contains_key("clerk") {
            let url = format!("{url}-{}", self.server.count);
            self.server.members.insert("clerk".into(), url);
            self.notice();
        }
    }
}

fn unreachable() -> Failure {
    Failure::Unreachable { host: "server:8443".into(), detail: "connection refused".into() }
}

fn timed_out() -> Failure {
    Failure::TimedOut { host: "server:8443".into(), secs: 5 }
}

fn refused(code: i32) -> Failure {
    Failure::Code { operation: "op", code, message: "no".into() }
}
