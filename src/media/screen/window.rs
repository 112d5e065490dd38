//! What is drawn on: a window or a whole screen, in the sink's own memory where it lends it.

use std::sync::mpsc::Sender;

use anyhow::{Context, Result, anyhow};
use gst::prelude::*;
use gst_video::prelude::*;

use super::canvas::Sheet;
use super::compositor::Watch;
use super::sink;
use super::turn::Turn;
use crate::board::screen::{self, Glass};
use crate::media::pipe::{self, Pipe};
use crate::media::plugins;
use crate::media::protocol::Display;
use crate::media::timebase::Timebase;
use crate::media::worker::{Input, Origin};

/// Buffers: one on the screen, one being drawn.
const BUFFERS: u32 = 2;
/// The upright picture's name among the buffers, when it is turned on the way to the screen.
const UPRIGHT: usize = 0;

/// An open window or screen.
#[derive(Debug)]
pub(super) struct Window {
    input: gst_app::AppSrc,
    pool: gst::BufferPool,
    info: gst_video::VideoInfo,
    turn: Turn,
    upright: Vec<u8>,
    title: String,
    cure: &'static str,
    loses: bool,
    _pipe: Pipe,
    _watch: Option<Watch>,
}

/// Why a window does not open, and what to do.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) detail: String,
    pub(super) cure: &'static str,
}

impl Window {
    /// Opens what the board names, or what there is.
    pub(super) fn open(
        display: &Display,
        timebase: &Timebase,
        inbox: &Sender<Input>,
        generation: u32,
    ) -> Result<Self, Refused> {
        let refused = |detail| Refused { detail, cure: "see [screen]" };
        let turn = Turn::by(display.rotate).map_err(refused)?;
        let glass = screen::look().choose(display).map_err(refused)?;
        let glass = glass.ok_or_else(|| refused("there is none any more".into()))?;
        Self::on(&glass, turn, display, timebase, inbox, generation).map_err(|error| Refused {
            detail: format!("{}: {error:#}", sink::title(&glass)),
            cure: sink::row(&glass).cure,
        })
    }

    fn on(
        glass: &Glass,
        turn: Turn,
        display: &Display,
        timebase: &Timebase,
        inbox: &Sender<Input>,
        generation: u32,
    ) -> Result<Self> {
        let row = sink::row(glass);
        let sink = row.make(glass)?;
        // First, so that no end is missed.
        let by_wayland = match glass {
            Glass::Wayland { .. } => true,
            Glass::Gl => screen::look().wayland.is_some(),
            Glass::X11 | Glass::Kms(_) | Glass::Fbdev(_) => false,
        };
        let told = inbox.clone();
        let gone = move || {
            let (element, detail) = (row.element.to_owned(), "the Wayland compositor has ended".to_owned());
            let _ = told.send(Input::Broken { origin: Origin::Screen(generation), element, detail });
        };
        let watch = by_wayland.then(|| Watch::start(gone).context("no Wayland compositor answers"));
        let watch = watch.transpose()?;
        let wanted = turn.size((display.width, display.height));
        let (width, height) = glass.size(wanted);
        if (width, height) != wanted {
            log::warn!("the screen has no {}x{}; it is used at {width}x{height}", wanted.0, wanted.1);
        }
        let (width, height) = (width.max(120) & !1, height.max(120) & !1);
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::Bgrx, width, height)
            .fps(gst::Fraction::new(30, 1))
            .build()?;
        let caps = info.to_caps()?;
        let pipe = Pipe::new("screen", timebase, inbox, Origin::Screen(generation));
        let input = pipe::source("canvas", &caps, 1);
        if row.converts {
            let convert = plugins::element("videoconvertscale", "videoconvert")?;
            pipe.chain(&[input.upcast_ref(), &convert, &sink])?;
        } else {
            pipe.chain(&[input.upcast_ref(), &sink])?;
        }
        pipe.pipeline()
            .set_state(gst::State::Playing)
            .map_err(|_| anyhow!("{} finds no display", row.element))?;
        let borrowed = if row.lends { lent(&sink, &caps, &info) } else { None };
        let pool = borrowed.map_or_else(|| own(&caps, &info), Ok)?;
        let upright = if turn == Turn::None { Vec::new() } else { vec![0; (width * height * 4) as usize] };
        let title = sink::title(glass);
        log::info!("screen: {title}, {width}x{height}");
        let (cure, loses) = (row.cure, row.loses);
        Ok(Self { input, pool, info, turn, upright, title, cure, loses, _pipe: pipe, _watch: watch })
    }

    /// What it is, for a sentence.
    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// What to do when it breaks.
    pub(super) fn cure(&self) -> &'static str {
        self.cure
    }

    /// Whether the last picture may never be seen; given once more, it is.
    pub(super) fn loses(&self) -> bool {
        self.loses
    }

    /// The size of what is drawn.
    pub(super) fn size(&self) -> (usize, usize) {
        self.turn.size((self.info.width() as usize, self.info.height() as usize))
    }

    /// Draws a frame. `paint` is told which of the buffers it is given, since each keeps what it showed.
    pub(super) fn draw(&mut self, timebase: &Timebase, paint: impl FnOnce(usize, Sheet<'_>)) -> Result<()> {
        let (width, height) = self.size();
        let mut buffer = self.pool.acquire_buffer(None).context("the window gives no buffer")?;
        let key = buffer.as_ptr() as usize;
        let content = buffer.get_mut().context("the window's buffer is in use")?;
        content.set_pts(timebase.now());
        let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(content, &self.info)
            .context("the window's buffer cannot be drawn on")?;
        let stride = frame.plane_stride()[0].unsigned_abs() as usize;
        let data = frame.plane_data_mut(0).context("the window's buffer has no pixels")?;
        if self.turn == Turn::None {
            paint(key, Sheet { data, stride });
        } else {
            paint(UPRIGHT, Sheet { data: &mut self.upright, stride: width * 4 });
            self.turn.copy(&self.upright, (width, height), data, stride);
        }
        drop(frame);
        self.input.push_buffer(buffer).context("the window takes no picture")?;
        Ok(())
    }
}

/// The sink's own memory: what is drawn there is shown without a copy.
fn lent(sink: &gst::Element, caps: &gst::Caps, info: &gst_video::VideoInfo) -> Option<gst::BufferPool> {
    let pad = sink.static_pad("sink")?;
    let ask = || {
        let mut query = gst::query::Allocation::new(Some(caps), true);
        let (pool, size, ..) =
            pad.query(query.query_mut()).then(|| query.allocation_pools().next()).flatten()?;
        Some((pool?, size))
    };
    let offer = ask().or_else(|| {
        // Some have none before they know the size.
        pad.send_event(gst::event::StreamStart::new("screen"));
        pad.send_event(gst::event::Caps::new(caps));
        ask()
    });
    let Some((pool, size)) = offer else {
        log::debug!("{} lends no memory", sink.name());
        return None;
    };
    activate(pool, caps, size.max(info.size() as u32)).inspect_err(|error| log::debug!("{error:#}")).ok()
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
