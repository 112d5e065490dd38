//! The worker's loop: commands, and what pipelines tell, come in; events go out. Nothing here waits for media.

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::camera::Habits;
use super::capture::{self, Capture};
use super::codec::health::{Counts, Health};
use super::codec::{self, Picture};
use super::encode::{Encoder, Keys, Slot};
use super::line::{Reader, Writer};
use super::outlet::Outlet;
use super::pipe;
use super::protocol::{self, Command, Event, Fault, Part, Role, SessionId, Settings, Stats};
use super::screen::Screen;
use super::session::{Session, Setup};
use super::sound::{self, Microphone, Speaker, Stage};
use super::stats::Counters;
use super::timebase::Timebase;
use super::watchdog::{self, Judge, Progress};
use crate::journald;

/// How often the loop looks around by itself.
const TICK: Duration = Duration::from_millis(250);
/// How often progress is reported.
const REPORT: Duration = Duration::from_secs(1);
/// How often a device that does not work is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// An encoder that is fed and gives nothing for so long hangs.
const STALL: Duration = Duration::from_secs(1);
/// A camera that stops giving pictures for so long does not work: sooner than `kioskd` gives up the worker for it.
const BLIND: Duration = Duration::from_secs(2);
/// One that is being opened has so long for its first picture.
const OPENS: Duration = Duration::from_secs(6);
/// A camera that was unplugged is looked for so often: the picture is to be back within 5 s.
const SEARCH: Duration = Duration::from_secs(1);
/// The same for its first frame: hardware allocates its memory then.
const FIRST: Duration = Duration::from_secs(2);
/// An encoder that is not ready to be fed after so long never is.
const START: Duration = Duration::from_secs(3);
/// A decoder that is fed and gives nothing for so long hangs: longer than a key frame takes to come on request.
const DECODER_STALL: Duration = Duration::from_secs(2);
/// How long devices may take to close at the end; `kioskd` waits half a second longer.
const FAREWELL: Duration = Duration::from_secs(1);
/// The exit code that says an encoder hangs and this worker has no other; the next one tries again.
const HANGS: i32 = 70;
/// Taps of the camera's outlet.
const TO_ENCODER: u32 = 0;
const TO_SCREEN: u32 = 1;

/// Where something in the worker comes from. The number of a device or encoder rises each time it is opened, so that
/// the last words of one that was closed are not taken for its successor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The camera.
    Camera(u32),
    /// The microphone.
    Microphone(u32),
    /// The speaker.
    Speaker(u32),
    /// The encoder.
    Encoder(u32),
    /// The screen.
    Screen(u32),
    /// A session.
    Session(SessionId),
}

/// What the loop is told.
#[derive(Debug)]
pub enum Input {
    /// By `kioskd`.
    Command(Command),
    /// `kioskd` is gone, or speaks another language.
    End(Option<String>),
    /// Something for `kioskd`.
    Event(Event),
    /// A pipeline has an error.
    Broken {
        /// Where.
        origin: Origin,
        /// The element.
        element: String,
        /// What it says.
        detail: String,
    },
    /// A device gave its first picture or sound.
    Works(Origin),
    /// A device cannot be opened.
    Fails {
        /// Which.
        origin: Origin,
        /// What is wrong and what cures it, naming the device; one sentence.
        detail: String,
    },
    /// What congestion control allows the video encoder.
    Target {
        /// The session it belongs to.
        session: SessionId,
        /// Bits a second.
        bps: u32,
    },
}

