//! A bucket that is refilled evenly: `most` in a window, at most `burst` of it at once.
//!
//! One number says it all, the time at which the bucket will be full again (the "theoretical arrival time" of GCRA,
//! ITU-T I.371). Amounts become times, rounded up: never faster than the limit. Pure: time is an argument.

use super::Fit;

/// Counts of one limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    full_at: u64,
}

/// `most` in `per` nanoseconds, `burst` at once.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// How much a window allows.
    pub most: u64,
    /// The window, in nanoseconds.
    pub per: u64,
    /// How much may be used at once.
    pub burst: u64,
}

impl Rate {
    /// The time in which `amount` is refilled.
    fn time(self, amount: u64) -> u64 {
        let product = u128::from(amount) * u128::from(self.per);
        u64::try_from(product.div_ceil(u128::from(self.most.max(1)))).unwrap_or(u64::MAX)
    }
}

impl Bucket {
    /// Would `amount` fit at `now`? More than the burst fits when the bucket is full, and leaves a debt.
    pub fn fit(self, rate: Rate, amount: u64, now: u64) -> Fit {
        let room = rate.time(rate.burst.max(1)).saturating_sub(rate.time(amount));
        let latest = now.saturating_add(room);
        if self.full_at <= latest { Fit::Fits } else { Fit::At(self.full_at.saturating_sub(room)) }
    }

    /// Takes `amount`; the answer is needed to correct it.
    pub fn take(&mut self, rate: Rate, amount: u64, now: u64) -> u64 {
        self.full_at = self.full_at.max(now).saturating_add(rate.time(amount));
        now
    }

    /// What was taken at `then` as `reserved` was `used` in the end. What comes back after a whole window has been
    /// refilled already.
    pub fn correct(&mut self, rate: Rate, then: u64, (reserved, used): (u64, u64), now: u64) {
        if used > reserved {
            self.take(rate, used - reserved, now);
        } else if now.saturating_sub(then) < rate.per {
            let back = rate.time(reserved).saturating_sub(rate.time(used));
            self.full_at = self.full_at.saturating_sub(back);
        }
    }

    /// How much is missing at `now`.
    pub fn used(self, rate: Rate, now: u64) -> u64 {
        let missing = u128::from(self.full_at.saturating_sub(now)) * u128::from(rate.most);
        u64::try_from(missing.div_ceil(u128::from(rate.per.max(1)))).unwrap_or(u64::MAX)
    }
}
