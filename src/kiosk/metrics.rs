//! What `kioskd metrics` says: Prometheus text, for node_exporter's textfile collector or whoever asks.

use std::fmt::{Display, Write as _};

use super::status::Status;

/// Every state's name.
const STATES: [&str; 8] =
    ["starting", "offline", "idle", "joining", "waiting", "in_call", "leaving", "fault"];

/// The numbers of `status`.
#[must_use]
pub fn text(status: &Status) -> String {
    let mut text = String::new();
    let states = STATES.map(|state| (label("state", state), u64::from(state == status.state)));
    metric(&mut text, "state", "gauge", "1 for the state the kiosk is in.", states);
    metric(&mut text, "calls_total", "counter", "Calls since kioskd started.", [("", status.calls)]);
    let restarts = [("", status.worker.restarts)];
    let help = "Media workers that ended without being told to.";
    metric(&mut text, "worker_restarts_total", "counter", help, restarts);
    if !status.worker.encoder.is_empty() {
        let encoder = [(label("encoder", &status.worker.encoder), 1)];
        metric(&mut text, "encoder_info", "gauge", "The encoder in use.", encoder);
    }
    let broken = [("", u64::from(status.worker.broken.is_some()))];
    metric(&mut text, "part_broken", "gauge", "1 when camera, sound, codec or screen does not work.", broken);
    let warning = [("", u64::from(status.ticket.warning.is_some()))];
    let help = "1 when the ticket has expired, or will within 14 days and is not renewed.";
    metric(&mut text, "ticket_warning", "gauge", help, warning);
    if let Some(expires) = status.ticket.expires_unix {
        let help = "When the ticket expires, unix seconds.";
        metric(&mut text, "ticket_expires_timestamp_seconds", "gauge", help, [("", expires)]);
    }
    text
}

fn label(name: &str, value: &str) -> String {
    // https://prometheus.io/docs/instrumenting/exposition_formats/: these three are escaped in a value.
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{{{name}=\"{value}\"}}")
}

fn metric<L: Display>(
    text: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, u64)>,
) {
    let name = format!("rtcroom_kiosk_{name}");
    // Writing to a string does not fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in values {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        assert_eq!(label("a", "x\"} 1\n\\"), "{a=\"x\\\"} 1\\n\\\\\"}");
    }
}
