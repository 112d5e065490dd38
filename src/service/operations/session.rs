//! login, logout, and who a request is from.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use serde_json::json;

use super::USER_ID_LIMIT;
use crate::room::user_sig::Claim;
use crate::room::wire::code;
use crate::service::answer::{Outcome, Refused, success};
use crate::service::clock::Now;
use crate::service::fields::QueryFields;
use crate::service::hub::CloseReason;
use crate::service::office::Office;
use crate::service::random;
use crate::service::tokens::TokenDigest;

/// How long a development ticket lives (section 3).
const DEV_TICKET_SECS: u64 = 30 * 24 * 3600;

fn refused(message: impl Into<String>) -> Refused {
    Refused::new(code::REFUSED, message)
}

/// Checks the ticket and gives out a token; an earlier one of this user ends.
pub(in super::super) fn login(office: &Office, query: &QueryFields, source: IpAddr) -> Outcome {
    let (Some(user), Some(app), Some(user_sig)) =
        (query.get("userID"), query.get("sdkAppID"), query.get("userSig"))
    else {
        return Err(refused("login needs userID, sdkAppID and userSig"));
    };
    if user.len() > USER_ID_LIMIT || user.chars().any(char::is_control) {
        return Err(refused(format!(
            "userID must have at most {USER_ID_LIMIT} bytes and no control characters"
        )));
    }
    if app.parse() != Ok(office.sdk_app_id) {
        return Err(refused(format!("this server is for sdkAppID {}", office.sdk_app_id)));
    }
    if !office.with(|state, now| state.guard.admit(now, source, user)) {
        return Err(Refused::new(code::TOO_MANY, "too many logins, try again in a few seconds"));
    }
    // Outside the lock: an ECDSA check takes a while.
    let claim = Claim { user_id: user, sdk_app_id: office.sdk_app_id, now: Now::read().unix() };
    if let Err(refusal) = office.keys.verify(user_sig, &claim) {
        office.with(|state, now| state.guard.failed(now, source, user));
        log::warn!("login of {user} from {source} refused: {refusal}");
        return Err(refused(refusal.to_string()));
    }
    let token = random::hex::<16>().map_err(|e| Refused::new(-1, format!("no random bytes: {e}")))?;
    let issued = office.with(|state, now| {
        state.hub.close(user, CloseReason::LoggedInElsewhere);
        state.tokens.issue(now, user, &token)
    });
    issued.ok_or_else(|| Refused::new(code::TOO_MANY, "too many users are logged in"))?;
    log::info!("{user} logged in from {source}");
    success(json!({ "userID": user, "token": token }))
}

/// Ends the token. Without one there is nothing to end, and that is fine too.
pub(in super::super) fn logout(office: &Office, query: &QueryFields, headers: &HeaderMap) -> Outcome {
    if let Ok((user, _)) = authenticate(office, query, headers) {
        office.with(|state, _| {
            state.tokens.revoke(&user);
            state.hub.close(&user, CloseReason::TokenVoid);
        });
        log::info!("{user} logged out");
    }
    success(json!({}))
}

/// The user behind a request: `userID` and `token` in the query, or a bearer token.
pub(in super::super) fn authenticate(
    office: &Office,
    query: &QueryFields,
    headers: &HeaderMap,
) -> Result<(String, TokenDigest), Refused> {
    let bearer = bearer(headers);
    let token = bearer.or_else(|| query.get("token")).ok_or_else(|| refused("no token"))?;
    let (user, digest) = office
        .with(|state, now| state.tokens.user(now, token).map(|(user, digest)| (user.to_owned(), digest)))
        .ok_or_else(|| refused("the token is not valid, log in again"))?;
    match query.get("userID") {
        Some(claimed) if claimed != user => Err(refused("the token is not of this userID")),
        None if bearer.is_none() => Err(refused("userID is absent")),
        _ => Ok((user, digest)),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A fresh ticket for the user a client certificate names; `None` where that is off.
pub(in super::super) fn renew_ticket(office: &Office, peer: Option<&str>, source: IpAddr) -> Option<Outcome> {
    let renew = office.renew.as_ref()?;
    let Some(user) = peer else {
        return Some(Err(refused("a ticket is renewed over a client certificate, and none was shown")));
    };
    if user.is_empty() || user.len() > USER_ID_LIMIT || user.chars().any(char::is_control) {
        return Some(Err(refused("the name in the client certificate is no user ID")));
    }
    if !office.with(|state, now| state.guard.admit(now, source, user)) {
        return Some(Err(Refused::new(code::TOO_MANY, "too many tickets, try again in a few seconds")));
    }
    let ticket = renew.mint.mint(user, office.sdk_app_id, Now::read().unix(), renew.life);
    log::info!("{user} got a new ticket, from {source}");
    let ticket = ticket.map_err(|error| Refused::new(-1, error.to_string()));
    Some(ticket.and_then(|user_sig| success(json!({ "userID": user, "userSig": user_sig }))))
}

/// A ticket for anybody; `None` where that is off.
pub(in super::super) fn dev_ticket(office: &Office, query: &QueryFields) -> Option<Outcome> {
    let mint = office.dev_mint.as_ref()?;
    let internal = |e: String| Refused::new(-1, e);
    let user = match query.get("userID") {
        Some(user) => Ok(user.to_owned()),
        None => random::hex::<6>().map(|hex| format!("user_{}_{}", &hex[..8], &hex[8..])),
    };
    let ticket = user.map_err(|e| internal(e.to_string())).and_then(|user| {
        let user_sig = mint
            .mint(&user, office.sdk_app_id, Now::read().unix(), DEV_TICKET_SECS)
            .map_err(|e| internal(e.to_string()))?;
        success(json!({
            "userID": user, "sdkAppID": office.sdk_app_id, "accType": office.account_type, "userSig": user_sig,
        }))
    });
    Some(ticket)
}
