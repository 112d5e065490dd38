//! The machine's timers: an enum and a table, no sleeping tasks.

use std::time::Instant;

/// What fires; what happens then is in `Kiosk::fire`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The next login may be tried.
    Login,
    /// The next push address may be asked for.
    PushAddress,
    /// The prefetched push address is old: fetch a new one while idle.
    PushAddressOld,
    /// The message socket may be opened again.
    Im,
    /// Heartbeat in a call; outside one the request that keeps connections warm.
    Probe,
    /// The members are fetched, notice or not.
    Poll,
    /// The seat may be asked for, or given back, again.
    Seat,
    /// Joining or coming back has taken too long.
    JoinBound,
    /// Nobody came.
    Waiting,
    /// Everybody went.
    Alone,
    /// Leaving has taken too long: what is left is done in the background.
    LeaveBound,
    /// The sentence about the last call has been on the screen long enough.
    Notice,
    /// A new worker may be started.
    WorkerStart,
    /// The worker had its time to become ready.
    WorkerReady,
    /// The worker said nothing for too long.
    WorkerSilent,
    /// The worker was told to stop and had its time.
    WorkerStop,
    /// The worker has run long enough to be trusted again.
    WorkerWell,
}

const COUNT: usize = Timer::WorkerWell as usize + 1;

const ALL: [Timer; COUNT] = [
    Timer::Login,
    Timer::PushAddress,
    Timer::PushAddressOld,
    Timer::Im,
    Timer::Probe,
    Timer::Poll,
    Timer::Seat,
    Timer::JoinBound,
    Timer::Waiting,
    Timer::Alone,
    Timer::LeaveBound,
    Timer::Notice,
    Timer::WorkerStart,
    Timer::WorkerReady,
    Timer::WorkerSilent,
    Timer::WorkerStop,
    Timer::WorkerWell,
];

/// When each timer fires, if it is armed.
#[derive(Debug, Default)]
pub(crate) struct Timers([Option<Instant>; COUNT]);

impl Timers {
    /// Arms `timer`, or moves it.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    /// Arms `timer` unless it is armed already.
    pub(crate) fn set_if_unset(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize].get_or_insert(at);
    }

    /// Disarms `timer`.
    pub(crate) fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Whether `timer` is armed, that is: not yet due.
    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    /// Disarms and gives one timer that is due at `now`, the earliest first.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Timer> {
        let (at, timer) =
            ALL.iter().filter_map(|timer| Some((self.0[*timer as usize]?, *timer))).min_by_key(|e| e.0)?;
        (at <= now).then(|| {
            self.clear(timer);
            timer
        })
    }

    /// When the next timer fires.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_table_lists_every_timer_at_its_own_place() {
        for (place, timer) in ALL.iter().enumerate() {
            assert_eq!(*timer as usize, place);
        }
    }

    #[test]
    fn timers_expire_in_order_of_time_and_only_once() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set(Timer::Poll, start + Duration::from_secs(2));
        timers.set(Timer::Probe, start + Duration::from_secs(1));
        timers.set_if_unset(Timer::Probe, start + Duration::from_secs(9));
        assert_eq!(timers.next(), Some(start + Duration::from_secs(1)));
        assert_eq!(timers.expire(start), None);
        assert_eq!(timers.expire(start + Duration::from_secs(5)), Some(Timer::Probe));
        assert_eq!(timers.expire(start + Duration::from_secs(5)), Some(Timer::Poll));
        assert_eq!(timers.expire(start + Duration::from_secs(5)), None);
    }
}
