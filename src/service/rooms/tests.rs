//! The room table against its rules, first by example, then in any order of requests.

#![allow(clippy::unwrap_used)]

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn double(id: &str) -> RoomName {
    RoomName::new(Kind::DoubleRoom, id)
}

fn entrant(user: &str) -> Entrant {
    entrant_with(user, &format!("stream-{user}"))
}

fn entrant_with(user: &str, stream: &str) -> Entrant {
    Entrant {
        user: user.into(),
        name: user.to_uppercase(),
        avatar: String::new(),
        stream: stream.into(),
        play_until: 0,
    }
}

fn table() -> (Rooms, Now) {
    let now = Now::read();
    (Rooms::new(Limits::default(), now), now)
}

fn drain(rooms: &mut Rooms) -> Vec<Output> {
    std::iter::from_fn(|| rooms.poll_output()).collect()
}

fn seq_of(event: &ImEvent) -> Option<u64> {
    match event {
        ImEvent::Notice { seq, .. }
        | ImEvent::Text { seq, .. }
        | ImEvent::Custom { seq, .. }
        | ImEvent::Closed { seq, .. } => Some(*seq),
        ImEvent::Hello { .. } | ImEvent::Gap { .. } | ImEvent::Rooms | ImEvent::Ack { .. } => None,
    }
}

#[test]
fn the_first_to_enter_is_the_creator_even_after_leaving() {
    let (mut rooms, now) = table();
    let r = double("r");
    rooms.create(now, &r, "maker", "info").unwrap();
    assert_eq!(rooms.entered(&r).err(), Some(Denied::NoRoom), "made, not entered");
    assert_eq!(rooms.enter(now, &r, entrant("a"), "ignored"), Ok(false));
    rooms.enter(now, &r, entrant("b"), "").unwrap();
    rooms.leave(now, &r, "a").unwrap();
    let room = rooms.entered(&r).unwrap();
    assert_eq!((room.creator(), room.info()), (Some("a"), "info"));
    assert_eq!(rooms.destroy(&r, "b"), Err(Denied::NotTheCreator));
    assert_eq!(rooms.destroy(&r, "maker"), Err(Denied::NotTheCreator));
    assert_eq!(rooms.destroy(&r, "a"), Ok(()));
    assert_eq!(rooms.destroy(&r, "a"), Err(Denied::NoRoom));
}

#[test]
fn who_made_a_room_may_destroy_it_while_nobody_has_entered() {
    let (mut rooms, now) = table();
    rooms.create(now, &double("r"), "maker", "").unwrap();
    assert_eq!(rooms.destroy(&double("r"), "other"), Err(Denied::NotTheCreator));
    assert_eq!(rooms.destroy(&double("r"), "maker"), Ok(()));
}

#[test]
fn a_room_nobody_enters_is_dropped_after_30_s() {
    let (mut rooms, now) = table();
    rooms.create(now, &double("r"), "a", "").unwrap();
    rooms.sweep(now + (UNENTERED_LIFE - Duration::from_millis(1)), |_| false);
    assert_eq!(rooms.create(now, &double("r"), "b", ""), Err(Denied::RoomExists));
    rooms.sweep(now + UNENTERED_LIFE, |_| false);
    assert_eq!(rooms.create(now, &double("r"), "b", ""), Ok(()));
}

#[test]
fn a_full_room_refuses_a_third_and_takes_a_member_back() {
    let (mut rooms, now) = table();
    let r = double("r");
    rooms.enter(now, &r, entrant("a"), "").unwrap();
    rooms.enter(now, &r, entrant("b"), "").unwrap();
    drain(&mut rooms);
    assert_eq!(rooms.enter(now, &r, entrant("c"), ""), Err(Denied::RoomFull));
    assert!(drain(&mut rooms).is_empty(), "nothing changed");
    assert_eq!(rooms.enter(now, &r, entrant_with("b", "fresh"), ""), Ok(false));
    let outputs = drain(&mut rooms);
    assert!(outputs.contains(&Output::CloseStream("stream-b".into())), "{outputs:?}");
    assert_eq!(rooms.get(&r).unwrap().members().len(), 2);
}

