//! What a line tells of itself.

use std::time::Duration;

use super::settings::PRIORITIES;

/// Where a line stands, and what it has done since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Calls that wait in the line, by the priority they came with.
    pub depth: [usize; PRIORITIES],
    /// Calls that wait aside, for limits of their own.
    pub aside: usize,
    /// Calls that were served.
    pub served: u64,
    /// What those waited, together.
    pub waited: Duration,
    /// Calls refused because too many waited.
    pub full: u64,
    /// Calls that gave way to others of higher priority.
    pub shed: u64,
    /// Calls refused because the wait would have outlasted their deadline.
    pub predicted: u64,
    /// Calls that waited as long as they could.
    pub timed_out: u64,
    /// Calls whose callers gave up.
    pub left: u64,
    /// Is the line overloaded?
    pub overloaded: bool,
    /// How often it became so.
    pub overloads: u64,
}
