//! The ticket: whether there is one, for whom, and until when. No I/O.

use super::finding::{Finding, Part, Verdict};
use crate::room::renewal::{self, Standing};
use crate::room::tickets::Found;

const CURE: &str = "put a new userSig there (roomservice sign --user ...), or set [user] ticket_url";

/// Judges what was found at `now`, unix seconds; `renewed` says that a new one is fetched by itself.
#[must_use]
pub(super) fn judge(found: &Result<Vec<Found>, (String, String)>, renewed: bool, now: u64) -> Finding {
    let found = match found {
        Ok(found) => found,
        Err((place, detail)) => {
            return Finding::fail(Part::Ticket, format!("no ticket in {place}: {detail}"), CURE);
        }
    };
    let Some(best) = found.first() else {
        return Finding::fail(Part::Ticket, "there is none", CURE);
    };
    let place = best.path.display();
    match renewal::standing(best.claims.as_ref(), renewed, now) {
        Standing::Unknown => Finding::new(
            Part::Ticket,
            Verdict::Warn,
            format!("{place} holds something that is no userSig"),
            CURE,
        ),
        Standing::Expired(since) => {
            Finding::fail(Part::Ticket, format!("{place} expired {} ago", span(since)), CURE)
        }
        Standing::ExpiresSoon(left) => Finding::new(
            Part::Ticket,
            Verdict::Warn,
            format!("{place} expires in {}", span(left)),
            if renewed { "it should have been renewed by now: see [user] ticket_url" } else { CURE },
        ),
        Standing::Good => {
            let left = best.claims.as_ref().map_or(0, |claims| claims.expires.saturating_sub(now));
            Finding::ok(Part::Ticket, format!("{place}, good for {}", span(left)))
        }
    }
}

/// A time in the largest unit that tells it.
#[must_use]
pub(super) fn span(secs: u64) -> String {
    match secs {
        172_800.. => format!("{} days", secs / 86_400),
        7200.. => format!("{} hours", secs / 3600),
        120.. => format!("{} minutes", secs / 60),
        _ => format!("{secs} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::ticket::Claims;

    fn found(issued: u64, expires: u64) -> Result<Vec<Found>, (String, String)> {
        let claims = Some(Claims { user: None, issued, expires });
        Ok(vec![Found { user_sig: String::new(), claims, path: "/etc/ticket".into() }])
    }

    #[test]
    fn expired_soon_good_missing_and_strange_are_told_apart() {
        const DAY: u64 = 86_400;
        let now = 1000 * DAY;
        let verdict = |found: &_, renewed| judge(found, renewed, now).verdict;
        let expired = judge(&found(900 * DAY, 999 * DAY), false, now);
        assert_eq!(expired.verdict, Verdict::Fail);
        assert!(expired.to_string().contains("/etc/ticket expired 24 hours ago; put"), "{expired}");
        assert_eq!(verdict(&found(900 * DAY, 1010 * DAY), false), Verdict::Warn);
        assert_eq!(verdict(&found(900 * DAY, 1100 * DAY), false), Verdict::Ok);
        assert_eq!(verdict(&found(999 * DAY, 1005 * DAY), true), Verdict::Ok);
        assert_eq!(verdict(&Err(("/etc/ticket".into(), "not there".into())), false), Verdict::Fail);
        let strange = Found { user_sig: "x".into(), claims: None, path: "/etc/ticket".into() };
        assert_eq!(verdict(&Ok(vec![strange]), false), Verdict::Warn);
    }
}
