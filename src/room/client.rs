//! RoomService's operations over HTTP, as a member asks for them.
//!
//! One client holds one login. Its connections stay open while idle ([`Client::warm`]), so that a press needs no new
//! TCP or TLS handshake.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use url::Url;

pub use super::connect::{Server, SetupError};
use super::connect::{TIMEOUT, connect};
use super::exchange::{cut, exchange, failure_of, host_of, read_body};
use super::failure::Failure;
use super::ticket;
use super::tickets::{MOST_TICKET, Tickets};
use super::wire::{Kind, Pusher, Room, code};

/// Of the members of a room.
const MOST_MEMBERS: usize = 64;
/// Tickets that are tried in one login.
const MOST_TICKETS: usize = 3;
/// Tickets are minutes exact; a clock this far off is wrong.
const CLOCK_TOLERANCE: u64 = 300;

/// Who we are; `[user]` of `kioskd.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The user ID.
    pub id: String,
    /// Shown to the clerk; the user ID when empty.
    #[serde(default)]
    pub name: String,
    /// The application the ticket is for.
    pub sdk_app_id: u64,
    /// As agreed with RoomService; usually empty.
    #[serde(default)]
    pub account_type: String,
    /// The file the ticket is in, read anew at each login; `ticket` beside `kioskd.toml` when nothing is said.
    pub ticket_file: Option<PathBuf>,
    /// Where a new ticket is fetched when two thirds of the old one's life are over, by `GET` and with `client_cert`.
    pub ticket_url: Option<String>,
    /// Asks the server's `get_login_info` for a ticket; only servers for development answer.
    #[serde(default)]
    pub dev_ticket: bool,
}

/// A member's side of RoomService.
#[derive(Debug)]
pub struct Client {
    pub(super) http: reqwest::Client,
    /// Up to and with the kind, without a slash at the end.
    base: String,
    /// What stands before `/weapp/`.
    root: String,
    kind: Kind,
    user: User,
    tickets: Tickets,
    room_id: String,
    room_info: String,
    pub(super) secure: bool,
    token: Mutex<Option<Arc<str>>>,
}

