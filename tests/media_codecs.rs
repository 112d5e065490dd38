//! The codec table against the elements themselves, as far as they can be had without their hardware.

#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Once;

use gst::prelude::*;
use rtcroom_kiosk::media::codec::{
    self, Bitrate, DECODERS, ENCODERS, Encoder, Level, Picture, Profile, Proof, Setting, trial,
};
use rtcroom_kiosk::media::protocol::{Fake, Plant, Settings};
use rtcroom_kiosk::media::{pipe, plugins, slice};

fn start() {
    static ONCE: Once = Once::new();
    // SAFETY: the other tests' threads wait here, and none has read the environment yet.
    ONCE.call_once(|| unsafe { plugins::start().unwrap() });
}

/// The element, if it can be made here.
fn element(plugin: &str, name: &str) -> Option<gst::Element> {
    plugins::element(plugin, name).ok()
}

fn has(element: &gst::Element, setting: &Setting) {
    let name = element.factory().unwrap().name();
    let pspec =
        element.find_property(setting.name).unwrap_or_else(|| panic!("{name} has no {}", setting.name));
    gst::glib::Value::deserialize_with_pspec(setting.value, &pspec)
        .unwrap_or_else(|_| panic!("{name} takes no {}={}", setting.name, setting.value));
}

#[test]
fn every_property_of_the_table_is_one_of_the_element() {
    start();
    let mut seen = Vec::new();
    for row in ENCODERS {
        let Some(element) = element(row.plugin, row.element) else { continue };
        seen.push(row.element);
        row.settings.iter().for_each(|setting| has(&element, setting));
        // The unit is what the element itself says.
        let (name, unit) = match row.bitrate {
            Bitrate::Bits(name, _) => (name, ["bits per second", "bps"]),
            Bitrate::Kilobits(name, _) => (name, ["kbit", "kbps"]),
            Bitrate::Control(..) => ("extra-controls", ["controls", "Controls"]),
        };
        let blurb = element.find_property(name).unwrap().blurb().unwrap_or_default().to_owned();
        assert!(unit.iter().any(|unit| blurb.contains(unit)), "{} {name}: {blurb}", row.element);
        if let Level::Property(name, _) = row.level {
            assert!(element.find_property(name).is_some(), "{} {name}", row.element);
        }
        if let Profile::Caps(_) = row.profile {
            let caps = element.pad_template("src").unwrap().caps().clone();
            let wanted = row.caps(&Picture { width: 640, height: 480, fps: 30 });
            assert!(caps.can_intersect(&wanted), "{}: {caps} and {wanted}", row.element);
        }
    }
    for row in DECODERS {
        let Some(element) = element(row.plugin, row.element) else { continue };
        seen.push(row.element);
        row.settings.iter().for_each(|setting| has(&element, setting));
    }
    println!("asked: {seen:?}");
    for needed in ["openh264enc", "x264enc", "openh264dec"] {
        assert!(seen.contains(&needed), "{needed} is not installed: boards/setup.sh run");
    }
}

#[test]
fn rows_that_never_ran_say_so() {
    start();
    let text = codec::inspect();
    for row in ENCODERS.iter().filter(|row| row.proof == Proof::Unverified) {
        let line = text.lines().find(|line| line.starts_with(&format!("encoder {}:", row.element))).unwrap();
        assert!(line.ends_with(", unverified"), "{line}");
    }
    assert!(text.contains("raspberrypi/linux #4740") && !text.contains("faulty"), "{text}");
    assert!(text.lines().any(|line| line == "encoder openh264enc: installed"), "{text}");
}

/// A picture full of noise: there is always more to encode than bits for it.
fn noise(info: &gst_video::VideoInfo, seed: &mut u32) -> gst::Buffer {
    let mut data = vec![128u8; info.size()];
    for byte in data.iter_mut().take((info.width() * info.height()) as usize) {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = 96 + (*seed >> 26) as u8;
    }
    gst::Buffer::from_slice(data)
}

