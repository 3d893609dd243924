//! The rest that an upstream asked for with `Retry-After`.

use std::time::Duration;

use super::Until;
use crate::clock::Instant;

/// The longest rest that is believed (hints lie).
const LONGEST: Duration = Duration::from_secs(600);
/// One attempt goes out in this time, however long the rest is.
const PROBED: Duration = Duration::from_secs(20);

/// Nothing is sent until it is over, but for a probe now and then.
#[derive(Debug, Default)]
pub(super) struct Rest {
    over: Until,
    probed: Until,
}

impl Rest {
    pub(super) fn new(origin: Instant) -> Self {
        Self { over: Until::new(origin), probed: Until::new(origin) }
    }

    /// Nanoseconds from `origin` to `at`.
    pub(super) fn since_origin(&self, at: Instant) -> u64 {
        self.over.since_origin(at)
    }

    /// It lasts for `wait` from `now` on, or as long as it lasts already.
    pub(super) fn begin(&self, wait: Duration, now: Instant) {
        if !self.lasts(now) {
            self.probed.extend(now + PROBED);
        }
        self.over.extend(now + wait.min(LONGEST));
    }

    /// Does it last at `now`?
    pub(super) fn lasts(&self, now: Instant) -> bool {
        self.over.is_after(now)
    }

    /// How long until something may be sent; `None` is now. Of those who ask when a probe is due, one may.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        if !self.lasts(now) || self.probed.pass(now, PROBED) {
            return None;
        }
        Some(self.over.after(now).min(self.probed.after(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_is_sent_before_a_rest_is_over_but_for_one_probe_in_twenty_seconds() {
        let start = clock::now();
        let rest = Rest::new(start);
        assert_eq!(rest.wait(start), None);
        rest.begin(Duration::from_secs(100), start);
        rest.begin(Duration::from_secs(1), after(start, 1));
        assert_eq!(rest.wait(after(start, 1)), Some(Duration::from_secs(19)));
        for probe in [20, 65, 85] {
            assert_eq!(rest.wait(after(start, probe)), None);
            assert!(rest.wait(after(start, probe)).is_some());
        }
        assert_eq!(rest.wait(after(start, 94)), Some(Duration::from_secs(6)));
        assert_eq!((rest.wait(after(start, 100)), rest.lasts(after(start, 100))), (None, false));
    }

    #[test]
    fn a_rest_of_a_day_is_believed_for_ten_minutes() {
        let start = clock::now();
        let rest = Rest::new(start);
        rest.begin(Duration::from_hours(24), start);
        assert!(rest.lasts(after(start, 599)) && !rest.lasts(after(start, 600)));
    }
}
