//! `GET /metrics`: what is in use now, as Prometheus text, for whoever is on this machine.

use std::fmt::{Display, Write as _};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::answer;
use super::office::Office;
use super::relay::Role;
use super::routes::Source;
use crate::room::wire::Kind;

/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Headers of who asks for somebody else: a proxy on this machine, or a browser for a page.
const FOR_OTHERS: [header::HeaderName; 4] =
    [header::FORWARDED, header::HeaderName::from_static("x-forwarded-for"), header::VIA, header::ORIGIN];

/// The numbers, for requests from this machine; nobody else learns that there are any.
pub(super) async fn show(State(office): State<Arc<Office>>, request: Request) -> Response {
    let source = request.extensions().get::<Source>();
    let is_near = source.is_some_and(|source| source.0.ip().to_canonical().is_loopback());
    if !is_near || FOR_OTHERS.iter().any(|name| request.headers().contains_key(name)) {
        return answer::not_found();
    }
    let headers = [(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, "no-store")];
    (headers, read(&office)).into_response()
}

fn read(office: &Office) -> String {
    let kinds = [Kind::DoubleRoom, Kind::MultiRoom, Kind::LiveRoom];
    let rooms = office.with(|state, _| {
        kinds.map(|kind| {
            let members = state.rooms.of_kind(kind).map(|(_, room)| room.members().len());
            (kind.as_str(), members.fold((0, 0), |(rooms, all), here| (rooms + 1, all + here)))
        })
    });
    let sessions = office.media_sessions();
    let of_role = |role| sessions.iter().filter(|session| session.role == role).count();
    let mut text = String::new();
    gauge(
        &mut text,
        "rtcroom_rooms",
        "Rooms, also those nobody has entered yet.",
        rooms.map(|(kind, (rooms, _))| (format!("{{kind=\"{kind}\"}}"), rooms)),
    );
    gauge(
        &mut text,
        "rtcroom_members",
        "Seats taken.",
        rooms.map(|(kind, (_, members))| (format!("{{kind=\"{kind}\"}}"), members)),
    );
    gauge(&mut text, "rtcroom_message_sockets", "Open message sockets.", [("", office.open_sockets())]);
    gauge(
        &mut text,
        "rtcroom_relay_sessions",
        "WHIP (publish) and WHEP (play) resources.",
        [("{role=\"publish\"}", of_role(Role::Publisher)), ("{role=\"play\"}", of_role(Role::Player))],
    );
    text
}

fn gauge<L: Display>(
    text: &mut String,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (L, usize)>,
) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
    for (labels, value) in values {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;
    use crate::service::address::Addresses;
    use crate::service::clock::Now;
    use crate::service::config::Config;
    use crate::service::relay::{Relay, RelayConfig};
    use crate::service::routes;

    #[tokio::test]
    async fn only_this_machine_gets_an_answer() {
        let addresses = Addresses::new(None, false, "127.0.0.1:80".into()).unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let relay = Relay::start(RelayConfig { listen, advertise: Vec::new() }).unwrap();
        let office = Office::new(Config::dev().unwrap(), addresses, relay.clone(), Now::read());
        let router = routes::router(Arc::new(office), relay);
        for (peer, header, status) in [
            (Some("127.0.0.1:1"), "accept", 200),
            (Some("[::1]:1"), "accept", 200),
            (Some("[::ffff:127.0.0.1]:1"), "accept", 200),
            (Some("10.1.2.3:1"), "accept", 404),
            (Some("[::ffff:10.1.2.3]:1"), "accept", 404),
            (Some("[2001:db8::1]:1"), "accept", 404),
            (Some("127.0.0.1:1"), "x-forwarded-for", 404),
            (Some("127.0.0.1:1"), "origin", 404),
            (None, "accept", 404),
        ] {
            let mut request = Request::get("/metrics").header(header, "any").body(Body::empty()).unwrap();
            if let Some(peer) = peer {
                request.extensions_mut().insert(Source(peer.parse().unwrap()));
            }
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status, "{peer:?} with {header}");
        }
    }
}
