//! A tenant that floods the line, and what the others feel of it.

use fairlead::clock::Rng;

use crate::SECOND;
use crate::server::{Call, Ended, Outcome, poisson, run};

const MILLISECOND: u64 = SECOND / 1000;
const FLOODING: u64 = 0;
const SLOTS: usize = 8;
const UNTIL: u64 = 300 * SECOND;
const PATIENCE: u64 = 30 * SECOND;
const CALL: Call =
    Call { at: 0, tenant: FLOODING, priority: 5, cost: 1000, takes: 200 * MILLISECOND, thinks: 0 };

/// Twenty tenants with two callers each, who think a while between calls, and one that sends so many calls a second
/// without waiting for any; forty can be served.
fn calls(seed: u64, flood: u64, thinks: u64, priority: u8) -> Vec<Ended> {
    let rng = Rng::seeded(seed);
    let caller = |tenant| Call { at: rng.u64() % SECOND, tenant, priority, thinks, ..CALL };
    let mut calls: Vec<Call> = (1..=20).chain(1..=20).map(caller).collect();
    calls.extend(poisson(&rng, SECOND / flood, UNTIL, CALL));
    run(&rng, calls, UNTIL, SLOTS, PATIENCE)
}

fn others(ended: &[Ended]) -> impl Iterator<Item = &Ended> {
    ended.iter().filter(|ended| ended.call.tenant != FLOODING)
}

fn p99(ended: &[Ended]) -> f64 {
    let mut waits: Vec<u64> = others(ended).map(|ended| ended.waited).collect();
    waits.sort_unstable();
    waits[waits.len() * 99 / 100] as f64 / MILLISECOND as f64
}

fn assert_within_twice(thinks: u64, priority: u8) {
    for seed in 0..2 {
        let calm = calls(seed, 1, thinks, priority);
        let flooded = calls(seed, 100, thinks, priority);
        let (before, after) = (p99(&calm), p99(&flooded));
        assert!(after <= 2.0 * before, "{after} ms, without the flood {before}");
        assert!(others(&flooded).all(|ended| ended.outcome == Outcome::Served));
        let busy = flooded.iter().filter(|ended| ended.outcome == Outcome::Served).count();
        assert!(busy as f64 >= 0.99 * 40.0 * 300.0, "{busy} of 12,000 were served");
    }
}

#[test]
fn q7_f130_a_tenant_that_floods_a_hundredfold_leaves_the_others_waits_within_twice() {
    // What the others want fills nine tenths of the slots, then all of them.
    assert_within_twice(800 * MILLISECOND, 5);
    assert_within_twice(600 * MILLISECOND, 5);
}

#[test]
fn q7_a_flood_gains_no_rank_over_calls_of_higher_priority_by_how_long_it_waits() {
    assert_within_twice(800 * MILLISECOND, 6);
}
