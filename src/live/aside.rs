//! Setting a deployment aside for a while because it does far worse than its peers.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::Until;
use crate::clock::Instant;

/// The longest time aside (Envoy's `max_ejection_time`).
const LONGEST: Duration = Duration::from_secs(300);

/// What a deployment was set aside for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Offence {
    /// Failures without an answer between them.
    InARow(u32),
    /// Far fewer answers than its peers.
    Success {
        /// Failures of the last minute or so.
        failed: u32,
        /// Attempts of the last minute or so.
        asked: u32,
        /// The share that answered, of its peers.
        peers: f64,
    },
    /// Failures far more often than before, while its peers are well.
    Surge {
        /// Failures of the last ten seconds or so.
        failed: u32,
        /// Attempts of the last ten seconds or so.
        asked: u32,
    },
    /// Far slower than usual, while its peers are not.
    Slow {
        /// How many times as long as usual its replies take.
        times: f64,
    },
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InARow(failures) => write!(f, "{failures} failures in a row"),
            Self::Success { failed, asked, peers } => {
                write!(f, "{failed} failures in {asked} against peers' success of {peers:.2}")
            }
            Self::Surge { failed, asked } => {
                write!(f, "{failed} failures in {asked} lately, far more than before, its peers are well")
            }
            Self::Slow { times } => write!(f, "{times:.1} times as slow as usual, its peers are not"),
        }
    }
}

/// The state of being aside.
#[derive(Debug, Default)]
pub(super) struct Aside {
    until: Until,
    /// Times in a row.
    times: AtomicU32,
    last: AtomicU64,
    offence: Mutex<Option<Offence>>,
}

impl Aside {
    pub(super) fn new(origin: Instant) -> Self {
        Self { until: Until::new(origin), ..Self::default() }
    }

    /// Until when, where that is after `now`.
    pub(super) fn until(&self, now: Instant) -> Option<u64> {
        self.until.is_after(now).then(|| self.until.nanos())
    }

    pub(super) fn offence(&self, now: Instant) -> Option<Offence> {
        self.until.is_after(now).then(|| *self.offence.lock()).flatten()
    }

    /// Begins at `now`; `base` times as often as it happened in a row. Nothing where it is aside already.
    pub(super) fn begin(&self, offence: Offence, base: Duration, now: Instant) -> bool {
        let mut held = self.offence.lock();
        if self.until.is_after(now) {
            return false;
        }
        // Back for as long as it was away, it starts afresh.
        let last = Duration::from_nanos(self.last.load(Ordering::Relaxed));
        let in_a_row = self.until.is_after(now.checked_sub(last).unwrap_or(now));
        let times = if in_a_row { self.times.load(Ordering::Relaxed).saturating_add(1) } else { 1 };
        let pause = pause(base, times);
        self.times.store(times, Ordering::Relaxed);
        self.last.store(u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.until.extend(now + pause);
        *held = Some(offence);
        true
    }
}

/// How long the `times`-th time in a row lasts (Envoy: base times the number, bounded).
pub fn pause(base: Duration, times: u32) -> Duration {
    base.saturating_mul(times).min(LONGEST.max(base))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const BASE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn each_time_in_a_row_lasts_longer_and_a_good_spell_forgives() {
        let aside = Aside::new(clock::now());
        for expected in [30, 60, 90] {
            assert!(aside.begin(Offence::InARow(5), BASE, clock::now()));
            assert!(!aside.begin(Offence::InARow(5), BASE, clock::now()), "once is enough");
            tokio::time::advance(Duration::from_secs(expected - 1)).await;
            assert!(aside.until(clock::now()).is_some());
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(aside.until(clock::now()), None, "un-ejected by time");
        }
        tokio::time::advance(Duration::from_secs(91)).await;
        assert!(aside.begin(Offence::InARow(5), BASE, clock::now()));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(aside.until(clock::now()), None);
    }

    #[test]
    fn no_pause_is_longer_than_five_minutes() {
        assert_eq!(pause(BASE, 10), LONGEST);
        assert_eq!(pause(BASE, u32::MAX), LONGEST);
        assert_eq!(pause(Duration::from_secs(900), 3), Duration::from_secs(900), "unless its base is");
    }
}
