//! The media worker.

pub mod protocol;
