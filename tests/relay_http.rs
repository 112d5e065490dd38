//! WHIP and WHEP as HTTP: who may do what, and what the answers say.
#![cfg(feature = "roomservice")]
#![allow(missing_docs, clippy::unwrap_used, clippy::type_complexity)]

mod relay_support;

use relay_support::{Peer, Server, any_offer, eventually};
use rtcroom_kiosk::service::relay::Role;
use str0m::media::Direction;

const SDP: (&str, &str) = ("content-type", "application/sdp");
const FRAGMENT: (&str, &str) = ("content-type", "application/trickle-ice-sdpfrag");

#[test]
fn a_post_makes_a_resource_that_only_its_owner_deletes() {
    let server = Server::start();
    let made = server.post("/whip/ann-1", "ann", &any_offer(Direction::SendOnly));
    assert_eq!(made.status, 201);
    assert_eq!(made.headers["content-type"], "application/sdp");
    assert!(made.headers["etag"].starts_with('"'));
    assert!(made.location().starts_with("/whip/ann-1/"));
    for line in
        ["a=ice-lite", "a=group:BUNDLE ", "H264/90000", "opus/48000/2", "a=recvonly", "a=end-of-candidates"]
    {
        assert!(made.body.contains(line), "{line} is not in\n{}", made.body);
    }
    assert_eq!(server.delete(&made.location(), "bob"), 403);
    assert_eq!(server.request("DELETE", &made.location(), None, &[], "").status, 401);
    assert_eq!(server.delete(&made.location().replace("/whip/", "/whep/"), "ann"), 404);
    assert_eq!(server.delete("/whip/ann-1/elsewhere", "ann"), 404);
    assert_eq!(server.count(Role::Publisher), 1);
    assert_eq!(server.delete(&made.location(), "ann"), 200);
    assert_eq!(server.delete(&made.location(), "ann"), 404);
    assert_eq!(server.count(Role::Publisher), 0);
}

