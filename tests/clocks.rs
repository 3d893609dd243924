//! Clocks that jump: the calendar by a day, and all of them over a suspend. In virtual time and without sockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use fairlead::call::CallOptions;
use fairlead::reply::Answer;
use fairlead::{Engine, Error, clock};
use support::chat_with;
use support::scripted::{Meets, World, ok, status};

/// 2026-12-01T12:00:00Z
const NOON: Duration = Duration::from_secs(1_796_126_400);
const DAY: Duration = Duration::from_secs(86_400);

const KEYS: &str = r#"
[timeouts]
attempt = 20.0
total = 3000.0
[[models.m.deployments]]
provider = "openai"
model = "up"
api_key = ["k1", "k2"]
base_url = "http://a.test/v1"
[[models.m.deployments]]
provider = "openai"
model = "up"
api_key = { oauth = { token_url = "http://issuer.test/t", client_id = "me", client_secret = "s" } }
base_url = "http://b.test/v1"
"#;

const ONE: &str = r#"
[timeouts]
attempt = 20.0
total = 3000.0
[[models.m.deployments]]
provider = "openai"
model = "up"
api_key = "k1"
base_url = "http://a.test/v1"
"#;

async fn call(engine: &Arc<Engine>) -> Result<Answer, Error> {
    engine.call(chat_with(false, CallOptions::default())).await
}

fn token() -> Meets {
    status(200).with_body(r#"{"access_token":"token","token_type":"Bearer","expires_in":600}"#)
}

/// Every way in which time decides: backoff, a wait that was asked for, a limit, a dead key, a token that ends.
async fn timeline(jump: impl Fn(u32) -> Duration + 'static) -> Vec<(String, String, Duration)> {
    clock::pretend(NOON);
    let jumping = tokio::task::spawn_local(async move {
        for count in 0.. {
            tokio::time::sleep(Duration::from_millis(700)).await;
            clock::pretend(jump(count));
        }
    });
    let began = clock::now();
    let script = [
        status(500),
        status(429).with_header("retry-after", "3"),
        Meets::Never,
        ok(),
        status(401),
        status(503),
        status(429)
            .with_header("retry-after", "Tue, 01 Dec 2026 12:00:09 GMT")
            .with_header("date", "Tue, 01 Dec 2026 12:00:02 GMT"),
    ];
    let script = parking_lot::Mutex::new(script.into_iter());
    let world = World::answering(move |seen| match &*seen.host {
        "issuer.test" => token(),
        _ => script.lock().next().unwrap_or_else(ok),
    });
    let engine = world.engine(KEYS);
    for _ in 0..12 {
        let _ = call(&engine).await;
        tokio::time::sleep(Duration::from_secs(55)).await;
    }
    jumping.abort();
    let seen = world.seen.lock();
    seen.iter().map(|seen| (seen.host.clone(), seen.key.clone(), seen.at - began)).collect()
}

fn local<F: Future>(work: F) -> F::Output {
    let built = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    tokio::task::LocalSet::new().block_on(&built.unwrap(), work)
}

#[test]
fn f112_d5_a_jump_of_the_calendar_by_a_day_changes_nothing() {
    let steady = local(timeline(|count| NOON + Duration::from_millis(700) * (count + 1)));
    assert!(steady.len() > 16, "{steady:?}");
    assert!(steady.iter().any(|(host, _, _)| host == "issuer.test"));
    let there_and_back =
        |count: u32| if count.is_multiple_of(2) { NOON + DAY } else { NOON.saturating_sub(DAY) };
    assert_eq!(local(timeline(|count| NOON + DAY * (count + 1))), steady);
    assert_eq!(local(timeline(|count| NOON.saturating_sub(DAY * (count + 1)))), steady);
    assert_eq!(local(timeline(there_and_back)), steady);
}

/// What the machine does for ten minutes without us.
async fn suspended() {
    tokio::time::advance(Duration::from_secs(600)).await;
}

async fn settled() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn f113_a_limit_that_ends_in_a_suspend_ends_once() {
    let world = World::new([Meets::Never, ok()]);
    let engine = world.engine(ONE);
    let running = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { call(&engine).await }
    });
    settled().await;
    suspended().await;
    let Answer::Reply(reply) = running.await.unwrap().unwrap() else { panic!("a stream") };
    let errors: Vec<_> = reply.receipt.attempts.iter().map(|attempt| attempt.error).collect();
    assert_eq!(errors, [Some("AttemptTimeout"), None]);
    assert_eq!(world.hosts().len(), 2);
    assert_eq!(engine.stats().attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn f113_a_wait_that_ends_in_a_suspend_is_followed_by_one_request() {
    let world = World::new([status(429).with_header("retry-after", "30"), ok()]);
    let engine = world.engine(ONE);
    let running = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { call(&engine).await }
    });
    settled().await;
    assert_eq!(world.hosts().len(), 1);
    suspended().await;
    running.await.unwrap().unwrap();
    assert_eq!(world.hosts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn f113_a_token_that_ended_in_a_suspend_is_asked_for_once() {
    let world = World::answering(|seen| if seen.host == "issuer.test" { token() } else { ok() });
    let oauth =
        r#"{ oauth = { token_url = "http://issuer.test/t", client_id = "me", client_secret = "s" } }"#;
    let engine = world.engine(&ONE.replace("\"k1\"", oauth));
    call(&engine).await.unwrap();
    suspended().await;
    suspended().await;
    let calls = (0..50).map(|_| {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { call(&engine).await.map(drop) })
    });
    for call in futures_util::future::join_all(calls).await {
        call.unwrap().unwrap();
    }
    let asked = world.hosts().iter().filter(|host| *host == "issuer.test").count();
    assert_eq!(asked, 2, "one for each token");
}

#[tokio::test(start_paused = true)]
async fn f113_a_deadline_that_passed_in_a_suspend_is_told_once() {
    let world = World::new([Meets::Never, ok(), ok()]);
    let engine = world.engine(&ONE.replace("3000.0", "60.0"));
    let running = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { call(&engine).await }
    });
    settled().await;
    suspended().await;
    let error = running.await.unwrap().unwrap_err();
    assert_eq!((error.attempts().len(), world.hosts().len()), (1, 1), "{error}");
    call(&engine).await.unwrap();
    assert_eq!(engine.gauges().attempts.get(), 0);
}
