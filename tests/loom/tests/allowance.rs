//! The shared retry allowance, in every interleaving.

#![allow(clippy::disallowed_methods, reason = "any instant will do: time stands still in a model")]

use std::sync::Arc;
use std::time::Instant;

use fairlead_loom::allowance::{Allowance, Allowed, Cost, Policy};
use loom::thread;

/// Two in all, and one for each first attempt.
const POLICY: Policy = Policy { share: 1.0, floor: 0.2 };

fn draws(allowance: &Allowance, count: usize, cost: Cost, now: Instant) -> usize {
    (0..count).filter(|_| allowance.draw(&POLICY, cost, now) == Allowed::Yes).count()
}

#[test]
fn r2_racing_retries_never_draw_more_than_there_is() {
    loom::model(|| {
        let now = Instant::now();
        let allowance = Arc::new(Allowance::new(now));
        let drawing = || {
            let allowance = Arc::clone(&allowance);
            thread::spawn(move || draws(&allowance, 2, Cost::Whole, now))
        };
        let threads = [drawing(), drawing()];
        let drawn: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(drawn, 2);
    });
}

#[test]
fn r2_first_attempts_meanwhile_earn_what_they_earn() {
    loom::model(|| {
        let now = Instant::now();
        let allowance = Arc::new(Allowance::new(now));
        let asking = {
            let allowance = Arc::clone(&allowance);
            thread::spawn(move || {
                allowance.first(now);
                draws(&allowance, 2, Cost::Whole, now)
            })
        };
        let own = draws(&allowance, 2, Cost::Whole, now);
        let drawn = own + asking.join().unwrap();
        assert_eq!(drawn, 3, "two, and one that was earned before its thread drew");
        assert_eq!(draws(&allowance, 1, Cost::Half, now), 0);
    });
}
