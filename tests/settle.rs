//! What a call is told to have cost, what the table of models changes, and names that lead nowhere.

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

use bytes::Bytes;
use fairlead::call::{Call, CallOptions, Operation};
use fairlead::provider::price::Nano;
use fairlead::reply::Answer;
use fairlead::settle::{Receipt, Stats};
use fairlead::{Engine, Error, Kind};
use support::scripted::{Meets, World, status};

const CONFIG: &str = r#"
[[models.known.deployments]]
provider = "openai"
model = "gpt-4o-mini"
base_url = "http://one.test/v1"
api_key = "k"

[[models.own.deployments]]
provider = "openai"
model = "gpt-4o-mini"
base_url = "http://two.test/v1"
api_key = "k"
price = { input = 1.0, output = 2.0, per_request = 0.5 }

[[models.pictured.deployments]]
provider = "openai"
model = "gpt-4o-mini"
base_url = "http://two.test/v1"
api_key = "k"
price = { per_image = 0.5 }

[[models.house.deployments]]
provider = "openai-compatible"
model = "gpt-4o-mini"
base_url = "http://three.test/v1"

[[models.strict.deployments]]
provider = "anthropic"
model = "claude-opus-5"
base_url = "http://four.test/v1"
api_key = "k"
params = { temperature = 0.5 }
"#;

