//! May this start now: limits, budgets, purses, breakers and the wait for room, through the whole engine in virtual
//! time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "a test fails by panicking"
)]

mod breakers;
mod budgets;
mod hedging;
mod learned;
mod limiter;
mod limits;
mod settling;
mod storms;
#[path = "../support/mod.rs"]
mod support;
mod waiting;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use fairlead::call::CallOptions;
use fairlead::reply::Answer;
use fairlead::{Engine, Error};
use support::chat_with;

/// A configuration with one model `m` over hosts of these names; `more` goes into each deployment.
pub(crate) fn hosts(names: &[&str], more: &str, extra: &str) -> String {
    let mut text = extra.to_owned();
    for name in names {
        let _ = write!(
            text,
            "\n[[models.m.deployments]]\nprovider = \"openai\"\nmodel = \"up\"\napi_key = \"k-{name}\"\n\
             base_url = \"http://{name}.test/v1\"\n{more}\n"
        );
    }
    text
}

pub(crate) fn user(name: &str) -> CallOptions {
    CallOptions { user: Some(name.to_owned()), ..CallOptions::default() }
}

pub(crate) async fn ask(engine: &Arc<Engine>) -> Result<Answer, Error> {
    ask_with(engine, CallOptions::default()).await
}

pub(crate) async fn ask_with(engine: &Arc<Engine>, options: CallOptions) -> Result<Answer, Error> {
    engine.call(chat_with(false, options)).await
}

/// Starts a call that goes on by itself.
pub(crate) fn start(
    engine: &Arc<Engine>,
    options: CallOptions,
) -> tokio::task::JoinHandle<Result<Answer, Error>> {
    let engine = Arc::clone(engine);
    tokio::spawn(async move { ask_with(&engine, options).await })
}

pub(crate) async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// What is in use of the limit whose identity holds `part`.
pub(crate) fn used(engine: &Engine, part: &str) -> u64 {
    let standings = engine.limits();
    let found: Vec<_> = standings.iter().filter(|standing| standing.limit.identity.contains(part)).collect();
    assert_eq!(found.len(), 1, "{part}: {standings:?}");
    found[0].used
}
