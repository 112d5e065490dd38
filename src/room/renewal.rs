//! When a ticket is due for renewal and what is to be said of it. Sans-IO: wall-clock times are unix seconds.

use std::time::Duration;

use super::ticket::Claims;

/// Who has to bring a new ticket by hand wants to know this long before.
pub const WARNING: u64 = 14 * 24 * 3600;
/// Between two looks at clock and files.
pub const LOOK: Duration = Duration::from_secs(2);
/// After a fetch, whatever came of it: a server that gives tickets that are old already is not asked in a storm.
const FIRST_RETRY: Duration = Duration::from_secs(15);
/// An attempt an hour finds the server again in good time.
const MOST_RETRY: Duration = Duration::from_secs(3600);
/// The same when the kiosk is out of service until then.
const MOST_RETRY_EXPIRED: Duration = Duration::from_secs(60);

/// When a ticket is renewed: at two thirds of its life.
#[must_use]
pub fn renew_at(claims: &Claims) -> u64 {
    claims.issued + claims.expires.saturating_sub(claims.issued) / 3 * 2
}

/// How a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There is none, or it says nothing of itself.
    Unknown,
    /// Good for longer than [`WARNING`], or renewed by itself before.
    Good,
    /// It expires in so many seconds, and something has to be done.
    ExpiresSoon(u64),
    /// Its time was over so many seconds ago.
    Expired(u64),
}

/// How a ticket stands at `now`. One that is renewed by itself is worth a warning only when that is overdue.
#[must_use]
pub fn standing(claims: Option<&Claims>, renewed: bool, now: u64) -> Standing {
    let Some(claims) = claims else { return Standing::Unknown };
    if claims.expires <= now {
        return Standing::Expired(now - claims.expires);
    }
    let left = claims.expires - now;
    // A renewal that is a tenth of the ticket's life late does not work.
    let overdue = renew_at(claims) + claims.expires.saturating_sub(claims.issued) / 10;
    if left > WARNING || (renewed && now < overdue) { Standing::Good } else { Standing::ExpiresSoon(left) }
}

/// When to ask for a new ticket.
#[derive(Debug, Default)]
pub struct Renewal {
    failures: u32,
    /// Not before this much time has passed since the last attempt.
    wait: Duration,
}

impl Renewal {
    /// Whether to ask now; `since` is the time since the last attempt ended, if there was one.
    #[must_use]
    pub fn is_due(&self, claims: Option<&Claims>, now: u64, since: Option<Duration>) -> bool {
        let expired = claims.is_none_or(|claims| claims.expires <= now);
        let wait = if expired { self.wait.min(MOST_RETRY_EXPIRED) } else { self.wait };
        since.is_none_or(|since| since >= wait) && claims.is_none_or(|claims| renew_at(claims) <= now)
    }

    /// A new ticket came.
    pub fn came(&mut self) {
        *self = Self { failures: 0, wait: FIRST_RETRY };
    }

    /// None came. `scatter` is between 0 and 1, so that a thousand kiosks do not ask at once.
    pub fn failed(&mut self, scatter: f64) {
        self.failures += 1;
        let wait = FIRST_RETRY.saturating_mul(1 << (self.failures - 1).min(10)).min(MOST_RETRY);
        self.wait = wait.mul_f64(0.75 + scatter.clamp(0.0, 1.0) / 4.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    fn claims(issued: u64, days: u64) -> Claims {
        Claims { user: Some("kiosk-7".into()), issued, expires: issued + days * DAY }
    }

    #[test]
    fn a_ticket_of_thirty_days_is_renewed_on_the_twentieth() {
        let (ticket, renewal) = (claims(1000, 30), Renewal::default());
        let due = |now| renewal.is_due(Some(&ticket), now, None);
        assert!(!due(1000 + 20 * DAY - 1));
        assert!(due(1000 + 20 * DAY));
        assert!(renewal.is_due(None, 0, None), "none at all: at once");
    }

    #[test]
    fn a_server_that_gives_none_is_asked_ever_more_rarely_but_for_an_expired_one_every_minute() {
        let mut renewal = Renewal::default();
        let mut ask = |failures: u32, ticket: &Claims, now| {
            renewal = Renewal::default();
            for _ in 0..failures {
                renewal.failed(1.0);
            }
            (0..10_000).find(|secs| renewal.is_due(Some(ticket), now, Some(Duration::from_secs(*secs))))
        };
        let ticket = claims(0, 30);
        assert_eq!(ask(1, &ticket, 25 * DAY), Some(15));
        assert_eq!(ask(3, &ticket, 25 * DAY), Some(60));
        assert_eq!(ask(40, &ticket, 25 * DAY), Some(3600));
        assert_eq!(ask(40, &ticket, 31 * DAY), Some(60));
    }

    #[test]
    fn a_server_that_gives_tickets_that_are_due_already_is_not_asked_in_a_storm() {
        let mut renewal = Renewal::default();
        renewal.came();
        let old = claims(0, 30);
        assert!(!renewal.is_due(Some(&old), 29 * DAY, Some(Duration::from_secs(14))));
        assert!(renewal.is_due(Some(&old), 29 * DAY, Some(Duration::from_secs(15))));
    }

    #[test]
    fn a_ticket_is_expired_from_the_second_on_that_it_names() {
        let ticket = claims(0, 30);
        assert_eq!(standing(Some(&ticket), false, 30 * DAY - 1), Standing::ExpiresSoon(1));
        assert_eq!(standing(Some(&ticket), false, 30 * DAY), Standing::Expired(0));
    }

    #[test]
    fn the_warning_comes_fourteen_days_ahead() {
        let ticket = claims(0, 365);
        let left = |days: u64| standing(Some(&ticket), false, (365 - days) * DAY);
        assert_eq!(left(15), Standing::Good);
        assert_eq!(left(14), Standing::ExpiresSoon(14 * DAY));
        assert_eq!(standing(Some(&ticket), false, 365 * DAY + 5), Standing::Expired(5));
        assert_eq!(standing(None, false, 0), Standing::Unknown);
    }

    #[test]
    fn a_ticket_that_is_renewed_by_itself_is_worth_a_warning_only_when_that_fails() {
        let ticket = claims(0, 30);
        assert_eq!(standing(Some(&ticket), true, 20 * DAY), Standing::Good);
        assert_eq!(standing(Some(&ticket), true, 23 * DAY), Standing::ExpiresSoon(7 * DAY));
    }
}
