//! One WebRTC session: a webrtcbin and the thread that alone talks to it.
//!
//! webrtcbin may block in a state change, or in anything else; the thread bears that, the worker's loop does not.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use gst::prelude::*;
use gst_webrtc::{
    WebRTCICEGatheringState, WebRTCPeerConnectionState, WebRTCSDPType, WebRTCSessionDescription,
};

use super::codec;
use super::encode::Keys;
use super::outlet::Outlet;
use super::pipe::{self, Pipe};
use super::play::{self, Playing};
use super::protocol::{Event, Role, SessionId, Settings};
use super::publish;
use super::screen::Screen;
use super::stats::Counters;
use super::timebase::{Timebase, monotonic_ms};
use super::worker::{Input, Origin};

/// How long an offer or an answer may take inside webrtcbin.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the other end may be out of sight.
const ABSENT: Duration = Duration::from_secs(5);
/// A member's media that stopped for so long is not coming again by itself.
const QUIET_PLAY: Duration = Duration::from_secs(5);
/// A server that is sent media and has reported nothing for so long is gone; reports may be 7.5 s apart (RFC 3550, 6.2).
const QUIET_PUBLISH: Duration = Duration::from_secs(9);
/// Packets before that rule holds: more than a DTLS handshake has.
const MEDIA_PACKETS: u64 = 30;
/// Connectivity checks are so far apart; the least RFC 8445, section 14.2, allows. libnice's 20 ms are most of a join.
const CHECKS_APART_MS: u32 = 5;
/// Transport-wide congestion control.
const TWCC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// What every session is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Clock and base time.
    pub timebase: Timebase,
    /// The worker's loop.
    pub inbox: Sender<Input>,
    /// The board's settings.
    pub settings: Arc<Settings>,
    /// Counts frames sent.
    pub counters: Arc<Counters>,
    /// Takes key-frame requests.
    pub keys: Arc<Keys>,
    /// H.264 from the encoder.
    pub video: Arc<Outlet>,
    /// Opus from the microphone.
    pub audio: Arc<Outlet>,
    /// The decoder that a session begun now is to use.
    pub decoder: Arc<Mutex<codec::Decoder>>,
    /// Where members are shown.
    pub screen: Screen,
}

enum Order {
    Answer(String),
    Close,
}

/// A session; dropping it ends it.
#[derive(Debug)]
pub struct Session {
    orders: Sender<Order>,
    /// What it plays; `None` when it publishes.
    pub playing: Option<Arc<Playing>>,
}

impl Session {
    /// Makes a session; its offer comes as [`Event::Offer`], its end as [`Event::Lost`].
    #[must_use]
    pub fn open(setup: Setup, id: SessionId, role: Role) -> Self {
        let (orders, inward) = mpsc::channel();
        let playing = (role == Role::Play).then(|| Arc::new(Playing::new(id)));
        let shown = playing.clone();
        pipe::spawn(&format!("session-{id}"), move || {
            if let Err(error) = run(&setup, id, shown.as_ref(), &inward) {
                let reason = format!("{error:#}");
                let _ = setup.inbox.send(Input::Event(Event::Lost { session: id, reason }));
                // The pipeline is gone; wait to be closed.
                while matches!(inward.recv(), Ok(Order::Answer(_))) {}
            }
        });
        Self { orders, playing }
    }

    /// Gives the session the server's answer.
    pub fn answer(&self, sdp: String) {
        let _ = self.orders.send(Order::Answer(sdp));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Close);
    }
}

