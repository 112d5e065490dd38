//! Real webrtcbin publishes through the relay to another webrtcbin; frames are counted after its decoder.
#![cfg(all(feature = "roomservice", feature = "kiosk"))]
#![allow(missing_docs, clippy::unwrap_used)]

mod relay_support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use relay_support::{PATIENCE, Peer, Server, eventually};

const TWCC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

struct Client {
    pipeline: gst::Pipeline,
    pictures: Arc<AtomicU64>,
    sounds: Arc<AtomicU64>,
    resource: String,
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

impl Client {
    /// A test picture and a tone, H.264 and Opus.
    fn publish(server: &Server, stream: &str, token: &str) -> Self {
        Self::publish_behind(server, stream, token, false)
    }

    /// The same behind two valves, which may be shut.
    fn publish_behind(server: &Server, stream: &str, token: &str, shut: bool) -> Self {
        gst::init().unwrap();
        let description = format!(
            "webrtcbin name=w bundle-policy=max-bundle \
             videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=480,framerate=30/1 ! valve name=v drop={shut} ! openh264enc usage-type=camera bitrate=1000000 gop-size=300 \
             ! h264parse ! rtph264pay config-interval=-1 aggregate-mode=zero-latency mtu=1200 pt=96 \
             ! application/x-rtp,media=video,encoding-name=H264,payload=96,extmap-1={TWCC},rtcp-fb-transport-cc=true,rtcp-fb-nack-pli=true \
             ! queue ! w.sink_0 \
             audiotestsrc is-live=true wave=sine ! valve name=a drop={shut} ! opusenc ! rtpopuspay pt=111 \
             ! application/x-rtp,media=audio,encoding-name=OPUS,payload=111,extmap-1={TWCC},rtcp-fb-transport-cc=true ! queue ! w.sink_1"
        );
        let pipeline = gst::parse::launch(&description).unwrap().downcast::<gst::Pipeline>().unwrap();
        let bin = pipeline.by_name("w").unwrap();
        let video =
            bin.static_pad("sink_0").unwrap().property::<gst_webrtc::WebRTCRTPTransceiver>("transceiver");
        video.set_property("do-nack", true);
        for pad in ["sink_0", "sink_1"] {
            let transceiver =
                bin.static_pad(pad).unwrap().property::<gst_webrtc::WebRTCRTPTransceiver>("transceiver");
            transceiver.set_property("direction", gst_webrtc::WebRTCRTPTransceiverDirection::Sendonly);
        }
        Self::connect(pipeline, server, &format!("/whip/{stream}"), token)
    }

    fn play(server: &Server, stream: &str, token: &str) -> Self {
        gst::init().unwrap();
        let pipeline = gst::Pipeline::new();
        let webrtc = gst::parse::launch("webrtcbin name=w bundle-policy=max-bundle latency=50").unwrap();
        pipeline.add(&webrtc).unwrap();
        let bin = pipeline.by_name("w").unwrap();
        let video: gst::Caps = format!(
            "application/x-rtp,media=video,encoding-name=H264,payload=102,clock-rate=90000,packetization-mode=(string)1,\
             profile-level-id=(string)42e01f,level-asymmetry-allowed=(string)1,rtcp-fb-nack-pli=true,rtcp-fb-ccm-fir=true,rtcp-fb-transport-cc=true,extmap-1={TWCC}"
        )
        .parse()
        .unwrap();
        let audio: gst::Caps = format!(
            "application/x-rtp,media=audio,encoding-name=OPUS,payload=111,clock-rate=48000,encoding-params=(string)2,rtcp-fb-transport-cc=true,extmap-1={TWCC}"
        )
        .parse()
        .unwrap();
        for (caps, nack) in [(video, true), (audio, false)] {
            let transceiver: gst_webrtc::WebRTCRTPTransceiver = bin.emit_by_name(
                "add-transceiver",
                &[&gst_webrtc::WebRTCRTPTransceiverDirection::Recvonly, &caps],
            );
            transceiver.set_property("do-nack", nack);
        }
        Self::connect(pipeline, server, &format!("/whep/{stream}"), token)
    }

