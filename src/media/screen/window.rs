//! A window on X11 or Wayland, drawn on in its own memory where the sink lends it.

use std::sync::mpsc::Sender;

use anyhow::{Context, Result};
use gst::prelude::*;
use gst_video::prelude::*;

use super::canvas::Sheet;
use crate::media::pipe::{self, Pipe};
use crate::media::plugins;
use crate::media::protocol::Display;
use crate::media::timebase::Timebase;
use crate::media::worker::{Input, Origin};

/// Buffers: one on the screen, one being drawn.
const BUFFERS: u32 = 2;

/// An open window.
#[derive(Debug)]
pub(super) struct Window {
    input: gst_app::AppSrc,
    pool: gst::BufferPool,
    info: gst_video::VideoInfo,
    _pipe: Pipe,
}

impl Window {
    /// Opens it.
    pub(super) fn open(
        _display: &Display,
        (width, height): (usize, usize),
        timebase: &Timebase,
        inbox: &Sender<Input>,
        generation: u32,
    ) -> Result<Self> {
        let wayland = std::env::var_os("WAYLAND_DISPLAY").is_some_and(|value| !value.is_empty());
        let name = if wayland { "waylandsink" } else { "ximagesink" };
        let sink = plugins::element(name, name)?;
        for (name, value) in
            [("sync", false), ("async", false), ("qos", false), ("enable-last-sample", false)]
        {
            sink.set_property(name, value);
        }
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::Bgrx, width as u32, height as u32)
            .fps(gst::Fraction::new(30, 1))
            .build()?;
        let caps = info.to_caps()?;
        let pipe = Pipe::new("screen", timebase, inbox, Origin::Screen(generation));
        let input = pipe::source("canvas", &caps, 1);
        pipe.chain(&[input.upcast_ref(), &sink])?;
        pipe.pipeline().set_state(gst::State::Playing).with_context(|| format!("{name} finds no display"))?;
        let pool = lent(&sink, &caps, &info).map_or_else(|| own(&caps, &info), Ok)?;
        Ok(Self { input, pool, info, _pipe: pipe })
    }

    /// Draws a frame. `paint` is told which of the buffers it is given, since each keeps what it showed.
    pub(super) fn draw(&self, timebase: &Timebase, paint: impl FnOnce(usize, Sheet<'_>)) -> Result<()> {
        let mut buffer = self.pool.acquire_buffer(None).context("the window gives no buffer")?;
        let key = buffer.as_ptr() as usize;
        let content = buffer.get_mut().context("the window's buffer is in use")?;
        content.set_pts(timebase.now());
        let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(content, &self.info)
            .context("the window's buffer cannot be drawn on")?;
        let stride = frame.plane_stride()[0].unsigned_abs() as usize;
        let data = frame.plane_data_mut(0).context("the window's buffer has no pixels")?;
        paint(key, Sheet { data, stride });
        drop(frame);
        self.input.push_buffer(buffer).context("the window takes no picture")?;
        Ok(())
    }
}

/// The sink's own memory: what is drawn there is shown without a copy.
fn lent(sink: &gst::Element, caps: &gst::Caps, info: &gst_video::VideoInfo) -> Option<gst::BufferPool> {
    let mut query = gst::query::Allocation::new(Some(caps), true);
    if !sink.static_pad("sink")?.query(query.query_mut()) {
        return None;
    }
    let (pool, size, ..) = query.allocation_pools().next()?;
    activate(pool?, caps, size.max(info.size() as u32)).inspect_err(|error| log::debug!("{error:#}")).ok()
}

fn own(caps: &gst::Caps, info: &gst_video::VideoInfo) -> Result<gst::BufferPool> {
    activate(gst_video::VideoBufferPool::new().upcast(), caps, info.size() as u32)
}

fn activate(pool: gst::BufferPool, caps: &gst::Caps, size: u32) -> Result<gst::BufferPool> {
    let mut config = pool.config();
    config.set_params(Some(caps), size, BUFFERS, BUFFERS + 1);
    pool.set_config(config).context("the window's pool does not take our pictures")?;
    pool.set_active(true).context("no memory for the window")?;
    Ok(pool)
}

impl Drop for Window {
    fn drop(&mut self) {
        let _ = self.pool.set_active(false);
    }
}
