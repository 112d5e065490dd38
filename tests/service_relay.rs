//! Rights to media, over the real WHIP and WHEP addresses: they begin with a seat and end with it.

#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(clippy::unwrap_used)]

mod relay_support;
mod service_fixture;

use std::time::Instant;

use reqwest::{Body, Method, Response};
use serde_json::json;
use service_fixture::{Member, PATIENCE, Service, text};
use str0m::media::Direction;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn offer(publishes: bool) -> String {
    relay_support::any_offer(if publishes { Direction::SendOnly } else { Direction::RecvOnly })
}

async fn media(member: &Member, method: Method, url: &str, body: impl Into<Body>) -> Response {
    let request = member.http.request(method, url).bearer_auth(&member.token);
    request.header("content-type", "application/sdp").body(body).send().await.unwrap()
}

/// Publishes; the resource and the push address.
async fn publish(member: &Member) -> (String, String) {
    let url = member.push_url().await;
    let answer = media(member, Method::POST, &url, offer(true)).await;
    assert_eq!(answer.status(), 201, "{:?}", answer.text().await);
    (resource(member, &answer), url)
}

fn resource(member: &Member, answer: &Response) -> String {
    format!("{}{}", member.url, answer.headers()["location"].to_str().unwrap())
}

async fn play_url(member: &Member, room: &str, of: &str) -> String {
    let room = member.ask("get_pushers", json!({ "roomID": room })).await;
    let pusher = room["pushers"].as_array().unwrap().iter().find(|p| p["userID"] == of).unwrap().clone();
    text(&pusher["accelerateURL"])
}

/// A PATCH without a body is a bad request on a session that is there, and 404 on one that is not.
async fn is_there(member: &Member, resource: &str) -> bool {
    media(member, Method::PATCH, resource, "").await.status() != 404
}

async fn gone_soon(member: &Member, resource: &str) {
    let started = Instant::now();
    while is_there(member, resource).await {
        assert!(started.elapsed() < PATIENCE, "{resource} is still there");
    }
}

#[tokio::test]
async fn who_leaves_neither_publishes_nor_plays_any_more() {
    let service = Service::dev().await;
    let (a, b) = (service.member("a").await, service.member("b").await);
    let (published, push_url) = publish(&a).await;
    assert_eq!(a.enter_with("r", &push_url).await, 0);
    let (published_by_b, push_url_of_b) = publish(&b).await;
    assert_eq!(b.enter_with("r", &push_url_of_b).await, 0);
    let answer = media(&b, Method::POST, &play_url(&b, "r", "a").await, offer(false)).await;
    assert_eq!(answer.status(), 201);
    let played = resource(&b, &answer);
    assert!(is_there(&b, &played).await);
    assert!(!is_there(&a, &format!("{played}x")).await);
    assert_eq!(b.leave("r").await, 0);
    assert!(!is_there(&b, &played).await && !is_there(&b, &published_by_b).await);
    assert!(is_there(&a, &published).await);
    assert_eq!(a.leave("r").await, 0);
    assert!(!is_there(&a, &published).await);
}

#[tokio::test]
async fn nobody_publishes_or_plays_without_the_right_to() {
    let service = Service::dev().await;
    let (a, b) = (service.member("a").await, service.member("b").await);
    let push_url = a.push_url().await;
    assert_eq!(a.enter_with("r", &push_url).await, 0);
    let play = play_url(&b, "r", "a").await;
    assert_eq!(media(&b, Method::POST, &push_url, offer(true)).await.status(), 403, "another's stream");
    assert_eq!(media(&a, Method::POST, &push_url[..push_url.len() - 1], offer(true)).await.status(), 403);
    assert_eq!(media(&b, Method::POST, &play, offer(false)).await.status(), 403, "not a member");
    let mut nobody = b.clone();
    nobody.token = "0".repeat(32);
    for url in [&push_url, &play] {
        assert_eq!(media(&nobody, Method::POST, url, offer(true)).await.status(), 401);
        assert_eq!(b.http.post(url).send().await.unwrap().status(), 401);
    }
    assert_eq!(b.enter("r").await, 0);
    let early = media(&b, Method::POST, &play, offer(false)).await;
    assert_eq!(early.status(), 404, "nobody publishes yet");
    assert_eq!(early.headers()["retry-after"], "1");
    let answer = media(&a, Method::POST, &push_url, offer(true)).await;
    assert_eq!(answer.status(), 201);
    let published = resource(&a, &answer);
    assert_eq!(media(&b, Method::DELETE, &published, "").await.status(), 403, "another's session");
    assert_eq!(media(&a, Method::DELETE, &published, "").await.status(), 200);
}

