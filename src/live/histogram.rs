//! Amounts and durations in logarithmic buckets: what percentile questions need, in a few hundred bytes and without a
//! lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Four buckets a doubling, from 1 to beyond 16 million: of milliseconds, from 1 ms to beyond 4 hours.
const BUCKETS: usize = 96;

/// Counts of amounts, or of durations in milliseconds. A percentile is exact to its bucket: at most 19 % too high.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU32; BUCKETS],
    count: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU32::new(0) }; BUCKETS], count: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&self, duration: Duration) {
        self.record_amount(duration.as_secs_f64() * 1000.0);
    }

    /// Counts one amount.
    pub fn record_amount(&self, amount: f64) {
        if let Some(bucket) = self.buckets.get(bucket_of(amount)) {
            bucket.fetch_add(1, Ordering::Relaxed);
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The upper bound of the bucket that holds the `share` (0 to 1) of all durations; `None` while empty.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        self.percentile_amount(share).map(|millis| Duration::from_secs_f64(millis / 1000.0))
    }

    /// The same of amounts.
    pub fn percentile_amount(&self, share: f64) -> Option<f64> {
        let wanted = self.count() as f64 * share;
        let mut seen = 0.0;
        for (position, bucket) in self.buckets.iter().enumerate() {
            seen += f64::from(bucket.load(Ordering::Relaxed));
            if seen > 0.0 && seen >= wanted {
                return Some(upper_bound(position));
            }
        }
        None
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the buckets")]
fn bucket_of(amount: f64) -> usize {
    ((amount.max(1.0).log2() * 4.0) as usize).min(BUCKETS - 1)
}

fn upper_bound(position: usize) -> f64 {
    ((position + 1) as f64 / 4.0).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_at_most_a_fifth_too_high() {
        let histogram = Histogram::default();
        for millis in 1..=1000 {
            histogram.record(Duration::from_millis(millis));
        }
        let p99 = histogram.percentile(0.99).unwrap().as_secs_f64();
        assert!((0.990..=0.990 * 1.19).contains(&p99), "p99 = {p99}");
        assert_eq!(Histogram::default().percentile(0.99), None);
    }

    #[test]
    fn amounts_have_percentiles_too() {
        let lengths = Histogram::default();
        (1..=1000).for_each(|tokens| lengths.record_amount(f64::from(tokens)));
        let p90 = lengths.percentile_amount(0.9).unwrap();
        assert!((900.0..=900.0 * 1.19).contains(&p90), "{p90}");
    }

    #[test]
    fn durations_beyond_the_scale_count_in_its_last_bucket() {
        let histogram = Histogram::default();
        histogram.record(Duration::from_secs(1_000_000));
        histogram.record(Duration::ZERO);
        assert_eq!(histogram.count(), 2);
    }
}