#[test]
fn the_same_name_is_another_room_in_another_kind() {
    let (mut rooms, now) = table();
    rooms.create(now, &double("constructor"), "a", "").unwrap();
    rooms.create(now, &RoomName::new(Kind::MultiRoom, "constructor"), "a", "").unwrap();
}

#[test]
fn silence_ends_a_seat_after_20_s_unless_the_stream_is_live() {
    let (mut rooms, now) = table();
    let r = double("r");
    rooms.enter(now, &r, entrant("a"), "").unwrap();
    rooms.enter(now, &r, entrant("b"), "").unwrap();
    rooms.sweep(now + 20 * SECOND, |_| false);
    assert_eq!(rooms.get(&r).unwrap().members().len(), 2, "20 s is not too long");
    let late = now + 20 * SECOND + Duration::from_millis(1);
    assert_eq!(rooms.late_streams(late).count(), 2);
    rooms.sweep(late, |stream| stream == "stream-a");
    assert!(rooms.is_member(&r, "a") && !rooms.is_member(&r, "b"));
    assert_eq!(rooms.late_streams(late).count(), 0, "a live stream counts as a beat");
    assert_eq!(rooms.beat(late, &r, "b"), Err(Denied::NotAMember));
}

#[test]
fn a_live_room_ends_with_its_creator_and_a_double_room_only_when_told() {
    for (kind, told, ends) in [
        (Kind::LiveRoom, false, true),
        (Kind::DoubleRoom, false, false),
        (Kind::DoubleRoom, true, true),
        (Kind::MultiRoom, true, true),
    ] {
        let now = Now::read();
        let mut rooms = Rooms::new(Limits { creator_can_destroy: told, ..Limits::default() }, now);
        let r = RoomName::new(kind, "r");
        rooms.enter(now, &r, entrant("a"), "").unwrap();
        rooms.enter(now, &r, entrant("b"), "").unwrap();
        drain(&mut rooms);
        rooms.leave(now, &r, "a").unwrap();
        let outputs = drain(&mut rooms);
        let closed = outputs.iter().any(
            |o| matches!(o, Output::Send { to, event: ImEvent::Closed { .. } } if to == &["b".to_owned()]),
        );
        assert_eq!((closed, rooms.get(&r).is_none()), (ends, ends), "{kind:?} {told}");
        assert_eq!(outputs.contains(&Output::CloseStream("stream-b".into())), ends);
    }
}

#[test]
fn who_leaves_stops_publishing_and_playing() {
    let (mut rooms, now) = table();
    rooms.enter(now, &double("r"), entrant("a"), "").unwrap();
    rooms.enter(now, &double("r"), entrant("b"), "").unwrap();
    drain(&mut rooms);
    rooms.leave(now, &double("r"), "a").unwrap();
    let outputs = drain(&mut rooms);
    assert!(outputs.contains(&Output::CloseStream("stream-a".into())), "{outputs:?}");
    let viewer = Output::CloseViewer { user: "a".into(), stream: "stream-b".into() };
    assert!(outputs.contains(&viewer), "{outputs:?}");
}

#[test]
fn a_member_who_wants_to_leave_is_told_apart_from_one_who_got_lost() {
    let (mut rooms, now) = table();
    let r = double("r");
    rooms.enter(now, &r, entrant("a"), "").unwrap();
    let who_left = |rooms: &mut Rooms| match drain(rooms).into_iter().rev().find_map(|o| match o {
        Output::Send { event: ImEvent::Notice { left, .. }, .. } => Some(left),
        _ => None,
    }) {
        Some(left) => left,
        None => panic!("no notice"),
    };
    rooms.enter(now, &r, entrant("b"), "").unwrap();
    assert_eq!(who_left(&mut rooms), None, "entering is no leaving");
    rooms.leave(now, &r, "b").unwrap();
    assert_eq!(who_left(&mut rooms).as_deref(), Some("b"));
    rooms.enter(now, &r, entrant("b"), "").unwrap();
    drain(&mut rooms);
    rooms.beat(now + 60 * SECOND, &r, "a").unwrap();
    rooms.sweep(now + 60 * SECOND, |_| false);
    assert_eq!(who_left(&mut rooms), None, "b was silent for a minute, and may come back");
}

