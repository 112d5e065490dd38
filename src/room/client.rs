//! RoomService's operations over HTTP, as a member asks for them.
//!
//! One client holds one login. Its connections stay open while idle ([`Client::warm`]), so that a press needs no new
//! TCP or TLS handshake.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use url::Url;

use super::failure::Failure;
use super::ticket;
use super::tickets::{MOST_TICKET, Tickets};
use super::wire::{Kind, Pusher, Room, Status, code};

/// Every request is answered within this or has failed.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// More than `get_pushers` of a full room.
const MOST_BODY: usize = 256 * 1024;
/// Of a server's words.
const MOST_MESSAGE: usize = 200;
/// Of the members of a room.
const MOST_MEMBERS: usize = 64;
/// Tickets that are tried in one login.
const MOST_TICKETS: usize = 3;
/// Tickets are minutes exact; a clock this far off is wrong.
const CLOCK_TOLERANCE: u64 = 300;

/// Where RoomService is and how to get there; `[server]` of `kioskd.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Up to and with the kind: `https://host:8443/weapp/double_room`.
    pub url: String,
    /// PEM file of the authority that signed the server's certificate; the system's authorities are then not asked.
    pub ca: Option<PathBuf>,
    /// PEM file of our own certificate, and its chain.
    pub client_cert: Option<PathBuf>,
    /// PEM file of its key.
    pub client_key: Option<PathBuf>,
    /// `http://host:port` of a proxy; the environment is not asked.
    pub proxy: Option<String>,
}

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

/// Why no client could be made: the configuration is wrong.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file named in the configuration cannot be used.
    #[error("[server] {key} = \"{}\": {detail}", path.display())]
    File {
        /// The key.
        key: &'static str,
        /// Its value.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// A value in the configuration cannot be used.
    #[error("[{section}] {key} = \"{value}\": {detail}")]
    Value {
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// Why.
        detail: String,
    },
    /// The HTTP library refuses.
    #[error("[server]: {0}")]
    Library(String),
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

fn connect(server: &Server, secure: bool) -> Result<reqwest::Client, SetupError> {
    builder(server, secure)?.build().map_err(|error| SetupError::Library(innermost(&error)))
}

/// The HTTP client: certificates, proxy, one kind of connection.
pub(super) fn builder(server: &Server, secure: bool) -> Result<reqwest::ClientBuilder, SetupError> {
    // Fails only when a provider is installed already, which then is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let read = |key, path: &PathBuf| {
        std::fs::read(path).map_err(|error| SetupError::File {
            key,
            path: path.clone(),
            detail: error.to_string(),
        })
    };
    let mut builder = reqwest::Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(6)
        .tcp_keepalive(Duration::from_secs(15))
        .user_agent(concat!("rtcroom-kiosk/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &server.ca {
        let file = |detail: String| SetupError::File { key: "ca", path: path.clone(), detail };
        let certificates = reqwest::Certificate::from_pem_bundle(&read("ca", path)?)
            .map_err(|error| file(error.to_string()))?;
        if certificates.is_empty() {
            return Err(file("holds no PEM certificate".into()));
        }
        builder = builder.tls_certs_only(certificates);
    } else if !secure {
        // The system's authorities cost a megabyte, and plain HTTP asks none.
        builder = builder.tls_certs_only([]);
    }
    match (&server.client_cert, &server.client_key) {
        (Some(cert), Some(key)) => {
            let mut pem = read("client_cert", cert)?;
            pem.push(b'\n');
            pem.extend(read("client_key", key)?);
            let identity = reqwest::Identity::from_pem(&pem).map_err(|error| SetupError::File {
                key: "client_cert",
                path: cert.clone(),
                detail: innermost(&error),
            })?;
            builder = builder.identity(identity);
        }
        (None, None) => {}
        (Some(path), None) | (None, Some(path)) => {
            let detail = "client_cert and client_key go together".into();
            return Err(SetupError::File { key: "client_cert", path: path.clone(), detail });
        }
    }
    if let Some(proxy) = &server.proxy {
        let wrong = |error: reqwest::Error| SetupError::Value {
            section: "server",
            key: "proxy",
            value: proxy.clone(),
            detail: innermost(&error),
        };
        builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(wrong)?);
    }
    Ok(builder)
}

