//! Camera, microphone and speaker: open while they are wanted, tried again while they do not work.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Worker;
use crate::media::capture::Capture;
use crate::media::protocol::{Event, Part, Role};
use crate::media::session::Setup;
use crate::media::sound::{self, Speaker};

/// A camera that stops giving pictures for so long does not work: sooner than `kioskd` gives up the worker for it.
const BLIND: Duration = Duration::from_secs(2);
/// One that is being opened has so long for its first picture.
const OPENS: Duration = Duration::from_secs(6);
/// A camera that was unplugged is looked for so often: the picture is to be back within 5 s.
pub(super) const SEARCH: Duration = Duration::from_secs(1);

impl Worker {
    pub(super) fn capture(&mut self, on: bool) -> Vec<Event> {
        if on == self.capturing {
            return Vec::new();
        }
        self.capturing = on;
        if on {
            let mut events = self.open_camera();
            events.extend(self.open_microphone());
            return events;
        }
        self.camera.shut();
        self.standin = None;
        self.microphone.shut();
        self.rest_speaker();
        self.setup.screen.preview_ends();
        Vec::new()
    }

    fn open_camera(&mut self) -> Vec<Event> {
        let generation = self.camera.next();
        match Capture::open(&self.setup, generation, &self.habits, &self.pictures) {
            Ok(camera) => {
                self.camera.open = Some(camera);
                self.camera_gives = false;
                self.camera_decoding = None;
                let captured = self.setup.counters.captured.load(Ordering::Relaxed);
                self.pictures_seen = (captured, Instant::now());
                Vec::new()
            }
            Err(error) => self.camera_fails(format!("{error:#}")),
        }
    }

    pub(super) fn camera_fails(&mut self, detail: String) -> Vec<Event> {
        if let Some(camera) = &self.camera.open {
            camera.fails();
        }
        self.camera_rests(detail, Instant::now() + SEARCH)
    }

    /// A placeholder takes the camera's place until it is opened `again`.
    pub(super) fn camera_rests(&mut self, detail: String, again: Instant) -> Vec<Event> {
        let Setup { settings, timebase, counters, .. } = &self.setup;
        if self.standin.is_none() {
            self.standin = Capture::placeholder(&settings.camera, timebase, counters, &self.pictures)
                .inspect_err(|error| log::error!("no placeholder either: {error:#}"))
                .ok();
        }
        let events = self.camera.fails(Part::Camera, detail);
        self.camera.retry = Some(again);
        events
    }

    /// Closes the speaker when nobody plays.
    pub(super) fn rest_speaker(&mut self) {
        if !self.sessions.values().any(|(role, _)| *role == Role::Play) {
            self.speaker.shut();
        }
    }

    fn open_microphone(&mut self) -> Vec<Event> {
        let generation = self.microphone.next();
        let Setup { timebase, inbox, counters, audio, .. } = &self.setup;
        let sending = counters.sending.load(Ordering::Relaxed);
        match sound::microphone(&self.stage, generation, timebase, inbox, sending, audio) {
            Ok(pipe) => {
                self.microphone.open = Some(pipe);
                Vec::new()
            }
            Err(error) => self.microphone.fails(Part::Microphone, format!("{error:#}")),
        }
    }

    /// Opens the speaker unless it is, and lets every member into it.
    pub(super) fn open_speaker(&mut self) {
        if self.speaker.open.is_none() && self.speaker.retry.is_none() {
            let generation = self.speaker.next();
            self.speaker.open = Speaker::open(&self.stage, generation, &self.setup.inbox);
        }
        if self.speaker.open.is_some() {
            for (id, (_, opened)) in &self.sessions {
                if let Some(playing) = opened.playing.as_ref().filter(|playing| !playing.speaks()) {
                    playing.speak(Some(self.stage.join(*id)));
                }
            }
        }
    }

    /// Looks whether the camera gives pictures, and tries again what is due.
    pub(super) fn check_devices(&mut self, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        if self.capturing {
            let decodes = self.camera.open.as_ref().and_then(Capture::decodes);
            if let Some(decodes) = &decodes {
                events.extend(self.check_camera_decoder(decodes, now));
            }
            let captured = self.setup.counters.captured.load(Ordering::Relaxed);
            // A camera that codes gives frames; pictures are for its decoder to give.
            let given = decodes.map_or(captured, |decodes| captured + decodes.coded);
            let patience = if self.camera_gives { BLIND } else { OPENS };
            if given != self.pictures_seen.0 {
                self.pictures_seen = (given, now);
                self.camera_gives = true;
            } else if let Some(camera) = &self.camera.open
                && now - self.pictures_seen.1 > patience
            {
                let detail = format!(
                    "the camera {} is open but gives no picture for {} s; plug it in again",
                    camera.title(),
                    patience.as_secs()
                );
                events.extend(self.camera_fails(detail));
            }
            if self.camera.retry.is_some_and(|at| at <= now) {
                events.extend(self.open_camera());
            }
            if self.microphone.retry.is_some_and(|at| at <= now) {
                events.extend(self.open_microphone());
            }
        }
        if self.speaker.retry.is_some_and(|at| at <= now) {
            self.speaker.retry = None;
            self.open_speaker();
        }
        events
    }
}
