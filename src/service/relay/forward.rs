//! One forwarded stream of packets, from whoever publishes to one player.
//!
//! The player sees one SSRC for as long as it is attached. Publishers come and go behind it: sequence numbers
//! stay gapless at the seam and timestamps go on, so that its jitter buffer and decoder notice nothing but a key frame.

use std::time::{Duration, Instant};

/// Video without a recognisable key frame is forwarded all the same after this long.
const KEY_FRAME_PATIENCE: Duration = Duration::from_secs(4);

/// Where packets come from: a publish session and its SSRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) session: u64,
    pub(super) ssrc: u32,
}

/// An incoming packet, as far as forwarding cares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    pub(super) source: Source,
    /// The sequence number, extended to 64 bits.
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
    /// A decoder can begin with this packet.
    pub(super) entry: bool,
}

/// The numbers the packet goes out with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
}

/// Renumbers packets for one player.
#[derive(Debug)]
pub(super) struct Forward {
    clock: u32,
    needs_entry: bool,
    /// Where the next new source begins.
    next_sequence: u64,
    last: Option<(u32, Instant)>,
    current: Option<Current>,
    waiting: Option<(Source, Instant)>,
}

#[derive(Debug)]
struct Current {
    source: Source,
    first_sequence: u64,
    /// Packets that overtook the entry packet but belong to its frame may still be used: only for a player's very first source.
    early_timestamp: Option<u32>,
    /// Added to incoming numbers.
    sequence_offset: u64,
    timestamp_offset: u32,
}

impl Forward {
    /// `clock` ticks a second; video needs an entry point before it is worth sending.
    pub(super) fn new(clock: u32, needs_entry: bool, first_sequence: u64) -> Self {
        Self { clock, needs_entry, next_sequence: first_sequence, last: None, current: None, waiting: None }
    }

    /// Whether the player is in want of a key frame of this source.
    pub(super) fn wants_entry(&self, source: Source) -> bool {
        self.needs_entry && self.current.as_ref().is_none_or(|c| c.source != source)
    }

    /// The packet's numbers on the player's side, or `None` if it is not for the player.
    pub(super) fn map(&mut self, packet: Incoming, now: Instant) -> Option<Outgoing> {
        if self.current.as_ref().is_none_or(|c| c.source != packet.source) {
            if self.needs_entry && !packet.entry {
                let since = match self.waiting {
                    Some((source, since)) if source == packet.source => since,
                    _ => {
                        self.waiting = Some((packet.source, now));
                        now
                    }
                };
                if now.saturating_duration_since(since) < KEY_FRAME_PATIENCE {
                    return None;
                }
            }
            self.switch(packet, now);
        }
        let current = self.current.as_ref()?;
        if packet.sequence < current.first_sequence
            && (current.early_timestamp != Some(packet.timestamp)
                || current.first_sequence - packet.sequence > 64)
        {
            return None;
        }
        let out = Outgoing {
            sequence: packet.sequence.wrapping_add(current.sequence_offset),
            timestamp: packet.timestamp.wrapping_add(current.timestamp_offset),
        };
        if out.sequence >= self.next_sequence {
            self.next_sequence = out.sequence + 1;
            self.last = Some((out.timestamp, now));
        }
        Some(out)
    }

    fn switch(&mut self, packet: Incoming, now: Instant) {
        self.waiting = None;
        let timestamp = match self.last {
            None => packet.timestamp,
            Some((last, at)) => {
                // At least one tick of 20 ms: equal timestamps would melt two frames into one.
                let gap = now.saturating_duration_since(at).max(Duration::from_millis(20));
                let ticks = gap.as_millis() * u128::from(self.clock) / 1000;
                last.wrapping_add(ticks as u32)
            }
        };
        self.current = Some(Current {
            source: packet.source,
            first_sequence: packet.sequence,
            early_timestamp: self.last.is_none().then_some(packet.timestamp),
            sequence_offset: self.next_sequence.wrapping_sub(packet.sequence),
            timestamp_offset: timestamp.wrapping_sub(packet.timestamp),
        });
    }
}

