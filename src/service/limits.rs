//! How often something may be done: token buckets, sans-IO.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Instant;

use super::clock::Now;

/// The most keys a [`Limiter`] remembers.
const KEYS_LIMIT: usize = 20_000;

/// A bucket's size and how fast it fills.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// How many at once.
    pub burst: f64,
    /// How many a second in the long run.
    pub per_sec: f64,
}

/// One bucket.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn new(rate: Rate, now: Now) -> Self {
        Self { level: rate.burst, at: now.instant }
    }

    fn fill(&mut self, rate: Rate, now: Now) {
        let passed = now.instant.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * rate.per_sec).min(rate.burst);
        self.at = now.instant;
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, rate: Rate, now: Now) -> bool {
        self.fill(rate, now);
        let some = self.level >= 1.0;
        if some {
            self.level -= 1.0;
        }
        some
    }

    fn has_one(mut self, rate: Rate, now: Now) -> bool {
        self.fill(rate, now);
        self.level >= 1.0
    }

    fn is_full(mut self, rate: Rate, now: Now) -> bool {
        self.fill(rate, now);
        self.level >= rate.burst
    }
}

/// A bucket for each key.
#[derive(Debug)]
pub struct Limiter<K> {
    rate: Rate,
    buckets: HashMap<K, Bucket>,
}

impl<K: Hash + Eq> Limiter<K> {
    /// All keys at the same rate.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, buckets: HashMap::new() }
    }

    /// Whether the key has one left.
    #[must_use]
    pub fn has_one(&self, now: Now, key: &K) -> bool {
        self.buckets.get(key).is_none_or(|bucket| bucket.has_one(self.rate, now))
    }

    /// Takes one of the key's, if it has one.
    pub fn take(&mut self, now: Now, key: K) -> bool {
        if self.buckets.len() >= KEYS_LIMIT && !self.buckets.contains_key(&key) {
            self.buckets.retain(|_, bucket| !bucket.is_full(self.rate, now));
            if self.buckets.len() >= KEYS_LIMIT {
                log::warn!("login limits: more than {KEYS_LIMIT} sources at once, counting starts afresh");
                self.buckets.clear();
            }
        }
        self.buckets.entry(key).or_insert_with(|| Bucket::new(self.rate, now)).take(self.rate, now)
    }
}

/// Guards login. A branch with fifty kiosks behind one address must get in after a power cut, so an address has a wide
/// limit; guessing at one user from one address has a narrow one, which only failures use up.
#[derive(Debug)]
pub struct LoginGuard {
    by_source: Limiter<IpAddr>,
    failures: Limiter<(IpAddr, String)>,
}

impl Default for LoginGuard {
    fn default() -> Self {
        Self {
            by_source: Limiter::new(Rate { burst: 200.0, per_sec: 10.0 }),
            failures: Limiter::new(Rate { burst: 10.0, per_sec: 0.2 }),
        }
    }
}

impl LoginGuard {
    /// Whether a login may be tried.
    pub fn admit(&mut self, now: Now, source: IpAddr, user: &str) -> bool {
        let source = network(source);
        self.by_source.take(now, source) && self.failures.has_one(now, &(source, user.to_owned()))
    }

    /// Notes that a login was refused.
    pub fn failed(&mut self, now: Now, source: IpAddr, user: &str) {
        self.failures.take(now, (network(source), user.to_owned()));
    }
}

/// One customer of an IPv6 network has a whole /64.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << 64)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn ten_failures_lock_one_user_from_one_address_for_a_while() {
        let (mut guard, now) = (LoginGuard::default(), Now::read());
        for _ in 0..10 {
            assert!(guard.admit(now, HERE, "a"));
            guard.failed(now, HERE, "a");
        }
        assert!(!guard.admit(now, HERE, "a"));
        assert!(guard.admit(now, HERE, "b"));
        assert!(guard.admit(now, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), "a"));
        assert!(guard.admit(now + Duration::from_secs(6), HERE, "a"));
    }

    #[test]
    fn fifty_kiosks_of_one_branch_log_in_at_once() {
        let (mut guard, now) = (LoginGuard::default(), Now::read());
        assert!((0..50).all(|n| guard.admit(now, HERE, &format!("kiosk-{n}"))));
        let more = (0..1000).filter(|n| guard.admit(now, HERE, &format!("guess-{n}"))).count();
        assert_eq!(more, 150);
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_as_one() {
        let a: IpAddr = "2001:db8::1".parse().unwrap_or(HERE);
        let b: IpAddr = "2001:db8::ffff:1".parse().unwrap_or(HERE);
        let c: IpAddr = "::ffff:127.0.0.1".parse().unwrap_or(a);
        assert_eq!(network(a), network(b));
        assert_eq!(network(c), HERE);
    }
}
