//! Each strategy by itself.

use std::collections::BTreeSet;

use fairlead::route::Standing;

use super::support::scripted::World;
use super::support::simulated::{Fleet, wrote};
use super::{call, config, first, firsts, receipt, seconds, standing};

#[tokio::test(start_paused = true)]
async fn a1_weighted_splits_within_one_percent_over_a_hundred_thousand_draws() {
    let hosts = [("a", "weight = 9"), ("b", "weight = 1"), ("c", "weight = 6"), ("d", "weight = 0")];
    let engine = World::new([]).engine(&config("weighted", &hosts, ""));
    let firsts = firsts(&engine, 100_000);
    for (host, expected) in [("a", 9.0 / 16.0), ("b", 1.0 / 16.0), ("c", 6.0 / 16.0)] {
        let share = firsts[host] as f64 / 100_000.0;
        assert!((share - expected).abs() < 0.01, "{host}: {share} for {expected}");
    }
    assert!(!firsts.contains_key("d"), "weight 0 is never drawn while others can be asked");
    let decision = engine.route(&call()).unwrap();
    assert_eq!(decision.candidates[3].reason, Standing::Spare);
    assert!(matches!(decision.candidates[0].reason, Standing::Drawn { of: 16.0, .. }));
}

#[tokio::test(start_paused = true)]
async fn weighted_is_a_permutation_drawn_without_replacement() {
    let hosts = [("a", "weight = 2"), ("b", "weight = 1"), ("c", "weight = 1")];
    let engine = World::new([]).engine(&config("weighted", &hosts, ""));
    let (mut behind_a, mut b_second) = (0.0, 0.0);
    for _ in 0..20_000 {
        let decision = engine.route(&call()).unwrap();
        let names: Vec<&str> = decision.candidates.iter().map(|choice| &*choice.deployment).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 3);
        if names[0] == "b" {
            behind_a += 1.0;
            b_second += f64::from(u8::from(names[1] == "a"));
        }
    }
    assert!((b_second / behind_a - 2.0 / 3.0_f64).abs() < 0.02, "a weighs 2 of the 3 that are left");
}

#[tokio::test(start_paused = true)]
async fn a_tier_is_used_only_when_the_one_above_cannot_be() {
    for strategy in ["ordered", "weighted", "latency", "cost", "least_busy", "adaptive"] {
        let hosts =
            [("low", "priority = 1\nweight = 100"), ("high", "priority = 0"), ("high2", "priority = 0")];
        let engine = World::new([]).engine(&config(strategy, &hosts, ""));
        let firsts = firsts(&engine, 200);
        assert!(!firsts.contains_key("low"), "{strategy}: {firsts:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn ordered_spills_to_the_next_while_one_is_saturated_and_loses_none() {
    let hosts = [("a", "concurrency = 2"), ("b", "concurrency = 1"), ("z", "priority = 1")];
    let slow = |_: &_| (seconds(10.0), wrote(10));
    let fleet = Fleet::new(vec![("a", Box::new(slow)), ("b", Box::new(slow)), ("z", Box::new(slow))], 1);
    let engine = fleet.engine(&config("ordered", &hosts, ""));
    let mut asked = Vec::new();
    for _ in 0..5 {
        asked.push(first(&engine, &call()));
        let engine = engine.clone();
        tokio::spawn(async move { receipt(&engine, call()).await });
        tokio::task::yield_now().await;
    }
    assert_eq!(asked, ["a", "a", "b", "z", "z"]);
    let decision = engine.route(&call()).unwrap();
    assert_eq!(decision.candidates.len(), 3);
    assert_eq!(standing(&decision, "a").to_string(), "saturated: 2 in flight");
}

#[tokio::test(start_paused = true)]
async fn least_busy_prefers_nobody_while_all_are_idle_and_then_who_has_room_for_its_weight() {
    let hosts = [("a", ""), ("b", ""), ("c", ""), ("d", "")];
    let engine = World::new([]).engine(&config("least_busy", &hosts, ""));
    let firsts = firsts(&engine, 8000);
    for (host, count) in &firsts {
        assert!((1800..2200).contains(count), "{host}: {count} of 8000: no bias to a position");
    }
    let slow = |_: &_| (seconds(10.0), wrote(10));
    let fleet = Fleet::new(vec![("a", Box::new(slow)), ("b", Box::new(slow))], 1);
    let engine = fleet.engine(&config("least_busy", &[("a", "weight = 3"), ("b", "weight = 1")], ""));
    for _ in 0..40 {
        let engine = engine.clone();
        tokio::spawn(async move { receipt(&engine, call()).await });
        tokio::task::yield_now().await;
    }
    let a = fleet.asked("a", seconds(0.0), seconds(1.0));
    assert!((29..=31).contains(&a), "{a} of 40 for a weight of 3 to 1");
}

#[tokio::test(start_paused = true)]
async fn cost_picks_the_cheapest_for_this_call_and_an_unknown_price_goes_last() {
    // Cheap to ask, dear to answer; and the other way round.
    let hosts = [
        ("asks", "price = { input = 1, output = 30 }"),
        ("unknown", "model = \"nobody-knows\""),
        ("answers", "price = { input = 4, output = 1 }"),
    ];
    let text = config("cost", &hosts, "").replace(
        "model = \"up\"\napi_key = \"k\"\nbase_url = \"http://unknown",
        "api_key = \"k\"\nbase_url = \"http://unknown",
    );
    let engine = World::new([]).engine(&text);
    let decision = engine.route(&call()).unwrap();
    let names: Vec<&str> = decision.candidates.iter().map(|choice| &*choice.deployment).collect();
    assert_eq!(names, ["answers", "asks", "unknown"]);
    assert_eq!(decision.candidates[2].reason.to_string(), "price not known");
    assert!(decision.candidates[0].reason.to_string().starts_with("about $0.00"));
    // An answer of one token makes the prompt what counts.
    let mut short = call();
    short.body = r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"HI"}]}"#
        .replace("HI", &"word ".repeat(400))
        .into();
    assert_eq!(first(&engine, &short), "asks");
}

