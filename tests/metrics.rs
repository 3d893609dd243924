//! What operators read: counts that agree with what happened, under labels that stay few.

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

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fairlead::call::{Call, CallOptions};
use fairlead::reply::Answer;
use fairlead::{Engine, Error, Kind};
use support::scripted::{Meets, World, ok, status};
use support::{Provider, chat, chat_with, chunk, done, engine, stream_head};

const TWO: &str = r#"
[[models.m.deployments]]
id = "one"
provider = "openai"
model = "gpt-4o-mini"
base_url = "http://one.test/v1"
api_key = "k"

[[models.m.deployments]]
id = "two"
provider = "openai"
model = "gpt-4o-mini"
base_url = "http://two.test/v1"
api_key = "k"

[[rules]]
name = "long"
when = "len(user_input) > 3"
model = "m"
"#;

/// Samples by name and labels, as they are written.
fn samples(engine: &Engine) -> BTreeMap<String, f64> {
    let text = engine.metrics_text();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| line.rsplit_once(' ').unwrap());
    let mut read = BTreeMap::new();
    for (name, value) in samples {
        let name = name.strip_prefix("fairlead_").unwrap().to_owned();
        let value = if value == "+Inf" { f64::INFINITY } else { value.parse().unwrap() };
        assert_eq!(read.insert(name.clone(), value), None, "{name} twice");
    }
    read
}

#[track_caller]
fn holds(samples: &BTreeMap<String, f64>, wanted: &[(&str, f64)]) {
    for (name, value) in wanted {
        let found = samples.get(*name).copied().unwrap_or_default();
        assert!((found - value).abs() < 1e-9, "{name} is {found}, not {value}, in {samples:#?}");
    }
}