/// Runs the worker until `kioskd` ends it; the exit code.
///
/// # Errors
/// When nothing can be set up at all.
pub fn run(mut reader: Reader<File>, mut writer: Writer<File>) -> Result<i32> {
    let (inbox, inputs) = mpsc::channel();
    let first: Command = match reader.read()? {
        Some(command) => command,
        None => return Ok(0),
    };
    let Command::Configure(settings) = first else { bail!("the first command is not configure: {first:?}") };
    let protocol::Labels { room, user, board } = &settings.labels;
    journald::name(&[("ROOM", room), ("USER", user), ("BOARD", board)]);
    let commands = inbox.clone();
    pipe::spawn("commands", move || {
        loop {
            let input = match reader.read() {
                Ok(Some(command)) => Input::Command(command),
                Ok(None) => Input::End(None),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Input::End(None),
                Err(error) => Input::End(Some(error.to_string())),
            };
            let last = matches!(input, Input::End(_));
            if commands.send(input).is_err() || last {
                return;
            }
        }
    });
    let mut worker = Worker::new(*settings, inbox)?;
    writer.send(&worker.ready()).context("kioskd does not listen")?;
    watchdog::ready();
    let code = worker.work(&inputs, &mut writer);
    // Whatever hangs now does not keep the process.
    pipe::spawn("farewell", move || {
        std::thread::sleep(FAREWELL);
        log::warn!("something does not close; leaving without it");
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(code) }
    });
    drop(worker);
    let _ = pipe::all_down(FAREWELL);
    Ok(code)
}

/// A device that is wanted: open, or to be tried again.
#[derive(Debug)]
struct Device<T> {
    open: Option<T>,
    generation: u32,
    retry: Option<Instant>,
    trouble: Option<String>,
}

impl<T> Device<T> {
    fn is(&self, generation: u32) -> bool {
        self.open.is_some() && self.generation == generation
    }

    fn next(&mut self) -> u32 {
        self.open = None;
        self.retry = None;
        self.generation += 1;
        self.generation
    }

    fn shut(&mut self) {
        *self = Self { generation: self.generation, ..Self::default() };
    }

    /// Closes it until it is tried again; told once for each kind of trouble.
    fn fails(&mut self, part: Part, detail: String) -> Vec<Event> {
        self.open = None;
        self.retry = Some(Instant::now() + RETRY);
        if self.trouble.as_ref() == Some(&detail) {
            return Vec::new();
        }
        log::warn!("{detail}");
        self.trouble = Some(detail.clone());
        vec![Event::Trouble { part, detail }]
    }

    fn works(&mut self, part: Part) -> Option<Event> {
        self.trouble.take().map(|_| Event::Well { part })
    }
}

impl<T> Default for Device<T> {
    fn default() -> Self {
        Self { open: None, generation: 0, retry: None, trouble: None }
    }
}

/// What the loop knows of the encoder in use.
#[derive(Debug)]
struct Watched {
    began: Instant,
    /// Frames encoded when it began.
    base: u64,
    fed: u64,
    fed_at: Instant,
    encoded: u64,
    moved: Instant,
    /// What it does wrong though it works; not looked at when there is no other.
    health: Option<Health>,
    /// When it is tried again, with no other to take over.
    retry: Option<Instant>,
}

struct Worker {
    setup: Setup,
    /// The first is in use; those that were left are gone.
    encoders: Vec<codec::Encoder>,
    decoders: Vec<codec::Decoder>,
    encoder: Arc<Slot>,
    encoder_generation: u32,
    watched: Watched,
    /// Frames into and out of each session's decoder, and when they last came out.
    decoding: HashMap<SessionId, (u64, u64, Instant)>,
    /// Nothing in this process can encode any more.
    over: bool,
    pictures: Arc<Outlet>,
    capturing: bool,
    camera: Device<Capture>,
    camera_gives: bool,
    habits: Habits,
    standin: Option<Capture>,
    pictures_seen: (u64, Instant),
    stage: Arc<Stage>,
    microphone: Device<Microphone>,
    speaker: Device<Speaker>,
    sessions: HashMap<SessionId, (Role, Session)>,
    publisher: Option<SessionId>,
    target: u32,
    applied: u32,
    reported: (Instant, u64),
    judge: Judge,
    stuck: Option<&'static str>,
}

