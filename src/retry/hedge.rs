//! A second request while the first one lingers: when, and how often at most.
//!
//! Hedging cuts the tail of slow answers for a few percent of more requests (Dean and Barroso, "The Tail at Scale",
//! 2013). It is paid for twice, so every call earns a share of a hedge, and what is earned is bounded: after a quiet
//! time a bad minute does not double the load.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Samples that must be known before a percentile is believed.
pub const SAMPLES: u64 = 20;
/// The percentile of answers that a hedge waits for.
pub const PERCENTILE: f64 = 0.95;
/// The shortest such delay.
pub const LEAST: Duration = Duration::from_secs(1);
/// Hedges that can be saved up.
const SAVED: u64 = 10;
/// A hedge, in the parts that calls earn.
const WHOLE: u64 = 1_000_000;

/// What calls have earned.
#[derive(Debug, Default)]
pub struct Credit(AtomicU64);

impl Credit {
    /// A call was made: it earns `share` of a hedge.
    pub fn earn(&self, share: f64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let part = (share.clamp(0.0, 1.0) * WHOLE as f64) as u64;
        let earned = |credit: u64| Some((credit + part).min(SAVED * WHOLE));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earned);
    }

    /// Sets a whole hedge apart, if there is one.
    pub fn set_apart(&self) -> Option<Apart<'_>> {
        let less = |credit: u64| credit.checked_sub(WHOLE);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok()?;
        Some(Apart { credit: self, spent: false })
    }
}

/// A hedge that is paid for; dropped unspent it goes back.
#[derive(Debug)]
#[must_use]
pub struct Apart<'a> {
    credit: &'a Credit,
    spent: bool,
}

impl Apart<'_> {
    /// The hedge is made.
    pub fn spend(mut self) {
        self.spent = true;
    }
}

impl Drop for Apart<'_> {
    fn drop(&mut self) {
        if !self.spent {
            self.credit.0.fetch_add(WHOLE, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a3_hedges_never_exceed_their_share_of_calls(
            share in 0.0_f64..=1.0, calls in prop::collection::vec(any::<bool>(), 0..2000),
        ) {
            let credit = Credit::default();
            let (mut made, mut hedged) = (0_u32, 0_u32);
            for wants in calls {
                credit.earn(share);
                made += 1;
                if let Some(apart) = credit.set_apart().filter(|_| wants) {
                    apart.spend();
                    hedged += 1;
                }
                prop_assert!(f64::from(hedged) <= share * f64::from(made) + 1e-6);
            }
        }
    }

    #[test]
    fn what_is_saved_up_is_bounded() {
        let credit = Credit::default();
        for _ in 0..100_000 {
            credit.earn(0.05);
        }
        let hedges = (0..100).filter_map(|_| credit.set_apart()).map(Apart::spend).count();
        assert_eq!(hedges as u64, SAVED);
    }
}
