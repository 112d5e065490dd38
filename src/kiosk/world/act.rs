//! What happens to the kiosk in the simulated world.

use super::World;
use super::server::{Answers, GHOST, OWN};
use crate::board::fitting::{Fitting, Standing};
use crate::kiosk::event::Input;
use crate::media::protocol::{Event, Role};
use crate::room::wire::{ImEvent, Kind};

/// Something the world does to the kiosk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Press,
    LongPress,
    Stuck,
    Unstuck,
    ButtonFails,
    ButtonWorks,
    Hangup,
    ClerkJoins,
    /// A member that does not publish: a page that was closed, before the server misses it.
    GhostJoins,
    ClerkQuits,
    ClerkHangsUp,
    ClerkNewStream,
    Stranger,
    ServerRefuses,
    ServerSilent,
    RepliesLost,
    ServerRestarts,
    ServerHeals,
    TokenRevoked,
    Evicted,
    RoomClosed,
    ImCut,
    Text,
    TicketBad,
    TicketGood,
    MediaBroken,
    MediaHeals,
    WorkerDies,
    WorkerHangs,
    WorkerStalls,
    WorkersFail,
    WorkersStart,
    PublishLost,
    PlayLost,
    OfferAgain,
}

pub(crate) const ACTS: [Act; 35] = [
    Act::Press,
    Act::LongPress,
    Act::Stuck,
    Act::Unstuck,
    Act::ButtonFails,
    Act::ButtonWorks,
    Act::Hangup,
    Act::ClerkJoins,
    Act::GhostJoins,
    Act::ClerkQuits,
    Act::ClerkHangsUp,
    Act::ClerkNewStream,
    Act::Stranger,
    Act::ServerRefuses,
    Act::ServerSilent,
    Act::RepliesLost,
    Act::ServerRestarts,
    Act::ServerHeals,
    Act::TokenRevoked,
    Act::Evicted,
    Act::RoomClosed,
    Act::ImCut,
    Act::Text,
    Act::TicketBad,
    Act::TicketGood,
    Act::MediaBroken,
    Act::MediaHeals,
    Act::WorkerDies,
    Act::WorkerHangs,
    Act::WorkerStalls,
    Act::WorkersFail,
    Act::WorkersStart,
    Act::PublishLost,
    Act::PlayLost,
    Act::OfferAgain,
];

impl World {
    pub(crate) fn act(&mut self, act: Act) {
        match act {
            Act::Press => self.input(Input::Press),
            Act::LongPress => self.input(Input::LongPress),
            Act::Stuck => self.input(Input::Stuck(true)),
            Act::Unstuck => self.input(Input::Stuck(false)),
            Act::ButtonFails => {
                let standing = Standing::Trouble { detail: "GPIO chip x is not there".into() };
                self.input(Input::Fitting(Fitting::Button, standing));
            }
            Act::ButtonWorks => self.button_works(),
            Act::Hangup => self.input(Input::Hangup),
            Act::ClerkJoins | Act::ClerkNewStream => self.clerk_at("play-clerk"),
            Act::GhostJoins => self.clerk_at(GHOST),
            Act::ClerkQuits => {
                self.server.members.remove("clerk");
                self.server.members.remove("stranger");
                self.notice();
            }
            Act::ClerkHangsUp => {
                self.server.seq += 1;
                let (room_id, seq) = ("branch-7".to_owned(), self.server.seq);
                let from = crate::room::wire::Sender { user_id: "clerk".into(), ..Default::default() };
                let (cmd, msg) = ("hangup".into(), String::new());
                self.im(ImEvent::Custom { kind: Kind::DoubleRoom, room_id, seq, from, time: 0, cmd, msg });
            }
            Act::Stranger => {
                if !self.is_member() {
                    self.server.members.insert("clerk".into(), "play-c".into());
                    self.server.members.insert("stranger".into(), "play-s".into());
                }
            }
            Act::ServerRefuses => {
                self.server.answers = Answers::Refuses;
                self.im_cut();
            }
            Act::ServerSilent => self.server.answers = Answers::Silent,
            Act::RepliesLost => self.server.answers = Answers::Lost,
            Act::ServerRestarts => {
                self.im_cut();
                self.server.token += 1;
                self.server.members.clear();
                self.server.resources.clear();
                self.server.seq = 0;
                self.server.answers = Answers::Well;
            }
            Act::ServerHeals => self.server.answers = Answers::Well,
            Act::TokenRevoked => self.server.token += 1,
            Act::Evicted => {
                self.server.members.remove(OWN);
            }
            Act::RoomClosed => {
                let (room_id, seq) = ("branch-7".to_owned(), self.server.seq + 1);
                self.im(ImEvent::Closed { kind: Kind::DoubleRoom, room_id, seq });
                self.server.members.clear();
            }
            Act::ImCut => self.im_cut(),
            Act::Text => {
                self.server.seq += 1;
                let (room_id, seq) = ("branch-7".to_owned(), self.server.seq);
                let from = crate::room::wire::Sender { user_id: "clerk".into(), ..Default::default() };
                let text = "你好 hello".repeat(200);
                self.im(ImEvent::Text { kind: Kind::DoubleRoom, room_id, seq, from, time: 0, text });
            }
            Act::TicketBad => self.server.ticket_good = false,
            Act::TicketGood => self.server.ticket_good = true,
            Act::MediaBroken => self.server.media_good = false,
            Act::MediaHeals => self.server.media_good = true,
            Act::WorkerDies => {
                if self.worker.alive {
                    self.worker.alive = false;
                    self.gone(1, self.worker.generation, "signal 9");
                }
            }
            Act::WorkerHangs => self.worker.hung = true,
            Act::WorkerStalls => self.worker.stalled = true,
            Act::WorkersFail => self.workers_start = false,
            Act::WorkersStart => self.workers_start = true,
            Act::PublishLost => self.lose(Role::Publish),
            Act::PlayLost => self.lose(Role::Play),
            Act::OfferAgain => {
                let ids: Vec<_> = self.worker.sessions.keys().copied().collect();
                for session in ids {
                    self.say(self.worker.generation, Event::Offer { session, sdp: "offer again".into() });
                }
            }
        }
        self.well_since = None;
    }

    /// Everything works from now on; who is in the room stays as it is, and so does a worker that hangs.
    pub(crate) fn heal(&mut self) {
        self.server.answers = Answers::Well;
        self.server.ticket_good = true;
        self.server.media_good = true;
        self.workers_start = true;
        // A camera that stands still shows only in a call; a worker that hangs shows always and is left so.
        self.worker.stalled = false;
        self.well_since = Some(self.now);
    }
}
