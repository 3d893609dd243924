//! The upstreams of a simulation: who is asked, who is ill, who is busy, and what came to whom.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::play::{Conduct, play};
use super::scenario::{Phase, Scenario, Upstream};
use super::trace::{NUMBER, Trace};
use super::upstream::{Asked, Luck, throttled};
use crate::chat::facts::{self, Wants};
use crate::clock::{self, Instant, Rng};
use crate::live::hash;
use crate::provider::endpoint::Target;
use crate::route::Deployment;
use crate::send::{Broken, Connect, Exchange, Limits, Outgoing, Transport};

/// The share of a minute's requests that may come at once.
const BURST: f64 = 0.1;

/// Where a request goes: origin, path without its query, upstream model.
type Address = (String, String, String);

/// All upstreams.
pub(super) struct World {
    seed: u64,
    begun: Instant,
    trace: Arc<Trace>,
    /// How often each call has sent a request.
    asked: Vec<AtomicU64>,
    upstreams: OnceLock<Upstreams>,
}

#[derive(Default)]
struct Upstreams {
    all: Vec<Place>,
    by_address: HashMap<Address, usize>,
}

/// One upstream: a model at an address.
pub(super) struct Place {
    /// The deployment that it is; the first of several that are the same.
    pub(super) name: String,
    upstream: Upstream,
    /// The phases that meet it.
    phases: Vec<Phase>,
    workers: Option<Arc<Semaphore>>,
    bucket: Mutex<Bucket>,
    /// Requests, and those that came in a phase.
    pub(super) seen: Mutex<Vec<Request>>,
}

/// One request that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// From the beginning.
    pub(super) at: Duration,
    /// Was the upstream in one of its phases?
    pub(super) ill: bool,
}

/// Room for requests, refilled evenly.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    used: f64,
    at: Duration,
}

impl Bucket {
    /// Takes one, or tells when there will be room.
    fn take(&mut self, per_minute: f64, at: Duration) -> Option<Duration> {
        let rate = per_minute / 60.0;
        let burst = (per_minute * BURST).max(1.0);
        let left = (self.used - at.saturating_sub(self.at).as_secs_f64() * rate).max(0.0);
        let over = left + 1.0 - burst;
        *self = Self { used: if over <= 0.0 { left + 1.0 } else { left }, at };
        (over > 1e-9).then(|| Duration::from_secs_f64(over / rate))
    }
}

impl World {
    pub(super) fn new(trace: &Arc<Trace>, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            begun: clock::now(),
            asked: trace.arrivals.iter().map(|_| AtomicU64::new(0)).collect(),
            trace: Arc::clone(trace),
            upstreams: OnceLock::new(),
        })
    }

    /// What an engine reaches its upstreams with.
    pub(super) fn connect(self: &Arc<Self>) -> Connect {
        let world = Arc::clone(self);
        Box::new(move |options, _| {
            Arc::new(Host { world: Arc::clone(&world), origin: origin(&options.target) })
        })
    }

    /// Puts the upstreams of `deployments` into the world; once.
    pub(super) fn people<'a>(
        &self,
        deployments: impl IntoIterator<Item = &'a Arc<Deployment>>,
        scenario: &Scenario,
    ) {
        let mut upstreams = Upstreams::default();
        for deployment in deployments {
            for path in &deployment.paths {
                let address = address(origin(&deployment.target), path, &deployment.model);
                let known = upstreams.by_address.get(&address).copied();
                let own = upstreams.all.iter().position(|place| *place.name == *deployment.name);
                let place = known.or(own).unwrap_or_else(|| {
                    upstreams.all.push(Place::new(deployment, scenario));
                    upstreams.all.len() - 1
                });
                upstreams.by_address.insert(address, place);
            }
        }
        // A second time would be a mistake of `run` alone; the first holds.
        let _ = self.upstreams.set(upstreams);
    }

    pub(super) fn places(&self) -> &[Place] {
        self.upstreams.get().map_or(&[], |upstreams| &upstreams.all)
    }

    /// Time since the beginning.
    pub(super) fn at(&self) -> Duration {
        clock::now().saturating_duration_since(self.begun)
    }

    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    fn find(&self, origin: &str, request: &Outgoing) -> Option<&Place> {
        let upstreams = self.upstreams.get()?;
        let model = facts::scan(&request.body, Wants::NOTHING).ok()?.model;
        let found = *upstreams.by_address.get(&address(origin.to_owned(), &request.path, &model))?;
        upstreams.all.get(found)
    }

    /// The luck of a request: that of its call at this upstream, this time.
    fn luck(&self, call: usize, place: &Place) -> Luck {
        let times = self.asked.get(call).map_or(0, |asked| asked.fetch_add(1, Ordering::Relaxed));
        let words = [call as u64, hash::hash([place.name.as_str()]), times];
        let rng = Rng::seeded(words.iter().fold(self.seed, |seed, word| hash::mix(seed ^ hash::mix(*word))));
        let pair = || [rng.unit(), rng.unit()];
        Luck { speed: pair(), tail: pair(), fault: rng.unit() }
    }

    fn request(&self, request: &Outgoing) -> (usize, Asked) {
        let number = request.headers.get(NUMBER).and_then(|value| value.to_str().ok()?.parse().ok());
        let number = number.unwrap_or(usize::MAX);
        let asked = self.trace.arrivals.get(number).map(|arrival| {
            let bound = arrival.max_tokens.unwrap_or(u64::MAX);
            Asked { input: arrival.input.max(1), output: arrival.output.min(bound), stream: arrival.stream }
        });
        (number, asked.unwrap_or_default())
    }
}

