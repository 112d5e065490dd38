//! What the far end hears of a microphone: its sound on the system's clock, with what the speaker played taken out.
//!
//! The threads of microphone and speaker are late as the scheduler pleases, and cards lose sound when they are too late.
//! The canceller sees none of it: what was heard and what was played are laid side by side by time. No I/O here.

use std::sync::{Mutex, PoisonError};

use super::bridge::Bridge;
use super::echo::{BLOCK, Canceller};
use super::fault::Gate;
use super::pace::Mark;

/// 10 ms.
pub const BLOCK_NS: u64 = 10_000_000;
/// What the speaker plays is given to the canceller so much early: cards do not know their delay to the millisecond,
/// and an echo that is there before its sound cannot be cancelled.
const EARLY_NS: u64 = 10_000_000;
/// A microphone whose sound is so much later than it should be lost some: its time jumps.
const LOST_NS: u64 = 30_000_000;
/// An open microphone's way to the encoder.
#[derive(Debug)]
pub struct Ear {
    bridge: Bridge,
    canceller: Option<Canceller>,
    gate: Option<Gate>,
    next_ns: u64,
}

impl Ear {
    /// For a microphone of `rate` samples a second.
    #[must_use]
    pub fn new(rate: f64, canceller: Option<Canceller>, gate: Option<Gate>) -> Self {
        Self { bridge: Bridge::new(rate), canceller, gate, next_ns: 0 }
    }

    /// Takes the microphone's next samples, and where it is.
    pub fn take(&mut self, samples: &[f32], mark: Option<Mark>) {
        self.bridge.push(samples.iter().copied());
        if let Some(mark) = mark {
            self.bridge.observe(mark);
        }
    }

    /// The next 10 ms and their time, once they are there, without the echo of what was `played`.
    pub fn hear(&mut self, played: &Mutex<Option<Bridge>>) -> Option<(u64, [f32; BLOCK])> {
        // At the beginning, and after a gap.
        let earliest = self.bridge.next_ns()?;
        if earliest > self.next_ns + LOST_NS {
            self.next_ns = earliest;
        }
        let (mut heard, mut echoed) = ([0.0; BLOCK], [0.0; BLOCK]);
        if !self.bridge.read(self.next_ns, &mut heard) {
            return None;
        }
        // A speaker's thread that is later than its card has sound to play is silence, as the card is.
        if let Some(bridge) = played.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            bridge.read(self.next_ns + EARLY_NS, &mut echoed);
        }
        if let Some(canceller) = &mut self.canceller {
            canceller.cancel(&echoed, &mut heard);
        }
        if let Some(gate) = &mut self.gate {
            gate.pass(&echoed, &mut heard);
        }
        let at_ns = self.next_ns;
        self.next_ns += BLOCK_NS;
        Some((at_ns, heard))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::media::protocol;
    use crate::media::room::{self, Dice};
    use crate::media::stats::RATE;

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1000 * MS;

    /// When a thread that has something to do at a time gets the processor.
    type Scheduler = fn(u64, &mut Dice) -> u64;

    fn idle(at: u64, dice: &mut Dice) -> u64 {
        at + (dice.uniform() * 200_000.0) as u64
    }

    /// Syllables of noise: like speech, always another spectrum and level.
    fn voice(at: usize, dice: &mut Dice, memory: &mut f32) -> f32 {
        let syllable = at / (RATE / 5);
        let dull = [0.5, 0.9, 0.2, 0.8, 0.95, 0.6, 0.3][syllable % 7];
        let loud = [1.0, 0.5, 0.0, 0.8, 0.3, 1.0, 0.6, 0.1, 0.7, 0.9, 0.4][syllable % 11];
        *memory = dull * *memory + (1.0 - dull) * dice.normal();
        *memory * loud * 0.3
    }

    /// Plays speech into the simulated room for some seconds and listens; dBFS of what is heard after the first three.
    fn loudness(
        cancels: bool,
        seconds: u64,
        speaker_is_late: Scheduler,
        microphone_is_late: Scheduler,
    ) -> f64 {
        let card = Arc::new(room::Card::new(&protocol::Room::default()).unwrap());
        let mut dice = Dice(7);
        let begin = 1000 * SECOND;
        let mut microphone = room::Microphone::open(Arc::clone(&card), begin);
        let opened = begin + 37 * MS;
        let mut speaker = room::Speaker::open(Some(card), opened);
        let mut ear = Ear::new(RATE as f64, cancels.then(Canceller::default), None);
        let played = Mutex::new(None);
        let (mut spoken, mut memory) = (0, 0.0);
        let (mut speaks_at, mut listens_at) = (opened, begin + 10 * MS);
        let (mut power, mut count) = (0.0, 0);
        while listens_at < begin + seconds * SECOND {
            if speaks_at <= listens_at {
                let mut bridge = played.lock().unwrap();
                if let Some(bridge) = bridge.as_mut() {
                    Bridge::observe(bridge, speaker.mark(speaks_at));
                }
                let bridge = bridge.get_or_insert_with(|| Bridge::new(RATE as f64));
                let mut block = [0.0; BLOCK];
                for sample in &mut block {
                    *sample = voice(spoken, &mut dice, &mut memory);
                    spoken += 1;
                }
                bridge.push(block.iter().copied());
                speaker.write(speaks_at, &block);
                speaks_at = speaker_is_late(speaker.due_ns().max(speaks_at), &mut dice);
                continue;
            }
            let mut block = [0.0; BLOCK];
            let mark = microphone.read(listens_at, &mut block);
            ear.take(&block, Some(mark));
            while let Some((at_ns, heard)) = ear.hear(&played) {
                if at_ns > begin + 3 * SECOND {
                    power += heard.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
                    count += BLOCK;
                }
            }
            listens_at = microphone_is_late(microphone.due_ns().max(listens_at), &mut dice);
        }
        10.0 * (power / count as f64).log10()
    }

    fn down(speaker_is_late: Scheduler, microphone_is_late: Scheduler) -> f64 {
        let echo = loudness(false, 8, speaker_is_late, microphone_is_late);
        assert!(echo > -30.0, "{echo:.1} dBFS are no echo to cancel");
        echo - loudness(true, 8, speaker_is_late, microphone_is_late)
    }

    /// Put aside for 5 to 60 ms, three times a second: longer than the speaker's card has sound to play.
    fn busy(at: u64, dice: &mut Dice) -> u64 {
        if dice.uniform() < 0.03 { at + 5 * MS + (dice.uniform() * 55e6) as u64 } else { idle(at, dice) }
    }

    /// Put aside for 250 ms every other second: longer than the microphone's card stores.
    fn overloaded(at: u64, dice: &mut Dice) -> u64 {
        if dice.uniform() < 0.005 { at + 250 * MS } else { idle(at, dice) }
    }

    #[test]
    fn the_echo_is_gone_after_three_seconds() {
        let down = down(idle, idle);
        assert!(down > 30.0, "{down:.1} dB down");
    }

    #[test]
    fn the_echo_is_gone_however_late_the_threads_of_both_cards_are() {
        for (name, speaker, microphone) in [
            ("speaker", busy as Scheduler, idle as Scheduler),
            ("microphone", idle, busy),
            ("both", busy, busy),
            ("microphone overloaded", idle, overloaded),
        ] {
            let down = down(speaker, microphone);
            assert!(down > 25.0, "{name}: {down:.1} dB down");
        }
    }
}
