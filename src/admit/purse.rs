//! Money that the calls of one scope share, such as the steps of an agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::provider::price::Nano;

/// So much may be spent, by all calls that hold it together. A purse inside others spends from all of them.
#[derive(Debug)]
pub struct Purse {
    most: Nano,
    /// Spent, and set aside for attempts that run.
    taken: AtomicU64,
    around: Vec<Arc<Self>>,
}

impl Purse {
    /// A purse with `most` in it, inside `outer` where there is one.
    pub fn new(most: Nano, outer: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self { most, taken: AtomicU64::new(0), around: outer.into_iter().collect() })
    }

    /// What is spent from it is spent from both.
    pub fn joined(inner: &Arc<Self>, outer: &Arc<Self>) -> Arc<Self> {
        let around = vec![Arc::clone(inner), Arc::clone(outer)];
        Arc::new(Self { most: Nano(u64::MAX), taken: AtomicU64::new(0), around })
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
    ///
    /// # Errors
    ///
    /// How much the purse holds that has too little left.
    pub fn reserve(self: &Arc<Self>, expected: Nano) -> Result<Taken, Nano> {
        let mut taken = Taken { purses: Vec::new(), reserved: expected };
        for purse in self.with_all_around() {
            if !purse.take(expected) {
                return Err(purse.most);
            }
            taken.purses.push(purse);
        }
        Ok(taken)
    }

    /// This purse and those around it, each once.
    fn with_all_around(self: &Arc<Self>) -> Vec<Arc<Self>> {
        let mut all = vec![Arc::clone(self)];
        let mut position = 0;
        while let Some(purse) = all.get(position).cloned() {
            for outer in &purse.around {
                if !all.iter().any(|known| Arc::ptr_eq(known, outer)) {
                    all.push(Arc::clone(outer));
                }
            }
            position += 1;
        }
        all
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
    /// Where it was taken from; none once it is settled.
    purses: Vec<Arc<Purse>>,
    reserved: Nano,
}

impl Taken {
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
        for purse in std::mem::take(&mut self.purses) {
            purse.change(self.reserved, cost);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.settle(Nano(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_is_not_spent_twice_and_what_was_not_spent_comes_back() {
        let purse = Purse::new(Nano(100), None);
        let first = purse.reserve(Nano(60)).unwrap();
        assert!(purse.reserve(Nano(60)).is_err());
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
        assert!(purse.reserve(Nano(0)).is_err(), "not even a call whose price is unknown");
    }

    #[test]
    fn an_inner_purse_spends_from_the_outer_one_too_and_a_refusal_there_leaves_both_untouched() {
        let outer = Purse::new(Nano(50), None);
        let inner = Purse::new(Nano(100), Some(Arc::clone(&outer)));
        inner.reserve(Nano(40)).unwrap().spend(Nano(40));
        assert!(inner.reserve(Nano(20)).is_err());
        assert_eq!((inner.taken(), outer.taken()), (Nano(40), Nano(40)));
    }

    #[test]
    fn joined_purses_are_spent_from_together_and_one_that_is_met_twice_only_once() {
        let (inner, outer) = (Purse::new(Nano(100), None), Purse::new(Nano(50), None));
        let joined = Purse::joined(&inner, &outer);
        let twice = Purse::joined(&joined, &outer);
        twice.reserve(Nano(40)).unwrap().spend(Nano(45));
        assert_eq!((inner.taken(), outer.taken()), (Nano(45), Nano(45)));
        assert_eq!(joined.reserve(Nano(20)).unwrap_err(), Nano(50), "the one that is too empty is named");
        assert_eq!((inner.taken(), outer.taken()), (Nano(45), Nano(45)));
    }
}
