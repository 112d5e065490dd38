//! The table of sinks: how each kind of screen is reached, and what differs between them.
//!
//! Names and properties are `gst-inspect-1.0`'s of GStreamer 1.22; what else is said of an element stands beside it.

use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};
use gst::prelude::*;

use crate::board::screen::Glass;
use crate::media::{pipe, plugins};

/// A sink.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sink {
    /// GStreamer's name of the element.
    pub(super) element: &'static str,
    /// The plugin it is in.
    pub(super) plugin: &'static str,
    /// Property and value, in GStreamer's notation.
    settings: &'static [(&'static str, &'static str)],
    /// It lends memory that is on the screen without a copy, and can be drawn on by the processor.
    pub(super) lends: bool,
    /// It throws a picture away that comes before the last is shown, even when no other follows.
    pub(super) loses: bool,
    /// It may want other pixels than BGRx.
    pub(super) converts: bool,
    /// What to do when it does not work.
    pub(super) cure: &'static str,
}

/// Takes BGRx on every X server of 24 bits (`gst_ximagesink_ximagepool`), in shared memory that it lends.
const X11: Sink = Sink {
    element: "ximagesink",
    plugin: "ximagesink",
    settings: &[],
    lends: true,
    loses: false,
    converts: false,
    cure: "check DISPLAY and who may use it",
};

/// Takes BGRx, the `xrgb8888` that every compositor has to know (wayland.xml, `wl_shm.format`); lends shared memory, in
/// GStreamer 1.22 once it knows the caps. It waits for the compositor's frame callback, and drops what comes before that
/// ("dropped (redraw pending)" in its log).
const WAYLAND: Sink = Sink {
    element: "waylandsink",
    plugin: "waylandsink",
    settings: &[],
    lends: true,
    loses: true,
    converts: false,
    cure: "check WAYLAND_DISPLAY and XDG_RUNTIME_DIR",
};

/// GStreamer 1.22 complains of `gst_wl_window_ensure_fullscreen`: it has no window yet, and makes it so later.
const WAYLAND_WHOLE: Sink = Sink { settings: &[("fullscreen", "true")], ..WAYLAND };

/// Uploads BGRx as a texture. What its pool lends is the GPU's: drawing there would fetch it back each time.
///
/// unverified on a GPU: it ran on Mesa's software rasterizer, under X11 and, by hand, in Weston 10's kiosk shell. Elsewhere
/// under Wayland it is a window, and cannot be made the whole screen.
const GL: Sink = Sink {
    element: "glimagesink",
    plugin: "opengl",
    settings: &[],
    lends: false,
    loses: false,
    converts: false,
    cure: "check the display and its OpenGL driver, or use output = \"window\"",
};

/// Takes BGRx on every driver's primary plane, in dumb buffers that it lends. Without `force-modesetting` it would
/// take whatever size the console has, and scale on a plane that may not scale (`gst_kms_sink_start` and
/// `configure_mode_setting` of sys/kms/gstkmssink.c).
///
/// unverified on a board: it ran on QEMU's virtio-gpu.
const KMS: Sink = Sink {
    element: "kmssink",
    plugin: "kms",
    settings: &[("force-modesetting", "true"), ("can-scale", "false")],
    lends: true,
    loses: false,
    converts: false,
    cure: "no desktop may run on this screen, and the user has to be in the group `video`",
};

/// Takes the framebuffer's own pixels only (`gst_fbdevsink_getcaps` of sys/fbdev/gstfbdevsink.c), and copies them.
///
/// unverified on a board: it ran on QEMU's virtio-gpu, 32 bits deep.
const FBDEV: Sink = Sink {
    element: "fbdevsink",
    plugin: "fbdevsink",
    settings: &[],
    lends: false,
    loses: false,
    converts: true,
    cure: "the user has to be in the group `video`",
};

/// The row for a screen.
#[must_use]
pub(super) fn row(glass: &Glass) -> Sink {
    match glass {
        Glass::X11 => X11,
        Glass::Wayland { whole: false } => WAYLAND,
        Glass::Wayland { whole: true } => WAYLAND_WHOLE,
        Glass::Gl => GL,
        Glass::Kms(_) => KMS,
        Glass::Fbdev(_) => FBDEV,
    }
}

impl Sink {
    /// Makes the element, set for this screen.
    ///
    /// # Errors
    /// When it is not installed, or the device does not open.
    pub(super) fn make(&self, glass: &Glass) -> Result<gst::Element> {
        plugins::load(self.plugin)?;
        let always =
            [("sync", "false"), ("async", "false"), ("qos", "false"), ("enable-last-sample", "false")];
        let sink = pipe::make(self.element, &always)?;
        for (name, value) in self.settings {
            sink.set_property_from_str(name, value);
        }
        match glass {
            Glass::Kms(connector) => {
                // Opened here: kmssink by itself finds only the drivers it has a list of.
                let card = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(&connector.card)
                    .with_context(|| format!("{} does not open", connector.card.display()))?;
                sink.set_property("fd", card.as_raw_fd());
                if let Some(id) = connector.id {
                    sink.set_property("connector-id", id);
                }
                // SAFETY: the key is used for nothing else; the card closes with the element, which uses it to the end.
                unsafe { sink.set_data("card", OwnedFd::from(card)) };
            }
            Glass::Fbdev(framebuffer) => {
                sink.set_property("device", framebuffer.node.display().to_string());
            }
            Glass::Wayland { .. } | Glass::X11 | Glass::Gl => {}
        }
        Ok(sink)
    }
}

/// For a log: what is drawn on.
#[must_use]
pub(super) fn title(glass: &Glass) -> String {
    let element = row(glass).element;
    match glass {
        Glass::Kms(connector) => format!("{element} on {}", connector.name),
        Glass::Fbdev(framebuffer) => format!("{element} on {}", framebuffer.node.display()),
        Glass::Wayland { .. } | Glass::X11 | Glass::Gl => element.into(),
    }
}
