//! The operations over HTTP, as the clients of every platform send them.

#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(clippy::unwrap_used)]

mod service_fixture;

use reqwest::Method;
use rtcroom_kiosk::room::user_sig::Mint;
use rtcroom_kiosk::service::keys;
use serde_json::{Value, json};
use service_fixture::{APP, Service, http, now, text};

#[tokio::test]
async fn both_versions_of_a_ticket_log_in() {
    let service = Service::configured("").await;
    for ticket in [service.ticket("kiosk-7", now(), 60), service.ticket_v2("kiosk-7", now(), 60)] {
        let answer = service.login_with("kiosk-7", &ticket).await;
        assert_eq!((&answer["code"], &answer["userID"]), (&json!(0), &json!("kiosk-7")), "{answer}");
        let token = answer["token"].as_str().unwrap();
        assert!(token.len() >= 32 && token.bytes().all(|b| b.is_ascii_hexdigit()), "safe raw in a query");
    }
}

#[tokio::test]
async fn a_ticket_that_is_not_good_is_refused_with_a_sentence() {
    let service = Service::configured("").await;
    let (private, _) = keys::new_pair().unwrap();
    let foreign = Mint::from_private_pem(&private).unwrap().mint("a", APP, now(), 60).unwrap();
    for (user, ticket, word) in [
        ("a", service.ticket("a", now() - 100, 99), "expired"),
        ("a", service.ticket_v2("a", now() - 100, 99), "expired"),
        ("b", service.ticket("a", now(), 60), "another user"),
        ("a", foreign, "key"),
        ("a", "x".to_owned(), "malformed"),
        ("a", String::new(), "userSig"),
        ("", service.ticket("a", now(), 60), "userID"),
    ] {
        let answer = service.login_with(user, &ticket).await;
        assert_eq!(answer["code"], 7, "{answer}");
        assert!(text(&answer["message"]).contains(word), "{word}: {answer}");
        assert_eq!(answer.get("token"), None);
    }
    let url = format!("{}/weapp/multi_room/login?sdkAppID=1&userID=a&userSig=x", service.url);
    let answer: Value = http().post(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["code"], 7);
}

#[tokio::test]
async fn guessing_at_one_user_is_slowed_down() {
    let service = Service::configured("").await;
    let mut codes = Vec::new();
    for _ in 0..12 {
        codes.push(service.login_with("a", "guess").await["code"].as_i64().unwrap());
    }
    assert_eq!(codes[..10], [7; 10]);
    assert_eq!(codes[10..], [5029; 2]);
    service.member("b").await;
}

#[tokio::test]
async fn only_a_development_server_gives_tickets_to_anybody() {
    let strict = Service::configured("").await;
    let answer =
        http().get(format!("{}/weapp/utils/get_login_info?userID=a", strict.url)).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    assert!(!answer.text().await.unwrap().contains("userSig"));
    let dev = Service::dev().await;
    let url = format!("{}/weapp/utils/get_login_info", dev.url);
    let answer: Value = http().get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!((&answer["code"], &answer["sdkAppID"]), (&json!(0), &json!(APP)));
    assert!(text(&answer["userID"]).starts_with("user_"), "{answer}");
}

#[tokio::test]
async fn a_second_login_ends_the_first_token() {
    let service = Service::dev().await;
    let first = service.member("a").await;
    let mut socket = first.socket().await;
    let second = service.member("a").await;
    assert_eq!(first.code("get_push_url", json!({ "userID": "a" })).await, 7);
    assert_eq!(second.code("get_push_url", json!({ "userID": "a" })).await, 0);
    assert_eq!(socket.closed().await, 4008);
    assert!(first.try_socket().await.is_err());
}

#[tokio::test]
async fn a_logout_ends_the_token_and_may_be_repeated() {
    let service = Service::dev().await;
    let a = service.member("a").await;
    for _ in 0..2 {
        assert_eq!(a.code("logout", json!({})).await, 0);
        assert_eq!(a.code("get_push_url", json!({ "userID": "a" })).await, 7);
    }
}

