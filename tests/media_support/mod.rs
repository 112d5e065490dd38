//! Real workers, a real relay, and the little of `kioskd` that joins them.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, missing_docs)]

pub mod glass;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rtcroom_kiosk::media::protocol::{
    Command, Event, Fault, Member, Part, Player, Role, SessionId, Settings, Stats,
};
use rtcroom_kiosk::service::relay::{Gate, Refusal, Relay, RelayConfig, routes};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Lets everybody do everything.
struct Open;

impl Gate for Open {
    fn may_publish(&self, _: Option<&str>, _: &str, _: &str) -> Result<String, Refusal> {
        Ok("anybody".into())
    }
    fn may_play(&self, _: Option<&str>, _: &str, _: &str) -> Result<String, Refusal> {
        Ok("anybody".into())
    }
    fn caller(&self, _: Option<&str>) -> Result<String, Refusal> {
        Ok("anybody".into())
    }
}

/// A relay on loopback.
pub struct Server {
    pub address: SocketAddr,
    pub relay: Relay,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    pub fn start(port: u16) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (address, relay) = runtime.block_on(async {
            let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let relay = Relay::start(RelayConfig { listen, advertise: Vec::new() }).unwrap();
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let app = routes(relay.clone(), Arc::new(Open));
            tokio::spawn(async move { axum::serve(listener, app).await });
            (address, relay)
        });
        Self { address, relay, _runtime: runtime }
    }

    /// Posts an offer; the answer.
    pub fn post(&self, path: &str, sdp: &str) -> Result<String, String> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer x\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            sdp.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(sdp.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        if head.starts_with("HTTP/1.1 201") { Ok(body.to_owned()) } else { Err(reply) }
    }
}

/// A worker process.
pub struct Worker {
    pub child: Child,
    socket: UnixStream,
    events: Receiver<Event>,
    pub stats: Stats,
    pub troubles: Vec<String>,
}

