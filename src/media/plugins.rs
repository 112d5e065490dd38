//! Loads the GStreamer plugins in use, by file, and no others.
//!
//! A registry scan takes seconds on a board's first start, its cache takes memory, and `libav` alone doubles the
//! worker's. So the registry is switched off and each part asks for what it needs. `GST_PLUGIN_PATH` is honoured,
//! and otherwise the folder beside the `libgstreamer-1.0.so` in use.

use std::ffi::CStr;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};

/// What every call needs.
const ALWAYS: &[&str] =
    &["coreelements", "app", "rtp", "rtpmanager", "webrtc", "nice", "dtls", "srtp", "opus"];

/// Starts GStreamer without its registry, and loads what every call needs.
///
/// # Errors
/// When GStreamer does not start or a plugin is missing; names it, and the Debian package it is in.
///
/// # Safety
/// Sets environment variables: no other thread may run yet.
pub unsafe fn start() -> Result<()> {
    // SAFETY: the caller promises to be the only thread.
    unsafe {
        std::env::set_var("GST_REGISTRY_DISABLE", "yes");
        // Otherwise every stream of a V4L2 camera or codec leaves its device open until the worker ends: buffers that
        // outlive their pool are "orphaned", and then gst_v4l2_object_stop forgets its reference to the pool, which
        // has a descriptor of its own (GStreamer 1.22, sys/v4l2/gstv4l2object.c:4631-4650, gstv4l2bufferpool.c:1039
        // and :1825). A device that was pulled out is not gone before its last descriptor is.
        std::env::set_var("GST_V4L2_FORCE_DRAIN", "yes");
        // Many threads, each with an arena of its own, cost megabytes that are never used.
        #[cfg(target_env = "gnu")]
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
    gst::init().context("GStreamer does not start")?;
    for name in ALWAYS {
        load(name)?;
    }
    gstrsrtp::plugin_register_static().context("the built-in congestion control does not register")
}

/// Loads a plugin unless it is there already.
///
/// # Errors
/// When it is not installed or does not load; says where it was looked for.
pub fn load(name: &str) -> Result<()> {
    if gst::Registry::get().find_plugin(name).is_some() {
        return Ok(());
    }
    let folders = folders();
    let file = format!("libgst{name}.so");
    let Some(path) = folders.iter().map(|folder| folder.join(&file)).find(|path| path.exists()) else {
        return Err(anyhow!("GStreamer's plugin {file} is not in {folders:?}; install {}", package(name)));
    };
    let plugin =
        gst::Plugin::load_file(&path).with_context(|| format!("{} does not load", path.display()))?;
    log::debug!("loaded {} {}", plugin.plugin_name(), plugin.version());
    Ok(())
}

/// Whether a plugin's file is there.
#[must_use]
pub fn is_installed(name: &str) -> bool {
    folders().iter().any(|folder| folder.join(format!("libgst{name}.so")).exists())
}

/// An element, its plugin loaded when need be.
///
/// # Errors
/// When there is no such element.
pub fn element(plugin: &str, name: &str) -> Result<gst::Element> {
    load(plugin)?;
    gst::ElementFactory::make(name).build().with_context(|| format!("GStreamer has no element {name}"))
}

fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = ["GST_PLUGIN_PATH_1_0", "GST_PLUGIN_PATH", "GST_PLUGIN_SYSTEM_PATH_1_0"]
        .iter()
        .filter_map(std::env::var_os)
        .flat_map(|value| std::env::split_paths(&value).collect::<Vec<_>>())
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    // SAFETY: dladdr fills the struct for any address in a loaded object, and the name lives as long as the object.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(gst::ffi::gst_init as *const _, &raw mut info) != 0 && !info.dli_fname.is_null() {
            let library = PathBuf::from(CStr::from_ptr(info.dli_fname).to_string_lossy().into_owned());
            if let Some(folder) = library.parent() {
                folders.push(folder.join("gstreamer-1.0"));
            }
        }
    }
    folders
}

fn package(plugin: &str) -> &'static str {
    match plugin {
        "nice" => "gstreamer1.0-nice",
        "alsa" => "gstreamer1.0-alsa",
        "pango" | "ximagesink" | "xvimagesink" => "gstreamer1.0-x",
        "rtp" | "rtpmanager" | "video4linux2" | "jpeg" | "videocrop" | "videofilter" => {
            "gstreamer1.0-plugins-good"
        }
        "opengl" => "gstreamer1.0-gl",
        "x264" => "gstreamer1.0-plugins-ugly",
        "libav" => "gstreamer1.0-libav",
        "webrtc" | "dtls" | "srtp" | "openh264" | "webrtcdsp" | "waylandsink" | "kms" | "fbdevsink"
        | "videoparsersbad" | "v4l2codecs" | "va" => "gstreamer1.0-plugins-bad",
        _ => "gstreamer1.0-plugins-base",
    }
}