    fn connect(pipeline: gst::Pipeline, server: &Server, path: &str, token: &str) -> Self {
        let bin = pipeline.by_name("w").unwrap();
        let ice: gst::glib::Object = bin.property("ice-agent");
        let agent: glib::Object = ice.property("agent");
        agent.set_property("upnp", false);
        agent.set_property("ice-tcp", false);
        ice.emit_by_name::<bool>("add-local-ip-address", &[&"127.0.0.1"]);

        let (pictures, sounds) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (weak, video, audio) = (pipeline.downgrade(), pictures.clone(), sounds.clone());
        bin.connect_pad_added(move |_, pad| {
            let Some(pipeline) = weak.upgrade().filter(|_| pad.direction() == gst::PadDirection::Src) else { return };
            let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            let is_video = caps.structure(0).unwrap().get::<String>("media").unwrap() == "video";
            let (chain, counter) = if is_video {
                ("queue ! rtph264depay request-keyframe=true wait-for-keyframe=true ! h264parse ! openh264dec ! fakesink sync=false signal-handoffs=true name=s", &video)
            } else {
                ("queue ! rtpopusdepay ! opusdec ! fakesink sync=false signal-handoffs=true name=s", &audio)
            };
            let branch = gst::parse::bin_from_description(chain, true).unwrap();
            let counter = counter.clone();
            branch.by_name("s").unwrap().connect("handoff", false, move |_| {
                counter.fetch_add(1, Ordering::Relaxed);
                None
            });
            pipeline.add(&branch).unwrap();
            branch.sync_state_with_parent().unwrap();
            pad.link(&branch.static_pad("sink").unwrap()).unwrap();
        });

        let (done, gathered) = mpsc::channel();
        bin.connect_notify(Some("ice-gathering-state"), move |bin, _| {
            if bin.property::<gst_webrtc::WebRTCICEGatheringState>("ice-gathering-state")
                == gst_webrtc::WebRTCICEGatheringState::Complete
            {
                let _ = done.send(());
            }
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        let (made, offer) = mpsc::channel();
        let promise = gst::Promise::with_change_func(move |reply| {
            let offer = reply.unwrap().unwrap().get::<gst_webrtc::WebRTCSessionDescription>("offer").unwrap();
            let _ = made.send(offer);
        });
        bin.emit_by_name::<()>("create-offer", &[&None::<gst::Structure>, &promise]);
        let offer = offer.recv_timeout(PATIENCE).unwrap();
        bin.emit_by_name::<()>("set-local-description", &[&offer, &None::<gst::Promise>]);
        gathered.recv_timeout(PATIENCE).unwrap();
        let local = bin.property::<gst_webrtc::WebRTCSessionDescription>("local-description");
        let text = local.sdp().as_text().unwrap();
        let reply = server.post(path, token, &text);
        assert_eq!(reply.status, 201, "{}", reply.body);
        let sdp = gst_sdp::SDPMessage::parse_buffer(reply.body.as_bytes()).unwrap();
        let answer = gst_webrtc::WebRTCSessionDescription::new(gst_webrtc::WebRTCSDPType::Answer, sdp);
        bin.emit_by_name::<()>("set-remote-description", &[&answer, &None::<gst::Promise>]);
        Self { pipeline, pictures, sounds, resource: reply.location() }
    }

    fn pictures(&self) -> u64 {
        self.pictures.load(Ordering::Relaxed)
    }
}

#[test]
fn webrtcbin_publishes_and_webrtcbin_plays() {
    let server = Server::start();
    let publisher = Client::publish(&server, "ann-1", "ann");
    let player = Client::play(&server, "ann-1", "bob");
    let start = Instant::now();
    eventually("a decoded picture", || player.pictures() > 0);
    println!("first decoded picture after {} ms", start.elapsed().as_millis());
    eventually("five seconds of pictures", || player.pictures() >= 150);
    let took = start.elapsed();
    println!("150 pictures after {} ms, {} sounds", took.as_millis(), player.sounds.load(Ordering::Relaxed));
    assert!(took.as_secs_f64() < 9.0, "pictures came too slowly: {took:?}");
    assert!(player.sounds.load(Ordering::Relaxed) > 150);
    assert_eq!(server.delete(&player.resource, "bob"), 200);
    assert_eq!(server.delete(&publisher.resource, "ann"), 200);
    assert!(server.relay.sessions().is_empty());
}

#[test]
fn a_second_publisher_takes_over_under_webrtcbin() {
    let server = Server::start();
    let first = Client::publish(&server, "ann-1", "ann");
    let player = Client::play(&server, "ann-1", "bob");
    eventually("pictures of the first publisher", || player.pictures() >= 30);
    drop(first);
    let second = Client::publish(&server, "ann-1", "ann");
    let before = player.pictures();
    eventually("pictures of the second publisher", || player.pictures() >= before + 60);
    drop(second);
}

#[test]
fn a_webrtcbin_that_was_silent_for_long_is_heard_when_it_speaks() {
    let server = Server::start();
    let publisher = Client::publish_behind(&server, "ann-1", "ann", true);
    let player = Client::play(&server, "ann-1", "bob");
    eventually("both connected", || server.relay.sessions().iter().all(|s| s.connected));
    std::thread::sleep(Duration::from_secs(40));
    let sessions = server.relay.sessions();
    assert_eq!(sessions.len(), 2, "a silent client was given up: {sessions:?}");
    for valve in ["v", "a"] {
        publisher.pipeline.by_name(valve).unwrap().set_property("drop", false);
    }
    eventually("pictures and sound", || {
        player.pictures() >= 30 && player.sounds.load(Ordering::Relaxed) > 30
    });
}

#[test]
fn a_str0m_client_sees_webrtcbin() {
    let server = Server::start();
    let publisher = Client::publish(&server, "ann-1", "ann");
    let player = Peer::play(&server, "ann-1", "bob");
    player.wait_for_frames(30);
    assert!(player.frames()[0].key);
    drop(publisher);
}
