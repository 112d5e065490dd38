//! The camera: the test picture, or a V4L2 device. Open only while it is told to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use gst::prelude::*;

use super::mark::Mark;
use super::outlet::Outlet;
use super::picture::{Layout, Picture};
use super::pipe::{self, Pipe};
use super::plugins;
use super::protocol::{Camera, CameraSource};
use super::stats::Counters;
use super::timebase::{Timebase, monotonic_ms};
use super::worker::{Input, Origin};

/// Frames a second while the camera does not work: enough to keep every decoder and jitter buffer going.
const PLACEHOLDER_FPS: u32 = 5;

/// What the camera gives, whatever it is: I420 in the size asked for.
///
/// # Errors
/// When the size is none a picture can have.
pub fn picture_info(camera: &Camera) -> Result<gst_video::VideoInfo> {
    let even = |pixels: u32| (16..=8192).contains(&pixels) && pixels.is_multiple_of(2);
    if !even(camera.width) || !even(camera.height) || !(1..=120).contains(&camera.fps) {
        return Err(anyhow!(
            "[camera] width and height must be even, from 16 to 8192, and fps from 1 to 120; they are {}x{} and {}",
            camera.width,
            camera.height,
            camera.fps
        ));
    }
    gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, camera.width, camera.height)
        .fps(gst::Fraction::new(camera.fps as i32, 1))
        .build()
        .context("no picture of this size")
}

/// An open camera; dropping it closes it.
#[derive(Debug)]
pub enum Capture {
    /// The test picture or the placeholder, on a thread.
    Drawn {
        /// Tells the thread to end.
        end: Arc<AtomicBool>,
    },
    /// A V4L2 device.
    Device {
        /// Its pipeline.
        pipe: Pipe,
    },
}

impl Drop for Capture {
    fn drop(&mut self) {
        if let Self::Drawn { end } = self {
            end.store(true, Ordering::Release);
        }
    }
}

impl Capture {
    /// Opens the camera; its pictures pour from `outlet`.
    ///
    /// # Errors
    /// When it is known at once that it does not work; names the device and the cure.
    pub fn open(
        camera: &Camera,
        generation: u32,
        timebase: &Timebase,
        inbox: &Sender<Input>,
        counters: &Arc<Counters>,
        outlet: &Arc<Outlet>,
    ) -> Result<Self> {
        match camera.source {
            CameraSource::Test => Self::drawn(camera, camera.fps, true, timebase, counters, outlet),
            CameraSource::V4l2 => Self::device(camera, generation, timebase, inbox, counters, outlet),
        }
    }

    /// The picture shown in place of a camera that does not work.
    ///
    /// # Errors
    /// When the size is none a picture can have.
    pub fn placeholder(
        camera: &Camera,
        timebase: &Timebase,
        counters: &Arc<Counters>,
        outlet: &Arc<Outlet>,
    ) -> Result<Self> {
        Self::drawn(camera, PLACEHOLDER_FPS, false, timebase, counters, outlet)
    }

    fn drawn(
        camera: &Camera,
        fps: u32,
        marked: bool,
        timebase: &Timebase,
        counters: &Arc<Counters>,
        outlet: &Arc<Outlet>,
    ) -> Result<Self> {
        let info = picture_info(camera)?;
        let pool = pool(&info)?;
        let layout = Layout::of(&info);
        let end = Arc::new(AtomicBool::new(false));
        let (ended, timebase) = (Arc::clone(&end), timebase.clone());
        let (counters, outlet) = (Arc::clone(counters), Arc::clone(outlet));
        pipe::spawn("picture", move || {
            let mut picture = Picture::new(layout);
            // Counters rise from one capture, and one worker, to the next.
            let mut counter = (monotonic_ms() * u64::from(fps) / 1000) as u32;
            let step = Duration::from_secs(1) / fps;
            let mut due = Instant::now();
            while !ended.load(Ordering::Acquire) {
                match pool.acquire_buffer(None) {
                    Ok(mut buffer) => {
                        if let Some(frame) = buffer.get_mut() {
                            let now = timebase.now();
                            frame.set_pts(now);
                            frame.set_duration(gst::ClockTime::from_nseconds(step.as_nanos() as u64));
                            let mark = Mark { counter, time_ms: monotonic_ms() as u32 };
                            if let Ok(mut data) = frame.map_writable() {
                                picture.draw(&mut data, time_of_day_ms(), marked.then_some(mark));
                            }
                        }
                        if marked {
                            counters.captured.fetch_add(1, Ordering::Relaxed);
                        }
                        outlet.pour(&buffer);
                    }
                    Err(error) => log::warn!("no buffer for the test picture: {error}"),
                }
                counter = counter.wrapping_add(1);
                due += step;
                let now = Instant::now();
                if due > now {
                    std::thread::sleep(due - now);
                } else if now - due > Duration::from_secs(1) {
                    due = now;
                }
            }
            let _ = pool.set_active(false);
        });
        Ok(Self::Drawn { end })
    }

