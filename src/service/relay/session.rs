//! One WHIP or WHEP session: an [`Rtc`], its tracks, and what is known of its client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use str0m::bwe::{Bitrate, BweKind};
use str0m::change::SdpOffer;
use str0m::media::KeyframeRequestKind;
use str0m::net::{DatagramRecv, Protocol, Receive};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite};
use str0m::{Event, Input, Output, Rtc, RtcError};

use super::answer::{Answered, MEASURE_EVERY};
use super::capacity::{Capacity, Second};
use super::clock::{Clock, Kind};
use super::directory::Admitted;
use super::forward::{Forward, Incoming, Source, is_entry};
use super::offer::{Bad, Plan, Role, Track};

/// A client that has not connected by then never will.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// A client that says nothing for this long is gone. Browsers check every few seconds (RFC 7675), but libnice 0.1.21, as
/// webrtcbin uses it, sends a silent publisher's keepalives only every 25 s.
const SILENCE: Duration = Duration::from_secs(32);
/// A stream that flowed this recently keeps its SSRC.
const SSRC_CHANGE: Duration = Duration::from_millis(500);
/// How long str0m answers NACKs from memory: longer than any player waits.
const RESEND_MEMORY: Duration = Duration::from_secs(2);
/// str0m's send buffer is 2000 bytes; headers, RTX and SRTP need some of it. No sane client exceeds an Ethernet frame.
const MAX_PAYLOAD: usize = 1460;
/// Said to a publisher when no player limits it any more.
const UNLIMITED: f64 = 100_000_000.0;
/// Past deadlines of str0m are housekeeping that can wait for the next packet.
const HOUSEKEEPING: Duration = Duration::from_millis(10);
/// More outputs in a row than any input causes.
const MAX_OUTPUTS: usize = 4096;

/// Where outgoing datagrams go.
pub(super) type Sink<'a> = dyn FnMut(SocketAddr, &[u8]) + 'a;

/// What a session wants the rest of the relay to know after it was driven.
#[derive(Debug, Default)]
pub(super) struct Happened {
    /// Media from a publisher.
    pub(super) packets: Vec<RtpPacket>,
    /// A player asks for a key frame.
    pub(super) key_frame: Option<KeyframeRequestKind>,
    /// The session just became able to carry media.
    pub(super) connected: bool,
    /// A player's limit was looked at.
    pub(super) measured: bool,
}

/// A player's end of one track.
#[derive(Debug)]
struct Out {
    track: Track,
    forward: Forward,
}

/// A session in the loop.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: u64,
    pub(super) role: Role,
    pub(super) stream: Arc<str>,
    /// Remote addresses that belong to this session, oldest first.
    pub(super) addresses: Vec<SocketAddr>,
    /// The local ICE user fragment by which checks find the session.
    pub(super) ufrag: String,
    /// When the session wants to be driven next; the loop's timer entry.
    pub(super) wake: Instant,
    pub(super) admitted: Admitted,
    rtc: Rtc,
    plan: Plan,
    locals: Vec<SocketAddr>,
    born: Instant,
    heard: Instant,
    audio_at: Option<Instant>,
    video_at: Option<Instant>,
    connected: bool,
    closed: bool,
    clock: Clock,
    audio_out: Option<Out>,
    video_out: Option<Out>,
    capacity: Capacity,
    measured: Measured,
}

/// What a player's feedback said, until the second is over.
#[derive(Debug, Default)]
struct Measured {
    sent: u64,
    reported_loss: Option<f64>,
    reported_round_trip: Option<Duration>,
    /// The player's own estimate (REMB), and ours; bits a second.
    told: Option<f64>,
    limit: Option<f64>,
}

