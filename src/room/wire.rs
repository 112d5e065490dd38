//! Types on the wire between a member and RoomService, used by both ends.
//!
//! Section numbers are those of the RoomService protocol description (`rtcroom-protocol.md`).

use serde::{Deserialize, Serialize};

/// Application results, `code` in every answer (section 2).
pub mod code {
    /// The request was carried out.
    pub const OK: i32 = 0;
    /// A needed body field is absent, or the body is not a JSON object.
    pub const BAD_REQUEST: i32 = 1;
    /// The room does not exist, or the caller did not create it.
    pub const NO_ROOM: i32 = 3;
    /// The caller is not a member of the room.
    pub const NOT_A_MEMBER: i32 = 5;
    /// The ticket or the token is refused.
    pub const REFUSED: i32 = 7;
    /// `roomInfo` is longer than 1024 bytes of UTF-8.
    pub const ROOM_INFO_TOO_LONG: i32 = 10;
    /// The room already exists.
    pub const ROOM_EXISTS: i32 = 11;
    /// The room is full.
    pub const ROOM_FULL: i32 = 5001;
    /// An extension: the caller's role does not allow this room.
    pub const FORBIDDEN: i32 = 5003;
    /// An extension: too many requests, try later.
    pub const TOO_MANY: i32 = 5029;
}

/// The three independent room namespaces, the path part after `/weapp/` (section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Two seats.
    DoubleRoom,
    /// Several seats, four unless configured.
    MultiRoom,
    /// One host and an audience.
    LiveRoom,
}

impl Kind {
    /// The kind's name in an address.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DoubleRoom => "double_room",
            Self::MultiRoom => "multi_room",
            Self::LiveRoom => "live_room",
        }
    }
}

/// What every answer carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// One of [`code`].
    pub code: i32,
    /// For people; its wording is free.
    #[serde(default)]
    pub message: String,
}

/// A member of a room who publishes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pusher {
    /// Unique in the room.
    #[serde(rename = "userID")]
    pub user_id: String,
    /// Shown to the other members.
    #[serde(default)]
    pub user_name: String,
    /// Address or text of a picture, opaque to the server.
    #[serde(default)]
    pub user_avatar: String,
    /// Where this member is played (WHEP). Playing needs the caller's own token as bearer.
    #[serde(rename = "accelerateURL", default)]
    pub accelerate_url: String,
}

/// A room as `get_room_list` and `get_pushers` give it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Room {
    /// Unique in its kind.
    #[serde(rename = "roomID")]
    pub room_id: String,
    /// Free text of the room's maker, at most 1024 bytes.
    #[serde(default)]
    pub room_info: String,
    /// The first user who entered.
    #[serde(default)]
    pub room_creator: String,
    /// Kept for old clients; empty, since nothing is mixed.
    #[serde(rename = "mixedPlayURL", default)]
    pub mixed_play_url: String,
    /// Counters as JSON text; `"{}"` when there are none.
    #[serde(default)]
    pub custom: String,
    /// The members, in order of entering.
    #[serde(default)]
    pub pushers: Vec<Pusher>,
    /// An extension: how long the one member present has been alone, in milliseconds; absent when two or more are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_ms: Option<u64>,
}

/// Who sent a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sender {
    /// The sender's user ID, as the server knows it.
    #[serde(rename = "userID")]
    pub user_id: String,
    /// As given to `add_pusher`.
    #[serde(default)]
    pub user_name: String,
    /// As given to `add_pusher`.
    #[serde(default)]
    pub user_avatar: String,
}

