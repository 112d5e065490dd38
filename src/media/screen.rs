//! The screen (stub).
use super::protocol::{self, SessionId};

/// The screen.
#[derive(Clone, Debug, Default)]
pub struct Screen {}

impl Screen {
    /// A member's decoded frame.
    pub fn member(&self, _session: SessionId, _buffer: &gst::Buffer, _info: &gst_video::VideoInfo) {}
    /// The camera's frame.
    pub fn preview(&self, _buffer: &gst::Buffer) {}
    /// What the customer is told.
    pub fn show(&self, _screen: protocol::Screen) {}
    /// A message over the picture.
    pub fn message(&self, _from: &str, _text: &str, _seconds: u32) {}
    /// The camera is closed.
    pub fn preview_ends(&self) {}
    /// The output has an error.
    pub fn breaks(&self, _generation: u32, _detail: &str) -> Vec<protocol::Event> { Vec::new() }
    /// Opens, or tries again.
    pub fn look(&self, _timebase: &super::timebase::Timebase) -> Vec<protocol::Event> { Vec::new() }
    /// A member is gone.
    pub fn forget(&self, _session: SessionId) {}
}
