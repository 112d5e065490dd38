//! RoomService, its certificate, and our clock against its: judged from one look and from the login. No I/O.

use super::certificate;
use super::finding::{Finding, Part, Verdict};
use super::ticket::span;
use crate::room::client::Server;
use crate::room::failure::Failure;
use crate::room::look::Look;
use crate::room::renewal::WARNING;
use crate::room::wire::code;

/// A clock that is off by this much makes tickets and certificates fail.
const WRONG: u64 = 300;
/// The server's time has whole seconds and travels; more than this is not that.
const OFF: u64 = 5;

/// Judges a look at the server at `here`, unix seconds; `synchronised` says whether something keeps our clock.
#[must_use]
pub(super) fn judge(
    server: &Server,
    look: &Result<Look, Failure>,
    here: u64,
    synchronised: bool,
) -> Vec<Finding> {
    match look {
        Ok(look) => {
            let host = server.url.split('/').nth(2).unwrap_or_default();
            vec![
                Finding::ok(Part::Server, format!("{host} answers")),
                tls(&server.url, look, here),
                clock(look.date, here, synchronised),
            ]
        }
        Err(failure) => {
            let told = |part| Finding::told(part, Verdict::Fail, &failure.to_string());
            let skip = |part| Finding::skip(part, "the server has to be reached first");
            match failure {
                Failure::UnknownAuthority { .. } | Failure::Tls { .. } => {
                    vec![skip(Part::Server), told(Part::Tls), skip(Part::Clock)]
                }
                Failure::Clock { .. } => vec![skip(Part::Server), skip(Part::Tls), told(Part::Clock)],
                _ => vec![told(Part::Server), skip(Part::Tls), skip(Part::Clock)],
            }
        }
    }
}

fn tls(url: &str, look: &Look, here: u64) -> Finding {
    if !url.starts_with("https:") {
        let host = url.split('/').nth(2).unwrap_or_default();
        if ["127.", "localhost", "[::1]"].iter().any(|near| host.starts_with(near)) {
            return Finding::ok(Part::Tls, "none: the server is on this machine");
        }
        let detail = "the server is reached without encryption: ticket and words can be read on the way";
        return Finding::new(Part::Tls, Verdict::Warn, detail, "use https:// in [server] url");
    }
    let Some(expires) = look.certificate.as_deref().and_then(certificate::expires) else {
        return Finding::ok(Part::Tls, "chain and name are right; when it expires could not be read");
    };
    let left = expires.saturating_sub(here);
    if left < WARNING {
        let detail = format!("the server's certificate expires in {}", span(left));
        return Finding::new(Part::Tls, Verdict::Warn, detail, "renew it on the server");
    }
    Finding::ok(Part::Tls, format!("chain and name are right, good for {}", span(left)))
}

fn clock(there: Option<u64>, here: u64, synchronised: bool) -> Finding {
    const CURE: &str = "set the time: timedatectl set-ntp true, and see that an NTP server is reached";
    let kept = if synchronised { "kept by NTP" } else { "not kept by NTP" };
    let Some(there) = there else {
        return Finding::skip(Part::Clock, format!("the server tells no time; {kept}"));
    };
    let off = here.abs_diff(there);
    let side = if here < there { "behind" } else { "ahead of" };
    let detail = format!("this board's clock is {} {side} the server's, {kept}", span(off));
    if off >= WRONG {
        Finding::fail(Part::Clock, detail, CURE)
    } else if off > OFF {
        Finding::new(Part::Clock, Verdict::Warn, detail, CURE)
    } else {
        Finding::ok(Part::Clock, format!("that of the server, {kept}"))
    }
}

/// What a login that failed says, beyond what is known of server and ticket already.
#[must_use]
pub(super) fn login(failure: &Failure) -> Finding {
    let told = |part| Finding::told(part, Verdict::Fail, &failure.to_string());
    match failure {
        Failure::NoTicket { .. } | Failure::TicketExpired { .. } => told(Part::Ticket),
        Failure::Clock { .. } => told(Part::Clock),
        Failure::Code { code: code::REFUSED, .. } => Finding::fail(
            Part::Ticket,
            format!("the server does not take it: {failure}"),
            "the ticket has to be signed by a key this server knows, for [user] id and sdk_app_id",
        ),
        _ => told(Part::Server),
    }
}

/// Whether we may use the room, from asking who is in it.
#[must_use]
pub(super) fn room(id: &str, asked: &Result<usize, Failure>) -> Finding {
    match asked {
        Ok(members) => Finding::ok(Part::Room, format!("{id} may be entered, {members} in it now")),
        Err(failure) if failure.code() == Some(code::NO_ROOM) => {
            Finding::ok(Part::Room, format!("{id} is not open; the first press makes it"))
        }
        Err(failure) => Finding::fail(
            Part::Room,
            format!("{id}: {failure}"),
            "compare [room] id with [[roles]] of the server's configuration",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Server {
        toml::from_str(&format!("url = {url:?}")).expect("a server")
    }

    fn verdicts(findings: &[Finding]) -> Vec<(Part, Verdict)> {
        findings.iter().map(|finding| (finding.part, finding.verdict)).collect()
    }

    #[test]
    fn each_failure_is_told_of_the_part_that_cures_it() {
        let (host, detail) = ("h:1".to_owned(), "x".to_owned());
        let near = server("https://h/weapp/double_room");
        let at = |failure| verdicts(&judge(&near, &Err(failure), 0, true));
        let tls = at(Failure::Tls { host: host.clone(), detail: detail.clone() });
        assert_eq!(tls[1], (Part::Tls, Verdict::Fail));
        assert_eq!(tls[0].1, Verdict::Skip);
        let gone = at(Failure::Unreachable { host, detail: detail.clone() });
        assert_eq!(gone[0], (Part::Server, Verdict::Fail));
        assert_eq!(at(Failure::Clock { detail })[2], (Part::Clock, Verdict::Fail));
    }

    #[test]
    fn a_clock_is_right_off_or_wrong() {
        let verdict = |there, here| clock(Some(there), here, false).verdict;
        assert_eq!(verdict(1000, 1003), Verdict::Ok);
        assert_eq!(verdict(1000, 1020), Verdict::Warn);
        assert_eq!(verdict(1000, 5000), Verdict::Fail);
        let behind = clock(Some(8200), 1000, true).to_string();
        assert!(behind.contains("2 hours behind the server's, kept by NTP; set the time"), "{behind}");
        assert_eq!(clock(None, 0, true).verdict, Verdict::Skip);
    }

    #[test]
    fn plain_http_is_well_on_this_machine_only() {
        let verdict = |url: &str| tls(url, &Look::default(), 0).verdict;
        assert_eq!(verdict("http://127.0.0.1:80/weapp/double_room"), Verdict::Ok);
        assert_eq!(verdict("http://10.0.0.1/weapp/double_room"), Verdict::Warn);
    }

    #[test]
    fn a_room_that_is_forbidden_is_told_and_one_that_is_not_open_is_well() {
        let code = |code| Failure::Code { operation: "get_pushers", code, message: "no".into() };
        assert_eq!(room("branch-7", &Err(code(code::NO_ROOM))).verdict, Verdict::Ok);
        assert_eq!(room("branch-7", &Err(code(5003))).verdict, Verdict::Fail);
        assert_eq!(room("branch-7", &Ok(1)).verdict, Verdict::Ok);
    }
}
