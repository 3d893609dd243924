//! A budget: so much from one date to the next. Pure: the span of the calendar is an argument.

use super::Fit;

/// A clock that is set back by more spans than these was wrong before.
const SPANS_AHEAD: u64 = 2;

/// Counts of one budget.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calendar {
    used: u64,
    /// When the span that is counted ends, since the Unix epoch.
    ends_at: u64,
}

impl Calendar {
    /// Goes on to the span that holds `wall` and lasts from `start` to `end`.
    ///
    /// A clock that is set back brings no old span back, nor empties this one twice. Only if it had been ahead by
    /// whole spans do the counts stand for the span that it is now, else they would not be emptied for as long.
    pub fn turn(&mut self, wall: u64, (start, end): (u64, u64)) {
        if wall >= self.ends_at {
            *self = Self { used: 0, ends_at: end };
        } else if self.ends_at.saturating_sub(end) > end.saturating_sub(start).saturating_mul(SPANS_AHEAD) {
            self.ends_at = end;
        }
    }

    /// Would `amount` fit? More than the whole budget fits when nothing of it is used.
    pub fn fit(self, most: u64, amount: u64) -> Fit {
        // When nothing is left, not even what seems to cost nothing fits.
        let is_within = self.used < most && self.used.saturating_add(amount) <= most;
        if is_within || self.used == 0 { Fit::Fits } else { Fit::At(self.ends_at) }
    }

    /// Takes `amount`; the answer is needed to correct it.
    pub fn take(&mut self, amount: u64) -> u64 {
        self.used = self.used.saturating_add(amount);
        self.ends_at
    }

    /// What was taken in the span that ends at `then` as `reserved` was `used` in the end. Less comes back in the same
    /// span only; what was used more counts now, whichever span it is.
    pub fn correct(&mut self, then: u64, (reserved, used): (u64, u64)) {
        if used > reserved {
            self.used = self.used.saturating_add(used - reserved);
        } else if then == self.ends_at {
            self.used = self.used.saturating_sub(reserved - used);
        }
    }

    /// What was used of the span.
    pub fn used(self) -> u64 {
        self.used
    }
}