impl Session {
    pub(super) fn new(
        role: Role,
        stream: &str,
        admitted: Admitted,
        answered: Answered,
        now: Instant,
    ) -> Self {
        let Answered { mut rtc, plan, locals, .. } = answered;
        // Low, so that the first packets cannot roll over before the player has locked on (RFC 3711 section 3.3.1).
        let first = 1000 + (admitted.id % 8000);
        let out = |track: &Option<Track>, kind: Kind| {
            let track = track.clone().filter(|_| role == Role::Player)?;
            Some(Out { track, forward: Forward::new(kind.rate(), kind == Kind::Video, first) })
        };
        let audio_out = out(&plan.audio, Kind::Audio);
        let video_out = out(&plan.video, Kind::Video);
        if let Some(video) = &video_out
            && let Some(stream) = rtc.direct_api().stream_tx_by_mid(video.track.mid, None)
        {
            // str0m stops all resends when they exceed 15 % of what is sent; a radio link needs more than that.
            stream.set_rtx_cache(1024, RESEND_MEMORY, Some(0.5));
        }
        let ufrag = rtc.direct_api().local_ice_credentials().ufrag;
        Self {
            id: admitted.id,
            role,
            stream: stream.into(),
            addresses: vec![],
            ufrag,
            wake: now,
            admitted,
            rtc,
            plan,
            locals,
            born: now,
            heard: now,
            audio_at: None,
            video_at: None,
            connected: false,
            closed: false,
            clock: Clock::default(),
            audio_out,
            video_out,
            capacity: Capacity::default(),
            measured: Measured::default(),
        }
    }

