//! The screen: idle picture, preview, members, words and messages, drawn by one thread, and only when something changed.
//!
//! Decoder and camera threads leave their newest frame here and go on. Texts are drawn once and kept. Pictures are
//! scaled and converted straight into the window's own buffers, which keep what does not change, so a frame costs its
//! own pixels and no more. Without an output nothing is composed at all.

mod canvas;
mod compositor;
mod layout;
mod sink;
mod text;
mod turn;
mod window;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use self::canvas::Canvas;
use self::window::Window;
use super::pipe;
use super::protocol::{self, Display, Event, Part, SessionId, View};
use super::stats::Counters;
use super::timebase::Timebase;
use super::worker::Input;
use crate::board;

/// Two pictures are at least so far apart: several members' frames are drawn together.
const APART: Duration = Duration::from_millis(24);
/// By then a screen has shown what it was given, and takes the next picture.
const SETTLED: Duration = Duration::from_millis(200);
/// How often a screen that does not work is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// The longest a message may stay.
const LONGEST: u32 = 3600;

/// The screen; cheap to clone.
#[derive(Clone, Debug)]
pub struct Screen(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

/// A frame and what it is.
#[derive(Clone, Debug)]
struct Picture {
    buffer: gst::Buffer,
    info: gst_video::VideoInfo,
    /// It is shown mirrored; only I420 is.
    mirrored: bool,
}

/// A text over the picture.
#[derive(Clone, Debug, PartialEq)]
struct Message {
    from: String,
    text: String,
    until: Instant,
}

#[derive(Debug)]
struct State {
    words: protocol::Screen,
    message: Option<Message>,
    camera: gst_video::VideoInfo,
    mirrored: bool,
    preview: Option<Picture>,
    members: BTreeMap<SessionId, (Option<Picture>, String)>,
    dirty: bool,
    broken: Option<(u32, String)>,
    /// Since when one picture is being drawn.
    drawing: Option<Instant>,
}

impl Screen {
    /// Opens the screen that the board names, on a thread of its own. The preview is `mirrored`.
    #[must_use]
    pub fn open(
        display: &Display,
        camera: &gst_video::VideoInfo,
        mirrored: bool,
        timebase: &Timebase,
        inbox: &Sender<Input>,
        counters: &Arc<Counters>,
    ) -> Self {
        // What is named and missing may yet come.
        if matches!(board::screen::look().choose(display), Ok(None)) {
            log::info!("no screen: pictures are decoded, measured and dropped");
            return Self(None);
        }
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                words: protocol::Screen { view: View::Idle, headline: String::new(), detail: String::new() },
                message: None,
                camera: camera.clone(),
                mirrored,
                preview: None,
                members: BTreeMap::new(),
                dirty: true,
                broken: None,
                drawing: None,
            }),
            wake: Condvar::new(),
        });
        let painter = Painter {
            shared: Arc::clone(&shared),
            display: display.clone(),
            timebase: timebase.clone(),
            inbox: inbox.clone(),
            counters: Arc::clone(counters),
            canvas: Canvas::new(0, 0),
            generation: 0,
            trouble: None,
        };
        pipe::spawn("screen", move || painter.paint());
        Self(Some(shared))
    }

    fn change(&self, act: impl FnOnce(&mut State) -> bool) {
        let Some(shared) = &self.0 else { return };
        let mut state = shared.lock();
        if act(&mut state) {
            state.dirty = true;
            shared.wake.notify_one();
        }
    }

    /// What the customer is told.
    pub fn show(&self, words: protocol::Screen) {
        self.change(|state| {
            let changed = state.words != words;
            state.words = words;
            changed
        });
    }

    /// Lays a text over the picture.
    pub fn message(&self, from: &str, text: &str, seconds: u32) {
        let until = Instant::now() + Duration::from_secs(u64::from(seconds.min(LONGEST)));
        let message = (!text.trim().is_empty() && seconds > 0).then(|| Message {
            from: from.to_owned(),
            text: text.to_owned(),
            until,
        });
        self.change(|state| {
            state.message = message;
            true
        });
    }

    /// The camera's newest frame.
    pub fn preview(&self, buffer: &gst::Buffer) {
        self.change(|state| {
            let (info, mirrored) = (state.camera.clone(), state.mirrored);
            state.preview = Some(Picture { buffer: buffer.clone(), info, mirrored });
            match state.words.view {
                View::Waiting => true,
                // It is drawn along with the members' frames while they come.
                View::InCall => state.members.values().all(|(picture, _)| picture.is_none()),
                View::Idle | View::Trouble => false,
            }
        });
    }

    /// The camera is closed.
    pub fn preview_ends(&self) {
        self.change(|state| state.preview.take().is_some());
    }

    /// A member's name, shown with its picture.
    pub fn name(&self, session: SessionId, name: &str) {
        self.change(|state| {
            state.members.entry(session).or_default().1 = name.to_owned();
            true
        });
    }

    /// A member's newest frame.
    pub fn member(&self, session: SessionId, buffer: &gst::Buffer, info: &gst_video::VideoInfo) {
        self.change(|state| {
            if let Some((picture, _)) = state.members.get_mut(&session) {
                *picture = Some(Picture { buffer: buffer.clone(), info: info.clone(), mirrored: false });
            }
            state.words.view == View::InCall
        });
    }

    /// A member is gone.
    pub fn forget(&self, session: SessionId) {
        self.change(|state| state.members.remove(&session).is_some());
    }

    /// How long the picture being drawn has taken so far.
    #[must_use]
    pub fn drawing(&self) -> Duration {
        let since = self.0.as_ref().and_then(|shared| shared.lock().drawing);
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The output of this generation has an error.
    pub fn breaks(&self, generation: u32, detail: &str) {
        self.change(|state| {
            state.broken = Some((generation, detail.to_owned()));
            true
        });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be drawn, taken from the state at one moment.
#[derive(Clone, Debug)]
struct Scene {
    words: protocol::Screen,
    message: Option<Message>,
    preview: Option<Picture>,
    members: Vec<(SessionId, Picture, String)>,
}

struct Painter {
    shared: Arc<Shared>,
    display: Display,
    timebase: Timebase,
    inbox: Sender<Input>,
    counters: Arc<Counters>,
    canvas: Canvas,
    generation: u32,
    trouble: Option<String>,
}

impl Painter {
    fn paint(mut self) {
        if let Some(trouble) = board::font::chinese().trouble() {
            log::warn!("{trouble}");
        }
        loop {
            self.generation += 1;
            match Window::open(&self.display, &self.timebase, &self.inbox, self.generation) {
                Ok(mut window) => {
                    let (width, height) = window.size();
                    self.canvas = Canvas::new(width, height);
                    let detail = self.use_up(&mut window);
                    self.fails(&format!("{}: {detail}", window.title()), window.cure());
                }
                Err(refused) => self.fails(&refused.detail, refused.cure),
            }
            std::thread::sleep(RETRY);
            self.shared.lock().dirty = true;
        }
    }

    fn fails(&mut self, detail: &str, cure: &str) {
        let detail = format!("the screen does not work ({detail}); {cure}");
        if self.trouble.as_ref() != Some(&detail) {
            log::warn!("{detail}");
            self.trouble = Some(detail.clone());
            let _ = self.inbox.send(Input::Event(Event::Trouble { part: Part::Screen, detail }));
        }
    }

    /// Draws in this window until it breaks; why it did.
    fn use_up(&mut self, window: &mut Window) -> String {
        let mut drawn = Instant::now() - APART;
        let mut again = None;
        loop {
            let (scene, changed) = match self.next_scene(drawn, again) {
                Ok(next) => next,
                Err(detail) => return detail,
            };
            drawn = Instant::now();
            self.shared.lock().drawing = Some(drawn);
            let done = window.draw(&self.timebase, |key, sheet| self.canvas.draw(key, sheet, &scene));
            self.shared.lock().drawing = None;
            // What is lost while pictures come is replaced by the next; the last of them has none.
            again = (changed && window.loses()).then(|| drawn + SETTLED);
            if let Err(error) = done {
                return format!("{error:#}");
            }
            self.counters.drawn.fetch_add(1, Ordering::Relaxed);
            if self.trouble.take().is_some() {
                let _ = self.inbox.send(Input::Event(Event::Well { part: Part::Screen }));
            }
        }
    }

    /// Waits until there is something to draw, and whether it is something new; the last once more at `again`.
    fn next_scene(&self, drawn: Instant, again: Option<Instant>) -> Result<(Scene, bool), String> {
        let mut state = self.shared.lock();
        loop {
            if let Some((generation, detail)) = state.broken.take()
                && generation == self.generation
            {
                return Err(detail);
            }
            let now = Instant::now();
            if state.message.as_ref().is_some_and(|message| message.until <= now) {
                state.message = None;
                state.dirty = true;
            }
            if (state.dirty && now >= drawn + APART) || again.is_some_and(|at| now >= at) {
                break;
            }
            let next = if state.dirty {
                Some(drawn + APART)
            } else {
                state.message.as_ref().map(|message| message.until).into_iter().chain(again).min()
            };
            state = match next {
                Some(at) => {
                    let wait = at.saturating_duration_since(now);
                    self.shared.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        let changed = std::mem::take(&mut state.dirty);
        let scene = Scene {
            words: state.words.clone(),
            message: state.message.clone(),
            preview: state.preview.clone(),
            members: state
                .members
                .iter()
                .filter_map(|(id, (picture, name))| Some((*id, picture.clone()?, name.clone())))
                .collect(),
        };
        Ok((scene, changed))
    }
}
