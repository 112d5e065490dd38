//! A small pipeline of the worker: on the common clock, its errors told to the loop, taken down off the loop's thread.

use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use gst::prelude::*;

use super::timebase::Timebase;
use super::worker::{Input, Origin};

/// The names of pipelines that are being taken down.
static FALLING: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn falling() -> MutexGuard<'static, Vec<String>> {
    FALLING.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fell(name: &str) {
    let mut falling = falling();
    if let Some(at) = falling.iter().position(|other| other == name) {
        falling.swap_remove(at);
    }
}

/// A pipeline; dropping it takes it down on a thread of its own.
#[derive(Debug)]
pub struct Pipe {
    pipeline: gst::Pipeline,
}

impl Pipe {
    /// An empty pipeline whose errors come to `inbox` as [`Input::Broken`].
    #[must_use]
    pub fn new(name: &str, timebase: &Timebase, inbox: &Sender<Input>, origin: Origin) -> Self {
        let pipeline = gst::Pipeline::with_name(name);
        timebase.rule(&pipeline);
        if let Some(bus) = pipeline.bus() {
            let (inbox, weak) = (inbox.clone(), pipeline.downgrade());
            bus.set_sync_handler(move |_, message| {
                match message.view() {
                    gst::MessageView::Error(error) => {
                        let element = error.src().map(|src| src.name().to_string()).unwrap_or_default();
                        log::debug!("{element}: {:?}", error.debug());
                        let detail = format!("{element}: {}", error.error());
                        let _ = inbox.send(Input::Broken { origin, element, detail });
                    }
                    gst::MessageView::Eos(_) => {
                        let detail = "the stream ended".to_owned();
                        let _ = inbox.send(Input::Broken { origin, element: String::new(), detail });
                    }
                    // Not here: this is a streaming thread. Without it, RTP sessions know no running time, and
                    // congestion control sees nonsense.
                    gst::MessageView::Latency(_) => {
                        if let Some(pipeline) = weak.upgrade() {
                            pipeline.call_async(|pipeline| {
                                let _ = pipeline.recalculate_latency();
                            });
                        }
                    }
                    _ => {}
                }
                gst::BusSyncReply::Drop
            });
        }
        Self { pipeline }
    }

    /// The pipeline itself.
    #[must_use]
    pub fn pipeline(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    /// Adds elements and links them one behind the other.
    ///
    /// # Errors
    /// When two do not fit.
    pub fn chain(&self, elements: &[&gst::Element]) -> Result<()> {
        self.pipeline.add_many(elements.iter().copied())?;
        gst::Element::link_many(elements.iter().copied())
            .with_context(|| format!("the elements of {} do not fit", self.pipeline.name()))
    }

    /// Starts it on a thread of its own: opening a device may take as long as the device likes.
    pub fn play(&self, inbox: &Sender<Input>, origin: Origin) {
        self.play_then(inbox, origin, || {});
    }

    /// The same; `up` is called once it is up.
    pub fn play_then(&self, inbox: &Sender<Input>, origin: Origin, up: impl FnOnce() + Send + 'static) {
        let (pipeline, inbox) = (self.pipeline.clone(), inbox.clone());
        spawn("start", move || {
            if pipeline.set_state(gst::State::Playing).is_err() {
                let detail = format!("{} does not start", pipeline.name());
                let _ = inbox.send(Input::Broken { origin, element: String::new(), detail });
            } else {
                up();
            }
        });
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if let Some(bus) = self.pipeline.bus() {
            bus.unset_sync_handler();
        }
        let name = self.pipeline.name().to_string();
        falling().push(name.clone());
        let (pipeline, its) = (self.pipeline.clone(), name.clone());
        let taken = thread::Builder::new().name("stop".into()).spawn(move || {
            let since = Instant::now();
            if pipeline.set_state(gst::State::Null).is_err() {
                log::warn!("{} does not stop", pipeline.name());
            }
            if since.elapsed() > Duration::from_secs(1) {
                log::warn!("{} took {:?} to stop", pipeline.name(), since.elapsed());
            }
            drop(pipeline);
            fell(&its);
        });
        if taken.is_err() {
            fell(&name);
        }
    }
}

/// Waits until every pipeline is down, no longer than `limit`; whether they are.
#[must_use]
pub fn all_down(limit: Duration) -> bool {
    until(limit, || falling().is_empty())
}

/// The same of those with this name.
#[must_use]
pub fn down(name: &str, limit: Duration) -> bool {
    until(limit, || !falling().iter().any(|other| other == name))
}

fn until(limit: Duration, done: impl Fn() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !done() {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Starts a thread; the process cannot go on without threads.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name(name.into()).spawn(body) {
        log::error!("no thread for {name}: {error}");
        std::process::exit(71);
    }
}

/// An appsrc that never blocks and leaks its oldest buffer when `depth` are waiting.
#[must_use]
pub fn source(name: &str, caps: &gst::Caps, depth: u64) -> gst_app::AppSrc {
    let source = capless_source(name, depth);
    source.set_caps(Some(caps));
    source
}

/// The same, for what is known of its caps with its first buffer only.
#[must_use]
pub fn capless_source(name: &str, depth: u64) -> gst_app::AppSrc {
    gst_app::AppSrc::builder()
        .name(name)
        .format(gst::Format::Time)
        .is_live(true)
        .do_timestamp(false)
        .block(false)
        .max_bytes(0)
        .max_buffers(depth)
        .leaky_type(gst_app::AppLeakyType::Downstream)
        .build()
}

/// An appsink that hands every buffer over at once, on the streaming thread.
#[must_use]
pub fn sink(
    name: &str,
    caps: Option<&gst::Caps>,
    mut take: impl FnMut(&gst::Sample) + Send + 'static,
) -> gst_app::AppSink {
    let sink = gst_app::AppSink::builder()
        .name(name)
        .sync(false)
        .async_(false)
        .enable_last_sample(false)
        .max_buffers(2)
        .callbacks(
            gst_app::AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    take(&sample);
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        )
        .build();
    sink.set_caps(caps);
    sink.set_qos(false);
    sink
}

/// The buffer, its time that of all pipelines: some elements (x264enc) count from elsewhere and say so in the segment.
#[must_use]
pub fn timed(sample: &gst::Sample) -> Option<gst::Buffer> {
    let mut buffer = sample.buffer_owned()?;
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let running = segment.to_running_time(buffer.pts()?);
    if running != buffer.pts() || buffer.dts().is_some() {
        let buffer = buffer.make_mut();
        buffer.set_pts(running);
        buffer.set_dts(gst::ClockTime::NONE);
    }
    Some(buffer)
}

/// A capsfilter.
///
/// # Errors
/// When coreelements is not loaded.
pub fn filter(caps: &gst::Caps) -> Result<gst::Element> {
    gst::ElementFactory::make("capsfilter").property("caps", caps).build().context("no capsfilter")
}

/// An element of a plugin that is loaded already, with settings in GStreamer's notation.
///
/// # Errors
/// When there is no such element or a setting does not fit; names both.
pub fn make(element: &str, settings: &[(&str, &str)]) -> Result<gst::Element> {
    let made = gst::ElementFactory::make(element)
        .build()
        .with_context(|| format!("GStreamer has no element {element}"))?;
    for (name, text) in settings {
        let value = made
            .find_property(name)
            .and_then(|pspec| gst::glib::Value::deserialize_with_pspec(text, &pspec).ok())
            .ok_or_else(|| anyhow!("{element} takes no {name}={text}"))?;
        made.set_property_from_value(name, &value);
    }
    Ok(made)
}
