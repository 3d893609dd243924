//! Money that the calls of one scope share, such as the steps of an agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::provider::price::Nano;

/// So much may be spent, by all calls that hold it together. A purse inside another spends from both.
#[derive(Debug)]
pub struct Purse {
    most: Nano,
    /// Spent, and set aside for attempts that run.
    taken: AtomicU64,
    outer: Option<Arc<Self>>,
}

impl Purse {
    /// A purse with `most` in it, inside `outer` where there is one.
    pub fn new(most: Nano, outer: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { most, taken: AtomicU64::new(0), outer })
    }

    /// How much is in it when it is full.
    pub fn most(&self) -> Nano {
        self.most
    }

    /// How much was spent or is set aside.
    pub fn taken(&self) -> Nano {
        Nano(self.taken.load(Ordering::Relaxed))
    }

    /// Sets `expected` aside, here and in every purse around; all or nothing. Once what is left does not cover what an
    /// attempt is expected to cost, it is refused.
    pub fn reserve(self: &Arc<Self>, expected: Nano) -> Option<Taken> {
        let mut taken = Taken { purse: Arc::clone(self), reserved: Nano(0) };
        let mut at = Some(self);
        while let Some(purse) = at {
            if !purse.take(expected) {
                taken.give_back_until(purse, expected);
                return None;
            }
            at = purse.outer.as_ref();
        }
        taken.reserved = expected;
        Some(taken)
    }

    fn take(&self, expected: Nano) -> bool {
        let fits = |taken: u64| {
            let after = taken.saturating_add(expected.0);
            // Without a price nothing is taken, but an empty purse is empty.
            (after <= self.most.0 && taken < self.most.0).then_some(after)
        };
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn change(&self, from: Nano, to: Nano) {
        let change = |taken: u64| Some(taken.saturating_sub(from.0).saturating_add(to.0));
        let _ = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }
}

/// Money set aside for one attempt; dropped unspent it goes back.
#[derive(Debug)]
pub struct Taken {
    purse: Arc<Purse>,
    reserved: Nano,
}

impl Taken {
    /// How much was set aside.
    pub fn reserved(&self) -> Nano {
        self.reserved
    }

    /// Nobody can tell what the attempt cost: what was set aside is spent.
    pub fn keep(self) {
        let reserved = self.reserved;
        self.spend(reserved);
    }

    /// The attempt cost this much.
    pub fn spend(mut self, cost: Nano) {
        self.settle(cost);
    }

    fn settle(&mut self, cost: Nano) {
        let reserved = std::mem::take(&mut self.reserved);
        let mut at = Some(&self.purse);
        while let Some(purse) = at {
            purse.change(reserved, cost);
            at = purse.outer.as_ref();
        }
    }

    /// Undoes a reservation that went only as far as `end`.
    fn give_back_until(&self, end: &Arc<Purse>, expected: Nano) {
        let mut at = Some(&self.purse);
        while let Some(purse) = at.filter(|purse| !Arc::ptr_eq(purse, end)) {
            purse.change(expected, Nano(0));
            at = purse.outer.as_ref();
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.reserved != Nano(0) {
            self.settle(Nano(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_is_not_spent_twice_and_what_was_not_spent_comes_back() {
        let purse = Purse::new(Nano(100), None);
        let first = purse.reserve(Nano(60)).unwrap();
        assert!(purse.reserve(Nano(60)).is_none());
        first.spend(Nano(30));
        let second = purse.reserve(Nano(70)).unwrap();
        drop(second);
        assert_eq!(purse.taken(), Nano(30));
    }

    #[test]
    fn a_cost_above_the_estimate_is_kept_and_the_purse_is_empty_then() {
        let purse = Purse::new(Nano(100), None);
        purse.reserve(Nano(10)).unwrap().spend(Nano(150));
        assert_eq!(purse.taken(), Nano(150));
        assert!(purse.reserve(Nano(0)).is_none(), "not even a call whose price is unknown");
    }

    #[test]
    fn an_inner_purse_spends_from_the_outer_one_too_and_a_refusal_there_leaves_both_untouched() {
        let outer = Purse::new(Nano(50), None);
        let inner = Purse::new(Nano(100), Some(Arc::clone(&outer)));
        inner.reserve(Nano(40)).unwrap().spend(Nano(40));
        assert!(inner.reserve(Nano(20)).is_none());
        assert_eq!((inner.taken(), outer.taken()), (Nano(40), Nano(40)));
    }
}
