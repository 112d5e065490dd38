//! Half a call with a media worker of our own: an offer to the relay, the camera, the encoder. It takes no seat in the
//! room, so no clerk's page rings, and nobody can play what it sends.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::finding::{Finding, Part, Verdict};
use crate::board::camera;
use crate::board::camera::mode::{self, Wish};
use crate::kiosk::event::{Input, WorkerNews};
use crate::kiosk::process::{Source, Worker};
use crate::media::protocol::{self, CameraSource, Command, Event, Output, Role, Settings, Stats};
use crate::room::client::Client;

/// A worker loads its plugins; a slow board needs seconds.
const START: Duration = Duration::from_secs(30);
/// Offer, answer, ICE and DTLS. A browser gives up after 15 s.
const CONNECT: Duration = Duration::from_secs(15);
/// From opening a camera to its first frames.
const FRAMES: Duration = Duration::from_secs(12);
/// Time for a microphone to complain.
const LISTEN: Duration = Duration::from_secs(1);
/// Thirty frames, at the slowest rate a board file may ask for in earnest.
const ENCODE: Duration = Duration::from_secs(15);
const ENCODED: u64 = 30;
const SESSION: u32 = 1;

/// What the worker has said so far.
#[derive(Default)]
struct Seen {
    ready: Option<(String, String, String)>,
    offer: Option<String>,
    connected: bool,
    lost: Option<String>,
    stats: Stats,
    troubles: HashMap<protocol::Part, String>,
    gone: Option<String>,
}

impl Seen {
    fn hear(&mut self, news: WorkerNews) {
        let event = match news {
            WorkerNews::Started { .. } => return,
            WorkerNews::Gone { reason } => {
                self.gone = Some(reason);
                return;
            }
            WorkerNews::Said(event) => *event,
        };
        match event {
            Event::Ready { encoder, decoder, gstreamer, .. } => {
                self.ready = Some((encoder, decoder, gstreamer));
            }
            Event::Offer { sdp, .. } => self.offer = Some(sdp),
            Event::Connected { .. } => self.connected = true,
            Event::Lost { reason, .. } => self.lost = Some(reason),
            Event::Stats(stats) => self.stats = *stats,
            Event::Trouble { part, detail } => _ = self.troubles.insert(part, detail),
            Event::Well { part } => _ = self.troubles.remove(&part),
            _ => {}
        }
    }

    fn trouble(&self, part: protocol::Part) -> Option<&String> {
        self.troubles.get(&part)
    }
}

/// A worker, and what it says.
struct Call {
    worker: Worker,
    inbox: mpsc::Receiver<Input>,
    seen: Seen,
}

