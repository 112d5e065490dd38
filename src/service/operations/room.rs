//! The operations every kind has.

use serde_json::{Value, json};

use super::{Call, check_room_id};
use crate::room::wire::{self, Kind, code};
use crate::service::address::ADDRESS_LIFE_SECS;
use crate::service::answer::{Outcome, Refused, success};
use crate::service::clock::Now;
use crate::service::random;
use crate::service::rooms::{Entrant, ROOM_INFO_LIMIT, Room, RoomName};

/// The longest `userName`.
const NAME_LIMIT: usize = 256;
/// The longest `userAvatar`; the mini program hands in addresses.
const AVATAR_LIMIT: usize = 1024;
/// The most rooms in one answer.
const LIST_LIMIT: i64 = 200;

pub(super) fn get_push_url(call: &Call<'_>) -> Outcome {
    call.check_user()?;
    let url = call.office.addresses.push(call.base, call.user, Now::read().unix());
    let url = url.map_err(|e| Refused::new(-1, format!("no random bytes: {e}")))?;
    success(json!({ "pushURL": url }))
}

pub(super) fn get_room_list(call: &Call<'_>) -> Outcome {
    let count = call.fields.number("cnt")?.clamp(1, LIST_LIMIT).unsigned_abs();
    let index = call.fields.number("index")?.max(0).unsigned_abs();
    let (count, index) = (usize::try_from(count).unwrap_or(0), usize::try_from(index).unwrap_or(usize::MAX));
    let rooms: Vec<Value> = call.office.with(|state, now| {
        let seen =
            state.rooms.list(call.kind).filter(|(name, _)| call.office.roles.may_see(call.user, &name.id));
        seen.skip(index)
            .take(count)
            .map(|(name, room)| {
                let mut json = describe(call, now, name, room);
                if call.kind == Kind::LiveRoom {
                    json["audienceCount"] = state.rooms.audience(name).len().into();
                }
                json
            })
            .collect()
    });
    success(json!({ "rooms": rooms }))
}

pub(super) fn get_pushers(call: &Call<'_>) -> Outcome {
    let name = call.room()?;
    call.check_may_see(&name)?;
    call.office.with(|state, now| {
        let room = state.rooms.entered(&name)?;
        success(describe(call, now, &name, room))
    })
}

pub(super) fn create_room(call: &Call<'_>) -> Outcome {
    call.check_user()?;
    let info = room_info(call)?.ok_or_else(|| Refused::request("roomInfo is absent"))?;
    let wanted = call.fields.optional("roomID", usize::MAX)?.filter(|id| !id.is_empty());
    if let Some(id) = &wanted {
        check_room_id(id)?;
    }
    let id = match &wanted {
        Some(id) => Ok(id.clone()),
        // 48 random bits; a collision is answered with code 11, as for a name that was asked for.
        None => random::hex::<6>().map(|hex| format!("room_{}_{}", &hex[..8], &hex[8..])),
    };
    let id = id.map_err(|e| Refused::new(-1, format!("no random bytes: {e}")))?;
    let name = RoomName::new(call.kind, id);
    if !call.office.roles.may_make(call.user, &name.id) {
        return Err(call.forbidden(&name));
    }
    call.office.with(|state, now| state.rooms.create(now, &name, call.user, &info))?;
    log::info!("{name}: made by {}", call.user);
    success(json!({ "roomID": name.id }))
}

pub(super) fn destroy_room(call: &Call<'_>) -> Outcome {
    let name = call.room()?;
    call.check_user()?;
    call.office.with(|state, _| state.rooms.destroy(&name, call.user))?;
    log::info!("{name}: destroyed by {}", call.user);
    success(json!({}))
}

pub(super) fn add_pusher(call: &Call<'_>) -> Outcome {
    let name = call.room()?;
    call.check_user()?;
    let user_name = call.fields.text("userName", NAME_LIMIT)?;
    let avatar = call.fields.text("userAvatar", AVATAR_LIMIT)?;
    let push_url = call.fields.text("pushURL", usize::MAX)?;
    let info = room_info(call)?.unwrap_or_default();
    check_room_id(&name.id)?;
    let made = call.office.with(|state, now| {
        if !call.office.roles.may_enter(call.user, &name.id, state.rooms.get(&name)) {
            return Err(call.forbidden(&name));
        }
        let stream = call.office.addresses.stream_of(&push_url, call.user, now.unix());
        let stream = stream.map_err(|bad| Refused::request(bad.to_string()))?;
        let entrant = Entrant {
            user: call.user.to_owned(),
            name: user_name,
            avatar,
            stream,
            play_until: now.unix() + ADDRESS_LIFE_SECS,
        };
        Ok(state.rooms.enter(now, &name, entrant, &info)?)
    })?;
    log::info!("{name}: {} entered", call.user);
    success(if made { json!({ "roomID": name.id }) } else { json!({}) })
}

pub(super) fn delete_pusher(call: &Call<'_>) -> Outcome {
    let name = call.room()?;
    call.check_user()?;
    call.office.with(|state, now| state.rooms.leave(now, &name, call.user))?;
    log::info!("{name}: {} left", call.user);
    success(json!({}))
}

pub(super) fn pusher_heartbeat(call: &Call<'_>) -> Outcome {
    let name = call.room()?;
    call.check_user()?;
    call.office.with(|state, now| state.rooms.beat(now, &name, call.user))?;
    success(json!({}))
}

fn room_info(call: &Call<'_>) -> Result<Option<String>, Refused> {
    let info = call.fields.optional("roomInfo", usize::MAX)?;
    match &info {
        Some(info) if info.len() > ROOM_INFO_LIMIT => Err(Refused::new(
            code::ROOM_INFO_TOO_LONG,
            format!("roomInfo is longer than {ROOM_INFO_LIMIT} bytes"),
        )),
        _ => Ok(info),
    }
}

/// A room as members and the list see it. The play addresses name the server as the caller reached it.
fn describe(call: &Call<'_>, now: Now, name: &RoomName, room: &Room) -> Value {
    let pushers = room.members().iter().map(|member| {
        let who = member.who();
        wire::Pusher {
            user_id: who.user.clone(),
            user_name: who.name.clone(),
            user_avatar: who.avatar.clone(),
            accelerate_url: call.office.addresses.play(call.base, &who.stream, who.play_until),
        }
    });
    let waiting = room.waiting(now).map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    let room = wire::Room {
        room_id: name.id.clone(),
        room_info: room.info().to_owned(),
        room_creator: room.creator().unwrap_or_default().to_owned(),
        mixed_play_url: String::new(),
        custom: room.counters_json(),
        pushers: pushers.collect(),
        waiting_ms: waiting,
    };
    // These types always serialize.
    serde_json::to_value(room).unwrap_or_default()
}
