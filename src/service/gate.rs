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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::room::wire::Kind;
    use crate::service::address::Addresses;
    use crate::service::clock::Now;
    use crate::service::config::Config;
    use crate::service::relay::{Relay, RelayConfig};
    use crate::service::rooms::{Entrant, RoomName};

    async fn gate() -> OfficeGate {
        let listen = "127.0.0.1:0".parse().unwrap();
        let relay = Relay::start(RelayConfig { listen, advertise: vec![listen.ip()] }).unwrap();
        let addresses = Addresses::new(None, false, String::new()).unwrap();
        OfficeGate(Arc::new(Office::new(Config::dev().unwrap(), addresses, relay, Now::read())))
    }

    impl OfficeGate {
        fn log_in(&self, user: &str) {
            self.0.with(|state, now| state.tokens.issue(now, user, &format!("token-{user}"))).unwrap();
        }

        /// A fresh stream of this user and its query.
        fn stream(&self, user: &str) -> (String, String) {
            let url = self.0.addresses.push("", user, Now::read().unix()).unwrap();
            let (path, query) = url.split_once('?').unwrap();
            (path.strip_prefix("/whip/").unwrap().to_owned(), query.to_owned())
        }

        fn seat(&self, user: &str, stream: &str) {
            let entrant = Entrant {
                user: user.into(),
                name: String::new(),
                avatar: String::new(),
                stream: stream.into(),
                play_until: 0,
            };
            let room = RoomName::new(Kind::MultiRoom, "r");
            self.0.with(|state, now| state.rooms.enter(now, &room, entrant, "")).unwrap();
        }

        fn play_query(&self, stream: &str) -> String {
            let url = self.0.addresses.play("", stream, Now::read().unix() + 60);
            url.split_once('?').unwrap().1.to_owned()
        }
    }

    #[tokio::test]
    async fn only_the_user_a_stream_was_given_to_publishes_it() {
        let gate = gate().await;
        gate.log_in("a");
        gate.log_in("b");
        let (stream, query) = gate.stream("a");
        assert_eq!(gate.may_publish(Some("token-a"), &stream, &query), Ok("a".into()));
        assert!(matches!(gate.may_publish(Some("token-b"), &stream, &query), Err(Refusal::Forbidden(_))));
        assert!(matches!(gate.may_publish(Some("token-a"), "other", &query), Err(Refusal::Forbidden(_))));
        assert!(matches!(gate.may_publish(Some("token-a"), &stream, ""), Err(Refusal::Forbidden(_))));
        for token in [None, Some(""), Some("token-c")] {
            assert!(matches!(gate.may_publish(token, &stream, &query), Err(Refusal::Unauthorized)));
        }
    }

    #[tokio::test]
    async fn only_members_of_its_room_play_a_stream() {
        let gate = gate().await;
        for user in ["a", "b", "c"] {
            gate.log_in(user);
        }
        let (stream, push_query) = gate.stream("a");
        let query = gate.play_query(&stream);
        assert!(matches!(gate.may_play(Some("token-b"), &stream, &query), Err(Refusal::NoStream)));
        gate.seat("a", &stream);
        assert!(matches!(gate.may_play(Some("token-b"), &stream, &query), Err(Refusal::Forbidden(_))));
        gate.seat("b", "stream-b");
        assert_eq!(gate.may_play(Some("token-b"), &stream, &query), Ok("b".into()));
        assert!(matches!(gate.may_play(Some("token-c"), &stream, &query), Err(Refusal::Forbidden(_))));
        assert!(matches!(gate.may_play(Some("token-b"), &stream, &push_query), Err(Refusal::Forbidden(_))));
        assert!(matches!(gate.may_play(None, &stream, &query), Err(Refusal::Unauthorized)));
        let room = RoomName::new(Kind::MultiRoom, "r");
        gate.0.with(|state, now| state.rooms.leave(now, &room, "b")).unwrap();
        assert!(matches!(gate.may_play(Some("token-b"), &stream, &query), Err(Refusal::Forbidden(_))));
    }
}
