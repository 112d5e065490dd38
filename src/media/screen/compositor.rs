//! Notices that a Wayland compositor has ended.
//!
//! GStreamer 1.22's sinks do not tell: the thread that listens ends, and each later picture is dropped, since the last
//! was never said to be shown. A connection of our own, over which nothing is ever said, ends with the compositor.

use std::env;
use std::io::{Read, Result};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::media::pipe;

/// A connection to the compositor.
#[derive(Debug)]
pub(super) struct Watch(UnixStream);

impl Watch {
    /// Connects to the compositor that the environment names; `gone` is called when it ends, or when this is dropped.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(super) fn start(gone: impl FnOnce() + Send + 'static) -> Result<Self> {
        let stream = UnixStream::connect(path())?;
        let mut listener = stream.try_clone()?;
        pipe::spawn("wayland", move || {
            let mut said = [0; 64];
            while matches!(listener.read(&mut said), Ok(1..)) {}
            gone();
        });
        Ok(Self(stream))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Where it listens, as libwayland has it (src/wayland-client.c, `connect_to_socket`): a whole path is used as it is.
fn path() -> PathBuf {
    let named = |name| env::var_os(name).unwrap_or_default();
    Path::new(&named("XDG_RUNTIME_DIR")).join(named("WAYLAND_DISPLAY"))
}
