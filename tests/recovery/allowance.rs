//! The shared retry allowance: what first attempts earn, and that nobody draws more.

use std::collections::VecDeque;
use std::time::Duration;

use fairlead::clock;
use fairlead::retry::allowance::{Allowance, Allowed, Cost, Policy};
use proptest::prelude::*;

const DEFAULT: Policy = Policy::DEFAULT;

fn drawn(allowance: &Allowance, at: clock::Instant, cost: Cost) -> u64 {
    (0..100_000).take_while(|_| allowance.draw(&DEFAULT, cost, at) == Allowed::Yes).count() as u64
}

#[test]
fn r2_a_fifth_of_the_first_attempts_and_one_a_second() {
    let now = clock::now();
    for firsts in [0, 1, 4, 5, 99, 100, 1_000, 12_345] {
        let allowance = Allowance::new(now);
        (0..firsts).for_each(|_| allowance.first(now));
        assert_eq!(drawn(&allowance, now, Cost::Whole), firsts / 5 + 10, "{firsts} first attempts");
    }
}

#[test]
fn r2_under_total_failure_retries_stay_within_the_bound_at_every_rate() {
    for per_second in [0, 1, 5, 20, 200] {
        let origin = clock::now();
        let allowance = Allowance::new(origin);
        let (mut firsts, mut retries) = (Vec::new(), Vec::new());
        for tenth in 0..600_u64 {
            let now = origin + Duration::from_millis(tenth * 100);
            for _ in 0..(per_second * (tenth + 1) / 10 - per_second * tenth / 10) {
                allowance.first(now);
                firsts.push(tenth);
            }
            // Everything fails, and would be asked again as often as it may be.
            retries.extend((0..drawn(&allowance, now, Cost::Whole)).map(|_| tenth));
            let within = |events: &[u64]| events.iter().filter(|at| **at + 100 > tenth).count() as f64;
            assert!(within(&retries) <= 0.2 * within(&firsts) + 10.0, "at {tenth}, {per_second}/s");
        }
        let least = 0.15 * firsts.len() as f64 + 50.0;
        assert!(retries.len() as f64 >= least, "of {per_second}/s only {} were asked again", retries.len());
    }
}

#[test]
fn r2_a_retry_after_throttling_costs_half() {
    let now = clock::now();
    let allowance = Allowance::new(now);
    assert_eq!(drawn(&allowance, now, Cost::Half), 20);
    assert_eq!(allowance.balance(&DEFAULT, now), 0.0);
    let other = Allowance::new(now);
    assert_eq!((other.draw(&DEFAULT, Cost::Half, now), other.balance(&DEFAULT, now)), (Allowed::Yes, 9.5));
    assert_eq!(drawn(&other, now, Cost::Whole), 9);
    assert_eq!(other.draw(&DEFAULT, Cost::Whole, now), Allowed::No, "half of one is left");
    assert_eq!(other.draw(&DEFAULT, Cost::Half, now), Allowed::Yes);
}

#[test]
fn r8_an_exhausted_allowance_refuses_at_once_and_comes_back_with_time() {
    let now = clock::now();
    let allowance = Allowance::new(now);
    drawn(&allowance, now, Cost::Whole);
    assert_eq!(allowance.draw(&DEFAULT, Cost::Whole, now), Allowed::No);
    assert_eq!(allowance.draw(&DEFAULT, Cost::Whole, now + Duration::from_secs(10)), Allowed::No);
    assert_eq!(allowance.draw(&DEFAULT, Cost::Whole, now + Duration::from_secs(11)), Allowed::Yes);
    assert_eq!(allowance.draw(&Policy::UNLIMITED, Cost::Whole, now), Allowed::Yes);
    assert_eq!(
        allowance.draw(&DEFAULT, Cost::Whole, now + Duration::from_secs(u64::from(u32::MAX))),
        Allowed::Yes
    );
}

/// All that ever happened, counted anew each time.
#[derive(Debug, Default)]
struct Model {
    firsts: VecDeque<u64>,
    /// When, and for how many halves.
    spent: VecDeque<(u64, u64)>,
}

impl Model {
    fn draw(&mut self, cost: u64, millis: u64) -> Allowed {
        let second = millis / 1_000;
        let firsts = self.firsts.iter().filter(|at| **at / 1_000 + 9 >= second).count() as u64;
        let spent: u64 =
            self.spent.iter().filter(|(at, _)| at / 1_000 + 10 >= second).map(|(_, cost)| cost).sum();
        // In tenths of retries, all whole.
        if 2 * firsts + 100 < 5 * (spent + cost) {
            return Allowed::No;
        }
        self.spent.push_back((millis, cost));
        Allowed::Yes
    }

    /// In the ten seconds that end now, to the millisecond.
    fn holds(&self, millis: u64) -> bool {
        let firsts = self.firsts.iter().filter(|at| **at + 10_000 > millis).count() as u64;
        let spent: u64 = self.spent.iter().filter(|(at, _)| at + 10_000 > millis).map(|(_, cost)| cost).sum();
        5 * spent <= 2 * firsts + 100
    }
}

proptest! {
    #[test]
    fn r2_the_allowance_is_the_model_and_the_model_keeps_the_bound(
        steps in prop::collection::vec((0_u8..6, 0_u64..3_000, 1_usize..25), 1..60),
    ) {
        let origin = clock::now();
        let (allowance, mut model, mut millis) = (Allowance::new(origin), Model::default(), 0);
        for (what, wait, count) in steps {
            // Most happens in bursts; some gaps empty part of the window, few all of it.
            millis += match what { 0 => wait, 1 => wait * 8, _ => wait / 30 };
            let now = origin + Duration::from_millis(millis);
            for _ in 0..count {
                let cost = match what {
                    0..=2 => {
                        allowance.first(now);
                        model.firsts.push_back(millis);
                        continue;
                    }
                    3 | 4 => Cost::Whole,
                    _ => Cost::Half,
                };
                let expected = model.draw(if cost == Cost::Whole { 2 } else { 1 }, millis);
                prop_assert_eq!(allowance.draw(&DEFAULT, cost, now), expected);
                prop_assert!(expected == Allowed::No || model.holds(millis));
            }
        }
    }
}
