//! Breakers in the loop: who is not asked, what is raised, how it comes back.

use std::sync::Arc;
use std::time::Duration;

use fairlead::Kind;
use fairlead::call::CallOptions;
use fairlead::clock::now;
use parking_lot::Mutex;

use crate::support::scripted::{World, ok, status};
use crate::support::{chat_for, chat_with};
use crate::{ask, ask_with, hosts, pass};

fn once() -> CallOptions {
    CallOptions { max_retries: Some(0), ..CallOptions::default() }
}

/// Hosts of which those whose name is in `sick` answer 500.
fn sick(names: &'static [&'static str]) -> World {
    World::answering(
        |seen| if names.iter().any(|name| seen.host.starts_with(name)) { status(500) } else { ok() },
    )
}

#[tokio::test(start_paused = true)]
async fn b6_after_five_failures_in_a_row_nothing_is_sent_while_a_peer_serves() {
    let world = sick(&["a"]);
    // Ejection would move the sick one to the end before the breaker opens.
    let engine = world.engine(&hosts(&["a", "b"], "", "[routing.ejection]\nenabled = false"));
    for _ in 0..20 {
        ask(&engine).await.unwrap();
    }
    assert_eq!(world.hosts().iter().filter(|host| *host == "a.test").count(), 5);
}