/// A frame from a member to RoomService on `/im` (JSON text, at most [`IM_FRAME_LIMIT`] bytes).
///
/// The socket is opened with `GET /im?userID=…&token=…` or a bearer token. A member hears of every room it is
/// a pusher of; there is nothing to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ImRequest {
    /// Sends a text to all members of a room, the sender included.
    Text {
        /// Chosen by the sender, repeated in the [`ImEvent::Ack`].
        id: u64,
        /// The room's kind.
        kind: Kind,
        /// The room.
        #[serde(rename = "roomID")]
        room_id: String,
        /// At most [`IM_TEXT_LIMIT`] bytes.
        text: String,
    },
    /// Sends a custom command to all members of a room, the sender included.
    Custom {
        /// Chosen by the sender, repeated in the [`ImEvent::Ack`].
        id: u64,
        /// The room's kind.
        kind: Kind,
        /// The room.
        #[serde(rename = "roomID")]
        room_id: String,
        /// The command's name.
        cmd: String,
        /// The command's data, at most [`IM_TEXT_LIMIT`] bytes.
        msg: String,
    },
    /// After a reconnect: asks for what came after `after` in a room.
    Resume {
        /// The room's kind.
        kind: Kind,
        /// The room.
        #[serde(rename = "roomID")]
        room_id: String,
        /// The last `seq` seen of this room.
        after: u64,
    },
}

/// A frame from RoomService to a member on `/im` (JSON text).
///
/// `seq` counts up by one for each room event; a member that sees a gap fetches `get_pushers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ImEvent {
    /// The socket is open for this user.
    Hello {
        /// The token's user.
        #[serde(rename = "userID")]
        user_id: String,
    },
    /// Members were added, changed or removed: fetch `get_pushers` (system message 255 of the original, section 4.6).
    Notice {
        /// The room's kind.
        kind: Kind,
        /// The room.
        #[serde(rename = "roomID")]
        room_id: String,
        /// Position in the room's events.
        seq: u64,
        /// `{"cmd":"notifyPusherChange","data":""}`.
        content: String,
        /// The member that this is about, when it left because it wanted to: it is not on its way back.
        #[serde(rename = "leftID", default, skip_serializing_if = "Option::is_none")]
        left: Option<String>,
    },
    /// A member's text.
    Text {
        /// The room's kind.
        kind: Kind,
        /// The room.
        #[serde(rename = "roomID")]
        room_id: String,
        /// Position in the room's events.
        seq: u64,
        /// Who sent it.
        from: Sender,
        /// Unix milliseconds at the server.
        time: u64,
        /// The text.
        text: String,
    },
    /// A member's custom command.
    Custom {
        /// The room's kind.
        kind: Kind,
        /// The room.
        #[serde(rename = "roomID")]
        room_id: String,
        /// Position in the room's events.
        seq: u64,
        /// Who sent it.
        from: Sender,
        /// Unix milliseconds at the server.
        time: u64,
        /// The command's name.
        cmd: String,
        /// The command's data.
        msg: String,
    },
    /// The room was destroyed (system message 5 of the original).
    Closed {
        /// The room's kind.
        kind: Kind,
        /// The room.
        #[serde(rename = "roomID")]
        room_id: String,
        /// Position in the room's events.
        seq: u64,
    },
    /// What was asked for by [`ImRequest::Resume`] is no longer all there: fetch `get_pushers`.
    Gap {
        /// The room's kind.
        kind: Kind,
        /// The room.
        #[serde(rename = "roomID")]
        room_id: String,
        /// The newest position.
        seq: u64,
    },
    /// The list of rooms this user may see has changed: fetch `get_room_list`.
    Rooms,
    /// The outcome of the sender's own [`ImRequest::Text`] or [`ImRequest::Custom`].
    Ack {
        /// The request's id.
        id: u64,
        /// One of [`code`].
        code: i32,
        /// For people.
        message: String,
    },
}

/// The longest frame on `/im` in either direction, in bytes (the original's web SDK: 8898 for a group message, section 7).
pub const IM_FRAME_LIMIT: usize = 16 * 1024;
/// The longest text or custom `msg`, in bytes (section 7).
pub const IM_TEXT_LIMIT: usize = 8898;
