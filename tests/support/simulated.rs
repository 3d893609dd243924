//! Hosts that behave by a rule of time, load and luck, in virtual time: hours of traffic in seconds.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fairlead::Engine;
use fairlead::clock::{Instant, Rng, now};
use fairlead::send::{Broken, Connect, Exchange, Limits, Outgoing, Transport};
use fairlead::simulate::{Conduct, Line, Then, play};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::scripted::{Meets, Seen};

/// What a host sees when a request comes.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Since the beginning.
    pub at: Duration,
    /// Requests it is working on, this one included.
    pub in_flight: usize,
    /// Uniform in `[0, 1)`.
    pub luck: [f64; 3],
}

impl Scene {
    pub fn minute(&self) -> u64 {
        self.at.as_secs() / 60
    }
}

/// What it does: answer so, after so long.
pub type Behaviour = Box<dyn Fn(&Scene) -> (Duration, Meets) + Send + Sync>;

/// Hosts by name.
#[derive(Clone)]
pub struct Fleet {
    hosts: Arc<HashMap<String, Behaviour>>,
    luck: Arc<Rng>,
    begun: Instant,
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").finish_non_exhaustive()
    }
}

impl Fleet {
    pub fn new(hosts: Vec<(&str, Behaviour)>, seed: u64) -> Self {
        Self {
            hosts: Arc::new(hosts.into_iter().map(|(name, host)| (format!("{name}.test"), host)).collect()),
            luck: Arc::new(Rng::seeded(seed)),
            begun: now(),
            seen: Arc::default(),
        }
    }

    pub fn engine(&self, config: &str) -> Arc<Engine> {
        let fleet = self.clone();
        let connect: Connect = Box::new(move |options, _| {
            let name = options.target.host.clone();
            Arc::new(Host { fleet: fleet.clone(), name, in_flight: AtomicUsize::new(0) })
        });
        Engine::assembled(toml::from_str(config).unwrap(), connect, Rng::seeded(1)).unwrap()
    }

    /// Requests that a host has seen between two instants, counted from the beginning.
    pub fn asked(&self, host: &str, from: Duration, to: Duration) -> usize {
        let (host, span) = (format!("{host}.test"), self.begun + from..self.begun + to);
        self.seen.lock().iter().filter(|seen| seen.host == host && span.contains(&seen.at)).count()
    }
}

#[derive(Debug)]
struct Host {
    fleet: Fleet,
    name: String,
    in_flight: AtomicUsize,
}

/// Gives back on drop, so that a request given up is no longer in flight.
struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Transport for Host {
    fn send<'a>(
        &'a self,
        request: &'a Outgoing,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Exchange, Broken>> {
        let fleet = &self.fleet;
        let scene = Scene {
            at: now() - fleet.begun,
            in_flight: self.in_flight.fetch_add(1, Ordering::Relaxed) + 1,
            luck: [(); 3].map(|()| fleet.luck.unit()),
        };
        let held = InFlight(&self.in_flight);
        let body = request.body.clone();
        fleet.seen.lock().push(Seen {
            host: self.name.clone(),
            at: now(),
            body,
            key: String::new(),
            path: request.path.clone(),
        });
        let (after, meets) = (fleet.hosts[&self.name])(&scene);
        let conduct = Conduct { after, then: then(meets) };
        Box::pin(async move {
            let _held = held;
            play(conduct, limits, ()).await
        })
    }
}

fn then(meets: Meets) -> Then {
    match meets {
        Meets::Never => Then::Never,
        Meets::Breaks(kind) => Then::Break(kind),
        Meets::Reply { status, mut headers, body } => {
            headers.push(("content-type", "application/json".to_owned()));
            Then::Answer { status, headers, lines: Line::once(body) }
        }
        Meets::Late(..) => unreachable!("a host says itself after how long"),
    }
}

/// A completion of so many tokens.
pub fn wrote(tokens: u64) -> Meets {
    super::scripted::status(200).with_body(&format!(
        r#"{{"id":"c","choices":[{{"index":0,"message":{{"role":"assistant","content":"x"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":500,"completion_tokens":{tokens},"total_tokens":{}}}}}"#,
        500 + tokens
    ))
}

/// Around 1, now and then three times as much: log-normal with a deviation of 0.35, as first tokens are.
pub fn jitter(luck: [f64; 3]) -> f64 {
    let normal = (-2.0 * (1.0 - luck[0]).ln()).sqrt() * (std::f64::consts::TAU * luck[1]).cos();
    (0.35 * normal).exp()
}
