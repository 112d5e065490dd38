//! The open message sockets: one a user, each with a bounded queue.
//!
//! A reader too slow for its queue is disconnected; it comes back and asks for what it missed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot};

use super::tokens::TokenDigest;
use crate::room::wire::ImEvent;

/// How many frames may wait for a socket. A whole backlog (64) fits with room to spare.
const QUEUE: usize = 256;

/// Why a socket is closed, told in the close frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The server stops.
    GoingAway,
    /// The reader does not keep up.
    TooSlow,
    /// The user opened another socket.
    Replaced,
    /// The token has run out, or its user logged out.
    TokenVoid,
    /// The user logged in again, which replaced the token.
    LoggedInElsewhere,
}

impl CloseReason {
    /// Close code and text (RFC 6455 section 7.4; 4000 and up are ours).
    #[must_use]
    pub fn frame(self) -> (u16, &'static str) {
        match self {
            Self::GoingAway => (1001, "the server stops"),
            Self::TooSlow => (1013, "too slow, come back and resume"),
            Self::Replaced => (4001, "replaced by a newer socket of this user"),
            Self::TokenVoid => (4007, "the token is no longer valid, log in again"),
            Self::LoggedInElsewhere => (4008, "this user logged in again, which ended this token"),
        }
    }
}

/// What waits for a socket.
#[derive(Clone, Debug)]
pub enum Frame {
    /// An event as JSON.
    Event(Arc<str>),
    /// [`ImEvent::Rooms`]; at most one waits at a time.
    Rooms,
}

/// The socket's end of its queue.
#[derive(Debug)]
pub struct Inbox {
    /// Tells this socket from a later one of the same user.
    pub id: u64,
    /// Frames to send, in order.
    pub frames: mpsc::Receiver<Frame>,
    /// Fires when the socket has to close.
    pub close: oneshot::Receiver<CloseReason>,
    rooms_waiting: Arc<AtomicBool>,
}

impl Inbox {
    /// A frame's text, to be called when it is about to be sent.
    #[must_use]
    pub fn text(&self, frame: &Frame) -> Arc<str> {
        match frame {
            Frame::Event(json) => Arc::clone(json),
            Frame::Rooms => {
                // Cleared first: a change from now on is worth a new hint.
                self.rooms_waiting.store(false, Ordering::Release);
                json(&ImEvent::Rooms)
            }
        }
    }
}

#[derive(Debug)]
struct Socket {
    id: u64,
    token: TokenDigest,
    frames: mpsc::Sender<Frame>,
    close: oneshot::Sender<CloseReason>,
    rooms_waiting: Arc<AtomicBool>,
}

/// All open sockets.
#[derive(Debug, Default)]
pub struct Hub {
    sockets: HashMap<String, Socket>,
    next_id: u64,
}

impl Hub {
    /// A socket opens; an older one of the same user closes.
    pub fn open(&mut self, user: &str, token: TokenDigest) -> Inbox {
        self.close(user, CloseReason::Replaced);
        self.next_id += 1;
        let id = self.next_id;
        let (frames, inbox) = mpsc::channel(QUEUE);
        let (close, closed) = oneshot::channel();
        let rooms_waiting = Arc::new(AtomicBool::new(false));
        let socket = Socket { id, token, frames, close, rooms_waiting: Arc::clone(&rooms_waiting) };
        self.sockets.insert(user.to_owned(), socket);
        self.send(user, &ImEvent::Hello { user_id: user.to_owned() });
        Inbox { id, frames: inbox, close: closed, rooms_waiting }
    }

    /// A socket has closed by itself.
    pub fn gone(&mut self, user: &str, id: u64) {
        if self.sockets.get(user).is_some_and(|socket| socket.id == id) {
            self.sockets.remove(user);
        }
    }

    /// Queues an event for one user.
    pub fn send(&mut self, user: &str, event: &ImEvent) {
        self.send_to(std::slice::from_ref(&user.to_owned()), event);
    }

