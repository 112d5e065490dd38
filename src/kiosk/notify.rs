//! systemd: ready, status, watchdog; silent when it is not there.

use std::time::Duration;

use sd_notify::NotifyState;

/// Tells the service manager. Without `NOTIFY_SOCKET` nothing happens.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("service manager: {error}");
    }
}

/// The button is armed, and the worker has answered or failed for all to see.
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

/// How long a configuration that is wrong keeps the service manager from trying again.
const STAYS_WRONG: Duration = Duration::from_secs(10);

/// Shows in `systemctl status` what keeps us from starting, and waits a while before it is tried again. By hand there is
/// no waiting.
pub fn stays_wrong(why: &str) {
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        status(why);
        std::thread::sleep(STAYS_WRONG);
    }
}
