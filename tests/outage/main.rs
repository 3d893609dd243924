//! Outages in virtual time, through the engine: what `fairlead simulate` and `benchmarks/outage` show.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    missing_docs,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "the benchmark plays the others")]
mod scenes;

use fairlead::simulate::{Outcome, Policy};
use scenes::Scene;

/// Does the environment ask for full counts?
fn is_soak() -> bool {
    std::env::var_os("PROPTEST_CASES").is_some()
}

fn seeds() -> std::ops::RangeInclusive<u64> {
    if is_soak() { 1..=10 } else { 1..=1 }
}

fn shown(outcome: &Outcome) -> String {
    format!(
        "{} calls, {:.3} % failed, p50 {:.1} s, p99 {:.1} s, {:.3} requests a call, {} to the ill, {:?}",
        outcome.calls.len(),
        100.0 - 100.0 * outcome.success(),
        outcome.took(0.5).as_secs_f64(),
        outcome.took(0.99).as_secs_f64(),
        outcome.attempts_per_call(),
        outcome.while_ill(),
        outcome.errors(),
    )
}

fn led(scene: &Scene, seed: u64) -> Outcome {
    scene.run(Policy::Written, seed).unwrap()
}

/// Requests that came to an upstream between two seconds.
fn asked(outcome: &Outcome, name: &str, from: f64, to: f64) -> usize {
    let upstream = outcome.upstreams.iter().find(|one| one.name == name).unwrap();
    upstream.requests.iter().filter(|at| (from..to).contains(*at)).count()
}

#[test]
fn p1_ten_bad_minutes_of_twenty_cost_next_to_nothing() {
    for seed in seeds() {
        let outcome = led(&scenes::t1(), seed);
        let told = format!("seed {seed}: {}", shown(&outcome));
        assert!(outcome.success() >= 0.9995, "{told}");
        assert!(outcome.took(0.99).as_secs_f64() <= 10.0, "{told}");
        assert!(outcome.attempts_per_call() <= 1.05, "{told}");
        assert!(outcome.while_ill() <= 300, "{told}");
        // Well again, it has nearly all of its calls back within two minutes.
        for (from, to) in [(420.0, 420.0), (600.0, 720.0), (840.0, 960.0), (1080.0, 1200.0)] {
            let back = asked(&outcome, "a", to - 20.0, to);
            assert!(back >= 300, "{told}: {back} of 400 after {from}");
        }
    }
}
