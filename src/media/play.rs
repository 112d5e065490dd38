//! A play session: one member's media out of a webrtcbin, decoded, measured, shown and heard.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use gst::prelude::*;
use gst_video::prelude::*;
use gst_webrtc::{WebRTCRTPTransceiver, WebRTCRTPTransceiverDirection};

use super::codec::decoder_watch::Seen;
use super::door::Door;
use super::pipe::{self, Pipe};
use super::plugins;
use super::protocol::{Event, Member, Player, SessionId};
use super::session::{Setup, audio_caps, video_caps};
use super::sound::{self, Voice};
use super::stats::{self, Meter, Watch};
use super::worker::Input;

/// How long a missing packet is waited for. Packets in order are handed on at once, since no sink waits for the
/// clock: this is room for repeats, not delay.
pub const LATENCY_MS: u32 = 200;

/// How often RTCP reports may go out, nanoseconds: a small part of what a packet may be late.
const REPORT_NS: u64 = 30_000_000;
/// The bandwidth of which reports may take a twentieth.
const REPORTED_BPS: f64 = 2_000_000.0;

/// What is known of a member's media.
#[derive(Debug)]
pub struct Playing {
    session: SessionId,
    state: Mutex<State>,
    fed: Arc<AtomicU64>,
    given: AtomicU64,
    /// The decoder is getting ready.
    starting: AtomicBool,
    /// A picture is being shown: what takes its time is not the decoder.
    showing: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    member: Member,
    watch: Watch,
    meter: Meter,
    seen: bool,
    heard: bool,
    decoder: Option<Decoder>,
    speaker: Option<Voice>,
}

/// The decoder of a member's pictures.
#[derive(Debug)]
struct Decoder {
    element: &'static str,
    door: Door,
}

impl Playing {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(session: SessionId) -> Self {
        Self {
            session,
            state: Mutex::default(),
            fed: Arc::default(),
            given: AtomicU64::new(0),
            starting: AtomicBool::new(false),
            showing: AtomicBool::new(false),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The decoder's element, once there is something to decode.
    #[must_use]
    pub fn decoder(&self) -> Option<&'static str> {
        self.state().decoder.as_ref().map(|decoder| decoder.element)
    }

    /// What is seen of the decoder.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let busy = self.state().decoder.as_ref().is_some_and(|decoder| decoder.door.is_busy());
        Seen {
            starting: self.starting.load(Ordering::Acquire),
            fed: self.fed.load(Ordering::Relaxed),
            given: self.given.load(Ordering::Relaxed),
            inside: busy && !self.showing.load(Ordering::Acquire),
        }
    }

    /// Says whose media it is.
    pub fn name(&self, member: Member) {
        self.state().member = member;
    }

    /// Whose media it is.
    #[must_use]
    pub fn member(&self) -> Member {
        self.state().member.clone()
    }

    /// Sends the member's sound there from now on.
    pub fn speak(&self, speaker: Option<Voice>) {
        self.state().speaker = speaker;
    }

    /// Whether its sound goes anywhere.
    #[must_use]
    pub fn speaks(&self) -> bool {
        self.state().speaker.is_some()
    }

    /// The report of the last second.
    #[must_use]
    pub fn report(&self) -> Player {
        let mut state = self.state();
        let mut player = stats::blank(self.session, &state.member.user_id);
        state.watch.report(&mut player);
        state.meter.report(&mut player);
        player
    }

    /// Measures a decoded frame; whether it is the first.
    fn frame(&self, frame: &gst_video::VideoFrameRef<&gst::BufferRef>) -> bool {
        let mut state = self.state();
        if let Ok(luma) = frame.plane_data(0) {
            let (width, height) = (frame.width() as usize, frame.height() as usize);
            state.watch.frame(luma, frame.plane_stride()[0].unsigned_abs() as usize, width, height);
        }
        !std::mem::replace(&mut state.seen, true)
    }

    /// Measures decoded sound and hands it on; whether it is the first.
    fn sound(&self, buffer: &gst::Buffer) -> bool {
        let mut state = self.state();
        if let Ok(data) = buffer.map_readable() {
            let samples: Vec<i16> =
                data.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
            state.meter.sound(&samples);
            if let Some(speaker) = &state.speaker {
                speaker.push(&samples);
            }
        }
        !std::mem::replace(&mut state.heard, true)
    }
}

