//! A bucket that is refilled evenly: `most` in a window, at most `burst` of it at once.
//!
//! One number says it all, the time at which the bucket will be full again (the "theoretical arrival time" of GCRA,
//! ITU-T I.371). It is kept in parts of a nanosecond, as many as the limit allows in a window: so every amount is a
//! whole number of parts, nothing is ever rounded, and the bucket is neither faster nor slower than its limit.
//!
//! What comes back is credited only while the shortage lasts in which it was taken: a bucket that was full since then
//! has been refilled already. So from any moment it was full, no more is used than the burst and what time refilled.

use super::Fit;

/// Counts of one limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    /// When it is full again: nanoseconds, and parts of the next one.
    full_at: u64,
    part: u64,
    /// The shortage that it is in, or was in last: the time at which it began, or a later one.
    shortage: u64,
}

/// `most` in `per` nanoseconds, `burst` at once.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    most: u64,
    per: u64,
    burst: u64,
}

impl Rate {
    /// Nothing of it is ever 0: such a rate would be none, or without end.
    pub fn new(most: u64, per: u64, burst: u64) -> Self {
        Self { most: most.max(1), per: per.max(1), burst: burst.max(1) }
    }

    /// `time` in parts.
    fn parts(self, time: u64) -> u128 {
        u128::from(time) * u128::from(self.most)
    }

    /// The parts in which `amount` is refilled.
    fn refill(self, amount: u64) -> u128 {
        u128::from(amount) * u128::from(self.per)
    }

    /// The first nanosecond that is not before so many parts.
    fn time(self, parts: u128) -> u64 {
        u64::try_from(parts.div_ceil(u128::from(self.most))).unwrap_or(u64::MAX)
    }
}

impl Bucket {
    /// Would `amount` fit at `now`? More than the burst fits when the bucket is full, and leaves a debt.
    pub fn fit(self, rate: Rate, amount: u64, now: u64) -> Fit {
        let room = rate.refill(rate.burst).saturating_sub(rate.refill(amount));
        let earliest = self.full_at(rate).saturating_sub(room);
        if earliest <= rate.parts(now) { Fit::Fits } else { Fit::At(rate.time(earliest)) }
    }

    /// Takes `amount`; the answer is needed to correct it.
    pub fn take(&mut self, rate: Rate, amount: u64, now: u64) -> u64 {
        let present = rate.parts(now);
        if self.full_at(rate) <= present {
            self.begin(now);
        }
        self.set(rate, self.full_at(rate).max(present).saturating_add(rate.refill(amount)));
        self.shortage
    }

    /// What was taken in `shortage` as `reserved` was `used` in the end. What comes back to a bucket that was full meanwhile
    /// has been refilled already.
    pub fn correct(&mut self, rate: Rate, shortage: u64, (reserved, used): (u64, u64), now: u64) {
        if used > reserved {
            self.take(rate, used - reserved, now);
        } else if shortage == self.shortage {
            self.set(rate, self.full_at(rate).saturating_sub(rate.refill(reserved - used)));
        }
    }

    /// How much is missing at `now`.
    pub fn used(self, rate: Rate, now: u64) -> u64 {
        let missing = self.full_at(rate).saturating_sub(rate.parts(now));
        u64::try_from(missing.div_ceil(u128::from(rate.per))).unwrap_or(u64::MAX)
    }

    /// As much is missing as before, but from now on it is refilled at another rate.
    pub fn renumber(&mut self, from: Rate, to: Rate, now: u64) {
        let missing = self.full_at(from).saturating_sub(from.parts(now));
        let (old, new) = (u128::from(from.per), u128::from(to.per));
        let refill = (missing / old).saturating_mul(new).saturating_add((missing % old * new).div_ceil(old));
        self.set(to, to.parts(now).saturating_add(refill));
    }

    /// The same shortage, but nothing that was taken before `now` comes back to it.
    #[must_use]
    pub fn shared(mut self, now: u64) -> Self {
        self.begin(now);
        self
    }

    fn begin(&mut self, now: u64) {
        // Another one even if it is the second of a nanosecond.
        self.shortage = now.max(self.shortage.saturating_add(1));
    }

    fn full_at(self, rate: Rate) -> u128 {
        rate.parts(self.full_at).saturating_add(u128::from(self.part))
    }

    fn set(&mut self, rate: Rate, parts: u128) {
        let most = u128::from(rate.most);
        self.full_at = u64::try_from(parts / most).unwrap_or(u64::MAX);
        self.part = u64::try_from(parts % most).unwrap_or_default();
    }
}
