//! Sound cards: which there are, what they can, their mixers, and how one is opened.
//!
//! Cards are listed from `/proc/asound`, which needs no permission, so that a card that may not be opened is told apart
//! from one that is not there; where a sandbox hides it, from the cards that can be opened.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use alsa::mixer::{MilliBel, Mixer, Selem};
use alsa::pcm::{Access, Format, HwParams, PCM};
use alsa::{Direction, Round, ValueOr};

use crate::media::protocol::Sound;

/// Mixer controls of speakers, in the order in which a signal passes them: alsa-lib's simple mixer names.
const SPEAKER_CONTROLS: &[&str] =
    &["Master", "PCM", "Speaker", "Headphone", "Line Out", "Playback", "Digital", "DAC", "HDMI"];
/// Those of microphones.
const MICROPHONE_CONTROLS: &[&str] =
    &["Mic", "Capture", "Mic Boost", "Internal Mic", "Front Mic", "Digital", "ADC", "Input"];
/// A card is read and written in pieces of so many microseconds.
const PERIOD_US: u32 = 10_000;
/// The store of a speaker's card, microseconds: what a scheduler may be late.
const SPEAKER_STORE_US: u32 = 60_000;
/// That of a microphone's.
const MICROPHONE_STORE_US: u32 = 200_000;

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

    fn can(&self, direction: Direction) -> Option<&Device> {
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
fn parse(cards: &str, pcm: &str) -> Vec<Card> {
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

/// An open device: 16 bits, its own rate.
pub struct Stream {
    /// The device.
    pub pcm: PCM,
    /// Samples a second.
    pub rate: u32,
    /// Channels.
    pub channels: usize,
}

/// Opens a device without waiting. ALSA converts format and channels; the rate is the card's own, the nearest to 48 kHz.
///
/// # Errors
/// Says whether it is missing, busy or forbidden.
pub fn open(device: &str, direction: Direction) -> Result<Stream, Trouble> {
    let wrong = |error: alsa::Error| Trouble::of(direction, device, &error);
    let pcm = PCM::new(device, direction, true).map_err(|error| {
        // A card that is listed and cannot be found by ALSA has a control device that may not be opened.
        let listed = device
            .split_once("CARD=")
            .and_then(|(_, rest)| rest.split(',').next())
            .is_some_and(|id| cards().iter().any(|card| card.id == id && !allowed(card.number)));
        if listed {
            Trouble::Forbidden { role: role(direction), device: device.to_owned() }
        } else {
            wrong(error)
        }
    })?;
    let (rate, channels) = shape(&pcm, direction).map_err(wrong)?;
    Ok(Stream { pcm, rate, channels: channels as usize })
}

fn allowed(card: u32) -> bool {
    std::ffi::CString::new(format!("/dev/snd/controlC{card}"))
        // SAFETY: access reads the path and nothing else.
        .is_ok_and(|path| unsafe { libc::access(path.as_ptr(), libc::R_OK | libc::W_OK) } == 0)
}

fn shape(pcm: &PCM, direction: Direction) -> alsa::Result<(u32, u32)> {
    let hardware = HwParams::any(pcm)?;
    hardware.set_rate_resample(false)?;
    hardware.set_access(Access::RWInterleaved)?;
    hardware.set_format(Format::s16())?;
    let (channels, store) = match direction {
        Direction::Playback => (2, SPEAKER_STORE_US),
        Direction::Capture => (1, MICROPHONE_STORE_US),
    };
    let channels = hardware.set_channels_near(channels)?;
    let rate = hardware.set_rate_near(48_000, ValueOr::Nearest)?;
    hardware.set_period_time_near(PERIOD_US, ValueOr::Nearest)?;
    hardware.set_buffer_time_near(store, ValueOr::Nearest)?;
    pcm.hw_params(&hardware)?;
    let software = pcm.sw_params_current()?;
    let period = hardware.get_period_size()?;
    software.set_avail_min(period)?;
    if direction == Direction::Playback {
        software.set_start_threshold((hardware.get_buffer_size()? - period).max(1))?;
    }
    pcm.sw_params(&software)?;
    Ok((rate, channels))
}

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
pub fn set_mixer(card: &str, direction: Direction, sound: &Sound) -> Result<Vec<String>, String> {
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

/// Records for a while and tells the loudness, dBFS (RMS); -120 is digital silence.
///
/// # Errors
/// When the microphone does not open, or gives nothing.
pub fn level(device: &str, listen: Duration) -> Result<f64, Trouble> {
    let stream = open(device, Direction::Capture)?;
    let wrong = |error: alsa::Error| Trouble::of(Direction::Capture, device, &error);
    stream.pcm.start().map_err(wrong)?;
    let io = stream.pcm.io_i16().map_err(wrong)?;
    let mut samples = vec![0i16; stream.rate as usize / 100 * stream.channels];
    let (mut energy, mut heard, end) = (0.0, 0u64, Instant::now() + listen);
    while Instant::now() < end {
        if !stream.pcm.wait(Some(100)).map_err(wrong)? {
            continue;
        }
        match io.readi(&mut samples) {
            Ok(frames) => {
                let got = &samples[..frames * stream.channels];
                energy += got.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
                heard += got.len() as u64;
            }
            Err(error) if error.errno() == libc::EAGAIN => {}
            Err(error) => {
                stream.pcm.try_recover(error, true).and_then(|()| stream.pcm.start()).map_err(wrong)?;
            }
        }
    }
    if heard == 0 {
        return Err(Trouble::Broken {
            role: role(Direction::Capture),
            device: device.to_owned(),
            detail: format!("it gave no sound for {} ms", listen.as_millis()),
        });
    }
    Ok((10.0 * (energy / heard as f64 / (32768.0 * 32768.0)).max(1e-12).log10()).max(-120.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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

    #[test]
    fn volumes_are_percent_or_decibels() {
        assert_eq!(volume("70%"), Some(Volume::Percent(70.0)));
        assert_eq!(volume(" -6.5 dB"), Some(Volume::Decibels(-6.5)));
        for wrong in ["", "70", "110%", "-6", "loud", "90dB"] {
            assert_eq!(volume(wrong), None, "{wrong}");
        }
    }
}