    /// Unverified: no camera where this was written. MJPG, YUYV, NV12 and the like are converted to I420.
    fn device(
        camera: &Camera,
        generation: u32,
        timebase: &Timebase,
        inbox: &Sender<Input>,
        counters: &Arc<Counters>,
        outlet: &Arc<Outlet>,
    ) -> Result<Self> {
        let device = find_device(&camera.device)?;
        for plugin in ["video4linux2", "jpeg", "videoconvertscale"] {
            plugins::load(plugin)?;
        }
        let origin = Origin::Camera(generation);
        let pipe = Pipe::new("camera", timebase, inbox, origin);
        let source = pipe::make("v4l2src", &[])?;
        source.set_property("device", &device.path);
        let format = if device.raw { "video/x-raw" } else { "image/jpeg" };
        let given = gst::Caps::builder(format)
            .field("width", camera.width as i32)
            .field("height", camera.height as i32)
            .build();
        let filter = pipe::filter(&given)?;
        let info = picture_info(camera)?;
        let size = gst::Caps::builder("video/x-raw")
            .field("format", "I420")
            .field("width", info.width() as i32)
            .field("height", info.height() as i32)
            .build();
        let convert = pipe::make("videoconvertscale", &[])?;
        let (counters, outlet) = (Arc::clone(counters), Arc::clone(outlet));
        let inbox_frames = inbox.clone();
        let mut first = true;
        let sink = pipe::sink("frames", Some(&size), move |sample| {
            counters.captured.fetch_add(1, Ordering::Relaxed);
            if std::mem::take(&mut first) {
                let _ = inbox_frames.send(Input::Works(origin));
            }
            if let Some(buffer) = pipe::timed(sample) {
                outlet.pour(&buffer);
            }
        });
        if device.raw {
            pipe.chain(&[&source, &filter, &convert, sink.upcast_ref()])?;
        } else {
            let decode = pipe::make("jpegdec", &[])?;
            pipe.chain(&[&source, &filter, &decode, &convert, sink.upcast_ref()])?;
        }
        pipe.play(inbox, origin);
        Ok(Self::Device { pipe })
    }
}

fn pool(info: &gst_video::VideoInfo) -> Result<gst::BufferPool> {
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    config.set_params(Some(&info.to_caps()?), info.size() as u32, 4, 0);
    pool.set_config(config).context("no pool for pictures")?;
    pool.set_active(true).context("no memory for pictures")?;
    Ok(pool)
}

fn time_of_day_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

struct Device {
    path: String,
    raw: bool,
}

/// Finds a capture device by path, part of the card's name, or the first there is.
fn find_device(wanted: &str) -> Result<Device> {
    if wanted.starts_with('/') {
        return probe(wanted).ok_or_else(|| {
            anyhow!(
                "the camera {wanted} is not there, or gives no pictures; plug it in, or see [camera] device"
            )
        });
    }
    let mut seen = Vec::new();
    for node in v4l::context::enum_devices() {
        let name = node.name().unwrap_or_default();
        let path = node.path().display().to_string();
        if name.contains(wanted)
            && let Some(device) = probe(&path)
        {
            return Ok(device);
        }
        seen.push(format!("{name} ({path})"));
    }
    let seen = if seen.is_empty() {
        "there is none at all".to_owned()
    } else {
        format!("there are {}", seen.join(", "))
    };
    Err(anyhow!("no camera called {wanted:?}: {seen}; plug it in, or see [camera] device"))
}

fn probe(path: &str) -> Option<Device> {
    use v4l::video::Capture as _;
    let device = v4l::Device::with_path(path).ok()?;
    let formats = device.enum_formats().ok()?;
    // Raw pictures spare a decoder, and cameras that have both give them at the sizes a call uses.
    let has = |codes: &[&[u8; 4]]| formats.iter().any(|format| codes.contains(&&format.fourcc.repr));
    let raw = has(&[b"YUYV", b"NV12", b"YU12", b"UYVY", b"NV21", b"YV12"]);
    (raw || has(&[b"MJPG", b"JPEG"])).then(|| Device { path: path.to_owned(), raw })
}