async fn call(engine: &Arc<Engine>, call: Call) -> Result<(), Error> {
    match Box::pin(engine.call(call)).await? {
        Answer::Reply(_) => Ok(()),
        Answer::Stream(mut stream) => {
            while let Some(pieces) = stream.next().await {
                pieces?;
            }
            Ok(())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c1_attempts_are_counted_by_class_and_code_and_calls_by_outcome() {
    let world = World::new([status(503), ok(), status(400), Meets::Breaks(Kind::Connect), status(429), ok()]);
    let engine = world.engine(TWO);
    call(&engine, chat(false)).await.unwrap();
    call(&engine, chat(false)).await.unwrap_err();
    call(&engine, chat(false)).await.unwrap();
    let samples = samples(&engine);
    holds(
        &samples,
        &[
            (r#"calls_total{model="m",outcome="ok"}"#, 2.0),
            (r#"calls_total{model="m",outcome="bad_request"}"#, 1.0),
            (r#"attempts_total{deployment="one",class="transient",code="503"}"#, 1.0),
            (r#"retries_total{reason="transient",outcome="ok"}"#, 1.0),
            (r#"retries_total{reason="transient",outcome="failed"}"#, 1.0),
            (r#"retries_total{reason="throttled",outcome="ok"}"#, 1.0),
            (r#"call_duration_seconds_count{model="m"}"#, 3.0),
            ("overhead_seconds_count", 2.0),
            (r#"queue_wait_seconds_count{model="m"}"#, 3.0),
            ("calls_in_flight", 0.0),
            (r#"attempts_in_flight{deployment="one"}"#, 0.0),
        ],
    );
    let attempts = |class: &str| -> f64 {
        let of_class = samples.iter().filter(|(name, _)| {
            name.starts_with("attempts_total") && name.contains(&format!("class=\"{class}\""))
        });
        of_class.map(|(_, count)| count).sum()
    };
    let found = ["ok", "transient", "client", "throttled"].map(attempts);
    assert!(found.iter().eq(&[2.0, 2.0, 1.0, 1.0]), "{found:?} {samples:#?}");
}

#[tokio::test(start_paused = true)]
async fn tokens_and_dollars_are_counted_by_deployment_and_exact() {
    let body = r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}],"usage":{
        "prompt_tokens":1000,"completion_tokens":100,"prompt_tokens_details":{"cached_tokens":10},
        "completion_tokens_details":{"reasoning_tokens":7}}}"#;
    let engine = World::new([status(200).with_body(body)]).engine(TWO);
    call(&engine, chat(false)).await.unwrap();
    let text = engine.metrics_text();
    // 990 x $0.15 + 10 x $0.075 + 100 x $0.60 for a million
    assert!(text.contains("fairlead_cost_dollars_total{deployment=\"one\"} 0.000209250\n"), "{text}");
    let kinds = [("input", 1000), ("output", 100), ("cached", 10), ("cache_write", 0), ("reasoning", 7)];
    for (kind, count) in kinds {
        let line = format!("fairlead_tokens_total{{deployment=\"one\",kind=\"{kind}\"}} {count}\n");
        assert!(text.contains(&line), "{line}{text}");
    }
    assert!(text.contains("fairlead_call_tokens_sum{model=\"m\",kind=\"input\"} 1000\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn overhead_is_what_is_left_of_a_call_without_upstream_and_backoff() {
    let slow = |meets: Meets| meets.after(Duration::from_secs(3));
    let world = World::new([slow(status(503)), slow(status(503)), slow(status(503)), slow(ok())]);
    let one = TWO.split("[[models.m.deployments]]\nid = \"two\"").next().unwrap();
    let engine = world.engine(&format!("retry.max_retries = 5\n{one}"));
    call(&engine, chat(false)).await.unwrap();
    let samples = samples(&engine);
    let took = samples[r#"call_duration_seconds_sum{model="m"}"#];
    assert!(took > 12.0, "four attempts and three waits: {took}");
    // In virtual time our own work takes none; timers round up to a millisecond, once a wait.
    assert!(samples["overhead_seconds_sum"] < 0.003, "{samples:#?}");
    holds(&samples, &[("overhead_seconds_count", 1.0)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_given_up_leaves_a_cancelled_attempt_and_nothing_in_flight() {
    let engine = World::new([status(503), Meets::Never]).engine(TWO);
    let waiting = tokio::time::timeout(Duration::from_secs(1), call(&engine, chat(false)));
    waiting.await.unwrap_err();
    let samples = samples(&engine);
    holds(
        &samples,
        &[
            (r#"calls_total{model="m",outcome="cancelled"}"#, 1.0),
            (r#"attempts_total{deployment="two",class="cancelled",code="none"}"#, 1.0),
            (r#"attempts_in_flight{deployment="two"}"#, 0.0),
            (r#"call_duration_seconds_count{model="m"}"#, 0.0),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn limits_of_time_are_counted_by_phase_and_denied_retries_by_why() {
    let config = format!("retry.max_retries = 1\ntimeouts = {{ attempt = 1, total = 60 }}\n{TWO}");
    let engine = World::new([Meets::Never, Meets::Breaks(Kind::ConnectTimeout)]).engine(&config);
    call(&engine, chat(false)).await.unwrap_err();
    let deadline = CallOptions { deadline: Some(Duration::from_millis(500)), ..CallOptions::default() };
    call(&engine, chat_with(false, deadline)).await.unwrap_err();
    let samples = samples(&engine);
    holds(
        &samples,
        &[
            (r#"timeouts_total{phase="attempt"}"#, 1.0),
            (r#"timeouts_total{phase="connect"}"#, 1.0),
            (r#"timeouts_total{phase="deadline"}"#, 1.0),
            (r#"retries_denied_total{reason="attempts"}"#, 1.0),
            (r#"retries_denied_total{reason="deadline"}"#, 1.0),
            (r#"calls_total{model="m",outcome="deadline"}"#, 1.0),
        ],
    );
}

#[tokio::test]
async fn a_stream_is_an_attempt_until_its_end() {
    let text = |text: &str, finish: &str| chunk(&format!(r#"{{"content":"{text}"}}"#), finish);
    let whole = vec![stream_head(), text("a", "null"), text("b", "null"), text("", r#""stop""#), done()];
    let broken = vec![stream_head(), text("a", "null"), support::Act::Close];
    let endless = vec![stream_head(), text("a", "null"), support::Act::Hang];
    let provider = Provider::start(vec![whole, broken, endless]).await;
    let engine = engine(&[provider.base_url()], "");
    call(&engine, chat(true)).await.unwrap();
    call(&engine, chat(true)).await.unwrap_err();
    let Answer::Stream(mut left) = Box::pin(engine.call(chat(true))).await.unwrap() else {
        panic!("no stream")
    };
    left.next().await.unwrap().unwrap();
    holds(
        &samples(&engine),
        &[(r#"attempts_in_flight{deployment="openai/up"}"#, 1.0), ("streams_open", 1.0)],
    );
    drop(left);
    let samples = samples(&engine);
    holds(
        &samples,
        &[
            (r#"attempts_total{deployment="openai/up",class="ok",code="200"}"#, 1.0),
            (r#"attempts_total{deployment="openai/up",class="transient",code="200"}"#, 1.0),
            (r#"attempts_total{deployment="openai/up",class="cancelled",code="200"}"#, 1.0),
            (r#"calls_total{model="m",outcome="ok"}"#, 1.0),
            (r#"calls_total{model="m",outcome="cancelled"}"#, 1.0),
            (r#"attempts_in_flight{deployment="openai/up"}"#, 0.0),
            (r#"time_to_first_token_seconds_count{deployment="openai/up"}"#, 3.0),
            ("streams_open", 0.0),
        ],
    );
    assert!(samples[r#"inter_token_seconds_count{deployment="openai/up"}"#] >= 2.0, "{samples:#?}");
}

#[tokio::test(start_paused = true)]
async fn counts_go_on_over_a_reload_and_so_do_faults_of_rules() {
    let config = format!("{TWO}\n[[rules]]\nname = \"odd\"\nwhen = \"metadata.tier > 3\"\nmodel = \"m\"\n");
    let engine = World::new([ok(), ok()]).engine(&config);
    let open = |text: &str| {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#);
        let metadata = vec![("tier".to_owned(), "gold".to_owned())];
        let options = CallOptions { metadata, ..CallOptions::default() };
        Call { body: body.into(), ..chat_with(false, options) }
    };
    call(&engine, open("hello")).await.unwrap();
    assert!(call(&engine, open("hi")).await.is_err());
    let before = samples(&engine);
    engine.reload(toml::from_str(&config).unwrap()).unwrap();
    assert_eq!(samples(&engine), before);
    call(&engine, open("hello")).await.unwrap();
    holds(
        &samples(&engine),
        &[(r#"calls_total{model="m",outcome="ok"}"#, 2.0), (r#"rule_calls_total{rule="long"}"#, 2.0)],
    );
    let faults = before[r#"rule_faults_total{rule="odd"}"#];
    assert!(faults >= 1.0, "{before:#?}");
}

#[tokio::test(start_paused = true)]
async fn f129_names_that_callers_choose_are_bounded_cut_and_escaped() {
    let world = World::answering(|_| ok());
    let engine = world.engine("client = { base_url = \"http://any.test/v1\", api_key = \"k\" }");
    let named = |model: &str| {
        let model = serde_json::Value::from(model);
        let body = format!(r#"{{"model":{model},"messages":[{{"role":"user","content":"hi"}}]}}"#);
        Call { body: body.into(), ..chat(false) }
    };
    call(&engine, named(&format!("\r\n\"}} 1 \\{}", "x".repeat(10_000)))).await.unwrap();
    for number in 0..300 {
        call(&engine, named(&format!("m{number}"))).await.unwrap();
    }
    let samples = samples(&engine);
    let models = samples.keys().filter(|name| name.starts_with("call_duration_seconds_count")).count();
    let deployments =
        samples.keys().filter(|name| name.starts_with("attempt_duration_seconds_count")).count();
    assert_eq!((models, deployments), (201, 201));
    holds(&samples, &[(r#"calls_total{model="other",outcome="ok"}"#, 101.0)]);
    let escaped = format!(r#"calls_total{{model="__\"}} 1 \\{}",outcome="ok"}}"#, "x".repeat(128 - 8));
    holds(&samples, &[(&*escaped, 1.0)]);
}

#[tokio::test(start_paused = true)]
async fn tenants_are_labels_only_where_the_configuration_says_so() {
    for (says, wanted) in [("", 0), ("metrics.tenant_label = true\n", 1)] {
        let engine = World::new([ok(), status(400)]).engine(&format!("{says}{TWO}"));
        let who = || CallOptions {
            tenant: Some("acme".to_owned()),
            user: Some("ann".to_owned()),
            key: Some("secret".to_owned()),
            ..CallOptions::default()
        };
        call(&engine, chat_with(false, who())).await.unwrap();
        call(&engine, chat_with(false, who())).await.unwrap_err();
        let text = engine.metrics_text();
        assert!(!text.contains("ann") && !text.contains("secret"), "{text}");
        for line in [
            r#"fairlead_tenant_calls_total{tenant="acme",outcome="ok"} 1"#,
            r#"fairlead_tenant_calls_total{tenant="acme",outcome="failed"} 1"#,
            r#"fairlead_tenant_tokens_total{tenant="acme",kind="input"} 1"#,
        ] {
            assert_eq!(text.lines().filter(|written| *written == line).count(), wanted, "{line} in\n{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_stage_nothing_is_counted() {
    let engine = World::new([ok()]).engine(&format!("stages.settle = false\n{TWO}"));
    // What the traffic pays for is no count.
    let counts = || samples(&engine).into_iter().filter(|(name, _)| !name.starts_with("retry_budget"));
    let before: Vec<_> = counts().collect();
    call(&engine, chat(false)).await.unwrap();
    assert_eq!(counts().collect::<Vec<_>>(), before);
}

#[tokio::test(start_paused = true)]
async fn limits_say_what_they_decided_and_how_full_they_are() {
    let config =
        format!("[limits.global]\nrequests_per_minute = 2\n[limits.user]\nrequests_per_second = 9\n{TWO}");
    let engine = World::answering(|_| ok()).engine(&config);
    for _ in 0..2 {
        call(&engine, chat(false)).await.unwrap();
    }
    call(&engine, chat(false)).await.unwrap_err();
    holds(
        &samples(&engine),
        &[
            (r#"limit_decisions_total{limit="requests/60s",scope="global",decision="admitted"}"#, 2.0),
            (r#"limit_decisions_total{limit="requests/60s",scope="global",decision="denied"}"#, 1.0),
            (r#"limit_decisions_total{limit="requests/60s",scope="global",decision="shadow"}"#, 0.0),
            (r#"limit_decisions_total{limit="requests/1s",scope="user",decision="admitted"}"#, 2.0),
            (r#"limit_utilisation{limit="requests/60s",scope="global"}"#, 1.0),
            (r#"queue_depth{priority="5"}"#, 0.0),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_turned_away_from_the_line_are_counted_by_why() {
    let config =
        format!("[queue]\nmost = 1\n{}", TWO.replace("model = \"up\"", "model = \"up\"\nconcurrency = 1"));
    let engine = World::answering(|_| ok().after(Duration::from_secs(1))).engine(&config);
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { call(&engine, chat(false)).await })
        })
        .collect();
    for call in calls {
        let _ = call.await.unwrap();
    }
    let shed: f64 = samples(&engine)
        .into_iter()
        .filter(|(name, _)| name.starts_with("shed_total"))
        .map(|(_, count)| count)
        .sum();
    assert!(shed >= 2.0, "{shed}");
}

#[tokio::test(start_paused = true)]
async fn breakers_and_told_limits_are_gauges() {
    let told = ok()
        .with_header("x-ratelimit-limit-requests", "100")
        .with_header("x-ratelimit-remaining-requests", "40")
        .with_header("x-ratelimit-reset-requests", "30s");
    let failing = std::iter::repeat_n(status(500), 40);
    let engine = World::new(std::iter::once(told).chain(failing)).engine(TWO);
    call(&engine, chat(false)).await.unwrap();
    for _ in 0..6 {
        call(&engine, chat(false)).await.unwrap_err();
    }
    let samples = samples(&engine);
    let told = |name: &str| samples[&format!(r#"provider_limit{name}{{deployment="one",kind="requests"}}"#)];
    assert!(told("") > 99.0 && told("_remaining") <= 40.0 && told("_reset_seconds") <= 30.0, "{samples:#?}");
    holds(&samples, &[(r#"breaker_state{deployment="one"}"#, 2.0)]);
    let opened = r#"breaker_transitions_total{from="closed",to="open",reason="consecutive"}"#;
    assert!(samples[opened] >= 1.0, "{samples:#?}");
}

#[tokio::test(start_paused = true)]
async fn statistics_have_rates_means_and_percentiles_in_all_and_by_deployment() {
    let took = |seconds| ok().after(Duration::from_secs(seconds));
    let world = World::new([took(1), took(1), took(1), took(4), status(400), status(429), took(2)]);
    let engine = world.engine(TWO);
    let fresh = engine.statistics();
    assert_eq!((fresh.total_requests, fresh.success_rate, fresh.average_latency), (0, None, None));
    assert_eq!(fresh.percentiles.latency, None);
    for _ in 0..4 {
        call(&engine, chat(false)).await.unwrap();
    }
    call(&engine, chat(false)).await.unwrap_err();
    call(&engine, chat(false)).await.unwrap();
    let all = engine.statistics();
    assert_eq!(all.total_requests, 6);
    assert!((all.success_rate.unwrap() - 5.0 / 6.0).abs() < 1e-9);
    assert!((all.average_latency.unwrap() - 9.0 / 6.0).abs() < 1e-9);
    assert_eq!(all.model_distribution, BTreeMap::from([("m".to_owned(), 6)]));
    let latency = all.percentiles.latency.unwrap();
    let near = |found: f64, wanted: f64| (wanted..=wanted * 1.19).contains(&found);
    assert!(near(latency.p50, 1.0) && near(latency.p99, 4.0), "{latency:?}");
    assert_eq!(all.percentiles.time_to_first_token, None);
    let sum = |of: fn(&fairlead::settle::metrics::DeploymentStatistics) -> u64| {
        all.deployments.values().map(of).sum::<u64>()
    };
    assert_eq!(sum(|one| one.requests), 7);
    assert_eq!((sum(|one| one.failures), sum(|one| one.throttles), sum(|one| one.in_flight)), (2, 1, 0));
    assert_eq!(all.deployments.keys().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(all.deployments["one"].breaker, "closed");
}
