//! Observations in fixed buckets, without a lock: what Prometheus calls a histogram.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::exposition::Value;

/// Of calls and attempts: those of `gen_ai.client.operation.duration` (OpenTelemetry), and two more, since a call may
/// take minutes. Nanoseconds.
pub(super) const DURATIONS: [u64; 16] = doubling(10_000_000);
/// Between two pieces of a stream: from 1 ms. Nanoseconds.
pub(super) const GAPS: [u64; 16] = doubling(1_000_000);
/// Of our own work: from 10 us to 1 s. Nanoseconds.
pub(super) const OVERHEAD: [u64; 16] = [
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
];
/// Tokens of a call: those of `gen_ai.client.token.usage` up to 4 million.
pub(super) const TOKENS: [u64; 12] =
    [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304];

const fn doubling(first: u64) -> [u64; 16] {
    let mut bounds = [first; 16];
    let mut position = 1;
    #[expect(clippy::indexing_slicing, reason = "evaluated while compiling")]
    while position < bounds.len() {
        bounds[position] = bounds[position - 1] * 2;
        position += 1;
    }
    bounds
}

/// Counts of observations by bucket, and their sum.
#[derive(Debug)]
pub struct Distribution {
    /// The largest observation of each bucket but the last, which has none.
    bounds: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
    unit: Unit,
}

/// What is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Nanoseconds, written as seconds.
    Nanoseconds,
    /// Written as they are.
    Things,
}

impl Distribution {
    /// Of durations, by bounds in nanoseconds.
    pub(super) fn seconds(bounds: &'static [u64]) -> Self {
        Self::new(bounds, Unit::Nanoseconds)
    }

    /// Of counts.
    pub(super) fn counts(bounds: &'static [u64]) -> Self {
        Self::new(bounds, Unit::Things)
    }

    fn new(bounds: &'static [u64], unit: Unit) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0), unit }
    }

    /// Counts a duration.
    pub fn took(&self, duration: Duration) {
        self.observe(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts an observation.
    pub fn observe(&self, observed: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < observed);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
            self.sum.fetch_add(observed, Ordering::Relaxed);
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The upper bound of each bucket with what it holds, the unbounded one last.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let scale = match self.unit {
            Unit::Nanoseconds => 1e9,
            Unit::Things => 1.0,
        };
        let bounds = self.bounds.iter().map(move |bound| *bound as f64 / scale);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        bounds.chain([f64::INFINITY]).zip(counts)
    }

    /// All observations together.
    pub(super) fn sum(&self) -> Value {
        let sum = self.sum.load(Ordering::Relaxed);
        match self.unit {
            Unit::Nanoseconds => Value::Billionths(sum),
            Unit::Things => Value::Whole(sum),
        }
    }

    /// Their mean, in seconds where they are durations; `None` before the first.
    pub(super) fn mean(&self) -> Option<f64> {
        let count = self.count();
        let scale = match self.unit {
            Unit::Nanoseconds => 1e9,
            Unit::Things => 1.0,
        };
        (count > 0).then(|| self.sum.load(Ordering::Relaxed) as f64 / scale / count as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_observation_is_in_the_first_bucket_whose_bound_is_not_below_it(
            observed in prop::collection::vec(0_u64..200_000_000, 0..200),
        ) {
            let distribution = Distribution::counts(&TOKENS);
            for one in &observed {
                distribution.observe(*one);
            }
            let mut below = 0.0;
            for (bound, count) in distribution.buckets() {
                let wanted = observed.iter().filter(|one| **one as f64 > below && **one as f64 <= bound);
                // Nothing is below the first bound but zero itself.
                let zeros = if below == 0.0 { observed.iter().filter(|one| **one == 0).count() } else { 0 };
                prop_assert_eq!(count, (wanted.count() + zeros) as u64);
                below = bound;
            }
            prop_assert_eq!(distribution.sum(), Value::Whole(observed.iter().sum()));
            prop_assert_eq!(distribution.count(), observed.len() as u64);
        }
    }

    #[test]
    fn bounds_are_those_that_opentelemetry_advises() {
        let first: Vec<f64> = Distribution::seconds(&DURATIONS).buckets().map(|(bound, _)| bound).collect();
        assert_eq!(first[..4], [0.01, 0.02, 0.04, 0.08]);
        assert_eq!((first[13], first[15], first[16]), (81.92, 327.68, f64::INFINITY));
    }
}