    /// Queues an event for several users.
    pub fn send_to(&mut self, users: &[String], event: &ImEvent) {
        let json = json(event);
        for user in users {
            self.push(user, Frame::Event(Arc::clone(&json)));
        }
    }

    /// Hints that the list of rooms has changed to everybody for whom `may_see` holds.
    pub fn hint_rooms(&mut self, may_see: impl Fn(&str) -> bool) {
        let users: Vec<String> = self
            .sockets
            .iter()
            .filter(|(user, socket)| !socket.rooms_waiting.load(Ordering::Acquire) && may_see(user))
            .map(|(user, socket)| {
                socket.rooms_waiting.store(true, Ordering::Release);
                user.clone()
            })
            .collect();
        for user in users {
            self.push(&user, Frame::Rooms);
        }
    }

    /// Closes the sockets whose token is not good any more.
    pub fn keep(&mut self, is_good: impl Fn(&TokenDigest) -> bool) {
        let void = self.sockets.iter().filter(|(_, socket)| !is_good(&socket.token));
        for user in void.map(|(user, _)| user.clone()).collect::<Vec<_>>() {
            self.close(&user, CloseReason::TokenVoid);
        }
    }

    /// Closes a user's socket.
    pub fn close(&mut self, user: &str, reason: CloseReason) {
        if let Some(socket) = self.sockets.remove(user) {
            // Its task may have ended a moment ago.
            let _ = socket.close.send(reason);
        }
    }

    /// Closes all sockets.
    pub fn close_all(&mut self) {
        for (_, socket) in self.sockets.drain() {
            let _ = socket.close.send(CloseReason::GoingAway);
        }
    }

    fn push(&mut self, user: &str, frame: Frame) {
        let Some(socket) = self.sockets.get(user) else { return };
        if let Err(mpsc::error::TrySendError::Full(_)) = socket.frames.try_send(frame) {
            log::warn!("/im: {user} reads too slowly, disconnected");
            self.close(user, CloseReason::TooSlow);
        }
    }
}

fn json(event: &ImEvent) -> Arc<str> {
    // These types always serialize.
    serde_json::to_string(event).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_slow_reader_is_disconnected_and_others_are_not() {
        let mut hub = Hub::default();
        let mut slow = hub.open("slow", [0; 32]);
        let mut quick = hub.open("quick", [1; 32]);
        for _ in 0..QUEUE {
            hub.send_to(
                &["slow".into(), "quick".into()],
                &ImEvent::Ack { id: 1, code: 0, message: String::new() },
            );
            while quick.frames.try_recv().is_ok() {}
        }
        assert_eq!(slow.close.try_recv(), Ok(CloseReason::TooSlow));
        assert!(quick.close.try_recv().is_err());
    }

    #[test]
    fn hints_do_not_pile_up() {
        let mut hub = Hub::default();
        let mut inbox = hub.open("a", [0; 32]);
        inbox.frames.try_recv().unwrap();
        for _ in 0..1000 {
            hub.hint_rooms(|_| true);
        }
        let hint = inbox.frames.try_recv().unwrap();
        assert!(inbox.frames.try_recv().is_err());
        assert_eq!(&*inbox.text(&hint), r#"{"type":"rooms"}"#);
        hub.hint_rooms(|_| true);
        assert!(inbox.frames.try_recv().is_ok());
    }

    #[test]
    fn the_end_of_an_old_socket_does_not_end_the_new_one() {
        let mut hub = Hub::default();
        let mut old = hub.open("a", [0; 32]);
        let mut new = hub.open("a", [0; 32]);
        assert_eq!(old.close.try_recv(), Ok(CloseReason::Replaced));
        hub.gone("a", old.id);
        hub.keep(|_| true);
        assert!(new.close.try_recv().is_err());
        hub.keep(|token| *token != [0; 32]);
        assert_eq!(new.close.try_recv(), Ok(CloseReason::TokenVoid));
    }
}
