//! Which facts are worth their price: what rules and affinity ask for.

use std::ops::BitOr;

/// Facts that cost something and are only gathered when someone reads them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants(u8);

impl Wants {
    /// None of them.
    pub const NOTHING: Self = Self(0);
    /// The text of all messages.
    pub const TEXT: Self = Self(1);
    /// The text of the system's messages.
    pub const SYSTEM: Self = Self(2);
    /// The hash of the beginning of the messages.
    pub const PREFIX: Self = Self(4);
    /// The hour and the weekday; not a fact of the request, the clock is read for it.
    pub const CLOCK: Self = Self(8);
    /// All of them.
    pub const ALL: Self = Self(15);

    /// Are all of `others` wanted?
    pub fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

impl BitOr for Wants {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
