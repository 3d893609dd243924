//! When a key is asked for again: arithmetic only.

use std::time::Duration;

/// A key whose source does not say how long it is good for is used for this long.
pub const TTL: Duration = Duration::from_secs(300);
/// The longest life that is believed.
pub const LONGEST_LIFE: Duration = Duration::from_hours(24);
/// The first pause of a source that failed.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause of a source that keeps failing.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The first pause between two keys that were asked for because the upstream refused the one before.
const FIRST_REFUSAL: Duration = Duration::from_secs(10);
/// The longest such pause.
const LONGEST_REFUSAL: Duration = Duration::from_secs(300);

/// The life that a source names in seconds; none where that is not a time to come.
pub fn life(seconds: f64) -> Option<Duration> {
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST_LIFE.as_secs_f64())))
}

/// How long after its issue a key is asked for again: `margin` before its end, a tenth more or less, but not in
/// the first 45 % of its life. `chance` is uniform in `[0, 1)`.
pub fn renewal(life: Duration, margin: Duration, chance: f64) -> Duration {
    let margin = margin.min(life / 2).mul_f64(0.9 + 0.2 * chance.clamp(0.0, 1.0));
    life.saturating_sub(margin)
}

/// How long a source is left alone after `failures` in a row: doubling, between half and all of the step.
pub fn pause(failures: u32, chance: f64) -> Duration {
    let step = doubled(FIRST_PAUSE, failures, LONGEST_PAUSE);
    step.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
}

/// How long no key is asked for only because one was refused, after `refusals` in a row.
pub fn refusal_pause(refusals: u32) -> Duration {
    doubled(FIRST_REFUSAL, refusals, LONGEST_REFUSAL)
}

fn doubled(first: Duration, times: u32, cap: Duration) -> Duration {
    let factor = 1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX);
    first.checked_mul(factor).unwrap_or(cap).min(cap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_is_renewed_within_its_life_and_a_tenth_around_its_margin(
            life in 1_u64..100_000, margin in 0_u64..10_000, chance in 0.0_f64..1.0,
        ) {
            let renewal = renewal(Duration::from_secs(life), Duration::from_secs(margin), chance).as_secs_f64();
            prop_assert!(renewal <= life as f64 && renewal >= life as f64 * 0.449);
            if margin * 2 <= life {
                let ahead = life as f64 - renewal;
                prop_assert!(ahead >= margin as f64 * 0.9 - 1e-6 && ahead <= margin as f64 * 1.1 + 1e-6);
            }
        }

        #[test]
        fn pauses_grow_to_their_cap_and_are_never_nothing(failures in 1_u32..100, chance in 0.0_f64..1.0) {
            prop_assert!(pause(failures, chance) >= FIRST_PAUSE / 2);
            prop_assert!(pause(failures, chance) <= LONGEST_PAUSE);
            prop_assert!(refusal_pause(failures) >= FIRST_REFUSAL);
            prop_assert!(refusal_pause(failures) <= LONGEST_REFUSAL);
        }

        #[test]
        fn no_life_is_too_odd(seconds in proptest::num::f64::ANY) {
            prop_assert!(life(seconds).is_none_or(|life| life <= LONGEST_LIFE));
        }
    }
}
