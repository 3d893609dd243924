//! What becomes of calls while providers are ill: without a policy, with an SDK's retries, and led by fairlead.
//!
//! Virtual time, one seed, one answer: `cargo run --release -- [seed [outage]]`.

#[path = "../../../tests/outage/scenes.rs"]
mod scenes;

use std::time::Instant;

use fairlead::Error;
use fairlead::simulate::{Outcome, Policy};
use scenes::Scene;

fn main() -> Result<(), Error> {
    let begun = Instant::now();
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let only = std::env::args().nth(2).unwrap_or_default();
    let scenes = [scenes::t1(), scenes::regional(), scenes::storm(), scenes::poison(), scenes::flapping()];
    for scene in scenes.iter().filter(|scene| scene.name.contains(&only)) {
        title(scene.name);
        for policy in Policy::ALL {
            row(name(policy), &scene.run(policy, seed)?);
        }
    }
    let scene: Scene = scenes::heavy_tail();
    if scene.name.contains(&only) {
        title(scene.name);
        for (name, config) in scenes::against_tails() {
            row(name, &scene.run_over(&config, Policy::Written, seed)?);
        }
    }
    let kinds = [("whole replies", 0.0), ("streams", 1.0)];
    for (kind, streams) in kinds.into_iter().filter(|(kind, _)| format!("failover: {kind}").contains(&only)) {
        title(&format!("failover: {kind}, one fault at the first of two for 5 of 10 min"));
        for fault in scenes::FAULTS {
            row(fault, &scenes::failover(fault, streams).run(Policy::Written, seed)?);
        }
    }
    eprintln!("\nseed {seed}, in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn name(policy: Policy) -> &'static str {
    match policy {
        Policy::Bare => "none",
        Policy::SdkRetries => "SDK, 2 retries",
        Policy::Written => "fairlead",
    }
}

fn title(name: &str) {
    println!("\n{name}\n");
    println!("|  | answered | p50 | p99 | first token p99 | requests per call | to ill providers | errors |");
    println!("|---|---|---|---|---|---|---|---|");
}

fn row(name: &str, outcome: &Outcome) {
    let errors: Vec<String> =
        outcome.errors().into_iter().map(|(error, count)| format!("{error} {count}")).collect();
    println!(
        "| {name} | {:.2} % | {:.1} s | {:.1} s | {:.1} s | {:.3} | {} | {} |",
        outcome.success() * 100.0,
        outcome.took(0.5).as_secs_f64(),
        outcome.took(0.99).as_secs_f64(),
        outcome.first_token(0.99).as_secs_f64(),
        outcome.attempts_per_call(),
        outcome.while_ill(),
        errors.join(", "),
    );
}