/// Asks `bin` for one video and one sound, and decodes them when they come.
///
/// # Errors
/// When webrtcbin refuses.
pub fn attach(
    setup: &Setup,
    id: SessionId,
    pipe: &Pipe,
    bin: &gst::Element,
    playing: &Arc<Playing>,
) -> Result<()> {
    let video = video_caps()
        .field("packetization-mode", "1")
        .field("profile-level-id", "42e01f")
        .field("level-asymmetry-allowed", "1")
        .build();
    for (caps, repeats) in [(video, true), (audio_caps().build(), false)] {
        let transceiver = bin.emit_by_name::<WebRTCRTPTransceiver>(
            "add-transceiver",
            &[&WebRTCRTPTransceiverDirection::Recvonly, &caps],
        );
        transceiver.set_property("do-nack", repeats);
    }
    if let Ok(bin) = bin.clone().downcast::<gst::Bin>() {
        bin.connect_deep_element_added(|_, _, element| {
            if element.factory().is_some_and(|factory| factory.name() == "rtpjitterbuffer") {
                hasten(element);
            }
        });
    }
    let (setup, playing) = (setup.clone(), Arc::clone(playing));
    let pipeline = pipe.pipeline().downgrade();
    bin.connect_pad_added(move |bin, pad| {
        let Some(pipeline) = pipeline.upgrade() else { return };
        if pad.direction() != gst::PadDirection::Src {
            return;
        }
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let media = caps.structure(0).and_then(|caps| caps.get::<String>("media").ok()).unwrap_or_default();
        let done = if media == "video" {
            repeat(bin, pad);
            report_often(bin);
            playing.starting.store(true, Ordering::Release);
            let done = video_out(&setup, id, &pipeline, pad, &playing);
            playing.starting.store(false, Ordering::Release);
            done
        } else {
            audio_out(&setup, id, &pipeline, pad, &playing)
        };
        if let Err(error) = done {
            let reason = format!("no {media} of session {id}: {error:#}");
            let _ = setup.inbox.send(Input::Event(Event::Lost { session: id, reason }));
        }
    });
    Ok(())
}

/// Lets a jitter buffer give its first packets at once.
fn hasten(buffer: &gst::Element) {
    if buffer.find_property("faststart-min-packets").is_some() {
        buffer.set_property("faststart-min-packets", 1u32);
    }
}

/// Switches retransmission on for the video that comes out of `pad`. With bundling, webrtcbin 1.22 sets every jitter
/// buffer for every transceiver in turn, so that sound, which has none, switches it off.
fn repeat(bin: &gst::Element, pad: &gst::Pad) {
    // webrtcbin's pad stands for rtpbin's, whose name tells session, SSRC and payload type.
    let inner = pad.downcast_ref::<gst::GhostPad>().and_then(gst::GhostPad::target);
    let ssrc: Option<u32> = inner.and_then(|pad| pad.name().rsplit('_').nth(1)?.parse().ok());
    let buffers =
        bin.downcast_ref::<gst::Bin>().map(|bin| bin.iterate_all_by_element_factory_name("rtpjitterbuffer"));
    for buffer in buffers.into_iter().flatten().flatten() {
        let caps = buffer.static_pad("src").and_then(|pad| pad.current_caps());
        let its = caps.as_ref().and_then(|caps| caps.structure(0)?.get::<u32>("ssrc").ok());
        if its.is_some() && its == ssrc {
            buffer.set_property("do-retransmission", true);
            return;
        }
    }
    log::warn!("no jitter buffer of the video found ({ssrc:?}): lost packets stay lost");
}

/// Lets reports, and with them requests for lost packets, go out more often: RTP sessions hold back a request that
/// follows another until the next report, every five seconds by default.
fn report_often(bin: &gst::Element) {
    let rtp = bin.downcast_ref::<gst::Bin>().and_then(|bin| bin.by_name("rtpbin"));
    let Some(session) =
        rtp.and_then(|rtp| rtp.emit_by_name::<Option<gst::glib::Object>>("get-internal-session", &[&0u32]))
    else {
        log::warn!("the RTP session is not found: lost packets are asked for late");
        return;
    };
    session.set_property("rtcp-min-interval", REPORT_NS);
    session.set_property("bandwidth", REPORTED_BPS);
}