/// Sends `request` and reads its answer; also gives the server's time.
async fn exchange<T: DeserializeOwned>(
    operation: &'static str,
    request: reqwest::RequestBuilder,
) -> (Result<T, Failure>, Option<u64>) {
    let mut response = match request.timeout(TIMEOUT).send().await {
        Ok(response) => response,
        Err(error) => return (Err(failure_of(&error)), None),
    };
    let host = host_of(response.url().as_str());
    let date = response.headers().get("date").and_then(|date| ticket::http_date(date.to_str().ok()?));
    let status = response.status();
    let body = match read_body(&mut response, MOST_BODY).await {
        Ok(body) => body,
        Err(failure) => return (Err(failure), date),
    };
    let nonsense = |detail: String| Failure::Nonsense { operation, host: host.clone(), detail };
    let outcome = match serde_json::from_slice::<Status>(&body) {
        Ok(Status { code: code::OK, .. }) if status.is_success() => {
            serde_json::from_slice(&body).map_err(|error| nonsense(error.to_string()))
        }
        Ok(Status { code, message }) if status.is_success() || status == 401 || status == 403 => {
            Err(Failure::Code { operation, code, message: cut(&message) })
        }
        _ if !status.is_success() => Err(Failure::Status {
            operation,
            host: host.clone(),
            status: status.as_u16(),
            message: cut(&String::from_utf8_lossy(&body)),
            retry_after: None,
        }),
        Ok(status) => Err(nonsense(format!("code {}", status.code))),
        Err(error) => Err(nonsense(error.to_string())),
    };
    (outcome, date)
}

/// Reads a body of at most `most` bytes.
pub(super) async fn read_body(response: &mut reqwest::Response, most: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure_of(&error))? {
        if body.len() + chunk.len() > most {
            let host = host_of(response.url().as_str());
            return Err(Failure::Nonsense {
                operation: "reading",
                host,
                detail: format!("more than {most} bytes"),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Sorts what the HTTP library says by what cures it.
pub(super) fn failure_of(error: &reqwest::Error) -> Failure {
    let host = error.url().map(|url| host_of(url.as_str())).unwrap_or_default();
    if let Some(tls) = find_tls(error) {
        return tls_failure(host, tls);
    }
    if error.is_timeout() {
        return Failure::TimedOut { host, secs: TIMEOUT.as_secs() };
    }
    let detail = innermost(error);
    if error.is_dns() { Failure::UnknownHost { host, detail } } else { Failure::Unreachable { host, detail } }
}

/// The TLS library's own error among the causes. An `io::Error` gives what its content was caused by, not the content
/// itself, and wraps one another, so both ways are gone.
fn find_tls<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref() {
        return Some(tls);
    }
    let content = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let content = content.and_then(|content| find_tls(content));
    content.or_else(|| find_tls(error.source()?))
}

fn tls_failure(host: String, error: &rustls::Error) -> Failure {
    use rustls::{CertificateError, Error};
    let detail = error.to_string();
    match error {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature | CertificateError::Revoked,
        ) => Failure::UnknownAuthority { host, detail },
        // A server starts with a certificate that is valid; a board without a battery starts in 1970.
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => Failure::Clock { detail: format!("the certificate of {host} is not valid yet") },
        _ => Failure::Tls { host, detail },
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

/// The last cause of an error, which is the one that says something.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

pub(super) fn host_of(address: &str) -> String {
    let url = Url::parse(address).ok();
    url.map_or_else(
        || cut(address),
        |url| {
            let host = url.host_str().unwrap_or_default();
            url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
        },
    )
}

/// Cuts a server's words to a sane length, on one line.
pub(super) fn cut(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_MESSAGE).collect()
}

fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_tls_error_is_found_however_often_it_is_wrapped() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::other(tls));
        let failure = tls_failure("host:1".into(), find_tls(&wrapped).expect("it is inside"));
        assert!(matches!(failure, Failure::UnknownAuthority { .. }), "{failure}");
        assert!(find_tls(&io::Error::other("refused")).is_none());
    }
}
