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
        // Well again, it has most of its calls back within two minutes.
        for (from, to) in [(420.0, 420.0), (600.0, 720.0), (840.0, 960.0), (1080.0, 1200.0)] {
            let back = asked(&outcome, "a", to - 20.0, to);
            assert!(back >= 200, "{told}: {back} of 400 after {from}");
        }
    }
}

#[test]
fn a_brown_out_of_a_region_a_storm_of_429_poison_and_flapping_fail_nobody() {
    for (scene, most_requests) in [
        (scenes::regional(), 1.15),
        (scenes::storm(), 1.02),
        (scenes::poison(), 1.06),
        (scenes::flapping(), 1.01),
    ] {
        let outcome = led(&scene, 1);
        let told = format!("{}: {}", scene.name, shown(&outcome));
        assert!(outcome.success() >= 0.9995, "{told}");
        assert!(outcome.attempts_per_call() <= most_requests, "{told}");
    }
}

#[test]
fn whatever_happens_to_an_answer_before_its_first_content_no_call_fails() {
    for streams in [0.0, 1.0] {
        for fault in scenes::FAULTS {
            let outcome = led(&scenes::failover(fault, streams), 1);
            let told = format!("{fault}, streams {streams}: {}", shown(&outcome));
            let after_content = streams > 0.0 && ["cut_content", "cut_finish", "stall"].contains(&fault);
            assert!(outcome.success() >= if after_content { 0.9 } else { 1.0 }, "{told}");
            assert!(outcome.attempts_per_call() <= 1.03, "{told}");
        }
    }
}

#[test]
fn s2_53_hedging_and_the_least_busy_choice_shorten_a_heavy_tail() {
    let scene = scenes::heavy_tail();
    // A tail is few calls, so it differs from seed to seed: the mean of some.
    let seeds = 1..=3;
    let tails = scenes::against_tails().map(|(name, config)| {
        let outcomes = seeds.clone().map(|seed| {
            let outcome = scene.run_over(&config, Policy::Written, seed).unwrap();
            assert!(outcome.success() >= 0.999, "{name}: {}", shown(&outcome));
            assert!(outcome.attempts_per_call() <= 1.06, "{name}: {}", shown(&outcome));
            (outcome.first_token(0.99).as_secs_f64(), outcome.took(0.99).as_secs_f64())
        });
        outcomes.reduce(|one, other| (one.0 + other.0, one.1 + other.1)).unwrap()
    });
    let [none, least_busy, hedging, both] = tails;
    assert!(least_busy.0 < none.0 && hedging.0 < none.0 && both.0 < none.0 / 2.0, "{tails:?}");
    assert!(least_busy.1 < none.1 && hedging.1 < none.1 && both.1 < none.1, "{tails:?}");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_gives_another() {
    let mut scene = scenes::t1();
    scene.calls.seconds = 180.0;
    let told = |seed| serde_json::to_string(&led(&scene, seed)).unwrap();
    assert!(told(4) == told(4));
    assert!(told(4) != told(5));
}

#[test]
fn without_a_policy_the_outage_is_as_bad_as_it_is() {
    let mut scene = scenes::t1();
    scene.calls.rate = 2.0;
    let bare = scene.run(Policy::Bare, 1).unwrap();
    assert!((0.36..0.44).contains(&(1.0 - bare.success())), "{}", shown(&bare));
    assert!((bare.attempts_per_call() - 1.0).abs() < 1e-9, "{}", shown(&bare));
    let sdk = scene.run(Policy::SdkRetries, 1).unwrap();
    assert!((0.17..0.27).contains(&(1.0 - sdk.success())), "{}", shown(&sdk));
    assert!((1.5..1.8).contains(&sdk.attempts_per_call()), "{}", shown(&sdk));
    assert!(sdk.took(0.99).as_secs() >= 600, "{}", shown(&sdk));
}
