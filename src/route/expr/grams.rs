//! A quick no: three bytes in a row that a text must have if it holds a needle.
//!
//! Many rules look for many words in the same text, and nearly all of them are not there. One pass over the text
//! marks every second group of three bytes in a small table; a needle is only searched for if its own groups are
//! all marked. Sixty words in 2 KiB cost a third of sixty searches.

/// Marks; a power of two.
const SLOTS: usize = 4096;

/// The groups of three bytes at even places of a text.
#[derive(Clone)]
pub(super) struct Grams([u8; SLOTS]);

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
    #[expect(clippy::cast_possible_truncation, reason = "masked to three bytes")]
    pub(super) fn of(text: &str) -> Self {
        let mut grams = Self([0; SLOTS]);
        let mut rest = text.as_bytes();
        // Eight bytes hold the three groups that begin at 0, 2 and 4.
        while let Some(word) = rest.first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            for shift in [0, 16, 32] {
                grams.set(slot((word >> shift) as u32 & 0xff_ffff));
            }
            rest = rest.get(6..).unwrap_or_default();
        }
        for group in rest.windows(3).step_by(2).filter_map(|group| group.first_chunk().copied()) {
            grams.set(mark(group));
        }
        grams
    }

    #[inline]
    fn set(&mut self, slot: u16) {
        if let Some(mark) = self.0.get_mut(usize::from(slot)) {
            *mark = 1;
        }
    }

    pub(super) fn may_hold(&self, trace: &Trace) -> bool {
        let all = |slots: &[u16; GROUPS]| slots.iter().all(|slot| self.0.get(usize::from(*slot)) == Some(&1));
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
            let grams = Grams::of(&format!("{before}{needle}{after}"));
            if let Some(trace) = Trace::of(needle.as_bytes()) {
                prop_assert!(grams.may_hold(&trace));
            }
        }
    }

    #[test]
    fn what_shares_no_three_bytes_is_denied() {
        let grams = Grams::of("please summarise the meeting notes");
        for absent in ["代码", "def main", "SELECT"] {
            assert!(!grams.may_hold(&Trace::of(absent.as_bytes()).unwrap()), "{absent}");
        }
        assert!(Trace::of(b"abc").is_none());
    }
}
