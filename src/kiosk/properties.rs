//! What must hold of the machine, in any order of anything.

use std::time::Duration;

use proptest::prelude::*;

use super::event::{Input, Lamp, Request};
use super::world::{ACTS, Act, World};
use crate::board::fitting::{Fitting, Standing};
use crate::media::protocol::Command;

const SEC: Duration = Duration::from_secs(1);

/// 400, or as many as the environment asks for.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400)
}

fn acts() -> impl Strategy<Value = Vec<(Act, u64)>> {
    let act = prop_oneof![3 => Just(Act::Press), 2 => Just(Act::ClerkJoins), 8 => proptest::sample::select(&ACTS[..])];
    let wait = prop_oneof![0u64..60, 0u64..2_000, 0u64..15_000];
    proptest::collection::vec((act, wait), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// From any state and any order of inputs: idle, or in a call, when the world is well again; no seat kept, no
    /// resource left, no camera open (asserted by the world at every turn) outside a call.
    #[test]
    fn it_comes_back_when_the_world_is_well_again(acts in acts(), seed in 1u64..) {
        let mut world = World::new(seed);
        for (act, wait) in acts {
            world.act(act);
            world.run(Duration::from_millis(wait));
        }
        world.heal();
        // The longest way back: coming back 120 s, alone 30 s, and the waits between retries.
        world.run(Duration::from_secs(200));
        prop_assert!(matches!(world.state(), "idle" | "in_call"), "{} {:#?}", world.state(), world.kiosk);
        prop_assert_eq!(world.is_member(), world.state() == "in_call");
        prop_assert_eq!(world.capture(), world.state() == "in_call");
        if world.state() == "in_call" {
            world.act(Act::Hangup);
            world.heal();
            world.run(5 * SEC);
            prop_assert_eq!(world.state(), "idle");
            prop_assert!(!world.is_member());
        }
        // And the button works.
        world.act(Act::ClerkQuits);
        world.act(Act::Press);
        world.act(Act::ClerkJoins);
        world.heal();
        world.run(4 * SEC);
        prop_assert_eq!(world.state(), "in_call");
        prop_assert!(world.is_sending());
        let before = world.resources();
        world.act(Act::Press);
        world.heal();
        world.run(4 * SEC);
        prop_assert_eq!(world.state(), "idle");
        // Two sessions of this call are gone; what replies that were lost left behind is the server's to expire.
        prop_assert_eq!(world.resources(), before - 2);
    }

    /// The process ends within its three seconds from anywhere, and gives back what it can.
    #[test]
    fn it_ends_in_good_order_from_anywhere(acts in acts(), seed in 1u64..) {
        let mut world = World::new(seed);
        for (act, wait) in acts {
            world.act(act);
            world.run(Duration::from_millis(wait));
        }
        world.input(Input::Shutdown);
        world.run(Duration::from_millis(2500));
        prop_assert!(world.finished, "{:#?}", world.kiosk);
        prop_assert!(!world.capture());
    }
}

#[test]
fn a_press_costs_three_requests_and_a_clerk_one_more() {
    let mut world = World::idle();
    world.act(Act::ClerkJoins);
    world.requests.clear();
    world.act(Act::Press);
    let first: Vec<_> = world.requests.iter().map(std::mem::discriminant).collect();
    let want = [
        Request::Publish { url: String::new(), sdp: String::new() },
        Request::TakeSeat { push_url: String::new() },
        Request::Members,
    ];
    assert_eq!(first, want.iter().map(std::mem::discriminant).collect::<Vec<_>>());
    assert!(world.capture(), "the camera opens with the press");
    world.run(SEC);
    assert_eq!(world.state(), "in_call");
    assert!(world.is_sending());
    assert!(matches!(world.requests.iter().filter(|r| matches!(r, Request::Play { .. })).count(), 1));
}

#[test]
fn what_is_answered_after_the_hangup_is_put_away_too() {
    for wait in 0..90 {
        let mut world = World::idle();
        world.act(Act::ClerkJoins);
        world.act(Act::Press);
        world.run(Duration::from_millis(wait));
        world.act(Act::Hangup);
        world.heal();
        world.run(4 * SEC);
        assert_eq!((world.state(), world.is_member(), world.resources()), ("idle", false, 0), "{wait} ms");
    }
}

#[test]
fn while_idle_the_connections_of_a_press_stay_warm() {
    let mut world = World::idle();
    for _ in 0..20 {
        world.requests.clear();
        world.run(5 * SEC);
        assert!(
            world.requests.iter().any(|r| matches!(r, Request::Warm { push_url: Some(_) })),
            "{:?}",
            world.requests
        );
        assert!(world.requests.len() <= 2, "and cost little: {:?}", world.requests);
    }
}

#[test]
fn nothing_is_sent_while_nobody_is_there() {
    let mut world = World::idle();
    world.act(Act::Press);
    world.run(20 * SEC);
    assert_eq!(world.state(), "waiting");
    assert!(world.capture() && !world.is_sending());
    world.act(Act::ClerkJoins);
    world.run(SEC);
    assert!(world.is_sending());
    world.act(Act::ClerkQuits);
    world.run(SEC);
    assert_eq!((world.state(), world.is_sending()), ("in_call", false));
    world.run(31 * SEC);
    assert_eq!(world.state(), "idle");
}

#[test]
fn when_the_clerk_hangs_up_the_call_is_over_at_once() {
    let mut world = World::idle();
    world.act(Act::Press);
    world.run(SEC);
    world.act(Act::ClerkHangsUp);
    world.run(SEC);
    assert_eq!(world.state(), "waiting", "somebody who is not in the room has no say");
    world.act(Act::ClerkJoins);
    world.run(SEC);
    world.act(Act::ClerkHangsUp);
    world.run(SEC);
    assert_eq!((world.state(), world.is_member(), world.capture()), ("idle", false, false));
}

#[test]
fn it_gives_up_waiting_after_two_minutes_and_says_so() {
    let mut world = World::idle();
    world.act(Act::Press);
    world.run(119 * SEC);
    assert_eq!(world.state(), "waiting");
    world.run(3 * SEC);
    assert_eq!(world.state(), "idle");
    let said =
        |command: &Command| matches!(command, Command::Screen(screen) if screen.headline.contains("Nobody"));
    assert!(world.told.iter().any(said));
}

/// The headline the customer reads.
fn headline(world: &World) -> &str {
    let screen = world.told.iter().rev().find_map(|command| match command {
        Command::Screen(screen) => Some(screen.headline.as_str()),
        _ => None,
    });
    screen.unwrap_or_default()
}

#[test]
fn a_closed_page_still_in_the_room_leaves_the_customer_waiting_for_another_clerk() {
    let mut world = World::idle();
    world.act(Act::GhostJoins);
    world.act(Act::Press);
    world.run(20 * SEC);
    assert_eq!(world.state(), "in_call", "nothing yet tells it from a clerk whose picture is late");
    world.act(Act::ClerkQuits);
    world.run(SEC);
    assert_eq!((world.state(), world.lamp), ("waiting", Some(Lamp::Waiting)));
    assert!(headline(&world).contains("Waiting for somebody"), "{}", headline(&world));
    assert!(world.is_member() && world.capture() && !world.is_sending());
    world.run(100 * SEC);
    assert_eq!(world.state(), "waiting", "as long as after a press");
    world.act(Act::ClerkJoins);
    world.run(SEC);
    assert_eq!((world.state(), world.is_sending(), headline(&world)), ("in_call", true, ""));
    world.run(60 * SEC);
    world.act(Act::ClerkQuits);
    world.run(SEC);
    assert_eq!(world.state(), "in_call", "this one was met, and may come back");
    world.run(31 * SEC);
    assert_eq!((world.state(), world.is_member(), world.resources()), ("idle", false, 0));
}

#[test]
fn nobody_comes_after_a_closed_page_and_the_customer_is_told() {
    let mut world = World::idle();
    world.act(Act::GhostJoins);
    world.act(Act::Press);
    world.run(10 * SEC);
    world.act(Act::ClerkQuits);
    world.run(119 * SEC);
    assert_eq!(world.state(), "waiting");
    world.run(3 * SEC);
    assert_eq!((world.state(), world.is_member()), ("idle", false));
    assert!(headline(&world).contains("Nobody"), "{}", headline(&world));
}

#[test]
fn clerks_who_come_and_go_without_media_do_not_keep_the_customer_for_ever() {
    let mut world = World::idle();
    world.act(Act::Press);
    let pressed = world.now;
    while world.kiosk.state.in_call() {
        assert!(world.now < pressed + 280 * SEC, "still {}", world.state());
        for act in [Act::GhostJoins, Act::ClerkQuits] {
            world.act(act);
            world.run(15 * SEC);
        }
    }
    assert!(world.now > pressed + 230 * SEC, "it gave up after {:?}", world.now - pressed);
    world.run(2 * SEC);
    let said = |command: &Command| matches!(command, Command::Screen(s) if s.headline.contains("Nobody"));
    let journal: Vec<_> = world.kiosk.core.journal().map(|entry| entry.text.to_string()).collect();
    assert!(world.told.iter().any(said), "and says so: {journal:#?}");
}

#[test]
fn fifty_presses_in_a_short_time_do_not_upset_it() {
    let mut world = World::idle();
    for _ in 0..50 {
        world.act(Act::Press);
        world.run(Duration::from_millis(37));
    }
    world.act(Act::Hangup);
    world.heal();
    world.run(5 * SEC);
    assert_eq!(world.state(), "idle");
    assert!(!world.is_member());
    assert_eq!(world.resources(), 0);
    assert_eq!(world.kills, 0);
}

#[test]
fn a_full_room_says_busy_and_goes_back_to_idle() {
    let mut world = World::idle();
    world.act(Act::Stranger);
    world.act(Act::Press);
    world.run(SEC);
    let busy =
        |command: &Command| matches!(command, Command::Screen(screen) if screen.headline.contains("busy"));
    assert!(world.told.iter().any(busy));
    world.run(8 * SEC);
    assert_eq!(world.state(), "idle");
    assert!(!world.told.iter().rev().find(|c| matches!(c, Command::Screen(_))).is_some_and(busy));
}

#[test]
fn a_worker_that_dies_or_hangs_is_replaced_and_the_call_comes_back() {
    for (act, within) in [(Act::WorkerDies, 1500), (Act::WorkerHangs, 5500), (Act::WorkerStalls, 7000)] {
        let mut world = World::idle();
        world.act(Act::ClerkJoins);
        world.act(Act::Press);
        world.run(10 * SEC);
        let before = world.generation();
        world.act(act);
        world.run(Duration::from_millis(within));
        assert_eq!(world.state(), "in_call", "{act:?}");
        assert_eq!(world.generation(), before + 1, "{act:?}");
        assert!(world.is_sending() && world.capture(), "{act:?}");
        assert_eq!(world.resources(), 2, "{act:?}: the old sessions are deleted, the new ones are there");
    }
}

#[test]
fn a_server_that_restarts_mid_call_gets_the_call_back() {
    let mut world = World::idle();
    world.act(Act::ClerkJoins);
    world.act(Act::Press);
    world.run(10 * SEC);
    world.act(Act::ServerRefuses);
    world.run(8 * SEC);
    world.act(Act::ServerRestarts);
    world.run(3 * SEC);
    assert!(world.is_member());
    world.act(Act::ClerkJoins);
    world.run(SEC);
    assert_eq!(world.state(), "in_call");
    assert!(world.is_sending());
}

#[test]
fn a_member_with_a_new_stream_is_played_anew() {
    let mut world = World::idle();
    world.act(Act::ClerkJoins);
    world.act(Act::Press);
    world.run(5 * SEC);
    world.requests.clear();
    world.act(Act::ClerkNewStream);
    world.run(SEC);
    assert!(world.requests.iter().any(|r| matches!(r, Request::Play { .. })));
    assert!(world.requests.iter().any(|r| matches!(r, Request::Delete { .. })));
    assert_eq!(world.resources(), 2);
}

#[test]
fn days_pass_in_milliseconds_and_cost_no_login() {
    let mut world = World::idle();
    let logins = world.kiosk.link.logins;
    for _ in 0..3 {
        world.run(Duration::from_secs(86_400));
        world.act(Act::Press);
        world.act(Act::ClerkJoins);
        world.heal();
        world.run(600 * SEC);
        assert_eq!(world.state(), "in_call");
        world.act(Act::Press);
        world.act(Act::ClerkQuits);
        world.heal();
        world.run(5 * SEC);
        assert_eq!(world.state(), "idle");
    }
    assert_eq!(world.kiosk.link.logins, logins);
}

#[test]
fn a_long_press_ends_whatever_call_there_is_and_never_starts_one() {
    let mut world = World::idle();
    world.act(Act::LongPress);
    world.run(SEC);
    assert_eq!((world.state(), world.kiosk.calls), ("idle", 0));
    world.act(Act::ClerkJoins);
    // The press that began the call, held on: joining, then in the call.
    for wait in [100, 2000] {
        world.act(Act::Press);
        world.run(Duration::from_millis(wait));
        assert!(world.kiosk.state.in_call());
        world.act(Act::LongPress);
        assert_eq!(world.state(), "leaving", "at once");
        world.heal();
        world.run(4 * SEC);
        assert_eq!((world.state(), world.is_member(), world.capture()), ("idle", false, false));
    }
    assert_eq!(world.kiosk.calls, 2);
}

#[test]
fn a_stuck_button_and_one_that_cannot_be_read_are_told_to_the_customer_until_they_work() {
    for (breaks, heals) in [(Act::Stuck, Act::Unstuck), (Act::ButtonFails, Act::ButtonWorks)] {
        let mut world = World::idle();
        assert_eq!(world.lamp, Some(Lamp::Idle));
        let told = |world: &World| {
            let screen = world.told.iter().rev().find_map(|command| match command {
                Command::Screen(screen) => Some(screen.detail.clone()),
                _ => None,
            });
            screen.is_some_and(|detail| detail.contains("The button does not work"))
        };
        world.act(breaks);
        assert!(told(&world) && world.lamp == Some(Lamp::Trouble), "{breaks:?}");
        assert_eq!(world.state(), "idle", "the control socket still works");
        world.act(Act::Press);
        world.run(SEC);
        assert_eq!(world.state(), "waiting");
        world.act(Act::Hangup);
        world.heal();
        world.run(4 * SEC);
        assert!(told(&world));
        world.act(heals);
        assert!(!told(&world) && world.lamp == Some(Lamp::Idle), "{heals:?}");
    }
}

#[test]
fn the_lamp_shows_every_state() {
    let mut world = World::idle();
    let mut seen = vec![world.lamp];
    world.act(Act::Press);
    seen.push(world.lamp);
    world.run(SEC);
    seen.push(world.lamp);
    world.act(Act::ClerkJoins);
    world.run(SEC);
    seen.push(world.lamp);
    world.act(Act::Hangup);
    seen.push(world.lamp);
    world.heal();
    world.run(4 * SEC);
    world.act(Act::ServerRefuses);
    world.run(20 * SEC);
    assert_eq!(world.state(), "offline");
    seen.push(world.lamp);
    world.heal();
    world.run(20 * SEC);
    seen.push(world.lamp);
    let want = [Lamp::Idle, Lamp::Waiting, Lamp::Waiting, Lamp::InCall, Lamp::Off, Lamp::Trouble, Lamp::Idle];
    assert_eq!(seen, want.map(Some));
}

#[test]
fn the_housing_is_journalled_when_it_opens_and_when_it_is_shut_again() {
    let mut world = World::idle();
    let lines = |world: &World| {
        let tamper = world.kiosk.core.journal().filter(|entry| entry.text.starts_with("tamper"));
        tamper.map(|entry| entry.text.to_string()).collect::<Vec<_>>()
    };
    world.input(Input::Door { open: false });
    assert_eq!((lines(&world).len(), world.kiosk.front.tamper.open), (0, Some(false)), "as it should be");
    for open in [true, true, false] {
        world.input(Input::Door { open });
    }
    assert_eq!(lines(&world), ["tamper: the housing was opened", "tamper: the housing was shut again"]);
    world.input(Input::Door { open: true });
    let standing = Standing::Trouble { detail: "gone".into() };
    world.input(Input::Fitting(Fitting::Tamper, standing));
    assert_eq!(world.kiosk.front.tamper.open, None, "a switch that cannot be read says nothing");
}

#[test]
fn a_line_that_is_tried_again_in_vain_is_journalled_once() {
    let mut world = World::idle();
    for _ in 0..20 {
        world.act(Act::ButtonFails);
    }
    let count =
        world.kiosk.core.journal().filter(|entry| entry.text.contains("GPIO chip x is not there")).count();
    assert_eq!(count, 1);
}
