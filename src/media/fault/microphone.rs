//! A microphone that is shut while the speaker plays, as products do that call it echo cancelling.
//!
//! `RTCROOM_FAULT=microphone-gate` asks for it. Only who writes the worker's unit can set its environment, and the log
//! says that a fault is planted.

/// Blocks for which a gated microphone stays shut: 200 ms.
const HOLD: u32 = 20;
/// A speaker whose mean square is above this plays: -50 dBFS.
const PLAYS: f32 = 1e-5;

/// A microphone that is shut while the speaker plays.
#[derive(Debug, Default)]
pub struct Gate {
    hold: u32,
}

/// The gate, if the environment asks for that fault.
#[must_use]
pub fn gates_microphone() -> Option<Gate> {
    let wanted = std::env::var("RTCROOM_FAULT").as_deref() == Ok("microphone-gate");
    if wanted {
        log::warn!("RTCROOM_FAULT is set: the microphone is shut while the speaker plays");
    }
    wanted.then(Gate::default)
}

impl Gate {
    /// Lets what the microphone heard through, or not.
    pub fn pass(&mut self, played: &[f32], heard: &mut [f32]) {
        let power = played.iter().map(|sample| sample * sample).sum::<f32>() / played.len().max(1) as f32;
        self.hold = if power > PLAYS { HOLD } else { self.hold.saturating_sub(1) };
        if self.hold > 0 {
            heard.fill(0.0);
        }
    }
}