impl Place {
    fn new(deployment: &Deployment, scenario: &Scenario) -> Self {
        let upstream = scenario.upstream(&deployment.name);
        let region = deployment.region.as_deref();
        let mine = scenario.phases.iter().filter(|phase| phase.meets(&deployment.name, region));
        Self {
            name: deployment.name.to_string(),
            workers: upstream.workers.map(|workers| Arc::new(Semaphore::new(workers))),
            phases: mine.cloned().collect(),
            upstream,
            bucket: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// Does any phase meet it?
    pub(super) fn falls_ill(&self) -> bool {
        !self.phases.is_empty()
    }

    fn conduct(&self, asked: Asked, at: Duration, luck: &Luck) -> Conduct {
        let refused = self.upstream.requests_per_minute.and_then(|most| self.bucket.lock().take(most, at));
        match refused {
            Some(wait) => throttled(Some(wait)),
            None => self.upstream.conduct(asked, &self.phases, at, luck),
        }
    }
}

fn origin(target: &Target) -> String {
    target.origin()
}

fn address(origin: String, path: &str, model: &str) -> Address {
    (origin, path.split('?').next().unwrap_or_default().to_owned(), model.to_owned())
}

/// One host of the world.
struct Host {
    world: Arc<World>,
    origin: String,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Transport for Host {
    fn send<'a>(
        &'a self,
        request: &'a Outgoing,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Exchange, Broken>> {
        let world = &self.world;
        let (number, asked) = world.request(request);
        let Some(place) = world.find(&self.origin, request) else {
            let broken = Broken::new(crate::Kind::Dns, format!("nobody listens at {}", self.origin));
            return Box::pin(async move { Err(broken) });
        };
        let at = world.at();
        let luck = world.luck(number, place);
        let ill = place.phases.iter().any(|phase| phase.holds(at));
        place.seen.lock().push(Request { at, ill });
        let conduct = place.conduct(asked, at, &luck);
        Box::pin(async move {
            let worker = worker(place, limits).await?;
            play(conduct, limits, worker).await
        })
    }
}

/// A worker of the upstream, once one is free.
async fn worker(place: &Place, limits: &Limits) -> Result<Option<OwnedSemaphorePermit>, Broken> {
    let Some(workers) = &place.workers else { return Ok(None) };
    let due = limits.answer.or_sooner(Some(limits.deadline));
    tokio::select! {
        biased;
        worker = Arc::clone(workers).acquire_owned() => Ok(worker.ok()),
        () = clock::sleep_until(due.at) => Err(Broken::timeout(due)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_admits_its_rate_and_tells_the_wait_to_the_next() {
        let mut bucket = Bucket::default();
        let second = Duration::from_secs;
        let at_once = (0..100).filter(|_| bucket.take(600.0, second(0)).is_none()).count();
        assert_eq!(at_once, 60, "a tenth of a minute's");
        let wait = bucket.take(600.0, second(0)).unwrap();
        assert!((wait.as_secs_f64() - 0.1).abs() < 1e-6);
        assert!(bucket.take(600.0, wait + Duration::from_micros(1)).is_none());
    }
}
