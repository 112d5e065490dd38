//! What the routes, the message sockets and the relay's gate share: one lock over the sans-IO parts, and what follows
//! from their changes.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::address::Addresses;
use super::clock::Now;
use super::config::Renew;
use super::hub::Hub;
use super::limits::LoginGuard;
use super::loose::Loose;
use super::relay::{Relay, Role, SessionInfo};
use super::roles::Roles;
use super::rooms::{Output, Rooms};
use super::tokens::Tokens;
use crate::room::user_sig::{Keys, Mint};

/// The most message sockets at once.
const SESSIONS_LIMIT: u32 = 20_000;

/// What changes.
#[derive(Debug)]
pub struct State {
    /// Rooms and members.
    pub rooms: Rooms,
    /// Who is logged in.
    pub tokens: Tokens,
    /// Who tries to log in too often.
    pub guard: LoginGuard,
    /// The message sockets.
    pub hub: Hub,
    /// Streams without a room.
    pub loose: Loose,
}

/// What does not.
pub struct Office {
    /// Push and play addresses.
    pub addresses: Addresses,
    /// What tickets are checked with.
    pub keys: Keys,
    /// The application tickets must be for.
    pub sdk_app_id: u64,
    /// Given out with a development ticket.
    pub account_type: String,
    /// With `--dev`: makes tickets for anybody.
    pub dev_mint: Option<Mint>,
    /// Tickets for whoever shows a client certificate.
    pub renew: Option<Renew>,
    /// Who may do what.
    pub roles: Roles,
    /// A message socket holds a permit for as long as it lives.
    pub sessions: Semaphore,
    relay: Relay,
    state: Mutex<State>,
}

impl Office {
    pub(super) fn new(config: super::config::Config, addresses: Addresses, relay: Relay, now: Now) -> Self {
        let state = State {
            rooms: Rooms::new(config.limits, now),
            tokens: Tokens::default(),
            guard: LoginGuard::default(),
            hub: Hub::default(),
            loose: Loose::default(),
        };
        Self {
            addresses,
            keys: config.keys,
            sdk_app_id: config.sdk_app_id,
            account_type: config.account_type,
            dev_mint: config.dev_mint,
            renew: config.renew,
            roles: config.roles,
            sessions: Semaphore::new(SESSIONS_LIMIT as usize),
            relay,
            state: Mutex::new(state),
        }
    }

    /// Does something to the state, and what follows from it.
    pub fn with<T>(&self, act: impl FnOnce(&mut State, Now) -> T) -> T {
        let mut to_relay = Vec::new();
        let result = {
            // A panic in between leaves tables that are still whole enough: every change is one call.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut state, Now::read());
            while let Some(output) = state.rooms.poll_output() {
                match output {
                    Output::Send { to, event } => state.hub.send_to(&to, &event),
                    Output::RoomsChanged(name) => {
                        state.hub.hint_rooms(|user| self.roles.may_see(user, &name.id));
                    }
                    media @ (Output::CloseStream(_) | Output::CloseViewer { .. }) => to_relay.push(media),
                }
            }
            result
        };
        // Outside the lock: the relay has locks of its own and asks the gate, which takes ours.
        for output in to_relay {
            match output {
                Output::CloseStream(stream) => self.relay.close_stream(&stream),
                Output::CloseViewer { user, stream } => self.relay.close_viewer(&user, &stream),
                Output::Send { .. } | Output::RoomsChanged(_) => {}
            }
        }
        result
    }

    /// Ends a stream in the relay.
    pub fn close_stream(&self, stream: &str) {
        self.relay.close_stream(stream);
    }

    /// The relay's sessions.
    pub(super) fn media_sessions(&self) -> Vec<SessionInfo> {
        self.relay.sessions()
    }

    /// How many message sockets live.
    pub(super) fn open_sockets(&self) -> usize {
        (SESSIONS_LIMIT as usize).saturating_sub(self.sessions.available_permits())
    }

    /// Ends all sockets and streams, so that members learn of the stop at once.
    pub async fn stop(&self) {
        let streams = self.with(|state, _| {
            state.hub.close_all();
            state.rooms.streams().map(str::to_owned).collect::<Vec<_>>()
        });
        for stream in streams {
            self.relay.close_stream(&stream);
        }
        // All permits are back when the last socket has said goodbye.
        let _ = self.sessions.acquire_many(SESSIONS_LIMIT).await;
    }

    /// Removes what has been silent or unused for too long, and media that nobody has a right to any more.
    pub fn sweep(&self) {
        let (asked, late) = self.with(|state, now| {
            let late: Vec<String> = state.rooms.late_streams(now).map(str::to_owned).collect();
            (now, late)
        });
        let live: HashSet<String> = late.into_iter().filter(|stream| self.relay.is_live(stream)).collect();
        let over = self.with(|state, now| {
            // As of when the relay was asked: who has become late since was not asked about.
            state.rooms.sweep(asked, |stream| live.contains(stream));
            state.tokens.sweep(now);
            let State { tokens, hub, rooms, loose, .. } = state;
            hub.keep(|digest| tokens.is_good(now, digest));
            loose.sweep(now, |stream| rooms.rooms_of_stream(stream).next().is_some())
        });
        for stream in over {
            log::info!("stream {stream}: published for a minute without a room, ended");
            self.relay.close_stream(&stream);
        }
        self.reconcile();
    }

    /// The relay asks before a session begins and is told when a right ends. A request that was under way at that
    /// moment slips through between the two; it is caught here.
    fn reconcile(&self) {
        let sessions = self.relay.sessions();
        let (strangers, ended) = self.with(|state, now| {
            let State { rooms, loose, .. } = state;
            let (mut strangers, mut ended) = (Vec::new(), Vec::new());
            for SessionInfo { role, stream, user, .. } in sessions {
                let has_room = rooms.rooms_of_stream(&stream).next().is_some();
                let is_member = rooms.rooms_of_stream(&stream).any(|room| rooms.is_member(room, &user));
                match role {
                    Role::Player if !is_member => strangers.push((user, stream)),
                    Role::Publisher if !has_room => ended.extend(loose.note(now, &user, &stream)),
                    Role::Player | Role::Publisher => {}
                }
            }
            (strangers, ended)
        });
        for (user, stream) in strangers {
            log::warn!("{user} plays stream {stream} without being in its room, ended");
            self.relay.close_viewer(&user, &stream);
        }
        for stream in ended {
            self.relay.close_stream(&stream);
        }
    }
}
