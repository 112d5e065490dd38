//! The publish session: H.264 and Opus from their outlets into a webrtcbin.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use gst::prelude::*;
use gst_webrtc::{WebRTCRTPTransceiver, WebRTCRTPTransceiverDirection};

use super::encode;
use super::gcc::Control;
use super::outlet::Outlet;
use super::pipe::{self, Pipe};
use super::protocol::SessionId;
use super::session::{Setup, audio_caps, video_caps};
use super::sound;
use super::worker::Input;

/// Frames and packets of sound that may wait for a session that is slow: half a second.
const DEPTH: u64 = 15;

/// Taps on the outlets; dropping it takes them away.
#[derive(Debug)]
pub struct Publishing {
    id: SessionId,
    video: Arc<Outlet>,
    audio: Arc<Outlet>,
    control: Control,
}

impl Publishing {
    /// Lets the session sleep while nothing is sent.
    pub fn rest(&self) {
        self.control.rest();
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.video.untap(self.id);
        self.audio.untap(self.id);
    }
}

/// Puts both media into `bin`; they flow once `connected`.
///
/// # Errors
/// When an element is missing or webrtcbin refuses.
pub fn attach(
    setup: &Setup,
    id: SessionId,
    pipe: &Pipe,
    bin: &gst::Element,
    connected: &Arc<AtomicBool>,
) -> Result<Publishing> {
    let inbox = setup.inbox.clone();
    let control = Control::install(bin, &setup.settings.video, move |bps| {
        let _ = inbox.send(Input::Target { session: id, bps });
    });

    let video = pipe::source("h264", &encode::h264(), DEPTH);
    // No profile-level-id here: x264enc's differs from any we could name, and the payloader then finds no caps.
    let payload = pipe::make(
        "rtph264pay",
        &[("config-interval", "-1"), ("aggregate-mode", "zero-latency"), ("mtu", "1200"), ("pt", "96")],
    )?;
    pipe.chain(&[video.upcast_ref(), &payload])?;
    join(pipe, bin, &payload, video_caps().field("packetization-mode", "1"), true)?;
    // Key-frame requests travel against the stream; this is as far as they get by themselves.
    let keys = Arc::clone(&setup.keys);
    if let Some(pad) = video.static_pad("src") {
        pad.add_probe(gst::PadProbeType::EVENT_UPSTREAM, move |_, info| {
            if info.event().is_some_and(|event| gst_video::ForceKeyUnitEvent::is(event)) {
                keys.want();
            }
            gst::PadProbeReturn::Ok
        });
    }

    let audio = pipe::source("opus", &sound::opus(), DEPTH);
    let payload = pipe::make("rtpopuspay", &[("pt", "97"), ("mtu", "1200")])?;
    pipe.chain(&[audio.upcast_ref(), &payload])?;
    // An offer of audio RTX is one that Chromium refuses.
    join(pipe, bin, &payload, audio_caps(), false)?;

    let (up, keys, counters) = (Arc::clone(connected), Arc::clone(&setup.keys), Arc::clone(&setup.counters));
    let waker = control.clone();
    let mut flows = false;
    setup.video.tap(id, move |buffer| {
        if !up.load(Ordering::Acquire) {
            return;
        }
        if !flows {
            // The first frame of a session is a key frame.
            if buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) {
                keys.want();
                return;
            }
            flows = true;
        }
        waker.wake();
        counters.sent.fetch_add(1, Ordering::Relaxed);
        let _ = video.push_buffer(buffer.clone());
    });
    let (up, waker) = (Arc::clone(connected), control.clone());
    setup.audio.tap(id, move |buffer| {
        if up.load(Ordering::Acquire) {
            waker.wake();
            let _ = audio.push_buffer(buffer.clone());
        }
    });
    Ok(Publishing { id, video: Arc::clone(&setup.video), audio: Arc::clone(&setup.audio), control })
}

/// Requests a sink pad with caps, so that an offer can be made before there is media.
fn join(
    pipe: &Pipe,
    bin: &gst::Element,
    payload: &gst::Element,
    caps: gst::caps::Builder<gst::caps::NoFeature>,
    repeats: bool,
) -> Result<()> {
    // Servers tell media apart by the SSRC in the offer.
    let ssrc = gst::glib::random_int();
    payload.set_property("ssrc", ssrc);
    let caps = &caps.field("ssrc", ssrc).build();
    let template = bin.pad_template("sink_%u").context("webrtcbin has no sink pads")?;
    let pad = bin.request_pad(&template, None, Some(caps)).context("webrtcbin gives no sink pad")?;
    let transceiver = pad.property::<WebRTCRTPTransceiver>("transceiver");
    transceiver.set_property("codec-preferences", caps);
    transceiver.set_property("direction", WebRTCRTPTransceiverDirection::Sendonly);
    transceiver.set_property("do-nack", repeats);
    let out = payload.static_pad("src").context("the payloader has no pad")?;
    out.link(&pad).context("the payloader does not fit webrtcbin")?;
    // The RTP session's way out exists once the first packet is here; only then can it learn the latency, without
    // which it knows no send times, and congestion control sees nonsense.
    let pipeline = pipe.pipeline().downgrade();
    out.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST, move |_, _| {
        if let Some(pipeline) = pipeline.upgrade() {
            pipeline.call_async(|pipeline| {
                let _ = pipeline.recalculate_latency();
            });
        }
        gst::PadProbeReturn::Remove
    });
    Ok(())
}
