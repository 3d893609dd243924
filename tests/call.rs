//! The loop end to end over real sockets.

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
use support::{Act, Provider, chat, chat_with, chunk, done, engine, fail, ok, stream_head};

fn text(answer: Answer) -> String {
    match answer {
        Answer::Reply(reply) => String::from_utf8(reply.body.to_vec()).unwrap(),
        Answer::Stream(_) => panic!("a stream where a reply was expected"),
    }
}

async fn drain(answer: Answer) -> (Vec<String>, Option<Error>) {
    let Answer::Stream(mut stream) = answer else { panic!("a reply where a stream was expected") };
    let mut payloads = Vec::new();
    while let Some(next) = stream.next().await {
        match next {
            Ok(batch) => payloads.extend(batch.iter().map(|data| String::from_utf8_lossy(data).into_owned())),
            Err(error) => return (payloads, Some(error)),
        }
    }
    stream.finish().await;
    (payloads, None)
}

#[tokio::test]
async fn a_reply_comes_back_and_its_connection_is_used_again() {
    let provider = Provider::start(vec![ok("one"), ok("two")]).await;
    let engine = engine(&[provider.base_url()], "");
    assert!(text(engine.call(chat(false)).await.unwrap()).contains("one"));
    assert!(text(engine.call(chat(false)).await.unwrap()).contains("two"));
    assert_eq!(provider.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
    let stats = engine.stats();
    assert_eq!((stats.calls, stats.succeeded, stats.input_tokens, stats.output_tokens), (2, 2, 6, 4));
    assert_eq!((engine.gauges().calls.get(), engine.gauges().attempts.get()), (0, 0));
    assert_eq!(engine.gauges().connections_idle.get(), 1);
    let request = provider.requests.lock()[0].clone();
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer sk-test\r\n"), "{request}");
    assert!(request.contains(r#"{"model":"up","#), "{request}");
}

#[tokio::test]
async fn a_dying_deployment_hands_over_to_a_healthy_one_at_once() {
    let sick = Provider::start(vec![fail(503)]).await;
    let healthy = Provider::start(vec![ok("well")]).await;
    let engine = engine(&[sick.base_url(), healthy.base_url()], "");
    let Answer::Reply(reply) = engine.call(chat(false)).await.unwrap() else { panic!() };
    assert_eq!(reply.receipt.attempts.len(), 2);
    assert_eq!(reply.receipt.attempts[0].status, Some(503));
    assert_eq!(reply.receipt.attempts[1].error, None);
}

#[tokio::test]
async fn r1_attempts_never_exceed_max_retries_plus_one() {
    for retries in 0..4 {
        let provider = Provider::start((0..9).map(|_| fail(500)).collect()).await;
        let engine = engine(&[provider.base_url()], "[retry]\nbase = 0.001\n");
        let options = CallOptions { max_retries: Some(retries), ..CallOptions::default() };
        let error = engine.call(chat_with(false, options)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Server);
        assert_eq!(error.attempts().len(), retries as usize + 1);
        assert_eq!(provider.requests.lock().len(), retries as usize + 1);
    }
}

#[tokio::test]
async fn a_refused_connection_is_an_error_of_its_own_after_its_retries() {
    let engine = engine(&["http://127.0.0.1:1/v1".into()], "[retry]\nbase = 0.001\n");
    let error = engine.call(chat(false)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Connect);
    assert_eq!(error.attempts().len(), 3);
}

#[tokio::test]
async fn f07_a_connection_that_died_idle_costs_nothing() {
    let provider = Provider::start(vec![[ok("one"), vec![Act::Close]].concat(), ok("two")]).await;
    let engine = engine(&[provider.base_url()], "");
    let options = CallOptions { max_retries: Some(0), ..CallOptions::default() };
    engine.call(chat(false)).await.unwrap();
    assert!(text(engine.call(chat_with(false, options)).await.unwrap()).contains("two"));
}

#[tokio::test]
async fn a_stream_ends_with_its_terminal_evidence_and_gives_its_connection_back() {
    let content = chunk(r#"{"content":"hi"}"#, "null");
    let acts = vec![
        stream_head(),
        chunk(r#"{"role":"assistant"}"#, "null"),
        content,
        chunk("{}", "\"stop\""),
        done(),
    ];
    let provider = Provider::start(vec![[acts, vec![Act::Close]].concat()]).await;
    let engine = engine(&[provider.base_url()], "");
    let (payloads, error) = drain(engine.call(chat(true)).await.unwrap()).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(payloads.len(), 3);
    assert_eq!((engine.gauges().streams.get(), engine.gauges().calls.get()), (0, 0));
    assert!(provider.requests.lock()[0].contains(r#""stream_options":{"include_usage":true}"#));
}

#[tokio::test]
async fn a_stream_that_has_ended_holds_nothing_while_its_connection_is_read_to_its_end() {
    let acts = vec![stream_head(), chunk(r#"{"content":"hi"}"#, "\"stop\""), done(), Act::Hang];
    let provider = Provider::start(vec![acts]).await;
    let engine = engine(&[provider.base_url()], "[limits.user]\nconcurrency = 1\n");
    let options = CallOptions { user: Some("u".to_owned()), ..CallOptions::default() };
    let Answer::Stream(mut stream) = engine.call(chat_with(true, options)).await.unwrap() else {
        panic!("whole")
    };
    let gauges = engine.gauges();
    assert_eq!((gauges.streams.get(), gauges.calls.get(), gauges.attempts.get()), (1, 1, 1));
    while stream.next().await.is_some() {}
    assert_eq!((gauges.streams.get(), gauges.calls.get(), gauges.attempts.get()), (0, 0, 0));
    assert!(engine.limits().iter().all(|standing| standing.used == 0), "{:?}", engine.limits());
    drop(stream);
}

#[tokio::test]
async fn f72_a_stream_without_an_end_is_truncated_not_a_success() {
    let acts = vec![stream_head(), chunk(r#"{"content":"par"}"#, "null"), Act::Close];
    let provider = Provider::start(vec![acts]).await;
    let engine = engine(&[provider.base_url()], "");
    let (payloads, error) = drain(engine.call(chat(true)).await.unwrap()).await;
    assert_eq!(payloads.len(), 1);
    let error = error.unwrap();
    assert_eq!(error.kind(), Kind::StreamTruncated);
    assert_eq!(error.failure().partial, "par");
}

#[tokio::test]
async fn s9_a_stream_that_broke_is_settled_by_what_had_come_where_its_last_count_was_of_less() {
    let told = br#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}"#;
    let told = Act::Send([told.as_slice(), b"\n\n"].concat());
    let words = format!(r#"{{"content":"{}"}}"#, "word ".repeat(100));
    let acts = vec![stream_head(), told, chunk(&words, "null"), Act::Close];
    let provider = Provider::start(vec![acts]).await;
    let engine = engine(&[provider.base_url()], "");
    let Answer::Stream(mut stream) = engine.call(chat(true)).await.unwrap() else { panic!("no stream") };
    while stream.next().await.is_some_and(|next| next.is_ok()) {}
    let usage = stream.receipt().usage.unwrap();
    assert_eq!((usage.input, usage.total), (7, 7 + usage.output));
    assert!(usage.estimated && (100..200).contains(&usage.output), "{usage:?}");
}

#[tokio::test]
async fn s1_a_stream_that_breaks_before_content_fails_over_unseen() {
    let broken =
        Provider::start(vec![vec![stream_head(), chunk(r#"{"role":"assistant"}"#, "null"), Act::Close]])
            .await;
    let healthy = Provider::start(vec![vec![
        stream_head(),
        chunk(r#"{"content":"b"}"#, "\"stop\""),
        done(),
        Act::Close,
    ]])
    .await;
    let engine = engine(&[broken.base_url(), healthy.base_url()], "");
    let (payloads, error) = drain(engine.call(chat(true)).await.unwrap()).await;
    assert!(error.is_none());
    assert_eq!(payloads.len(), 1);
}

#[tokio::test]
async fn s9_dropping_a_stream_closes_its_connection_and_settles() {
    let acts = vec![stream_head(), chunk(r#"{"content":"a"}"#, "null"), Act::Hang];
    let provider = Provider::start(vec![acts]).await;
    let engine = engine(&[provider.base_url()], "");
    let answer = engine.call(chat(true)).await.unwrap();
    assert_eq!((engine.gauges().streams.get(), engine.gauges().connections_open.get()), (1, 1));
    drop(answer);
    assert_eq!((engine.gauges().streams.get(), engine.gauges().connections_open.get()), (0, 0));
    assert_eq!((engine.stats().cancelled, engine.stats().settled), (1, 1));
}

#[tokio::test]
async fn d1_the_deadline_ends_a_call_that_is_never_answered() {
    let provider = Provider::start(vec![vec![Act::Hang]]).await;
    let engine = engine(&[provider.base_url()], "");
    let options = CallOptions { deadline: Some(Duration::from_millis(200)), ..CallOptions::default() };
    let error = engine.call(chat_with(false, options)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline);
    assert_eq!(engine.gauges().connections_open.get(), 0);
}

#[tokio::test]
async fn d1_a_deadline_that_has_passed_sends_nothing() {
    let provider = Provider::start(vec![ok("x")]).await;
    let engine = engine(&[provider.base_url()], "");
    let options = CallOptions { deadline: Some(Duration::ZERO), ..CallOptions::default() };
    let error = engine.call(chat_with(false, options)).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (Kind::Deadline, 0));
    assert!(provider.requests.lock().is_empty());
}

#[tokio::test]
async fn max_connections_bounds_what_is_open_and_starves_nobody() {
    let provider = Provider::start((0..40).map(|_| ok("x")).collect()).await;
    let engine = engine(&[provider.base_url()], "[pool]\nmax_connections = 2\n");
    let calls = (0..40).map(|_| {
        let engine = std::sync::Arc::clone(&engine);
        tokio::spawn(async move { engine.call(chat(false)).await.map(text) })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
    assert!(provider.connections.load(std::sync::atomic::Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn f21_no_free_connection_is_a_pool_timeout_and_the_waiter_is_gone() {
    let provider = Provider::start(vec![vec![Act::Hang]]).await;
    let engine = engine(&[provider.base_url()], "[pool]\nmax_connections = 1\n[timeouts]\npool = 0.05\n");
    let hanging = tokio::spawn({
        let engine = std::sync::Arc::clone(&engine);
        async move { engine.call(chat(false)).await.map(text) }
    });
    while provider.requests.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    let options = CallOptions { max_retries: Some(0), ..CallOptions::default() };
    let error = engine.call(chat_with(false, options)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::PoolTimeout);
    hanging.abort();
    let _ = hanging.await;
    assert_eq!((engine.gauges().calls.get(), engine.gauges().connections_open.get()), (0, 0));
}

#[tokio::test]
async fn a_proxied_call_goes_to_the_proxy_in_absolute_form() {
    let proxy = Provider::start(vec![ok("by proxy")]).await;
    let text_config = format!(
        "[client]\napi_key = \"k\"\nbase_url = \"http://far.test/v1\"\nproxy = \"http://{}\"\n",
        proxy.address
    );
    let engine = fairlead::Engine::new(toml::from_str(&text_config).unwrap()).unwrap();
    assert!(text(engine.call(chat(false)).await.unwrap()).contains("by proxy"));
    let request = proxy.requests.lock()[0].clone();
    assert!(request.starts_with("POST http://far.test/v1/chat/completions HTTP/1.1"), "{request}");
}

#[tokio::test]
async fn a_model_named_twice_is_the_same_for_us_and_for_the_upstream() {
    let provider = Provider::start(vec![ok("x")]).await;
    let engine = engine(&[provider.base_url()], "");
    let mut call = chat(false);
    call.body = r#"{"model":"other","messages":[],"model":"m"}"#.into();
    engine.call(call).await.unwrap();
    let request = provider.requests.lock()[0].clone();
    assert!(request.ends_with(r#"{"model":"up","messages":[],"model":"up"}"#), "{request}");
}

#[tokio::test]
async fn our_own_options_in_the_body_stay_here() {
    let provider = Provider::start(vec![ok("x")]).await;
    let engine = engine(&[provider.base_url()], "");
    let mut call = chat(false);
    call.body = r#"{"model":"m","fairlead":{"user":"u"},"messages":[],"max_tokens":4}"#.into();
    engine.call(call).await.unwrap();
    let request = provider.requests.lock()[0].clone();
    assert!(request.ends_with(r#"{"model":"up","messages":[],"max_tokens":4}"#), "{request}");
}

#[tokio::test]
async fn idle_connections_close_when_they_expire_and_nothing_piles_up_meanwhile() {
    let provider = Provider::start((0..200).map(|_| ok("x")).collect()).await;
    let engine = engine(&[provider.base_url()], "[pool]\nkeepalive_expiry = 0.2\n");
    for _ in 0..200 {
        engine.call(chat(false)).await.unwrap();
    }
    // The provider's own tasks are one a connection.
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(tasks <= 4, "{tasks} tasks");
    while engine.gauges().connections_open.get() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn c2_a_refusal_in_the_middle_of_a_stream_is_one_like_any_other() {
    let error =
        r#"data: {"error":{"message":"Please try again in 30s","type":"rate_limit_error","code":429}}"#;
    let error = Act::Send([error.as_bytes(), b"\n\n"].concat());
    let pause = Act::Pause(Duration::from_millis(200));
    let acts = vec![stream_head(), chunk(r#"{"content":"hi"}"#, "null"), pause, error, Act::Close];
    let provider = Provider::start(vec![acts]).await;
    let engine = engine(&[provider.base_url()], "[queue]\nwait = 0\n");
    let (_, error) = drain(engine.call(chat(true)).await.unwrap()).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.retry_after()), (Kind::StreamInterrupted, Some(Duration::from_secs(30))));
    let refused = engine.call(chat(false)).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::LimitExceeded, "its wait is kept: {refused}");
    let metrics = engine.metrics_text();
    assert!(metrics.contains(r#"class="throttled""#), "{metrics}");
}