/// A reply that reports `usage`; the comma before it is the caller's.
fn said(usage: &str) -> Meets {
    let choice = r#"{"index":0,"message":{"content":"four letters"},"finish_reason":"stop"}"#;
    status(200).with_body(&format!(r#"{{"choices":[{choice}]{usage}}}"#))
}

const COUNTED: &str = r#","usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}"#;

async fn send(engine: &Arc<Engine>, body: String) -> Result<Arc<Receipt>, Error> {
    let call = Call { operation: Operation::Chat, body: Bytes::from(body), options: CallOptions::default() };
    match engine.call(call).await? {
        Answer::Reply(reply) => Ok(reply.receipt),
        Answer::Stream(_) => panic!("a stream nobody asked for"),
    }
}

fn hello(model: &str) -> String {
    format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#)
}

async fn settled(model: &str, meets: Meets) -> (Arc<Receipt>, Stats) {
    let engine = World::new([meets]).engine(CONFIG);
    let receipt = send(&engine, hello(model)).await.unwrap();
    (receipt, engine.stats())
}

fn nanos(receipt: &Receipt) -> Option<Nano> {
    receipt.cost_usd.map(Nano::from_usd)
}

#[tokio::test(start_paused = true)]
async fn a_known_model_costs_its_tokens_at_the_listed_price() {
    let (receipt, stats) = settled("known", said(COUNTED)).await;
    // 1,000 x $0.15 + 100 x $0.60 for a million
    assert_eq!((nanos(&receipt), receipt.cost_estimated), (Some(Nano(210_000)), false));
    assert_eq!((stats.cost_nanos, stats.unpriced), (210_000, 0));
}

#[tokio::test(start_paused = true)]
async fn the_service_level_of_the_reply_decides_the_rate() {
    let priority = format!(r#"{COUNTED},"service_tier":"priority""#);
    let (receipt, _) = settled("known", said(&priority)).await;
    assert_eq!(nanos(&receipt), Some(Nano(1000 * 250 + 100 * 1000)));
    let scale = format!(r#"{COUNTED},"service_tier":"scale""#);
    let (receipt, stats) = settled("known", said(&scale)).await;
    assert_eq!((receipt.cost_usd, stats.unpriced), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_says_wins_over_the_table() {
    let told = r#","usage":{"prompt_tokens":1000,"completion_tokens":100,"cost":0.25}"#;
    let (receipt, stats) = settled("known", said(told)).await;
    assert_eq!((nanos(&receipt), stats.cost_nanos), (Some(Nano(250_000_000)), 250_000_000));
}

#[tokio::test(start_paused = true)]
async fn a_configured_price_wins_over_the_table() {
    let (receipt, _) = settled("own", said(COUNTED)).await;
    assert_eq!(nanos(&receipt), Some(Nano(500_000_000 + 1_000_000 + 200_000)));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_may_be_anyones_has_no_price() {
    let (receipt, stats) = settled("house", said(COUNTED)).await;
    assert_eq!((receipt.cost_usd, receipt.cost_estimated), (None, false));
    assert_eq!((stats.cost_nanos, stats.unpriced), (0, 1));
    let client = "client = { base_url = \"http://any.test/v1\", api_key = \"k\" }";
    let engine = World::new([said(COUNTED)]).engine(client);
    assert_eq!(send(&engine, hello("gpt-4o-mini")).await.unwrap().cost_usd, None);
    let named = "client = { provider = \"openai\", base_url = \"http://any.test/v1\", api_key = \"k\" }";
    let engine = World::new([said(COUNTED)]).engine(named);
    assert_eq!(nanos(&send(&engine, hello("gpt-4o-mini")).await.unwrap()), Some(Nano(210_000)));
}

#[tokio::test(start_paused = true)]
async fn the_cost_of_estimated_tokens_says_so() {
    let (receipt, stats) = settled("known", said("")).await;
    let usage = receipt.usage.unwrap();
    assert!(usage.estimated && receipt.cost_estimated);
    assert_eq!(nanos(&receipt), Some(Nano(usage.input * 150 + usage.output * 600)));
    assert_eq!(Some(Nano(stats.cost_nanos)), nanos(&receipt));
}

#[tokio::test(start_paused = true)]
async fn images_cost_where_each_has_a_price() {
    let engine = World::new([said(COUNTED), said(COUNTED)]).engine(CONFIG);
    let plain = send(&engine, hello("pictured")).await.unwrap();
    assert_eq!(nanos(&plain), Some(Nano(210_000)), "no image, no fee");
    let image = r#"{"type":"image_url","image_url":{"url":"data:,"}}"#;
    let text = format!(r#"[{{"type":"text","text":"which?"}},{image},{image}]"#);
    let messages = format!(r#"[{{"role":"user","content":{text}}},{{"role":"user","content":[{image}]}}]"#);
    let body = format!(r#"{{"model":"pictured","messages":{messages}}}"#);
    let seen = send(&engine, body).await.unwrap();
    assert_eq!(nanos(&seen), Some(Nano(3 * 500_000_000 + 210_000)));
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_costs_nothing_that_is_known() {
    let engine = World::new([status(400)]).engine(CONFIG);
    send(&engine, hello("known")).await.unwrap_err();
    assert_eq!((engine.stats().cost_nanos, engine.stats().unpriced), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_default_the_model_is_known_to_refuse_is_not_sent() {
    let world = World::new([said(COUNTED)]);
    let receipt = send(&world.engine(CONFIG), hello("strict")).await.unwrap();
    assert!(!String::from_utf8_lossy(&world.seen.lock()[0].body).contains("temperature"));
    assert!(receipt.notes[0].contains("temperature"), "{:?}", receipt.notes);
}

/// `deepseek-reasoner` is listed as one that takes no tools, `deepseek-chat` as one that does.
const LISTED: &str = r#"
[[models.m.deployments]]
provider = "deepseek"
model = "deepseek-reasoner"
base_url = "http://cannot.test/v1"
api_key = "k"
"#;

const WITH_TOOLS: &str =
    r#"{"model":"m","messages":[{"role":"user","content":"hello"}],"tools":[{"type":"function"}]}"#;

#[tokio::test(start_paused = true)]
async fn the_table_refuses_nothing_but_puts_the_able_first() {
    let alone = World::new([said(COUNTED)]);
    send(&alone.engine(LISTED), WITH_TOOLS.to_owned()).await.unwrap();
    assert_eq!(alone.hosts(), ["cannot.test"]);
    let able = LISTED.replace("reasoner", "chat").replace("cannot", "can");
    for config in [
        format!("{LISTED}{able}"),
        format!("{LISTED}\n{}", able.replace("models.m", "models.n"))
            .replace("[[models.m", "[models.m]\nfallbacks = [\"n\"]\n[[models.m"),
    ] {
        let world = World::new([said(COUNTED), said(COUNTED)]);
        let engine = world.engine(&config);
        send(&engine, WITH_TOOLS.to_owned()).await.unwrap();
        send(&engine, hello("m")).await.unwrap();
        assert_eq!(world.hosts(), ["can.test", "cannot.test"], "{config}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_operators_word_overrules_the_table() {
    let engine = World::new([]).engine(&format!("{LISTED}supports = {{ tools = false }}\n"));
    let error = send(&engine, WITH_TOOLS.to_owned()).await.unwrap_err();
    assert!(error.to_string().contains("cannot do tools"), "{error}");
    let able = LISTED.replace("reasoner", "chat").replace("cannot", "can");
    let world = World::new([said(COUNTED)]);
    let engine = world.engine(&format!("{LISTED}supports = {{ tools = true }}\n{able}"));
    send(&engine, WITH_TOOLS.to_owned()).await.unwrap();
    assert_eq!(world.hosts(), ["cannot.test"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_leads_nowhere_is_told_before_anything_is_sent_with_the_nearest() {
    for (name, near) in [
        ("knwon", "`known`"),
        ("gpt-4o-mini", "`openai/gpt-4o-mini`"),
        ("gpt-4o-mni", "`openai/gpt-4o-mini`"),
        ("claude-sonet-4-5", "`anthropic/claude-sonnet-4-5`"),
    ] {
        let world = World::new([]);
        let error = send(&world.engine(CONFIG), hello(name)).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts().len(), world.hosts().len()), (Kind::ModelNotFound, 0, 0));
        assert!(error.to_string().contains(near), "{error}");
    }
    let error = send(&World::new([]).engine(CONFIG), hello("nothing-like-it-anywhere")).await.unwrap_err();
    assert!(!error.to_string().contains("did you mean"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_new_model_of_a_known_provider_is_no_mistake() {
    let config = "[providers.openai]\nbase_url = \"http://one.test/v1\"\napi_key = \"k\"";
    let engine = World::new([said(COUNTED)]).engine(config);
    let receipt = send(&engine, hello("openai/gpt-99-tomorrow")).await.unwrap();
    assert_eq!(receipt.cost_usd, None);
}
