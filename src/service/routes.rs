//! What is at which address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::middleware::from_fn;
use axum::response::Response;
use axum::routing::get;
use tokio::time::timeout;

use super::answer::{self, Outcome, Refused, respond};
use super::fields::{Fields, QueryFields};
use super::gate::OfficeGate;
use super::office::Office;
use super::operations::{self, Call};
use super::relay::{self, Relay};
use super::{cors, im, metrics, page};
use crate::room::wire::Kind;

/// The longest request body.
const BODY_LIMIT: usize = 64 * 1024;
/// How long it may take.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Where a request comes from, put into its extensions by the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source(pub(super) SocketAddr);

/// Who a connection is from, by its client certificate, put into the extensions by the server.
#[derive(Clone, Debug)]
pub(super) struct Peer(pub(super) Arc<str>);

/// Everything RoomService answers to.
pub(super) fn router(office: Arc<Office>, relay: Relay) -> Router {
    let gate = Arc::new(OfficeGate(Arc::clone(&office)));
    Router::new()
        .route("/im", get(im::open))
        .route("/healthz", get(async || "ok"))
        .route("/metrics", get(metrics::show))
        .fallback(fallback)
        .with_state(office)
        .merge(relay::routes(relay, gate))
        .layer(from_fn(cors::apply))
}

/// The API and the page. Routed by hand: clients put `//` before the operation (section 1).
async fn fallback(State(office): State<Arc<Office>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        ["weapp", "utils", "get_login_info"] => operations::dev_ticket(&office, &QueryFields::of(&parts.uri))
            .map_or_else(answer::not_found, respond),
        // A browser shows its certificate for any page that asks; a kiosk sends no Origin.
        ["weapp", "utils", "renew_ticket"]
            if parts.method == Method::GET && !parts.headers.contains_key(header::ORIGIN) =>
        {
            let peer = parts.extensions.get::<Peer>().map(|peer| &*peer.0);
            operations::renew_ticket(&office, peer, source(&parts)).map_or_else(answer::not_found, respond)
        }
        ["weapp", kind, operation] => match kind_named(kind) {
            Some(kind) if parts.method == Method::POST => {
                operate(&office, kind, operation, &parts, body).await.map_or_else(answer::not_found, respond)
            }
            _ => answer::not_found(),
        },
        _ if parts.method == Method::GET || parts.method == Method::HEAD => {
            page::file(&path, office.addresses.public_url()).unwrap_or_else(answer::not_found)
        }
        _ => answer::not_found(),
    }
}

fn kind_named(name: &str) -> Option<Kind> {
    [Kind::DoubleRoom, Kind::MultiRoom, Kind::LiveRoom].into_iter().find(|kind| kind.as_str() == name)
}

/// Carries out an operation; `None` when there is none of this name.
async fn operate(office: &Office, kind: Kind, name: &str, parts: &Parts, body: Body) -> Option<Outcome> {
    let query = QueryFields::of(&parts.uri);
    match name {
        "login" => {
            return Some(operations::login(office, &query, source(parts)));
        }
        "logout" => return Some(operations::logout(office, &query, &parts.headers)),
        _ => {}
    }
    let operation = operations::find(kind, name)?;
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let outcome = async {
        let (user, _) = operations::authenticate(office, &query, &parts.headers)?;
        let body = read(body).await?;
        let fields = Fields::parse(header(header::CONTENT_TYPE).unwrap_or_default(), &body)?;
        let base = office.addresses.base(header(header::HOST));
        operation(&Call { office, kind, user: &user, fields: &fields, base: &base })
    };
    Some(outcome.await)
}

fn source(parts: &Parts) -> IpAddr {
    let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    parts.extensions.get::<Source>().map_or(nobody, |source| source.0.ip())
}

async fn read(body: Body) -> Result<Bytes, Refused> {
    let bytes = timeout(BODY_TIME, axum::body::to_bytes(body, BODY_LIMIT)).await;
    bytes.ok().and_then(Result::ok).ok_or_else(|| {
        Refused::request(format!("the body is longer than {BODY_LIMIT} bytes, or did not come in time"))
    })
}
