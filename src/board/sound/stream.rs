//! An open sound device: how it is set, and how loud a microphone hears.

use std::time::{Duration, Instant};

use alsa::pcm::{Access, Format, HwParams, PCM};
use alsa::{Direction, ValueOr};

use super::card::cards;
use super::{Trouble, role};

/// A card is read and written in pieces of so many microseconds.
const PERIOD_US: u32 = 10_000;
/// The store of a speaker's card, microseconds: what a scheduler may be late.
const SPEAKER_STORE_US: u32 = 60_000;
/// That of a microphone's.
const MICROPHONE_STORE_US: u32 = 200_000;

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