impl Call {
    /// Listens until it is so, the worker is gone, or the time is over.
    async fn until(&mut self, limit: Duration, so: impl Fn(&Seen) -> bool) -> bool {
        let end = Instant::now() + limit;
        while !so(&self.seen) && self.seen.gone.is_none() {
            match timeout_at(end, self.inbox.recv()).await {
                Ok(Some(Input::Worker { news, .. })) => self.seen.hear(news),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        so(&self.seen)
    }
}

/// Runs it; `relay` is a client that is logged in, when the way to the relay is to be tried.
pub(super) async fn check(
    source: &Source,
    settings: &Settings,
    relay: Option<&Client>,
    mut tell: impl FnMut(Finding),
) {
    let fail_worker = |reason: &str, tell: &mut dyn FnMut(Finding)| {
        let cure =
            "install rtcroom-kiosk again, or see [media] in kioskd.toml; `kiosk-media --inspect` shows more";
        tell(Finding::fail(Part::Worker, format!("{source}: {reason}"), cure));
        for part in [Part::Camera, Part::Screen, Part::Relay] {
            tell(Finding::skip(part, "needs the media worker"));
        }
    };
    let (news, inbox) = mpsc::channel(64);
    let worker = match Worker::start(source, 1, news) {
        Ok(worker) => worker,
        Err(error) => return fail_worker(&format!("it does not start: {error}"), &mut tell),
    };
    let mut call = Call { worker, inbox, seen: Seen::default() };
    call.worker.tell(Command::Configure(Box::new(settings.clone())));
    if !call.until(START, |seen| seen.ready.is_some()).await {
        let silent = format!("it does not answer within {} s", START.as_secs());
        let reason = call.seen.gone.clone().unwrap_or(silent);
        return fail_worker(&reason, &mut tell);
    }
    if let Some((encoder, decoder, gstreamer)) = &call.seen.ready {
        tell(Finding::ok(Part::Worker, format!("{source}: {gstreamer}, {encoder} and {decoder}")));
    }
    if let Some(client) = relay {
        let finding = call.reach(client).await;
        tell(finding);
    }
    for finding in call.see(settings).await {
        tell(finding);
    }
    call.worker.tell(Command::Capture { on: false });
    call.worker.tell(Command::Stop);
    // It ends by itself, with devices closed; dropping it would be ruder.
    let _ = call.until(Duration::from_secs(4), |seen| seen.gone.is_some()).await;
}

impl Call {
    /// A real offer, posted, answered and connected: DTLS has gone both ways by UDP.
    async fn reach(&mut self, client: &Client) -> Finding {
        self.worker.tell(Command::Prepare { session: SESSION, role: Role::Publish });
        if !self.until(CONNECT, |seen| seen.offer.is_some() || seen.lost.is_some()).await {
            return Finding::fail(Part::Relay, "the media worker makes no offer", "try again; see its log");
        }
        let Some(offer) = self.seen.offer.clone() else {
            let reason = self.seen.lost.clone().unwrap_or_default();
            return Finding::fail(Part::Relay, reason, "see the media worker's log");
        };
        let address = match client.push_address().await {
            Ok(address) => address,
            Err(failure) => return Finding::told(Part::Relay, Verdict::Fail, &failure.to_string()),
        };
        let session = match client.post_offer("WHIP", &address, &offer).await {
            Ok(session) => session,
            Err(failure) => {
                let cure = "see the relay's log; RoomService gives out the address it can be reached at ([relay], public_url)";
                return Finding::fail(Part::Relay, failure.to_string(), cure);
            }
        };
        let places = candidates(&session.sdp);
        self.worker.tell(Command::Answer { session: SESSION, sdp: session.sdp, member: None });
        let begin = Instant::now();
        let connected =
            self.until(CONNECT, |seen| seen.connected || seen.lost.is_some()).await && self.seen.connected;
        let took = begin.elapsed().as_millis();
        self.worker.tell(Command::Close { session: SESSION });
        if let Some(resource) = &session.resource {
            let _ = client.delete_resource(resource).await;
        }
        judge_relay(connected, took, &places)
    }

    /// Frames from the camera, through the encoder; what microphone, speaker and screen complain of.
    async fn see(&mut self, settings: &Settings) -> Vec<Finding> {
        use protocol::Part as Media;
        let mut findings = Vec::new();
        // Before it streams: some drivers let nobody else stream while a second descriptor is open.
        let modes = modes(&settings.camera);
        self.worker.tell(Command::Capture { on: true });
        let begin = Instant::now();
        self.until(FRAMES, |seen| seen.stats.frames_captured > 0 || seen.trouble(Media::Camera).is_some())
            .await;
        let took = begin.elapsed().as_millis();
        let camera = &settings.camera;
        findings.push(match self.seen.trouble(Media::Camera) {
            Some(detail) => Finding::told(Part::Camera, Verdict::Fail, detail),
            None if self.seen.stats.frames_captured > 0 => {
                let what = match camera.source {
                    CameraSource::Test | CameraSource::TestH264 => "the test picture".to_owned(),
                    _ if camera.device.is_empty() => "the first that captures".to_owned(),
                    _ => camera.device.clone(),
                };
                let (width, height, fps) = (camera.width, camera.height, camera.fps);
                Finding::ok(
                    Part::Camera,
                    format!("{what}: frames for {width}x{height} at {fps}/s within {took} ms{modes}"),
                )
            }
            None => Finding::fail(
                Part::Camera,
                format!("it opened and gave no picture for {} s", FRAMES.as_secs()),
                "unplug it and plug it in again, or try a smaller size in [camera]",
            ),
        });
        self.until(LISTEN, |_| false).await;
        if let Some(detail) = self.seen.trouble(Media::Microphone) {
            findings.push(Finding::told(Part::Microphone, Verdict::Fail, detail));
        }
        if let Some(detail) = self.seen.trouble(Media::Speaker) {
            findings.push(Finding::told(Part::Speaker, Verdict::Fail, detail));
        }
        self.worker.tell(Command::Send { on: true });
        let before = self.seen.stats.frames_encoded;
        let begin = Instant::now();
        let enough = |seen: &Seen| seen.stats.frames_encoded >= before + ENCODED;
        self.until(ENCODE, |seen| enough(seen) || seen.trouble(Media::Encoder).is_some()).await;
        let frames = self.seen.stats.frames_encoded - before;
        let encoder = &self.seen.stats.encoder;
        findings.push(match (self.seen.trouble(Media::Encoder), &self.seen.gone) {
            (Some(detail), _) => Finding::told(Part::Encoder, Verdict::Fail, detail),
            (None, Some(reason)) => Finding::fail(
                Part::Encoder,
                format!("the media worker ended while it encoded: {reason}"),
                "name another in [video] encoders",
            ),
            (None, None) if frames >= ENCODED => Finding::ok(
                Part::Encoder,
                format!("{encoder}: {frames} frames in {:.1} s", begin.elapsed().as_secs_f64()),
            ),
            (None, None) => Finding::fail(
                Part::Encoder,
                format!("{encoder}: {frames} frames in {} s", ENCODE.as_secs()),
                "name another in [video] encoders, or a smaller picture in [camera]",
            ),
        });
        self.worker.tell(Command::Send { on: false });
        let display = &settings.display;
        findings.push(match self.seen.trouble(Media::Screen) {
            Some(detail) => Finding::told(Part::Screen, Verdict::Fail, detail),
            None if display.output == Output::None => Finding::ok(
                Part::Screen,
                "none ([screen] output = \"none\"): pictures are decoded and dropped",
            ),
            None if self.seen.stats.frames_drawn > 0 => Finding::ok(
                Part::Screen,
                format!(
                    "{} frames drawn at {}x{}",
                    self.seen.stats.frames_drawn, display.width, display.height
                ),
            ),
            None => Finding::new(
                Part::Screen,
                Verdict::Warn,
                "nothing was drawn: no display was found",
                "plug in a screen, or see [screen] output",
            ),
        });
        findings
    }
}

/// What a V4L2 camera offers, and what is chosen of it; nothing when it cannot be asked, which its frames tell better.
fn modes(wanted: &protocol::Camera) -> String {
    if wanted.source != CameraSource::V4l2 {
        return String::new();
    }
    let Ok(found) = camera::find(&wanted.device) else { return String::new() };
    let wish = Wish { width: wanted.width, height: wanted.height, fps: wanted.fps };
    let offers = found.offers(wish);
    let formats: Vec<String> =
        found.formats().iter().take(12).map(|code| String::from_utf8_lossy(code).into_owned()).collect();
    let chosen = mode::choose(&offers, &wanted.formats, wish);
    let chosen = chosen.map_or_else(|| "none of them fits".to_owned(), |choice| format!("{choice} is taken"));
    let (name, path) = (&found.name, found.path.display());
    format!("; {name} ({path}) has {} modes in {}, {chosen}", offers.len(), formats.join(", "))
}

/// The UDP addresses of an answer (RFC 8839, section 5.1).
fn candidates(sdp: &str) -> Vec<String> {
    let mut places: Vec<String> = sdp
        .lines()
        .filter_map(|line| line.trim().strip_prefix("a=candidate:"))
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().take(6).collect();
            let [_, _, transport, _, address, port] = words[..] else { return None };
            transport.eq_ignore_ascii_case("udp").then(|| format!("{address}:{port}"))
        })
        .take(8)
        .collect();
    places.sort();
    places.dedup();
    places
}

