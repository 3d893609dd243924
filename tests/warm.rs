//! Warming up: the first call meets a connection that stands, pings count for nothing but money, and nothing fails.

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
use std::sync::atomic::Ordering;
use std::time::Duration;

use fairlead::clock::now;
use fairlead::reply::Answer;
use fairlead::warm::{Wanted, Warmed};
use fairlead::{Engine, Kind};
use support::scripted::{Meets, World, ok, status};
use support::{Provider, chat, engine};

fn pinging() -> Wanted {
    Wanted { ping: Some(true), ..Wanted::default() }
}

async fn warmed(engine: &Arc<Engine>, wanted: Wanted) -> Vec<Warmed> {
    engine.warm_up(wanted).await.unwrap()
}

/// Deployments `one` to `three`, each at a host of its own.
fn three(extra: &str) -> String {
    let one = |id: &str| {
        format!(
            "[[models.m.deployments]]\nid = \"{id}\"\nprovider = \"openai\"\nmodel = \"gpt-4o-mini\"\n\
             base_url = \"http://{id}.test/v1\"\napi_key = \"k\"\n"
        )
    };
    format!("{extra}\n{}", ["one", "two", "three"].map(one).concat())
}

#[tokio::test]
async fn the_first_call_goes_over_the_connection_that_was_opened_ahead() {
    let provider = Provider::start(vec![support::ok("a"), support::ok("b")]).await;
    let engine = engine(&[provider.base_url()], "");
    for _ in 0..3 {
        let all = warmed(&engine, Wanted::default()).await;
        assert_eq!(all.len(), 1);
        assert!(all[0].ok && all[0].error.is_none() && all[0].seconds < 5.0, "{all:?}");
    }
    assert!(provider.requests.lock().is_empty(), "nothing is asked");
    for _ in 0..2 {
        Box::pin(engine.call(chat(false))).await.unwrap();
    }
    assert_eq!(provider.connections.load(Ordering::SeqCst), 1);
    assert_eq!((engine.stats().calls, engine.stats().attempts), (2, 2));
}

#[tokio::test]
async fn a_connection_opened_ahead_that_died_meanwhile_costs_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let dropped = tokio::spawn(async move {
        let (first, _) = listener.accept().await.unwrap();
        // Reads nothing and closes with what it was sent unread, as a server does that has just given up waiting.
        first.readable().await.unwrap();
        drop(first);
        listener
    });
    let engine = engine(&[format!("http://{address}/v1")], "retry.max_retries = 0");
    assert!(warmed(&engine, Wanted::default()).await[0].ok);
    let call = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { Box::pin(engine.call(chat(false))).await }
    });
    let listener = dropped.await.unwrap();
    let (mut second, _) = listener.accept().await.unwrap();
    let [support::Act::Send(bytes)] = &support::ok("a")[..] else { panic!("one write") };
    let mut read = [0; 4096];
    let _ = tokio::io::AsyncReadExt::read(&mut second, &mut read).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut second, bytes).await.unwrap();
    let Answer::Reply(reply) = call.await.unwrap().unwrap() else { panic!("no stream was asked for") };
    assert_eq!(reply.receipt.transparent_retries, 1);
}

#[tokio::test]
async fn deployments_at_one_address_share_a_connection_and_dead_ones_say_so() {
    let provider = Provider::start(vec![]).await;
    let dead = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = format!("http://{}/v1", dead.local_addr().unwrap());
    drop(dead);
    let engine = engine(&[provider.base_url(), provider.base_url(), gone], "");
    let all = warmed(&engine, Wanted::default()).await;
    assert_eq!(all.iter().map(|one| one.ok).collect::<Vec<_>>(), [true, true, false]);
    assert!(all[2].error.as_ref().unwrap().contains("cannot connect"), "{all:?}");
    assert_eq!(engine.gauges().connections_open.get(), 1);
}

