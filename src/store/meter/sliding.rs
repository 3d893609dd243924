//! Never more than a limit in any window: what was taken, by short slots of time, for as long as it counts.
//!
//! A slot counts until the latest moment it holds has left the window, so that what lies in `(t - length, t]` is never
//! more than what is counted at `t`. With slots of a nanosecond that is exact; with 256 slots a window it holds back at
//! most 1/257 of the limit. Pure: time is an argument.

use std::collections::VecDeque;

use super::Fit;

/// Slots a window has where it is not kept to the nanosecond.
const SLOTS: u64 = 256;
/// Up to such a limit, every single amount is kept.
const EXACT: u64 = 128;

/// What was taken in one slot.
#[derive(Clone, Copy, Debug)]
struct Entry {
    slot: u64,
    amount: u64,
}

/// Most counts of users hold nothing, or one entry: those take no memory of their own.
#[derive(Clone, Debug, Default)]
#[expect(clippy::box_collection, reason = "millions of counts are as large as the largest variant")]
enum Entries {
    #[default]
    None,
    One(Entry),
    Many(Box<VecDeque<Entry>>),
}

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

    fn slot(self, now: u64) -> u64 {
        now / self.width
    }

    /// When what was taken in `slot` no longer counts.
    fn end(self, slot: u64) -> u64 {
        slot.saturating_mul(self.width).saturating_add(self.width - 1).saturating_add(self.length)
    }
}

impl Sliding {
    /// Would `amount` fit at `now`?
    pub fn fit(&mut self, frame: Frame, most: u64, amount: u64, now: u64) -> Fit {
        self.expire(frame, now);
        let room = most.saturating_sub(amount);
        // More than the whole limit fits when nothing else is there.
        let room = if amount > most { 0 } else { room };
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

    /// Takes `amount`; the answer is needed to correct it.
    pub fn take(&mut self, frame: Frame, amount: u64, now: u64) -> u64 {
        let slot = frame.slot(now);
        self.total = self.total.saturating_add(amount);
        self.entries.add(slot, amount);
        slot
    }

    /// What was taken in `slot` as `reserved` was `used` in the end. Less comes back as long as it still counts; more
    /// is taken now.
    pub fn correct(&mut self, frame: Frame, slot: u64, (reserved, used): (u64, u64), now: u64) {
        self.expire(frame, now);
        if used > reserved {
            self.take(frame, used - reserved, now);
        } else if let Some(entry) = self.entries.find(slot) {
            let back = (reserved - used).min(entry.amount);
            entry.amount -= back;
            self.total = self.total.saturating_sub(back);
        }
    }

    /// What counts at `now`.
    pub fn used(&mut self, frame: Frame, now: u64) -> u64 {
        self.expire(frame, now);
        self.total
    }

    /// Bytes beside the count itself.
    pub fn heap(&self) -> usize {
        match &self.entries {
            Entries::None | Entries::One(_) => 0,
            Entries::Many(many) => size_of::<VecDeque<Entry>>() + many.capacity() * size_of::<Entry>(),
        }
    }

    fn expire(&mut self, frame: Frame, now: u64) {
        let gone = self.entries.drop_while(|entry| frame.end(entry.slot) <= now);
        self.total = self.total.saturating_sub(gone);
    }
}

impl Entries {
    fn iter(&self) -> impl Iterator<Item = &Entry> {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(one) => (Some(one), None),
            Self::Many(many) => (None, Some(many.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    fn add(&mut self, slot: u64, amount: u64) {
        let entry = Entry { slot, amount };
        match self {
            Self::None => *self = Self::One(entry),
            Self::One(one) if one.slot >= slot => one.amount = one.amount.saturating_add(amount),
            Self::One(one) => *self = Self::Many(Box::new(VecDeque::from([*one, entry]))),
            Self::Many(many) => match many.back_mut() {
                // Time that seems to go back is the present.
                Some(last) if last.slot >= slot => last.amount = last.amount.saturating_add(amount),
                _ => many.push_back(entry),
            },
        }
    }

    fn find(&mut self, slot: u64) -> Option<&mut Entry> {
        match self {
            Self::None => None,
            Self::One(one) => (one.slot == slot).then_some(one),
            Self::Many(many) => {
                let position = many.binary_search_by_key(&slot, |entry| entry.slot).ok()?;
                many.get_mut(position)
            }
        }
    }

    /// Drops entries from the oldest on; how much they came to.
    fn drop_while(&mut self, is_gone: impl Fn(&Entry) -> bool) -> u64 {
        match self {
            Self::None => 0,
            Self::One(one) => {
                let gone = if is_gone(one) { one.amount } else { return 0 };
                *self = Self::None;
                gone
            }
            Self::Many(many) => {
                let mut gone = 0_u64;
                while let Some(first) = many.front().filter(|first| is_gone(first)) {
                    gone = gone.saturating_add(first.amount);
                    many.pop_front();
                }
                if many.is_empty() {
                    *self = Self::None;
                }
                gone
            }
        }
    }
}
