//! Tokens: what a login gives out, and who is behind one. Sans-IO.
//!
//! One token a user: a later login replaces it (section 4.1). Only digests are kept, so neither a memory dump nor the
//! time of a look-up tells a token.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::clock::Now;

/// How long a token is good.
pub const TOKEN_LIFE: Duration = Duration::from_secs(12 * 3600);
/// The most users logged in at once.
const USERS_LIMIT: usize = 100_000;

/// A token's digest: names the session without being able to act for it.
pub type TokenDigest = [u8; 32];

#[derive(Debug)]
struct Login {
    digest: TokenDigest,
    ends: Instant,
}

/// Who is logged in.
#[derive(Debug, Default)]
pub struct Tokens {
    by_user: HashMap<String, Login>,
    by_digest: HashMap<TokenDigest, String>,
}

impl Tokens {
    /// Logs a user in with a fresh token. `None` when too many users are logged in.
    pub fn issue(&mut self, now: Now, user: &str, token: &str) -> Option<()> {
        if !self.by_user.contains_key(user) && self.by_user.len() >= USERS_LIMIT {
            return None;
        }
        self.revoke(user);
        let digest = openssl::sha::sha256(token.as_bytes());
        self.by_digest.insert(digest, user.to_owned());
        self.by_user.insert(user.to_owned(), Login { digest, ends: now.instant + TOKEN_LIFE });
        Some(())
    }

    /// The user behind a token, and the token's digest.
    #[must_use]
    pub fn user(&self, now: Now, token: &str) -> Option<(&str, TokenDigest)> {
        let digest = openssl::sha::sha256(token.as_bytes());
        let user = self.by_digest.get(&digest)?;
        (self.by_user.get(user)?.ends > now.instant).then_some((user, digest))
    }

    /// Whether the session of this digest goes on.
    #[must_use]
    pub fn is_good(&self, now: Now, digest: &TokenDigest) -> bool {
        let login = self.by_digest.get(digest).and_then(|user| self.by_user.get(user));
        login.is_some_and(|login| login.ends > now.instant)
    }

    /// Logs a user out.
    pub fn revoke(&mut self, user: &str) {
        if let Some(login) = self.by_user.remove(user) {
            self.by_digest.remove(&login.digest);
        }
    }

    /// Forgets tokens whose time is over.
    pub fn sweep(&mut self, now: Now) {
        self.by_user.retain(|_, login| login.ends > now.instant);
        let by_user = &self.by_user;
        self.by_digest.retain(|digest, user| by_user.get(user).is_some_and(|login| login.digest == *digest));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_second_login_ends_the_first_token() {
        let (mut tokens, now) = (Tokens::default(), Now::read());
        tokens.issue(now, "a", "one").unwrap();
        let first = tokens.user(now, "one").unwrap().1;
        tokens.issue(now, "a", "two").unwrap();
        assert_eq!(tokens.user(now, "one"), None);
        assert_eq!(tokens.user(now, "two").map(|(user, _)| user), Some("a"));
        assert!(!tokens.is_good(now, &first));
    }

    #[test]
    fn a_token_ends_after_its_life_and_is_forgotten() {
        let (mut tokens, now) = (Tokens::default(), Now::read());
        tokens.issue(now, "a", "one").unwrap();
        let last = now + (TOKEN_LIFE - Duration::from_millis(1));
        assert!(tokens.user(last, "one").is_some());
        assert_eq!(tokens.user(now + TOKEN_LIFE, "one"), None);
        tokens.sweep(now + TOKEN_LIFE);
        assert!(tokens.by_user.is_empty() && tokens.by_digest.is_empty());
    }

    #[test]
    fn a_logout_touches_nobody_else() {
        let (mut tokens, now) = (Tokens::default(), Now::read());
        tokens.issue(now, "a", "one").unwrap();
        tokens.issue(now, "b", "two").unwrap();
        tokens.revoke("a");
        tokens.revoke("a");
        assert_eq!(tokens.user(now, "one"), None);
        assert!(tokens.user(now, "two").is_some());
    }
}
