//! A relay behind real HTTP, and str0m clients with real sockets, for the relay tests.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rtcroom_kiosk::service::relay::{Gate, Refusal, Relay, RelayConfig, Role, routes};
use str0m::change::{SdpAnswer, SdpOffer};
use str0m::format::Codec;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

/// How long tests wait for what should come at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Everybody with a token is the user of that name; `stream` belongs to the user before its first dash.
pub struct OpenGate;

impl Gate for OpenGate {
    fn may_publish(&self, bearer: Option<&str>, stream: &str, _: &str) -> Result<String, Refusal> {
        let user = self.caller(bearer)?;
        match stream.split('-').next() {
            Some("nowhere") => Err(Refusal::NoStream),
            Some(owner) if owner != user => Err(Refusal::Forbidden("the stream is somebody else's")),
            _ => Ok(user),
        }
    }
    fn may_play(&self, bearer: Option<&str>, stream: &str, _: &str) -> Result<String, Refusal> {
        match stream {
            "nowhere" => Err(Refusal::NoStream),
            _ => self.caller(bearer),
        }
    }
    fn caller(&self, bearer: Option<&str>) -> Result<String, Refusal> {
        bearer.map(str::to_owned).ok_or(Refusal::Unauthorized)
    }
}

pub struct Server {
    pub relay: Relay,
    pub http: SocketAddr,
    pub runtime: tokio::runtime::Runtime,
}

impl Server {
    pub fn start() -> Self {
        Self::on("127.0.0.1:0")
    }

    pub fn on(listen: &str) -> Self {
        Self::with(listen, axum::Router::new())
    }

    /// A relay whose HTTP server has other routes, too.
    pub fn with(listen: &str, others: axum::Router) -> Self {
        let _ = env_logger::builder().is_test(true).try_init();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config = RelayConfig { listen: listen.parse().unwrap(), advertise: vec![] };
        let (relay, http) = runtime.block_on(async {
            let relay = Relay::start(config).unwrap();
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let http = listener.local_addr().unwrap();
            let app = routes(relay.clone(), Arc::new(OpenGate)).merge(others);
            tokio::spawn(async move { axum::serve(listener, app).await });
            (relay, http)
        });
        Self { relay, http, runtime }
    }

    pub fn request(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        request(self.http, method, path, token, headers, body)
    }

    pub fn post(&self, path: &str, token: &str, sdp: &str) -> Reply {
        self.request("POST", path, Some(token), &[("content-type", "application/sdp")], sdp)
    }

    pub fn delete(&self, path: &str, token: &str) -> u16 {
        self.request("DELETE", path, Some(token), &[], "").status
    }

    pub fn count(&self, role: Role) -> usize {
        self.relay.sessions().iter().filter(|s| s.role == role).count()
    }
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Reply {
    pub fn location(&self) -> String {
        self.headers["location"].clone()
    }
}

/// One HTTP/1.1 exchange on its own connection.
pub fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    if let Some(token) = token {
        head.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(k, v)| (k.trim().to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    Reply { status, headers, body: body.to_owned() }
}

pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "in {PATIENCE:?} not seen: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A picture as it arrived: the counter it was sent with, its RTP time, whether it is a key frame, and whether nothing is missing before it.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub counter: u32,
    pub time: u64,
    pub key: bool,
    pub contiguous: bool,
    pub at: Instant,
}

#[derive(Default)]
pub struct Seen {
    pub connected: AtomicBool,
    pub closed: AtomicBool,
    pub frames_sent: AtomicU64,
    pub key_requests: AtomicU64,
    pub sounds: AtomicU64,
    pub frames: Mutex<Vec<Frame>>,
    pub sent_at: Mutex<HashMap<u32, Instant>>,
    pub remb: AtomicU64,
}

/// A str0m client in a thread of its own.
pub struct Peer {
    pub seen: Arc<Seen>,
    pub resource: String,
    pub etag: String,
    pub ufrag: String,
    /// What the client does while it lives.
    pub doing: Arc<Doing>,
    thread: Option<std::thread::JoinHandle<()>>,
}

pub struct Doing {
    pub stop: AtomicBool,
    /// Ends without a word, as a client whose power was cut.
    pub vanish: AtomicBool,
    pub sending: AtomicBool,
    /// Loses every n-th incoming media packet; 0 loses none.
    pub lose_every: AtomicU64,
    /// The same for outgoing ones.
    pub lose_sent_every: AtomicU64,
    pub ask_key_frame: AtomicBool,
    /// Sends every datagram a second time, damaged.
    pub garbage: AtomicBool,
    pub first_counter: AtomicU64,
    /// Bits a second that the way to this client carries; 0 is no limit.
    pub narrow: AtomicU64,
}

impl Peer {
    pub fn publish(server: &Server, stream: &str, token: &str) -> Self {
        Self::open(server, Role::Publisher, stream, token, true).unwrap()
    }