#[test]
fn leaving_one_of_two_shared_rooms_ends_no_media() {
    let (mut rooms, now) = table();
    for id in ["r", "s"] {
        rooms.enter(now, &double(id), entrant("a"), "").unwrap();
        rooms.enter(now, &double(id), entrant("b"), "").unwrap();
    }
    drain(&mut rooms);
    rooms.leave(now, &double("r"), "a").unwrap();
    let media = |o: &Output| matches!(o, Output::CloseStream(_) | Output::CloseViewer { .. });
    assert!(!drain(&mut rooms).iter().any(media));
}

#[test]
fn waiting_counts_from_when_the_member_was_alone() {
    let (mut rooms, now) = table();
    let r = double("r");
    rooms.enter(now, &r, entrant("a"), "").unwrap();
    let waiting = |rooms: &Rooms, at| rooms.get(&r).unwrap().waiting(at).map(|w| w.as_secs());
    assert_eq!(waiting(&rooms, now + 5 * SECOND), Some(5));
    rooms.enter(now + 6 * SECOND, &r, entrant("a"), "").unwrap();
    assert_eq!(waiting(&rooms, now + 7 * SECOND), Some(7), "entering again does not start it over");
    rooms.enter(now + 8 * SECOND, &r, entrant("b"), "").unwrap();
    assert_eq!(waiting(&rooms, now + 9 * SECOND), None);
    rooms.leave(now + 10 * SECOND, &r, "a").unwrap();
    assert_eq!(waiting(&rooms, now + 12 * SECOND), Some(2));
}

#[test]
fn one_user_cannot_fill_the_table() {
    let (mut rooms, now) = table();
    for n in 0..ROOMS_PER_USER {
        rooms.create(now, &double(&format!("made-{n}")), "a", "").unwrap();
        rooms.enter(now, &double(&format!("entered-{n}")), entrant("b"), "").unwrap();
    }
    assert_eq!(rooms.create(now, &double("more"), "a", ""), Err(Denied::TooManyRooms));
    assert_eq!(rooms.enter(now, &double("more"), entrant("b"), ""), Err(Denied::TooManyRooms));
    assert_eq!(
        rooms.enter(now, &double("more"), entrant("c"), &"x".repeat(1025)),
        Err(Denied::RoomInfoTooLong)
    );
    assert!(rooms.get(&double("more")).is_none());
}

fn say(rooms: &mut Rooms, now: Now, user: &str, text: &str) -> Result<(), Denied> {
    rooms.say(now, &double("r"), user, Saying::Text(text.into()))
}

#[test]
fn a_text_goes_to_all_members_with_the_senders_name() {
    let (mut rooms, now) = table();
    rooms.enter(now, &double("r"), entrant("a"), "").unwrap();
    rooms.enter(now, &double("r"), entrant("b"), "").unwrap();
    drain(&mut rooms);
    say(&mut rooms, now, "a", "hello").unwrap();
    let outputs = drain(&mut rooms);
    let [Output::Send { to, event: ImEvent::Text { from, text, time, .. } }] = outputs.as_slice() else {
        panic!("not one text: {outputs:?}");
    };
    assert_eq!((to, from.user_name.as_str(), text.as_str()), (&vec!["a".into(), "b".into()], "A", "hello"));
    assert_eq!(*time, now.unix_ms);
    assert_eq!(say(&mut rooms, now, "c", "x"), Err(Denied::NotAMember));
    assert_eq!(rooms.say(now, &double("s"), "a", Saying::Text(String::new())), Err(Denied::NoRoom));
    assert_eq!(say(&mut rooms, now, "a", &"\u{1}".repeat(8000)), Err(Denied::TooLarge), "48 kB as JSON");
}

