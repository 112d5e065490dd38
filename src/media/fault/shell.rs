//! What surrounds the real codec: a bin whose pads are the codec's, with the fault at its door.

use anyhow::{Context, Result};
use gst::prelude::*;
use gst::subclass::prelude::*;

use super::gate::Gate;
use crate::media::plugins;

/// A bin around a codec.
pub(super) trait Shell: BinImpl {
    /// What an error of such a codec is.
    const ERROR: gst::StreamError;

    /// The fault at its door.
    fn gate(&self) -> &Gate;

    /// A frame that went through the gate is about to go in.
    fn before(&self) {}
}

/// Raw pictures, as the fakes take and give them.
pub(super) fn raw() -> gst::Caps {
    gst::Caps::builder("video/x-raw").field("format", "I420").build()
}

/// H.264, as the fakes take and give it.
pub(super) fn coded() -> gst::Caps {
    gst::Caps::builder("video/x-h264").field("stream-format", "byte-stream").field("alignment", "au").build()
}

/// The templates of a codec that makes this of that.
pub(super) fn templates(from: &gst::Caps, to: &gst::Caps) -> Vec<gst::PadTemplate> {
    [("sink", gst::PadDirection::Sink, from), ("src", gst::PadDirection::Src, to)]
        .into_iter()
        .filter_map(|(name, way, caps)| gst::PadTemplate::new(name, way, gst::PadPresence::Always, caps).ok())
        .collect()
}

/// Puts the real codec in; the codec.
pub(super) fn fill<S: Shell>(shell: &S, plugin: &str, element: &str) -> Result<gst::Element> {
    let inner = plugins::element(plugin, element)?;
    let bin = shell.obj();
    bin.add(&inner)?;
    for template in bin.pad_template_list() {
        let name = template.name_template();
        let target = inner.static_pad(name).with_context(|| format!("{element} has no pad {name}"))?;
        let pad = gst::GhostPad::builder_from_template(&template);
        let pad = if template.direction() == gst::PadDirection::Sink {
            pad.chain_function(enter::<S>)
        } else {
            pad
        };
        let pad = pad.name(name).build();
        pad.set_target(Some(&target))?;
        bin.add_pad(&pad)?;
    }
    Ok(inner)
}

fn enter<S: Shell>(
    pad: &gst::GhostPad,
    parent: Option<&gst::Object>,
    buffer: gst::Buffer,
) -> Result<gst::FlowSuccess, gst::FlowError> {
    S::catch_panic_pad_function(
        parent,
        || Err(gst::FlowError::Error),
        |shell| {
            shell.gate().pass(&*shell.obj(), S::ERROR)?;
            shell.before();
            gst::ProxyPad::chain_default(pad, Some(&*shell.obj()), buffer)
        },
    )
}
