//! What was taken, slot by slot, oldest first, in little memory: nothing is kept of a slot that holds nothing.

use std::collections::VecDeque;

/// What was taken in one slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Its latest moment.
    pub(super) slot: u64,
    /// How much.
    pub(super) amount: u64,
}

/// Most counts of users hold nothing, or one entry: those take no memory of their own.
#[derive(Clone, Debug, Default)]
pub(super) enum Entries {
    /// None.
    #[default]
    None,
    /// One.
    One(Entry),
    /// Two or more, in a box: the count of each user is so much smaller.
    #[expect(clippy::box_collection, reason = "a pointer instead of four words")]
    Many(Box<VecDeque<Entry>>),
}

/// How many the smallest table of many has room for.
const FEWEST: usize = 4;

/// What a table takes beside its entries.
const TABLE: usize = size_of::<VecDeque<Entry>>();

impl Entries {
    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(one) => (Some(one), None),
            Self::Many(many) => (None, Some(many.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Bytes beside the entries themselves.
    pub(super) fn heap(&self) -> usize {
        match self {
            Self::None | Self::One(_) => 0,
            Self::Many(many) => TABLE + many.capacity() * size_of::<Entry>(),
        }
    }

    /// Adds what was taken; the slot it was added to. Time that seems to go back is the present. Where `spare` bytes
    /// are not enough for another entry, the last one is moved to the present.
    pub(super) fn add(&mut self, new: Entry, spare: usize) -> u64 {
        if new.amount == 0 {
            return new.slot;
        }
        match self {
            Self::None => *self = Self::One(new),
            Self::One(last) if last.slot >= new.slot || TABLE + FEWEST * size_of::<Entry>() > spare => {
                return last.merge(new);
            }
            Self::One(one) => {
                let mut many = VecDeque::with_capacity(FEWEST);
                many.extend([*one, new]);
                *self = Self::Many(Box::new(many));
            }
            Self::Many(many) => {
                let growth = if many.len() < many.capacity() { 0 } else { many.capacity() };
                let has_room = growth.saturating_mul(size_of::<Entry>()) <= spare;
                if let Some(last) = many.back_mut().filter(|last| last.slot >= new.slot || !has_room) {
                    return last.merge(new);
                }
                many.reserve_exact(growth.max(1));
                many.push_back(new);
            }
        }
        new.slot
    }

    /// Takes `amount` out of `slot`, at most what it holds; how much that was.
    pub(super) fn reduce(&mut self, slot: u64, amount: u64) -> u64 {
        match self {
            Self::One(one) if one.slot == slot => {
                let back = one.reduce(amount);
                if one.amount == 0 {
                    *self = Self::None;
                }
                back
            }
            Self::None | Self::One(_) => 0,
            Self::Many(many) => {
                let Ok(position) = many.binary_search_by_key(&slot, |entry| entry.slot) else { return 0 };
                let Some(entry) = many.get_mut(position) else { return 0 };
                let back = entry.reduce(amount);
                if entry.amount == 0 {
                    many.remove(position);
                    self.shrink();
                }
                back
            }
        }
    }

    /// Drops entries from the oldest on; how much they came to.
    pub(super) fn drop_while(&mut self, is_gone: impl Fn(&Entry) -> bool) -> u64 {
        match self {
            Self::One(one) if is_gone(one) => {
                let gone = one.amount;
                *self = Self::None;
                gone
            }
            Self::None | Self::One(_) => 0,
            Self::Many(many) => {
                let mut gone = 0_u64;
                while let Some(first) = many.front().filter(|first| is_gone(first)) {
                    gone = gone.saturating_add(first.amount);
                    many.pop_front();
                }
                if gone > 0 {
                    self.shrink();
                }
                gone
            }
        }
    }

    /// Gives back memory that has become far too large.
    fn shrink(&mut self) {
        let Self::Many(many) = self else { return };
        match (many.front(), many.len()) {
            (Some(one), 1) => *self = Self::One(*one),
            (None, _) => *self = Self::None,
            (Some(_), count) if many.capacity() > FEWEST.max(4 * count) => {
                many.shrink_to(FEWEST.max(2 * count));
            }
            _ => {}
        }
    }
}

impl Entry {
    /// Both, at the later of the two; when that is.
    fn merge(&mut self, other: Self) -> u64 {
        self.slot = self.slot.max(other.slot);
        self.amount = self.amount.saturating_add(other.amount);
        self.slot
    }

    fn reduce(&mut self, amount: u64) -> u64 {
        let back = amount.min(self.amount);
        self.amount -= back;
        back
    }
}
