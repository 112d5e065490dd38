//! The sound cards there are.
//!
//! They are listed from `/proc/asound`, which needs no permission, so that a card that may not be opened is told apart
//! from one that is not there; where a sandbox hides it, from the cards that can be opened.

use std::fmt;
use std::path::Path;

use alsa::Direction;

/// A sound card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// Its number now; another after the next start.
    pub number: u32,
    /// Its ID, which stays.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its long name: for USB cards with the path of the socket it is plugged into.
    pub long_name: String,
    /// Its devices.
    pub devices: Vec<Device>,
}

/// A device of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its number on the card.
    pub number: u32,
    /// What the driver calls it.
    pub name: String,
    /// Whether it plays.
    pub plays: bool,
    /// Whether it records.
    pub records: bool,
}

impl Card {
    /// The name ALSA knows a device by, made of what stays.
    #[must_use]
    pub fn address(&self, device: &Device) -> String {
        format!("plughw:CARD={},DEV={}", self.id, device.number)
    }

    pub(super) fn can(&self, direction: Direction) -> Option<&Device> {
        self.devices.iter().find(|device| match direction {
            Direction::Playback => device.plays,
            Direction::Capture => device.records,
        })
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plays = self.can(Direction::Playback).is_some();
        let records = self.can(Direction::Capture).is_some();
        let can = match (plays, records) {
            (true, true) => "plays and records",
            (true, false) => "plays",
            (false, true) => "records",
            (false, false) => "does neither",
        };
        write!(f, "{} ({}; {can})", self.id, self.name)
    }
}

/// The cards there are.
#[must_use]
pub fn cards() -> Vec<Card> {
    let read = |name: &str| std::fs::read_to_string(Path::new("/proc/asound").join(name)).unwrap_or_default();
    let listed = parse(&read("cards"), &read("pcm"));
    if listed.is_empty() { opened() } else { listed }
}

/// Reads `/proc/asound/cards` and `/proc/asound/pcm`.
pub(super) fn parse(cards: &str, pcm: &str) -> Vec<Card> {
    let mut found: Vec<Card> = Vec::new();
    for line in cards.lines() {
        if let Some((head, name)) = line.split_once("]: ")
            && let Some((number, id)) = head.split_once('[')
            && let Ok(number) = number.trim().parse()
        {
            // The driver comes first: "USB-Audio - USB PnP Sound Device".
            let name = name.split_once(" - ").map_or(name, |(_, name)| name).trim().to_owned();
            found.push(Card { number, id: id.trim().to_owned(), name, ..Card::default() });
        } else if let Some(card) = found.last_mut() {
            card.long_name = line.trim().to_owned();
        }
    }
    for line in pcm.lines() {
        let mut fields = line.split(':').map(str::trim);
        let Some((card, number)) = fields.next().and_then(|address| address.split_once('-')) else {
            continue;
        };
        let (Ok(card), Ok(number)) = (card.parse::<u32>(), number.parse()) else { continue };
        let name = fields.next().unwrap_or_default().to_owned();
        let rest: Vec<&str> = fields.collect();
        let has = |word: &str| rest.iter().any(|field| field.starts_with(word));
        if let Some(card) = found.iter_mut().find(|other| other.number == card) {
            card.devices.push(Device { number, name, plays: has("playback"), records: has("capture") });
        }
    }
    found
}

/// The cards whose control device can be opened.
fn opened() -> Vec<Card> {
    let mut found = Vec::new();
    for card in alsa::card::Iter::new().filter_map(Result::ok) {
        let Ok(control) = alsa::Ctl::from_card(&card, true) else { continue };
        let Ok(info) = control.card_info() else { continue };
        let text = |text: alsa::Result<&str>| text.unwrap_or_default().to_owned();
        let mut devices = Vec::new();
        for number in alsa::ctl::DeviceIter::new(&control).filter_map(|number| u32::try_from(number).ok()) {
            let plays = control.pcm_info(number, 0, Direction::Playback);
            let records = control.pcm_info(number, 0, Direction::Capture);
            let name =
                plays.as_ref().or(records.as_ref()).map(|info| text(info.get_name())).unwrap_or_default();
            devices.push(Device { number, name, plays: plays.is_ok(), records: records.is_ok() });
        }
        found.push(Card {
            number: card.get_index().unsigned_abs(),
            id: text(info.get_id()),
            name: text(info.get_name()),
            long_name: text(info.get_longname()),
            devices,
        });
    }
    found
}
