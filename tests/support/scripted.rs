//! A transport without sockets: answers by script, in virtual time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fairlead::clock::{Instant, Rng, now};
use fairlead::send::{Body, Broken, Connect, Exchange, Limits, Outgoing, Transport};
use fairlead::{Engine, Kind};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;

/// What one request meets.
#[derive(Clone, Debug)]
pub enum Meets {
    Reply { status: u16, headers: Vec<(&'static str, String)>, body: String },
    Breaks(Kind),
    Never,
    Late(Duration, Box<Meets>),
}

pub fn ok() -> Meets {
    status(200).with_body(
        r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#,
    )
}

pub fn status(status: u16) -> Meets {
    Meets::Reply { status, headers: Vec::new(), body: r#"{"error":{"message":"said so"}}"#.to_owned() }
}

impl Meets {
    pub fn with_header(self, name: &'static str, value: &str) -> Self {
        match self {
            Self::Reply { status, mut headers, body } => {
                headers.push((name, value.to_owned()));
                Self::Reply { status, headers, body }
            }
            other => other,
        }
    }

    /// The same, so much later.
    pub fn after(self, wait: Duration) -> Self {
        Self::Late(wait, Box::new(self))
    }

    pub fn with_body(self, text: &str) -> Self {
        match self {
            Self::Reply { status, headers, .. } => Self::Reply { status, headers, body: text.to_owned() },
            other => other,
        }
    }
}

/// One request that arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub host: String,
    pub at: Instant,
    pub path: String,
    pub body: Bytes,
    pub key: String,
}

type Script = Arc<dyn Fn(&Seen) -> Meets + Send + Sync>;

/// All hosts of an engine; each request takes the next line of the script.
#[derive(Clone)]
pub struct World {
    script: Script,
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    pub fn new(script: impl IntoIterator<Item = Meets>) -> Self {
        let script: Mutex<VecDeque<Meets>> = Mutex::new(script.into_iter().collect());
        Self::answering(move |_| script.lock().pop_front().unwrap_or(Meets::Never))
    }

    /// Hosts that answer by what they are asked.
    pub fn answering(script: impl Fn(&Seen) -> Meets + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), seen: Arc::default() }
    }

    /// What a request would meet.
    pub fn answer(&self, seen: &Seen) -> Meets {
        (self.script)(seen)
    }

    pub fn connect(&self) -> Connect {
        let world = self.clone();
        Box::new(move |options, _| Arc::new(Host { world: world.clone(), name: options.target.host.clone() }))
    }

    pub fn engine(&self, config: &str) -> Arc<Engine> {
        Engine::assembled(toml::from_str(config).unwrap(), self.connect(), Rng::seeded(1)).unwrap()
    }

    /// One of its hosts by itself.
    pub fn host(&self, name: &str) -> Arc<dyn Transport> {
        Arc::new(Host { world: self.clone(), name: name.to_owned() })
    }

    pub fn hosts(&self) -> Vec<String> {
        self.seen.lock().iter().map(|seen| seen.host.clone()).collect()
    }

    /// Between the requests, in order.
    pub fn waits(&self) -> Vec<Duration> {
        let seen = self.seen.lock();
        seen.windows(2).map(|pair| pair[1].at - pair[0].at).collect()
    }
}

#[derive(Debug)]
struct Host {
    world: World,
    name: String,
}

impl Transport for Host {
    fn send<'a>(
        &'a self,
        request: &'a Outgoing,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Exchange, Broken>> {
        let key =
            request.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let seen = Seen {
            host: self.name.clone(),
            at: now(),
            path: request.path.clone(),
            body: request.body.clone(),
            key: key.to_owned(),
        };
        let mut meets = (self.world.script)(&seen);
        self.world.seen.lock().push(seen);
        Box::pin(async move {
            while let Meets::Late(wait, then) = meets {
                tokio::time::sleep(wait).await;
                meets = *then;
            }
            match meets {
                Meets::Late(..) => unreachable!("unwrapped above"),
                Meets::Breaks(kind) => Err(Broken::new(kind, "by script")),
                Meets::Reply { status, headers, body } => Ok(exchange(status, &headers, body)),
                Meets::Never => {
                    let due =
                        if limits.answer.at < limits.deadline.at { limits.answer } else { limits.deadline };
                    tokio::time::sleep_until(due.at).await;
                    Err(Broken::timeout(due))
                }
            }
        })
    }
}

pub fn exchange(status: u16, headers: &[(&'static str, String)], body: String) -> Exchange {
    let mut map = HeaderMap::new();
    map.insert("content-type", HeaderValue::from_static("application/json"));
    for (name, value) in headers {
        map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    Exchange {
        status,
        headers: Arc::new(map),
        body: Box::new(Once(Some(Bytes::from(body)))),
        reused: false,
        repeated: false,
        connected_in: Duration::ZERO,
    }
}

#[derive(Debug)]
struct Once(Option<Bytes>);

impl Body for Once {
    fn poll_chunk(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}