fn run(setup: &Setup, id: SessionId, playing: Option<&Arc<Playing>>, orders: &Receiver<Order>) -> Result<()> {
    let origin = Origin::Session(id);
    let pipe = Pipe::new(&format!("session-{id}"), &setup.timebase, &setup.inbox, origin);
    let bin = pipe::make("webrtcbin", &[("bundle-policy", "max-bundle")])?;
    bin.set_property("latency", play::LATENCY_MS);
    address(&bin, &setup.settings.local_addresses);
    pipe.pipeline().add(&bin)?;
    let ear = Ear::listen(&bin);

    let connected = Arc::new(AtomicBool::new(false));
    let publishing = match playing {
        None => Some(publish::attach(setup, id, &pipe, &bin, &connected)?),
        Some(playing) => {
            play::attach(setup, id, &pipe, &bin, playing)?;
            None
        }
    };
    pipe.pipeline().set_state(gst::State::Playing).context("the session does not start")?;
    let sdp = offer(&bin)?;
    setup.inbox.send(Input::Event(Event::Offer { session: id, sdp }))?;

    let (inbox, up) = (setup.inbox.clone(), Arc::clone(&connected));
    bin.connect_notify(Some("connection-state"), move |bin, _| {
        let state = bin.property::<WebRTCPeerConnectionState>("connection-state");
        log::debug!("session {id}: {state:?}");
        if state == WebRTCPeerConnectionState::Connected && !up.swap(true, Ordering::SeqCst) {
            let _ = inbox.send(Input::Event(Event::Connected { session: id }));
        }
    });

    let mut absent: Option<Instant> = None;
    let mut idle = Instant::now();
    loop {
        match orders.recv_timeout(Duration::from_millis(500)) {
            Ok(Order::Answer(sdp)) => answer(&bin, &sdp)?,
            Ok(Order::Close) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(publishing) = &publishing
            && !setup.counters.sending.load(Ordering::Acquire)
        {
            publishing.rest();
            idle = Instant::now();
        }
        ear.check(if playing.is_some() { QUIET_PLAY } else { QUIET_PUBLISH }, idle)?;
        match bin.property::<WebRTCPeerConnectionState>("connection-state") {
            WebRTCPeerConnectionState::Failed => bail!("the connection to the media server failed"),
            WebRTCPeerConnectionState::Closed => bail!("the connection to the media server is closed"),
            WebRTCPeerConnectionState::Disconnected => {
                if absent.get_or_insert_with(Instant::now).elapsed() > ABSENT {
                    bail!("the media server has not been heard for {} s", ABSENT.as_secs());
                }
            }
            _ => absent = None,
        }
    }
}

/// Listens to what comes from the server. ICE takes most of a minute to notice that nobody is there: libnice's
/// keepalives are 25 s apart.
#[derive(Clone, Debug, Default)]
struct Ear {
    packets: Arc<AtomicU64>,
    last_ms: Arc<AtomicU64>,
}

impl Ear {
    fn listen(bin: &gst::Element) -> Self {
        let ear = Self::default();
        let Some(bin) = bin.downcast_ref::<gst::Bin>() else { return ear };
        let inner = ear.clone();
        bin.connect_deep_element_added(move |_, _, element| {
            if element.factory().is_none_or(|factory| factory.name() != "nicesrc") {
                return;
            }
            let ear = inner.clone();
            if let Some(pad) = element.static_pad("src") {
                pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, _| {
                    ear.packets.fetch_add(1, Ordering::Relaxed);
                    ear.last_ms.store(monotonic_ms(), Ordering::Relaxed);
                    gst::PadProbeReturn::Ok
                });
            }
        });
        ear
    }

    /// Fails when there was media, and then nothing for longer than `quiet`; time before `since` does not count.
    fn check(&self, quiet: Duration, since: Instant) -> Result<()> {
        let silence =
            Duration::from_millis(monotonic_ms().saturating_sub(self.last_ms.load(Ordering::Relaxed)));
        if self.packets.load(Ordering::Relaxed) >= MEDIA_PACKETS && silence > quiet && since.elapsed() > quiet
        {
            bail!("nothing has come from the media server for {} s", silence.as_secs());
        }
        Ok(())
    }
}

/// Sets up ICE: no TCP, no UPnP, which only take time; keepalives that ICE-lite servers notice.
fn address(bin: &gst::Element, extra: &[IpAddr]) {
    let ice = bin.property::<gst::glib::Object>("ice-agent");
    if ice.find_property("agent").is_some() {
        let agent = ice.property::<gst::glib::Object>("agent");
        for (name, value) in [("upnp", false), ("ice-tcp", false), ("keepalive-conncheck", true)] {
            if agent
                .find_property(name)
                .is_some_and(|pspec| pspec.flags().contains(gst::glib::ParamFlags::WRITABLE))
            {
                agent.set_property(name, value);
            } else {
                log::warn!("this libnice has no {name}");
            }
        }
        if agent.find_property("stun-pacing-timer").is_some() {
            agent.set_property("stun-pacing-timer", CHECKS_APART_MS);
        }
    }
    if extra.is_empty() {
        return;
    }
    // Once one address is named, libnice offers only those that are.
    for address in extra.iter().copied().chain(interfaces()) {
        if !ice.emit_by_name::<bool>("add-local-ip-address", &[&address.to_string()]) {
            log::warn!("{address} cannot be offered");
        }
    }
}

