//! Who goes first within a group, and why: the strategies one by one, then all of them through one bad hour.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod affinity;
mod canary;
mod hour;
mod order;
mod sick;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fairlead::call::{Call, CallOptions, Operation};
use fairlead::route::{Decision, Standing};
use fairlead::settle::Receipt;
use fairlead::{Engine, Error};

/// The model `m` with a deployment on each host; `more` is TOML for that one.
pub fn config(strategy: &str, hosts: &[(&str, &str)], extra: &str) -> String {
    let mut text = format!("{extra}\n[models.m]\nstrategy = \"{strategy}\"\n");
    for (host, more) in hosts {
        let _ = write!(
            text,
            "[[models.m.deployments]]\nid = \"{host}\"\nprovider = \"openai\"\nmodel = \"up\"\napi_key = \"k\"\n\
             base_url = \"http://{host}.test/v1\"\n{more}\n"
        );
    }
    text
}

pub fn call() -> Call {
    of(CallOptions::default())
}

pub fn of(options: CallOptions) -> Call {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    Call { operation: Operation::Chat, body: Bytes::from_static(body.as_bytes()), options }
}

pub fn first(engine: &Arc<Engine>, call: &Call) -> String {
    engine.route(call).unwrap().candidates[0].deployment.to_string()
}

/// How often each deployment goes first.
pub fn firsts(engine: &Arc<Engine>, calls: usize) -> BTreeMap<String, usize> {
    let mut firsts = BTreeMap::new();
    for _ in 0..calls {
        *firsts.entry(first(engine, &call())).or_default() += 1;
    }
    firsts
}

pub fn standing(decision: &Decision, deployment: &str) -> Standing {
    let mut choices = decision.candidates.iter();
    choices.find(|choice| &*choice.deployment == deployment).unwrap().reason
}

pub async fn receipt(engine: &Arc<Engine>, call: Call) -> Result<Arc<Receipt>, Error> {
    match engine.call(call).await? {
        fairlead::reply::Answer::Reply(reply) => Ok(reply.receipt),
        fairlead::reply::Answer::Stream(_) => panic!("no stream was asked for"),
    }
}

pub fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Does the environment ask for full counts?
pub fn is_soak() -> bool {
    std::env::var_os("PROPTEST_CASES").is_some()
}
