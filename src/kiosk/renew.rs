//! Keeps the ticket good: sees when a file changes, fetches a new one when it is due, and says so in time.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};

use super::event::Input;
use crate::room::client::Client;
use crate::room::renewal::{self, LOOK, Renewal, Standing};
use crate::room::ticket::Claims;

/// How often a warning is repeated in the log.
const REMIND: Duration = Duration::from_secs(24 * 3600);

/// What is known of the ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// When the best ticket expires, unix seconds.
    pub(crate) expires: Option<u64>,
    /// When it will be renewed, if it is.
    pub(crate) renew_at: Option<u64>,
    /// What has to be done, if anything.
    pub(crate) warning: Option<String>,
}

/// What there is to be said to a person, if anything.
fn warning(standing: Standing, place: &str, renewed: bool, failure: Option<&str>) -> Option<String> {
    let when = match standing {
        Standing::Unknown | Standing::Good => return None,
        Standing::ExpiresSoon(left) => format!("expires in {}", span(left)),
        Standing::Expired(since) => format!("expired {} ago", span(since)),
    };
    let cure = match (renewed, failure) {
        (true, Some(failure)) => format!("it cannot be renewed: {failure}"),
        (true, None) => "it is being renewed".into(),
        (false, _) => "put a new one there (roomservice sign --user ...), or set [user] ticket_url".into(),
    };
    Some(format!("the ticket in {place} {when}; {cure}"))
}

fn span(secs: u64) -> String {
    match secs {
        172_800.. => format!("{} days", secs / 86_400),
        7200.. => format!("{} hours", secs / 3600),
        _ => format!("{} minutes", secs / 60),
    }
}

fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Runs for as long as the loop does. `seed` scatters the attempts of many kiosks.
pub(crate) async fn keep(
    client: Arc<Client>,
    seed: u64,
    view: watch::Sender<View>,
    inbox: mpsc::Sender<Input>,
) {
    if client.has_dev_ticket() {
        return;
    }
    let scatter = (seed % 1000) as f64 / 1000.0;
    let renewed = client.ticket_url().is_some();
    let mut renewal = Renewal::default();
    let mut known = None;
    let mut attempt: Option<Instant> = None;
    let mut failure: Option<String> = None;
    let mut reminded: Option<(bool, Instant)> = None;
    loop {
        let tickets = client.tickets().clone();
        // Files may be slow, and the loop must not be.
        let looked = tokio::task::spawn_blocking(move || (tickets.version(), tickets.find())).await;
        let Ok((version, found)) = looked else { return };
        if known.as_ref().is_some_and(|known| *known != version) {
            log::info!("the ticket's files have changed");
            if inbox.send(Input::Ticket).await.is_err() {
                return;
            }
        }
        known = Some(version);
        let best = found.ok().and_then(|found| found.into_iter().next());
        let claims: Option<&Claims> = best.as_ref().and_then(|best| best.claims.as_ref());
        let now = unix();
        let standing = renewal::standing(claims, renewed, now);
        let place = best.as_ref().map(|best| best.path.display().to_string()).unwrap_or_default();
        let said = warning(standing, &place, renewed, failure.as_deref());
        let expired = matches!(standing, Standing::Expired(_));
        match (&said, reminded) {
            (Some(_), Some((before, at))) if before == expired && at.elapsed() < REMIND => {}
            (Some(said), _) => {
                log::warn!("{said}");
                reminded = Some((expired, Instant::now()));
            }
            (None, _) => reminded = None,
        }
        view.send_replace(View {
            expires: claims.map(|claims| claims.expires),
            renew_at: claims.filter(|_| renewed).map(renewal::renew_at),
            warning: said,
        });
        let since = attempt.map(|at| at.elapsed());
        if let Some(url) = client.ticket_url()
            && renewal.is_due(claims, now, since)
        {
            match client.fetch_ticket(url).await {
                Ok(user_sig) => {
                    if let Err(error) = client.tickets().keep(&user_sig) {
                        log::warn!("the new ticket is not kept: {error}");
                    }
                    let until = crate::room::ticket::claims(&user_sig).map_or(0, |claims| claims.expires);
                    log::info!("the ticket was renewed, for {}", span(until.saturating_sub(unix())));
                    renewal.came();
                    failure = None;
                    if inbox.send(Input::Ticket).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    renewal.failed(scatter);
                    let error = error.to_string();
                    if failure.as_ref() != Some(&error) {
                        log::warn!("the ticket is not renewed: {error}");
                    }
                    failure = Some(error);
                }
            }
            attempt = Some(Instant::now());
            // What came is looked at at once.
            continue;
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_says_when_and_what_to_do() {
        let soon = Standing::ExpiresSoon(13 * 86_400 + 5);
        let said = warning(soon, "/etc/rtcroom-kiosk/ticket", false, None).expect("a warning");
        assert!(said.contains("in /etc/rtcroom-kiosk/ticket expires in 13 days"), "{said}");
        assert!(said.contains("roomservice sign"), "{said}");
        let said = warning(Standing::Expired(7200), "x", true, Some("no connection")).expect("a warning");
        assert!(said.contains("expired 2 hours ago; it cannot be renewed: no connection"), "{said}");
        assert_eq!(warning(Standing::Good, "x", false, None), None);
    }
}