#[derive(Deserialize)]
struct LoginAnswer {
    token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoginInfo {
    user_sig: String,
}

#[derive(Deserialize)]
struct RenewAnswer {
    #[serde(default)]
    code: i32,
    #[serde(default)]
    message: String,
    #[serde(rename = "userSig", default)]
    user_sig: String,
}

#[derive(Deserialize)]
struct PushAddress {
    #[serde(rename = "pushURL")]
    push_url: String,
}

#[derive(Deserialize)]
struct Nothing {}

impl Client {
    /// Reads the files named in `server` and makes a client; connects to nothing yet.
    pub fn new(
        server: &Server,
        user: User,
        tickets: Tickets,
        room_id: String,
        room_info: String,
    ) -> Result<Self, SetupError> {
        let wrong = |detail: &str| SetupError::Value {
            section: "server",
            key: "url",
            value: server.url.clone(),
            detail: detail.into(),
        };
        let url = Url::parse(&server.url).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong("is no http:// or https:// address"));
        }
        let base = server.url.trim_end_matches('/').to_owned();
        let (rest, kind) = base.rsplit_once('/').unwrap_or_default();
        let kind = [Kind::DoubleRoom, Kind::MultiRoom].into_iter().find(|known| known.as_str() == kind);
        let kind = kind.ok_or_else(|| wrong("has to end in /weapp/double_room or /weapp/multi_room"))?;
        let root =
            rest.strip_suffix("/weapp").ok_or_else(|| wrong("has to end in /weapp/ and the kind of room"))?;
        let root = root.to_owned();
        let secure = url.scheme() == "https";
        if let Some(url) = &user.ticket_url {
            let parsed = Url::parse(url).ok();
            let near =
                |url: &Url| url.host_str().is_some_and(|host| host == "localhost" || host == "127.0.0.1");
            if !parsed.is_some_and(|url| url.scheme() == "https" || (url.scheme() == "http" && near(&url))) {
                return Err(SetupError::Value {
                    section: "user",
                    key: "ticket_url",
                    value: url.clone(),
                    detail: "has to be an https:// address: whoever reads a ticket can use it".into(),
                });
            }
        }
        let http = connect(server, secure)?;
        Ok(Self {
            http,
            base,
            root,
            kind,
            user,
            tickets,
            room_id,
            room_info,
            secure,
            token: Mutex::new(None),
        })
    }

    /// The kind of room.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The room.
    #[must_use]
    pub fn room_id(&self) -> &str {
        &self.room_id
    }

    /// The current token, to be used as bearer.
    pub(super) fn token(&self) -> Option<Arc<str>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The address of `/im` for this user.
    pub(super) fn im_address(&self) -> String {
        format!("{}/im?{}", self.root, query(&[("userID", &self.user.id)]))
    }

    /// The tickets, as they lie on this board.
    #[must_use]
    pub fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// Whether tickets are asked of a server for development and never lie anywhere.
    #[must_use]
    pub fn has_dev_ticket(&self) -> bool {
        self.user.dev_ticket
    }

    /// Where a new ticket is fetched.
    #[must_use]
    pub fn ticket_url(&self) -> Option<&str> {
        self.user.ticket_url.as_deref()
    }

    /// Logs in with the ticket as it is now; gives when it expires, if it tells.
    pub async fn login(&self) -> Result<Option<u64>, Failure> {
        if self.user.dev_ticket {
            let address =
                format!("{}/weapp/utils/get_login_info?{}", self.root, query(&[("userID", &self.user.id)]));
            let (info, _) = exchange::<LoginInfo>("get_login_info", self.http.get(&address)).await;
            return self.login_with(&info?.user_sig, String::from("get_login_info")).await;
        }
        let tickets = self.tickets.clone();
        let found = tokio::task::spawn_blocking(move || tickets.find()).await;
        let found =
            found.map_err(|error| ("the ticket".to_owned(), error.to_string())).and_then(|found| found);
        let found = found.map_err(|(file, detail)| Failure::NoTicket { file, detail })?;
        let mut first = None;
        for found in found.into_iter().take(MOST_TICKETS) {
            match self.login_with(&found.user_sig, found.path.display().to_string()).await {
                // Another ticket may be better; what is wrong is said of the one that should have been good.
                Err(
                    failure @ (Failure::TicketExpired { .. }
                    | Failure::NoTicket { .. }
                    | Failure::Code { code: code::REFUSED, .. }),
                ) => {
                    first.get_or_insert(failure);
                }
                other => return other,
            }
        }
        Err(first.unwrap_or_else(|| Failure::NoTicket { file: String::new(), detail: String::new() }))
    }

    async fn login_with(&self, user_sig: &str, file: String) -> Result<Option<u64>, Failure> {
        let expires = ticket::claims(user_sig).map(|claims| claims.expires);
        let address = format!(
            "{}/login?{}",
            self.base,
            query(&[
                ("sdkAppID", &self.user.sdk_app_id.to_string()),
                ("accountType", &self.user.account_type),
                ("userID", &self.user.id),
                ("userSig", user_sig),
            ])
        );
        let request = self.http.post(&address).header("content-type", "application/json").body("{}");
        let (answer, date) = exchange::<LoginAnswer>("login", request).await;
        let answer = answer.map_err(|failure| match failure.code() {
            Some(code::REFUSED) => why_refused(failure, expires, date, file),
            _ => failure,
        })?;
        // The token goes into a header: what is no visible ASCII would be refused there with less clear words.
        if answer.token.is_empty() || !answer.token.bytes().all(|b| b.is_ascii_graphic()) {
            let host = host_of(&self.base);
            return Err(Failure::Nonsense {
                operation: "login",
                host,
                detail: "the token is unusable".into(),
            });
        }
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer.token.into());
        Ok(expires)
    }

    /// Fetches a new ticket: the body is the userSig, or JSON with it as `userSig`.
    pub async fn fetch_ticket(&self, url: &str) -> Result<String, Failure> {
        const OPERATION: &str = "renewing the ticket";
        let request = self.http.get(url).timeout(TIMEOUT);
        let mut response = request.send().await.map_err(|error| failure_of(&error))?;
        let (host, status) = (host_of(url), response.status());
        let body = read_body(&mut response, MOST_TICKET).await?;
        let text = String::from_utf8_lossy(&body);
        if !status.is_success() {
            let (operation, status, message) = (OPERATION, status.as_u16(), cut(&text));
            return Err(Failure::Status { operation, host, status, message, retry_after: None });
        }
        let user_sig = match serde_json::from_str::<RenewAnswer>(&text) {
            Ok(RenewAnswer { code, message, .. }) if code != code::OK => {
                return Err(Failure::Code { operation: OPERATION, code, message: cut(&message) });
            }
            Ok(answer) => answer.user_sig,
            Err(_) => text.trim().to_owned(),
        };
        // What it says is not shown: it may be a ticket after all.
        let nonsense = |detail: &str| Failure::Nonsense {
            operation: OPERATION,
            host: host.clone(),
            detail: detail.into(),
        };
        match ticket::claims(&user_sig) {
            None => Err(nonsense("it is no userSig")),
            Some(claims) if claims.user.as_ref().is_some_and(|user| *user != self.user.id) => {
                let other = claims.user.unwrap_or_default();
                Err(nonsense(&format!("the ticket is for {}, not for {}", cut(&other), self.user.id)))
            }
            Some(_) => Ok(user_sig),
        }
    }

    /// Where to publish, by WHIP.
    pub async fn push_address(&self) -> Result<String, Failure> {
        let body = json!({ "userID": self.user.id, "roomID": self.room_id });
        let answer: PushAddress = self.ask("get_push_url", &body).await?;
        Ok(answer.push_url)
    }

    /// Takes a seat in the room, making it if there is none, or renews the address others play us by.
    pub async fn add_pusher(&self, push_url: &str) -> Result<(), Failure> {
        let name = if self.user.name.is_empty() { &self.user.id } else { &self.user.name };
        let body = json!({
            "userID": self.user.id, "roomID": self.room_id, "userName": name, "userAvatar": "",
            "pushURL": push_url, "roomInfo": self.room_info,
        });
        self.ask::<Nothing>("add_pusher", &body).await.map(drop)
    }

    /// Gives the seat back.
    pub async fn delete_pusher(&self) -> Result<(), Failure> {
        self.ask::<Nothing>("delete_pusher", &self.room_body()).await.map(drop)
    }

    /// The members of the room, ourselves included.
    pub async fn get_pushers(&self) -> Result<Vec<Pusher>, Failure> {
        let mut room: Room = self.ask("get_pushers", &self.room_body()).await?;
        room.pushers.truncate(MOST_MEMBERS);
        Ok(room.pushers)
    }

    /// Tells that we are still there.
    pub async fn heartbeat(&self) -> Result<(), Failure> {
        self.ask::<Nothing>("pusher_heartbeat", &self.room_body()).await.map(drop)
    }

    /// Keeps three connections open, as many as a press uses at once, and learns whether we are still welcome.
    pub async fn warm(&self, push_url: Option<&str>) -> Result<(), Failure> {
        let media = async {
            if let Some(url) = push_url {
                let ask = || self.http.request(reqwest::Method::OPTIONS, url).timeout(TIMEOUT).send();
                // Whether the media server likes the question is of no interest, only that the way is open.
                let _ = tokio::join!(ask(), ask());
            }
        };
        match tokio::join!(self.get_pushers(), media).0 {
            Err(failure) if failure.code() == Some(code::NO_ROOM) => Ok(()),
            other => other.map(drop),
        }
    }

    fn room_body(&self) -> serde_json::Value {
        json!({ "userID": self.user.id, "roomID": self.room_id })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        body: &serde_json::Value,
    ) -> Result<T, Failure> {
        let address = format!("{}/{operation}?{}", self.base, query(&[("userID", &self.user.id)]));
        let mut request = self.http.post(&address).json(body);
        if let Some(token) = self.token() {
            request = request.bearer_auth(token);
        }
        exchange(operation, request).await.0
    }
}

/// Says why a login was refused, as far as we know better than the server.
fn why_refused(failure: Failure, expires: Option<u64>, server_time: Option<u64>, file: String) -> Failure {
    let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let there = server_time.unwrap_or(here);
    match expires {
        Some(expires) if expires < there => {
            Failure::TicketExpired { file, detail: format!("{} s ago", there - expires) }
        }
        _ if here.abs_diff(there) > CLOCK_TOLERANCE => {
            Failure::Clock { detail: format!("{} s away from the server's", here.abs_diff(there)) }
        }
        None if file != "get_login_info" => Failure::NoTicket { file, detail: "it holds no userSig".into() },
        _ => failure,
    }
}

fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