    /// Whether the session is of no more use, and why.
    pub(super) fn dead(&self, now: Instant) -> Option<&'static str> {
        if self.closed || !self.rtc.is_alive() {
            Some("closed by the client")
        } else if !self.connected && now.saturating_duration_since(self.born) >= CONNECT_WITHIN {
            Some("did not connect within 15 s")
        } else if now.saturating_duration_since(self.heard) >= SILENCE {
            Some("silent for 32 s")
        } else {
            None
        }
    }

    /// Whether this datagram, a STUN request with our user fragment, is really from the session's client.
    pub(super) fn accepts(&self, from: SocketAddr, datagram: &[u8], now: Instant) -> bool {
        self.receive(from, datagram).is_some_and(|receive| self.rtc.accepts(&Input::Receive(now, receive)))
    }

    fn receive<'a>(&self, source: SocketAddr, datagram: &'a [u8]) -> Option<Receive<'a>> {
        let contents = DatagramRecv::try_from(datagram).ok()?;
        // One socket serves all candidates: say it came in by the one that is likest the sender's address.
        let same_family = self.locals.iter().filter(|l| l.is_ipv4() == source.is_ipv4());
        let destination =
            same_family.clone().find(|l| l.ip() == source.ip()).or_else(|| same_family.clone().next())?;
        Some(Receive { proto: Protocol::Udp, source, destination: *destination, contents })
    }

    /// Takes a datagram of the client.
    pub(super) fn datagram(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Instant,
    ) -> Result<(), RtcError> {
        let counters = &self.admitted.counters;
        counters.packets_in.fetch_add(1, Ordering::Relaxed);
        counters.bytes_in.fetch_add(datagram.len() as u64, Ordering::Relaxed);
        self.heard = now;
        if self.role == Role::Publisher && self.connected {
            self.learn(datagram, now);
        }
        match self.receive(from, datagram) {
            Some(receive) => self.rtc.handle_input(Input::Receive(now, receive)),
            None => Ok(()),
        }
    }

    /// Finds the SSRCs of a publisher that neither announces them nor marks its packets with the mid, as a webrtcbin
    /// that was connected before its encoder ran: by their payload types, which differ within a bundle.
    fn learn(&mut self, datagram: &[u8], now: Instant) {
        let [0x80..=0xbf, pt, _, _, _, _, _, _, s0, s1, s2, s3, ..] = datagram else { return };
        let (pt, ssrc) = (pt & 0x7f, u32::from_be_bytes([*s0, *s1, *s2, *s3]));
        let taken = [&self.plan.video, &self.plan.audio]
            .into_iter()
            .flatten()
            .any(|t| t.pt != pt && t.rtx != Some(pt) && (t.ssrc == Some(ssrc) || t.rtx_ssrc == Some(ssrc)));
        if taken || ssrc == 0 {
            return;
        }
        let tracks = [(&mut self.plan.video, self.video_at), (&mut self.plan.audio, self.audio_at)];
        for (track, at) in tracks {
            let Some(track) = track.as_mut().filter(|t| !t.by_mid) else { continue };
            let mut api = self.rtc.direct_api();
            if pt == track.pt {
                // Not authenticated yet: what flows is not given up for a new number.
                let flows = at.is_some_and(|at| now.saturating_duration_since(at) < SSRC_CHANGE);
                if track.ssrc == Some(ssrc) || flows {
                    return;
                }
                if let Some(old) = track.ssrc.replace(ssrc) {
                    api.remove_stream_rx(old.into());
                }
                track.rtx_ssrc = None;
                api.expect_stream_rx(ssrc.into(), None, track.mid, None).suppress_nack(!track.nack);
                return;
            }
            if Some(pt) == track.rtx {
                let Some(main) = track.ssrc.filter(|main| track.rtx_ssrc != Some(ssrc) && *main != ssrc)
                else {
                    return;
                };
                track.rtx_ssrc = Some(ssrc);
                api.expect_stream_rx(main.into(), Some(ssrc.into()), track.mid, None);
                return;
            }
        }
    }

    /// Lets time pass.
    pub(super) fn tick(&mut self, now: Instant) -> Result<(), RtcError> {
        self.rtc.handle_input(Input::Timeout(now))
    }

    /// Empties str0m's outputs, as it wants after every change, and sets `wake`.
    pub(super) fn drain(
        &mut self,
        now: Instant,
        sink: &mut Sink<'_>,
        happened: &mut Happened,
    ) -> Result<(), RtcError> {
        for _ in 0..MAX_OUTPUTS {
            match self.rtc.poll_output()? {
                Output::Transmit(transmit) => {
                    let counters = &self.admitted.counters;
                    counters.packets_out.fetch_add(1, Ordering::Relaxed);
                    counters.bytes_out.fetch_add(transmit.contents.len() as u64, Ordering::Relaxed);
                    sink(transmit.destination, &transmit.contents);
                }
                Output::Event(event) => self.event(event, now, happened),
                Output::Timeout(at) => {
                    self.wake = self.next_wake(at, now);
                    return Ok(());
                }
            }
        }
        log::error!("relay: session {} of {} has endless output and is ended", self.id, self.stream);
        self.closed = true;
        Ok(())
    }

    fn next_wake(&self, at: Instant, now: Instant) -> Instant {
        // A publisher without media asks to be woken for its NACKs 30 times a second; there is nothing to ask for.
        let idle = self.connected
            && self.role == Role::Publisher
            && self
                .audio_at
                .max(self.video_at)
                .is_none_or(|m| now.saturating_duration_since(m) > Duration::from_secs(3));
        let least = if idle { Duration::from_millis(250) } else { HOUSEKEEPING };
        let at = if at <= now || idle { at.max(now + least) } else { at };
        let limit = if self.connected { self.heard + SILENCE } else { self.born + CONNECT_WITHIN };
        // Never later than a second: orphaned players are found by their timers.
        at.min(limit.max(now + HOUSEKEEPING)).min(now + Duration::from_secs(1))
    }

    fn event(&mut self, event: Event, now: Instant, happened: &mut Happened) {
        match event {
            Event::Connected => {
                self.connected = true;
                happened.connected = true;
                self.admitted.counters.connected.store(true, Ordering::Relaxed);
                log::info!(
                    "relay: {:?} of {} connected after {} ms",
                    self.role,
                    self.stream,
                    (now - self.born).as_millis()
                );
            }
            Event::RtpPacket(packet) if self.role == Role::Publisher => {
                match self.kind(&packet) {
                    Some(Kind::Audio) => self.audio_at = Some(now),
                    Some(Kind::Video) => self.video_at = Some(now),
                    None => return,
                }
                if packet.payload.len() <= MAX_PAYLOAD {
                    happened.packets.push(packet);
                }
            }
            Event::IceConnectionStateChange(state) => {
                log::debug!(
                    "relay: ICE of {} is {state:?} after {} ms",
                    self.stream,
                    (now - self.born).as_millis()
                );
            }
            Event::SenderFeedback(report) => {
                let is = |track: &Option<Track>| track.as_ref().is_some_and(|t| t.mid == report.mid);
                let kind = if is(&self.plan.video) { Kind::Video } else { Kind::Audio };
                let info = report.sender_info;
                self.clock.report(kind, info.ntp_time, info.rtp_time.numer() as u32, report.received_at);
            }
            Event::KeyframeRequest(request) => {
                happened.key_frame = Some(match happened.key_frame {
                    Some(KeyframeRequestKind::Fir) => KeyframeRequestKind::Fir,
                    _ => request.kind,
                });
            }
            Event::EgressBitrateEstimate(BweKind::Remb { estimate, .. }) => {
                self.measured.told = Some(estimate.as_f64());
                happened.measured = true;
            }
            Event::MediaEgressStats(stats)
                if self.video_out.as_ref().is_some_and(|o| o.track.mid == stats.mid) =>
            {
                self.measured.reported_loss = stats.loss.map(f64::from);
                self.measured.reported_round_trip = stats.rtt;
            }
            Event::PeerStats(stats) => {
                let sent = stats.peer_bytes_tx.saturating_sub(self.measured.sent) as f64 * 8.0;
                self.measured.sent = stats.peer_bytes_tx;
                self.measured.limit = self.capacity.observe(Second {
                    sent: sent / MEASURE_EVERY.as_secs_f64(),
                    loss: stats.egress_loss_fraction.map(f64::from).or(self.measured.reported_loss),
                    round_trip: stats.rtt.or(self.measured.reported_round_trip),
                });
                happened.measured = true;
            }
            Event::Closed => self.closed = true,
            _ => {}
        }
    }

    /// Which track a publisher's packet belongs to.
    fn kind(&self, packet: &RtpPacket) -> Option<Kind> {
        let pt = packet.header.payload_type;
        let is = |track: &Option<Track>| track.as_ref().is_some_and(|t| t.pt == *pt);
        if is(&self.plan.video) {
            Some(Kind::Video)
        } else if is(&self.plan.audio) {
            Some(Kind::Audio)
        } else {
            None
        }
    }

    /// Describes a publisher's packet for the players: its track, its numbers, and when it was captured.
    pub(super) fn describe(&self, packet: &RtpPacket) -> Option<(Kind, Incoming, Instant)> {
        let kind = self.kind(packet)?;
        let incoming = Incoming {
            source: Source { session: self.id, ssrc: *packet.header.ssrc },
            sequence: *packet.seq_no,
            timestamp: packet.header.timestamp,
            entry: kind == Kind::Video && is_entry(&packet.payload),
        };
        Some((kind, incoming, self.clock.captured(kind, packet.header.timestamp, packet.timestamp)))
    }

    /// Whether a player waits for a key frame of this source.
    pub(super) fn wants_entry(&self, source: Source) -> bool {
        self.connected && self.video_out.as_ref().is_some_and(|out| out.forward.wants_entry(source))
    }

    /// Sends a publisher's packet to this player; `false` if it is not for it now.
    pub(super) fn forward(
        &mut self,
        kind: Kind,
        incoming: Incoming,
        packet: &RtpPacket,
        captured: Instant,
        now: Instant,
    ) -> Result<bool, RtcError> {
        if !self.connected {
            return Ok(false);
        }
        let out = match kind {
            Kind::Audio => &mut self.audio_out,
            Kind::Video => &mut self.video_out,
        };
        let Some(Out { track, forward }) = out else { return Ok(false) };
        let Some(numbers) = forward.map(incoming, now) else { return Ok(false) };
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(track.mid, None) else { return Ok(false) };
        let given = &packet.header.ext_vals;
        let ext_vals = ExtensionValues {
            audio_level: given.audio_level,
            voice_activity: given.voice_activity,
            video_orientation: given.video_orientation,
            ..ExtensionValues::default()
        };
        stream.write_rtp(
            RtpWrite::new(
                track.pt.into(),
                numbers.sequence.into(),
                numbers.timestamp,
                captured.min(now),
                packet.payload.clone(),
            )
            .marker(packet.header.marker)
            .nackable(track.rtx.is_some())
            .ext_vals(ext_vals),
        );
        self.tick(now)?;
        Ok(true)
    }

    /// Asks the publisher for a key frame; `false` while it has no video to ask for.
    pub(super) fn request_key_frame(
        &mut self,
        kind: KeyframeRequestKind,
        now: Instant,
    ) -> Result<bool, RtcError> {
        let Some(track) = self.plan.video.clone().filter(|_| self.connected) else { return Ok(false) };
        let kind = match kind {
            KeyframeRequestKind::Fir if track.fir => KeyframeRequestKind::Fir,
            _ if !track.pli && track.fir => KeyframeRequestKind::Fir,
            _ => KeyframeRequestKind::Pli,
        };
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_rx_by_mid(track.mid, None) else { return Ok(false) };
        stream.request_keyframe(kind);
        self.tick(now)?;
        Ok(true)
    }

    /// What a player can take, in bits a second.
    pub(super) fn limit(&self) -> f64 {
        let least = |limit: Option<f64>| limit.unwrap_or(f64::INFINITY);
        least(self.measured.told).min(least(self.measured.limit))
    }

    /// Tells the publisher what the slowest player can take (REMB).
    pub(super) fn set_limit(&mut self, limit: f64, now: Instant) -> Result<(), RtcError> {
        let Some(track) = self.plan.video.as_ref().filter(|_| self.connected) else { return Ok(()) };
        let mid = track.mid;
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, None) {
            stream.request_remb(Bitrate::bps(limit.min(UNLIMITED) as u64));
        }
        self.tick(now)
    }

    /// Starts ICE anew with the client's new credentials (RFC 9725 section 4.4.2 by way of str0m's re-offer).
    pub(super) fn restart(&mut self, ufrag: &str, pwd: &str) -> Result<(String, String), Bad> {
        let mut sdp = String::with_capacity(self.plan.sdp.len());
        for line in self.plan.sdp.lines() {
            if line.starts_with("a=ice-ufrag:") {
                sdp.push_str("a=ice-ufrag:");
                sdp.push_str(ufrag);
            } else if line.starts_with("a=ice-pwd:") {
                sdp.push_str("a=ice-pwd:");
                sdp.push_str(pwd);
            } else {
                sdp.push_str(line);
            }
            sdp.push_str("\r\n");
        }
        let offer = SdpOffer::from_sdp_string(&sdp).map_err(|e| Bad::Refused(e.to_string()))?;
        self.rtc.sdp_api().accept_offer(offer).map_err(|e| Bad::Refused(e.to_string()))?;
        self.plan.ufrag = ufrag.to_owned();
        self.plan.sdp = sdp;
        let local = self.rtc.direct_api().local_ice_credentials();
        self.ufrag.clone_from(&local.ufrag);
        Ok((local.ufrag, local.pass))
    }

    /// The client's current ICE user fragment.
    pub(super) fn remote_ufrag(&self) -> &str {
        &self.plan.ufrag
    }

    /// Says goodbye: RTCP BYE and DTLS close, so that the client need not find out by waiting.
    pub(super) fn close(&mut self, now: Instant, sink: &mut Sink<'_>) {
        let mut ignored = Happened::default();
        let _ =
            self.rtc.close().and_then(|()| self.tick(now)).and_then(|()| self.drain(now, sink, &mut ignored));
        self.closed = true;
    }
}
