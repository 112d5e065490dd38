//! The camera: the test picture, or a V4L2 device. Open only while it is told to be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use gst::prelude::*;

use super::camera::{Decodes, Device, Habits};
use super::mark::Mark;
use super::outlet::Outlet;
use super::picture::{Layout, Picture};
use super::pipe;
use super::protocol::{Camera, CameraSource};
use super::session::Setup;
use super::stats::Counters;
use super::timebase::{Timebase, monotonic_ms};

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
    Device(Device),
}

impl Drop for Capture {
    fn drop(&mut self) {
        if let Self::Drawn { end } = self {
            end.store(true, Ordering::Release);
        }
    }
}

impl Capture {
    /// Opens the camera; its pictures pour from `outlet`. A device is opened on a thread of its own, whose troubles come
    /// to the loop.
    ///
    /// # Errors
    /// When it is known at once that it does not work; names the device and the cure.
    pub fn open(setup: &Setup, generation: u32, habits: &Habits, outlet: &Arc<Outlet>) -> Result<Self> {
        let camera = &setup.settings.camera;
        match camera.source {
            CameraSource::Test => {
                Self::drawn(camera, camera.fps, true, &setup.timebase, &setup.counters, outlet)
            }
            CameraSource::TestH264 | CameraSource::V4l2 => {
                Device::open(setup, generation, habits, outlet).map(Self::Device)
            }
        }
    }

    /// The camera's name and node, for a sentence.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::Drawn { .. } => "the test picture".into(),
            Self::Device(device) => device.title(),
        }
    }

    /// It is given up. A device that never gave a picture in this format is not asked for it again.
    pub fn fails(&self) {
        if let Self::Device(device) = self {
            device.fails();
        }
    }

    /// Its decoder, when it gives H.264.
    #[must_use]
    pub fn decodes(&self) -> Option<Decodes> {
        if let Self::Device(device) = self { device.decodes() } else { None }
    }

    /// Nothing decodes what it gives: it is not asked for that format again.
    pub fn cannot_be_decoded(&self) {
        if let Self::Device(device) = self {
            device.cannot_be_decoded();
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

    pub(super) fn drawn(
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
