//! The message socket at `/im`: events to a member, texts and commands from it. Frames are in [`crate::room::wire`].
//!
//! A member hears of every room it is in. After a reconnect it sends [`ImRequest::Resume`] first: what it missed comes
//! in order, with a [`ImEvent::Gap`] at the end when that is not all.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::answer::respond_json;
use super::clock::Now;
use super::fields::QueryFields;
use super::hub::{CloseReason, Inbox};
use super::limits::{Bucket, Rate};
use super::office::Office;
use super::operations::authenticate;
use super::rooms::{Denied, RoomName, Saying};
use crate::room::wire::{IM_FRAME_LIMIT, IM_TEXT_LIMIT, ImEvent, ImRequest, Kind, code};

/// How often the server asks whether the member is there.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long a member may be silent, and how long a frame may take to be written.
const SILENCE: Duration = Duration::from_secs(30);
/// How much a member may say, and how often ask for what it missed.
const SAY_RATE: Rate = Rate { burst: 30.0, per_sec: 10.0 };
/// The longest `cmd` of a custom message.
const CMD_LIMIT: usize = 128;

/// Opens a socket for the token's user.
pub(super) async fn open(State(office): State<Arc<Office>>, request: Request) -> Response {
    use axum::extract::FromRequest as _;
    let query = QueryFields::of(request.uri());
    let (user, digest) = match authenticate(&office, &query, request.headers()) {
        Ok(caller) => caller,
        Err(refused) => {
            let body = json!({ "code": refused.code, "message": refused.message });
            return respond_json(StatusCode::UNAUTHORIZED, &body);
        }
    };
    let upgrade = match WebSocketUpgrade::from_request(request, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let body = json!({ "code": code::BAD_REQUEST, "message": "this address is for a WebSocket" });
            return respond_json(rejection.into_response().status(), &body);
        }
    };
    if office.sessions.available_permits() == 0 {
        let body = json!({ "code": code::TOO_MANY, "message": "too many sockets" });
        return respond_json(StatusCode::SERVICE_UNAVAILABLE, &body);
    }
    upgrade.max_message_size(IM_FRAME_LIMIT).max_frame_size(IM_FRAME_LIMIT).on_upgrade(
        move |socket| async move {
            let Ok(_permit) = office.sessions.try_acquire() else { return };
            let inbox = office.with(|state, now| {
                // The token may have ended while the connection was upgraded.
                if state.tokens.is_good(now, &digest) { Some(state.hub.open(&user, digest)) } else { None }
            });
            if let Some(inbox) = inbox {
                let id = inbox.id;
                Session {
                    socket,
                    inbox,
                    office: &office,
                    user: &user,
                    bucket: Bucket::new(SAY_RATE, Now::read()),
                }
                .run()
                .await;
                office.with(|state, _| state.hub.gone(&user, id));
            }
        },
    )
}

/// Why a session ended.
enum End {
    /// The member went, or its connection broke.
    Gone,
    /// We close it.
    Closed(CloseReason),
}

struct Session<'a> {
    socket: WebSocket,
    inbox: Inbox,
    office: &'a Office,
    user: &'a str,
    bucket: Bucket,
}

impl Session<'_> {
    async fn run(mut self) {
        let end = match self.talk().await {
            Err(end) => end,
            Ok(never) => match never {},
        };
        if let End::Closed(reason) = end {
            let (code, text) = reason.frame();
            let frame = CloseFrame { code, reason: text.into() };
            // A reader that does not read does not get this either.
            let _ = timeout(Duration::from_secs(1), self.socket.send(Message::Close(Some(frame)))).await;
        }
    }

    async fn talk(&mut self) -> Result<std::convert::Infallible, End> {
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.tick().await;
        let mut last_heard = Instant::now();
        loop {
            tokio::select! {
                reason = &mut self.inbox.close => return Err(closed(reason.ok())),
                Some(frame) = self.inbox.frames.recv() => {
                    let text = self.inbox.text(&frame);
                    self.put(Message::Text((&*text).into())).await?;
                }
                message = self.socket.recv() => {
                    last_heard = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.heard(&text),
                        // Pings are answered by the library.
                        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => {}
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
                    }
                }
                _ = ping.tick() => {
                    if last_heard.elapsed() > SILENCE {
                        log::info!("/im: {} has been silent for 30 s, closed", self.user);
                        return Err(End::Gone);
                    }
                    self.put(Message::Ping(Vec::new().into())).await?;
                }
            }
        }
    }

    /// Writes a frame; gives up when the socket has to close, or does not take it.
    async fn put(&mut self, message: Message) -> Result<(), End> {
        tokio::select! {
            reason = &mut self.inbox.close => Err(closed(reason.ok())),
            written = timeout(SILENCE, self.socket.send(message)) => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(End::Gone),
            },
        }
    }

    fn heard(&mut self, text: &str) {
        let Ok(request) = serde_json::from_str::<ImRequest>(text) else {
            // Also a later version's request, which is not worth the connection.
            log::debug!("/im: {} sent a frame that is none of ours", self.user);
            return;
        };
        match request {
            ImRequest::Resume { kind, room_id, after } => {
                let room = RoomName::new(kind, room_id);
                self.office.with(|state, now| {
                    // A backlog is much for a short request. Over the limit there is nothing left of it.
                    let after = if self.bucket.take(SAY_RATE, now) { after } else { u64::MAX };
                    for event in state.rooms.missed(&room, self.user, after) {
                        state.hub.send(self.user, &event);
                    }
                });
            }
            ImRequest::Text { id, kind, room_id, text } => {
                let size = text.len();
                self.say(id, kind, room_id, Saying::Text(text), size);
            }
            ImRequest::Custom { id, kind, room_id, cmd, msg } => {
                let size = if cmd.len() > CMD_LIMIT { usize::MAX } else { msg.len() };
                self.say(id, kind, room_id, Saying::Custom { cmd, msg }, size);
            }
        }
    }

    fn say(&mut self, id: u64, kind: Kind, room_id: String, saying: Saying, size: usize) {
        let room = RoomName::new(kind, room_id);
        let said = self.office.with(|state, now| {
            if !self.bucket.take(SAY_RATE, now) {
                Err((code::TOO_MANY, "too many messages, slow down".to_owned()))
            } else if size > IM_TEXT_LIMIT {
                Err((code::BAD_REQUEST, format!("longer than {IM_TEXT_LIMIT} bytes")))
            } else {
                state.rooms.say(now, &room, self.user, saying).map_err(|d: Denied| (d.code(), d.to_string()))
            }
        });
        // After the message itself, which the sender gets as every member does.
        let (code, message) = said.err().unwrap_or((code::OK, String::new()));
        self.office.with(|state, _| state.hub.send(self.user, &ImEvent::Ack { id, code, message }));
    }
}

/// A hub that is gone closes its sockets as one that stops.
fn closed(reason: Option<CloseReason>) -> End {
    End::Closed(reason.unwrap_or(CloseReason::GoingAway))
}
