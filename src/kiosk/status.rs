//! What `kioskd status` says.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Kiosk;
use super::event::Lamp;
use super::front::Front;
use super::words::{self, End};
use super::{State, call};
use crate::media::protocol::{Fault, Part, Screen, Stats};
use crate::media::timebase::monotonic_ms;

/// CLOCK_MONOTONIC beside the clock of the program, to say times that other processes understand.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    instant: Instant,
    monotonic_ms: u64,
}

impl Anchor {
    /// Reads both clocks.
    #[must_use]
    pub fn now() -> Self {
        Self { instant: Instant::now(), monotonic_ms: monotonic_ms() }
    }

    fn ms(self, at: Instant) -> u64 {
        let after = self.monotonic_ms + millis(at.saturating_duration_since(self.instant));
        after.saturating_sub(millis(self.instant.saturating_duration_since(at)))
    }
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// `starting|offline|idle|joining|waiting|in_call|leaving|fault`.
    pub state: &'static str,
    /// Why, for people.
    pub detail: String,
    /// The room.
    pub room: String,
    /// Our user ID.
    pub user: String,
    /// Milliseconds in this state.
    pub since_ms: u64,
    /// What the lamp shows, whether there is one or not.
    pub lamp: Option<Lamp>,
    /// Button, lamp and door switch.
    pub panel: Front,
    /// Whether the message socket is open.
    pub messages: bool,
    /// The media worker.
    pub worker: Worker,
    /// The ticket.
    pub ticket: Ticket,
    /// The call, or the last one.
    pub call: Option<Call>,
    /// What the customer reads.
    pub screen: Screen,
    /// Calls since the start.
    pub calls: u64,
    /// What happened, the oldest first.
    pub journal: Vec<Line>,
}

/// The media worker.
#[derive(Clone, Debug, Serialize)]
pub struct Worker {
    /// Its process.
    pub pid: Option<u32>,
    /// Counts the workers.
    pub generation: u32,
    /// Ready, with offers waiting.
    pub warm: bool,
    /// The encoder element.
    pub encoder: String,
    /// Why it and no other: `since openh264enc hung at 12:03:04`.
    pub encoder_why: Option<String>,
    /// The decoder element.
    pub decoder: String,
    /// The same for it.
    pub decoder_why: Option<String>,
    /// Codecs that failed and are used last for a while, the longest ago first.
    pub left: Vec<Left>,
    /// Workers that ended without being told to.
    pub restarts: u64,
    /// Why the last of them did.
    pub last_restart_reason: Option<String>,
    /// A part of the board that does not work.
    pub broken: Option<Part>,
    /// Its newest statistics, idle or not.
    pub stats: Option<Box<Stats>>,
}

/// A codec that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Left {
    /// [`Part::Encoder`] or [`Part::Decoder`].
    pub part: Part,
    /// The element.
    pub element: String,
    /// What it did.
    pub fault: Fault,
    /// When it did so last, unix seconds.
    pub at_unix: u64,
    /// When a worker may begin with it again, unix seconds.
    pub until_unix: u64,
}

/// The ticket.
#[derive(Clone, Debug, Serialize)]
pub struct Ticket {
    /// Unix seconds, if it could be read.
    pub expires_unix: Option<u64>,
    /// When it is renewed by itself, unix seconds.
    pub renew_unix: Option<u64>,
    /// It has expired, or will soon; and what to do.
    pub warning: Option<String>,
}

/// A call. Times are milliseconds after the press, absent while not reached.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// CLOCK_MONOTONIC, milliseconds.
    pub pressed_at_ms: u64,
    /// Camera and microphone were told to open.
    pub capture_on_ms: Option<u64>,
    /// The offer was posted.
    pub whip_posted_ms: Option<u64>,
    /// The answer was with the worker.
    pub whip_answered_ms: Option<u64>,
    /// Our media may flow.
    pub whip_connected_ms: Option<u64>,
    /// The seat was ours.
    pub joined_ms: Option<u64>,
    /// The members were known.
    pub listed_ms: Option<u64>,
    /// The first member was asked for.
    pub whep_posted_ms: Option<u64>,
    /// The first answer was with the worker.
    pub whep_answered_ms: Option<u64>,
    /// The first member's media may flow.
    pub whep_connected_ms: Option<u64>,
    /// The first frame of a member was shown.
    pub first_remote_frame_ms: Option<u64>,
    /// The first sound of a member was played.
    pub first_remote_sound_ms: Option<u64>,
    /// It was over.
    pub ended_ms: Option<u64>,
    /// Why it ended.
    pub end: Option<&'static str>,
    /// Other members now, or when it ended.
    pub members: usize,
    /// Times it was cut and came back.
    pub recoveries: u32,
    /// The worker's newest statistics; the last ones once it ended.
    pub stats: Option<Box<Stats>>,
    /// The last statistics of the call, once it ended.
    pub last_stats: Option<Box<Stats>>,
}

