//! The members' sound on its way to the speaker: each waits for the network in a small store, and all are mixed.
//!
//! A member's clock is not the speaker's, and packets come unevenly. The store is kept as low as the member's packets
//! allow by playing a little faster or slower: no clicks, no growing delay. No I/O here; time is counted in blocks.

use super::echo::BLOCK;
use super::protocol::SessionId;
use super::resample::Resampler;
use super::stats::RATE;

/// Sound that is left in a store when its packets come latest, samples: where a member starts.
const MARGIN: f64 = 0.02 * RATE as f64;
/// By how much a store that ran dry is kept higher, and how high at most.
const RAISE: f64 = 0.01 * RATE as f64;
const HIGHEST: f64 = 0.15 * RATE as f64;
/// A packet of Opus.
const PACKET: f64 = 0.02 * RATE as f64;
/// More than this above the margin is thrown away at once: a network that stood still and came back.
const FLOOD: f64 = 0.2 * RATE as f64;
/// Blocks over which the lowest filling is looked for: 2 s.
const WINDOW: u32 = 200;
/// How far the lowest filling may fall below the margin: well before the 10 ms that running dry begins at.
const SLACK: f64 = 0.004 * RATE as f64;
/// By how much the margin is lowered in each window: 10 ms in three minutes.
const CALM: f64 = 0.0001 * RATE as f64;
/// How much faster or slower a member is played: nobody hears it.
const BEND: f64 = 0.003;

/// One member's store.
#[derive(Debug)]
struct Voice {
    id: SessionId,
    store: Resampler,
    playing: bool,
    margin: f64,
    lowest: f64,
    blocks: u32,
    step: f64,
}

/// All members' stores.
#[derive(Debug, Default)]
pub struct Voices {
    voices: Vec<Voice>,
}

impl Voices {
    /// Lets a member in.
    pub fn join(&mut self, id: SessionId) {
        self.leave(id);
        self.voices.push(Voice {
            id,
            store: Resampler::new(1.0),
            playing: false,
            margin: MARGIN,
            lowest: f64::MAX,
            blocks: 0,
            step: 1.0,
        });
    }

    /// Takes a member out.
    pub fn leave(&mut self, id: SessionId) {
        self.voices.retain(|voice| voice.id != id);
    }

    /// Takes a member's next sound.
    pub fn push(&mut self, id: SessionId, samples: &[i16]) {
        if let Some(voice) = self.voices.iter_mut().find(|voice| voice.id == id) {
            voice.store.push(samples.iter().map(|sample| f32::from(*sample) / 32768.0));
            let over = voice.store.ahead() - voice.margin - PACKET - FLOOD;
            if over > 0.0 {
                voice.store.skip(over + FLOOD);
            }
        }
    }

    /// Mixes the next 10 ms.
    pub fn mix(&mut self, out: &mut [f32; BLOCK]) {
        out.fill(0.0);
        for voice in &mut self.voices {
            voice.add(out);
        }
        out.iter_mut().for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
    }

    /// Sound waiting, milliseconds, of the member that has most.
    #[must_use]
    pub fn waiting_ms(&self) -> u32 {
        let most = self.voices.iter().map(|voice| voice.store.ahead()).fold(0.0, f64::max);
        (most * 1000.0 / RATE as f64) as u32
    }
}

impl Voice {
    fn add(&mut self, out: &mut [f32; BLOCK]) {
        let ahead = self.store.ahead();
        if !self.playing {
            if ahead < self.margin + PACKET {
                return;
            }
            self.playing = true;
            (self.lowest, self.blocks) = (f64::MAX, 0);
        }
        if ahead < self.step * BLOCK as f64 + Resampler::LOOKS_AHEAD {
            self.playing = false;
            self.margin = (self.margin + RAISE).min(HIGHEST);
            return;
        }
        for sample in out.iter_mut() {
            *sample += self.store.next(self.step).unwrap_or_default();
        }
        self.lowest = self.lowest.min(self.store.ahead());
        self.blocks += 1;
        if self.blocks == WINDOW {
            self.step = if self.lowest > self.margin + RAISE {
                1.0 + BEND
            } else if self.lowest < self.margin - SLACK {
                1.0 - BEND
            } else {
                1.0
            };
            self.margin = (self.margin - CALM).max(MARGIN);
            (self.lowest, self.blocks) = (f64::MAX, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a member whose clock is off by `ppm` for `seconds`; dry blocks after the first second, and what waits at the end.
    fn play(ppm: f64, seconds: u64, late: impl Fn(u64) -> u64) -> (u32, u32) {
        let mut voices = Voices::default();
        voices.join(1);
        let packet = vec![8000i16; 960];
        let (mut sent, mut dry, mut out) = (0u64, 0, [0.0; BLOCK]);
        for block in 0..seconds * 100 {
            // Packet n is there 20 ms x n after the start, by the member's clock, and late by the network's whim.
            while ((sent * 2 + late(sent)) as f64 / (1.0 + ppm * 1e-6)) <= block as f64 {
                voices.push(1, &packet);
                sent += 1;
            }
            voices.mix(&mut out);
            dry += u32::from(block > 100 && out[240] < 0.1);
        }
        (dry, voices.waiting_ms())
    }

    #[test]
    fn a_member_whose_clock_is_off_is_heard_without_gap_or_growing_delay() {
        for ppm in [-500.0, 0.0, 500.0] {
            let (dry, waiting) = play(ppm, 300, |_| 0);
            assert!(dry < 3 && waiting < 90, "{ppm} ppm: {dry} gaps, {waiting} ms wait");
        }
    }

    #[test]
    fn a_network_that_stands_still_and_comes_back_leaves_no_delay_behind() {
        let (_, waiting) =
            play(0.0, 60, |packet| if (500..600).contains(&packet) { 2 * (600 - packet) } else { 0 });
        assert!(waiting < 120, "{waiting} ms wait");
    }
}
