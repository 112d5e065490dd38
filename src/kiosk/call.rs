//! One call: our publish leg, the other members, and what is reported of it.

use std::time::{Duration, Instant};

use super::chores::Chores;
use super::core::Core;
use super::event::RequestId;
use super::leg::Leg;
use super::pool::Pool;
use crate::media::protocol::{Member, Role, Stats};
use crate::room::wire::Pusher;

/// Members played at once; more are not shown.
pub(crate) const MOST_PEERS: usize = 8;
/// Names come from strangers.
const MOST_NAME: usize = 64;

/// Another member.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) user_id: String,
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) leg: Leg,
}

impl Peer {
    pub(crate) fn member(&self) -> Member {
        Member { user_id: self.user_id.clone(), name: self.name.clone() }
    }
}

/// A call, from the press to the leaving.
#[derive(Debug)]
pub(crate) struct Call {
    /// Where we publish; fetched anew for each attempt.
    pub(crate) url: Option<String>,
    pub(crate) publish: Leg,
    pub(crate) peers: heapless::Vec<Peer, MOST_PEERS>,
    /// The members are known since we entered.
    pub(crate) listed: bool,
    /// Somebody else was in the room at some time.
    pub(crate) had_company: bool,
    pub(crate) polling: Option<RequestId>,
    /// Something changed while the members were being fetched.
    pub(crate) dirty: bool,
    /// The worker was replaced this often in a row.
    pub(crate) replaced: u32,
}

impl Call {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            url: None,
            publish: Leg::new(Role::Publish, now),
            peers: heapless::Vec::new(),
            listed: false,
            had_company: false,
            polling: None,
            dirty: false,
            replaced: 0,
        }
    }

    /// Takes over the list of members; `false` when it is the same as before.
    pub(crate) fn members(
        &mut self,
        list: &[Pusher],
        own_id: &str,
        pool: &mut Pool,
        chores: &mut Chores,
        core: &mut Core,
    ) {
        let others = |id: &str| list.iter().find(|pusher| pusher.user_id == id && pusher.user_id != own_id);
        for peer in &mut self.peers {
            let url = others(&peer.user_id).map(|pusher| pusher.accelerate_url.as_str());
            if url != Some(&peer.url) {
                // Gone, or back with a new stream, which is a quit and a join (section 6.2).
                core.note(&format!("{} quit", cut(&peer.user_id)));
                peer.leg.drop_session(false, pool, chores, core);
                peer.url.clear();
            }
        }
        self.peers.retain(|peer| !peer.url.is_empty());
        for pusher in list {
            let known =
                pusher.user_id == own_id || self.peers.iter().any(|peer| peer.user_id == pusher.user_id);
            if known || pusher.accelerate_url.is_empty() {
                continue;
            }
            let peer = Peer {
                user_id: pusher.user_id.clone(),
                name: cut(&pusher.user_name).to_owned(),
                url: pusher.accelerate_url.clone(),
                leg: Leg::new(Role::Play, core.now),
            };
            if self.peers.push(peer).is_err() {
                log::warn!("{} members are shown, {} is not", MOST_PEERS, cut(&pusher.user_id));
                continue;
            }
            core.note(&format!("{} joined", cut(&pusher.user_id)));
        }
        self.had_company |= !self.peers.is_empty();
        self.listed = true;
    }

    /// Ends every session; `again` keeps the members and plays them anew.
    pub(crate) fn drop_sessions(
        &mut self,
        again: bool,
        pool: &mut Pool,
        chores: &mut Chores,
        core: &mut Core,
    ) {
        self.url = None;
        for leg in std::iter::once(&mut self.publish).chain(self.peers.iter_mut().map(|peer| &mut peer.leg)) {
            leg.drop_session(false, pool, chores, core);
            leg.forgive();
        }
        if !again {
            self.peers.clear();
        }
    }

    pub(crate) fn legs(&mut self) -> impl Iterator<Item = &mut Leg> {
        std::iter::once(&mut self.publish).chain(self.peers.iter_mut().map(|peer| &mut peer.leg))
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.peers.iter().filter_map(|peer| peer.leg.next()).chain(self.publish.next()).min()
    }
}

/// Cuts a stranger's text to a sane length.
pub(crate) fn cut(text: &str) -> &str {
    match text.char_indices().nth(MOST_NAME) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// What is reported of a call while it lasts and until the next one; times count from the press.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) pressed_at: Instant,
    pub(crate) capture_on: Option<Duration>,
    pub(crate) whip_posted: Option<Duration>,
    pub(crate) whip_answered: Option<Duration>,
    pub(crate) whip_connected: Option<Duration>,
    pub(crate) joined: Option<Duration>,
    pub(crate) listed: Option<Duration>,
    pub(crate) whep_posted: Option<Duration>,
    pub(crate) whep_answered: Option<Duration>,
    pub(crate) whep_connected: Option<Duration>,
    pub(crate) first_remote_frame: Option<Duration>,
    pub(crate) first_remote_sound: Option<Duration>,
    pub(crate) ended: Option<Duration>,
    pub(crate) end: Option<super::words::End>,
    pub(crate) members: usize,
    /// Times the call was cut and came back.
    pub(crate) recoveries: u32,
    pub(crate) last_stats: Option<Box<Stats>>,
}

impl Report {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            pressed_at: now,
            capture_on: None,
            whip_posted: None,
            whip_answered: None,
            whip_connected: None,
            joined: None,
            listed: None,
            whep_posted: None,
            whep_answered: None,
            whep_connected: None,
            first_remote_frame: None,
            first_remote_sound: None,
            ended: None,
            end: None,
            members: 0,
            recoveries: 0,
            last_stats: None,
        }
    }

    /// Notes a stage the first time it is reached.
    pub(crate) fn stage(stage: &mut Option<Duration>, pressed_at: Instant, now: Instant) {
        stage.get_or_insert(now.saturating_duration_since(pressed_at));
    }
}
