//! The message socket: notices, texts, coming back, and who is not let in.

#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(clippy::unwrap_used)]

mod service_fixture;

use serde_json::{Value, json};
use service_fixture::{Member, PATIENCE, Service, Socket, text};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::timeout;

fn say(id: u64, room: &str, words: &str) -> Value {
    json!({ "type": "text", "id": id, "kind": "double_room", "roomID": room, "text": words })
}

fn resume(room: &str, after: u64) -> Value {
    json!({ "type": "resume", "kind": "double_room", "roomID": room, "after": after })
}

fn seq(frame: &Value) -> u64 {
    frame["seq"].as_u64().unwrap_or_else(|| panic!("no seq in {frame}"))
}

/// Two members in a double room, with the sockets of both, their first notices read.
async fn call(service: &Service) -> (Member, Socket, Member, Socket) {
    let (a, b) = (service.member("a").await, service.member("b").await);
    let (mut socket_a, mut socket_b) = (a.socket().await, b.socket().await);
    assert_eq!(a.enter("r").await, 0);
    assert_eq!(b.enter("r").await, 0);
    socket_a.next_of("notice").await;
    socket_a.next_of("notice").await;
    socket_b.next_of("notice").await;
    (a, socket_a, b, socket_b)
}

#[tokio::test]
async fn members_are_told_of_every_change_in_order() {
    let service = Service::dev().await;
    let (a, b) = (service.member("a").await, service.member("b").await);
    let mut socket = a.socket().await;
    assert_eq!(a.enter("r").await, 0);
    let first = socket.next_of("notice").await;
    assert_eq!(first["kind"], "double_room");
    assert_eq!(first["roomID"], "r");
    assert_eq!(first["content"], r#"{"cmd":"notifyPusherChange","data":""}"#);
    assert_eq!(b.enter("r").await, 0);
    assert_eq!(b.leave("r").await, 0);
    for n in 1..=2 {
        assert_eq!(seq(&socket.next_of("notice").await), seq(&first) + n);
    }
    assert_eq!(a.code("destroy_room", json!({ "roomID": "r", "userID": "a" })).await, 0);
    assert_eq!(seq(&socket.next_of("closed").await), seq(&first) + 3);
    assert_eq!(a.enter("r").await, 0);
    assert!(seq(&socket.next_of("notice").await) > seq(&first) + 3, "also in the next room of this name");
}

#[tokio::test]
async fn a_text_reaches_both_with_the_name_the_server_knows() {
    let service = Service::dev().await;
    let (_a, mut socket_a, _b, mut socket_b) = call(&service).await;
    socket_b.send(say(7, "r", "请出示证件 }} \"")).await;
    for socket in [&mut socket_a, &mut socket_b] {
        let frame = socket.next_of("text").await;
        assert_eq!(frame["from"], json!({ "userID": "b", "userName": "B", "userAvatar": "" }));
        assert_eq!(frame["text"], "请出示证件 }} \"");
        assert!(frame["time"].as_u64().unwrap() / 1000 >= service_fixture::now() - 60);
    }
    let ack = socket_b.next_of("ack").await;
    assert_eq!((&ack["id"], &ack["code"]), (&json!(7), &json!(0)));
    let custom = json!({
        "type": "custom", "id": 8, "kind": "double_room", "roomID": "r", "cmd": "zoom", "msg": "{\"x\":1}",
    });
    socket_a.send(custom).await;
    let frame = socket_b.next_of("custom").await;
    assert_eq!(
        (&frame["cmd"], &frame["msg"], &frame["from"]["userID"]),
        (&json!("zoom"), &json!("{\"x\":1}"), &json!("a"))
    );
}

#[tokio::test]
async fn what_cannot_be_said_is_acknowledged_with_its_code() {
    let service = Service::dev().await;
    let (_a, mut socket_a, _b, mut socket_b) = call(&service).await;
    let c = service.member("c").await;
    let mut socket_c = c.socket().await;
    for (request, code) in [
        (say(1, "r", "let me in"), 5),
        (say(2, "none", "x"), 3),
        (json!({ "type": "text", "id": 3, "kind": "multi_room", "roomID": "r", "text": "x" }), 3),
    ] {
        socket_c.send(request).await;
        assert_eq!(socket_c.next_of("ack").await["code"], code);
    }
    socket_a.send(say(4, "r", &"x".repeat(8899))).await;
    assert_eq!(socket_a.next_of("ack").await["code"], 1);
    socket_a.send(say(5, "r", &"x".repeat(8898))).await;
    assert_eq!(socket_a.next_of("ack").await["code"], 0);
    assert_eq!(text(&socket_b.next_of("text").await["text"]).len(), 8898, "nothing else came before");
}

#[tokio::test]
async fn who_talks_without_end_is_slowed_down() {
    let service = Service::dev().await;
    let (_a, mut socket_a, _b, _socket_b) = call(&service).await;
    let mut codes = Vec::new();
    for id in 0..60 {
        socket_a.send(say(id, "r", "x")).await;
        codes.push(socket_a.next_of("ack").await["code"].as_i64().unwrap());
    }
    assert_eq!(codes[..30], [0; 30]);
    assert!(codes.contains(&5029), "{codes:?}");
}

#[tokio::test]
async fn frames_that_are_none_of_ours_are_passed_over() {
    let service = Service::dev().await;
    let (_a, mut socket_a, _b, _socket_b) = call(&service).await;
    for frame in ["", "{", "[]", r#"{"type":"later_version"}"#, r#"{"type":"text","id":-1}"#] {
        socket_a.send_raw(frame).await;
    }
    socket_a.send(say(9, "r", "still here")).await;
    assert_eq!(socket_a.next_of("ack").await["id"], 9);
    socket_a.send_raw(&"x".repeat(16 * 1024 + 1)).await;
    assert_ne!(socket_a.closed().await, 1001, "a frame over the limit ends the socket");
}

#[tokio::test]
async fn who_comes_back_gets_what_it_missed() {
    let service = Service::dev().await;
    let (a, mut socket_a, _b, mut socket_b) = call(&service).await;
    socket_b.send(say(1, "r", "one")).await;
    let last = seq(&socket_a.next_of("text").await);
    drop(socket_a);
    for (id, words) in [(2, "two"), (3, "three")] {
        socket_b.send(say(id, "r", words)).await;
        socket_b.next_of("ack").await;
    }
    let mut back = a.socket().await;
    back.send(resume("r", last)).await;
    for (n, words) in [(1, "two"), (2, "three")] {
        let frame = back.next_of("text").await;
        assert_eq!((seq(&frame), frame["text"].as_str()), (last + n, Some(words)));
    }
    back.send(resume("r", last + 2)).await;
    back.send(say(4, "r", "four")).await;
    assert_eq!(seq(&back.next_event().await), last + 3, "nothing was missed, so nothing comes before");
}

#[tokio::test]
async fn what_is_no_longer_kept_is_a_gap() {
    let service = Service::dev().await;
    let (a, mut socket_a, b, mut socket_b) = call(&service).await;
    socket_b.send(say(1, "r", "one")).await;
    let last = seq(&socket_a.next_of("text").await);
    drop(socket_a);
    for n in 0..80 {
        assert_eq!(b.enter("r").await, 0, "{n}");
        socket_b.next_of("notice").await;
    }
    let mut back = a.socket().await;
    back.send(resume("r", last)).await;
    let mut notices = 0;
    let gap = loop {
        let frame = back.next_event().await;
        match frame["type"].as_str() {
            Some("notice") => notices += 1,
            _ => break frame,
        }
    };
    assert_eq!((&gap["type"], seq(&gap)), (&json!("gap"), last + 80));
    assert!(notices < 80, "{notices}");
}

#[tokio::test]
async fn a_stranger_is_told_nothing_of_what_was_said() {
    let service = Service::dev().await;
    let (_a, mut socket_a, _b, _socket_b) = call(&service).await;
    socket_a.send(say(1, "r", "my account number")).await;
    socket_a.next_of("ack").await;
    let mut socket_c = service.member("c").await.socket().await;
    socket_c.send(resume("r", 0)).await;
    let frame = socket_c.next_event().await;
    assert_eq!((&frame["type"], &frame["seq"]), (&json!("gap"), &json!(0)));
}

#[tokio::test]
async fn a_socket_needs_a_token_and_lives_no_longer_than_it() {
    let service = Service::dev().await;
    let mut a = service.member("a").await;
    let mut socket = a.socket().await;
    assert_eq!(a.code("logout", json!({})).await, 0);
    assert_eq!(socket.closed().await, 4007);
    assert!(a.try_socket().await.is_err());
    a.token = String::new();
    assert!(a.try_socket().await.is_err());
}

#[tokio::test]
async fn a_newer_socket_of_a_user_replaces_the_older() {
    let service = Service::dev().await;
    let a = service.member("a").await;
    let mut old = a.socket().await;
    let mut new = a.socket().await;
    assert_eq!(old.closed().await, 4001);
    assert_eq!(a.enter("r").await, 0);
    new.next_of("notice").await;
}

#[tokio::test]
async fn whoever_may_see_a_room_is_hinted_when_it_changes() {
    let service = Service::dev().await;
    let (a, clerk) = (service.member("a").await, service.member("clerk").await);
    let mut socket = clerk.socket().await;
    assert_eq!(a.enter("r").await, 0);
    assert_eq!(socket.next().await, json!({ "type": "rooms" }));
    assert_eq!(clerk.rooms().await, ["r"]);
    assert_eq!(a.leave("r").await, 0);
    assert_eq!(socket.next().await, json!({ "type": "rooms" }));
    assert_eq!(clerk.rooms().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stopping_server_says_so() {
    let service = Service::dev().await;
    let (_a, mut socket_a, _b, mut socket_b) = call(&service).await;
    service.stop().await;
    assert_eq!(socket_a.closed().await, 1001);
    assert_eq!(socket_b.closed().await, 1001);
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_disconnected_and_holds_up_nobody() {
    let service = Service::dev().await;
    let (a, mut socket_a, b, _socket_b) = call(&service).await;
    for id in 0..28 {
        socket_a.send(say(id, "r", &"x".repeat(2000))).await;
        socket_a.next_of("ack").await;
    }
    // By hand: no client library reads as little as this.
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(4096).unwrap();
    let host = service.url.strip_prefix("http://").unwrap();
    let mut slow = tcp.connect(host.parse().unwrap()).await.unwrap();
    let upgrade = format!(
        "GET /im?userID=b&token={} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        b.token
    );
    slow.write_all(upgrade.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    slow.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    // Masked with zeros, so that the text is as it is. Each asks for about 60 kB.
    let request = resume("r", 1_000).to_string();
    let mut frame = vec![0x81, 0x80 | u8::try_from(request.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(request.as_bytes());
    for _ in 0..25 {
        slow.write_all(&frame).await.unwrap();
    }
    // Its socket takes no more by now; what else there is to tell waits in the queue until that is full.
    for n in 0..400 {
        assert_eq!(a.enter("r").await, 0, "the others are served meanwhile: {n}");
        socket_a.next_of("notice").await;
    }
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, slow.read_to_end(&mut rest)).await.expect("the server ends the connection");
    let bytes = read.unwrap_or(rest.len());
    assert!(bytes < 25 * 60_000, "{bytes} bytes were written to a reader that did not read");
    // Who was cut opens another socket, and all is well.
    b.socket().await;
}
