//! The numbers of a line.

use std::time::Duration;

/// How many priorities there are: 0 to 9, higher first.
pub const PRIORITIES: usize = 10;
/// The highest.
pub(super) const HIGHEST: u8 = 9;

/// How long a line may be, and how it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Calls that may wait, those set aside included. Default: 1,000.
    pub most: usize,
    /// Those of one tenant. Default: 100.
    pub most_per_tenant: usize,
    /// Waiting this long is worth one priority; zero: calls do not age. Default: 5 s.
    pub aging: Duration,
    /// A line in which nobody was served after less than this, for `overload_interval`, is overloaded (`CoDel`, Nichols
    /// and Jacobson 2012; for queues of requests, Maurer 2015). Default: 1 s.
    pub overload_target: Duration,
    /// See `overload_target`. Default: 5 s.
    pub overload_interval: Duration,
    /// The longest that newcomers to an overloaded line wait. Default: 1 s.
    pub overload_patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            most: 1000,
            most_per_tenant: 100,
            aging: Duration::from_secs(5),
            overload_target: Duration::from_secs(1),
            overload_interval: Duration::from_secs(5),
            overload_patience: Duration::from_secs(1),
        }
    }
}

/// A duration as nanoseconds; what does not fit, in 584 years, is the longest that does.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
