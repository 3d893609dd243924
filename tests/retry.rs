//! The course of a call over its candidates, in virtual time and without sockets.

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

use std::time::Duration;

use fairlead::call::CallOptions;
use fairlead::reply::Answer;
use fairlead::{Error, Kind};
use proptest::prelude::*;
use support::scripted::{Meets, World, ok, status};
use support::{chat, chat_with};

const ONE: &str = r#"
[[models.m.deployments]]
provider = "openai"
model = "up"
api_key = "k1"
base_url = "http://a.test/v1"
"#;

const TWO: &str = r#"
[[models.m.deployments]]
provider = "openai"
model = "up"
api_key = ["k1", "k2"]
base_url = "http://a.test/v1"
[[models.m.deployments]]
provider = "openai"
model = "up"
api_key = "k3"
base_url = "http://b.test/v1"
"#;

async fn run(world: &World, config: &str, options: CallOptions) -> Result<Answer, Error> {
    world.engine(config).call(chat_with(false, options)).await
}

fn retries(max_retries: u32) -> CallOptions {
    CallOptions { max_retries: Some(max_retries), ..CallOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn max_retries_of_two_means_three_attempts_that_consumed_capacity() {
    let world = World::new((0..9).map(|_| status(500)));
    let error = run(&world, ONE, retries(2)).await.unwrap_err();
    assert_eq!((world.hosts().len(), error.attempts().len(), error.kind()), (3, 3, Kind::Server));
}

#[tokio::test(start_paused = true)]
async fn max_retries_of_zero_is_exactly_one_request_whatever_fails() {
    for meets in [status(500), status(401), status(404), Meets::Breaks(Kind::Connect)] {
        let world = World::new([meets, ok(), ok()]);
        assert!(run(&world, TWO, retries(0)).await.is_err());
        assert_eq!(world.hosts().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_before_work_moves_on_without_counting() {
    // k1 refused, k2 refused, then b: three requests, of which only the last may have cost anything.
    let world = World::new([status(401), status(401), ok()]);
    let Ok(Answer::Reply(reply)) = run(&world, TWO, retries(1)).await else { panic!() };
    let counted: Vec<bool> = reply.receipt.attempts.iter().map(|attempt| attempt.counted).collect();
    assert_eq!(counted, [false, false, true]);
    let keys: Vec<String> = world.seen.lock().iter().map(|seen| seen.key.clone()).collect();
    assert_eq!(keys, ["Bearer k1", "Bearer k2", "Bearer k3"]);
}

#[tokio::test(start_paused = true)]
async fn each_refused_credential_is_asked_once() {
    let world = World::new((0..9).map(|_| status(401)));
    let error = run(&world, TWO, retries(5)).await.unwrap_err();
    assert_eq!((error.kind(), world.hosts().len()), (Kind::Authentication, 3));
}

#[tokio::test(start_paused = true)]
async fn another_deployment_is_asked_at_once_and_another_key_of_the_sick_one_is_not() {
    let world = World::new([status(503), ok()]);
    run(&world, TWO, retries(2)).await.unwrap();
    assert_eq!(world.hosts(), ["a.test", "b.test"]);
    assert_eq!(world.waits(), [Duration::ZERO]);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_key_hands_over_to_the_next_key() {
    let world = World::new([status(429), ok()]);
    run(&world, TWO, retries(2)).await.unwrap();
    assert_eq!(world.hosts(), ["a.test", "a.test"]);
    assert_eq!(world.seen.lock()[1].key, "Bearer k2");
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_mistake_is_raised_at_once() {
    for code in [400, 413, 422] {
        let world = World::new([status(code), ok()]);
        assert!(run(&world, TWO, retries(5)).await.is_err());
        assert_eq!(world.hosts().len(), 1, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_mistake_is_raised_at_once_whoever_failed_before() {
    let world = World::new([Meets::Breaks(Kind::Connect), status(400), ok()]);
    let config = TWO.replace(r#"["k1", "k2"]"#, r#""k1""#);
    let error = run(&world, &config, retries(5)).await.unwrap_err();
    assert_eq!((error.kind(), world.hosts().len()), (Kind::BadRequest, 2));
}

#[tokio::test(start_paused = true)]
async fn an_upstreams_wait_is_kept_never_shortened_and_at_most_a_tenth_longer() {
    let world = World::new([status(429).with_header("retry-after", "7"), ok()]);
    run(&world, ONE, retries(2)).await.unwrap();
    let wait = world.waits()[0].as_secs_f64();
    assert!((7.0..=7.71).contains(&wait), "{wait}");
}

#[tokio::test(start_paused = true)]
async fn f94_a_wait_longer_than_the_limit_is_raised_at_once() {
    for hint in ["100000", "61", "inf"] {
        let world = World::new([status(429).with_header("retry-after", hint), ok()]);
        let before = fairlead::clock::now();
        let error = run(&world, ONE, retries(2)).await.unwrap_err();
        assert_eq!((error.kind(), world.hosts().len()), (Kind::RateLimit, 1), "{hint}");
        assert_eq!(before.elapsed(), Duration::ZERO);
        assert!(error.retry_after().unwrap() > Duration::from_secs(60));
    }
}

#[tokio::test(start_paused = true)]
async fn r3_a_backoff_that_would_cross_the_deadline_is_not_slept() {
    let world = World::new([status(429).with_header("retry-after", "30"), ok()]);
    let before = fairlead::clock::now();
    let options = CallOptions { deadline: Some(Duration::from_secs(10)), ..retries(5) };
    let error = run(&world, ONE, options).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_denied()), (Kind::RateLimit, Some("deadline")));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn d1_a_black_hole_eats_half_the_deadline_at_most_while_another_deployment_can_be_asked() {
    let world = World::new([Meets::Never, ok()]);
    let before = fairlead::clock::now();
    let config = format!("[timeouts]\ntotal = 60.0\n{TWO}");
    run(&world, &config, retries(2)).await.unwrap();
    assert_eq!(before.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn the_last_admissible_attempt_gets_what_is_left() {
    let world = World::new([Meets::Never]);
    let before = fairlead::clock::now();
    let config = format!("[timeouts]\ntotal = 60.0\n{ONE}");
    let error = run(&world, &config, retries(0)).await.unwrap_err();
    assert_eq!((error.kind(), before.elapsed()), (Kind::Deadline, Duration::from_secs(60)));
}

#[tokio::test(start_paused = true)]
async fn r5_a_retry_sends_the_same_bytes() {
    let world = World::new([status(500), status(500), ok()]);
    run(&world, ONE, retries(2)).await.unwrap();
    let seen = world.seen.lock();
    assert!(seen.iter().all(|request| request.body == seen[0].body));
}

#[tokio::test(start_paused = true)]
async fn r7_the_error_raised_is_the_first_that_says_something_about_the_request() {
    let world = World::new([status(401), status(503), status(500), status(503)]);
    let error = run(&world, TWO, retries(2)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Server);
    assert_eq!(error.attempts().len(), 4);
    assert!(error.to_string().contains("4 attempts"), "{error}");
    let world = World::new([status(503), status(529), status(429)]);
    let error = run(&world, TWO, retries(2)).await.unwrap_err();
    assert_eq!((error.kind(), error.cause().unwrap().kind()), (Kind::Server, Kind::RateLimit));
    let world = World::new((0..3).map(|_| status(503)));
    assert!(run(&world, TWO, retries(2)).await.unwrap_err().cause().is_none());
}

#[tokio::test(start_paused = true)]
async fn c6_the_upstreams_own_word_on_retrying_wins() {
    let world = World::new([status(500).with_header("x-should-retry", "false"), ok()]);
    assert!(run(&world, ONE, retries(2)).await.is_err());
    assert_eq!(world.hosts().len(), 1);
    let world = World::new([status(400).with_header("x-should-retry", "true"), ok()]);
    run(&world, ONE, retries(2)).await.unwrap();
    assert_eq!(world.hosts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_cooling_down_is_asked_last() {
    let world = World::new([status(429).with_header("retry-after", "30"), ok(), ok()]);
    let config = TWO.replace(r#"["k1", "k2"]"#, r#""k1""#);
    let engine = world.engine(&config);
    engine.call(chat(false)).await.unwrap();
    engine.call(chat(false)).await.unwrap();
    assert_eq!(world.hosts(), ["a.test", "b.test", "b.test"]);
    tokio::time::advance(Duration::from_secs(31)).await;
    let _ = engine
        .call(chat_with(false, CallOptions { deadline: Some(Duration::from_secs(1)), ..retries(0) }))
        .await;
    assert_eq!(world.hosts().last().unwrap(), "a.test");
}

#[tokio::test(start_paused = true)]
async fn stages_switch_off_alone() {
    let world = World::new([status(500), ok()]);
    assert!(run(&world, &format!("[stages]\nretry = false\n{TWO}"), CallOptions::default()).await.is_err());
    assert_eq!(world.hosts().len(), 1);
    let world = World::new([ok()]);
    let engine = world.engine(&format!("[stages]\nsettle = false\n{TWO}"));
    engine.call(chat(false)).await.unwrap();
    assert_eq!(engine.stats().calls, 0);
    let world = World::new([status(401), ok(), ok()]);
    let engine = world.engine(&format!("[stages]\nhealth = false\n{TWO}"));
    engine.call(chat(false)).await.unwrap();
    engine.call(chat(false)).await.unwrap();
    assert_eq!(world.seen.lock()[2].key, "Bearer k1");
}

fn any_failure() -> impl Strategy<Value = Meets> {
    prop_oneof![
        (400_u16..600).prop_map(status),
        Just(Meets::Breaks(Kind::Connect)),
        Just(Meets::Breaks(Kind::ConnectionReset)),
        Just(Meets::Breaks(Kind::Truncated)),
        Just(ok()),
    ]
}

proptest! {
    /// R1: whatever the upstreams do, counted attempts stay within `max_retries + 1` and requests within 8.
    #[test]
    fn r1_both_bounds_hold_under_every_script(
        script in proptest::collection::vec(any_failure(), 0..12), max_retries in 0_u32..10, two in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new(script);
            let engine = world.engine(if two { TWO } else { ONE });
            let outcome = engine.call(chat_with(false, retries(max_retries))).await;
            let requests = world.hosts().len();
            let counted = match &outcome {
                Ok(Answer::Reply(reply)) => reply.receipt.attempts.iter().filter(|attempt| attempt.counted).count(),
                Ok(Answer::Stream(_)) => unreachable!(),
                Err(error) => error.attempts().iter().filter(|attempt| attempt.counted).count(),
            };
            assert!(requests <= 8, "{requests} requests");
            assert!(counted <= max_retries as usize + 1, "{counted} counted");
            assert!(max_retries > 0 || requests == 1);
            let gauges = engine.gauges();
            assert_eq!((gauges.calls.get(), gauges.attempts.get()), (0, 0));
            assert_eq!(engine.stats().settled, requests as u64);
        });
    }
}
