//! Who stands in the line.

use std::time::Duration;

use super::away::TurnedAway;

/// Who wants to join. Times are nanoseconds since the line's beginning.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer {
    /// Whose call it is: a hash.
    pub tenant: u64,
    /// The tenant's share beside other tenants; taken as 0.001 to 1,000.
    pub weight: f64,
    /// 0 to 9, higher first; what is above counts as 9.
    pub priority: u8,
    /// What it is expected to use, in tokens.
    pub cost: u64,
    /// The longest it can wait.
    pub deadline: u64,
}

/// A place in a line; no two are alike, and later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// Where the holder of a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In the line.
    Waiting,
    /// At the head: it is its turn to try.
    Offered,
    /// Out of the line, for a limit of its own.
    Aside,
    /// Sent away.
    Away(TurnedAway),
    /// Served, or left.
    Gone,
}

/// One who waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) tenant: u64,
    pub(super) weight: u64,
    pub(super) class: u8,
    pub(super) cost: u64,
    pub(super) joined: u64,
    /// When it last took its place in the line: later than `joined` where it was aside.
    pub(super) entered: u64,
    /// The line's patience at that moment.
    pub(super) patience: u64,
    pub(super) deadline: u64,
    pub(super) spot: Spot,
    /// The limit of its own that it last stepped aside for.
    pub(super) own: Option<u64>,
}

impl Waiter {
    pub(super) fn waited(&self, now: u64) -> Duration {
        Duration::from_nanos(now.saturating_sub(self.joined))
    }
}

/// Whether it is in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    Line,
    Aside,
    Away(TurnedAway),
}