#[tokio::test(start_paused = true)]
async fn b7_all_open_is_no_healthy_deployment_with_the_time_of_the_first_to_come_back() {
    let world = sick(&["a", "b"]);
    let engine = world.engine(&hosts(&["a", "b"], "", "[routing.ejection]\nenabled = false"));
    for _ in 0..6 {
        ask(&engine).await.unwrap_err();
    }
    let before = world.hosts().len();
    let error = ask(&engine).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (Kind::NoHealthyDeployment, 0));
    assert_eq!(world.hosts().len(), before, "nothing was sent");
    let wait = error.retry_after().unwrap();
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(6), "{wait:?}");
    assert!(error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn b7_a_lone_deployment_is_asked_once_a_second_while_open() {
    let world = sick(&["a"]);
    let engine = world.engine(&hosts(&["a"], "", ""));
    for _ in 0..5 {
        ask_with(&engine, once()).await.unwrap_err();
    }
    let before = world.hosts().len();
    for _ in 0..100 {
        let _ = ask_with(&engine, once()).await;
        pass(0.1).await;
    }
    let asked = world.hosts().len() - before;
    assert!((8..=11).contains(&asked), "{asked} in ten seconds");
}

#[tokio::test(start_paused = true)]
async fn who_failed_is_asked_again_where_the_one_beside_it_is_open() {
    let failures = Arc::new(Mutex::new(0));
    let left = Arc::clone(&failures);
    let world = World::answering(move |seen| {
        let mut left = left.lock();
        match seen.host.as_str() {
            "a.test" => status(500),
            _ if *left > 0 => {
                *left -= 1;
                status(500)
            }
            _ => ok(),
        }
    });
    let engine = world.engine(&hosts(&["a", "b"], "", "[routing.ejection]\nenabled = false"));
    for _ in 0..5 {
        ask(&engine).await.unwrap();
    }
    let before = world.hosts().len();
    *failures.lock() = 1;
    ask(&engine).await.unwrap();
    assert_eq!(world.hosts()[before..], ["b.test", "b.test"], "the breaker of `a` is open");
}

#[tokio::test(start_paused = true)]
async fn a_client_without_configured_models_is_never_refused_by_its_breaker() {
    let world = sick(&["a"]);
    let engine = world.engine("[client]\nprovider = 'openai'\napi_key = 'k'\nbase_url = 'http://a.test/v1'");
    for _ in 0..30 {
        ask_with(&engine, once()).await.unwrap_err();
    }
    assert_eq!(world.hosts().len(), 30);
}

#[tokio::test(start_paused = true)]
async fn b9_the_breaker_of_an_unchanged_deployment_survives_a_reload() {
    let world = sick(&["a", "b"]);
    let config = hosts(&["a", "b"], "", "[routing.ejection]\nenabled = false");
    let engine = world.engine(&config);
    for _ in 0..6 {
        ask(&engine).await.unwrap_err();
    }
    engine.reload(toml::from_str(&format!("{config}\nweight = 2")).unwrap()).unwrap();
    assert_eq!(ask(&engine).await.unwrap_err().kind(), Kind::NoHealthyDeployment);
}

#[tokio::test(start_paused = true)]
async fn b9_a_deployment_that_was_isolated_by_hand_is_left_alone_until_it_is_reset() {
    for breaker in ["", "[breaker]\nenabled = false\n"] {
        let world = World::answering(|_| ok());
        let config = hosts(&["a", "b"], "", breaker);
        let engine = world.engine(&config);
        engine.isolate("openai/up").unwrap();
        ask(&engine).await.unwrap();
        engine.reload(toml::from_str(&format!("{config}\nweight = 2")).unwrap()).unwrap();
        ask(&engine).await.unwrap();
        engine.isolate("openai/up#2").unwrap();
        let error = ask(&engine).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NoHealthyDeployment);
        assert!(error.to_string().contains("isolated by hand"), "{error}");
        engine.reset("openai/up").unwrap();
        ask(&engine).await.unwrap();
        assert_eq!(world.hosts(), ["b.test", "b.test", "a.test"]);
        let twins = hosts(&["a"], "", breaker) + &hosts(&["b"], "", "").replace("models.m", "models.n");
        let apart = world.engine(&twins);
        apart.isolate("openai/up").unwrap();
        assert!(ask(&apart).await.is_err() && apart.call(chat_for("n")).await.is_err(), "all of that name");
        let unknown = engine.isolate("openai/upp").unwrap_err();
        assert!(unknown.to_string().contains("did you mean `openai/up`?"), "{unknown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_closes_serves_again_and_what_it_did_is_told() {
    let healthy = Arc::new(Mutex::new(false));
    let heals = Arc::clone(&healthy);
    let world = World::answering(move |_| if *heals.lock() { ok() } else { status(500) });
    let engine = world.engine(&hosts(&["a", "b"], "", "[routing.ejection]\nenabled = false"));
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    engine.on_change(Some(Box::new(move |name, change| {
        heard.lock().push((name.to_owned(), change.to.name()));
    })));
    for _ in 0..6 {
        ask(&engine).await.unwrap_err();
    }
    *healthy.lock() = true;
    pass(7.0).await;
    for _ in 0..4 {
        ask(&engine).await.unwrap();
    }
    let told = told.lock();
    let states: Vec<&str> =
        told.iter().filter(|(name, _)| name == "openai/up").map(|(_, state)| *state).collect();
    assert_eq!(states, ["open", "half_open", "closed"]);
}

#[tokio::test(start_paused = true)]
async fn r9_a_refusal_of_our_own_is_no_failure_of_the_deployment() {
    let world = World::answering(|_| ok());
    let engine = world.engine(&hosts(&["a"], "requests_per_minute = 1", ""));
    ask(&engine).await.unwrap();
    for _ in 0..20 {
        assert_eq!(ask(&engine).await.unwrap_err().kind(), Kind::LimitExceeded);
    }
    let stats = engine.stats();
    assert_eq!((stats.attempts, world.hosts().len()), (1, 1));
    pass(60.0).await;
    ask(&engine).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn r8_when_the_retry_budget_is_spent_the_original_error_is_raised_and_says_so() {
    let world = sick(&["a"]);
    let engine = world.engine(&hosts(&["a"], "", "[breaker]\nenabled = false"));
    let mut denied = 0;
    for _ in 0..50 {
        let began = now();
        let error = ask(&engine).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Server);
        if error.retry_denied() == Some("budget") {
            assert!(error.attempts().len() > 1 || now() == began, "nothing is waited for");
            denied += 1;
        }
    }
    assert!(denied > 30, "{denied}");
}

#[tokio::test(start_paused = true)]
async fn r2_retries_of_one_deployment_are_at_most_a_fifth_of_its_first_attempts_and_ten() {
    let world = sick(&["a"]);
    let engine = world.engine(&hosts(&["a"], "", "[breaker]\nenabled = false"));
    let began = now();
    let calls: Vec<_> = (0..500).map(|_| crate::start(&engine, CallOptions::default())).collect();
    for call in calls {
        call.await.unwrap().unwrap_err();
    }
    assert!((now() - began) < Duration::from_secs(10));
    let retries = world.hosts().len() - 500;
    assert!(retries <= 110, "{retries}");
    assert!(retries >= 50, "the allowance is there to be used: {retries}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_counts_and_its_beginning_does_not_heal() {
    let broken =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}\n\n";
    let world = World::answering(move |_| {
        status(200).with_header("content-type", "text/event-stream").with_body(broken)
    });
    let engine = world.engine(&hosts(&["a", "b"], "", "[routing.ejection]\nenabled = false"));
    for _ in 0..12 {
        let Ok(fairlead::reply::Answer::Stream(mut stream)) =
            engine.call(chat_with(true, CallOptions::default())).await
        else {
            break;
        };
        while let Some(Ok(_)) = stream.next().await {}
    }
    let refused = engine.call(chat_with(true, CallOptions::default())).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::NoHealthyDeployment);
}
