//! What calls are expected to use and to take, learned from those before them; limits that are known without asking.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    dead_code,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fairlead::call::{Call, CallOptions, Operation};
use fairlead::chat::usage::Usage;
use fairlead::provider::presets;
use fairlead::reply::Answer;
use fairlead::settle::Receipt;
use fairlead::{Engine, Error, Kind, clock};
use support::scripted::{Meets, World, status};

const ONE: &str = "[[models.one.deployments]]\nprovider = \"openai-compatible\"\nmodel = \"m\"\nbase_url = \"http://one.test/v1\"\n";

fn said(usage: &str) -> Meets {
    let choice = r#"{"index":0,"message":{"content":"four letters"},"finish_reason":"stop"}"#;
    status(200).with_body(&format!(r#"{{"choices":[{choice}]{usage}}}"#))
}

fn counted(input: u64, output: u64) -> Meets {
    said(&format!(r#","usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}"#))
}

async fn send(engine: &Arc<Engine>, model: &str, more: &str) -> Result<Arc<Receipt>, Error> {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]{more}}}"#);
    let call = Call { operation: Operation::Chat, body: Bytes::from(body), options: CallOptions::default() };
    match engine.call(call).await? {
        Answer::Reply(reply) => Ok(reply.receipt),
        Answer::Stream(_) => panic!("a stream nobody asked for"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_upstreams_count_is_what_is_estimated_for_the_next_call() {
    let world = World::new([said(""), counted(412, 9), said("")]);
    let engine = world.engine(ONE);
    let input = async || send(&engine, "one", "").await.unwrap().usage.unwrap().input;
    assert_eq!(input().await, 8, "hardly a token of text, four around the message, three around all");
    assert_eq!(input().await, 412);
    assert_eq!(input().await, 412, "of one that counts nothing");
}

/// Fifty answers of 206 tokens after 20 s each, then none; how long an attempt of `asked` waits for the last.
async fn patience(asked: &str) -> Duration {
    let answered = AtomicUsize::new(0);
    let world = World::answering(move |_| match answered.fetch_add(1, Ordering::Relaxed) {
        ..50 => counted(10, 206).after(Duration::from_secs(20)),
        50 => Meets::Never,
        _ => counted(10, 206),
    });
    let engine = world.engine(&format!("[timeouts]\ntotal = 2000.0\n{ONE}"));
    for _ in 0..50 {
        send(&engine, "one", "").await.unwrap();
    }
    let before = clock::now();
    send(&engine, "one", asked).await.unwrap();
    before.elapsed()
}

#[tokio::test(start_paused = true)]
async fn an_attempt_may_take_three_times_what_its_expected_size_takes() {
    // Percentiles are up to 19 % too high, those of sizes and of durations.
    let usual = patience("").await.as_secs_f64();
    assert!((60.0..60.0 * 1.19 * 1.19 + 1.0).contains(&usual), "{usual}");
    let short = patience(r#","max_tokens":20"#).await.as_secs_f64();
    assert!((30.0..32.0).contains(&short), "{short}: no less than 30 s");
    let long = patience(r#","max_tokens":400"#).await.as_secs_f64();
    assert!((105.0..105.0 * 1.19 + 1.0).contains(&long), "{long}");
    let endless = patience(r#","max_tokens":100000"#).await.as_secs_f64();
    assert!(endless < usual * 4.5, "{endless}: what is allowed is not what is expected");
}

/// What is reserved of the tokens a minute while a call runs.
async fn reserved(config: &str, asked: &str) -> u64 {
    let world = World::answering(|_| counted(8, 40).after(Duration::from_secs(1)));
    let engine = world.engine(&format!("{ONE}tokens_per_minute = 1000000\n{config}"));
    for _ in 0..50 {
        send(&engine, "one", "").await.unwrap();
        tokio::time::advance(Duration::from_secs(61)).await;
    }
    let running = tokio::spawn({
        let (engine, asked) = (Arc::clone(&engine), asked.to_owned());
        async move { send(&engine, "one", &asked).await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let standings = engine.limits();
    let used = standings.iter().find(|standing| standing.limit.identity.contains("tokens")).unwrap().used;
    running.await.unwrap();
    used
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_set_aside_what_may_be_written_or_what_usually_was() {
    const PROMPT: u64 = 8;
    assert_eq!(reserved("", "").await, PROMPT + 1024);
    assert_eq!(reserved("", r#","max_tokens":300"#).await, PROMPT + 300);
    assert_eq!(reserved("", r#","max_tokens":300,"n":2"#).await, PROMPT + 600);
    assert_eq!(reserved("max_output = 200", r#","max_tokens":300"#).await, PROMPT + 200);
    assert_eq!(reserved("params = { max_tokens = 70 }", "").await, PROMPT + 70, "as is sent for the caller");
    // Forty tokens, to the bound of their bucket.
    let observed = reserved("reserve = \"observed\"", "").await - PROMPT;
    assert!((40..48).contains(&observed), "{observed}");
    assert_eq!(reserved("reserve = \"observed\"", r#","max_tokens":10"#).await, PROMPT + 10);
}

#[test]
fn t6_tokens_read_from_a_cache_count_where_the_provider_counts_them() {
    let usage = Usage { input: 1000, cached: 900, ..Usage::default() };
    let counted = |provider| presets::find(provider).unwrap().counted_input(&usage);
    assert_eq!((counted("anthropic"), counted("openai")), (100, 1000));
    let odd = Usage { input: 10, cached: 90, ..Usage::default() };
    assert_eq!(presets::find("anthropic").unwrap().counted_input(&odd), 0);
}

#[test]
fn limits_that_are_known_without_asking_have_names() {
    let openrouter = presets::find("openrouter").unwrap();
    let limits =
        |name| openrouter.limit_profile(name).map(|found| found.map(|profile| profile.requests_per_day));
    assert_eq!(limits(None), Ok(Some(1000)));
    assert_eq!(limits(Some("free")), Ok(Some(50)));
    assert_eq!(limits(Some("none")), Ok(None));
    let fault = limits(Some("fee")).unwrap_err();
    assert_eq!(fault, "\"fee\" is none of openrouter: free_with_credits, free, none");
    assert_eq!(presets::find("openai").unwrap().limit_profile(None), Ok(None));
}

fn free(own: &str) -> Arc<Engine> {
    let deployment = |name: &str, model: &str| {
        format!(
            "[[models.{name}.deployments]]\nprovider = \"openrouter\"\nmodel = \"{model}\"\napi_key = \"k\"\n\
             base_url = \"http://one.test/v1\"\n"
        )
    };
    let config = [
        "[queue]\nwait = 0\n",
        &deployment("a", "x/a:free"),
        &deployment("b", "x/b:free"),
        &deployment("paid", "x/a"),
        own,
    ];
    World::answering(|_| counted(1, 1)).engine(&config.concat())
}

#[tokio::test(start_paused = true)]
async fn free_models_share_the_limits_that_their_provider_is_known_to_have() {
    let engine = free("");
    for number in 0..20 {
        send(&engine, if number % 2 == 0 { "a" } else { "b" }, "").await.unwrap();
    }
    for model in ["a", "b"] {
        assert_eq!(send(&engine, model, "").await.unwrap_err().kind(), Kind::LimitExceeded, "{model}");
    }
    send(&engine, "paid", "").await.unwrap();
    let engine = free("[providers.openrouter]\nlimit_profile = \"none\"\n");
    for _ in 0..30 {
        send(&engine, "a", "").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_profile_of_fifty_a_day_refuses_the_next() {
    let engine = free("[providers.openrouter]\nlimit_profile = \"free\"\n");
    for _ in 0..50 {
        send(&engine, "a", "").await.unwrap();
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    assert_eq!(send(&engine, "b", "").await.unwrap_err().kind(), Kind::LimitExceeded);
    tokio::time::advance(Duration::from_secs(86_400)).await;
    send(&engine, "b", "").await.unwrap();
}
