//! A quick no: three bytes in a row that a text must have if it holds a needle.
//!
//! Many rules look for many words in the same text, and nearly all of them are not there. One pass over the text
//! marks every second group of three bytes in a small table; a needle is only searched for if its own groups are
//! all marked. Sixty words in 2 KiB cost a third of sixty searches.

use std::cell::Cell;

/// Marks; a power of two.
const SLOTS: usize = 4096;

/// The groups of three bytes at even places of a text, marked in place: the table is too large to be moved about.
pub(super) struct Grams {
    marks: [Cell<bool>; SLOTS],
    are_read: Cell<bool>,
}

/// The groups of a needle: those at its even places, and those at its odd places. One of the two sets lies at even
/// places of the text, wherever the needle is found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace {
    even: [u16; GROUPS],
    odd: [u16; GROUPS],
}

/// More groups make the answer no better.
const GROUPS: usize = 6;

impl Trace {
    /// None for a needle too short to have both sets.
    pub(super) fn of(needle: &[u8]) -> Option<Self> {
        Some(Self { even: groups(needle, 0)?, odd: groups(needle, 1)? })
    }
}

/// Every second group from a place on; where there are few, the last one stands again.
fn groups(needle: &[u8], from: usize) -> Option<[u16; GROUPS]> {
    let mut found =
        needle.get(from..)?.windows(3).step_by(2).filter_map(|group| group.first_chunk().copied());
    let mut slots = [mark(found.next()?); GROUPS];
    let mut last = slots.first().copied().unwrap_or_default();
    for slot in slots.iter_mut().skip(1) {
        last = found.next().map_or(last, mark);
        *slot = last;
    }
    Some(slots)
}

/// The slot of three bytes.
fn mark(group: [u8; 3]) -> u16 {
    let [a, b, c] = group;
    slot(u32::from_le_bytes([a, b, c, 0]))
}

/// Fibonacci hashing: the upper 12 bits of a product.
fn slot(group: u32) -> u16 {
    (group.wrapping_mul(0x9e37_79b1) >> 20) as u16
}

impl Grams {
    /// Of no text yet.
    pub(super) fn new() -> Self {
        Self { marks: [const { Cell::new(false) }; SLOTS], are_read: Cell::new(false) }
    }

    /// Those of `text`, read the first time.
    pub(super) fn of(&self, text: &str) -> &Self {
        if !self.are_read.replace(true) {
            self.read(text);
        }
        self
    }

    #[expect(clippy::cast_possible_truncation, reason = "masked to three bytes")]
    fn read(&self, text: &str) {
        let mut rest = text.as_bytes();
        // Eight bytes hold the three groups that begin at 0, 2 and 4.
        while let Some(word) = rest.first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            for shift in [0, 16, 32] {
                self.set(slot((word >> shift) as u32 & 0xff_ffff));
            }
            rest = rest.get(6..).unwrap_or_default();
        }
        for group in rest.windows(3).step_by(2).filter_map(|group| group.first_chunk().copied()) {
            self.set(mark(group));
        }
    }

    #[inline]
    fn set(&self, slot: u16) {
        if let Some(mark) = self.marks.get(usize::from(slot)) {
            mark.set(true);
        }
    }

    pub(super) fn may_hold(&self, trace: &Trace) -> bool {
        let is_set = |slot: &u16| self.marks.get(usize::from(*slot)).is_some_and(Cell::get);
        let all = |slots: &[u16; GROUPS]| slots.iter().all(is_set);
        all(&trace.even) || all(&trace.odd)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_there_is_never_denied(before in ".{0,40}", needle in ".{1,30}", after in ".{0,40}") {
            let (grams, text) = (Grams::new(), format!("{before}{needle}{after}"));
            if let Some(trace) = Trace::of(needle.as_bytes()) {
                prop_assert!(grams.of(&text).may_hold(&trace));
            }
        }
    }

    #[test]
    fn what_shares_no_three_bytes_is_denied() {
        let grams = Grams::new();
        grams.of("please summarise the meeting notes");
        for absent in ["代码", "def main", "SELECT"] {
            assert!(!grams.may_hold(&Trace::of(absent.as_bytes()).unwrap()), "{absent}");
        }
        assert!(Trace::of(b"abc").is_none());
    }
}
