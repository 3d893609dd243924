//! Conversations stay where their prompts are warm.

use std::collections::BTreeMap;

use fairlead::call::{Call, CallOptions};
use fairlead::clock::{Instant, Rng, now};
use fairlead::route::Standing;

use super::support::scripted::{World, status};
use super::support::simulated::{Behaviour, Fleet, Scene, jitter, wrote};
use super::{call, config, first, is_soak, of, receipt, seconds};

const HOSTS: [(&str, &str); 4] = [("a", ""), ("b", ""), ("c", ""), ("d", "")];
const BALANCING: [&str; 5] = ["weighted", "latency", "cost", "least_busy", "adaptive"];

fn said(session: &str) -> Call {
    of(CallOptions { session: Some(session.to_owned()), ..CallOptions::default() })
}

fn body(json: &str) -> Call {
    Call { body: json.to_owned().into(), ..call() }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stays_where_it_is_and_conversations_spread() {
    for strategy in BALANCING {
        let engine = World::new([]).engine(&config(
            strategy,
            &HOSTS.map(|(host, _)| (host, "price = { input = 1, output = 1 }")),
            "",
        ));
        let mut spread: BTreeMap<String, usize> = BTreeMap::new();
        for number in 0..400 {
            let session = format!("conversation-{number}");
            let own = first(&engine, &said(&session));
            for _ in 0..3 {
                assert_eq!(first(&engine, &said(&session)), own, "{strategy}");
            }
            *spread.entry(own).or_default() += 1;
        }
        assert!(spread.values().all(|count| (60..140).contains(count)), "{strategy}: {spread:?}");
        let decision = engine.route(&said("conversation-1")).unwrap();
        assert_eq!(decision.candidates[0].reason, Standing::Kept);
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_the_same_in_every_process_and_for_every_order_of_the_file() {
    let there = World::new([]).engine(&config("weighted", &HOSTS, ""));
    let mut turned = HOSTS;
    turned.reverse();
    let here = World::new([]).engine(&config("weighted", &turned, ""));
    let of = |engine| (0..8).map(|number| first(engine, &said(&number.to_string()))).collect::<Vec<_>>();
    assert_eq!(of(&there), of(&here));
    assert_eq!(of(&there).concat(), "abdbcaba", "written down: a change would move every conversation");
}

#[tokio::test(start_paused = true)]
async fn whatever_names_the_conversation_names_it_within_its_tenant() {
    let engine = World::new([]).engine(&config("weighted", &HOSTS, ""));
    let member =
        |name: &str, value: &str| body(&format!(r#"{{"model":"m","messages":[],"{name}":"{value}"}}"#));
    let same = |calls: &dyn Fn(usize) -> Call| {
        (0..40).all(|number| first(&engine, &calls(number)) == first(&engine, &calls(number)))
    };
    for name in ["session_id", "prompt_cache_key", "thread_id"] {
        assert!(same(&|number| member(name, &number.to_string())), "{name}");
    }
    assert!(!same(&|number| member("previous_response_id", &number.to_string())), "that names a turn");
    assert!(!same(&|_| call()), "without a name there is nothing to keep");
    let moved = (0..40).filter(|number| {
        let theirs = |tenant: &str| {
            let (tenant, session) = (Some(tenant.to_owned()), Some(number.to_string()));
            first(&engine, &of(CallOptions { tenant, session, ..CallOptions::default() }))
        };
        theirs("one") != theirs("other")
    });
    assert!(moved.count() > 10, "the same name of two tenants is two conversations");
}

#[tokio::test(start_paused = true)]
async fn how_a_long_prompt_begins_names_it_too_but_not_where_load_is_to_be_spread() {
    let long = |number: usize, turn: usize| {
        let (head, turn) = (format!("{number} ").repeat(3000), format!("turn {turn}"));
        body(&format!(
            r#"{{"model":"m","messages":[{{"role":"system","content":"{head}"}},{{"role":"user","content":"{turn}"}}]}}"#
        ))
    };
    let stays = |strategy| {
        let engine = World::new([]).engine(&config(strategy, &HOSTS, ""));
        (0..30).all(|number| first(&engine, &long(number, 1)) == first(&engine, &long(number, 2)))
    };
    assert!(stays("latency") && stays("adaptive"));
    assert!(!stays("weighted") && !stays("least_busy"));
}

#[tokio::test(start_paused = true)]
async fn only_the_conversations_of_who_fails_move_and_they_return() {
    let sick = |scene: &Scene| match scene.at.as_secs() {
        60..120 => (seconds(0.01), status(429).with_header("retry-after", "60")),
        _ => (seconds(0.2), wrote(10)),
    };
    let well = || -> Behaviour { Box::new(|_| (seconds(0.2), wrote(10))) };
    let fleet = Fleet::new(vec![("a", Box::new(sick)), ("b", well()), ("c", well()), ("d", well())], 1);
    let engine = fleet.engine(&config("weighted", &HOSTS, ""));
    let homes =
        || -> Vec<String> { (0..60).map(|number| first(&engine, &said(&number.to_string()))).collect() };
    let before = homes();
    tokio::time::sleep(seconds(60.0)).await;
    let of_a = before.iter().position(|home| home == "a").unwrap();
    assert_eq!(receipt(&engine, said(&of_a.to_string())).await.unwrap().attempts.len(), 2);
    let during = homes();
    assert_eq!(during, homes(), "they move to one place each");
    for (before, during) in before.iter().zip(&during) {
        assert!(during != "a" && (before == "a" || before == during));
    }
    tokio::time::sleep(seconds(61.0)).await;
    assert_eq!(homes(), before);
}

#[tokio::test(start_paused = true)]
async fn who_is_too_bad_for_any_conversation_is_explored_all_the_same_and_no_other_is() {
    let priced = |price: u32| format!("price = {{ input = {price}, output = {price} }}");
    let (cheap, dear) = (priced(1), priced(100));
    let of_dear = |strategy, hosts: [(&str, &str); 3]| {
        let engine = World::new([]).engine(&config(strategy, &hosts, "routing.exploration = 0.5"));
        let found = (0..600).map(|number| first(&engine, &said(&number.to_string())));
        found.filter(|first| first == "dear").count()
    };
    let count = of_dear("adaptive", [("a", &*cheap), ("b", &*cheap), ("dear", &*dear)]);
    assert!((70..130).contains(&count), "{count} of 600: a third of the half that explores");

    let alike = config("adaptive", &HOSTS.map(|(host, _)| (host, &*cheap)), "routing.exploration = 1.0");
    let engine = World::new([]).engine(&alike);
    let homes =
        || -> Vec<String> { (0..60).map(|number| first(&engine, &said(&number.to_string()))).collect() };
    assert_eq!(homes(), homes(), "each is asked by its own conversations anyway");
}

#[tokio::test(start_paused = true)]
async fn who_was_slow_gets_its_conversations_back_though_nothing_but_conversations_is_asked() {
    let sick = |scene: &Scene| match scene.at.as_secs() {
        0..60 => (seconds(4.0), wrote(100)),
        _ => (seconds(0.4), wrote(100)),
    };
    let well = || -> Behaviour { Box::new(|_| (seconds(0.4), wrote(100))) };
    let fleet = Fleet::new(vec![("a", well()), ("b", well()), ("sick", Box::new(sick))], 1);
    let hosts = [("a", ""), ("b", ""), ("sick", "")];
    let engine = fleet.engine(&config("latency", &hosts, "routing.ejection.enabled = false"));
    for number in 0..600 {
        let engine = engine.clone();
        tokio::spawn(async move { receipt(&engine, said(&number.to_string())).await });
        tokio::time::sleep(seconds(0.2)).await;
    }
    let share =
        |from: f64, to: f64| fleet.asked("sick", seconds(from), seconds(to)) as f64 / (to - from) / 5.0;
    let (slow, again) = (share(10.0, 60.0), share(90.0, 120.0));
    assert!(slow < 0.1, "{slow} while it is slow");
    assert!(again > 0.25, "{again} when it is well");
}

#[tokio::test(start_paused = true)]
async fn ordered_groups_and_groups_without_affinity_keep_their_order() {
    let engine = World::new([]).engine(&config("ordered", &HOSTS, ""));
    assert!((0..20).all(|number| first(&engine, &said(&number.to_string())) == "a"));
    let engine = World::new([]).engine(&config("weighted", &HOSTS, "routing.affinity = false"));
    let homes: Vec<String> = (0..20).map(|_| first(&engine, &said("one"))).collect();
    assert!(homes.iter().any(|home| *home != homes[0]));
}

/// The share of turns that find their prompt warm: asked there within the five minutes that providers keep it.
/// Conversations of many turns at random times, at four fifths of what the hosts take at once.
async fn hit_rate(strategy: &str, extra: &str, calls: usize) -> f64 {
    let host = |_| -> Behaviour { Box::new(|scene| (seconds(2.0 * jitter(scene.luck)), wrote(150))) };
    let names = ["a", "b", "c", "d"];
    let fleet = Fleet::new(names.into_iter().map(|name| (name, host(name))).collect(), 5);
    let hosts = names.map(|name| (name, "concurrency = 64\nprice = { input = 1, output = 1 }"));
    let engine = fleet.engine(&config(strategy, &hosts, extra));
    let chance = Rng::seeded(11);
    let mut warm: BTreeMap<(u64, String), Instant> = BTreeMap::new();
    let mut seen: BTreeMap<u64, Instant> = BTreeMap::new();
    let (mut hits, mut turns) = (0.0, 0.0);
    for _ in 0..calls {
        // 256 at once is what they take; 2.13 s each is the mean.
        let rate = 0.8 * 256.0 / 2.13;
        tokio::time::sleep(seconds(-(1.0 - chance.unit()).ln() / rate)).await;
        let session = chance.u64() % 12_000;
        let call = said(&session.to_string());
        let is_warm = |last: Option<Instant>| last.is_some_and(|last| now() - last < seconds(300.0));
        let here = warm.insert((session, first(&engine, &call)), now());
        if is_warm(seen.insert(session, now())) {
            turns += 1.0;
            hits += f64::from(u8::from(is_warm(here)));
        }
        let engine = engine.clone();
        tokio::spawn(async move { receipt(&engine, call).await });
    }
    hits / turns
}

#[tokio::test(start_paused = true)]
async fn a4_nine_of_ten_turns_find_their_prompt_warm_at_four_fifths_of_the_load() {
    let calls = if is_soak() { 60_000 } else { 10_000 };
    for strategy in BALANCING {
        let rate = hit_rate(strategy, "", calls).await;
        println!("{strategy}: {rate:.3}");
        assert!(rate >= 0.9, "{strategy}: {rate}");
    }
    let without = hit_rate("weighted", "routing.affinity = false", calls).await;
    assert!(without < 0.6, "{without} without affinity");
}