fn place(pipeline: &gst::Pipeline, pad: &gst::Pad, elements: &[&gst::Element]) -> Result<()> {
    pipeline.add_many(elements.iter().copied())?;
    gst::Element::link_many(elements.iter().copied())?;
    for element in elements.iter().rev() {
        element.sync_state_with_parent()?;
    }
    let into = elements.first().and_then(|first| first.static_pad("sink")).context("nothing to link to")?;
    pad.link(&into)?;
    Ok(())
}

fn video_out(
    setup: &Setup,
    id: SessionId,
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    playing: &Arc<Playing>,
) -> Result<()> {
    let unpack = pipe::make("rtph264depay", &[("request-keyframe", "true"), ("wait-for-keyframe", "true")])?;
    // Decoders want to know profile and size beforehand.
    let parse = plugins::element("videoparsersbad", "h264parse")?;
    let row = *setup.decoder.lock().unwrap_or_else(PoisonError::into_inner);
    let door = Door::new(&parse.static_pad("src").context("h264parse has no source pad")?);
    playing.state().decoder = Some(Decoder { element: row.element, door });
    let made = row.make(&setup.settings.video.fake)?;
    let counters = Arc::clone(&setup.counters);
    if let Some(door) = made.codec.static_pad("sink") {
        let (fed, counters) = (Arc::clone(&playing.fed), Arc::clone(&counters));
        door.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            fed.fetch_add(1, Ordering::Relaxed);
            counters.received.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
    }
    let (inbox, screen) = (setup.inbox.clone(), setup.screen.clone());
    let mut known: Option<(gst::Caps, gst_video::VideoInfo)> = None;
    let raw = gst::Caps::new_empty_simple("video/x-raw");
    let shown = Arc::clone(playing);
    let mut show = move |sample: &gst::Sample| {
        let (Some(buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else { return };
        if known.as_ref().is_none_or(|(before, _)| *before != caps) {
            known = gst_video::VideoInfo::from_caps(&caps).ok().map(|info| (caps, info));
        }
        let Some((_, info)) = &known else { return };
        shown.given.fetch_add(1, Ordering::Relaxed);
        let Ok(frame) = gst_video::VideoFrameRef::from_buffer_ref_readable(&buffer, info) else { return };
        let first = shown.frame(&frame);
        drop(frame);
        screen.member(id, &buffer, info);
        if first {
            let _ = inbox.send(Input::Event(Event::FirstFrame { session: id }));
        }
    };
    let playing = Arc::clone(playing);
    let sink = pipe::sink("frames", Some(&raw), move |sample| {
        counters.decoded.fetch_add(1, Ordering::Relaxed);
        playing.showing.store(true, Ordering::Release);
        show(sample);
        playing.showing.store(false, Ordering::Release);
    });
    let mut elements = vec![&unpack, &parse];
    elements.extend(&made.elements);
    elements.push(sink.upcast_ref());
    place(pipeline, pad, &elements)
}

fn audio_out(
    setup: &Setup,
    id: SessionId,
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    playing: &Arc<Playing>,
) -> Result<()> {
    let unpack = pipe::make("rtpopusdepay", &[])?;
    let decode = pipe::make("opusdec", &[("plc", "true"), ("use-inband-fec", "true")])?;
    let (playing, inbox) = (Arc::clone(playing), setup.inbox.clone());
    let sink = pipe::sink("sound", Some(&sound::raw()), move |sample| {
        let Some(buffer) = sample.buffer_owned() else { return };
        if playing.sound(&buffer) {
            let _ = inbox.send(Input::Event(Event::FirstSound { session: id }));
        }
    });
    place(pipeline, pad, &[&unpack, &decode, sink.upcast_ref()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::door::tests::Held;

    #[test]
    fn a_decoder_is_at_a_frame_only_while_what_it_gave_is_not_being_shown() {
        let mut held = Held::new();
        let playing = Playing::new(1);
        assert_eq!(playing.seen(), Seen::default(), "nothing to decode yet");
        playing.state().decoder = Some(Decoder { element: "openh264dec", door: Door::new(&held.out) });
        assert!(!playing.seen().inside);
        held.push();
        assert!(playing.seen().inside);
        // A screen that hangs is not the decoder's fault.
        playing.showing.store(true, Ordering::Release);
        assert!(!playing.seen().inside);
        playing.showing.store(false, Ordering::Release);
        held.let_go();
        assert!(!playing.seen().inside);
    }
}