#[test]
fn who_comes_back_gets_what_it_missed_in_order() {
    let (mut rooms, now) = table();
    let r = double("r");
    rooms.enter(now, &r, entrant("a"), "").unwrap();
    rooms.enter(now, &r, entrant("b"), "").unwrap();
    let last = rooms.get(&r).unwrap().seq();
    for text in ["1", "2", "3"] {
        say(&mut rooms, now, "b", text).unwrap();
    }
    let seqs = |after| rooms.missed(&r, "a", after).iter().filter_map(seq_of).collect::<Vec<_>>();
    assert_eq!(seqs(last), [last + 1, last + 2, last + 3]);
    assert_eq!(seqs(last + 2), [last + 3]);
    assert_eq!(rooms.missed(&r, "a", last + 3), []);
    let gap = |seq| ImEvent::Gap { kind: Kind::DoubleRoom, room_id: "r".into(), seq };
    assert_eq!(rooms.missed(&r, "a", last + 4), [gap(last + 3)], "from before a restart");
    assert_eq!(rooms.missed(&r, "a", u64::MAX), [gap(last + 3)]);
    assert_eq!(rooms.missed(&r, "stranger", 0), [gap(0)]);
    assert_eq!(rooms.missed(&double("none"), "a", 0), [gap_of("none")]);
}

fn gap_of(id: &str) -> ImEvent {
    ImEvent::Gap { kind: Kind::DoubleRoom, room_id: id.into(), seq: 0 }
}

#[test]
fn a_newcomer_is_not_told_what_was_said_before() {
    let (mut rooms, now) = table();
    rooms.enter(now, &double("r"), entrant("a"), "").unwrap();
    say(&mut rooms, now, "a", "my account number").unwrap();
    rooms.enter(now, &double("r"), entrant("b"), "").unwrap();
    let missed = rooms.missed(&double("r"), "b", 0);
    assert!(!missed.iter().any(|event| matches!(event, ImEvent::Text { .. })), "{missed:?}");
    assert!(matches!(missed.last(), Some(ImEvent::Gap { .. })));
}

#[test]
fn the_backlog_is_bounded_in_number_and_bytes() {
    let (mut rooms, now) = table();
    rooms.enter(now, &double("r"), entrant("a"), "").unwrap();
    let start = rooms.get(&double("r")).unwrap().seq();
    for size in [10, 8000] {
        for _ in 0..200 {
            say(&mut rooms, now, "a", &"x".repeat(size)).unwrap();
        }
        let missed = rooms.missed(&double("r"), "a", start);
        let bytes: usize = missed.iter().map(room::json_len).sum();
        assert!(missed.len() <= 65 && bytes <= 65 * 1024, "{} events, {bytes} bytes", missed.len());
        assert!(matches!(missed.last(), Some(ImEvent::Gap { .. })));
    }
}

#[derive(Clone, Debug)]
enum Act {
    Create(usize, usize),
    Enter(usize, usize, usize),
    Leave(usize, usize),
    Beat(usize, usize),
    Destroy(usize, usize),
    Say(usize, usize),
    Sweep(u8),
    Wait(u64),
}

const USERS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn act() -> impl Strategy<Value = Act> {
    let (user, room) = (0..USERS.len(), 0..4_usize);
    prop_oneof![
        1 => (user.clone(), room.clone()).prop_map(|(u, r)| Act::Create(u, r)),
        6 => (user.clone(), room.clone(), 0..2_usize).prop_map(|(u, r, s)| Act::Enter(u, r, s)),
        3 => (user.clone(), room.clone()).prop_map(|(u, r)| Act::Leave(u, r)),
        3 => (user.clone(), room.clone()).prop_map(|(u, r)| Act::Beat(u, r)),
        1 => (user.clone(), room.clone()).prop_map(|(u, r)| Act::Destroy(u, r)),
        3 => (user, room).prop_map(|(u, r)| Act::Say(u, r)),
        3 => any::<u8>().prop_map(Act::Sweep),
        3 => (1..15_000_u64).prop_map(Act::Wait),
    ]
}

