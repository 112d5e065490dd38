//! A bad network between worker and relay: packets lost, and a link that gets narrow.

#![allow(clippy::unwrap_used)]

mod media_support;

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use media_support::{Server, Worker};
use rtcroom_kiosk::media::protocol::{Command, Event, Role, Settings};

/// Stands between a worker and the relay, in the worker's answer in place of the relay's candidate.
struct Link {
    port: u16,
    /// Of a thousand packets so many are lost, either way.
    loss: Arc<AtomicU32>,
    /// Kilobits a second towards the relay; 0 is no limit.
    kbps: Arc<AtomicU32>,
    end: Arc<AtomicBool>,
}

impl Link {
    fn to(relay: SocketAddr) -> Self {
        let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let link = Self {
            port: near.local_addr().unwrap().port(),
            loss: Arc::default(),
            kbps: Arc::default(),
            end: Arc::default(),
        };
        let (loss, kbps, end) = (Arc::clone(&link.loss), Arc::clone(&link.kbps), Arc::clone(&link.end));
        near.set_nonblocking(true).unwrap();
        far.set_nonblocking(true).unwrap();
        std::thread::spawn(move || {
            let (mut client, mut seed) = (None, 7u32);
            let mut lost = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 16) % 1000 < loss.load(Ordering::Relaxed)
            };
            let mut queue: VecDeque<Vec<u8>> = VecDeque::new();
            let (mut queued, mut free_at, mut packet) = (0, Instant::now(), [0; 2048]);
            while !end.load(Ordering::Relaxed) {
                while let Ok((length, from)) = near.recv_from(&mut packet) {
                    client = Some(from);
                    // A third of a second of queue, as cheap routers have.
                    let room = kbps.load(Ordering::Relaxed) as usize * 1000 / 8 / 3;
                    if !lost() && (room == 0 || queued + length < room) {
                        queue.push_back(packet[..length].to_vec());
                        queued += length;
                    }
                }
                while let Ok((length, _)) = far.recv_from(&mut packet) {
                    if let (Some(client), false) = (client, lost()) {
                        let _ = near.send_to(&packet[..length], client);
                    }
                }
                while free_at <= Instant::now() {
                    let Some(next) = queue.pop_front() else { break };
                    queued -= next.len();
                    let _ = far.send_to(&next, relay);
                    let rate = kbps.load(Ordering::Relaxed);
                    if rate > 0 {
                        let time = Duration::from_micros(next.len() as u64 * 8000 / u64::from(rate));
                        free_at = free_at.max(Instant::now() - Duration::from_millis(5)) + time;
                    }
                }
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        link
    }

    /// The answer with this link's port for the relay's.
    fn lead(&self, answer: &str, relay: SocketAddr) -> String {
        answer.replace(&format!(" {} typ host", relay.port()), &format!(" {} typ host", self.port))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

/// Prepares a session whose packets go through `link`.
fn through(worker: &mut Worker, server: &Server, link: &Link, role: Role, stream: &str) {
    let offer = worker.offer(1, role);
    let way = if role == Role::Publish { "whip" } else { "whep" };
    let answer = server.post(&format!("/{way}/{stream}"), &offer).unwrap();
    let sdp = link.lead(&answer, server.relay.local_addr());
    assert_ne!(sdp, answer, "no candidate to change");
    worker.send(&Command::Answer { session: 1, sdp, member: None });
    worker.wait("connection", |event| matches!(event, Event::Connected { .. }));
}

#[test]
fn the_encoder_follows_a_link_that_gets_narrow_and_wide_again() {
    let server = Server::start(0);
    let link = Link::to(server.relay.local_addr());
    let mut worker = Worker::ready(Settings::default());
    through(&mut worker, &server, &link, Role::Publish, "narrow");
    worker.send(&Command::Capture { on: true });
    worker.send(&Command::Send { on: true });
    let mut player = Worker::ready(Settings::default());
    player.play(&server, 1, "narrow");
    worker.until("a full encoder", |stats| stats.encoded_bps > 900_000);

    link.kbps.store(300, Ordering::Relaxed);
    let since = Instant::now();
    worker.until("an encoder below the link", |stats| stats.encoded_bps < 260_000);
    eprintln!("below 300 kbit/s after {:?}", since.elapsed());
    let shown = player.player("a report", |_| true).frames_shown;
    let later = player.player("pictures through the narrow link", |player| player.frames_shown > shown + 60);
    eprintln!("{later:?}");

    link.kbps.store(0, Ordering::Relaxed);
    let since = Instant::now();
    worker.until("an encoder that is back", |stats| stats.encoded_bps > 700_000);
    eprintln!("back after {:?}", since.elapsed());
}

#[test]
fn lost_packets_are_asked_for_again() {
    let server = Server::start(0);
    let link = Link::to(server.relay.local_addr());
    let mut publisher = Worker::ready(Settings::default());
    publisher.publish(&server, 1, "lossy");
    publisher.send(&Command::Capture { on: true });
    publisher.send(&Command::Send { on: true });
    let mut player = Worker::ready(Settings::default());
    through(&mut player, &server, &link, Role::Play, "lossy");
    player.player("a start", |player| player.frames_shown > 30);

    link.loss.store(50, Ordering::Relaxed);
    let before = player.player("a report", |_| true);
    let sent_before = before.mark.map_or(0, |mark| mark.last);
    let until = Instant::now() + Duration::from_secs(8);
    let after = player.player("eight seconds of loss", |_| Instant::now() > until);
    let sent = after.mark.clone().map_or(0, |mark| mark.last) - sent_before;
    let shown = after.frames_shown - before.frames_shown;
    eprintln!("{shown} of {sent} frames with 5 % loss: {:?}", after.mark);
    assert!(sent >= 200 && shown * 100 >= u64::from(sent) * 85, "{shown} of {sent} frames");
}
