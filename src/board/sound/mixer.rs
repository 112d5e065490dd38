//! A sound card's mixer: volumes and mutes as the board file wants them.

use alsa::mixer::{MilliBel, Mixer, Selem};
use alsa::{Direction, Round};

use crate::media::protocol::Sound;

/// Mixer controls of speakers, in the order in which a signal passes them: alsa-lib's simple mixer names.
const SPEAKER_CONTROLS: &[&str] =
    &["Master", "PCM", "Speaker", "Headphone", "Line Out", "Playback", "Digital", "DAC", "HDMI"];
/// Those of microphones.
const MICROPHONE_CONTROLS: &[&str] =
    &["Mic", "Capture", "Mic Boost", "Internal Mic", "Front Mic", "Digital", "ADC", "Input"];

/// A volume as the board file says it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Volume {
    Percent(f64),
    Decibels(f64),
}

fn volume(text: &str) -> Option<Volume> {
    let number = |end: &str| text.trim().strip_suffix(end)?.trim().parse::<f64>().ok();
    if let Some(percent) = number("%") {
        return (0.0..=100.0).contains(&percent).then_some(Volume::Percent(percent));
    }
    number("dB").filter(|decibels| (-100.0..=40.0).contains(decibels)).map(Volume::Decibels)
}

/// Sets a card's mixer as the board file wants it, and unmutes. A card without a mixer is none the worse.
///
/// # Errors
/// One sentence: a control that is named is not there, or a volume is no volume.
pub fn set(card: &str, direction: Direction, sound: &Sound) -> Result<Vec<String>, String> {
    let playback = direction == Direction::Playback;
    let (named, wanted, key) = if playback {
        (&sound.speaker_controls, &sound.speaker_volume, "speaker")
    } else {
        (&sound.microphone_controls, &sound.microphone_volume, "microphone")
    };
    let wanted = match (wanted.is_empty(), volume(wanted)) {
        (true, _) => None,
        (false, Some(volume)) => Some(volume),
        (false, None) => {
            return Err(format!("[sound] {key}_volume = {wanted:?} is no volume; write \"70%\" or \"-6dB\""));
        }
    };
    let mixer = match Mixer::new(&format!("hw:CARD={card}"), true) {
        Ok(mixer) => mixer,
        Err(error) if named.is_empty() && wanted.is_none() => {
            log::debug!("the card {card} has no mixer: {error}");
            return Ok(Vec::new());
        }
        Err(error) => return Err(format!("the mixer of the card {card} does not open ({error})")),
    };
    let controls: Vec<Selem<'_>> = mixer.iter().filter_map(Selem::new).collect();
    let name = |control: &Selem<'_>| control.get_id().get_name().unwrap_or_default().to_owned();
    let usual = if playback { SPEAKER_CONTROLS } else { MICROPHONE_CONTROLS };
    let mut done = Vec::new();
    for control in &controls {
        let its = name(control);
        let chosen = if named.is_empty() { usual.contains(&its.as_str()) } else { named.contains(&its) };
        if chosen
            && turn(control, playback, wanted, sound.mute).map_err(|error| {
                format!("the mixer control {its:?} of the card {card} cannot be set ({error})")
            })?
        {
            done.push(its);
        }
    }
    if let Some(absent) = named.iter().find(|wanted| !done.contains(wanted)) {
        let there: Vec<String> = controls.iter().map(name).collect();
        return Err(format!(
            "the card {card} has no mixer control {absent:?} for a {key}; it has {there:?}: see [sound] {key}_controls"
        ));
    }
    Ok(done)
}

/// Sets one control; whether it is one of that direction.
fn turn(control: &Selem<'_>, playback: bool, wanted: Option<Volume>, mute: bool) -> alsa::Result<bool> {
    let (has_volume, has_switch) = if playback {
        (control.has_playback_volume(), control.has_playback_switch())
    } else {
        (control.has_capture_volume(), control.has_capture_switch())
    };
    match wanted.filter(|_| has_volume) {
        Some(Volume::Percent(percent)) => {
            let (low, high) = if playback {
                control.get_playback_volume_range()
            } else {
                control.get_capture_volume_range()
            };
            let value = low + ((high - low) as f64 * percent / 100.0).round() as i64;
            if playback {
                control.set_playback_volume_all(value)?;
            } else {
                control.set_capture_volume_all(value)?;
            }
        }
        Some(Volume::Decibels(decibels)) => {
            let value = MilliBel::from_db(decibels as f32);
            if playback {
                control.set_playback_db_all(value, Round::Floor)?;
            } else {
                control.set_capture_db_all(value, Round::Floor)?;
            }
        }
        None => {}
    }
    if has_switch {
        if playback {
            control.set_playback_switch_all(i32::from(!mute))?;
        } else {
            control.set_capture_switch_all(1)?;
        }
    }
    Ok(has_volume || has_switch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_percent_or_decibels() {
        assert_eq!(volume("70%"), Some(Volume::Percent(70.0)));
        assert_eq!(volume(" -6.5 dB"), Some(Volume::Decibels(-6.5)));
        for wrong in ["", "70", "110%", "-6", "loud", "90dB"] {
            assert_eq!(volume(wrong), None, "{wrong}");
        }
    }
}
