//! The gate before the gate: so many calls a second of one caller, refused before anything of the call is read. So the
//! caller is who the call's options name: what the request itself says, its `user`, is not known yet.
//!
//! This is `governor`'s keyed GCRA: one atomic operation a call, no lock, a few words a caller. It cannot give back
//! what it has counted, which limits on tokens and money must; those are kept by the [`crate::store`].

use std::num::NonZeroU32;
use std::ops::Add;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::call::CallOptions;
use crate::clock::{self, Instant};
use crate::error::{Error, Failure, Kind, LimitReached};
use crate::live::hash;

/// Callers are forgotten when there are as many; those who called within a second stay.
const CALLERS: usize = 100_000;
/// Calls between two looks at how many callers there are.
const COUNTED_EVERY: usize = 1024;

/// Keeps any one caller from calling too often.
#[derive(Debug)]
pub struct Flood {
    limiter: RateLimiter<u64, DashMapStateStore<u64>, SinceOrigin, NoOpMiddleware<Moment>>,
    most: NonZeroU32,
    calls: AtomicUsize,
    /// Looked through when there are as many callers.
    bound: AtomicUsize,
}

impl Flood {
    /// `most` calls of each caller at once, and `most` more a second.
    pub fn new(most: NonZeroU32) -> Self {
        let clock = SinceOrigin(clock::now());
        let limiter = RateLimiter::dashmap_with_clock(Quota::per_second(most), clock);
        Self { limiter, most, calls: AtomicUsize::new(0), bound: AtomicUsize::new(CALLERS) }
    }

    /// How many calls a second.
    pub fn most(&self) -> NonZeroU32 {
        self.most
    }

    /// Counts a call.
    ///
    /// # Errors
    ///
    /// [`Kind::LimitExceeded`] with the wait until the caller may call again.
    pub fn count(&self, options: &CallOptions) -> Result<(), Error> {
        let (scope, name) = caller(options);
        let counted = self.limiter.check_key(&hash::hash([scope, name]));
        self.forget();
        counted.map_err(|denied| {
            let wait = denied.wait_time_from(self.limiter.clock().now());
            let most = self.most;
            let failure = Failure {
                retry_after: Some(wait),
                limit: Some(Box::new(LimitReached {
                    measure: "requests",
                    scope,
                    most: Some(f64::from(most.get())),
                    window: "1 s".to_owned(),
                    resets_at: None,
                })),
                ..Failure::new(
                    Kind::LimitExceeded,
                    format!(
                        "more than {most} calls a second of this {scope} (`limits.flood`); again in {:.2} s",
                        wait.as_secs_f64()
                    ),
                )
            };
            Error::from_failure(failure).denied("limits")
        })
    }

    /// Drops callers who have not called lately, when there are many. Counting them costs: it is done now and then.
    fn forget(&self) {
        if !self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(COUNTED_EVERY) {
            return;
        }
        let bound = self.bound.load(Ordering::Relaxed);
        if self.limiter.len() >= bound {
            self.limiter.retain_recent();
            self.bound.store((self.limiter.len() * 2).max(CALLERS), Ordering::Relaxed);
        }
    }
}

/// Who calls: its key, else its user, else its tenant.
fn caller(options: &CallOptions) -> (&'static str, &str) {
    let known = [("key", &options.key), ("user", &options.user), ("tenant", &options.tenant)];
    let first = known.into_iter().find_map(|(scope, name)| Some((scope, name.as_deref()?)));
    first.unwrap_or(("user", ""))
}

/// The one clock of this crate, as governor wants it.
#[derive(Clone, Debug)]
struct SinceOrigin(Instant);

impl Clock for SinceOrigin {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Moment(clock::now().saturating_duration_since(self.0))
    }
}

/// Time since the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(Duration);

impl Add<Nanos> for Moment {
    type Output = Self;

    fn add(self, other: Nanos) -> Self {
        Self(self.0.saturating_add(other.into()))
    }
}

impl Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.checked_sub(duration.into()).unwrap_or(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: &str) -> CallOptions {
        CallOptions { user: Some(user.to_owned()), ..CallOptions::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_caller_is_refused_with_a_true_wait_and_leaves_the_others_alone() {
        let flood = Flood::new(NonZeroU32::new(10).unwrap());
        let admitted = (0..1000).filter(|_| flood.count(&of("eve")).is_ok()).count();
        assert_eq!(admitted, 10);
        assert!(flood.count(&of("bob")).is_ok());
        let refused = flood.count(&of("eve")).unwrap_err();
        assert_eq!(refused.kind(), Kind::LimitExceeded);
        let wait = refused.retry_after().unwrap();
        tokio::time::advance(wait.saturating_sub(Duration::from_nanos(1))).await;
        assert!(flood.count(&of("eve")).is_err());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(flood.count(&of("eve")).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_quiet_second_there_is_a_burst_and_as_many_again_in_the_next() {
        let flood = Flood::new(NonZeroU32::new(10).unwrap());
        let mut admitted = [0; 3];
        for second in &mut admitted {
            for _ in 0..100 {
                *second += u32::from(flood.count(&of("eve")).is_ok());
                tokio::time::advance(Duration::from_millis(10)).await;
            }
        }
        assert_eq!(admitted, [19, 10, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn callers_who_went_away_are_forgotten() {
        let flood = Flood::new(NonZeroU32::new(10).unwrap());
        for number in 0..CALLERS * 3 {
            let _ = flood.count(&of(&number.to_string()));
            if number % 10_000 == 0 {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
        }
        assert!(flood.limiter.len() <= CALLERS * 2, "{}", flood.limiter.len());
    }
}
