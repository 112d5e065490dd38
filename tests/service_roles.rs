//! Who may enter and answer which room.

#![cfg(all(feature = "kiosk", feature = "roomservice"))]
#![allow(clippy::unwrap_used)]

mod service_fixture;

use serde_json::{Value, json};
use service_fixture::Service;

const ROLES: &str = r#"
    [[roles]]
    name = "kiosks"
    users = "kiosk-*"
    role = "kiosk"
    rooms = ["branch-{}"]
    [[roles]]
    name = "northern clerks"
    users = "clerk-n*"
    role = "clerk"
    rooms = ["branch-n*"]
"#;

#[tokio::test]
async fn a_kiosk_makes_enters_and_sees_only_its_room() {
    let service = Service::configured(ROLES).await;
    let kiosk = service.member("kiosk-n1").await;
    let other = service.member("kiosk-n2").await;
    assert_eq!(kiosk.enter("branch-n2").await, 5003);
    assert_eq!(other.enter("branch-n2").await, 0);
    assert_eq!(kiosk.enter("branch-n2").await, 5003, "also when somebody is in");
    assert_eq!(kiosk.pushers("branch-n2").await, Err(5003));
    assert_eq!(kiosk.pushers("branch-n3").await, Err(5003), "whether it exists or not");
    assert_eq!(kiosk.rooms().await, Vec::<String>::new());
    let create = |id: &str| json!({ "userID": "kiosk-n1", "roomID": id, "roomInfo": "" });
    assert_eq!(kiosk.code("create_room", create("branch-n3")).await, 5003);
    assert_eq!(kiosk.code("create_room", create("")).await, 5003, "a random room is not its room");
    assert_eq!(kiosk.code("create_room", create("branch-n1")).await, 0);
    assert_eq!(kiosk.enter("branch-n1").await, 0);
    assert_eq!(kiosk.rooms().await, ["branch-n1"]);
}

#[tokio::test]
async fn a_clerk_answers_only_where_a_kiosk_waits() {
    let service = Service::configured(ROLES).await;
    let (kiosk, south) = (service.member("kiosk-n1").await, service.member("kiosk-s1").await);
    let clerk = service.member("clerk-n1").await;
    assert_eq!(clerk.enter("branch-n1").await, 5003, "nobody is there");
    let create = json!({ "userID": "clerk-n1", "roomID": "branch-n1", "roomInfo": "" });
    assert_eq!(clerk.code("create_room", create).await, 5003);
    assert_eq!(kiosk.enter("branch-n1").await, 0);
    assert_eq!(south.enter("branch-s1").await, 0);
    assert_eq!(clerk.rooms().await, ["branch-n1"]);
    assert_eq!(clerk.enter("branch-s1").await, 5003, "not its group");
    assert_eq!(clerk.pushers("branch-s1").await, Err(5003));
    assert_eq!(clerk.enter("branch-n1").await, 0);
    assert_eq!(kiosk.leave("branch-n1").await, 0);
    assert_eq!(clerk.enter("branch-n1").await, 0, "it may renew its seat in a room it is in");
    assert_eq!(clerk.leave("branch-n1").await, 0);
    assert_eq!(clerk.enter("branch-n1").await, 5003);
}

#[tokio::test]
async fn of_two_clerks_one_wins_and_the_other_sees_who() {
    let service = Service::configured(ROLES).await;
    let kiosk = service.member("kiosk-n1").await;
    assert_eq!(kiosk.enter("branch-n1").await, 0);
    let (one, two) = (service.member("clerk-n1").await, service.member("clerk-n2").await);
    let (first, second) = (one.push_url().await, two.push_url().await);
    let (first, second) =
        tokio::join!(one.enter_with("branch-n1", &first), two.enter_with("branch-n1", &second));
    let (winner, loser) = if first == 0 { (&one, &two) } else { (&two, &one) };
    assert_eq!([first.min(second), first.max(second)], [0, 5001]);
    assert_eq!(loser.pushers("branch-n1").await, Ok(vec!["kiosk-n1".to_owned(), winner.user.clone()]));
}

#[tokio::test]
async fn who_has_no_role_sees_and_enters_nothing() {
    let service = Service::configured(ROLES).await;
    assert_eq!(service.member("kiosk-n1").await.enter("branch-n1").await, 0);
    let stranger = service.member("stranger").await;
    assert_eq!(stranger.rooms().await, Vec::<String>::new());
    assert_eq!(stranger.enter("branch-n1").await, 5003);
    assert_eq!(stranger.enter("elsewhere").await, 5003);
    assert_eq!(stranger.pushers("branch-n1").await, Err(5003));
    let live = stranger.of_kind("live_room");
    for operation in ["get_custom_info", "get_audiences"] {
        assert_eq!(live.code(operation, json!({ "roomID": "branch-n1" })).await, 5003);
    }
}

#[tokio::test]
async fn a_star_in_a_user_id_gains_nothing() {
    let service = Service::configured(ROLES).await;
    for user in ["kiosk-*", "kiosk-{}", "clerk-*"] {
        let member = service.member(user).await;
        assert_eq!(member.enter("branch-n1").await, 5003, "{user}");
    }
}

#[tokio::test]
async fn hints_about_rooms_go_only_to_who_may_see_them() {
    let service = Service::configured(ROLES).await;
    let (kiosk, south) = (service.member("kiosk-n1").await, service.member("kiosk-s1").await);
    let mut clerk = service.member("clerk-n1").await.socket().await;
    let mut stranger = service.member("stranger").await.socket().await;
    assert_eq!(south.enter("branch-s1").await, 0);
    assert_eq!(kiosk.enter("branch-n1").await, 0);
    assert_eq!(clerk.next().await, json!({ "type": "rooms" }));
    for socket in [&mut clerk, &mut stranger] {
        // The acknowledgement shows that nothing was waiting before it.
        let ask = json!({ "type": "text", "id": 1, "kind": "double_room", "roomID": "x", "text": "" });
        socket.send(ask).await;
        assert_eq!(socket.next().await["type"], Value::from("ack"));
    }
}