fn room_of(n: usize) -> RoomName {
    [double("r"), double("s"), RoomName::new(Kind::MultiRoom, "r"), RoomName::new(Kind::LiveRoom, "r")][n]
        .clone()
}

/// `live` has a bit for each of the streams.
fn is_live(live: u8, stream: &str) -> bool {
    stream.bytes().map(u32::from).sum::<u32>() % 8 == u32::from(live % 8)
}

fn streams_held(rooms: &Rooms) -> HashSet<String> {
    rooms.rooms.values().flat_map(Room::members).map(|m| m.stream().to_owned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_hold_in_any_order_of_requests(acts in prop::collection::vec(act(), 1..120)) {
        let (mut rooms, mut now) = table();
        let mut newest: HashMap<RoomName, u64> = HashMap::new();
        for act in acts {
            let held = streams_held(&rooms);
            // Whether it was allowed does not matter here, what it leaves behind does.
            match act.clone() {
                Act::Create(u, r) => { let _ = rooms.create(now, &room_of(r), USERS[u], ""); }
                Act::Enter(u, r, s) => {
                    let _ = rooms.enter(now, &room_of(r), entrant_with(USERS[u], &format!("{}{s}", USERS[u])), "");
                }
                Act::Leave(u, r) => { let _ = rooms.leave(now, &room_of(r), USERS[u]); }
                Act::Beat(u, r) => { let _ = rooms.beat(now, &room_of(r), USERS[u]); }
                Act::Destroy(u, r) => { let _ = rooms.destroy(&room_of(r), USERS[u]); }
                Act::Say(u, r) => { let _ = rooms.say(now, &room_of(r), USERS[u], Saying::Text("x".into())); }
                Act::Sweep(live) => rooms.sweep(now, |stream| is_live(live, stream)),
                Act::Wait(ms) => now = now + Duration::from_millis(ms),
            }

            // Seats, and no user twice.
            for (name, room) in &rooms.rooms {
                let users: HashSet<_> = room.members().iter().map(Member::user).collect();
                prop_assert_eq!(users.len(), room.members().len());
                prop_assert!(users.len() <= rooms.limits.seats(name.kind));
                prop_assert_eq!(room.is_entered(), !users.is_empty(), "a room is entered and empty");
                prop_assert_eq!(room.waiting(now).is_some(), users.len() == 1);
            }
            if let Act::Sweep(_) = act {
                prop_assert_eq!(rooms.late_streams(now).count(), 0);
                prop_assert!(rooms.rooms.values().all(|r| r.is_entered() || r.made_at() + UNENTERED_LIFE > now.instant));
            }

            // The indices say what the rooms say.
            let mut by_user: HashMap<String, BTreeSet<RoomName>> = HashMap::new();
            let mut by_stream: HashMap<String, BTreeSet<RoomName>> = HashMap::new();
            for (name, room) in &rooms.rooms {
                prop_assert_eq!(rooms.by_age.get(&(name.kind, room.age())), Some(name));
                for member in room.members() {
                    by_user.entry(member.user().into()).or_default().insert(name.clone());
                    by_stream.entry(member.stream().into()).or_default().insert(name.clone());
                }
            }
            prop_assert_eq!(&rooms.by_user, &by_user);
            prop_assert_eq!(&rooms.by_stream, &by_stream);
            prop_assert_eq!(rooms.by_age.len(), rooms.rooms.len());

            // What the shell is told.
            let mut closed = Vec::new();
            for output in drain(&mut rooms) {
                match output {
                    Output::Send { to, event } => {
                        prop_assert!(!to.is_empty());
                        let name = match &event {
                            ImEvent::Notice { kind, room_id, .. }
                            | ImEvent::Text { kind, room_id, .. }
                            | ImEvent::Closed { kind, room_id, .. } => RoomName::new(*kind, room_id.clone()),
                            other => panic!("not a room event: {other:?}"),
                        };
                        let seq = seq_of(&event).unwrap();
                        let before = newest.insert(name.clone(), seq);
                        prop_assert!(before.is_none_or(|before| before < seq), "{} after {:?}", seq, before);
                        if let Some(room) = rooms.get(&name) {
                            prop_assert!(seq <= room.seq());
                        }
                    }
                    Output::CloseStream(stream) => closed.push(stream),
                    Output::CloseViewer { user, stream } => {
                        prop_assert!(!rooms.rooms_of_stream(&stream).any(|room| rooms.is_member(room, &user)));
                    }
                    Output::RoomsChanged(_) => {}
                }
            }
            let gone: HashSet<String> = held.difference(&streams_held(&rooms)).cloned().collect();
            prop_assert_eq!(closed.len(), gone.len());
            prop_assert_eq!(closed.into_iter().collect::<HashSet<_>>(), gone, "each stream nobody has is ended once");
        }
    }

    #[test]
    fn a_beating_or_publishing_member_is_never_removed(
        steps in prop::collection::vec((1..20_000_u64, any::<bool>(), 0..4_u8), 1..60),
    ) {
        let (mut rooms, mut now) = table();
        let r = double("r");
        rooms.enter(now, &r, entrant("beats"), "").unwrap();
        rooms.enter(now, &r, entrant("publishes"), "").unwrap();
        for (ms, sweeps, others) in steps {
            now = now + Duration::from_millis(ms);
            rooms.beat(now, &r, "beats").unwrap();
            if sweeps {
                rooms.sweep(now, |stream| stream == "stream-publishes");
            }
            for n in 0..others {
                let _ = rooms.enter(now, &r, entrant(&format!("other-{n}")), "");
            }
            prop_assert!(rooms.is_member(&r, "beats") && rooms.is_member(&r, "publishes"));
        }
    }

    #[test]
    fn a_silent_member_is_gone_after_the_first_late_sweep(ms in 20_001..100_000_u64) {
        let (mut rooms, now) = table();
        rooms.enter(now, &double("r"), entrant("a"), "").unwrap();
        rooms.sweep(now + Duration::from_millis(ms), |_| false);
        prop_assert!(rooms.get(&double("r")).is_none());
    }

    #[test]
    fn what_was_missed_ends_at_the_newest_event(
        said in 0..150_u64, joined in 0..150_u64, after in 0..200_u64,
    ) {
        let (mut rooms, now) = table();
        let r = double("r");
        rooms.enter(now, &r, entrant("a"), "").unwrap();
        let start = rooms.get(&r).unwrap().seq();
        for n in 0..said {
            if n == joined {
                rooms.enter(now, &r, entrant("b"), "").unwrap();
            }
            say(&mut rooms, now, "a", "x").unwrap();
        }
        prop_assume!(rooms.is_member(&r, "b"));
        let newest = rooms.get(&r).unwrap().seq();
        let missed = rooms.missed(&r, "b", start + after);
        let seqs: Vec<u64> = missed.iter().filter_map(seq_of).collect();
        prop_assert!(seqs.windows(2).all(|w| w[1] == w[0] + 1));
        prop_assert!(seqs.last().is_none_or(|last| *last == newest));
        let whole = !matches!(missed.last(), Some(ImEvent::Gap { .. }));
        if whole {
            prop_assert_eq!(seqs.len() as u64, newest - (start + after));
        }
        prop_assert!(seqs.first().is_none_or(|first| *first > start + joined), "from before it came");
    }
}