#[tokio::test]
async fn nobody_acts_with_anothers_token_or_for_another() {
    let service = Service::dev().await;
    let (a, b) = (service.member("a").await, service.member("b").await);
    assert_eq!(a.enter("r").await, 0);
    let mut thief = b.clone();
    thief.token.clone_from(&a.token);
    assert_eq!(thief.beat("r").await, 7, "a's token with b's userID");
    for operation in ["delete_pusher", "pusher_heartbeat", "destroy_room"] {
        let code = b.code(operation, json!({ "roomID": "r", "userID": "a" })).await;
        assert_eq!(code, 5003, "{operation} for a with b's token");
    }
    assert_eq!(b.code("get_push_url", json!({ "userID": "a" })).await, 5003);
    assert_eq!(b.enter_with("r", &a.push_url().await).await, 1, "a's push address");
    assert_eq!(b.enter_with("r", "rtmp://h/live/8888_b?txSecret=1").await, 1, "not our address");
    assert_eq!(b.enter_with("r", "").await, 1);
    assert_eq!(a.pushers("r").await, Ok(vec!["a".to_owned()]));
}

#[tokio::test]
async fn every_operation_needs_a_token_and_its_fields() {
    let service = Service::dev().await;
    let a = service.member("a").await.of_kind("live_room");
    let mut stranger = a.clone();
    stranger.token = "0".repeat(32);
    let url = a.push_url().await;
    for (operation, body) in [
        ("get_push_url", json!({ "userID": "a" })),
        ("create_room", json!({ "userID": "a", "roomInfo": "" })),
        (
            "add_pusher",
            json!({ "roomID": "r", "userID": "a", "userName": "", "userAvatar": "", "pushURL": url }),
        ),
        ("pusher_heartbeat", json!({ "roomID": "r", "userID": "a" })),
        ("get_pushers", json!({ "roomID": "r" })),
        ("get_room_list", json!({ "cnt": 1, "index": 0 })),
        ("merge_stream", json!({ "roomID": "r", "userID": "a", "mergeParams": {} })),
        ("get_custom_info", json!({ "roomID": "r" })),
        ("set_custom_field", json!({ "roomID": "r", "fieldName": "likes", "operation": "inc" })),
        ("add_audience", json!({ "roomID": "r", "userID": "a", "userInfo": "" })),
        ("get_audiences", json!({ "roomID": "r" })),
        ("delete_audience", json!({ "roomID": "r", "userID": "a" })),
        ("delete_pusher", json!({ "roomID": "r", "userID": "a" })),
    ] {
        assert_eq!(stranger.code(operation, body.clone()).await, 7, "{operation}");
        let fields = body.as_object().unwrap();
        for absent in fields.keys() {
            let mut less = fields.clone();
            less.remove(absent);
            assert_eq!(a.code(operation, less.into()).await, 1, "{operation} without {absent}");
        }
        let broken = a.request(operation).body("{").send().await.unwrap();
        assert_eq!(broken.status(), 200);
        assert_eq!(broken.json::<Value>().await.unwrap()["code"], 1, "{operation}");
        let empty: Value = a.request(operation).send().await.unwrap().json().await.unwrap();
        assert_eq!(empty["code"], 1, "{operation}");
        let mut more = fields.clone();
        more.insert("unknownField".to_owned(), json!([1]));
        assert_eq!(a.code(operation, more.into()).await, 0, "{operation}");
    }
    assert_eq!(a.code("destroy_room", json!({ "roomID": "r" })).await, 1);
}

