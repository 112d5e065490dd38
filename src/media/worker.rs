//! The worker's loop: commands, and what pipelines tell, come in; events go out. Nothing here waits for media.

mod decoders;
mod device;
mod devices;
mod encoder;
mod input;
mod progress;

use std::collections::HashMap;
use std::fs::File;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::device::Device;
use self::encoder::Encoding;
pub use self::input::{Input, Origin};
use super::camera::Habits;
use super::capture::{self, Capture};
use super::codec::{self, decoder_watch};
use super::encode::{Keys, Slot};
use super::line::{Reader, Writer};
use super::outlet::Outlet;
use super::pipe;
use super::protocol::{self, Command, Event, Fault, Part, Role, SessionId, Settings};
use super::screen::Screen;
use super::session::{Session, Setup};
use super::sound::{Microphone, Speaker, Stage};
use super::stats::Counters;
use super::timebase::Timebase;
use super::watchdog::{self, Judge};
use crate::journald;

/// How often the loop looks around by itself.
const TICK: Duration = Duration::from_millis(250);
/// How often progress is reported.
const REPORT: Duration = Duration::from_secs(1);
/// How long devices may take to close at the end; `kioskd` waits half a second longer.
const FAREWELL: Duration = Duration::from_secs(1);
/// The exit code that says a codec hangs and this worker has no other; the next one tries again.
const HANGS: i32 = 70;
/// Taps of the camera's outlet.
const TO_ENCODER: u32 = 0;
const TO_SCREEN: u32 = 1;

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

struct Worker {
    setup: Setup,
    /// The first is in use; those that were left are gone.
    encoders: Vec<codec::Encoder>,
    decoders: Vec<codec::Decoder>,
    encoder: Arc<Slot>,
    encoder_generation: u32,
    encoding: Encoding,
    /// How the decoder of each session does.
    decoding: HashMap<SessionId, decoder_watch::Watch>,
    /// How that of the camera does.
    camera_decoding: Option<decoder_watch::Watch>,
    /// Pipelines that hang in their decoder for ever.
    left_behind: u32,
    /// A codec hangs and no other can take over: the process is of no use any more.
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
            encoding: Encoding::Again(Instant::now()),
            decoding: HashMap::new(),
            camera_decoding: None,
            left_behind: 0,
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
                log::error!(
                    "a codec hangs and there is no other; the worker ends so that another begins anew"
                );
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
                self.rewatch_encoder();
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
            Origin::Decoding(generation) if self.camera.is(generation) => self.camera_decoder_breaks(detail),
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

    fn look_around(&mut self) -> Vec<Event> {
        let now = Instant::now();
        let mut events = self.check_encoder(now);
        events.extend(self.check_decoders(now));
        events.extend(self.check_devices(now));
        if now - self.reported.0 >= REPORT {
            events.push(self.report(now));
        }
        events
    }
}
