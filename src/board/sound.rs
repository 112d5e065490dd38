//! Sound cards: which of them is meant, and what is wrong with one that does not work.

pub mod card;
pub mod mixer;
pub mod stream;

use alsa::Direction;

use self::card::{Card, cards};

/// Why a sound device does not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It is not there.
    #[error("there is no {role} {named:?}: {seen}; plug it in, or name another in [sound] {key}")]
    Missing {
        /// Microphone or speaker.
        role: &'static str,
        /// The board file's name for it.
        named: String,
        /// The cards there are.
        seen: String,
        /// The key it is named by.
        key: &'static str,
    },
    /// Another program has it.
    #[error(
        "the {role} {device} is in use by another program; end that program (kioskd doctor, as root, names it)"
    )]
    Busy {
        /// Microphone or speaker.
        role: &'static str,
        /// ALSA's name for it.
        device: String,
    },
    /// It may not be opened.
    #[error("the {role} {device} may not be opened; add this user to the group audio")]
    Forbidden {
        /// Microphone or speaker.
        role: &'static str,
        /// ALSA's name for it.
        device: String,
    },
    /// Anything else.
    #[error("the {role} {device} does not work ({detail}); unplug it and plug it in again, or see [sound]")]
    Broken {
        /// Microphone or speaker.
        role: &'static str,
        /// ALSA's name for it.
        device: String,
        /// What ALSA says.
        detail: String,
    },
}

/// Microphone or speaker, for people.
fn role(direction: Direction) -> &'static str {
    match direction {
        Direction::Playback => "speaker",
        Direction::Capture => "microphone",
    }
}

impl Trouble {
    /// What ALSA's error about a device means.
    #[must_use]
    pub fn of(direction: Direction, device: &str, error: &alsa::Error) -> Self {
        let (role, device) = (role(direction), device.to_owned());
        match error.errno() {
            libc::EBUSY => Self::Busy { role, device },
            libc::EACCES | libc::EPERM => Self::Forbidden { role, device },
            libc::ENOENT | libc::ENODEV | libc::ENXIO => Self::missing(direction, &device, &cards()),
            _ => Self::Broken { role, device, detail: error.to_string() },
        }
    }

    fn missing(direction: Direction, named: &str, cards: &[Card]) -> Self {
        let seen: Vec<String> = cards.iter().map(Card::to_string).collect();
        let seen = if seen.is_empty() {
            "there is no sound card at all".to_owned()
        } else {
            format!("the cards are {}", seen.join(", "))
        };
        let key = match direction {
            Direction::Playback => "playback",
            Direction::Capture => "capture",
        };
        Self::Missing { role: role(direction), named: named.to_owned(), seen, key }
    }
}

/// A device that was found: ALSA's name, and the card's ID when it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What ALSA opens.
    pub device: String,
    /// Whose mixer is set.
    pub card: Option<String>,
}

/// Finds what the board file names: a card's ID, part of its name or long name, ALSA's name of a device, or nothing.
///
/// # Errors
/// When no such card can do it; names those there are. When it is there and may not be opened.
pub fn find(named: &str, direction: Direction) -> Result<Found, Trouble> {
    choose(named, direction, &cards())
}

fn choose(named: &str, direction: Direction, cards: &[Card]) -> Result<Found, Trouble> {
    let given = named.split_once(':').map(|(kind, _)| kind);
    if given.is_some_and(|kind| kind.chars().all(|letter| letter.is_ascii_alphanumeric())) || is_plugin(named)
    {
        let card =
            named.split_once("CARD=").map(|(_, rest)| rest.split(',').next().unwrap_or_default().to_owned());
        return Ok(Found { device: named.to_owned(), card });
    }
    let able = || cards.iter().filter_map(|card| Some((card, card.can(direction)?)));
    let found = able()
        .find(|(card, _)| named.is_empty() || card.id == named)
        .or_else(|| able().find(|(card, _)| card.name.contains(named) || card.long_name.contains(named)));
    match found {
        Some((card, device)) => Ok(Found { device: card.address(device), card: Some(card.id.clone()) }),
        None => Err(Trouble::missing(direction, named, cards)),
    }
}

/// Names that ALSA's own configuration defines.
fn is_plugin(named: &str) -> bool {
    matches!(named, "default" | "null" | "pulse" | "pipewire")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::card::parse;
    use super::*;

    const CARDS: &str = " 0 [vc4hdmi        ]: vc4-hdmi - vc4-hdmi
                      vc4-hdmi
 2 [Device         ]: USB-Audio - USB PnP Sound Device
                      C-Media USB PnP Sound Device at usb-0000:01:00.0-1.2, full speed
 3 [Loopback       ]: Loopback - Loopback
                      Loopback 1
";
    const PCM: &str = "00-00: MAI PCM i2s-hifi-0 : MAI PCM i2s-hifi-0 : playback 1
02-00: USB Audio : USB Audio : playback 1 : capture 1
03-00: Loopback PCM : Loopback PCM : playback 8 : capture 8
03-01: Loopback PCM : Loopback PCM : playback 8 : capture 8
";

    fn found(named: &str, direction: Direction) -> Result<String, String> {
        choose(named, direction, &parse(CARDS, PCM))
            .map(|found| found.device)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_card_is_found_by_id_name_usb_socket_or_what_it_can() {
        let usb = Ok("plughw:CARD=Device,DEV=0".to_owned());
        assert_eq!(found("Device", Direction::Capture), usb);
        assert_eq!(found("PnP Sound", Direction::Playback), usb);
        assert_eq!(found("usb-0000:01:00.0-1.2", Direction::Capture), usb);
        assert_eq!(found("", Direction::Capture), usb);
        assert_eq!(found("", Direction::Playback), Ok("plughw:CARD=vc4hdmi,DEV=0".to_owned()));
        assert_eq!(found("plughw:CARD=X,DEV=3", Direction::Playback), Ok("plughw:CARD=X,DEV=3".to_owned()));
    }

    #[test]
    fn a_card_that_is_missing_or_cannot_record_is_told_with_those_there_are() {
        let error = found("vc4hdmi", Direction::Capture).unwrap_err();
        assert!(error.contains("no microphone \"vc4hdmi\"") && error.contains("Device (USB PnP"), "{error}");
        assert!(error.contains("[sound] capture"), "{error}");
        let none = choose("", Direction::Playback, &[]).unwrap_err().to_string();
        assert!(none.contains("no sound card at all"), "{none}");
    }

    #[test]
    fn busy_and_forbidden_are_told_apart_from_missing() {
        let of = |errno| Trouble::of(Direction::Playback, "x", &alsa::Error::new("snd_pcm_open", errno));
        assert!(matches!(of(libc::EBUSY), Trouble::Busy { .. }));
        assert!(matches!(of(libc::EACCES), Trouble::Forbidden { .. }));
        assert!(matches!(of(libc::ENODEV), Trouble::Missing { .. }));
        assert!(matches!(of(libc::EIO), Trouble::Broken { .. }));
    }
}
