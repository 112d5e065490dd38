//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The most connections at once.
const ALL: usize = 8192;
/// The most from one address: a branch behind one address has fewer, one machine that means harm does not get all.
const FROM_ONE: usize = 1024;

/// The connections there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots(Arc<Mutex<Count>>);

#[derive(Debug, Default)]
struct Count {
    all: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One connection; gives its place back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    source: IpAddr,
}

impl Slots {
    /// A place for a connection from this address, if there is one.
    pub(super) fn take(&self, source: IpAddr) -> Option<Slot> {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from_one = count.by_source.get(&source).copied().unwrap_or(0);
        // A proxy on this machine brings everybody's connections.
        if count.all >= ALL || (from_one >= FROM_ONE && !source.is_loopback()) {
            return None;
        }
        count.all += 1;
        *count.by_source.entry(source).or_default() += 1;
        Some(Slot { slots: self.clone(), source })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut count = self.slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        count.all -= 1;
        if let Some(n) = count.by_source.get_mut(&self.source) {
            *n -= 1;
            if *n == 0 {
                count.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_get_all_places() {
        let slots = Slots::default();
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut held: Vec<_> = (0..FROM_ONE).map(|_| slots.take(one)).collect();
        assert!(held.iter().all(Option::is_some) && slots.take(one).is_none());
        assert!(slots.take(other).is_some());
        held.pop();
        assert!(slots.take(one).is_some());
        drop(held);
        let count = slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(count.all == 0 && count.by_source.is_empty());
    }
}
