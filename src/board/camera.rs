//! V4L2 cameras: which there are, what each offers, and what is wrong with one that does not work. GStreamer streams.
//!
//! A camera is found by a path that stays the same (`/dev/v4l/by-id/…`), by part of its name or bus, or it is the first
//! that captures. The `v4l` crate opens the device and sets controls. Its lists are not used: it knows no multi-planar
//! devices, panics at a control type or a name it does not know, and believes a driver that never stops counting.

pub mod control;
pub mod mode;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use v4l::framesize::FrameSizeEnum;
use v4l::v4l_sys as sys;
use v4l::v4l2::{self, vidioc};

use self::mode::{Offer, Rate, Size, Wish};
use super::holder::{self, Holder};

/// More formats, sizes or rates than any camera has: a driver that goes on counts wrong.
const MANY: u32 = 256;
/// `V4L2_CAP_IO_MC` of `linux/videodev2.h`: the media controller wires sensor and node; nothing comes before that.
const IO_MC: u32 = 0x2000_0000;

/// Why a camera cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It is not there.
    #[error("there is no camera {wanted}: {}; plug it in, or see [camera] device", there_are(.seen))]
    Missing {
        /// What was looked for.
        wanted: String,
        /// What there is instead.
        seen: Vec<String>,
    },
    /// Another process uses it.
    #[error("the camera {name} ({}) is busy, {}; end that program", path.display(), holder::sentence(.holders))]
    Busy {
        /// The node.
        path: PathBuf,
        /// Its name.
        name: String,
        /// Who holds it, as far as can be seen.
        holders: Vec<Holder>,
    },
    /// We may not open it.
    #[error(
        "the camera {} may not be opened by this user: it has to be in the group `video`, and the unit has to allow the device",
        path.display()
    )]
    Denied {
        /// The node.
        path: PathBuf,
    },
    /// It gives no pictures, or none that can be used.
    #[error("the camera {name} ({}) cannot be used: {why}", path.display())]
    Unusable {
        /// The node.
        path: PathBuf,
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// It answers with an error.
    #[error("the camera {} does not answer ({source}); unplug it and plug it in again", path.display())]
    Broken {
        /// The node.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

fn there_are(seen: &[String]) -> String {
    if seen.is_empty() { "there is none at all".into() } else { format!("there are {}", seen.join(", ")) }
}

/// An open camera. It is not streaming, and closes when dropped.
pub struct Camera {
    /// The node, such as `/dev/video0`; another one after each plugging in.
    pub path: PathBuf,
    /// Names of the node that stay the same: by serial number first, then by the socket it is plugged into.
    pub stable: Vec<PathBuf>,
    /// What it calls itself.
    pub name: String,
    /// The kernel's driver.
    pub driver: String,
    /// Where it is plugged in.
    pub bus: String,
    /// Its planes lie in buffers of their own (`V4L2_CAP_VIDEO_CAPTURE_MPLANE`).
    pub multiplanar: bool,
    device: v4l::Device,
}

impl std::fmt::Debug for Camera {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Camera").field("path", &self.path).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Every node that captures, or is one we cannot ask, by number. Codecs, scalers and metadata are left out.
#[must_use]
pub fn list() -> Vec<Result<Camera, Trouble>> {
    nodes(Path::new("/dev"))
        .into_iter()
        .map(|path| Camera::open(&path))
        .filter(|camera| !matches!(camera, Err(Trouble::Unusable { .. } | Trouble::Missing { .. })))
        .collect()
}

/// The camera that is wanted: a path, part of its name or bus, or empty for the first that has a format we know.
///
/// # Errors
/// When there is none, or it cannot be opened.
pub fn find(wanted: &str) -> Result<Camera, Trouble> {
    if wanted.starts_with('/') {
        return Camera::open(Path::new(wanted)).map_err(|trouble| match trouble {
            Trouble::Missing { wanted, .. } => Trouble::Missing { wanted, seen: titles(&list()) },
            other => other,
        });
    }
    pick(list(), wanted)
}

fn pick(cameras: Vec<Result<Camera, Trouble>>, wanted: &str) -> Result<Camera, Trouble> {
    let seen = titles(&cameras);
    let mut trouble = None;
    for camera in cameras {
        match camera {
            Ok(camera) if camera.is_called(wanted) && camera.has_known_format() => return Ok(camera),
            Ok(_) => {}
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    let wanted = if wanted.is_empty() { "at all".into() } else { format!("called {wanted:?}") };
    Err(trouble.unwrap_or(Trouble::Missing { wanted, seen }))
}

fn titles(cameras: &[Result<Camera, Trouble>]) -> Vec<String> {
    let title = |camera: &Camera| {
        let path = camera.stable.first().unwrap_or(&camera.path);
        format!("{} ({})", camera.name, path.display())
    };
    cameras.iter().flatten().map(title).collect()
}

/// `/dev/video0` and so on, by number. Names such as `/dev/video-dec0` are other things' links.
fn nodes(dev: &Path) -> Vec<PathBuf> {
    let number = |name: &str| name.strip_prefix("video")?.parse::<u32>().ok();
    let mut nodes: Vec<(u32, PathBuf)> = fs::read_dir(dev)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path())))
        .collect();
    nodes.sort();
    nodes.into_iter().map(|(_, path)| path).collect()
}

/// The links of `/dev/v4l` that lead to this node.
fn stable_names(v4l: &Path, path: &Path) -> Vec<PathBuf> {
    let Ok(node) = fs::canonicalize(path) else { return Vec::new() };
    let mut names = Vec::new();
    for folder in ["by-id", "by-path"] {
        let mut links: Vec<PathBuf> = fs::read_dir(v4l.join(folder))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|link| fs::canonicalize(link).is_ok_and(|target| target == node))
            .collect();
        links.sort();
        names.extend(links);
    }
    names
}

impl Camera {
    /// Opens a node.
    ///
    /// # Errors
    /// When it is missing, refused, busy, broken, or no camera.
    pub fn open(path: &Path) -> Result<Self, Trouble> {
        let trouble = |error: io::Error| match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => {
                Trouble::Missing { wanted: path.display().to_string(), seen: Vec::new() }
            }
            Some(libc::EACCES | libc::EPERM) => Trouble::Denied { path: path.into() },
            Some(libc::EBUSY) => Trouble::Busy {
                path: path.into(),
                name: path.display().to_string(),
                holders: holder::of(path),
            },
            _ => Trouble::Broken { path: path.into(), source: error },
        };
        let unusable = |name: &str, why: &str| Trouble::Unusable {
            path: path.into(),
            name: name.into(),
            why: why.into(),
        };
        // A path with a zero byte in it cannot come from a TOML file or /dev, but the crate would panic at one.
        if path.as_os_str().as_encoded_bytes().contains(&0) {
            return Err(unusable("", "this is no path"));
        }
        let device = v4l::Device::with_path(path).map_err(trouble)?;
        // SAFETY: a structure of plain numbers.
        let mut caps: sys::v4l2_capability = unsafe { std::mem::zeroed() };
        match ask(&device, vidioc::VIDIOC_QUERYCAP, &mut caps) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
                return Err(unusable("", "this is no video device; see [camera] device"));
            }
            other => other.map_err(trouble)?,
        }
        let (name, driver, bus) = (text(&caps.card), text(&caps.driver), text(&caps.bus_info));
        let able = if caps.capabilities & sys::V4L2_CAP_DEVICE_CAPS == 0 {
            caps.capabilities
        } else {
            caps.device_caps
        };
        if able & (sys::V4L2_CAP_VIDEO_CAPTURE | sys::V4L2_CAP_VIDEO_CAPTURE_MPLANE) == 0 {
            return Err(unusable(&name, "it gives no pictures, so it is a codec, or a camera's other node"));
        }
        if able & IO_MC != 0 {
            return Err(unusable(
                &name,
                "its sensor has to be wired by libcamera or media-ctl first; use a USB camera, or a driver that does it itself",
            ));
        }
        let multiplanar = able & sys::V4L2_CAP_VIDEO_CAPTURE == 0;
        let stable = stable_names(Path::new("/dev/v4l"), path);
        Ok(Self { path: path.into(), stable, name, driver, bus, multiplanar, device })
    }

    fn is_called(&self, wanted: &str) -> bool {
        let wanted = wanted.to_lowercase();
        self.name.to_lowercase().contains(&wanted) || self.bus.to_lowercase().contains(&wanted)
    }

    fn has_known_format(&self) -> bool {
        self.formats().into_iter().any(|fourcc| mode::kind(fourcc).is_some())
    }

    fn buffers(&self) -> u32 {
        if self.multiplanar {
            sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE
        } else {
            sys::v4l2_buf_type_V4L2_BUF_TYPE_VIDEO_CAPTURE
        }
    }

    /// Every format, those that the kiosk cannot use included.
    #[must_use]
    pub fn formats(&self) -> Vec<[u8; 4]> {
        let mut formats = Vec::new();
        for index in 0..MANY {
            // SAFETY: a structure of plain numbers.
            let mut format: sys::v4l2_fmtdesc = unsafe { std::mem::zeroed() };
            (format.index, format.type_) = (index, self.buffers());
            if ask(&self.device, vidioc::VIDIOC_ENUM_FMT, &mut format).is_err() {
                break;
            }
            // What the kernel made up out of another format is no better than what we make ourselves.
            if format.flags & sys::V4L2_FMT_FLAG_EMULATED == 0 {
                formats.push(format.pixelformat.to_le_bytes());
            }
        }
        formats
    }

    /// What it offers in formats that the kiosk can use. Ranges of sizes and rates are asked about for `wish`.
    #[must_use]
    pub fn offers(&self, wish: Wish) -> Vec<Offer> {
        let mut offers = Vec::new();
        for fourcc in self.formats().into_iter().filter(|fourcc| mode::kind(*fourcc).is_some()) {
            for size in self.sizes(fourcc, wish) {
                let (width, height) = size.nearest(wish.width, wish.height);
                let rates = self.rates(fourcc, width, height, wish.fps);
                offers.push(Offer { fourcc, size, rates });
            }
        }
        offers
    }

    fn sizes(&self, fourcc: [u8; 4], wish: Wish) -> Vec<Size> {
        let mut sizes = Vec::new();
        for index in 0..MANY {
            // SAFETY: a structure of plain numbers.
            let mut size: sys::v4l2_frmsizeenum = unsafe { std::mem::zeroed() };
            (size.index, size.pixel_format) = (index, u32::from_le_bytes(fourcc));
            if ask(&self.device, vidioc::VIDIOC_ENUM_FRAMESIZES, &mut size).is_err() {
                break;
            }
            match FrameSizeEnum::try_from(size) {
                Ok(FrameSizeEnum::Discrete(size)) => sizes.push(Size::Exact(size.width, size.height)),
                Ok(FrameSizeEnum::Stepwise(range)) => {
                    sizes.push(Size::Range {
                        min: (range.min_width, range.min_height),
                        max: (range.max_width, range.max_height),
                        step: (range.step_width, range.step_height),
                    });
                    // There is only one range, though some drivers give it for every index.
                    break;
                }
                Err(_) => break,
            }
        }
        if sizes.is_empty() {
            sizes.extend(self.tried(fourcc, wish));
        }
        sizes
    }

    /// What the driver makes of the wanted size, when it lists none.
    fn tried(&self, fourcc: [u8; 4], wish: Wish) -> Option<Size> {
        // SAFETY: a structure of plain numbers.
        let mut format: sys::v4l2_format = unsafe { std::mem::zeroed() };
        format.type_ = self.buffers();
        format.fmt.pix.width = wish.width;
        format.fmt.pix.height = wish.height;
        format.fmt.pix.pixelformat = u32::from_le_bytes(fourcc);
        ask(&self.device, vidioc::VIDIOC_TRY_FMT, &mut format).ok()?;
        // SAFETY: width, height and pixelformat come first in the single- and in the multi-planar form.
        let pix = unsafe { format.fmt.pix };
        (pix.pixelformat == u32::from_le_bytes(fourcc)).then_some(Size::Exact(pix.width, pix.height))
    }

    fn rates(&self, fourcc: [u8; 4], width: u32, height: u32, fps: u32) -> Vec<Rate> {
        use v4l::frameinterval::FrameIntervalEnum;
        let rate =
            |interval: v4l::Fraction| Rate { frames: interval.denominator, seconds: interval.numerator };
        let mut rates = Vec::new();
        for index in 0..MANY {
            // SAFETY: a structure of plain numbers.
            let mut interval: sys::v4l2_frmivalenum = unsafe { std::mem::zeroed() };
            (interval.index, interval.pixel_format) = (index, u32::from_le_bytes(fourcc));
            (interval.width, interval.height) = (width, height);
            if ask(&self.device, vidioc::VIDIOC_ENUM_FRAMEINTERVALS, &mut interval).is_err() {
                break;
            }
            match FrameIntervalEnum::try_from(interval) {
                Ok(FrameIntervalEnum::Discrete(interval)) => rates.push(rate(interval)),
                Ok(FrameIntervalEnum::Stepwise(range)) => {
                    let (fastest, slowest) = (rate(range.min), rate(range.max));
                    let wanted = Rate { frames: fps, seconds: 1 };
                    rates.push(fastest);
                    if wanted.millis() < fastest.millis() && wanted.millis() > slowest.millis() {
                        rates.push(wanted);
                    }
                    rates.push(slowest);
                    break;
                }
                Err(_) => break,
            }
        }
        rates.retain(|rate| rate.frames > 0 && rate.seconds > 0);
        rates.sort_by_key(|rate| std::cmp::Reverse(rate.millis()));
        rates
    }

    /// Whether nobody else streams from it. Asked by giving back buffers that we do not have: the owner alone may.
    ///
    /// # Errors
    /// [`Trouble::Busy`], or [`Trouble::Missing`] when it was unplugged just now.
    pub fn is_free(&self) -> Result<(), Trouble> {
        // SAFETY: a structure of plain numbers.
        let mut request: sys::v4l2_requestbuffers = unsafe { std::mem::zeroed() };
        request.type_ = self.buffers();
        request.memory = sys::v4l2_memory_V4L2_MEMORY_MMAP;
        match ask(&self.device, vidioc::VIDIOC_REQBUFS, &mut request).err().and_then(|e| e.raw_os_error()) {
            Some(libc::EBUSY) => Err(Trouble::Busy {
                path: self.path.clone(),
                name: self.name.clone(),
                holders: holder::of(&self.path),
            }),
            Some(libc::ENODEV) => Err(Trouble::Missing { wanted: self.name.clone(), seen: Vec::new() }),
            _ => Ok(()),
        }
    }

    /// [`Trouble::Unusable`] with the formats it has, for a camera none of whose modes was chosen.
    #[must_use]
    pub fn no_mode(&self) -> Trouble {
        let formats: Vec<String> =
            self.formats().iter().map(|fourcc| String::from_utf8_lossy(fourcc).into_owned()).collect();
        Trouble::Unusable {
            path: self.path.clone(),
            name: self.name.clone(),
            why: format!("it has only {}; see [camera] formats", formats.join(", ")),
        }
    }
}

