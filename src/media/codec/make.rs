//! Makes a row's elements, sets them, and speaks with them while they run.

use anyhow::{Context, Result, anyhow};
use gst::prelude::*;

use super::{Bitrate, Decoder, Encoder, KeyRequest, Level, Profile, Quirk, Setting, Step, level};
use crate::media::protocol::{Camera, Fake};
use crate::media::{fault, pipe, plugins};

/// Size and rate of the pictures to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames a second.
    pub fps: u32,
}

impl Picture {
    /// What the camera is asked for.
    #[must_use]
    pub fn of(camera: &Camera) -> Self {
        Self { width: camera.width, height: camera.height, fps: camera.fps }
    }
}

/// A row's elements.
#[derive(Debug)]
pub struct Made {
    /// The encoder or decoder itself.
    pub codec: gst::Element,
    /// All of them, in the order they are linked.
    pub elements: Vec<gst::Element>,
}

/// An element, its plugin loaded when need be.
pub(super) fn element(plugin: &str, name: &str) -> Result<gst::Element> {
    if plugin != fault::PLUGIN {
        return plugins::element(plugin, name);
    }
    fault::register()?;
    gst::ElementFactory::make(name).build().with_context(|| format!("GStreamer has no element {name}"))
}

impl Encoder {
    /// Makes the elements, set for this picture and bitrate.
    ///
    /// # Errors
    /// When one is not installed.
    pub fn make(&self, picture: &Picture, bps: u32, fake: &Fake) -> Result<Made> {
        let codec = element(self.plugin, self.element)?;
        set(&codec, self.settings);
        if let Level::Property(name, _) = self.level {
            apply(&codec, name, &level::name(self.level(picture)));
        }
        if self.quirks.contains(&Quirk::Fake) {
            fault::plant(&codec, fake.encoder, fake.after_frames);
        }
        if !self.controls.is_empty() {
            let controls = self.controls.iter().map(|(name, value, _)| (*name, *value));
            let rate = match self.bitrate {
                Bitrate::Control(name, _) => Some((name, self.bounded(bps).cast_signed())),
                _ => None,
            };
            set_controls(&codec, controls.chain(rate));
        }
        self.set_bitrate(&codec, bps);
        let mut elements = steps(self.before)?;
        elements.push(codec.clone());
        Ok(Made { codec, elements })
    }

    /// Caps of what it gives; negotiation chooses profile and level by them.
    #[must_use]
    pub fn caps(&self, picture: &Picture) -> gst::Caps {
        let mut caps =
            gst::Caps::builder("video/x-h264").field("stream-format", "byte-stream").field("alignment", "au");
        if let Profile::Caps(_) = self.profile {
            caps = caps.field("profile", gst::List::new(["constrained-baseline", "baseline"]));
        }
        if let Level::Caps(_) = self.level {
            caps = caps.field("level", level::name(self.level(picture)));
        }
        caps.build()
    }

    fn level(&self, picture: &Picture) -> u8 {
        let needed = level::lowest(picture.width, picture.height, picture.fps);
        let bound = self.quirks.iter().find_map(|quirk| match quirk {
            Quirk::LowestLevel(lowest, _) => Some(*lowest),
            _ => None,
        });
        needed.max(bound.unwrap_or_default())
    }

    /// The bitrate it is really told.
    fn bounded(&self, bps: u32) -> u32 {
        let lowest = self.quirks.iter().find_map(|quirk| match quirk {
            Quirk::LowestKbps(kbps, _) => Some(kbps * 1000),
            _ => None,
        });
        bps.max(lowest.unwrap_or(1000)).min(i32::MAX.cast_unsigned())
    }

    /// Sets the bitrate in bits a second, also while it runs.
    pub fn set_bitrate(&self, codec: &gst::Element, bps: u32) {
        let bps = self.bounded(bps);
        match self.bitrate {
            Bitrate::Bits(name, _) => apply(codec, name, &bps.to_string()),
            Bitrate::Kilobits(name, _) => apply(codec, name, &(bps / 1000).to_string()),
            Bitrate::Control(name, _) => set_controls(codec, std::iter::once((name, bps.cast_signed()))),
        }
    }

    /// Asks for a key frame: the next picture that goes in becomes one.
    pub fn ask_key(&self, codec: &gst::Element) {
        match self.key {
            KeyRequest::Event(_) => {
                let event = gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
                if let Some(pad) = codec.static_pad("src") {
                    pad.send_event(event);
                }
            }
            KeyRequest::Control(name, _) => set_controls(codec, std::iter::once((name, 1))),
            KeyRequest::Signal(name, _) => {
                if gst::glib::subclass::SignalId::lookup(name, codec.type_()).is_some() {
                    codec.emit_by_name::<()>(name, &[]);
                } else {
                    log::warn!("{} knows no signal {name}: no key frame on request", codec.name());
                }
            }
        }
    }
}

impl Decoder {
    /// Makes the elements.
    ///
    /// # Errors
    /// When one is not installed.
    pub fn make(&self, fake: &Fake) -> Result<Made> {
        let codec = element(self.plugin, self.element)?;
        set(&codec, self.settings);
        if self.quirks.contains(&Quirk::Fake) {
            fault::plant(&codec, fake.decoder, fake.after_frames);
        }
        let mut elements = vec![codec.clone()];
        elements.extend(steps(self.after)?);
        Ok(Made { codec, elements })
    }
}

/// Sets a property the element has, and says when it has not.
fn apply(element: &gst::Element, name: &str, text: &str) {
    let value = element
        .find_property(name)
        .and_then(|pspec| gst::glib::Value::deserialize_with_pspec(text, &pspec).ok());
    match value {
        Some(value) => element.set_property_from_value(name, &value),
        None => log::warn!("{} takes no {name}={text}", element.name()),
    }
}

/// Sets what the element has, and says what it has not.
fn set(element: &gst::Element, settings: &[Setting]) {
    for setting in settings {
        apply(element, setting.name, setting.value);
    }
}

/// Sets V4L2 controls; the driver says which it knows.
fn set_controls<'a>(element: &gst::Element, controls: impl Iterator<Item = (&'a str, i32)>) {
    let mut structure = gst::Structure::new_empty("controls");
    for (name, value) in controls {
        structure.set(name, value);
    }
    if element.find_property("extra-controls").is_some() {
        element.set_property("extra-controls", structure);
    } else {
        log::warn!("{} takes no V4L2 controls: {structure}", element.name());
    }
}

fn steps(steps: &[Step]) -> Result<Vec<gst::Element>> {
    let mut elements = Vec::new();
    for step in steps {
        elements.push(plugins::element(step.plugin, step.element)?);
        let caps = step.caps.parse().map_err(|error| anyhow!("{}: {error}", step.caps))?;
        elements.push(pipe::filter(&caps)?);
    }
    Ok(elements)
}
