//! Exact counts of the calls of the last while, in a ring of ten slots.
//!
//! Counts that fade would give a tight burst less weight than it has. The ring holds the slot that runs and the nine
//! before it; slots are numbered from the breaker's beginning, so that any gap empties it in one step.

use std::time::Duration;

const SLOTS: usize = 10;

/// Calls of a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that answered or failed.
    pub calls: u32,
    /// Those that failed, throttling included.
    pub failed: u32,
    /// Those that took too long.
    pub slow: u32,
}

/// The ring.
#[derive(Debug)]
pub(super) struct Window {
    /// Nanoseconds of a slot, at least 1.
    width: u64,
    /// The number of the slot that runs.
    newest: u64,
    slots: [Counts; SLOTS],
    total: Counts,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        Self { width: width(length), newest: 0, slots: [Counts::default(); SLOTS], total: Counts::default() }
    }

    /// A window of another length begins afresh.
    pub(super) fn of_length(&mut self, length: Duration) -> &mut Self {
        if self.width != width(length) {
            *self = Self::new(length);
        }
        self
    }

    /// The calls of the window that ends at `at`.
    pub(super) fn counts(&mut self, at: Duration) -> Counts {
        self.advance(at);
        self.total
    }

    /// One more call.
    pub(super) fn add(&mut self, at: Duration, call: Counts) {
        self.advance(at);
        let total = self.total.plus(call);
        if let Some(slot) = self.slot(self.newest) {
            *slot = slot.plus(call);
            self.total = total;
        }
    }

    /// A call that was counted as answered has failed after all.
    pub(super) fn relapse(&mut self, at: Duration) {
        self.advance(at);
        let Some(slot) = self.slot(self.newest) else { return };
        // Where its answer has left the window, the call comes back with its failure.
        let call = Counts { calls: u32::from(slot.failed >= slot.calls), failed: 1, slow: 0 };
        self.add(at, call);
    }

    fn advance(&mut self, at: Duration) {
        let number = nanos(at) / self.width;
        let passed = number.saturating_sub(self.newest).min(SLOTS as u64);
        for gone in 1..=passed {
            let total = self.total;
            if let Some(slot) = self.slot(self.newest.saturating_add(gone)) {
                let without = total.minus(*slot);
                *slot = Counts::default();
                self.total = without;
            }
        }
        self.newest = self.newest.max(number);
    }

    fn slot(&mut self, number: u64) -> Option<&mut Counts> {
        self.slots.get_mut(usize::try_from(number % SLOTS as u64).unwrap_or_default())
    }
}

impl Counts {
    fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            failed: self.failed.saturating_add(other.failed),
            slow: self.slow.saturating_add(other.slow),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(other.calls),
            failed: self.failed.saturating_sub(other.failed),
            slow: self.slow.saturating_sub(other.slow),
        }
    }
}

fn width(length: Duration) -> u64 {
    (nanos(length) / SLOTS as u64).max(1)
}

fn nanos(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LENGTH: Duration = Duration::from_secs(30);

    /// What a slot-aligned window holds, from a list of all events.
    fn expected(events: &[(u64, Counts)], now: u64) -> Counts {
        let oldest = (now / 3_000).saturating_sub(9);
        let inside = events.iter().filter(|(at, _)| at / 3_000 >= oldest);
        inside.fold(Counts::default(), |sum, (_, counts)| sum.plus(*counts))
    }

    proptest! {
        #[test]
        fn a_window_counts_exactly(
            steps in prop::collection::vec((0_u64..40_000, any::<bool>(), any::<bool>()), 1..200),
        ) {
            let (mut window, mut events, mut now) = (Window::new(LENGTH), Vec::new(), 0);
            for (step, failed, slow) in steps {
                // Most steps are short, a few empty the window.
                now += if step < 30_000 { step / 30 } else { step };
                let counts = Counts { calls: 1, failed: failed.into(), slow: slow.into() };
                window.add(Duration::from_millis(now), counts);
                events.push((now, counts));
                prop_assert_eq!(window.counts(Duration::from_millis(now)), expected(&events, now));
            }
        }
    }

    #[test]
    fn a_window_is_empty_after_any_gap_and_never_goes_back() {
        let call = Counts { calls: 1, failed: 1, slow: 0 };
        for gap in [Duration::from_secs(30), Duration::from_secs(u64::from(u32::MAX) * 30), Duration::MAX] {
            let mut window = Window::new(LENGTH);
            window.add(Duration::from_secs(1), call);
            assert_eq!(window.counts(gap), Counts::default(), "{gap:?}");
            window.add(Duration::ZERO, call);
            assert_eq!(window.counts(gap), call, "a late clock counts into the slot that runs");
        }
    }

    #[test]
    fn what_relapses_was_counted_before() {
        let mut window = Window::new(LENGTH);
        window.add(Duration::ZERO, Counts { calls: 1, ..Counts::default() });
        window.relapse(Duration::from_secs(1));
        assert_eq!(window.counts(Duration::from_secs(1)), Counts { calls: 1, failed: 1, slow: 0 });
        window.relapse(Duration::from_secs(100));
        assert_eq!(window.counts(Duration::from_secs(100)), Counts { calls: 1, failed: 1, slow: 0 });
    }

    #[test]
    fn another_length_counts_afresh_and_the_same_one_goes_on() {
        let mut window = Window::new(LENGTH);
        let call = Counts { calls: 1, ..Counts::default() };
        window.add(Duration::ZERO, call);
        assert_eq!(window.of_length(LENGTH).counts(Duration::ZERO), call);
        assert_eq!(window.of_length(Duration::from_secs(60)).counts(Duration::ZERO), Counts::default());
        assert_eq!(window.of_length(Duration::ZERO).counts(Duration::MAX), Counts::default());
    }
}
