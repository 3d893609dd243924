//! A second attempt beside one that lingers.

use std::time::Duration;

use fairlead::Kind;
use fairlead::call::CallOptions;
use fairlead::clock::now;
use fairlead::reply::Answer;

use crate::support::scripted::{Meets, World, ok, status};
use crate::{ask, hosts, pass, start};

const HEDGED: &str = "[hedge]\nenabled = true\ndelay = 1\nshare = 1\n";

fn slow_and_quick() -> World {
    World::answering(
        |seen| {
            if seen.host.starts_with("slow") { ok().after(Duration::from_secs(30)) } else { ok() }
        },
    )
}

fn lines(answer: Answer) -> Vec<(String, Option<&'static str>)> {
    let Answer::Reply(reply) = answer else { unreachable!() };
    let told = reply.receipt.attempts.iter();
    told.map(|line| (line.deployment.clone(), line.error)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_decides_and_the_other_is_cancelled_told_and_paid_for() {
    let world = slow_and_quick();
    let more = "requests_per_minute = 100\ntokens_per_minute = 100000";
    let engine = world.engine(&hosts(&["slow", "quick"], more, HEDGED));
    let began = now();
    let told = lines(ask(&engine).await.unwrap());
    assert_eq!(now() - began, Duration::from_secs(1));
    assert_eq!(told.len(), 2);
    assert_eq!((told[0].1, told[1].1), (Some("Superseded"), None));
    assert_eq!(world.hosts(), ["slow.test", "quick.test"]);
    let stats = engine.stats();
    assert_eq!((stats.attempts, stats.settled, stats.succeeded), (2, 2, 1));
    assert_eq!(engine.gauges().attempts.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_before_the_delay_is_asked_for_once() {
    let world = World::answering(|_| ok().after(Duration::from_millis(900)));
    let engine = world.engine(&hosts(&["a", "b"], "", HEDGED));
    ask(&engine).await.unwrap();
    assert_eq!(world.hosts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a3_where_both_fail_the_failure_that_says_something_about_the_request_is_raised() {
    let world = World::answering(|seen| {
        if seen.host.starts_with("slow") {
            status(400).after(Duration::from_secs(5))
        } else {
            Meets::Breaks(Kind::Connect)
        }
    });
    let engine = world.engine(&hosts(&["slow", "dead"], "", HEDGED));
    let error = ask(&engine).await.unwrap_err();
    assert_eq!(error.kind(), Kind::BadRequest);
    assert_eq!(error.attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a3_no_more_than_the_share_of_calls_is_hedged() {
    let world = slow_and_quick();
    let config = hosts(
        &["slow", "quick"],
        "",
        "[hedge]\nenabled = true\ndelay = 1\nshare = 0.05\n[routing.ejection]\nenabled = false\n",
    );
    let engine = world.engine(&config);
    for _ in 0..100 {
        ask(&engine).await.unwrap();
    }
    let hedges = world.hosts().iter().filter(|host| *host == "quick.test").count();
    assert!((4..=5).contains(&hedges), "{hedges}");
}

#[tokio::test(start_paused = true)]
async fn without_retries_there_is_no_hedge_either() {
    let world = slow_and_quick();
    let engine = world.engine(&hosts(&["slow", "quick"], "", HEDGED));
    let once = CallOptions { max_retries: Some(0), ..CallOptions::default() };
    crate::ask_with(&engine, once).await.unwrap();
    assert_eq!(world.hosts(), ["slow.test"]);
}

#[tokio::test(start_paused = true)]
async fn a3_a_call_that_is_tried_again_earns_no_more_than_one_that_is_not() {
    let answers = std::sync::atomic::AtomicU64::new(0);
    let world = World::answering(move |seen| {
        if seen.host.starts_with("dead") {
            return status(500);
        }
        let number = answers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if number.is_multiple_of(2) { ok().after(Duration::from_secs(30)) } else { ok() }
    });
    let config = hosts(
        &["dead", "alive"],
        "",
        "[hedge]\nenabled = true\ndelay = 1\nshare = 0.05\n[routing.ejection]\nenabled = false\n\
         [breaker]\nenabled = false\n",
    );
    let engine = world.engine(&config);
    let mut superseded = 0;
    for _ in 0..100 {
        let told = lines(ask(&engine).await.unwrap());
        superseded += told.iter().filter(|(_, error)| *error == Some("Superseded")).count();
    }
    assert!((1..=5).contains(&superseded), "{superseded} of 100 calls were hedged");
}

#[tokio::test(start_paused = true)]
async fn r3_no_hedge_begins_too_late_to_be_of_use() {
    let world = slow_and_quick();
    let engine = world.engine(&hosts(&["slow", "quick"], "", HEDGED));
    let brief = CallOptions { deadline: Some(Duration::from_millis(1200)), ..CallOptions::default() };
    let _ = crate::ask_with(&engine, brief).await;
    assert_eq!(world.hosts(), ["slow.test"]);
}

#[tokio::test(start_paused = true)]
async fn the_history_is_in_the_order_in_which_attempts_began_whichever_answers() {
    let world = World::answering(|seen| {
        let seconds = if seen.host.starts_with("first") { 5 } else { 30 };
        ok().after(Duration::from_secs(seconds))
    });
    let engine = world.engine(&hosts(&["first", "second"], "", HEDGED));
    let told = lines(ask(&engine).await.unwrap());
    let told: Vec<_> = told.iter().map(|(name, error)| (name.as_str(), *error)).collect();
    assert_eq!(told, [("openai/up", None), ("openai/up#2", Some("Superseded"))]);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_stays_within_the_model_and_its_limits() {
    let world = slow_and_quick();
    let models = hosts(&["slow"], "", &format!("{HEDGED}[models.m]\nfallbacks = ['n']\n"))
        + "\n[models.n]\nlimits = { requests_per_minute = 1 }\n"
        + &hosts(&["quick"], "", "").replace("models.m", "models.n");
    let engine = world.engine(&models);
    ask(&engine).await.unwrap();
    assert_eq!(world.hosts(), ["slow.test", "slow.test"], "a fallback is for failures");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_failed_is_told_and_settled_while_the_other_is_on_its_way() {
    let world = World::answering(|seen| {
        if seen.host.starts_with('a') {
            status(429).with_header("retry-after", "30").after(Duration::from_millis(1500))
        } else {
            ok().after(Duration::from_secs(5))
        }
    });
    let engine = world.engine(&hosts(&["a", "b"], "requests_per_minute = 100", HEDGED));
    let running = start(&engine, CallOptions::default());
    pass(2.5).await;
    assert_eq!(engine.gauges().attempts.get(), 1);
    let second = start(&engine, CallOptions::default());
    pass(0.1).await;
    assert_eq!(world.hosts(), ["a.test", "b.test", "b.test"], "the one that said how long to wait rests");
    running.abort();
    second.await.unwrap().unwrap();
}
