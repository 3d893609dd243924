//! How long to wait before the same deployment is asked again: arithmetic only.

use std::time::Duration;

/// How a wait is spread by chance, so that those that failed together do not come back together.
///
/// The first four are those of M. Brooker, "Exponential Backoff and Jitter", AWS, 2015.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Jitter {
    /// Uniform up to the step. Fewest collisions.
    #[default]
    Full,
    /// Uniform in the upper half of the step: never at once.
    Equal,
    /// Uniform between the base and three times the wait before, up to the cap: steps follow chance, not number.
    Decorrelated,
    /// The step itself.
    None,
    /// Up to so much is added to the step. At the cap the spread lies below it, else all would wait exactly the cap.
    Added(Duration),
}

/// How a step follows from its number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Growth {
    /// The base times this to the power of the number.
    Exponential(f64),
    /// The base times the number, counted from one.
    Linear,
}

/// How long to wait before the same is asked again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first step.
    pub base: Duration,
    /// How steps grow.
    pub growth: Growth,
    /// The shortest step, and wait.
    pub least: Duration,
    /// The longest step, and wait.
    pub cap: Duration,
    /// How a step is spread.
    pub jitter: Jitter,
}

impl Backoff {
    /// Full jitter over steps that double from `base` up to `cap`.
    pub const fn doubling(base: Duration, cap: Duration) -> Self {
        let growth = Growth::Exponential(2.0);
        Self { base, growth, least: Duration::ZERO, cap, jitter: Jitter::Full }
    }

    /// The step with this number, counted from zero, before it is spread.
    pub fn step(&self, number: u32) -> Duration {
        let factor = match self.growth {
            Growth::Exponential(factor) => factor.max(0.0).powf(f64::from(number)),
            Growth::Linear => f64::from(number) + 1.0,
        };
        // A base of nothing stays nothing, however large the factor.
        let grown = if self.base.is_zero() { 0.0 } else { self.base.as_secs_f64() * factor };
        self.bounded(grown)
    }

    /// The wait before the attempt after the `number`-th failure, counted from zero. `previous` is the wait before
    /// that failure, for [`Jitter::Decorrelated`]; `chance` is uniform in `[0, 1)`.
    pub fn wait(&self, number: u32, previous: Option<Duration>, chance: f64) -> Duration {
        let step = self.step(number);
        let (low, high) = match self.jitter {
            Jitter::Full => (self.least.min(step), step),
            Jitter::Equal => (step / 2, step),
            Jitter::Decorrelated => (self.base, previous.unwrap_or(self.base).saturating_mul(3)),
            Jitter::None => (step, step),
            Jitter::Added(most) => {
                let low = step.min(self.cap.saturating_sub(most));
                (low, low.saturating_add(most))
            }
        };
        let low = low.as_secs_f64();
        self.bounded(low + (high.as_secs_f64() - low).max(0.0) * chance.clamp(0.0, 1.0))
    }

    fn bounded(&self, seconds: f64) -> Duration {
        Duration::try_from_secs_f64(seconds).unwrap_or(self.cap).min(self.cap).max(self.least)
    }
}

/// Full jitter: uniform in `[0, min(cap, base · 2^step))`.
pub fn full_jitter(base: Duration, cap: Duration, step: u32, chance: f64) -> Duration {
    Backoff::doubling(base, cap).wait(step, None, chance)
}

/// A wait the upstream asked for: never earlier, up to a tenth later, so that callers told the same do not come
/// back together.
pub fn asked(wait: Duration, chance: f64) -> Duration {
    wait.mul_f64(1.0 + 0.1 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the arithmetic of these numbers is exact")]
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

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn with(jitter: Jitter) -> Backoff {
        Backoff { jitter, ..Backoff::doubling(secs(1.0), secs(20.0)) }
    }

    const KINDS: [Jitter; 5] = [
        Jitter::Full,
        Jitter::Equal,
        Jitter::Decorrelated,
        Jitter::None,
        Jitter::Added(Duration::from_millis(500)),
    ];

    proptest! {
        #[test]
        fn no_wait_leaves_its_bounds(
            kind in 0..KINDS.len(), linear: bool, factor in 0.0_f64..10.0, base in 0_u64..100_000,
            least in 0_u64..5_000, spare in 0_u64..60_000, number: u32, previous in prop::option::of(0_u64..u64::MAX),
            chance in 0.0_f64..1.0,
        ) {
            let growth = if linear { Growth::Linear } else { Growth::Exponential(factor) };
            let (least, cap) = (Duration::from_millis(least), Duration::from_millis(least + spare));
            let backoff = Backoff { base: Duration::from_millis(base), growth, least, cap, jitter: KINDS[kind] };
            let wait = backoff.wait(number, previous.map(Duration::from_millis), chance);
            prop_assert!(wait >= least && wait <= cap, "{backoff:?}: {wait:?}");
        }
    }

    #[test]
    fn each_kind_of_jitter_has_its_range() {
        let range = |jitter, previous| {
            let wait = |chance| with(jitter).wait(2, previous, chance).as_secs_f64();
            (wait(0.0), wait(0.5), wait(1.0))
        };
        assert_eq!(range(Jitter::Full, None), (0.0, 2.0, 4.0));
        assert_eq!(range(Jitter::Equal, None), (2.0, 3.0, 4.0));
        assert_eq!(range(Jitter::None, None), (4.0, 4.0, 4.0));
        assert_eq!(range(Jitter::Decorrelated, None), (1.0, 2.0, 3.0), "three times the base at first");
        assert_eq!(range(Jitter::Decorrelated, Some(secs(5.0))), (1.0, 8.0, 15.0));
        assert_eq!(range(Jitter::Decorrelated, Some(secs(19.0))).2, 20.0, "the cap");
        assert_eq!(range(Jitter::Added(secs(0.5)), None), (4.0, 4.25, 4.5));
    }

    #[test]
    fn steps_grow_as_written_and_stop_at_the_cap() {
        let steps =
            |backoff: Backoff| [0, 1, 2, 3, 70, u32::MAX].map(|number| backoff.step(number).as_secs_f64());
        assert_eq!(steps(with(Jitter::None)), [1.0, 2.0, 4.0, 8.0, 20.0, 20.0]);
        let linear = Backoff { growth: Growth::Linear, ..with(Jitter::None) };
        assert_eq!(steps(linear), [1.0, 2.0, 3.0, 4.0, 20.0, 20.0]);
        let nothing = Backoff { base: Duration::ZERO, ..with(Jitter::None) };
        assert_eq!(steps(nothing), [0.0; 6]);
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
