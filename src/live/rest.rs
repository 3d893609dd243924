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
pub struct Rest {
    over: Until,
    /// When the upstream asked for it last.
    asked: Until,
    /// When the next probe is due.
    due: Until,
}

/// What a rest leaves to those who would like to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// There is no rest.
    Free,
    /// A probe is due: whoever [claims](Rest::claims) it may send.
    Probe,
    /// Nothing now.
    NotFor {
        /// How long until it is over.
        wait: Duration,
        /// How long until the next probe is due.
        probe: Duration,
    },
}

impl Rest {
    pub(super) fn new(origin: Instant) -> Self {
        Self { over: Until::new(origin), asked: Until::new(origin), due: Until::new(origin) }
    }

    /// Nanoseconds from `origin` to `at`.
    pub(super) fn since_origin(&self, at: Instant) -> u64 {
        self.over.since_origin(at)
    }

    /// It lasts for `wait` (bounded to 600 s) from `now` on, or as long as it lasts already.
    pub fn begin(&self, wait: Duration, now: Instant) {
        if !self.lasts(now) {
            self.due.extend(now + PROBED);
        }
        self.asked.extend(now);
        self.over.extend(now + wait.min(LONGEST));
    }

    /// What was sent at `sent` was answered: if that was after the upstream had asked for it, it is over. Was it?
    pub fn end(&self, sent: Instant, now: Instant) -> bool {
        let ends = self.lasts(now) && !self.asked.is_after(sent);
        if ends {
            self.over.clear();
        }
        ends
    }

    /// Does it last at `now`?
    pub fn lasts(&self, now: Instant) -> bool {
        self.over.is_after(now)
    }

    /// What it leaves at `now`.
    pub fn leave(&self, now: Instant) -> Leave {
        match self.lasts(now) {
            false => Leave::Free,
            true if self.due.is_after(now) => {
                Leave::NotFor { wait: self.over.after(now), probe: self.due.after(now) }
            }
            true => Leave::Probe,
        }
    }

    /// Of those who would send a probe, one may.
    pub fn claims(&self, now: Instant) -> bool {
        self.due.pass(now, PROBED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn not_for(wait: u64, probe: u64) -> Leave {
        let [wait, probe] = [wait, probe].map(Duration::from_secs);
        Leave::NotFor { wait, probe }
    }

    #[test]
    fn nothing_is_sent_before_a_rest_is_over_but_for_one_probe_in_twenty_seconds() {
        let start = clock::now();
        let rest = Rest::new(start);
        assert_eq!(rest.leave(start), Leave::Free);
        rest.begin(Duration::from_secs(100), start);
        rest.begin(Duration::from_secs(1), after(start, 1));
        assert_eq!(rest.leave(after(start, 1)), not_for(99, 19));
        for probe in [20, 65, 85] {
            assert_eq!(rest.leave(after(start, probe)), Leave::Probe);
            assert_eq!(rest.leave(after(start, probe)), Leave::Probe, "a look takes nothing");
            assert!(rest.claims(after(start, probe)));
            assert!(!rest.claims(after(start, probe)), "one may");
            assert_eq!(rest.leave(after(start, probe)), not_for(100 - probe, 20));
        }
        assert_eq!(rest.leave(after(start, 100)), Leave::Free);
    }

    #[test]
    fn an_answer_to_what_was_sent_after_it_was_asked_for_ends_a_rest() {
        let start = clock::now();
        let rest = Rest::new(start);
        rest.begin(Duration::from_secs(100), after(start, 1));
        assert!(!rest.end(start, after(start, 2)), "that was on its way before");
        assert!(rest.lasts(after(start, 2)));
        assert!(rest.end(after(start, 21), after(start, 22)));
        assert_eq!(rest.leave(after(start, 22)), Leave::Free);
        assert!(!rest.end(after(start, 23), after(start, 24)), "it is over");
    }

    #[test]
    fn a_rest_of_a_day_is_believed_for_ten_minutes() {
        let start = clock::now();
        let rest = Rest::new(start);
        rest.begin(Duration::from_hours(24), start);
        assert!(rest.lasts(after(start, 599)) && !rest.lasts(after(start, 600)));
    }
}
