//! The operations under `/weapp/{kind}/` (section 3). Each acts for the token's user.

mod live;
mod room;
mod session;

use super::answer::{Outcome, Refused};
use super::fields::Fields;
use super::office::Office;
use super::rooms::RoomName;
use crate::room::wire::{Kind, code};

pub(super) use session::{authenticate, dev_ticket, login, logout, renew_ticket};

/// The longest user ID. The clients' own limit is 32.
pub(super) const USER_ID_LIMIT: usize = 64;
/// The longest room ID.
const ROOM_ID_LIMIT: usize = 128;

/// One request of a logged-in user.
pub(super) struct Call<'a> {
    /// What everything shares.
    pub(super) office: &'a Office,
    /// From the route.
    pub(super) kind: Kind,
    /// The token's user.
    pub(super) user: &'a str,
    /// The body.
    pub(super) fields: &'a Fields,
    /// What goes before the path of an address.
    pub(super) base: &'a str,
}

/// Carries out a request.
pub(super) type Operation = fn(&Call<'_>) -> Outcome;

/// Finds the operation of this name.
pub(super) fn find(kind: Kind, name: &str) -> Option<Operation> {
    let operation: Operation = match name {
        "get_push_url" => room::get_push_url,
        "get_room_list" => room::get_room_list,
        "get_pushers" => room::get_pushers,
        "create_room" => room::create_room,
        "destroy_room" => room::destroy_room,
        "add_pusher" => room::add_pusher,
        "delete_pusher" => room::delete_pusher,
        "pusher_heartbeat" => room::pusher_heartbeat,
        _ if kind != Kind::LiveRoom => return None,
        "merge_stream" => live::merge_stream,
        "get_custom_info" => live::get_custom_info,
        "set_custom_field" => live::set_custom_field,
        "add_audience" => live::add_audience,
        "delete_audience" => live::delete_audience,
        "get_audiences" => live::get_audiences,
        _ => return None,
    };
    Some(operation)
}

impl Call<'_> {
    /// The body's `userID` has to be there, as in the originals; it has to be the token's user, unlike there.
    fn check_user(&self) -> Result<(), Refused> {
        if self.fields.text("userID", USER_ID_LIMIT)? == self.user {
            Ok(())
        } else {
            Err(Refused::new(code::FORBIDDEN, "userID is not the token's user"))
        }
    }

    fn room(&self) -> Result<RoomName, Refused> {
        Ok(RoomName::new(self.kind, self.fields.text("roomID", usize::MAX)?))
    }

    fn forbidden(&self, name: &RoomName) -> Refused {
        Refused::new(code::FORBIDDEN, format!("the role of {} does not allow room {}", self.user, name.id))
    }

    fn check_may_see(&self, name: &RoomName) -> Result<(), Refused> {
        if self.office.roles.may_see(self.user, &name.id) { Ok(()) } else { Err(self.forbidden(name)) }
    }
}

/// Whether a room may be made under this ID.
fn check_room_id(id: &str) -> Result<(), Refused> {
    if id.is_empty() || id.len() > ROOM_ID_LIMIT || id.chars().any(char::is_control) {
        let message = format!("roomID must have 1 to {ROOM_ID_LIMIT} bytes and no control characters");
        return Err(Refused::request(message));
    }
    Ok(())
}