#[tokio::test]
async fn the_codes_are_those_of_the_protocol() {
    let service = Service::dev().await;
    let (a, b, c) = (service.member("a").await, service.member("b").await, service.member("c").await);
    let create = |id: &str, info: &str| json!({ "userID": "a", "roomID": id, "roomInfo": info });
    assert_eq!(a.code("create_room", create("r", &"x".repeat(1025))).await, 10);
    assert_eq!(a.code("create_room", create("r", &"界".repeat(342))).await, 10, "bytes, not characters");
    assert_eq!(a.code("create_room", create("r", &"x".repeat(1024))).await, 0);
    assert_eq!(a.code("create_room", create("r", "")).await, 11);
    assert_eq!(a.of_kind("multi_room").code("create_room", create("r", "")).await, 0, "another kind");
    assert_eq!(a.pushers("r").await, Err(3), "nobody has entered");
    assert_eq!(a.rooms().await, Vec::<String>::new());
    assert_eq!(a.beat("r").await, 5);
    assert_eq!(a.beat("").await, 5, "the stray beat of the mini program");
    assert_eq!(a.leave("r").await, 5);
    assert_eq!(b.enter("r").await, 0);
    assert_eq!(a.enter("r").await, 0);
    assert_eq!(c.enter("r").await, 5001);
    assert_eq!(a.enter("r").await, 0, "again");
    assert_eq!(a.pushers("r").await, Ok(vec!["b".to_owned(), "a".to_owned()]));
    assert_eq!(a.beat("r").await, 0);
    let destroy = |user: &str| json!({ "roomID": "r", "userID": user });
    assert_eq!(a.code("destroy_room", destroy("a")).await, 3, "b entered first");
    assert_eq!(b.code("destroy_room", destroy("b")).await, 0);
    assert_eq!(b.code("destroy_room", destroy("b")).await, 3);
    assert_eq!(a.pushers("r").await, Err(3));
    assert_eq!(a.leave("r").await, 5);
    for id in ["", "a\nb", &"x".repeat(129)] {
        assert_eq!(a.enter(id).await, 1, "{id:?}");
    }
}

#[tokio::test]
async fn a_room_made_by_entering_is_told_and_described() {
    let service = Service::dev().await;
    let a = service.member("a").await;
    let push_url = a.push_url().await;
    let answer = a
        .ask("add_pusher", json!({
            "roomID": "branch-7", "userID": "a", "userName": "Kiosk", "userAvatar": "x", "pushURL": push_url,
            "roomInfo": "Main Street",
        }))
        .await;
    assert_eq!((&answer["code"], &answer["roomID"]), (&json!(0), &json!("branch-7")));
    let room = a.ask("get_pushers", json!({ "roomID": "branch-7" })).await;
    for (key, value) in [
        ("roomID", "branch-7"),
        ("roomInfo", "Main Street"),
        ("roomCreator", "a"),
        ("mixedPlayURL", ""),
        ("custom", "{}"),
    ] {
        assert_eq!(room[key], value, "{key}");
    }
    assert!(room["waitingMs"].is_u64(), "{room}");
    let pusher = &room["pushers"][0];
    assert_eq!(
        (&pusher["userID"], &pusher["userName"], &pusher["userAvatar"]),
        (&json!("a"), &json!("Kiosk"), &json!("x"))
    );
    let stream = push_url.split(['/', '?']).nth(4).unwrap();
    assert!(text(&pusher["accelerateURL"]).starts_with(&format!("{}/whep/{stream}?expires=", service.url)));
    assert!(push_url.starts_with(&format!("{}/whip/{stream}?expires=", service.url)));
    let secret = push_url.rsplit('=').next().unwrap();
    assert!(!room.to_string().contains(secret), "the push address is not for the other members");
    let again = a.ask("get_pushers", json!({ "roomID": "branch-7" })).await;
    assert_eq!(again["pushers"], room["pushers"], "a play address does not change from poll to poll");
}

#[tokio::test]
async fn rooms_are_listed_oldest_first_in_pages() {
    let service = Service::dev().await;
    let a = service.member("a").await.of_kind("multi_room");
    for id in ["9", "b", "1", "a"] {
        assert_eq!(a.enter(id).await, 0);
    }
    let page = async |cnt: Value, index: Value| {
        let answer = a.ask("get_room_list", json!({ "cnt": cnt, "index": index })).await;
        answer["rooms"].as_array().unwrap().iter().map(|room| text(&room["roomID"])).collect::<String>()
    };
    assert_eq!(page(json!(20), json!(0)).await, "9b1a");
    assert_eq!(page(json!(2), json!(1)).await, "b1");
    assert_eq!(page(json!("2"), json!("3")).await, "a");
    assert_eq!(page(json!(0), json!(-5)).await, "9");
    assert_eq!(page(json!(i64::MAX), json!(i64::MAX)).await, "");
    let answer = service.member("b").await.ask("get_room_list", json!({ "cnt": 20, "index": 0 })).await;
    assert_eq!(answer["rooms"], json!([]), "another kind");
}

