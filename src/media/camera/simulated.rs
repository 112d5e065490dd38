//! A camera that codes the test picture itself, for trying without one how its pictures are decoded.

use std::sync::Arc;

use anyhow::{Context, Result};
use gst::prelude::*;

use crate::board::camera::mode::{Choice, Crop, Rate};
use crate::media::capture::{self, Capture};
use crate::media::outlet::Outlet;
use crate::media::protocol::{Camera, PixelFormat};
use crate::media::timebase::Timebase;
use crate::media::{pipe, plugins};

/// What it calls itself.
pub(super) const TITLE: &str = "of the test picture (H.264)";

/// Its mode.
pub(super) fn mode(wanted: &Camera) -> Choice {
    Choice {
        fourcc: *b"H264",
        kind: PixelFormat::H264,
        width: wanted.width,
        height: wanted.height,
        rate: Some(Rate { frames: wanted.fps, seconds: 1 }),
        crop: Crop::default(),
    }
}

/// Its stream, and the thread that draws it.
///
/// # Errors
/// When the coder is missing, or the size is none a picture can have.
pub(super) fn source(wanted: &Camera, timebase: &Timebase) -> Result<(gst::Element, Capture)> {
    let input = pipe::source("drawn", &capture::picture_info(wanted)?.to_caps()?, 2);
    let coder = plugins::element("openh264", "openh264enc")?;
    coder.set_property("gop-size", wanted.fps);
    let bin = gst::Bin::with_name("camera-of-the-test-picture");
    bin.add_many([input.upcast_ref(), &coder])?;
    input.link(&coder)?;
    let out = coder.static_pad("src").context("openh264enc has no source pad")?;
    bin.add_pad(&gst::GhostPad::with_target(&out)?)?;
    let outlet = Arc::<Outlet>::default();
    outlet.tap(0, move |picture| {
        let _ = input.push_buffer(picture.clone());
    });
    let drawn = Capture::drawn(wanted, wanted.fps, true, timebase, &Arc::default(), &outlet)?;
    Ok((bin.upcast(), drawn))
}