#[tokio::test]
async fn where_only_requests_open_connections_that_is_said() {
    let provider = Provider::start(vec![]).await;
    let config = format!(
        "[[models.m.deployments]]\nprovider = \"openai\"\nmodel = \"up\"\nhttp2 = true\napi_key = \"k\"\nbase_url = \"{}\"\n",
        provider.base_url()
    );
    let engine = Engine::new(toml::from_str(&config).unwrap()).unwrap();
    let all = warmed(&engine, Wanted::default()).await;
    assert!(!all[0].ok && all[0].error.as_ref().unwrap().contains("ping"), "{all:?}");
    assert_eq!(provider.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn pings_count_for_nothing_but_money() {
    let world = World::answering(|seen| match &*seen.host {
        "one.test" => ok(),
        "two.test" => Meets::Breaks(Kind::Connect),
        _ => status(500),
    });
    let engine = world.engine(&three(""));
    let (before, keys) = (engine.stats(), engine.keys());
    for _ in 0..20 {
        let all = warmed(&engine, pinging()).await;
        assert_eq!(all.iter().map(|one| one.ok).collect::<Vec<_>>(), [true, false, false], "{all:?}");
    }
    let bodies: Vec<String> =
        world.seen.lock().iter().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).collect();
    assert_eq!(bodies.len(), 60);
    assert!(
        bodies[0].contains(r#""model":"gpt-4o-mini""#) && bodies[0].contains(r#""max_tokens":1"#),
        "{}",
        bodies[0]
    );
    let mut after = engine.stats();
    // 20 x (1 x $0.15 + 1 x $0.60 for a million)
    assert_eq!(after.cost_nanos, 20 * 750);
    after.cost_nanos = before.cost_nanos;
    assert_eq!((after, engine.keys()), (before, keys));
    let all = engine.statistics();
    assert_eq!((all.total_requests, all.percentiles.latency), (0, None));
    assert!(all.deployments.values().all(|one| one.requests == 0 && one.breaker == "closed"), "{all:?}");
    let text = engine.metrics_text();
    assert!(!text.contains("fairlead_attempts_total{"), "{text}");
    assert!(text.contains("fairlead_cost_dollars_total{deployment=\"one\"} 0.000015000\n"), "{text}");
    assert!(text.contains("fairlead_call_duration_seconds_count{model=\"m\"} 0\n"), "{text}");
    // Health has heard nothing: who failed each ping is still asked second.
    let route = engine.route(&chat(false)).unwrap();
    let order: Vec<_> = route.candidates.iter().map(|choice| choice.deployment.to_string()).collect();
    assert_eq!(order, ["one", "two", "three"]);
}

#[tokio::test(start_paused = true)]
async fn pings_keep_to_the_limits_and_are_charged_to_them() {
    let world = World::answering(|_| ok());
    let extra = "limits.global.requests_per_minute = 2\nqueue.wait = 0";
    let engine = world.engine(&three(extra));
    let all = warmed(&engine, pinging()).await;
    assert_eq!(all.iter().filter(|one| one.ok).count(), 2, "{all:?}");
    assert_eq!(Box::pin(engine.call(chat(false))).await.unwrap_err().kind(), Kind::LimitExceeded);
}

#[tokio::test(start_paused = true)]
async fn it_is_bounded_in_time_and_in_number() {
    let world = World::answering(|_| ok().after(Duration::from_secs(1)));
    let engine = world.engine(&three("warm_up = { ping = true, concurrency = 1, timeout = 60 }"));
    let began = now();
    assert!(warmed(&engine, Wanted::default()).await.iter().all(|one| one.ok));
    assert_eq!((now() - began).as_secs(), 3, "one after another");
    let began = now();
    let wanted = Wanted { timeout: Some(Duration::from_millis(1500)), ..Wanted::default() };
    let all = warmed(&engine, wanted).await;
    assert_eq!((now() - began).as_millis() / 100, 15);
    assert_eq!(all.iter().map(|one| one.ok).collect::<Vec<_>>(), [true, false, false]);
    assert!(all[2].error.as_ref().unwrap().contains("deadline"), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn models_are_chosen_by_name_and_a_wrong_name_fails_nothing() {
    let more = "[[models.n.deployments]]\nid = \"four\"\nprovider = \"openai\"\nmodel = \"x\"\n\
                base_url = \"http://four.test/v1\"\napi_key = \"k\"\n";
    let engine = World::answering(|_| ok()).engine(&format!("{}{more}", three("")));
    let wanted = |models: &[&str]| Wanted {
        models: Some(models.iter().map(ToString::to_string).collect()),
        ..pinging()
    };
    let names = |all: &[Warmed]| all.iter().map(|one| one.deployment.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&warmed(&engine, wanted(&[])).await), ["one", "two", "three", "four"]);
    let all = warmed(&engine, wanted(&["n", "nobody", "n"])).await;
    assert_eq!(names(&all), ["four", "nobody"]);
    assert!(all[0].ok && !all[1].ok && all[1].error.as_ref().unwrap().contains("nobody"), "{all:?}");
}

#[tokio::test]
async fn a_client_without_models_warms_its_own_upstream_and_a_closed_one_says_so() {
    let provider = Provider::start(vec![]).await;
    let config = format!("client = {{ base_url = \"{}\", api_key = \"k\" }}", provider.base_url());
    let engine = Engine::new(toml::from_str(&config).unwrap()).unwrap();
    assert_eq!(warmed(&engine, Wanted::default()).await.len(), 1);
    assert_eq!(engine.gauges().connections_idle.get(), 1);
    assert!(warmed(&Engine::new(toml::from_str("").unwrap()).unwrap(), pinging()).await.is_empty());
    engine.close();
    assert_eq!(engine.warm_up(Wanted::default()).await.unwrap_err().kind(), Kind::ClientClosed);
}

/// Two free models of one key at OpenRouter; `/key` meets what `told` says, and the models answer.
fn openrouter(told: &'static str, provider: &str) -> (World, Arc<Engine>) {
    let world = World::answering(move |seen| match seen.path.as_str() {
        "/api/v1/key" if told.is_empty() => status(404),
        "/api/v1/key" => ok().with_body(told),
        _ => ok(),
    });
    let engine = world.engine(&free_models(provider));
    (world, engine)
}

fn free_models(provider: &str) -> String {
    let one = |model: &str| {
        format!(
            "[[models.m.deployments]]\nprovider = \"openrouter\"\nmodel = \"{model}\"\n\
             base_url = \"http://or.test/api/v1\"\napi_key = \"k\"\n"
        )
    };
    let models = format!("{}{}", one("x/a:free"), one("x/b:free"));
    format!("[queue]\nwait = 0\n[providers.openrouter]\n{provider}\n{models}")
}

/// The numbers of the limits that hold, by their length in seconds.
fn held(engine: &Engine) -> Vec<(u64, u64)> {
    let standings = engine.limits();
    let numbers = standings
        .iter()
        .filter_map(|standing| Some((standing.limit.window.length()?.as_secs(), standing.limit.most)));
    numbers.collect()
}

const FREE_TIER: &str = r#"{"data":{"label":"k","limit":null,"is_free_tier":true}}"#;
const WITH_CREDITS: &str = r#"{"data":{"is_free_tier":false}}"#;
const HELD_FOR_ALL: [(u64, u64); 2] = [(60, 20), (86_400, 1000)];

#[tokio::test(start_paused = true)]
async fn an_account_that_says_it_is_free_has_the_limits_of_the_free_and_keeps_them_over_a_reload() {
    let (world, engine) = openrouter(FREE_TIER, "");
    assert_eq!(held(&engine), HELD_FOR_ALL);
    warmed(&engine, Wanted::default()).await;
    assert_eq!(world.seen.lock().len(), 1, "asked once for all its models");
    let asked = world.seen.lock()[0].clone();
    assert_eq!((&*asked.key, &*asked.path), ("Bearer k", "/api/v1/key"));
    assert_eq!(held(&engine), [(60, 20), (86_400, 50)]);
    engine.reload(toml::from_str(&free_models("http2 = false")).unwrap()).unwrap();
    assert_eq!(held(&engine), [(60, 20), (86_400, 50)]);
    for _ in 0..50 {
        Box::pin(engine.call(chat(false))).await.unwrap();
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    let error = Box::pin(engine.call(chat(false))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::LimitExceeded, "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_an_account_does_not_say_or_the_configuration_does_changes_nothing() {
    for told in [WITH_CREDITS, "", "{}", "no JSON", r#"{"data":{"is_free_tier":"yes"}}"#] {
        let (world, engine) = openrouter(told, "");
        warmed(&engine, Wanted::default()).await;
        assert_eq!((world.seen.lock().len(), held(&engine)), (1, HELD_FOR_ALL.to_vec()), "{told}");
    }
    for written in ["limit_profile = \"free_with_credits\"", "limit_profile = \"free\""] {
        let (world, engine) = openrouter(FREE_TIER, written);
        let before = held(&engine);
        warmed(&engine, Wanted::default()).await;
        assert!(world.seen.lock().is_empty(), "nothing is asked");
        assert_eq!(held(&engine), before);
    }
}
