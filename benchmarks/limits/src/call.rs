//! Whole calls over a transport that answers at once: reading the request, routing, admission, the attempt, judging,
//! reading the reply, settling.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fairlead::Engine;
use fairlead::call::{Call, CallOptions, Operation};
use fairlead::clock::Rng;
use fairlead::send::{Body, Broken, Exchange, Limits, Outgoing, Transport};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue};
use tokio::runtime::{Builder, Runtime};

const REPLY: &str = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Hello!"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#;
const REQUEST: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hello there!"}],"user":"ann"}"#;

const DEPLOYMENT: &str = "[[models.m.deployments]]\nprovider = 'openai'\nmodel = 'gpt-4o'\napi_key = 'k'\n\
                          base_url = 'http://a.test/v1'\n";

/// What is compared: the difference is what limits and breakers cost.
pub const CONFIGS: [(&str, &[&str]); 3] = [
    (
        "without breaker, retries, admission",
        &["[breaker]\nenabled = false\n[stages]\nadmit = false\nretry = false\n", DEPLOYMENT],
    ),
    ("as it comes", &[DEPLOYMENT]),
    (
        "with nine limits and two budgets",
        &[
            "[limits.global]\nrequests_per_minute = 1000000000\nconcurrency = 1000\n",
            "[limits.user]\nrequests_per_minute = 1000000000\ntokens_per_minute = 1000000000000\nconcurrency = 1000\n",
            "[limits.model]\nrequests_per_day = 1000000000\n",
            "[budgets.global]\ndaily = 1000000.0\n[budgets.user]\nmonthly = 1000000.0\n",
            DEPLOYMENT,
            "requests_per_minute = 1000000000\ntokens_per_minute = 1000000000000\nconcurrency = 1000\n",
        ],
    ),
];

/// An engine, and somebody to run it.
pub struct Calls {
    engine: Arc<Engine>,
    runtime: Runtime,
    call: Call,
}

impl Calls {
    /// An engine for the parts of a configuration.
    pub fn new(config: &[&str]) -> Self {
        let config = toml::from_str(&config.concat()).expect("it is a configuration");
        let engine = Engine::assembled(config, Box::new(|_, _| Arc::new(Instantly)), Rng::seeded(1));
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let (body, options) = (Bytes::from_static(REQUEST.as_bytes()), CallOptions::default());
        let call = Call { operation: Operation::Chat, body, options };
        Self { engine: engine.expect("it compiles"), runtime, call }
    }

    /// Makes one.
    pub fn one(&mut self) {
        let answer = self.runtime.block_on(self.engine.call(self.call.clone()));
        drop(answer.expect("it is answered"));
    }
}

#[derive(Debug)]
struct Instantly;

impl Transport for Instantly {
    fn send<'a>(&'a self, _: &'a Outgoing, _: &'a Limits) -> BoxFuture<'a, Result<Exchange, Broken>> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let exchange = Exchange {
            status: 200,
            headers: Arc::new(headers),
            body: Box::new(Once(Some(Bytes::from_static(REPLY.as_bytes())))),
            reused: true,
            repeated: false,
            connected_in: Duration::ZERO,
        };
        Box::pin(std::future::ready(Ok(exchange)))
    }
}

#[derive(Debug)]
struct Once(Option<Bytes>);

impl Body for Once {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}