/// Whether an H.264 RTP payload opens a picture that a decoder can begin with (RFC 6184): it carries an SPS or the start of an IDR slice.
pub(super) fn is_entry(payload: &[u8]) -> bool {
    const IDR: u8 = 5;
    const SPS: u8 = 7;
    let entry = |nal: u8| matches!(nal & 0x1f, IDR | SPS);
    match payload {
        [nal, ..] if entry(*nal) => true,
        // STAP-A: two bytes of length before every unit.
        [nal, units @ ..] if nal & 0x1f == 24 => {
            let mut rest = units;
            while let [high, low, unit @ ..] = rest {
                let len = usize::from(u16::from_be_bytes([*high, *low]));
                match unit.first() {
                    Some(nal) if entry(*nal) && len > 0 => return true,
                    _ => {}
                }
                let Some(next) = unit.get(len..) else { return false };
                rest = next;
            }
            false
        }
        // FU-A, its start bit.
        [nal, header, ..] if nal & 0x1f == 28 => header & 0x80 != 0 && entry(*header),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(session: u64, sequence: u64, timestamp: u32, entry: bool) -> Incoming {
        Incoming { source: Source { session, ssrc: 1 }, sequence, timestamp, entry }
    }

    #[test]
    fn a_new_publisher_goes_on_where_the_old_one_stopped() {
        let start = Instant::now();
        let mut forward = Forward::new(90_000, true, 1000);
        assert_eq!(forward.map(packet(1, 70, 5000, false), start), None, "nothing before a key frame");
        let first = forward.map(packet(1, 71, 8000, true), start).unwrap();
        assert_eq!(first, Outgoing { sequence: 1000, timestamp: 8000 });
        assert_eq!(forward.map(packet(1, 73, 11_000, false), start).unwrap().sequence, 1002);
        assert_eq!(forward.map(packet(1, 72, 8000, false), start).unwrap().sequence, 1001, "late, not lost");

        let later = start + Duration::from_secs(2);
        assert!(forward.wants_entry(Source { session: 2, ssrc: 1 }));
        assert_eq!(forward.map(packet(2, 9_000, 77, false), later), None);
        let second = forward.map(packet(2, 9_001, 3077, true), later).unwrap();
        assert_eq!(second, Outgoing { sequence: 1003, timestamp: 11_000 + 180_000 });
        assert_eq!(forward.map(packet(2, 9_000, 77, false), later), None, "older than the seam");
        assert_eq!(forward.map(packet(2, 9_002, 6077, false), later).unwrap().sequence, 1004);
    }

    #[test]
    fn an_encoder_without_idr_is_shown_after_a_while() {
        let start = Instant::now();
        let mut forward = Forward::new(90_000, true, 1);
        assert_eq!(forward.map(packet(1, 1, 1, false), start), None);
        assert_eq!(forward.map(packet(1, 2, 2, false), start + KEY_FRAME_PATIENCE / 2), None);
        assert!(forward.map(packet(1, 3, 3, false), start + KEY_FRAME_PATIENCE).is_some());
    }

    #[test]
    fn entry_points_are_seen_in_every_packing() {
        assert!(is_entry(&[0x67, 1, 2]), "single SPS");
        assert!(is_entry(&[0x65, 1]), "single IDR");
        assert!(is_entry(&[0x78, 0, 2, 0x09, 0x10, 0, 2, 0x67, 1]), "STAP-A of AUD and SPS");
        assert!(is_entry(&[0x7c, 0x85, 1]), "FU-A start of IDR");
        assert!(!is_entry(&[0x7c, 0x05, 1]), "FU-A middle of IDR");
        assert!(!is_entry(&[0x61, 1]), "P slice");
        assert!(!is_entry(&[0x78, 0, 200, 0x61]), "STAP-A that lies about its length");
        assert!(!is_entry(&[]));
    }

    proptest! {
        #[test]
        fn out_numbers_are_unique_and_never_jump_back_over_a_seam(
            steps in proptest::collection::vec((0u64..4, 0u64..30, any::<bool>()), 1..200)
        ) {
            let start = Instant::now();
            let mut forward = Forward::new(90_000, true, 500);
            let (mut session, mut next, mut floor) = (0u64, 100u64, 0u64);
            let mut seen = std::collections::HashSet::new();
            for (i, (change, back, entry)) in steps.into_iter().enumerate() {
                if change == 0 {
                    session += 1;
                    next = 40 + 7 * session;
                }
                let sequence = if entry { next } else { next.saturating_sub(back) };
                next += 1;
                let before = forward.current.as_ref().map(|c| c.source.session);
                let edge = forward.next_sequence;
                let now = start + Duration::from_millis(i as u64);
                if let Some(out) = forward.map(packet(session, sequence, next as u32, entry), now) {
                    if before != Some(session) {
                        floor = edge;
                    }
                    if before.is_some() {
                        prop_assert!(out.sequence + 64 >= floor);
                    }
                    seen.insert((session, out.sequence));
                }
            }
            // A number is used by one session only.
            let mut numbers: Vec<u64> = seen.iter().map(|(_, n)| *n).collect();
            let count = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            prop_assert_eq!(count, numbers.len());
        }

        #[test]
        fn no_payload_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = is_entry(&bytes);
        }
    }
}