/// Encodes as much as it is given; bits a second of the last two of three seconds, at each of the bitrates in turn.
fn measured(row: &Encoder, targets: &[u32]) -> Vec<u32> {
    let picture = Picture { width: 320, height: 240, fps: 30 };
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, picture.width, picture.height)
        .fps(gst::Fraction::new(30, 1))
        .build()
        .unwrap();
    let made = row.make(&picture, targets[0], &Fake::default()).unwrap();
    let input = pipe::source("noise", &info.to_caps().unwrap(), 8);
    let output = gst_app::AppSink::builder().caps(&row.caps(&picture)).sync(false).build();
    let pipeline = gst::Pipeline::new();
    let mut elements = vec![input.clone().upcast::<gst::Element>()];
    elements.extend(made.elements);
    elements.push(output.clone().upcast());
    pipeline.add_many(&elements).unwrap();
    gst::Element::link_many(&elements).unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let (mut seed, mut frame, mut rates) = (7, 0u64, Vec::new());
    for target in targets {
        row.set_bitrate(&made.codec, *target);
        let mut bytes = 0;
        for number in 0..90 {
            let mut buffer = noise(&info, &mut seed);
            let its = buffer.get_mut().unwrap();
            its.set_pts(gst::ClockTime::from_mseconds(frame * 1000 / 30));
            its.set_duration(gst::ClockTime::from_mseconds(33));
            frame += 1;
            input.push_buffer(buffer).unwrap();
            let sample = output.try_pull_sample(gst::ClockTime::from_seconds(10)).unwrap();
            if number >= 30 {
                bytes += sample.buffer().unwrap().size();
            }
        }
        rates.push((bytes * 8 / 2) as u32);
    }
    pipeline.set_state(gst::State::Null).unwrap();
    rates
}

#[test]
fn the_bitrate_that_is_set_while_it_runs_is_the_one_that_comes_out() {
    start();
    for name in ["openh264enc", "x264enc"] {
        let row = ENCODERS.iter().find(|row| row.element == name).unwrap();
        let targets = [1_000_000, 300_000, 1_500_000];
        let rates = measured(row, &targets);
        println!("{name}: {rates:?} of {targets:?}");
        for (rate, target) in rates.iter().zip(targets) {
            assert!((target * 6 / 10..target * 15 / 10).contains(rate), "{name}: {rates:?} of {targets:?}");
        }
    }
}

#[test]
fn a_key_frame_comes_when_it_is_asked_for_and_not_before() {
    start();
    for name in ["openh264enc", "x264enc"] {
        let row = ENCODERS.iter().find(|row| row.element == name).unwrap();
        let picture = Picture { width: 320, height: 240, fps: 30 };
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, 320, 240)
            .fps(gst::Fraction::new(30, 1))
            .build()
            .unwrap();
        let made = row.make(&picture, 500_000, &Fake::default()).unwrap();
        let input = pipe::source("noise", &info.to_caps().unwrap(), 8);
        let output = gst_app::AppSink::builder().caps(&row.caps(&picture)).sync(false).build();
        let pipeline = gst::Pipeline::new();
        let elements = [input.upcast_ref::<gst::Element>(), &made.codec, output.upcast_ref()];
        pipeline.add_many(elements).unwrap();
        gst::Element::link_many(elements).unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        let mut seed = 3;
        let mut intra = Vec::new();
        for frame in 0..60u64 {
            if frame == 40 {
                row.ask_key(&made.codec);
            }
            let mut buffer = noise(&info, &mut seed);
            buffer.get_mut().unwrap().set_pts(gst::ClockTime::from_mseconds(frame * 1000 / 30));
            input.push_buffer(buffer).unwrap();
            let sample = output.try_pull_sample(gst::ClockTime::from_seconds(10)).unwrap();
            if slice::is_intra(&sample.buffer().unwrap().map_readable().unwrap()) {
                intra.push(frame);
            }
        }
        pipeline.set_state(gst::State::Null).unwrap();
        assert_eq!(intra, [0, 40], "{name}");
    }
}

#[test]
fn a_trial_encodes_decodes_and_finds_the_pictures_again() {
    start();
    for name in ["openh264enc", "x264enc", "openh264dec"] {
        let done = trial::run(name, &Settings::default(), 30).unwrap();
        println!("{done:?}");
        assert!(done.decoded >= 30 && done.right >= 27 && done.intra <= 2, "{done:?}");
    }
}

#[test]
fn a_trial_of_a_bad_codec_says_what_it_did() {
    start();
    let tried = |element: &str, plant| {
        let mut settings = Settings::default();
        settings.video.fake = Fake { encoder: plant, decoder: plant, after_frames: 10 };
        format!("{:#}", trial::run(element, &settings, 30).unwrap_err())
    };
    let said = tried("faultyh264enc", Plant::HangInChain);
    assert!(said.contains("faultyh264enc") && said.contains("10 frames encoded"), "{said}");
    let said = tried("faultyh264enc", Plant::Error);
    assert!(said.contains("a fault was planted") || said.contains("faultyh264enc"), "{said}");
    let said = tried("faultyh264enc", Plant::OnlyKeyFrames);
    assert!(said.contains("key frames"), "{said}");
    let said = tried("faultyh264dec", Plant::HangInChain);
    assert!(said.contains("faultyh264dec") && said.contains("pictures out"), "{said}");
    let said = tried("dreamenc", Plant::None);
    assert!(said.contains("not in the table"), "{said}");
    let said = tried("mpph264enc", Plant::None);
    assert!(said.contains("not installed"), "{said}");
}