/// A line of the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// CLOCK_MONOTONIC, milliseconds.
    pub at_ms: u64,
    /// What happened.
    pub text: String,
}

impl Kiosk {
    /// What is to be known now.
    #[must_use]
    pub fn status(&self, anchor: Anchor) -> Status {
        let (codecs, now) = (&self.worker.codecs, Instant::now());
        let why = |part, running: &str| {
            codecs.why(part, running).map(|left| {
                format!("since {} {} at {}", left.element, left.fault.did(), time_of_day(unix(left.at, now)))
            })
        };
        let left = |left: &super::codecs::Left| Left {
            part: left.part,
            element: left.element.clone(),
            fault: left.fault,
            at_unix: unix(left.at, now),
            until_unix: unix(left.until, now),
        };
        let worker = Worker {
            pid: self.worker.pid,
            generation: self.worker.generation,
            warm: self.worker.is_warm(),
            encoder: codecs.encoder.clone(),
            encoder_why: why(Part::Encoder, &codecs.encoder),
            decoder: codecs.decoder.clone(),
            decoder_why: why(Part::Decoder, &codecs.decoder),
            left: codecs.on_probation(now).map(left).collect(),
            restarts: self.worker.restarts,
            last_restart_reason: self.worker.last_restart_reason.clone(),
            broken: self.worker.broken(),
            stats: self.worker.newest.clone(),
        };
        let line =
            |entry: &super::core::Entry| Line { at_ms: anchor.ms(entry.at), text: entry.text.to_string() };
        Status {
            state: self.state.name(),
            detail: self.detail(),
            room: self.settings.room_id.clone(),
            user: self.settings.user_id.clone(),
            since_ms: millis(Instant::now().saturating_duration_since(self.entered_at)),
            lamp: self.lamp,
            panel: self.front.clone(),
            messages: self.link.im_is_open(),
            worker,
            ticket: Ticket { expires_unix: self.link.expires_unix, renew_unix: None, warning: None },
            call: self.report.as_ref().map(|report| self.call_status(report, anchor)),
            screen: words::screen(self.settings.language, &self.say(), self.broken()),
            calls: self.calls,
            journal: self.core.journal().map(line).collect(),
        }
    }

    /// State and reason in one line, for people.
    #[must_use]
    pub fn detail(&self) -> String {
        match &self.state {
            State::Starting if !self.link.is_in() => "logging in".into(),
            State::Starting => "getting ready".into(),
            State::Offline(failure) => failure.to_string(),
            State::Fault(trouble) => trouble.to_string(),
            State::Idle => "waiting for the button".into(),
            State::Joining { again: true, .. } => "cut off, joining again".into(),
            State::Joining { .. } => "joining".into(),
            State::Waiting { .. } => "waiting for somebody to answer".into(),
            State::InCall { call } => match call.peers.as_slice() {
                [] => "alone again".into(),
                peers => peers.iter().map(|peer| call::cut(&peer.user_id)).collect::<Vec<_>>().join(", "),
            },
            State::Leaving { why } => format!("leaving: {}", end_name(why)),
        }
    }

