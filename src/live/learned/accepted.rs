//! Requests that a host accepted: counts that fade with time, and the rate they come to.

use crate::clock::Instant;

/// Requests sent and not refused, the older the less.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    count: f64,
    at: Instant,
    /// When the first of them was sent.
    began: Instant,
    /// Seconds in which the count falls to 1/e.
    over: f64,
}

impl Accepted {
    pub(super) fn new(over: f64, now: Instant) -> Self {
        Self { count: 0.0, at: now, began: now, over }
    }

    pub(super) fn add(&mut self, now: Instant) {
        self.fade(now);
        if self.count < 0.1 {
            self.began = now;
        }
        self.count += 1.0;
    }

    pub(super) fn take_back(&mut self, now: Instant) {
        self.fade(now);
        self.count = (self.count - 1.0).max(0.0);
    }

    /// Requests a second; in the first seconds over as many, at least over one.
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        let counted = self.seconds(now).max(1.0);
        self.count(now) / (self.over * (1.0 - (-counted / self.over).exp()))
    }

    /// For how long they have been counted.
    pub(super) fn seconds(&self, now: Instant) -> f64 {
        now.saturating_duration_since(self.began).as_secs_f64()
    }

    fn fade(&mut self, now: Instant) {
        self.count = self.count(now);
        self.at = self.at.max(now);
    }

    pub(super) fn count(&self, now: Instant) -> f64 {
        self.count * (-now.saturating_duration_since(self.at).as_secs_f64() / self.over).exp()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn a_steady_rate_is_found_from_the_first_second_on() {
        let start = clock::now();
        let mut accepted = Accepted::new(10.0, start);
        for number in 0_u32..600 {
            let now = start + Duration::from_millis(200) * number;
            accepted.add(now);
            if number >= 5 {
                let rate = accepted.per_second(now);
                assert!((4.5..6.5).contains(&rate), "{rate} after {number}");
            }
        }
    }

    #[test]
    fn a_burst_after_a_long_pause_counts_as_one() {
        let start = clock::now();
        let mut accepted = Accepted::new(10.0, start);
        accepted.add(start);
        let later = start + Duration::from_secs(300);
        (0..6).for_each(|_| accepted.add(later));
        assert!((accepted.per_second(later) - 6.3).abs() < 0.1);
        (0..6).for_each(|_| accepted.take_back(later));
        assert!(accepted.per_second(later) < 0.1);
    }
}