#[tokio::test]
async fn requests_are_taken_in_every_shape_the_clients_send() {
    let service = Service::dev().await;
    let a = service.member("a").await;
    let at = |path: &str| format!("{}{path}?userID=a&token={}", service.url, a.token);
    for path in [
        "/weapp/double_room//get_pushers",
        "//weapp/double_room/get_pushers",
        "/weapp/double_room/get_pushers/",
    ] {
        for (content_type, body) in [
            ("application/json; charset=utf-8", r#"{"roomID":"none"}"#),
            ("text/plain", r#"{"roomID":"none"}"#),
            ("text/xml", r#"{"roomID":"none"}"#),
            ("application/x-www-form-urlencoded", "roomID=none"),
        ] {
            let request = a.http.post(at(path)).header("content-type", content_type).body(body);
            let answer: Value = request.send().await.unwrap().json().await.unwrap();
            assert_eq!(answer["code"], 3, "{path} {content_type}");
        }
    }
    let bearer = a.http.post(format!("{}/weapp/double_room/get_pushers", service.url)).bearer_auth(&a.token);
    let answer: Value = bearer.json(&json!({ "roomID": "none" })).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["code"], 3, "a bearer token needs no userID");
    let long = a.request("get_pushers").body(format!("{{\"roomID\":\"{}\"}}", "x".repeat(70_000)));
    let answer: Value = long.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["code"], 1);
}

#[tokio::test]
async fn what_is_not_there_is_404_with_a_code() {
    let service = Service::dev().await;
    let a = service.member("a").await;
    for (method, path) in [
        (Method::GET, "/weapp/double_room/login"),
        (Method::POST, "/weapp/double_room/no_such_operation"),
        (Method::POST, "/weapp/double_room/merge_stream"),
        (Method::POST, "/weapp/triple_room/login"),
        (Method::GET, "/weapp/utils/getlogfile"),
        (Method::POST, "/"),
        (Method::GET, "/../Cargo.toml"),
        (Method::GET, "/page.rs"),
    ] {
        let url = format!("{}{path}?userID=a&token={}&file=/etc/passwd", service.url, a.token);
        let answer = a.http.request(method, url).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        assert_ne!(answer.json::<Value>().await.unwrap()["code"], 0, "{path}");
    }
}

#[tokio::test]
async fn other_origins_may_ask_and_nothing_is_kept() {
    let service = Service::dev().await;
    let url = format!("{}/weapp/double_room/login", service.url);
    let preflight =
        http().request(Method::OPTIONS, &url).header("origin", "https://portal.bank").send().await.unwrap();
    assert_eq!(preflight.status(), 204);
    let header = |answer: &reqwest::Response, name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header(&preflight, "access-control-allow-origin"), "https://portal.bank");
    for part in ["PATCH", "DELETE", "POST"] {
        assert!(header(&preflight, "access-control-allow-methods").contains(part));
    }
    assert!(header(&preflight, "access-control-allow-headers").contains("Authorization"));
    let answer = http().post(&url).header("origin", "null").send().await.unwrap();
    assert_eq!(header(&answer, "access-control-allow-origin"), "null");
    assert_eq!(header(&answer, "cache-control"), "no-store");
    assert_eq!(header(&answer, "content-type"), "application/json; charset=utf-8");
    for part in ["Location", "ETag", "Link"] {
        assert!(header(&answer, "access-control-expose-headers").contains(part));
    }
}

