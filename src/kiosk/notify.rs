//! systemd: ready, status, watchdog; silent when it is not there.

use std::time::Duration;

use sd_notify::NotifyState;

/// Tells the service manager. Without `NOTIFY_SOCKET` nothing happens.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("service manager: {error}");
    }
}

/// The control socket listens and the loop runs.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// On the way out.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// One line for `systemctl status`.
pub(crate) fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// The loop turns.
pub(crate) fn watchdog() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`watchdog`] is due: half of what the unit allows.
pub(crate) fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|period| period / 2)
}