impl Worker {
    /// Starts a worker, not configured, with these variables.
    pub fn start(variables: &[(&str, &str)]) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let child = Process::new(env!("CARGO_BIN_EXE_kiosk-media"))
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .envs(variables.iter().copied())
            .stdin(Stdio::from(OwnedFd::from(theirs.try_clone().unwrap())))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .spawn()
            .unwrap();
        let (tell, events) = channel();
        let lines = BufReader::new(ours.try_clone().unwrap());
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                if tell.send(event).is_err() {
                    return;
                }
            }
        });
        Self { child, socket: ours, events, stats: Stats::default(), troubles: Vec::new() }
    }

    /// Starts a worker and configures it; loopback is offered.
    pub fn ready(settings: Settings) -> Self {
        Self::ready_with(&[], settings)
    }

    /// The same with these variables.
    pub fn ready_with(variables: &[(&str, &str)], settings: Settings) -> Self {
        let mut worker = Self::start(variables);
        let settings = Settings { local_addresses: vec![Ipv4Addr::LOCALHOST.into()], ..settings };
        worker.send(&Command::Configure(Box::new(settings)));
        worker.wait("ready", |event| matches!(event, Event::Ready { .. }));
        worker
    }

    pub fn send(&mut self, command: &Command) {
        let mut line = serde_json::to_vec(command).unwrap();
        line.push(b'\n');
        self.socket.write_all(&line).unwrap();
    }

    /// Sends bytes that are perhaps no command.
    pub fn raw(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    /// Hangs up the socket, as a `kioskd` that died does.
    pub fn hang_up(&mut self) {
        self.socket.shutdown(std::net::Shutdown::Both).unwrap();
    }

    /// The next event that `is` it.
    pub fn wait(&mut self, what: &str, is: impl Fn(&Event) -> bool) -> Event {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let event =
                self.events.recv_timeout(left).unwrap_or_else(|_| panic!("no {what}: {:?}", self.stats));
            match &event {
                Event::Stats(stats) => self.stats = Stats::clone(stats),
                Event::Trouble { detail, .. } => self.troubles.push(detail.clone()),
                Event::Lost { reason, .. } => eprintln!("lost: {reason}"),
                _ => {}
            }
            if is(&event) {
                return event;
            }
        }
    }

    /// Reports until one `is` right.
    pub fn until(&mut self, what: &str, is: impl Fn(&Stats) -> bool) -> Stats {
        self.wait(what, |event| matches!(event, Event::Stats(stats) if is(stats)));
        self.stats.clone()
    }

    /// Reports until the first player `is` right.
    pub fn player(&mut self, what: &str, is: impl Fn(&Player) -> bool) -> Player {
        self.until(what, |stats| stats.players.first().is_some_and(&is)).players.remove(0)
    }

    pub fn offer(&mut self, session: SessionId, role: Role) -> String {
        self.send(&Command::Prepare { session, role });
        let offered =
            self.wait("offer", |event| matches!(event, Event::Offer { session: its, .. } if *its == session));
        let Event::Offer { sdp, .. } = offered else { unreachable!() };
        sdp
    }

    /// Publishes a stream and waits until it is connected.
    pub fn publish(&mut self, server: &Server, session: SessionId, stream: &str) {
        let offer = self.offer(session, Role::Publish);
        let sdp = server.post(&format!("/whip/{stream}"), &offer).unwrap();
        self.send(&Command::Answer { session, sdp, member: None });
        self.connected(session);
    }

    /// Plays a stream and waits until it is connected.
    pub fn play(&mut self, server: &Server, session: SessionId, stream: &str) {
        let offer = self.offer(session, Role::Play);
        let sdp = server.post(&format!("/whep/{stream}"), &offer).unwrap();
        let member = Some(Member { user_id: format!("user-{stream}"), name: stream.to_owned() });
        self.send(&Command::Answer { session, sdp, member });
        self.connected(session);
    }

    fn connected(&mut self, session: SessionId) {
        self.wait(
            "connection",
            |event| matches!(event, Event::Connected { session: its } if *its == session),
        );
    }

    /// Waits until a codec is left, and sees that it is this one, for this reason and this successor; what it said.
    pub fn leaves(&mut self, part: Part, element: &str, fault: Fault, next: Option<&str>) -> String {
        let left = self.wait("codec to be left", |event| matches!(event, Event::Left { .. }));
        let Event::Left { part: its, element: left, fault: why, next: then, detail } = left else {
            unreachable!()
        };
        assert_eq!((its, left.as_str(), why, then.as_deref()), (part, element, fault, next), "{detail}");
        detail
    }

    /// Tells it to end, which it does in good order whatever hangs in it.
    pub fn stops(&mut self) {
        self.send(&Command::Stop);
        assert_eq!(self.ends(Duration::from_secs(4)).code(), Some(0));
    }

    /// Threads and descriptors of the process, once they have been the same for a second.
    pub fn settled(&self) -> (usize, usize) {
        let count =
            |what: &str| std::fs::read_dir(format!("/proc/{}/{what}", self.child.id())).unwrap().count();
        let mut last = ((0, 0), Instant::now());
        let end = Instant::now() + PATIENCE;
        loop {
            let now = (count("task"), count("fd"));
            if now != last.0 {
                last = (now, Instant::now());
            } else if last.1.elapsed() > Duration::from_secs(1) || Instant::now() > end {
                return now;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for its end; how it ended.
    pub fn ends(&mut self, within: Duration) -> ExitStatus {
        let end = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the worker did not end within {within:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints the middle one of five pauses, in milliseconds.
pub fn print_median(what: impl std::fmt::Debug, pause: impl FnMut() -> u64) {
    let mut pauses: Vec<u64> = std::iter::repeat_with(pause).take(5).collect();
    pauses.sort_unstable();
    println!("{what:?}: median {} ms of {pauses:?}", pauses[2]);
}
