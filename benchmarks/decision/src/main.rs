//! What it costs to decide where a call goes: 20 rules, 10 deployments, a prompt of 2 KB.
//!
//! No rule but the last holds, so all are evaluated. Prints nanoseconds: the median of many rounds. Arguments are the
//! strategies to measure, for a profiler; without any, all of them and the parts that make up a decision.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use fairlead::Engine;
use fairlead::call::{Call, CallOptions, Operation};
use fairlead::chat::facts::{self, Wants};
use fairlead::config::{Config, Rule};
use fairlead::route::context::Context;
use fairlead::route::rules::Rules;

const STRATEGIES: [&str; 6] = ["ordered", "weighted", "latency", "cost", "least_busy", "adaptive"];
const ROUNDS: usize = 200;
const CALLS: u32 = 500;

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    println!("{:18} {:>10}", "strategy", "ns");
    let open = call();
    for strategy in STRATEGIES.iter().filter(|name| chosen.is_empty() || chosen.iter().any(|one| one == *name)) {
        match Engine::new(toml::from_str(&config(strategy)).expect("the configuration is one")) {
            Ok(engine) => println!("{strategy:12} {:>10}", median(|| drop(black_box(engine.route(&open))))),
            Err(error) => println!("{strategy:12} {error}"),
        }
    }
    if !chosen.is_empty() {
        return;
    }
    let engine = Engine::new(toml::from_str(&config("ordered")).expect("the configuration is one"));
    let engine = engine.expect("it compiles");
    let named = Call { body: Bytes::from(body(",\"model\":\"m\"")), ..open.clone() };
    println!("{:18} {:>10}", "no rules", median(|| drop(black_box(engine.route(&named)))));
    let text = body("");
    println!(
        "{:18} {:>10}",
        "JSON alone",
        median(|| _ = black_box(fairlead::chat::json::document(text.as_bytes())))
    );
    let scanned = || facts::scan(text.as_bytes(), Wants::NOTHING).expect("it is JSON");
    println!("{:18} {:>10}", "facts alone", median(|| drop(black_box(scanned()))));
    let (facts, options) = (scanned(), call().options);
    let written: Config = toml::from_str(&config("ordered")).expect("the configuration is one");
    for (name, written) in [("1 word", &searching(1)), ("3 words", &searching(3)), ("as above", &written.rules)] {
        let rules = Rules::compile(written).expect("they compile");
        let picked = || black_box(rules.pick(&Context::new(black_box(&facts), &options)).looked_at);
        assert_eq!(picked(), 20, "no rule holds");
        println!("{:18} {:>10}", format!("rules, {name}"), median(|| _ = picked()));
    }
}

/// Twenty rules that search the prompt for some words each, none of which is there.
fn searching(words: usize) -> Vec<Rule> {
    let missing = ["代码", "program", "def ", "translate", "invoice", "SELECT", "```", "diagnosis", "http://", "weather"];
    let mut text = String::new();
    for number in 0..20 {
        let word = |at: usize| format!("contains(user_input, '{}{number}')", missing[(number * words + at) % 10]);
        let when: Vec<String> = (0..words).map(word).collect();
        let _ = write!(text, "[[rules]]\nname = \"r{number}\"\nmodel = \"m\"\nwhen = \"{}\"\n", when.join(" OR "));
    }
    toml::from_str::<Config>(&text).expect("the configuration is one").rules
}

fn config(strategy: &str) -> String {
    let mut text = format!("default_model = \"m\"\n[models.m]\nstrategy = \"{strategy}\"\n");
    for number in 0..10 {
        let _ = write!(
            text,
            "[[models.m.deployments]]\nprovider = \"openai\"\nmodel = \"up\"\napi_key = \"k\"\n\
             base_url = \"http://h{number}.test/v1\"\nprice = {{ input = {number}, output = 2 }}\n"
        );
    }
    for number in 0..20 {
        let _ = write!(
            text,
            "[[rules]]\nname = \"r{number}\"\nmodel = \"m\"\n\
             when = \"contains(user_input, 'kw{number}a') || contains(user_input, 'kw{number}b') || \
             metadata.lang == 'l{number}' && tokens > 10\"\n"
        );
    }
    text
}

fn body(more: &str) -> String {
    let words = ["quarter ", "harbour ", "the ", "of ", "keel ", "rope ", "twelve ", "a "];
    let prompt: String = words.iter().cycle().take(330).copied().collect();
    format!(r#"{{"messages":[{{"role":"user","content":"{prompt}"}}]{more}}}"#)
}

fn call() -> Call {
    let metadata = vec![("lang".to_owned(), "py".to_owned())];
    let options = CallOptions { metadata, ..CallOptions::default() };
    Call { operation: Operation::Chat, body: Bytes::from(body("")), options }
}

fn median(mut work: impl FnMut()) -> u128 {
    let mut rounds: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            (0..CALLS).for_each(|_| work());
            begun.elapsed().as_nanos() / u128::from(CALLS)
        })
        .collect();
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}
