//! A V4L2 camera: found, set and opened on a thread of its own, its pictures decoded, cut and scaled to what a call uses.
//!
//! ```text
//! v4l2src ─► [h264parse ═► decoder] or [jpegdec] ─► [videorate] ─► [videocrop] ─► videoconvertscale ─► [videoflip] ─► I420
//! ```
//! H.264 that a camera codes is decoded and coded again: it knows no congestion control, and gives no key frame when
//! one is asked for. Its decoder is in a pipeline of its own, which begins at the double arrow: `decoding.rs`.
//!
//! Run on vivid's raw pictures (tests/board/); unverified on any real camera.
//!
//! A driver may take any time to open, and may never return. So nothing here is waited for: the loop is told of the
//! first picture ([`Input::Works`]), of a camera that cannot be used ([`Input::Fails`]) and of a stream that breaks
//! ([`Input::Broken`]), and a camera that is looked for again is searched by its stable name, whatever its node is now.

mod decoding;
mod simulated;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use gst::prelude::*;

pub use self::decoding::Decodes;
use self::decoding::Decoding;
use super::capture::{Capture, picture_info};
use super::outlet::Outlet;
use super::pipe::{self, Pipe};
use super::plugins;
use super::protocol::{Camera, CameraSource, ControlValue, PixelFormat};
use super::session::Setup;
use super::worker::{Input, Origin};
use crate::board::camera::mode::{self, Choice, Crop, Rate, Wish};
use crate::board::camera::{self, Trouble};

/// How long the last stream's end may keep the next from opening the same device.
const CLOSING: Duration = Duration::from_secs(2);
/// The name of the pipeline that has the device open.
const PIPE: &str = "camera";
/// A control that drivers with a flipping sensor have (`V4L2_CID_HFLIP`, "Horizontal Flip").
const FLIP: &str = "horizontal_flip";

/// Whether a driver has not come back from opening a camera.
static OPENING: AtomicBool = AtomicBool::new(false);

/// Formats that this camera promised and gave no picture in; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Habits(Arc<Mutex<Vec<[u8; 4]>>>);

impl Habits {
    fn lock(&self) -> MutexGuard<'_, Vec<[u8; 4]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct State {
    title: String,
    choice: Option<Choice>,
    pipe: Option<Pipe>,
    decoding: Option<Decoding>,
    /// What the simulated camera sees.
    drawn: Option<Box<Capture>>,
    wanted: bool,
}

impl State {
    /// Sets the device free, or what simulates it.
    fn close(&mut self) {
        self.wanted = false;
        self.drawn = None;
        self.pipe = None;
        self.decoding = None;
    }
}

/// An open camera, or one that is being opened; dropping it closes it.
#[derive(Debug)]
pub struct Device {
    state: Arc<Mutex<State>>,
    gave: Arc<AtomicBool>,
    habits: Habits,
}