#[tokio::test]
async fn a_fresh_stream_ends_the_one_before() {
    let service = Service::dev().await;
    let a = service.member("a").await;
    let (first, push_url) = publish(&a).await;
    assert_eq!(a.enter_with("r", &push_url).await, 0);
    let (second, push_url) = publish(&a).await;
    assert!(is_there(&a, &first).await);
    assert_eq!(a.enter_with("r", &push_url).await, 0);
    assert!(!is_there(&a, &first).await && is_there(&a, &second).await);
}

#[tokio::test]
async fn a_member_removed_for_silence_loses_its_media() {
    let service = Service::configured("[rooms]\nheartbeat_secs = 1\n").await;
    let a = service.member("a").await;
    let (published, push_url) = publish(&a).await;
    assert_eq!(a.enter_with("r", &push_url).await, 0);
    gone_soon(&a, &published).await;
    assert_eq!(a.beat("r").await, 5, "no media came, so the session did not keep the seat");
}

#[tokio::test]
async fn a_request_begun_as_a_member_does_not_outlive_the_seat() {
    let service = Service::configured("[rooms]\nheartbeat_secs = 8\n").await;
    let (a, b) = (service.member("a").await, service.member("b").await);
    let (published, push_url) = publish(&a).await;
    assert_eq!(a.enter_with("r", &push_url).await, 0);
    assert_eq!(b.enter("r").await, 0);
    let play = play_url(&b, "r", "a").await;
    // The body comes only after b has left.
    let offer = offer(false);
    let (host, path) = play.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
        b.token,
        offer.len()
    );
    let mut late = TcpStream::connect(host).await.unwrap();
    late.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body once it has let the head pass.
    let mut go_on = [0; 12];
    late.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100");
    assert_eq!(b.leave("r").await, 0);
    late.write_all(offer.as_bytes()).await.unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).await.unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
    if let Some(location) = location {
        gone_soon(&b, &format!("{}{location}", b.url)).await;
    } else {
        assert!(answer.contains(" 403 "), "{answer}");
    }
    assert!(is_there(&a, &published).await);
}

/// What `/metrics` says, without the zeros.
async fn in_use(service: &Service) -> Vec<String> {
    let answer = service_fixture::http().get(format!("{}/metrics", service.url)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let text = answer.text().await.unwrap();
    let (about, values): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('#'));
    for line in &values {
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(about.iter().any(|about| about.starts_with(&format!("# HELP {name} "))), "{text}");
        assert!(about.contains(&format!("# TYPE {name} gauge").as_str()), "{text}");
    }
    assert_eq!(values.len(), 3 + 3 + 1 + 2, "zeros are said too: {text}");
    values.into_iter().filter(|line| !line.ends_with(" 0")).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_in_use_is_counted_until_it_is_not() {
    let service = Service::dev().await;
    let (a, b) = (service.member("a").await, service.member("b").await);
    assert!(in_use(&service).await.is_empty());
    let socket = a.socket().await;
    let (_, push_url) = publish(&a).await;
    assert_eq!(a.enter_with("r", &push_url).await, 0);
    assert_eq!(b.enter("r").await, 0);
    let answer = media(&b, Method::POST, &play_url(&b, "r", "a").await, offer(false)).await;
    assert_eq!(answer.status(), 201);
    let multi = b.of_kind("multi_room");
    assert_eq!(multi.code("create_room", json!({ "userID": "b", "roomID": "m", "roomInfo": "" })).await, 0);
    assert_eq!(
        in_use(&service).await,
        [
            "rtcroom_rooms{kind=\"double_room\"} 1",
            "rtcroom_rooms{kind=\"multi_room\"} 1",
            "rtcroom_members{kind=\"double_room\"} 2",
            "rtcroom_message_sockets 1",
            "rtcroom_relay_sessions{role=\"publish\"} 1",
            "rtcroom_relay_sessions{role=\"play\"} 1",
        ]
    );
    drop(socket);
    assert_eq!((a.leave("r").await, b.leave("r").await), (0, 0));
    let room = json!({ "userID": "b", "roomID": "m" });
    assert_eq!(multi.code("destroy_room", room).await, 0);
    let started = Instant::now();
    while in_use(&service).await != Vec::<String>::new() {
        assert!(started.elapsed() < PATIENCE, "{:?}", in_use(&service).await);
    }
}