impl Worker {
    fn new(settings: Settings, inbox: Sender<Input>) -> Result<Self> {
        let encoders = codec::encoders(&settings)?;
        let decoders = codec::decoders(&settings)?;
        let timebase = Timebase::start();
        let sound = settings.sound.clone();
        let counters = Arc::<Counters>::default();
        let picture = capture::picture_info(&settings.camera)?;
        let mirrored = settings.camera.mirror != settings.camera.mirror_preview;
        let screen = Screen::open(&settings.display, &picture, mirrored, &timebase, &inbox, &counters);
        let target = settings.video.start_kbps.max(1) * 1000;
        let (pictures, encoder) = (Arc::<Outlet>::default(), Arc::<Slot>::default());
        let setup = Setup {
            timebase,
            inbox,
            settings: Arc::new(settings),
            counters: Arc::clone(&counters),
            keys: Arc::<Keys>::default(),
            video: Arc::default(),
            audio: Arc::default(),
            decoder: Arc::new(Mutex::new(decoders[0])),
            screen,
        };
        let slot = Arc::clone(&encoder);
        pictures.tap(TO_ENCODER, move |picture| {
            if counters.sending.load(Ordering::Acquire) {
                counters.fed.fetch_add(1, Ordering::Relaxed);
                slot.with(|encoder| encoder.picture(picture));
            }
        });
        let screen = setup.screen.clone();
        pictures.tap(TO_SCREEN, move |picture| screen.preview(picture));
        let mut worker = Self {
            setup,
            encoders,
            decoders,
            encoder,
            encoder_generation: 0,
            watched: Watched::new(None, 0, Instant::now()),
            decoding: HashMap::new(),
            over: false,
            pictures,
            capturing: false,
            camera: Device::default(),
            camera_gives: false,
            habits: Habits::default(),
            standin: None,
            pictures_seen: (0, Instant::now()),
            stage: Stage::new(&sound),
            microphone: Device::default(),
            speaker: Device::default(),
            sessions: HashMap::new(),
            publisher: None,
            target,
            applied: target,
            reported: (Instant::now(), 0),
            judge: Judge::new(Instant::now()),
            stuck: None,
        };
        if let Err(error) = worker.start_encoder() {
            let events = worker.leave_encoder(Fault::NoStart, &format!("{error:#}"));
            log::warn!("{events:?}");
        }
        Ok(worker)
    }

    fn ready(&self) -> Event {
        Event::Ready {
            encoder: self.encoders[0].element.to_owned(),
            decoder: self.decoders[0].element.to_owned(),
            gstreamer: gst::version_string().to_string(),
            pid: std::process::id(),
        }
    }

    fn work(&mut self, inputs: &Receiver<Input>, writer: &mut Writer<File>) -> i32 {
        let mut look = Instant::now() + TICK;
        loop {
            let events = match inputs.recv_timeout(look.saturating_duration_since(Instant::now())) {
                Ok(Input::End(None)) => return 0,
                Ok(Input::End(Some(reason))) => {
                    log::error!("{reason}");
                    return 65;
                }
                Ok(Input::Command(Command::Stop)) => return 0,
                Ok(input) => self.handle(input),
                Err(RecvTimeoutError::Timeout) => {
                    look = Instant::now() + TICK;
                    self.feed_watchdog();
                    self.look_around()
                }
                Err(RecvTimeoutError::Disconnected) => return 0,
            };
            for event in events {
                if let Err(error) = writer.send(&event) {
                    log::error!("kioskd does not listen: {error}");
                    return 0;
                }
            }
            if self.over {
                log::error!("no encoder is left; the worker ends so that another begins anew");
                // SAFETY: ends the process at once: the codec would not let it go in good order.
                unsafe { libc::_exit(HANGS) }
            }
        }
    }

