//! The door switch of the housing: whether somebody has opened it.

use serde::Deserialize;

use super::lamp::Kind;
use super::line::Line;

/// `[tamper]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tamper {
    /// Whether there is one.
    pub kind: Kind,
    /// Its line; active means open.
    pub gpio: Option<Line>,
}
