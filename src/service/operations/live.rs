//! The operations only a live_room has.

use serde_json::{Value, json};

use super::{Call, USER_ID_LIMIT};
use crate::room::wire::code;
use crate::service::answer::{Outcome, Refused, success};
use crate::service::rooms::Listener;

/// The longest counter name.
const FIELD_LIMIT: usize = 64;
/// The longest text of a listener.
const LISTENER_LIMIT: usize = 1024;
/// The original's code for mergeParams that are no JSON (section 2).
const BAD_MERGE_PARAMS: i32 = code::ROOM_INFO_TOO_LONG;

/// Nothing is mixed here, so there is nothing to pass on; the answer is that of a server whose mixer did not answer.
pub(super) fn merge_stream(call: &Call<'_>) -> Outcome {
    call.room()?;
    call.check_user()?;
    match call.fields.get("mergeParams") {
        None => Err(Refused::request("mergeParams is absent")),
        Some(Value::Object(_)) => success(json!({ "result": {} })),
        Some(Value::String(text)) if serde_json::from_str::<Value>(text).is_ok() => {
            success(json!({ "result": {} }))
        }
        Some(_) => Err(Refused::new(BAD_MERGE_PARAMS, "mergeParams is not JSON")),
    }
}

pub(super) fn get_custom_info(call: &Call<'_>) -> Outcome {
    let name = call.room()?;
    call.check_may_see(&name)?;
    let custom = call.office.with(|state, _| state.rooms.entered(&name).map(|room| room.counters_json()))?;
    both_names(&custom)
}

pub(super) fn set_custom_field(call: &Call<'_>) -> Outcome {
    let name = call.room()?;
    let field = call.fields.text("fieldName", FIELD_LIMIT)?;
    let add = match call.fields.text("operation", FIELD_LIMIT)?.as_str() {
        "inc" => 1,
        "dec" => -1,
        _ => 0,
    };
    call.check_may_see(&name)?;
    let custom = call.office.with(|state, _| {
        state.rooms.count(&name, &field, add)?;
        state.rooms.entered(&name).map(|room| room.counters_json())
    })?;
    both_names(&custom)
}

pub(super) fn add_audience(call: &Call<'_>) -> Outcome {
    let name = call.room()?;
    call.check_user()?;
    let info = call.fields.text("userInfo", LISTENER_LIMIT)?;
    call.check_may_see(&name)?;
    let listener = Listener { user: call.user.to_owned(), info };
    call.office.with(|state, _| state.rooms.listen(&name, listener))?;
    success(json!({}))
}

pub(super) fn delete_audience(call: &Call<'_>) -> Outcome {
    let name = call.room()?;
    call.check_user()?;
    call.office.with(|state, _| state.rooms.unlisten(&name, call.user));
    success(json!({}))
}

pub(super) fn get_audiences(call: &Call<'_>) -> Outcome {
    let name = call.room()?;
    call.check_may_see(&name)?;
    call.fields.optional("userID", USER_ID_LIMIT)?;
    let audiences: Vec<Value> = call.office.with(|state, _| {
        let listeners = state.rooms.audience(&name).iter();
        listeners.map(|l| json!({ "userID": l.user, "userInfo": l.info })).collect()
    });
    success(json!({ "audienceCount": audiences.len(), "audiences": audiences }))
}

/// Node says `custom`, Java says `customInfo`.
fn both_names(custom: &str) -> Outcome {
    success(json!({ "custom": custom, "customInfo": custom }))
}