    fn handle(&mut self, input: Input) -> Vec<Event> {
        match input {
            Input::Command(command) => self.obey(command),
            Input::Event(event) => vec![event],
            Input::Broken { origin, element, detail } => self.broken(origin, &element, &detail),
            Input::Works(origin) => self.works(origin),
            Input::Fails { origin: Origin::Camera(generation), detail } if self.camera.is(generation) => {
                self.camera_fails(detail)
            }
            Input::Fails { origin, detail } => {
                log::debug!("{origin:?}, which is closed: {detail}");
                Vec::new()
            }
            Input::Target { session, bps } => {
                if self.publisher == Some(session) {
                    self.aim(bps);
                }
                Vec::new()
            }
            Input::End(_) => Vec::new(),
        }
    }

    fn obey(&mut self, command: Command) -> Vec<Event> {
        match command {
            Command::Configure(_) => log::warn!("configured twice; the second time is ignored"),
            Command::Prepare { session, role } => {
                log::debug!("prepare session {session}, {role:?}");
                let opened = Session::open(self.setup.clone(), session, role);
                self.sessions.insert(session, (role, opened));
            }
            Command::Answer { session, sdp, member } => {
                let Some((role, answered)) = self.sessions.get(&session) else { return Vec::new() };
                answered.answer(sdp);
                if *role == Role::Publish {
                    self.publisher = Some(session);
                    self.aim(self.setup.settings.video.start_kbps.max(1) * 1000);
                } else {
                    let member = member.unwrap_or_default();
                    self.setup.screen.name(session, &member.name);
                    if let Some(playing) = &answered.playing {
                        playing.name(member);
                    }
                    self.open_speaker();
                }
            }
            Command::Close { session } => self.close(session),
            Command::Capture { on } => return self.capture(on),
            Command::Send { on } => {
                if on {
                    self.setup.keys.want();
                }
                self.setup.counters.sending.store(on, Ordering::Release);
                if let Some(microphone) = &self.microphone.open {
                    microphone.send(on);
                }
                self.watch_encoder();
            }
            Command::Screen(screen) => self.setup.screen.show(screen),
            Command::Message { from, text, seconds } => self.setup.screen.message(&from, &text, seconds),
            Command::Stop => {}
        }
        Vec::new()
    }

    fn close(&mut self, session: SessionId) {
        let Some((_, closed)) = self.sessions.remove(&session) else { return };
        if let Some(playing) = &closed.playing {
            playing.speak(None);
        }
        self.setup.screen.forget(session);
        if self.publisher == Some(session) {
            self.publisher = None;
        }
        self.rest_speaker();
    }