    /// Connects, and sends nothing until `doing.sending` is set.
    pub fn publish_silently(server: &Server, stream: &str, token: &str) -> Self {
        Self::open(server, Role::Publisher, stream, token, false).unwrap()
    }

    pub fn play(server: &Server, stream: &str, token: &str) -> Self {
        Self::open(server, Role::Player, stream, token, false).unwrap()
    }

    pub fn open(
        server: &Server,
        role: Role,
        stream: &str,
        token: &str,
        sending: bool,
    ) -> Result<Self, Reply> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut rtc =
            Rtc::builder().clear_codecs().enable_h264(true).enable_opus(true, false).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(socket.local_addr().unwrap(), "udp").unwrap());
        let direction = if role == Role::Publisher { Direction::SendOnly } else { Direction::RecvOnly };
        let mut api = rtc.sdp_api();
        let audio = api.add_media(MediaKind::Audio, direction, None, None, None);
        let video = api.add_media(MediaKind::Video, direction, None, None, None);
        let (offer, pending) = api.apply().unwrap();
        let path =
            if role == Role::Publisher { format!("/whip/{stream}") } else { format!("/whep/{stream}") };
        let reply = server.post(&path, token, &offer.to_sdp_string());
        if reply.status != 201 {
            return Err(reply);
        }
        let answer = SdpAnswer::from_sdp_string(&reply.body).unwrap();
        rtc.sdp_api().accept_answer(pending, answer).unwrap();
        let ufrag = rtc.direct_api().local_ice_credentials().ufrag;
        let seen = Arc::new(Seen::default());
        let doing = Arc::new(Doing {
            stop: false.into(),
            vanish: false.into(),
            sending: sending.into(),
            lose_every: 0.into(),
            lose_sent_every: 0.into(),
            ask_key_frame: false.into(),
            garbage: false.into(),
            first_counter: 0.into(),
            narrow: 0.into(),
        });
        let thread = {
            let (seen, doing) = (seen.clone(), doing.clone());
            std::thread::spawn(move || {
                Running { rtc, socket, audio, video, seen, doing, role, random: Random(7), sent: 0 }.run();
            })
        };
        let (resource, etag) = (reply.location(), reply.headers["etag"].clone());
        Ok(Self { seen, resource, etag, ufrag, doing, thread: Some(thread) })
    }

    pub fn frames(&self) -> Vec<Frame> {
        self.seen.frames.lock().unwrap().clone()
    }

    pub fn last_counter(&self) -> Option<u32> {
        self.seen.frames.lock().unwrap().last().map(|f| f.counter)
    }

    pub fn is_connected(&self) -> bool {
        self.seen.connected.load(Ordering::Relaxed)
    }

    pub fn is_closed(&self) -> bool {
        self.seen.closed.load(Ordering::Relaxed)
    }

    pub fn wait_for_frames(&self, count: usize) {
        eventually("frames at the player", || self.seen.frames.lock().unwrap().len() >= count);
    }

    pub fn vanish(mut self) {
        self.doing.vanish.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.doing.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Running {
    rtc: Rtc,
    socket: UdpSocket,
    audio: Mid,
    video: Mid,
    seen: Arc<Seen>,
    doing: Arc<Doing>,
    role: Role,
    random: Random,
    sent: u64,
}

impl Running {
    fn run(mut self) {
        let mut buffer = vec![0; 2000];
        let local = self.socket.local_addr().unwrap();
        let start = Instant::now();
        let (mut next_frame, mut next_sound) = (start, start);
        let (mut frame, mut sound, mut received) = (0u32, 0u64, 0u64);
        let mut want_key = true;
        let (mut credit, mut credited) = (0.0, start);
        loop {
            let Some(timeout) = self.drain(&mut want_key) else {
                self.seen.closed.store(true, Ordering::Relaxed);
                return;
            };
            if self.doing.vanish.load(Ordering::Relaxed) {
                return;
            }
            if self.doing.stop.load(Ordering::Relaxed) {
                let _ = self.rtc.close();
                self.drain(&mut want_key);
                return;
            }
            let now = Instant::now();
            let sending = self.role == Role::Publisher
                && self.doing.sending.load(Ordering::Relaxed)
                && self.rtc.is_connected();
            if sending && now >= next_frame {
                next_frame = now.max(next_frame) + Duration::from_millis(33);
                let counter = frame + self.doing.first_counter.load(Ordering::Relaxed) as u32;
                self.seen.sent_at.lock().unwrap().insert(counter, now);
                self.write_frame(counter, std::mem::take(&mut want_key), now, now - start);
                self.seen.frames_sent.fetch_add(1, Ordering::Relaxed);
                frame += 1;
                continue;
            }
            if sending && now >= next_sound {
                next_sound = now.max(next_sound) + Duration::from_millis(20);
                self.write_sound(sound, now);
                sound += 1;
                continue;
            }
            if self.doing.ask_key_frame.swap(false, Ordering::Relaxed)
                && let Some(mut writer) = self.rtc.writer(self.video)
            {
                let _ = writer.request_keyframe(None, KeyframeRequestKind::Pli);
                self.rtc.handle_input(Input::Timeout(now)).unwrap();
                continue;
            }
            let mut until = timeout.min(now + Duration::from_millis(50));
            if sending {
                until = until.min(next_frame).min(next_sound);
            }
            let wait = until.saturating_duration_since(now).max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(wait)).unwrap();
            let input = match self.socket.recv_from(&mut buffer) {
                Ok((n, source)) => {
                    let lose = self.doing.lose_every.load(Ordering::Relaxed);
                    received += u64::from(buffer[0] >> 6 == 2 && n > 200);
                    let narrow = self.doing.narrow.load(Ordering::Relaxed) as f64;
                    // A queue of 100 ms, then drops.
                    credit = (credit + narrow * credited.elapsed().as_secs_f64()).min(narrow * 0.1);
                    credited = Instant::now();
                    let full = narrow > 0.0 && n > 200 && credit < n as f64 * 8.0;
                    credit -= if full { 0.0 } else { n as f64 * 8.0 };
                    if full || (lose > 0 && n > 200 && received.is_multiple_of(lose)) {
                        Input::Timeout(Instant::now())
                    } else {
                        match buffer[..n].try_into() {
                            Ok(contents) => Input::Receive(
                                Instant::now(),
                                Receive { proto: Protocol::Udp, source, destination: local, contents },
                            ),
                            Err(_) => Input::Timeout(Instant::now()),
                        }
                    }
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    Input::Timeout(Instant::now())
                }
                Err(_) => Input::Timeout(Instant::now()),
            };
            self.rtc.handle_input(input).unwrap();
        }
    }

    fn drain(&mut self, want_key: &mut bool) -> Option<Instant> {
        loop {
            if !self.rtc.is_alive() {
                return None;
            }
            match self.rtc.poll_output().unwrap() {
                Output::Timeout(at) => return Some(at),
                Output::Transmit(t) => {
                    let lose = self.doing.lose_sent_every.load(Ordering::Relaxed);
                    self.sent += u64::from(t.contents.len() > 200 && t.contents[0] >> 6 == 2);
                    if lose > 0 && t.contents.len() > 200 && self.sent.is_multiple_of(lose) {
                        continue;
                    }
                    if self.doing.garbage.load(Ordering::Relaxed) {
                        let _ = self.socket.send_to(&damaged(&t.contents, &mut self.random), t.destination);
                    }
                    let _ = self.socket.send_to(&t.contents, t.destination);
                }
                Output::Event(Event::Connected) => self.seen.connected.store(true, Ordering::Relaxed),
                Output::Event(Event::Closed) => self.seen.closed.store(true, Ordering::Relaxed),
                Output::Event(Event::KeyframeRequest(_)) => {
                    *want_key = true;
                    self.seen.key_requests.fetch_add(1, Ordering::Relaxed);
                }
                Output::Event(Event::EgressBitrateEstimate(str0m::bwe::BweKind::Remb {
                    estimate, ..
                })) => {
                    self.seen.remb.store(estimate.as_u64(), Ordering::Relaxed);
                }
                Output::Event(Event::MediaData(data)) if data.mid == self.audio => {
                    self.seen.sounds.fetch_add(1, Ordering::Relaxed);
                }
                Output::Event(Event::MediaData(data)) => {
                    let (counter, key) = read_frame(&data.data);
                    let frame = Frame {
                        counter,
                        time: data.time.numer(),
                        key,
                        contiguous: data.contiguous,
                        at: Instant::now(),
                    };
                    self.seen.frames.lock().unwrap().push(frame);
                }
                Output::Event(_) => {}
            }
        }
    }

    fn write_frame(&mut self, counter: u32, key: bool, now: Instant, age: Duration) {
        let Some(writer) = self.rtc.writer(self.video) else { return };
        let pt = writer.payload_params().find(|p| p.spec().codec == Codec::H264).unwrap().pt();
        let time = MediaTime::from_90khz(age.as_micros() as u64 * 9 / 100);
        let limit = self.seen.remb.load(Ordering::Relaxed);
        let len = if limit == 0 { 1800 } else { (limit / 8 / 30).clamp(100, 1800) as usize };
        writer.write(pt, now, time, make_frame(counter, key, len)).unwrap();
        self.rtc.handle_input(Input::Timeout(now)).unwrap();
    }

    fn write_sound(&mut self, n: u64, now: Instant) {
        let Some(writer) = self.rtc.writer(self.audio) else { return };
        let pt = writer.payload_params().next().unwrap().pt();
        let time = MediaTime::new(n * 960, str0m::media::Frequency::FORTY_EIGHT_KHZ);
        writer.write(pt, now, time, vec![0xfc, 0xff, 0xfe]).unwrap();
        self.rtc.handle_input(Input::Timeout(now)).unwrap();
    }
}