/// This machine's own addresses, loopback and link-local ones left out.
fn interfaces() -> Vec<IpAddr> {
    let mut found = Vec::new();
    // SAFETY: walks the list getifaddrs made, and frees it; addresses are read as what their family says.
    unsafe {
        let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
        if libc::getifaddrs(&raw mut list) != 0 {
            return found;
        }
        let mut next = list;
        while let Some(entry) = next.as_ref() {
            next = entry.ifa_next;
            let up = entry.ifa_flags & libc::IFF_UP as u32 != 0;
            if !up || entry.ifa_addr.is_null() {
                continue;
            }
            let address = match i32::from((*entry.ifa_addr).sa_family) {
                libc::AF_INET => {
                    let address = &*entry.ifa_addr.cast::<libc::sockaddr_in>();
                    IpAddr::from(address.sin_addr.s_addr.to_ne_bytes())
                }
                libc::AF_INET6 => {
                    IpAddr::from((*entry.ifa_addr.cast::<libc::sockaddr_in6>()).sin6_addr.s6_addr)
                }
                _ => continue,
            };
            let local = match address {
                IpAddr::V4(address) => address.is_link_local(),
                IpAddr::V6(address) => address.is_unicast_link_local(),
            };
            if !local && !address.is_loopback() {
                found.push(address);
            }
        }
        libc::freeifaddrs(list);
    }
    found
}

/// Waits for what webrtcbin promises.
fn promised(what: &str, ask: impl FnOnce(gst::Promise)) -> Result<Option<gst::Structure>> {
    let (tell, told) = mpsc::channel();
    ask(gst::Promise::with_change_func(move |reply| {
        let _ = tell.send(
            reply.map(|reply| reply.map(gst::StructureRef::to_owned)).map_err(|error| format!("{error:?}")),
        );
    }));
    let reply = told
        .recv_timeout(PATIENCE)
        .map_err(|_| anyhow!("webrtcbin took more than {} s for its {what}", PATIENCE.as_secs()))?
        .map_err(|error| anyhow!("webrtcbin gives no {what}: {error}"))?;
    if let Some(structure) = &reply
        && let Ok(error) = structure.get::<gst::glib::Error>("error")
    {
        bail!("webrtcbin refuses the {what}: {error}");
    }
    Ok(reply)
}

fn offer(bin: &gst::Element) -> Result<String> {
    let (tell, told) = mpsc::channel();
    bin.connect_notify(Some("ice-gathering-state"), move |bin, _| {
        if bin.property::<WebRTCICEGatheringState>("ice-gathering-state") == WebRTCICEGatheringState::Complete
        {
            let _ = tell.send(());
        }
    });
    let reply = promised("offer", |promise| {
        bin.emit_by_name::<()>("create-offer", &[&None::<gst::Structure>, &promise]);
    })?;
    let offer = reply
        .as_ref()
        .and_then(|reply| reply.get::<WebRTCSessionDescription>("offer").ok())
        .context("webrtcbin made no offer")?;
    promised("local description", |promise| {
        bin.emit_by_name::<()>("set-local-description", &[&offer, &promise]);
    })?;
    told.recv_timeout(PATIENCE).context("gathering addresses does not end")?;
    let full = bin
        .property::<Option<WebRTCSessionDescription>>("local-description")
        .context("webrtcbin lost its offer")?;
    Ok(full.sdp().as_text()?)
}

fn answer(bin: &gst::Element, sdp: &str) -> Result<()> {
    let message = gst_sdp::SDPMessage::parse_buffer(sdp.as_bytes()).context("the answer is no SDP")?;
    let answer = WebRTCSessionDescription::new(WebRTCSDPType::Answer, message);
    promised("answer", |promise| bin.emit_by_name::<()>("set-remote-description", &[&answer, &promise]))?;
    Ok(())
}

/// RTP caps of our video, payload type 96.
pub(super) fn video_caps() -> gst::caps::Builder<gst::caps::NoFeature> {
    gst::Caps::builder("application/x-rtp")
        .field("media", "video")
        .field("encoding-name", "H264")
        .field("payload", 96)
        .field("clock-rate", 90_000)
        .field("rtcp-fb-nack", true)
        .field("rtcp-fb-nack-pli", true)
        .field("rtcp-fb-ccm-fir", true)
        .field("rtcp-fb-transport-cc", true)
        .field("extmap-1", TWCC)
}

/// RTP caps of our sound, payload type 97.
pub(super) fn audio_caps() -> gst::caps::Builder<gst::caps::NoFeature> {
    gst::Caps::builder("application/x-rtp")
        .field("media", "audio")
        .field("encoding-name", "OPUS")
        .field("payload", 97)
        .field("clock-rate", 48_000)
        .field("encoding-params", "2")
        .field("rtcp-fb-transport-cc", true)
        .field("extmap-1", TWCC)
}
