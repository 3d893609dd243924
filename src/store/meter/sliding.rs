//! Never more than a limit in any window: what was taken, by short slots of time, for as long as it counts.
//!
//! A slot counts until the latest moment it holds has left the window, so that what lies in `(t - length, t]` is never
//! more than what is counted at `t`. With slots of a nanosecond that is exact; with 256 slots a window it holds back at
//! most 1/257 of the limit. Slots are known by that latest moment, so that the width of later ones may change.
//! Pure: time is an argument.

use super::Fit;
use super::entries::{Entries, Entry};

/// Slots a window has where it is not kept to the nanosecond.
const SLOTS: u64 = 256;
/// Up to such a limit, every single amount is kept.
const EXACT: u64 = 128;

/// Counts of one limit.
#[derive(Clone, Debug, Default)]
pub struct Sliding {
    total: u64,
    entries: Entries,
}

/// A window of so many nanoseconds, in slots of this width.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    length: u64,
    width: u64,
}

impl Frame {
    /// The window of a limit; `exact` keeps it to the nanosecond whatever the limit.
    pub fn new(length: u64, most: u64, exact: bool) -> Self {
        let length = length.max(1);
        let width = if exact || most <= EXACT { 1 } else { length.div_ceil(SLOTS) };
        Self { length, width }
    }

    /// The latest moment of the slot that holds `now`.
    fn slot(self, now: u64) -> u64 {
        (now - now % self.width).saturating_add(self.width - 1)
    }

    /// When what was taken in `slot` no longer counts.
    fn end(self, slot: u64) -> u64 {
        slot.saturating_add(self.length)
    }
}

impl Sliding {
    /// Would `amount` fit at `now`? More than the whole limit fits when nothing else is there, and leaves a debt.
    pub fn fit(&mut self, frame: Frame, most: u64, amount: u64, now: u64) -> Fit {
        self.expire(frame, now);
        let room = most.saturating_sub(amount);
        if self.total <= room {
            return Fit::Fits;
        }
        let mut left = self.total;
        for entry in self.entries.iter() {
            left = left.saturating_sub(entry.amount);
            if left <= room {
                return Fit::At(frame.end(entry.slot));
            }
        }
        Fit::At(now.saturating_add(frame.length))
    }

    /// Takes `amount`; the answer is needed to correct it. Where `spare` bytes are not enough for another slot, the
    /// last one is made longer: what it holds counts until now and for a window, later than it must.
    pub fn take(&mut self, frame: Frame, amount: u64, now: u64, spare: usize) -> u64 {
        self.expire(frame, now);
        self.total = self.total.saturating_add(amount);
        self.entries.add(Entry { slot: frame.slot(now), amount }, spare)
    }

    /// What was taken in `slot` as `reserved` was `used` in the end. Less comes back as long as it still counts; more
    /// is taken now.
    pub fn correct(&mut self, frame: Frame, slot: u64, (reserved, used): (u64, u64), now: u64, spare: usize) {
        self.expire(frame, now);
        if used > reserved {
            self.take(frame, used - reserved, now, spare);
        } else {
            let back = self.entries.reduce(slot, reserved - used);
            self.leave(back);
        }
    }

    /// What counts at `now`.
    pub fn used(&mut self, frame: Frame, now: u64) -> u64 {
        self.expire(frame, now);
        self.total
    }

    /// The same in one slot, the last one.
    #[must_use]
    pub fn shared(&self) -> Self {
        let last = self.entries.iter().last();
        let entries = last.map_or(Entries::None, |last| Entries::One(Entry { amount: self.total, ..*last }));
        Self { total: self.total, entries }
    }

    /// Bytes beside the count itself.
    pub fn heap(&self) -> usize {
        self.entries.heap()
    }

    fn expire(&mut self, frame: Frame, now: u64) {
        let gone = self.entries.drop_while(|entry| frame.end(entry.slot) <= now);
        self.leave(gone);
    }

    fn leave(&mut self, amount: u64) {
        self.total = match self.total {
            // It may be less than all of them came to.
            u64::MAX => self.entries.iter().fold(0, |total, entry| total.saturating_add(entry.amount)),
            total => total.saturating_sub(amount),
        };
    }
}
