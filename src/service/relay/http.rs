//! WHIP (RFC 9725) and WHEP over HTTP.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use tokio::sync::oneshot;

use super::answer::Answered;
use super::directory::Denied;
use super::engine::{Command, IceState};
use super::fragment::{self, Fragment, MAX_FRAGMENT};
use super::offer::{MAX_SDP, Plan, Role};
use super::session::Session;
use super::{Gate, Refusal, Relay};

/// A client that is slower has gone.
const BODY_WITHIN: Duration = Duration::from_secs(10);

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");
const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

#[derive(Clone)]
struct Shared {
    relay: Relay,
    gate: Arc<dyn Gate>,
}

/// The routes `/whip/{stream}[/{resource}]` and `/whep/{stream}[/{resource}]`.
pub fn routes(relay: Relay, gate: Arc<dyn Gate>) -> Router {
    Router::new()
        .route("/whip/{stream}", endpoint(Role::Publisher))
        .route("/whip/{stream}/{resource}", resource(Role::Publisher))
        .route("/whep/{stream}", endpoint(Role::Player))
        .route("/whep/{stream}/{resource}", resource(Role::Player))
        .layer(DefaultBodyLimit::max(MAX_SDP))
        .with_state(Shared { relay, gate })
}

fn endpoint(role: Role) -> MethodRouter<Shared> {
    let open = move |State(shared): State<Shared>,
                     Path(stream): Path<String>,
                     RawQuery(query),
                     headers: HeaderMap,
                     body: Body| async move {
        open(&shared, role, &stream, query.as_deref().unwrap_or_default(), &headers, body)
            .await
            .unwrap_or_else(Problem::into_response)
    };
    post(open)
        .options(async || (StatusCode::NO_CONTENT, [(ACCEPT_POST, SDP), (header::ALLOW, "POST, OPTIONS")]))
}

fn resource(role: Role) -> MethodRouter<Shared> {
    let close = move |State(shared): State<Shared>,
                      Path((stream, resource)): Path<(String, String)>,
                      headers: HeaderMap| async move {
        close(&shared, role, &stream, &resource, &headers).unwrap_or_else(Problem::into_response)
    };
    let patch = move |State(shared): State<Shared>,
                      Path((stream, resource)): Path<(String, String)>,
                      headers: HeaderMap,
                      body: Body| async move {
        patch(&shared, role, &stream, &resource, &headers, body).await.unwrap_or_else(Problem::into_response)
    };
    MethodRouter::new().delete(close).patch(patch).options(async || {
        (StatusCode::NO_CONTENT, [(ACCEPT_PATCH, FRAGMENT), (header::ALLOW, "DELETE, PATCH, OPTIONS")])
    })
}

/// Why a request is refused.
struct Problem {
    status: StatusCode,
    message: String,
    retry_after: bool,
}

#[derive(Serialize)]
struct Explanation<'a> {
    code: u16,
    message: &'a str,
}

impl Problem {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: false }
    }

    fn later(status: StatusCode, message: impl Into<String>) -> Self {
        Self { retry_after: true, ..Self::new(status, message) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        log::debug!("relay: {} {}", self.status, self.message);
        let body = Explanation { code: self.status.as_u16(), message: &self.message };
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        if self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn refused(refusal: &Refusal, stream: &str) -> Problem {
    match refusal {
        Refusal::Unauthorized => {
            Problem::new(StatusCode::UNAUTHORIZED, "the bearer token is missing or not known; log in again")
        }
        Refusal::Forbidden(why) => Problem::new(StatusCode::FORBIDDEN, *why),
        Refusal::NoStream => Problem::later(StatusCode::NOT_FOUND, format!("there is no stream {stream}")),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_type(headers: &HeaderMap, wanted: &str) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    given.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case(wanted))
}

/// Whether the client can take SDP for an answer; one that says nothing can.
fn accepts_sdp(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).peekable();
    given.peek().is_none()
        || given.flat_map(|v| v.split(',')).any(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            range == "*/*" || range == "application/*" || range.eq_ignore_ascii_case(SDP)
        })
}

async fn text(body: Body, most: usize) -> Result<String, Problem> {
    let bytes: Bytes = tokio::time::timeout(BODY_WITHIN, axum::body::to_bytes(body, most))
        .await
        .map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come within 10 s"))?
        .map_err(|_| {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is longer than {most} bytes, or was cut off"),
            )
        })?;
    String::from_utf8(bytes.into())
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is not UTF-8"))
}

