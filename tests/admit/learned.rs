//! What providers tell of their limits, in the loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fairlead::Kind;
use fairlead::call::CallOptions;
use fairlead::clock::now;

use crate::support::scripted::{Meets, World, ok, status};
use crate::{ask, ask_with, hosts, start};

/// An answer that says it was the last one for twenty seconds.
fn spent() -> Meets {
    ok().with_header("x-ratelimit-limit-requests", "10")
        .with_header("x-ratelimit-remaining-requests", "0")
        .with_header("x-ratelimit-reset-requests", "20s")
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_provider_says_that_nothing_is_left_is_not_asked_before_it_is_full_again() {
    let world = World::new([spent(), ok(), ok()]);
    let engine = world.engine(&hosts(&["a", "b"], "", ""));
    ask(&engine).await.unwrap();
    ask(&engine).await.unwrap();
    assert_eq!(world.hosts(), ["a.test", "b.test"]);
    let lone = World::new([spent(), ok()]);
    let engine = lone.engine(&hosts(&["a"], "", ""));
    ask(&engine).await.unwrap();
    let began = now();
    ask(&engine).await.unwrap();
    assert!((now() - began) >= Duration::from_secs(19), "{:?}", (now() - began));
}

#[tokio::test(start_paused = true)]
async fn a_wait_longer_than_the_call_has_is_refused_with_that_wait() {
    let engine = World::new([spent(), ok()]).engine(&hosts(&["a"], "", ""));
    ask(&engine).await.unwrap();
    let hasty = CallOptions { deadline: Some(Duration::from_secs(5)), ..CallOptions::default() };
    let error = ask_with(&engine, hasty).await.unwrap_err();
    assert_eq!(error.kind(), Kind::LimitExceeded);
    let wait = error.retry_after().unwrap();
    assert!(wait > Duration::from_secs(15) && wait < Duration::from_secs(21), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_refusal_of_a_host_teaches_no_rate_its_own_wait_is_kept() {
    let world = World::new([status(429).with_header("retry-after", "7"), ok()]);
    let engine = world.engine(&hosts(&["a"], "", ""));
    ask(&engine).await.unwrap();
    let wait = world.waits()[0];
    assert!(wait >= Duration::from_secs(7) && wait < Duration::from_secs(8), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_was_told_is_named_by_what_it_counts() {
    let spent = ok()
        .with_header("x-ratelimit-limit-tokens", "5000")
        .with_header("x-ratelimit-remaining-tokens", "0")
        .with_header("x-ratelimit-reset-tokens", "50s");
    let engine = World::new([spent, ok()]).engine(&hosts(&["a"], "", "[queue]\nwait = 0"));
    ask(&engine).await.unwrap();
    let error = ask(&engine).await.unwrap_err();
    let limit = error.failure().limit.as_ref().unwrap();
    assert_eq!((limit.measure, limit.scope, limit.most), ("tokens", "credential", Some(5000.0)));
    assert!(error.to_string().starts_with("openai/up has no room for more tokens by what its provider told"));
}

#[tokio::test(start_paused = true)]
async fn what_calls_set_aside_and_did_not_use_lets_the_next_go_at_once() {
    let told = Arc::new(AtomicU64::new(6000));
    let world = World::answering(move |_| {
        let left = told.fetch_sub(2, Ordering::Relaxed) - 2;
        ok().with_header("x-ratelimit-limit-tokens", "6000")
            .with_header("x-ratelimit-remaining-tokens", &left.to_string())
            .with_header("x-ratelimit-reset-tokens", "20s")
            .after(Duration::from_millis(300))
    });
    let engine = world.engine(&hosts(&["a"], "", ""));
    ask(&engine).await.unwrap();
    let began = now();
    let running: Vec<_> = (0..20).map(|_| start(&engine, CallOptions::default())).collect();
    for call in running {
        call.await.unwrap().unwrap();
    }
    // Five of them fit at once by what they set aside.
    assert!((now() - began) < Duration::from_secs(2), "{:?}", now() - began);
}
