//! A budget: so much from one date to the next. Pure: the span is an argument.

use super::Fit;

/// Counts of one budget.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calendar {
    used: u64,
    /// When the span that is counted ends, since the Unix epoch.
    ends_at: u64,
}

impl Calendar {
    /// Goes on to the span that holds `wall`. A clock that was set back does not bring an old span back, nor empty
    /// this one twice.
    pub fn turn(&mut self, wall: u64, span: impl FnOnce(u64) -> (u64, u64)) {
        if wall >= self.ends_at {
            let (_, ends_at) = span(wall);
            *self = Self { used: 0, ends_at };
        }
    }

    /// Would `amount` fit?
    pub fn fit(self, most: u64, amount: u64) -> Fit {
        // When nothing is left, not even what seems to cost nothing fits.
        let fits = self.used < most && self.used.saturating_add(amount) <= most;
        if fits { Fit::Fits } else { Fit::At(self.ends_at) }
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