fn judge_relay(connected: bool, took: u128, places: &[String]) -> Finding {
    let at = if places.is_empty() { "an address it did not tell".to_owned() } else { places.join(", ") };
    if connected {
        return Finding::ok(Part::Relay, format!("{at}: media connected within {took} ms"));
    }
    Finding::fail(
        Part::Relay,
        format!("no UDP comes back from {at} within {} s", CONNECT.as_secs()),
        "let UDP to that port through every firewall on the way, and see that [relay] advertise of the server names addresses this board reaches",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relay_s_addresses_are_read_from_its_answer() {
        let sdp = "v=0\r\na=candidate:1 1 udp 2130706175 203.0.113.10 8443 typ host\r\na=candidate:1 2 UDP 1 203.0.113.10 8443 typ host\r\na=candidate:2 1 tcp 1 10.0.0.1 9 typ host\r\na=candidate:broken\r\n";
        assert_eq!(candidates(sdp), ["203.0.113.10:8443"]);
        let told = judge_relay(false, 0, &candidates(sdp));
        assert!(
            told.to_string().starts_with("FAIL relay UDP: no UDP comes back from 203.0.113.10:8443"),
            "{told}"
        );
        assert_eq!(judge_relay(true, 5, &[]).verdict, Verdict::Ok);
    }

    #[test]
    fn what_the_worker_says_is_kept_and_a_part_that_is_well_again_is_forgotten() {
        let mut seen = Seen::default();
        let part = protocol::Part::Camera;
        let said = |event| WorkerNews::Said(Box::new(event));
        seen.hear(said(Event::Trouble { part, detail: "gone".into() }));
        assert_eq!(seen.trouble(part).map(String::as_str), Some("gone"));
        seen.hear(said(Event::Well { part }));
        assert_eq!(seen.trouble(part), None);
        seen.hear(WorkerNews::Gone { reason: "killed".into() });
        assert_eq!(seen.gone.as_deref(), Some("killed"));
    }
}
