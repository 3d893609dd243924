//! What an attempt is charged in the end, by how it ended.

use std::time::Duration;

use fairlead::Kind;
use fairlead::call::CallOptions;

use crate::support::scripted::{Meets, World, ok, status};
use crate::{ask_with, hosts, start, used};

const LIMITS: &str = "requests_per_minute = 1000\ntokens_per_minute = 1000000";

/// Requests and tokens that one attempt is charged that meets this.
async fn charged(meets: Meets) -> (u64, u64) {
    let world = World::new([meets]);
    let engine = world.engine(&hosts(&["a"], LIMITS, "[timeouts]\nattempt = 5"));
    let once = CallOptions { max_retries: Some(0), ..CallOptions::default() };
    let _ = ask_with(&engine, once).await;
    (used(&engine, "requests/"), used(&engine, " tokens/"))
}

#[tokio::test(start_paused = true)]
async fn t2_an_answer_is_charged_what_it_says_it_used() {
    assert_eq!(charged(ok()).await, (1, 2));
}

#[tokio::test(start_paused = true)]
async fn t3_what_was_never_sent_is_charged_nothing_not_even_a_request() {
    for kind in
        [Kind::Connect, Kind::Dns, Kind::Tls, Kind::ConnectTimeout, Kind::PoolTimeout, Kind::WriteTimeout]
    {
        assert_eq!(charged(Meets::Breaks(kind)).await, (0, 0), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn t3_what_was_refused_is_charged_its_request_and_no_tokens() {
    for code in [400, 401, 404, 429, 500, 503, 529] {
        assert_eq!(charged(status(code)).await, (1, 0), "{code}");
    }
    assert_eq!(charged(Meets::Breaks(Kind::ConnectionReset)).await, (1, 0));
    for page in ["<html>not JSON</html>", ""] {
        assert_eq!(charged(status(200).with_body(page)).await, (1, 0), "{page:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn t3_what_failed_after_work_may_have_been_done_is_charged_its_prompt() {
    for meets in [Meets::Breaks(Kind::Truncated), Meets::Never] {
        let (requests, tokens) = charged(meets.clone()).await;
        assert_eq!(requests, 1, "{meets:?}");
        assert!((1..100).contains(&tokens), "{meets:?}: {tokens}");
    }
}

/// A million tokens of a prompt cost a dollar, of an answer a thousand.
const PRICED: &str = "price = { input = 1, output = 1000 }";
const BUDGET: &str = "[budgets.global]\ndaily = 100";

#[tokio::test(start_paused = true)]
async fn t3_t8_what_failed_or_was_cancelled_costs_its_prompt_and_no_answer_that_never_came() {
    let once = || CallOptions { max_retries: Some(0), ..CallOptions::default() };
    for meets in [Meets::Breaks(Kind::Truncated), Meets::Never] {
        let world = World::new([meets.clone()]);
        let engine = world.engine(&hosts(&["a"], PRICED, &format!("{BUDGET}\n[timeouts]\nattempt = 5")));
        ask_with(&engine, once()).await.unwrap_err();
        let cost = used(&engine, "cost/day");
        assert!((1..100_000).contains(&cost), "{meets:?}: {cost} billionths of a dollar");
        assert_eq!(engine.stats().cost_nanos, cost, "what a budget lost is in the statistics");
        let metric = "fairlead_cost_dollars_total{deployment=\"openai/up\"} ";
        let dollars = engine.metrics_text().lines().find_map(|line| line.strip_prefix(metric)?.parse().ok());
        assert_eq!(dollars.map(|dollars: f64| (dollars * 1e9).round()), Some(cost as f64));
    }
    let world = World::new([Meets::Never]);
    let engine = world.engine(&hosts(&["a"], PRICED, BUDGET));
    let running = start(&engine, once());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(used(&engine, "cost/day") > 1_000_000, "an answer is reserved for as long as it may come");
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    let cost = used(&engine, "cost/day");
    assert!((1..100_000).contains(&cost), "cancelled: {cost} billionths of a dollar");
}

#[tokio::test(start_paused = true)]
async fn t1_a_cancelled_call_is_charged_its_prompt_and_gives_its_slots_back() {
    let world = World::new([Meets::Never]);
    let engine = world.engine(&hosts(&["a"], &format!("{LIMITS}\nconcurrency = 1"), ""));
    let running = start(&engine, CallOptions::default());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(used(&engine, "all concurrency"), 1);
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!(used(&engine, "all concurrency"), 0);
    assert_eq!(used(&engine, "requests/"), 1);
    let tokens = used(&engine, " tokens/");
    assert!((1..100).contains(&tokens), "{tokens}");
}

#[tokio::test(start_paused = true)]
async fn t1_after_a_failover_only_what_each_attempt_used_is_charged() {
    let world = World::new([status(500), ok()]);
    let engine = world.engine(&hosts(
        &["a", "b"],
        LIMITS,
        "[limits.global]\nrequests_per_minute = 9\ntokens_per_minute = 1000000",
    ));
    ask_with(&engine, CallOptions::default()).await.unwrap();
    assert_eq!(
        used(&engine, "global requests/"),
        1,
        "a call is one request of its caller, however many attempts"
    );
    assert_eq!(used(&engine, "global tokens/"), 2);
}

#[tokio::test(start_paused = true)]
async fn t2_reasoning_that_is_counted_in_the_total_alone_is_charged_too() {
    let usage = r#""usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":1015}"#;
    let answer = format!(
        r#"{{"id":"c","choices":[{{"index":0,"message":{{"role":"assistant","content":"x"}},"finish_reason":"stop"}}],{usage}}}"#
    );
    assert_eq!(charged(ok().with_body(&answer)).await, (1, 1015));
}