    /// The state's name.
    #[must_use]
    pub fn state_name(&self) -> &'static str {
        self.state.name()
    }

    fn call_status(&self, report: &call::Report, anchor: Anchor) -> Call {
        let ms = |stage: Option<Duration>| stage.map(millis);
        let over = report.ended.is_some();
        Call {
            pressed_at_ms: anchor.ms(report.pressed_at),
            capture_on_ms: ms(report.capture_on),
            whip_posted_ms: ms(report.whip_posted),
            whip_answered_ms: ms(report.whip_answered),
            whip_connected_ms: ms(report.whip_connected),
            joined_ms: ms(report.joined),
            listed_ms: ms(report.listed),
            whep_posted_ms: ms(report.whep_posted),
            whep_answered_ms: ms(report.whep_answered),
            whep_connected_ms: ms(report.whep_connected),
            first_remote_frame_ms: ms(report.first_remote_frame),
            first_remote_sound_ms: ms(report.first_remote_sound),
            ended_ms: ms(report.ended),
            end: report.end.as_ref().map(end_name),
            members: report.members,
            recoveries: report.recoveries,
            stats: if over { report.last_stats.clone() } else { self.worker.newest.clone() },
            last_stats: report.last_stats.clone(),
        }
    }
}

fn end_name(end: &End) -> &'static str {
    match end {
        End::Pressed => "pressed",
        End::HungUp => "hung_up",
        End::OtherHungUp => "other_hung_up",
        End::Busy => "busy",
        End::NobodyCame => "nobody_came",
        End::EverybodyLeft => "everybody_left",
        End::RoomClosed => "room_closed",
        End::Refused(_) => "refused",
        End::NoConnection => "no_connection",
        End::NoMedia => "no_media",
        End::Shutdown => "shutdown",
    }
}

/// A moment of this process as unix seconds, near enough.
fn unix(at: Instant, now: Instant) -> u64 {
    let clock = SystemTime::now();
    let moment = clock
        .checked_sub(now.saturating_duration_since(at))
        .and_then(|moment| moment.checked_add(at.saturating_duration_since(now)));
    moment.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs())
}

/// `12:03:04`, where this machine stands.
fn time_of_day(unix: u64) -> String {
    let seconds = libc::time_t::try_from(unix).unwrap_or_default();
    // SAFETY: both pointers are valid for the call, and all of the struct may be zero.
    let local = unsafe {
        let mut local: libc::tm = std::mem::zeroed();
        libc::localtime_r(&raw const seconds, &raw mut local);
        local
    };
    format!("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The same for people: a few lines.
#[must_use]
pub fn for_people(status: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::from("-"),
        other => other.to_string(),
    };
    let (worker, call) = (&status["worker"], &status["call"]);
    // Which runs, and why it is not the first of the table.
    let codec = |part: &str| match &worker[format!("{part}_why")] {
        serde_json::Value::String(why) => format!("{}, {why}", text(&worker[part])),
        _ => text(&worker[part]),
    };
    let mut lines = format!(
        "{}: {}\nroom {}, user {}, {} calls\nworker {} (pid {}), {} restarts\nencoder {}\ndecoder {}\n",
        text(&status["state"]),
        text(&status["detail"]),
        text(&status["room"]),
        text(&status["user"]),
        text(&status["calls"]),
        text(&worker["generation"]),
        text(&worker["pid"]),
        text(&worker["restarts"]),
        codec("encoder"),
        codec("decoder"),
    );
    if let Some(warning) = status["ticket"]["warning"].as_str() {
        lines += &format!("{warning}\n");
    }
    let panel = &status["panel"];
    for (name, part) in [("button", &panel["button"]), ("lamp", &panel["lamp"]), ("door", &panel["tamper"])] {
        let standing = match part["state"].as_str() {
            Some("absent") => continue,
            Some("trouble") => format!("NOT WORKING: {}", text(&part["detail"])),
            Some("armed") => text(&part["at"]),
            _ => "being opened".into(),
        };
        let more = match (name, part["stuck"].as_bool(), part["open"].as_bool()) {
            ("button", Some(true), _) => "; STUCK, ignored until it is released".into(),
            ("lamp", ..) => format!("; shows {}", text(&status["lamp"])),
            ("door", _, Some(true)) => "; OPEN".into(),
            ("door", _, Some(false)) => "; shut".into(),
            _ => String::new(),
        };
        lines += &format!("{name}: {standing}{more}\n");
    }
    if !call.is_null() {
        lines += &format!(
            "last call: joined after {} ms, first picture after {} ms, {} others, ended: {}\n",
            text(&call["joined_ms"]),
            text(&call["first_remote_frame_ms"]),
            text(&call["members"]),
            text(&call["end"]),
        );
    }
    lines
}
