//! How attempts ended, the older the less: counts that fade with time, so that a burst weighs in full.

use super::pace::kept;

/// Counts of attempts, as of the last change.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Attempts that ended.
    pub asked: f64,
    /// Those that failed in a way a breaker sees.
    pub failed: f64,
    /// What the failures cost: seconds, at least the limit that such an attempt had.
    pub lost: f64,
    /// When it last changed, in seconds.
    pub at: f64,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Counted {
    /// It answered.
    Answer,
    /// It failed, at the cost of so many seconds.
    Failure(f64),
    /// What had been counted as an answer failed.
    Relapse(f64),
}

impl Tally {
    /// As it stands at `now`, where counts fall to 1/e in `decay` seconds.
    #[must_use]
    pub fn faded(self, now: f64, decay: f64) -> Self {
        let Self { asked, failed, lost, at } = self;
        // Of nothing nothing is left, whatever the time.
        let kept = if asked + failed + lost > 0.0 { kept(now - at, decay) } else { 1.0 };
        Self { asked: asked * kept, failed: failed * kept, lost: lost * kept, at: now.max(at) }
    }

    /// With one more.
    #[must_use]
    pub fn with(self, counted: Counted, now: f64, decay: f64) -> Self {
        let faded = self.faded(now, decay);
        let (asked, failed, lost) = match counted {
            Counted::Answer => (1.0, 0.0, 0.0),
            Counted::Failure(seconds) => (1.0, 1.0, seconds),
            Counted::Relapse(seconds) => (0.0, 1.0, seconds),
        };
        Self {
            asked: faded.asked + asked,
            failed: (faded.failed + failed).min(faded.asked + asked.max(failed)),
            lost: faded.lost + lost,
            ..faded
        }
    }

    /// The share that answered, one answer assumed: without any it is 1.
    pub fn success(self) -> f64 {
        (self.asked - self.failed + 1.0).max(0.0) / (self.asked + 1.0)
    }

    /// The share that answered, nothing assumed.
    pub fn rate(self) -> f64 {
        if self.asked > 0.0 { (1.0 - self.failed / self.asked).max(0.0) } else { 1.0 }
    }

    /// Seconds an attempt is expected to lose to failures, one answer assumed.
    pub fn expected_loss(self) -> f64 {
        self.lost / (self.asked + 1.0)
    }
}

impl From<[f64; 4]> for Tally {
    fn from([asked, failed, lost, at]: [f64; 4]) -> Self {
        Self { asked, failed, lost, at }
    }
}

impl From<Tally> for [f64; 4] {
    fn from(tally: Tally) -> Self {
        [tally.asked, tally.failed, tally.lost, tally.at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_weighs_in_full_and_fades() {
        let burst =
            (0..100).fold(Tally::default(), |tally, _| tally.with(Counted::Failure(120.0), 5.0, 10.0));
        assert!((burst.failed - 100.0).abs() < 1e-9);
        assert!(burst.success() < 0.01);
        assert!((burst.faded(15.0, 10.0).failed - 100.0 / 1_f64.exp()).abs() < 1e-9);
        assert!(burst.faded(150.0, 10.0).success() > 0.99);
    }

    #[test]
    fn nothing_stays_nothing_and_is_as_of_now() {
        let nothing = Tally::default().faded(7.0, 10.0);
        assert_eq!(nothing, Tally { at: 7.0, ..Tally::default() });
        assert_eq!(
            nothing.with(Counted::Relapse(2.0), 7.0, 10.0).faded(7.0, 10.0).lost.to_bits(),
            2.0_f64.to_bits()
        );
    }

    #[test]
    fn one_failure_among_many_answers_costs_little_and_alone_much() {
        let busy = (0..99).fold(Tally::default(), |tally, _| tally.with(Counted::Answer, 0.0, 10.0));
        assert!(busy.with(Counted::Failure(120.0), 0.0, 10.0).expected_loss() < 1.3);
        assert!(Tally::default().with(Counted::Failure(120.0), 0.0, 10.0).expected_loss() > 59.0);
    }

    #[test]
    fn a_stream_that_breaks_was_no_answer() {
        let tally = Tally::default().with(Counted::Answer, 0.0, 10.0).with(Counted::Relapse(1.0), 0.0, 10.0);
        assert_eq!((tally.asked, tally.failed), (1.0, 1.0));
    }
}