    fn capture(&mut self, on: bool) -> Vec<Event> {
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
                let captured = self.setup.counters.captured.load(Ordering::Relaxed);
                self.pictures_seen = (captured, Instant::now());
                Vec::new()
            }
            Err(error) => self.camera_fails(format!("{error:#}")),
        }
    }

    fn camera_fails(&mut self, detail: String) -> Vec<Event> {
        if let Some(camera) = &self.camera.open {
            camera.fails();
        }
        let Setup { settings, timebase, counters, .. } = &self.setup;
        if self.standin.is_none() {
            self.standin = Capture::placeholder(&settings.camera, timebase, counters, &self.pictures)
                .inspect_err(|error| log::error!("no placeholder either: {error:#}"))
                .ok();
        }
        let events = self.camera.fails(Part::Camera, detail);
        self.camera.retry = Some(Instant::now() + SEARCH);
        events
    }

    /// Closes the speaker when nobody plays.
    fn rest_speaker(&mut self) {
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
    fn open_speaker(&mut self) {
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

    fn start_encoder(&mut self) -> Result<()> {
        self.encoder_generation += 1;
        let Setup { settings, timebase, inbox, counters, keys, video, .. } = &self.setup;
        let raw = capture::picture_info(&settings.camera)?.to_caps()?;
        let encoder = Encoder::start(
            self.encoders[0],
            self.encoder_generation,
            settings,
            &raw,
            self.target,
            timebase,
            inbox,
            counters,
            keys,
            video,
        )?;
        self.encoder.put(Some(encoder));
        self.applied = self.target;
        keys.want();
        self.watch_encoder();
        Ok(())
    }

    /// Begins to watch the encoder in use.
    fn watch_encoder(&mut self) {
        let camera = &self.setup.settings.camera;
        let pixels = u64::from(camera.width) * u64::from(camera.height) * u64::from(camera.fps);
        let (counts, fed) = (self.counts(), self.setup.counters.fed.load(Ordering::Relaxed));
        let now = Instant::now();
        self.watched = Watched::new(Some(Health::new(pixels, counts, now)), counts.frames, now);
        self.watched.fed = fed;
    }

    fn counts(&self) -> Counts {
        let counters = &self.setup.counters;
        Counts {
            frames: counters.encoded.load(Ordering::Relaxed),
            intra: counters.intra.load(Ordering::Relaxed),
            asked: counters.asked.load(Ordering::Relaxed),
            bytes: counters.encoded_bytes.load(Ordering::Relaxed),
        }
    }

    /// Tells the encoder a new bitrate; small changes only when they are downward.
    fn aim(&mut self, bps: u32) {
        self.target = bps;
        if bps < self.applied || bps - self.applied > self.applied / 20 {
            self.applied = bps;
            self.encoder.with(|encoder| encoder.set_bitrate(bps));
        }
    }

    fn broken(&mut self, origin: Origin, element: &str, detail: &str) -> Vec<Event> {
        log::debug!("{origin:?}: {detail}");
        match origin {
            Origin::Camera(generation) if self.camera.is(generation) => {
                let device = self.camera.open.as_ref().map(Capture::title).unwrap_or_default();
                let detail = format!(
                    "the camera {device} does not work ({detail}); plug it in again, or see [camera]"
                );
                self.camera_fails(detail)
            }
            Origin::Microphone(generation) if self.microphone.is(generation) => {
                self.microphone.fails(Part::Microphone, detail.to_owned())
            }
            Origin::Speaker(generation) if self.speaker.is(generation) => {
                for (_, opened) in self.sessions.values() {
                    if let Some(playing) = &opened.playing {
                        playing.speak(None);
                    }
                }
                self.speaker.fails(Part::Speaker, detail.to_owned())
            }
            Origin::Encoder(generation) if generation == self.encoder_generation => {
                let mut started = false;
                self.encoder.with(|encoder| started = encoder.is_started());
                self.leave_encoder(if started { Fault::Error } else { Fault::NoStart }, detail)
            }
            Origin::Session(session) if self.sessions.contains_key(&session) => {
                let mut events = Vec::new();
                if element.starts_with(self.decoders[0].element) {
                    events.extend(self.leave_decoder(Fault::Error, detail));
                }
                events.push(Event::Lost { session, reason: detail.to_owned() });
                events
            }
            Origin::Screen(generation) => {
                self.setup.screen.breaks(generation, detail);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Goes on with the next row of the table, in the same process and the same sessions. The one that is left is taken
    /// down on a thread of its own; if it hangs, that thread hangs, until the process ends with the call.
    fn leave_encoder(&mut self, fault: Fault, detail: &str) -> Vec<Event> {
        let part = Part::Encoder;
        let element = self.encoders[0].element.to_owned();
        let picture = Picture::of(&self.setup.settings.camera);
        let mut rest: Vec<_> = self.encoders[1..].to_vec();
        loop {
            while rest.first().is_some_and(|row| !codec::is_usable(row, &picture)) {
                rest.remove(0);
            }
            let Some(row) = rest.first() else { break };
            let next = row.element.to_owned();
            self.encoders.clone_from(&rest);
            match self.start_encoder() {
                Ok(()) => {
                    let detail = detail.to_owned();
                    return vec![Event::Left { part, element, fault, next: Some(next), detail }];
                }
                Err(error) => log::warn!("the encoder {next} does not start either: {error:#}"),
            }
            rest.remove(0);
        }
        match fault {
            Fault::OnlyKeyFrames | Fault::IgnoresBitrate => {
                // Better than nothing.
                log::warn!("the encoder {element} {}, and there is no other", fault.did());
                self.watched.health = None;
                Vec::new()
            }
            Fault::Hang => {
                self.over = true;
                vec![Event::Left { part, element, fault, next: None, detail: detail.to_owned() }]
            }
            Fault::Error | Fault::NoStart => {
                self.encoder.put(None);
                self.watched.retry = Some(Instant::now() + RETRY);
                let detail = format!(
                    "the encoder {element} {} ({detail}), and there is no other; install another",
                    fault.did()
                );
                vec![Event::Trouble { part, detail }]
            }
        }
    }

    /// Lets new sessions use the next decoder; nothing when there is none.
    fn leave_decoder(&mut self, fault: Fault, detail: &str) -> Option<Event> {
        let next = (1..self.decoders.len()).find(|at| codec::is_usable_decoder(&self.decoders[*at]))?;
        let element = self.decoders[0].element.to_owned();
        self.decoders.drain(..next);
        *self.setup.decoder.lock().unwrap_or_else(PoisonError::into_inner) = self.decoders[0];
        let next = Some(self.decoders[0].element.to_owned());
        Some(Event::Left { part: Part::Decoder, element, fault, next, detail: detail.to_owned() })
    }

    fn works(&mut self, origin: Origin) -> Vec<Event> {
        let well = match origin {
            Origin::Camera(generation) if self.camera.is(generation) => {
                self.standin = None;
                self.camera.works(Part::Camera)
            }
            Origin::Microphone(generation) if self.microphone.is(generation) => {
                self.microphone.works(Part::Microphone)
            }
            Origin::Speaker(generation) if self.speaker.is(generation) => self.speaker.works(Part::Speaker),
            _ => None,
        };
        well.into_iter().collect()
    }

    /// Looks whether the encoder is fed and gives nothing, or gives the wrong thing.
    fn check_encoder(&mut self, now: Instant) -> Vec<Event> {
        if let Some(at) = self.watched.retry {
            if at > now {
                return Vec::new();
            }
            return match self.start_encoder() {
                Ok(()) => vec![Event::Well { part: Part::Encoder }],
                Err(error) => self.leave_encoder(Fault::NoStart, &format!("{error:#}")),
            };
        }
        let counts = self.counts();
        let fed = self.setup.counters.fed.load(Ordering::Relaxed);
        let mut started = false;
        self.encoder.with(|encoder| started = encoder.is_started());
        let watched = &mut self.watched;
        if fed != watched.fed {
            (watched.fed, watched.fed_at) = (fed, now);
        }
        if counts.frames != watched.encoded || now.saturating_duration_since(watched.fed_at) > STALL {
            (watched.encoded, watched.moved) = (counts.frames, now);
        }
        let still = now.saturating_duration_since(watched.moved);
        if !started && now.saturating_duration_since(watched.began) > START {
            let detail = format!("not ready after {} s", START.as_secs());
            return self.leave_encoder(Fault::NoStart, &detail);
        }
        let patience = if counts.frames == watched.base { FIRST } else { STALL };
        if still > patience {
            let fault = if started { Fault::Hang } else { Fault::NoStart };
            let detail = format!("fed, and no frame for {} s", patience.as_secs());
            return self.leave_encoder(fault, &detail);
        }
        let target = u64::from(self.target);
        let wrong = watched.health.as_mut().and_then(|health| health.look(counts, target, now));
        wrong.map_or_else(Vec::new, |fault| {
            let detail = format!("{} kbit/s are asked of it", target / 1000);
            self.leave_encoder(fault, &detail)
        })
    }

    /// Looks whether a decoder is fed and gives nothing. One that never returns from a frame is fed no more and is not
    /// seen here: `kioskd` replaces the session when its picture has stood still, with the same decoder.
    fn check_decoders(&mut self, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        let decoders: Vec<_> = self
            .sessions
            .iter()
            .filter_map(|(id, (_, opened))| Some((*id, opened.playing.as_ref()?.decoding())))
            .collect();
        self.decoding.retain(|id, _| self.sessions.contains_key(id));
        for (session, (element, fed, given)) in decoders {
            let seen = self.decoding.entry(session).or_insert((fed, given, now));
            if given != seen.1 || fed == seen.0 {
                *seen = (fed, given, now);
            }
            if now.saturating_duration_since(seen.2) <= DECODER_STALL {
                continue;
            }
            seen.2 = now;
            let detail = format!("fed, and no picture for {} s", DECODER_STALL.as_secs());
            if element == self.decoders[0].element {
                events.extend(self.leave_decoder(Fault::Hang, &detail));
            }
            events.push(Event::Lost { session, reason: format!("{element} is {detail}") });
        }
        events
    }

    /// Feeds the service manager's watchdog unless something that is due stands still.
    fn feed_watchdog(&mut self) {
        let counters = &self.setup.counters;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let progress = Progress {
            camera: self.capturing && self.camera.open.is_some(),
            captured: count(&counters.captured),
            fed: count(&counters.fed),
            encoded: count(&counters.encoded),
            received: count(&counters.received),
            decoded: count(&counters.decoded),
            drawing: self.setup.screen.drawing(),
        };
        let stuck = self.judge.stuck(progress, Instant::now());
        if stuck.is_none() {
            watchdog::feed();
        } else if stuck != self.stuck {
            log::error!("{} stands still; the watchdog is not fed any more", stuck.unwrap_or_default());
        }
        self.stuck = stuck;
    }

    fn look_around(&mut self) -> Vec<Event> {
        let now = Instant::now();
        let mut events = self.check_encoder(now);
        events.extend(self.check_decoders(now));
        if self.capturing {
            let captured = self.setup.counters.captured.load(Ordering::Relaxed);
            let patience = if self.camera_gives { BLIND } else { OPENS };
            if captured != self.pictures_seen.0 {
                self.pictures_seen = (captured, now);
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
        if now - self.reported.0 >= REPORT {
            events.push(self.report(now));
        }
        events
    }

    fn report(&mut self, now: Instant) -> Event {
        let counters = &self.setup.counters;
        let bytes = counters.encoded_bytes.load(Ordering::Relaxed);
        let (then, before) = std::mem::replace(&mut self.reported, (now, bytes));
        let mut players: Vec<_> = self
            .sessions
            .values()
            .filter_map(|(_, opened)| Some(opened.playing.as_ref()?.report()))
            .collect();
        players.sort_by_key(|player| player.session);
        Event::Stats(Box::new(Stats {
            capturing: self.capturing,
            sending: counters.sending.load(Ordering::Relaxed),
            frames_captured: counters.captured.load(Ordering::Relaxed),
            frames_encoded: counters.encoded.load(Ordering::Relaxed),
            frames_sent: counters.sent.load(Ordering::Relaxed),
            frames_drawn: counters.drawn.load(Ordering::Relaxed),
            encoder: self.encoders[0].element.to_owned(),
            decoder: self.decoders[0].element.to_owned(),
            target_bps: u64::from(self.target),
            encoded_bps: ((bytes - before) as f64 * 8.0 / (now - then).as_secs_f64()) as u64,
            players,
        }))
    }
}

impl Watched {
    fn new(health: Option<Health>, base: u64, now: Instant) -> Self {
        Self { began: now, base, fed: 0, fed_at: now, encoded: base, moved: now, health, retry: None }
    }
}