/// One question to a device.
fn ask<T>(device: &v4l::Device, request: vidioc::_IOC_TYPE, what: &mut T) -> io::Result<()> {
    // SAFETY: every caller pairs a request with the structure the kernel defines for it.
    unsafe { v4l2::ioctl(device.handle().fd(), request, std::ptr::from_mut(what).cast()) }
}

/// A fixed field of text, up to its first zero; anything that is no UTF-8 is replaced.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_come_by_number_and_other_names_are_no_nodes() {
        let dev = tempfile::tempdir().expect("a folder");
        for name in ["video10", "video2", "video-dec0", "videos", "video", "vbi0"] {
            fs::write(dev.path().join(name), "").expect("a file");
        }
        assert_eq!(nodes(dev.path()), ["video2", "video10"].map(|name| dev.path().join(name)));
        assert!(nodes(&dev.path().join("nothing")).is_empty());
    }

    #[test]
    fn a_node_s_stable_names_are_found_and_the_serial_number_comes_first() {
        let dev = tempfile::tempdir().expect("a folder");
        let node = dev.path().join("video3");
        fs::write(&node, "").expect("a file");
        for (folder, name) in [("by-path", "pci-usb-0:1"), ("by-id", "usb-Cam_123"), ("by-id", "usb-Other")] {
            fs::create_dir_all(dev.path().join(folder)).expect("a folder");
            let target = if name == "usb-Other" { "../video4" } else { "../video3" };
            std::os::unix::fs::symlink(target, dev.path().join(folder).join(name)).expect("a link");
        }
        let names = stable_names(dev.path(), &node);
        assert_eq!(names, ["by-id/usb-Cam_123", "by-path/pci-usb-0:1"].map(|name| dev.path().join(name)));
    }

    #[test]
    fn missing_and_wrong_things_are_told_apart() {
        let missing = find("/dev/v4l/by-id/usb-Nobody").expect_err("there is none");
        assert!(matches!(missing, Trouble::Missing { .. }), "{missing}");
        assert!(missing.to_string().contains("usb-Nobody"), "{missing}");
        let wrong = find("/dev/null").expect_err("no camera");
        assert!(matches!(wrong, Trouble::Unusable { .. }), "{wrong}");
        let missing = find("A camera that nobody makes").expect_err("there is none");
        assert!(missing.to_string().contains("A camera that nobody makes"), "{missing}");
    }

    #[test]
    fn a_busy_camera_names_who_holds_it() {
        let holders = vec![Holder { pid: 7, name: "cheese".into() }];
        let busy = Trouble::Busy { path: "/dev/video0".into(), name: "Cam".into(), holders };
        assert!(busy.to_string().contains("held by cheese (process 7)"), "{busy}");
    }

    #[test]
    fn a_name_that_is_no_text_does_no_harm() {
        assert_eq!(text(b"Cam\xff\0rest"), "Cam\u{fffd}");
        assert_eq!(text(b" all of it"), "all of it");
    }
}