#[test]
fn refusals_say_what_is_wrong() {
    let server = Server::start();
    let offer = any_offer(Direction::SendOnly);
    let play = any_offer(Direction::RecvOnly);
    let no_media = offer.replace("H264", "H999").replace("opus", "opux");
    let long = format!("{offer}{}", "a=x\r\n".repeat(20_000));
    let cases: [(&str, Option<&str>, &[(&str, &str)], &str, u16, &str); 13] = [
        ("/whip/ann-1", None, &[SDP], &offer, 401, "token"),
        ("/whip/ann-1", Some("bob"), &[SDP], &offer, 403, "somebody else"),
        ("/whip/nowhere", Some("ann"), &[SDP], &offer, 404, "nowhere"),
        ("/whip/ann-1", Some("ann"), &[], &offer, 415, "application/sdp"),
        ("/whip/ann-1", Some("ann"), &[("content-type", "application/json")], "{}", 415, "application/sdp"),
        ("/whip/ann-1", Some("ann"), &[SDP, ("accept", "text/html")], &offer, 406, "Accept"),
        ("/whip/ann-1", Some("ann"), &[SDP], "", 400, "v=0"),
        ("/whip/ann-1", Some("ann"), &[SDP], "v=0\r\nrubbish", 400, "ice-ufrag"),
        ("/whip/ann-1", Some("ann"), &[SDP], &no_media, 400, "H.264"),
        ("/whip/ann-1", Some("ann"), &[SDP], &play, 400, "sendonly"),
        ("/whip/ann-1", Some("ann"), &[SDP], &long, 413, "65536"),
        ("/whep/nowhere", Some("bob"), &[SDP], &play, 404, "nowhere"),
        ("/whep/ann-1", Some("bob"), &[SDP], &play, 404, "nobody publishes"),
    ];
    for (path, token, headers, body, status, word) in cases {
        let reply = server.request("POST", path, token, headers, body);
        assert_eq!(reply.status, status, "{path} {token:?} {headers:?}: {}", reply.body);
        assert!(reply.body.contains(word), "{word} is not in {}", reply.body);
        assert!(reply.body.starts_with(&format!(r#"{{"code":{status},"message":""#)), "{}", reply.body);
        assert_eq!(reply.headers.contains_key("retry-after"), status == 404, "{path}");
        assert_eq!(reply.headers.contains_key("www-authenticate"), status == 401, "{path}");
    }
    assert!(server.relay.sessions().is_empty());
}

#[test]
fn a_player_may_attach_as_soon_as_a_publisher_is_accepted() {
    let server = Server::start();
    let offer = any_offer(Direction::RecvOnly);
    assert_eq!(server.post("/whep/ann-1", "bob", &offer).status, 404);
    let publisher = server.post("/whip/ann-1", "ann", &any_offer(Direction::SendOnly));
    let player = server.post("/whep/ann-1", "bob", &offer);
    assert_eq!(player.status, 201, "{}", player.body);
    assert!(player.body.contains("a=sendonly") && player.location().starts_with("/whep/ann-1/"));
    assert_eq!(server.delete(&publisher.location(), "ann"), 200);
    assert_eq!(server.post("/whep/ann-1", "bob", &offer).status, 404);
}

#[test]
fn options_tell_what_may_be_sent() {
    let server = Server::start();
    let endpoint = server.request("OPTIONS", "/whip/ann-1", None, &[], "");
    assert_eq!((endpoint.status, endpoint.headers["accept-post"].as_str()), (204, "application/sdp"));
    let resource = server.request("OPTIONS", "/whep/ann-1/x", None, &[], "");
    assert_eq!((resource.status, resource.headers["accept-patch"].as_str()), (204, FRAGMENT.1));
    assert_eq!(server.request("GET", "/whip/ann-1", None, &[], "").status, 405);
}

#[test]
fn patches_follow_the_entity_tag() {
    let server = Server::start();
    let publisher = Peer::publish(&server, "ann-1", "ann");
    let fragment = |ufrag: &str| {
        format!(
            "a=ice-ufrag:{ufrag}\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 UDP 2122 127.0.0.1 61764 typ host\r\n"
        )
    };
    let patch = |token: &str, headers: &[(&str, &str)], body: &str| {
        server.request("PATCH", &publisher.resource, Some(token), headers, body)
    };
    let (same, new) = (fragment(&publisher.ufrag), fragment("fresh"));
    let current = [FRAGMENT, ("if-match", publisher.etag.as_str())];
    assert_eq!(patch("bob", &current, &same).status, 403);
    assert_eq!(patch("ann", &[FRAGMENT], &same).status, 428);
    assert_eq!(patch("ann", &[FRAGMENT, ("if-match", "\"old\"")], &same).status, 412);
    assert_eq!(patch("ann", &[SDP, current[1]], &same).status, 415);
    assert_eq!(patch("ann", &current, "a=nothing").status, 400);
    assert_eq!(patch("ann", &current, &same).status, 204);

    let restarted = patch("ann", &[FRAGMENT, ("if-match", "*")], &new);
    assert_eq!(restarted.status, 200, "{}", restarted.body);
    assert_eq!(restarted.headers["content-type"], FRAGMENT.1);
    assert!(restarted.body.contains("a=ice-ufrag:") && restarted.body.contains("a=ice-pwd:"));
    assert_ne!(restarted.headers["etag"], publisher.etag);
    assert_eq!(patch("ann", &current, &new).status, 412, "the old tag is of the old ICE session");
}

#[test]
fn too_many_players_of_one_user_push_out_the_oldest() {
    let server = Server::start();
    let _publisher = server.post("/whip/ann-1", "ann", &any_offer(Direction::SendOnly));
    let offer = any_offer(Direction::RecvOnly);
    let made: Vec<String> = (0..5).map(|_| server.post("/whep/ann-1", "bob", &offer).location()).collect();
    assert_eq!(server.count(Role::Player), 3);
    assert_eq!(server.delete(&made[0], "bob"), 404);
    assert_eq!(server.delete(&made[4], "bob"), 200);
}

#[test]
fn a_client_that_never_connects_is_forgotten() {
    let server = Server::start();
    let made = server.post("/whip/ann-1", "ann", &any_offer(Direction::SendOnly));
    eventually("the end of a session without ICE", || server.relay.sessions().is_empty());
    assert_eq!(server.delete(&made.location(), "ann"), 404);
}
