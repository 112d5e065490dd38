//! The relay's questions: may this token publish, may it play.

use std::sync::Arc;

use super::address::BadAddress;
use super::office::Office;
use super::relay::{Gate, Refusal};

/// Answers from the room table.
pub struct OfficeGate(pub Arc<Office>);

impl Gate for OfficeGate {
    /// Only the user the stream was given to publishes it. It need not be in a room yet: clients publish first.
    fn may_publish(&self, bearer: Option<&str>, stream: &str, query: &str) -> Result<String, Refusal> {
        let user = self.caller(bearer)?;
        let ended = self.0.with(|state, now| {
            self.0.addresses.check_push(stream, query, &user, now.unix()).map_err(refusal)?;
            if state.rooms.rooms_of_stream(stream).next().is_some() {
                return Ok(None);
            }
            Ok(state.loose.note(now, &user, stream))
        })?;
        if let Some(old) = ended {
            self.0.close_stream(&old);
        }
        Ok(user)
    }

    /// Only who is in a room with the stream's owner plays it.
    fn may_play(&self, bearer: Option<&str>, stream: &str, query: &str) -> Result<String, Refusal> {
        let user = self.caller(bearer)?;
        self.0.with(|state, now| {
            self.0.addresses.check_play(stream, query, now.unix()).map_err(refusal)?;
            let mut rooms = state.rooms.rooms_of_stream(stream).peekable();
            if rooms.peek().is_none() {
                return Err(Refusal::NoStream);
            }
            if rooms.any(|room| state.rooms.is_member(room, &user)) {
                Ok(user)
            } else {
                Err(Refusal::Forbidden("not a member of this stream's room"))
            }
        })
    }

    fn caller(&self, bearer: Option<&str>) -> Result<String, Refusal> {
        let token = bearer.ok_or(Refusal::Unauthorized)?;
        self.0.with(|state, now| {
            state.tokens.user(now, token).map(|(user, _)| user.to_owned()).ok_or(Refusal::Unauthorized)
        })
    }
}

fn refusal(bad: BadAddress) -> Refusal {
    Refusal::Forbidden(match bad {
        BadAddress::Expired => "the address has expired, ask for a new one",
        BadAddress::Secret | BadAddress::Foreign => "the address was not given to this user, or was altered",
    })
}