#[tokio::test(start_paused = true)]
async fn cost_learns_how_long_answers_are() {
    let hosts =
        [("asks", "price = { input = 1, output = 30 }"), ("answers", "price = { input = 20, output = 10 }")];
    let brief = |_: &_| (seconds(0.1), wrote(1));
    let fleet = Fleet::new(vec![("asks", Box::new(brief)), ("answers", Box::new(brief))], 1);
    let engine = fleet.engine(&config("cost", &hosts, ""));
    let mut prompt = call();
    prompt.body = prompt.body.iter().copied().chain(vec![b' '; 600]).collect::<Vec<u8>>().into();
    assert_eq!(first(&engine, &prompt), "answers", "answers are taken for 256 tokens at first");
    receipt(&engine, prompt.clone()).await.unwrap();
    assert_eq!(first(&engine, &prompt), "asks", "they turn out to be of one token");
}

#[tokio::test(start_paused = true)]
async fn equal_prices_are_shared() {
    let hosts = [("a", "price = { input = 1, output = 2 }"), ("b", "price = { input = 1, output = 2 }")];
    let engine = World::new([]).engine(&config("cost", &hosts, ""));
    let firsts = firsts(&engine, 4000);
    assert!((1800..2200).contains(&firsts["a"]), "{firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn what_fails_fast_does_not_look_fast() {
    for strategy in ["latency", "adaptive"] {
        let fails = |_: &_| (seconds(0.01), super::support::scripted::status(500));
        let works = |_: &_| (seconds(2.0), wrote(100));
        let fleet = Fleet::new(
            vec![("quick", Box::new(fails)), ("slow", Box::new(works)), ("slower", Box::new(works))],
            1,
        );
        let hosts = [("quick", ""), ("slow", ""), ("slower", "")];
        let config = config(strategy, &hosts, "routing.ejection.enabled = false\nrouting.exploration = 0.0");
        let engine = fleet.engine(&config);
        for _ in 0..30 {
            receipt(&engine, call()).await.unwrap();
        }
        let asked = fleet.asked("quick", seconds(0.0), seconds(1000.0));
        assert!(asked <= 6, "{strategy}: asked {asked} times for 30 calls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_taken_for_as_fast_as_its_peers_and_not_flooded() {
    let steady = |_: &_| (seconds(1.0), wrote(100));
    let dawdles = |_: &_| (seconds(60.0), wrote(100));
    let fleet =
        Fleet::new(vec![("a", Box::new(steady)), ("b", Box::new(steady)), ("new", Box::new(dawdles))], 1);
    let engine = fleet.engine(&config("latency", &[("a", ""), ("b", ""), ("new", "")], ""));
    for _ in 0..80 {
        let engine = engine.clone();
        tokio::spawn(async move { receipt(&engine, call()).await });
        tokio::time::sleep(seconds(0.125)).await;
    }
    let asked = fleet.asked("new", seconds(0.0), seconds(10.0));
    assert!((1..=3).contains(&asked), "{asked} of 80 before it has answered once");
    let decision = engine.route(&call()).unwrap();
    let said = standing(&decision, "new").to_string();
    assert!(said.starts_with("not measured yet, taken for "), "{said}");
}