fn fresh_name() -> Result<String, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| {
        Problem::later(StatusCode::SERVICE_UNAVAILABLE, format!("no random numbers to be had: {e}"))
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn entity_tag(etag: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{etag}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// POST: a new session.
async fn open(
    shared: &Shared,
    role: Role,
    stream: &str,
    query: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let token = bearer(headers);
    let ask = || {
        match role {
            Role::Publisher => shared.gate.may_publish(token, stream, query),
            Role::Player => shared.gate.may_play(token, stream, query),
        }
        .map_err(|r| refused(&r, stream))
    };
    let user = ask()?;
    if !is_type(headers, SDP) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the content type must be application/sdp",
        ));
    }
    if !accepts_sdp(headers) {
        return Err(Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            "the answer is application/sdp, which Accept excludes",
        ));
    }
    let relay = &shared.relay;
    let nobody =
        || Problem::later(StatusCode::NOT_FOUND, format!("nobody publishes {stream} yet; try again"));
    if role == Role::Player && !relay.directory().is_published(stream) {
        return Err(nobody());
    }
    let offer = text(body, MAX_SDP).await?;
    // The body may have taken its time, and the right may have ended meanwhile.
    ask()?;
    let now = Instant::now();
    let answered = catch_unwind(AssertUnwindSafe(|| {
        let plan = Plan::make(&offer, role)?;
        Answered::new(role, plan, relay.certificate(), relay.candidates(), now)
    }))
    .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the media library gave up on this offer"))?
    .map_err(|bad| Problem::new(StatusCode::BAD_REQUEST, bad.to_string()))?;

    let admitted =
        relay.directory().admit(role, stream, &user, fresh_name()?, fresh_name()?).map_err(|denied| {
            match denied {
                Denied::Full => Problem::later(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the relay has no room for another session",
                ),
                Denied::Taken => {
                    Problem::new(StatusCode::FORBIDDEN, format!("somebody else publishes {stream}"))
                }
                Denied::NobodyPublishes => nobody(),
            }
        })?;
    if !admitted.replaced.is_empty() {
        relay.send(Command::Close(admitted.replaced.clone()));
    }
    let (id, answer) = (admitted.id, answered.answer.clone());
    let path = match role {
        Role::Publisher => "whip",
        Role::Player => "whep",
    };
    let location = format!("/{path}/{stream}/{}", admitted.resource);
    let etag = entity_tag(&admitted.etag);
    let (reply, added) = oneshot::channel();
    relay.send(Command::Add(Box::new(Session::new(role, stream, admitted, answered, now)), reply));
    // The client's first check may follow the answer at once: the loop must know the session before.
    if added.await.is_err() {
        relay.directory().remove(id);
        return Err(Problem::later(StatusCode::SERVICE_UNAVAILABLE, "the relay is stopping"));
    }
    let location = HeaderValue::try_from(location)
        .map_err(|_| Problem::new(StatusCode::NOT_FOUND, "the stream's name cannot be in an address"))?;
    let mut response = (StatusCode::CREATED, answer).into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(SDP));
    out.insert(header::LOCATION, location);
    out.insert(header::ETAG, etag);
    out.insert(ACCEPT_PATCH, HeaderValue::from_static(FRAGMENT));
    Ok(response)
}

/// The session of a resource, if the caller owns it.
fn owned(
    shared: &Shared,
    role: Role,
    stream: &str,
    resource: &str,
    headers: &HeaderMap,
) -> Result<(u64, String), Problem> {
    let caller = shared.gate.caller(bearer(headers)).map_err(|r| refused(&r, stream))?;
    let (id, owner, etag) = shared.relay.directory().find(role, stream, resource).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "there is no such session; it has ended or was replaced")
    })?;
    if owner == caller {
        Ok((id, etag))
    } else {
        Err(Problem::new(StatusCode::FORBIDDEN, "the session is somebody else's"))
    }
}

/// DELETE: the end of a session.
fn close(
    shared: &Shared,
    role: Role,
    stream: &str,
    resource: &str,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let (id, _) = owned(shared, role, stream, resource, headers)?;
    shared.relay.directory().remove(id);
    shared.relay.send(Command::Close(vec![id]));
    Ok(StatusCode::OK.into_response())
}

/// PATCH: trickled candidates or an ICE restart (RFC 9725 section 4.3).
async fn patch(
    shared: &Shared,
    role: Role,
    stream: &str,
    resource: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (id, etag) = owned(shared, role, stream, resource, headers)?;
    if !is_type(headers, FRAGMENT) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("the content type must be {FRAGMENT}"),
        ));
    }
    let Some(condition) = headers.get(header::IF_MATCH).and_then(|v| v.to_str().ok()) else {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "If-Match is missing: the session's ETag, or * to restart ICE",
        ));
    };
    let any = condition.trim() == "*";
    let current = format!("\"{etag}\"");
    if !any && !condition.split(',').any(|tag| tag.trim() == current) {
        return Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "If-Match is not the session's ETag; ICE was restarted since",
        ));
    }
    let body = text(body, MAX_FRAGMENT).await?;
    let Fragment { ufrag, pwd } =
        Fragment::parse(&body).map_err(|why| Problem::new(StatusCode::BAD_REQUEST, why))?;
    let (reply, done) = oneshot::channel();
    shared.relay.send(Command::Ice { id, ufrag: ufrag.into(), pwd: pwd.into(), reply });
    match done.await {
        Err(_) => Err(Problem::later(StatusCode::SERVICE_UNAVAILABLE, "the relay is stopping")),
        Ok(Err(bad)) => Err(Problem::new(StatusCode::BAD_REQUEST, bad.to_string())),
        Ok(Ok(IceState::Unchanged)) => Ok(StatusCode::NO_CONTENT.into_response()),
        Ok(Ok(IceState::Restarted { ufrag, pwd })) => {
            let etag = fresh_name()?;
            shared.relay.directory().retag(id, etag.clone());
            let mut response = (StatusCode::OK, fragment::restarted(&ufrag, &pwd)).into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FRAGMENT));
            response.headers_mut().insert(header::ETAG, entity_tag(&etag));
            Ok(response)
        }
    }
}