impl Device {
    /// Begins to open the camera that the board names.
    ///
    /// # Errors
    /// When the driver has not come back from the last time.
    pub fn open(setup: &Setup, generation: u32, habits: &Habits, outlet: &Arc<Outlet>) -> Result<Self> {
        let named = &setup.settings.camera.device;
        let title = match setup.settings.camera.source {
            CameraSource::TestH264 => simulated::TITLE,
            _ if named.is_empty() => "(the first there is)",
            _ => named,
        };
        if OPENING.swap(true, Ordering::AcqRel) {
            return Err(anyhow!(
                "the camera {title} hangs in its driver while it is opened; unplug it, or start the board anew"
            ));
        }
        let title = title.to_owned();
        let state = State { title, choice: None, pipe: None, decoding: None, drawn: None, wanted: true };
        let device =
            Self { state: Arc::new(Mutex::new(state)), gave: Arc::default(), habits: habits.clone() };
        let (state, gave, habits) = (Arc::clone(&device.state), Arc::clone(&device.gave), habits.clone());
        let (setup, outlet) = (setup.clone(), Arc::clone(outlet));
        pipe::spawn("camera", move || {
            let opened = start(&setup, generation, &state, &gave, &habits, &outlet);
            OPENING.store(false, Ordering::Release);
            if let Err(error) = opened {
                let origin = Origin::Camera(generation);
                let _ = setup.inbox.send(Input::Fails { origin, detail: format!("{error:#}") });
            }
        });
        Ok(device)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its name and node.
    #[must_use]
    pub fn title(&self) -> String {
        self.state().title.clone()
    }

    /// It is given up; if it never gave a picture, another format is tried next.
    pub fn fails(&self) {
        if !self.gave.load(Ordering::Acquire)
            && let Some(choice) = self.state().choice
        {
            log::warn!("the camera gave no picture as {choice}; another format is tried next");
            self.habits.lock().push(choice.fourcc);
        }
    }

    /// Its decoder, when it gives H.264.
    #[must_use]
    pub fn decodes(&self) -> Option<Decodes> {
        self.state().decoding.as_ref().map(Decoding::look)
    }

    /// Nothing decodes what it gives; another format is tried next.
    pub fn cannot_be_decoded(&self) {
        if let Some(choice) = self.state().choice {
            self.habits.lock().push(choice.fourcc);
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.state().close();
    }
}

fn start(
    setup: &Setup,
    generation: u32,
    state: &Arc<Mutex<State>>,
    gave: &Arc<AtomicBool>,
    habits: &Habits,
    outlet: &Arc<Outlet>,
) -> Result<()> {
    // The node is let go of by the thread that takes the last pipeline down.
    let _ = pipe::down(PIPE, CLOSING);
    let origin = Origin::Camera(generation);
    let wanted = &setup.settings.camera;
    let (source, choice, flip) = if wanted.source == CameraSource::TestH264 {
        let (source, drawn) = simulated::source(wanted, &setup.timebase)?;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.drawn = state.wanted.then(|| Box::new(drawn));
        (source, simulated::mode(wanted), false)
    } else {
        device(wanted, habits, state)?
    };

    let pipe = Pipe::new(PIPE, &setup.timebase, &setup.inbox, origin);
    let (counters, outlet) = (Arc::clone(&setup.counters), Arc::clone(outlet));
    let (inbox, gave) = (setup.inbox.clone(), Arc::clone(gave));
    let behind = tail(&choice, wanted, flip, move |sample| {
        counters.captured.fetch_add(1, Ordering::Relaxed);
        if !gave.swap(true, Ordering::AcqRel) {
            let _ = inbox.send(Input::Works(origin));
        }
        if let Some(buffer) = pipe::timed(sample) {
            outlet.pour(&buffer);
        }
    })?;
    let mut elements = vec![source, pipe::filter(&given(&choice))?];
    let mut decoding = None;
    match choice.kind {
        // unverified on a camera that codes: the simulated one is what this was run with.
        PixelFormat::H264 => {
            let origin = Origin::Decoding(generation);
            let theirs = Pipe::new("camera-decoder", &setup.timebase, &setup.inbox, origin);
            let row = *setup.decoder.lock().unwrap_or_else(PoisonError::into_inner);
            let begun = Decoding::new(&row, &setup.settings.video.fake, theirs, behind)?;
            elements.extend([plugins::element("videoparsersbad", "h264parse")?, begun.entrance()]);
            decoding = Some(begun);
        }
        PixelFormat::Mjpg => {
            elements.push(jpeg_decoder()?);
            elements.extend(behind);
        }
        PixelFormat::Nv12 | PixelFormat::Yuyv | PixelFormat::Raw => elements.extend(behind),
    }
    pipe.chain(&elements.iter().collect::<Vec<_>>()).context("the camera's pictures cannot be converted")?;

    let mut opened = state.lock().unwrap_or_else(PoisonError::into_inner);
    if !opened.wanted {
        return Ok(());
    }
    if let Some(decoding) = &decoding {
        let (state, inbox) = (Arc::clone(state), setup.inbox.clone());
        decoding.play_then(&setup.inbox, Origin::Decoding(generation), move || {
            if let Some(pipe) = &state.lock().unwrap_or_else(PoisonError::into_inner).pipe {
                pipe.play(&inbox, origin);
            }
        });
    } else {
        pipe.play(&setup.inbox, origin);
    }
    opened.pipe = Some(pipe);
    opened.decoding = decoding;
    Ok(())
}

/// The element of the camera that is wanted, its mode, and whether its pictures are still to be mirrored.
fn device(wanted: &Camera, habits: &Habits, state: &Mutex<State>) -> Result<(gst::Element, Choice, bool)> {
    let (found, choice, flip) = find(wanted, habits)?;
    log::info!("camera: {} ({}), {choice}", found.name, found.path.display());
    let path = found.path.display().to_string();
    {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.title = format!("{} ({path})", found.name);
        state.choice = Some(choice);
    }
    // Some drivers let nobody else stream while a second descriptor is open.
    drop(found);
    plugins::load("video4linux2")?;
    let source = pipe::make("v4l2src", &[])?;
    source.set_property("device", &path);
    Ok((source, choice, flip))
}

/// The camera, its mode, and whether its pictures are still to be mirrored. Its controls are set.
fn find(wanted: &Camera, habits: &Habits) -> Result<(camera::Camera, Choice, bool), Trouble> {
    let found = camera::find(&wanted.device).inspect_err(|trouble| {
        // What comes back may be another camera.
        if matches!(trouble, Trouble::Missing { .. }) {
            habits.lock().clear();
        }
    })?;
    found.is_free()?;
    let wish = Wish { width: wanted.width, height: wanted.height, fps: wanted.fps };
    let offers = found.offers(wish);
    let choice = {
        let mut failed = habits.lock();
        let rest: Vec<_> = offers.iter().filter(|offer| !failed.contains(&offer.fourcc)).cloned().collect();
        mode::choose(&rest, &wanted.formats, wish).or_else(|| {
            failed.clear();
            mode::choose(&offers, &wanted.formats, wish)
        })
    };
    let Some(choice) = choice else { return Err(found.no_mode()) };
    let mut controls = wanted.controls.clone();
    let named = controls.contains_key(FLIP);
    let flips = !named && found.controls().iter().any(|control| control.name == FLIP);
    if flips {
        controls.insert(FLIP.into(), ControlValue::Switch(wanted.mirror));
    }
    let complaints = found.set(&controls);
    for complaint in &complaints {
        log::warn!("{complaint}; see [camera.controls]");
    }
    let refused = complaints.iter().any(|complaint| complaint.contains(FLIP));
    Ok((found, choice, wanted.mirror && (!flips || refused)))
}

/// What makes I420 of the wanted size out of pictures that are not coded, or no longer.
///
/// # Errors
/// When an element is missing; names it and its package.
fn tail(
    choice: &Choice,
    wanted: &Camera,
    flip: bool,
    take: impl FnMut(&gst::Sample) + Send + 'static,
) -> Result<Vec<gst::Element>> {
    plugins::load("videoconvertscale")?;
    let mut elements = Vec::new();
    let wish = Rate { frames: wanted.fps, seconds: 1 };
    if choice.rate.is_none_or(|rate| rate.millis() > wish.millis() * 11 / 10) {
        let thin = plugins::element("videorate", "videorate")?;
        thin.set_property("drop-only", true);
        thin.set_property("max-rate", i32::try_from(wanted.fps).unwrap_or(i32::MAX));
        elements.push(thin);
    }
    let Crop { left, right, top, bottom } = choice.crop;
    if choice.crop != Crop::default() {
        // videocrop knows fewer formats than cameras have (NV16 is one it refuses); I420 passes untouched.
        elements.push(pipe::make("videoconvertscale", &[])?);
        elements.push(pipe::filter(&gst::Caps::builder("video/x-raw").field("format", "I420").build())?);
        let cut = plugins::element("videocrop", "videocrop")?;
        for (side, pixels) in [("left", left), ("right", right), ("top", top), ("bottom", bottom)] {
            cut.set_property(side, i32::try_from(pixels).unwrap_or(0));
        }
        elements.push(cut);
    }
    let convert = pipe::make("videoconvertscale", &[("add-borders", "false")])?;
    // A driver's idea of the colours must not stop the stream, nor its idea of a pixel's shape.
    elements.push(convert);
    if flip {
        plugins::load("videofilter")?;
        elements.push(pipe::make("videoflip", &[("method", "horizontal-flip")])?);
    }
    let info = picture_info(wanted)?;
    let size = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", info.width() as i32)
        .field("height", info.height() as i32)
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build();
    elements.push(pipe::sink("frames", Some(&size), take).upcast());
    Ok(elements)
}

/// What the camera is asked for.
fn given(choice: &Choice) -> gst::Caps {
    let mut caps = match choice.kind {
        PixelFormat::H264 => {
            gst::Caps::builder("video/x-h264").field("stream-format", "byte-stream").field("alignment", "au")
        }
        PixelFormat::Mjpg => gst::Caps::builder("image/jpeg"),
        PixelFormat::Nv12 | PixelFormat::Yuyv | PixelFormat::Raw => {
            gst::Caps::builder("video/x-raw").field("format", mode::pixels(choice.fourcc).unwrap_or("I420"))
        }
    };
    caps = caps.field("width", choice.width as i32).field("height", choice.height as i32);
    if let Some(rate) = choice.rate {
        caps = caps.field("framerate", gst::Fraction::new(rate.frames as i32, rate.seconds as i32));
    }
    caps.build()
}

/// The board's JPEG decoder when it has one, otherwise libjpeg.
///
/// unverified: no board with a `v4l2jpegdec` was at hand.
fn jpeg_decoder() -> Result<gst::Element> {
    if let Ok(element) = plugins::element("video4linux2", "v4l2jpegdec") {
        return Ok(element);
    }
    plugins::element("jpeg", "jpegdec")
}