/// A small generator (xorshift), so that failures repeat.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Cut short, lengthened, or with some bytes changed.
pub fn damaged(datagram: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = datagram.to_vec();
    match random.below(4) {
        0 => bytes.truncate(random.below(bytes.len() + 1)),
        1 => bytes.extend((0..random.below(1500)).map(|i| i as u8)),
        _ => {
            for _ in 0..=random.below(6) {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
        }
    }
    bytes
}

/// Something that packs like H.264: parameter sets and an IDR slice of several packets, or a slice of one or two.
fn make_frame(counter: u32, key: bool, len: usize) -> Vec<u8> {
    let mut frame = vec![];
    let mut unit = |header: u8, len: usize| {
        frame.extend([0, 0, 0, 1, header]);
        frame.extend((0..4).map(|i| 0x80 | (counter >> (21 - 7 * i) & 0x7f) as u8));
        frame.extend(std::iter::repeat_n(0xaa, len));
    };
    if key {
        unit(0x67, 10);
        unit(0x68, 4);
        unit(0x65, len * 5);
    } else {
        unit(0x41, len);
    }
    frame
}

fn read_frame(data: &[u8]) -> (u32, bool) {
    let mut found = (u32::MAX, false);
    for at in 0..data.len().saturating_sub(9) {
        if data[at..at + 4] == [0, 0, 0, 1] && matches!(data[at + 4] & 0x1f, 1 | 5) {
            let counter = data[at + 5..at + 9].iter().fold(0, |n, b| n << 7 | u32::from(b & 0x7f));
            found = (counter, data[at + 4] & 0x1f == 5);
        }
    }
    found
}

/// An offer as str0m makes it, for requests that need no client behind it.
pub fn any_offer(direction: Direction) -> String {
    let mut rtc =
        Rtc::builder().clear_codecs().enable_h264(true).enable_opus(true, false).build(Instant::now());
    let mut api = rtc.sdp_api();
    api.add_media(MediaKind::Audio, direction, None, None, None);
    api.add_media(MediaKind::Video, direction, None, None, None);
    let (offer, _): (SdpOffer, _) = api.apply().unwrap();
    offer.to_sdp_string()
}
