//! The machine's whole boundary: what goes in, what comes out.

use std::time::Instant;

use crate::board::fitting::{Fitting, Standing};
use crate::media;
use crate::room::failure::Failure;
use crate::room::wire::{ImEvent, Pusher};

/// Names a request; never used twice, and a later request has a higher one.
pub type RequestId = u64;
/// Counts the workers; each has its own.
pub type Generation = u32;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// Nothing but that time has passed.
    Time,
    /// The button was pressed, or `kioskd press` was called.
    Press,
    /// `kioskd hangup` was called: ends a call, never starts one.
    Hangup,
    /// There may be a better ticket than before.
    Ticket,
    /// The button was held for the long time: the same.
    LongPress,
    /// The button is held for so long that no finger does it, or was released after that.
    Stuck(bool),
    /// The housing was opened, or shut.
    Door {
        /// Whether it is open.
        open: bool,
    },
    /// A part of the panel has come to work, or to be in trouble.
    Fitting(Fitting, Standing),
    /// The service manager wants us to end.
    Shutdown,
    /// What came of a request.
    Reply {
        /// As in [`Output::Request`].
        id: RequestId,
        /// The outcome.
        reply: Result<Reply, Failure>,
    },
    /// The message socket.
    Im {
        /// As in [`Output::OpenIm`].
        serial: u32,
        /// What it said.
        news: ImNews,
    },
    /// The media worker.
    Worker {
        /// As in [`Output::Spawn`].
        generation: Generation,
        /// What became of it or what it said.
        news: WorkerNews,
    },
}

/// What a message socket says.
#[derive(Clone, Debug)]
pub enum ImNews {
    /// It is open.
    Open,
    /// It closed, or could not be opened.
    Closed(Failure),
    /// A frame came.
    Event(Box<ImEvent>),
}

/// What a worker says, and what becomes of it.
#[derive(Clone, Debug)]
pub enum WorkerNews {
    /// The process runs and can be told things.
    Started {
        /// Its process id, if it is a child of ours.
        pid: Option<u32>,
    },
    /// A line.
    Said(Box<media::protocol::Event>),
    /// The process ended, its socket closed, or it could not be started.
    Gone {
        /// For log and status.
        reason: String,
    },
}

/// The good outcome of a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Carried out, nothing to say.
    Done,
    /// Logged in.
    LoggedIn {
        /// When the ticket expires, unix seconds, if it says so.
        expires_unix: Option<u64>,
    },
    /// A push address.
    PushAddress(String),
    /// The members of the room, bounded by the client; ourselves included.
    Members(Vec<Pusher>),
    /// A WHIP or WHEP session.
    Session {
        /// The answer.
        sdp: String,
        /// Where to `DELETE` it; absent when the server gave no `Location`.
        resource: Option<String>,
    },
}

/// A request to carry out, answered by exactly one [`Input::Reply`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Log in: the ticket is read anew each time.
    Login,
    /// `get_push_url`.
    PushAddress,
    /// `add_pusher`: takes our seat, makes the room when there is none.
    TakeSeat {
        /// What others are to play us by.
        push_url: String,
    },
    /// `delete_pusher`: gives our seat back.
    GiveSeat,
    /// `get_pushers`.
    Members,
    /// `pusher_heartbeat`.
    Heartbeat,
    /// Keeps connections open to RoomService and to the media server, and learns whether they answer.
    Warm {
        /// Where the next call will be published.
        push_url: Option<String>,
    },
    /// WHIP `POST`.
    Publish {
        /// Where.
        url: String,
        /// The offer.
        sdp: String,
    },
    /// WHEP `POST`.
    Play {
        /// Where.
        url: String,
        /// The offer.
        sdp: String,
    },
    /// WHIP or WHEP `DELETE`.
    Delete {
        /// The resource.
        url: String,
    },
}

/// Something to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Nothing more; come back at this time or with an input.
    Timeout(Instant),
    /// Carry out a request.
    Request {
        /// Comes back with the reply.
        id: RequestId,
        /// What to ask.
        request: Request,
    },
    /// Open the message socket; an older one is closed.
    OpenIm {
        /// Comes back with its news.
        serial: u32,
        /// The last event seen of our room, to be resumed from.
        resume_after: Option<u64>,
    },
    /// Start a worker process.
    Spawn {
        /// Comes back with its news.
        generation: Generation,
    },
    /// End a worker process at once: `SIGKILL`, or its socket and the watchdog of its unit.
    Kill {
        /// Which.
        generation: Generation,
    },
    /// Say something to a worker.
    Tell {
        /// Which.
        generation: Generation,
        /// What.
        command: media::protocol::Command,
    },
    /// Light the lamp.
    Lamp(Lamp),
    /// The state changed: for the service manager and the log.
    Status,
    /// Everything is put away after [`Input::Shutdown`]; the process may end.
    Finished,
}

/// What the lamp in the button shows; the board file says how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lamp {
    /// Ready to be pressed.
    Idle,
    /// Somebody is being called.
    Waiting,
    /// In a call.
    InCall,
    /// Not usable; the screen says why.
    Trouble,
    /// Getting ready, or putting a call away.
    Off,
}
