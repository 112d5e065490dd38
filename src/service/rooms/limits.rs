//! How many fit into a room, how long they may be silent, and when a room ends.

use std::time::Duration;

use crate::room::wire::Kind;

/// What an operator may set, `[rooms]` in roomservice.toml.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Seats of a multi_room.
    pub multi_seats: usize,
    /// Seats of a live_room.
    pub live_seats: usize,
    /// How long a member may be silent.
    pub heartbeat: Duration,
    /// Whether a double_room or multi_room ends when its creator leaves. A live_room always does.
    pub creator_can_destroy: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { multi_seats: 4, live_seats: 4, heartbeat: Duration::from_secs(20), creator_can_destroy: false }
    }
}

impl Limits {
    /// How many members fit into a room.
    #[must_use]
    pub fn seats(&self, kind: Kind) -> usize {
        match kind {
            Kind::DoubleRoom => 2,
            Kind::MultiRoom => self.multi_seats,
            Kind::LiveRoom => self.live_seats,
        }
    }

    pub(super) fn ends_with_creator(&self, kind: Kind) -> bool {
        kind == Kind::LiveRoom || self.creator_can_destroy
    }

    /// How often to sweep: every 5 s as the originals do (section 4.5), oftener for a short heartbeat.
    #[must_use]
    pub fn sweep_every(&self) -> Duration {
        (self.heartbeat / 4).clamp(Duration::from_millis(50), Duration::from_secs(5))
    }
}
