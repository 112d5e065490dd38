//! Streams whose publisher is in no room. Clients publish first and enter then (section 6.1), so it is allowed for a
//! while and for a few streams; longer or more would be somebody using the relay without a room. Sans-IO.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::clock::Now;

/// How long a stream may go without a room.
pub const LOOSE_LIFE: Duration = Duration::from_secs(60);
/// How many such streams a user may have; a further one ends the oldest.
const PER_USER: usize = 4;

/// Who published what when.
#[derive(Debug, Default)]
pub struct Loose {
    by_user: HashMap<String, Vec<(String, Instant)>>,
}

impl Loose {
    /// A user starts to publish. Returns a stream that has to end for it.
    pub fn note(&mut self, now: Now, user: &str, stream: &str) -> Option<String> {
        let streams = self.by_user.entry(user.to_owned()).or_default();
        if streams.iter().any(|(known, _)| known == stream) {
            return None;
        }
        streams.push((stream.to_owned(), now.instant));
        (streams.len() > PER_USER).then(|| streams.remove(0).0)
    }

    /// Forgets the streams that found a room; returns those whose time is over.
    pub fn sweep(&mut self, now: Now, has_room: impl Fn(&str) -> bool) -> Vec<String> {
        let mut over = Vec::new();
        for streams in self.by_user.values_mut() {
            streams.retain(|(stream, since)| {
                let late = since.checked_add(LOOSE_LIFE).is_some_and(|end| end <= now.instant);
                if has_room(stream) {
                    return false;
                }
                if late {
                    over.push(stream.clone());
                }
                !late
            });
        }
        self.by_user.retain(|_, streams| !streams.is_empty());
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_a_room_ends_after_a_minute() {
        let (mut loose, now) = (Loose::default(), Now::read());
        loose.note(now, "a", "seated");
        loose.note(now, "a", "loose");
        let seated = |stream: &str| stream == "seated";
        assert!(loose.sweep(now + Duration::from_secs(59), seated).is_empty());
        assert_eq!(loose.sweep(now + LOOSE_LIFE, seated), ["loose"]);
        assert!(loose.by_user.is_empty());
    }

    #[test]
    fn a_fifth_loose_stream_ends_the_first() {
        let (mut loose, now) = (Loose::default(), Now::read());
        let ended: Vec<_> = (0..5).filter_map(|n| loose.note(now, "a", &n.to_string())).collect();
        assert_eq!(ended, ["0"]);
        assert_eq!(loose.note(now, "a", "4"), None, "again the same one");
        assert_eq!(loose.note(now, "b", "0"), None);
    }
}