#[tokio::test]
async fn the_page_comes_with_a_strict_policy() {
    let service = Service::dev().await;
    for (path, content_type) in [
        ("/", "text/html"),
        ("/index.html", "text/html"),
        ("/clerk.css", "text/css"),
        ("/clerk.js", "text/javascript"),
        ("/rtcroom.js", "text/javascript"),
        ("/i18n.js", "text/javascript"),
    ] {
        let answer = http().get(format!("{}{path}", service.url)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap();
        assert!(header("content-type").starts_with(content_type), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        for part in ["default-src 'self'", "frame-ancestors 'none'", "connect-src 'self' ws: wss:"] {
            assert!(header("content-security-policy").contains(part), "{path}: {part}");
        }
        assert!(!header("content-security-policy").contains("unsafe"));
    }
    let health = http().get(format!("{}/healthz", service.url)).send().await.unwrap();
    assert_eq!((health.status().as_u16(), health.text().await.unwrap().as_str()), (200, "ok"));
}

#[tokio::test]
async fn addresses_start_with_how_the_caller_reached_the_server() {
    let service = Service::configured("[rooms]\nmulti_seats = 3\n").await;
    let a = service.member("a").await;
    let url = a.request("get_push_url").header("host", "kiosk.bank:99").json(&json!({ "userID": "a" }));
    let answer: Value = url.send().await.unwrap().json().await.unwrap();
    assert!(text(&answer["pushURL"]).starts_with("http://kiosk.bank:99/whip/"), "{answer}");
}

#[tokio::test]
async fn a_silent_member_loses_its_seat_and_comes_back() {
    let service = Service::configured("[rooms]\nheartbeat_secs = 1\n").await;
    let (a, b) = (service.member("a").await, service.member("b").await);
    assert_eq!(a.enter("r").await, 0);
    assert_eq!(b.enter("r").await, 0);
    let mut socket = b.socket().await;
    let started = std::time::Instant::now();
    loop {
        assert_eq!(b.beat("r").await, 0, "who beats stays");
        if b.pushers("r").await == Ok(vec!["b".to_owned()]) {
            break;
        }
        assert!(started.elapsed() < service_fixture::PATIENCE);
    }
    assert!(started.elapsed().as_millis() > 900, "after {:?}", started.elapsed());
    assert_eq!(socket.next_of("notice").await["roomID"], "r");
    assert_eq!(a.beat("r").await, 5);
    assert_eq!(a.enter("r").await, 0);
}

#[tokio::test]
async fn a_live_room_has_counters_and_an_audience() {
    let service = Service::dev().await;
    let a = service.member("a").await.of_kind("live_room");
    assert_eq!(a.code("get_custom_info", json!({ "roomID": "r" })).await, 3);
    assert_eq!(a.code("add_audience", json!({ "roomID": "r", "userID": "a", "userInfo": "" })).await, 3);
    assert_eq!(a.enter("r").await, 0);
    let count = |operation: &str| json!({ "roomID": "r", "fieldName": "likes", "operation": operation });
    for (operation, custom) in
        [("inc", r#"{"likes":1}"#), ("inc", r#"{"likes":2}"#), ("dec", r#"{"likes":1}"#)]
    {
        let answer = a.ask("set_custom_field", count(operation)).await;
        assert_eq!((&answer["custom"], &answer["customInfo"]), (&json!(custom), &json!(custom)));
    }
    for _ in 0..2 {
        assert_eq!(a.code("add_audience", json!({ "roomID": "r", "userID": "a", "userInfo": "i" })).await, 0);
    }
    let answer = a.ask("get_audiences", json!({ "roomID": "r" })).await;
    assert_eq!(answer["audienceCount"], 1, "counted once");
    assert_eq!(answer["audiences"], json!([{ "userID": "a", "userInfo": "i" }]));
    let list = a.ask("get_room_list", json!({ "cnt": 1, "index": 0 })).await;
    assert_eq!(list["rooms"][0]["audienceCount"], 1);
    assert_eq!(a.code("delete_audience", json!({ "roomID": "none", "userID": "a" })).await, 0);
    let merge = |params: Value| json!({ "roomID": "r", "userID": "a", "mergeParams": params });
    assert_eq!(a.code("merge_stream", merge(json!("{"))).await, 10);
    assert_eq!(a.ask("merge_stream", merge(json!("{}"))).await["result"], json!({}));
}
