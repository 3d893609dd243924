//! How long to wait before the same deployment is asked again: arithmetic only.

use std::time::Duration;

/// Full jitter: uniform in `[0, min(cap, base · 2^step))`.
///
/// Source: M. Brooker, "Exponential Backoff and Jitter", AWS, 2015; the numbers are those of AWS' retry
/// specification 2.1 (see `config::Retry`). `chance` is uniform in `[0, 1)`.
pub fn full_jitter(base: Duration, cap: Duration, step: u32, chance: f64) -> Duration {
    let factor = 1_u32.checked_shl(step).unwrap_or(u32::MAX);
    let ceiling = base.checked_mul(factor).unwrap_or(cap).min(cap);
    ceiling.mul_f64(chance.clamp(0.0, 1.0))
}

/// A wait the upstream asked for: never earlier, up to a tenth later, so that callers told the same do not come
/// back together.
pub fn asked(wait: Duration, chance: f64) -> Duration {
    wait.mul_f64(1.0 + 0.1 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Rng;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_backoff_never_exceeds_its_step_nor_the_cap(
            base in 0_u64..10_000, cap in 0_u64..60_000, step in 0_u32..80, chance in 0.0_f64..1.0,
        ) {
            let (base, cap) = (Duration::from_millis(base), Duration::from_millis(cap));
            let wait = full_jitter(base, cap, step, chance);
            prop_assert!(wait <= cap);
            if step < 20 {
                prop_assert!(wait <= base * (1 << step));
            }
        }

        #[test]
        fn an_upstreams_wait_is_never_shortened(wait in 0_u64..1_000_000, chance in 0.0_f64..1.0) {
            let wait = Duration::from_millis(wait);
            prop_assert!(asked(wait, chance) >= wait);
            prop_assert!(asked(wait, chance) <= wait.mul_f64(1.1) + Duration::from_nanos(1));
        }
    }

    /// Kolmogorov-Smirnov at 1 %: the largest gap to the uniform distribution stays below 1.63 / sqrt(n).
    #[test]
    fn r6_jitter_is_uniform() {
        let rng = Rng::seeded(7);
        let count = 10_000;
        let mut draws: Vec<f64> = (0..count)
            .map(|_| full_jitter(Duration::from_secs(1), Duration::from_secs(9), 0, rng.unit()).as_secs_f64())
            .collect();
        draws.sort_by(f64::total_cmp);
        let gap = draws
            .iter()
            .enumerate()
            .map(|(position, draw)| (draw - position as f64 / f64::from(count)).abs())
            .fold(0.0, f64::max);
        assert!(gap < 1.63 / f64::from(count).sqrt(), "gap {gap}");
    }

    #[test]
    fn r6_two_machines_never_share_a_seed() {
        assert_ne!(Rng::from_machine().u64(), Rng::from_machine().u64());
        assert_eq!(Rng::seeded(3).u64(), Rng::seeded(3).u64());
    }
}
