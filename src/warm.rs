//! Before the first call: connections opened ahead, or one token asked of every deployment.
//!
//! A connection costs nothing but its time: name, TCP, TLS, then it waits in its pool for the first call. Deployments
//! at one address share it. A ping is a real chat call of one token, at the lowest priority, under all limits and
//! budgets; it tells nothing to statistics, breakers and health, and only its cost is counted. Where limits hang on the
//! kind of the account, the provider is asked for that. Nothing here fails: what does not work is said, deployment by
//! deployment, and is not asked again.

mod subscription;
mod ping;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde::Serialize;

use crate::clock::{self, Instant};
use crate::config;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::route::{Deployment, Group, Snapshot};
use crate::send::alarm::Due;
use crate::send::{Broken, Limits, Transport, Warmth};

/// What is wanted; what is absent is the configuration's (`warm_up`).
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Ask for a token instead of only connecting.
    pub ping: Option<bool>,
    /// The models whose deployments are meant; all that are configured where it is empty.
    pub models: Option<Vec<String>>,
    /// The longest it may take in all.
    pub timeout: Option<Duration>,
    /// Deployments at once.
    pub concurrency: Option<usize>,
}

/// What came of one deployment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Warmed {
    /// Its name; a model's that leads nowhere.
    pub deployment: Arc<str>,
    /// Is the first call met by a connection that stands?
    pub ok: bool,
    /// How long it took.
    pub seconds: f64,
    /// Why not.
    pub error: Option<String>,
}

/// A deployment with a model that it serves.
type Place = (Arc<Group>, Arc<Deployment>);

impl Engine {
    /// Warms the deployments up, and says of each what came of it, in the order of the configuration.
    ///
    /// # Errors
    ///
    /// [`Kind::ClientClosed`] alone.
    pub async fn warm_up(&self, wanted: Wanted) -> Result<Vec<Warmed>, Error> {
        let snapshot = self.snapshot()?;
        let config::WarmUp { ping, models, timeout, concurrency } = snapshot.warm_up.clone();
        let concurrency = wanted.concurrency.unwrap_or(concurrency).max(1);
        let due = Due::after(clock::now(), wanted.timeout.unwrap_or(timeout), Kind::Deadline);
        let (places, mut lost) = places(&snapshot, &wanted.models.unwrap_or(models));
        let mut warmed = if wanted.ping.unwrap_or(ping) {
            let pings = places.iter().map(|place| self.pinged(&snapshot, place, due).boxed());
            together(pings.collect(), concurrency).await
        } else {
            let limits = limits(&snapshot, due);
            let hosts = hosts(&places);
            let opened = hosts.iter().map(|host| opened(host.as_ref(), &limits).boxed());
            let opened = together(opened.collect(), concurrency).await;
            places.iter().map(|(_, deployment)| shared(deployment, &hosts, &opened)).collect()
        };
        let subscriptions = subscription::subscriptions(&places);
        let asked = subscriptions
            .iter()
            .map(|(place, subscription)| self.learn_subscription(place, subscription, due).boxed());
        together(asked.collect(), concurrency).await;
        warmed.append(&mut lost);
        Ok(warmed)
    }

    async fn pinged(&self, snapshot: &Arc<Snapshot>, (group, deployment): &Place, due: Due) -> Warmed {
        let began = clock::now();
        let ping = tokio::time::timeout_at(due.at, self.ping(snapshot, group, deployment, due));
        let outcome = ping.await.unwrap_or_else(|_| Err(Broken::timeout(due).message));
        Warmed::of(&deployment.name, began, outcome.err())
    }
}

impl Warmed {
    fn of(name: &Arc<str>, began: Instant, error: Option<String>) -> Self {
        let seconds = clock::now().saturating_duration_since(began).as_secs_f64();
        Self { deployment: Arc::clone(name), ok: error.is_none(), seconds, error }
    }
}

/// The deployments of `models`, each once, and the names that lead nowhere.
fn places(snapshot: &Snapshot, models: &[String]) -> (Vec<Place>, Vec<Warmed>) {
    let (mut groups, mut lost) = (Vec::new(), Vec::new());
    if models.is_empty() {
        groups = snapshot.own_groups();
    }
    for name in models {
        match snapshot.group(name) {
            Ok(group) => groups.push(group),
            Err(error) => lost.push(Warmed::of(&name.as_str().into(), clock::now(), Some(error.to_string()))),
        }
    }
    let mut places: Vec<Place> = Vec::new();
    for group in groups {
        for deployment in &group.deployments {
            let is_known = |(_, known): &Place| {
                known.name == deployment.name && Arc::ptr_eq(&known.live, &deployment.live)
            };
            if !places.iter().any(is_known) {
                places.push((Arc::clone(&group), Arc::clone(deployment)));
            }
        }
    }
    (places, lost)
}

/// The hosts of all, each once.
fn hosts(places: &[Place]) -> Vec<Arc<dyn Transport>> {
    let mut hosts: Vec<Arc<dyn Transport>> = Vec::new();
    for (_, deployment) in places {
        if !hosts.iter().any(|known| Arc::ptr_eq(known, &deployment.transport)) {
            hosts.push(Arc::clone(&deployment.transport));
        }
    }
    hosts
}

/// Runs all of them, so many at once; the results are in their order.
async fn together<T>(all: Vec<BoxFuture<'_, T>>, concurrency: usize) -> Vec<T> {
    stream::iter(all).buffered(concurrency).collect().await
}

/// What came of opening a connection.
struct Opened {
    took: Duration,
    error: Option<String>,
}

async fn opened(host: &dyn Transport, limits: &Limits) -> Opened {
    // Hosts that wait their turn have the rest of the time, and all of their own limit.
    let began = clock::now();
    let limits = Limits { started: began, ..*limits };
    let error = match host.warm(&limits).await {
        Ok(Warmth::Ready) => None,
        Ok(Warmth::ByRequestsOnly) => Some(
            "connections over HTTP/2 or a proxy are opened by requests only: warm up with a ping".to_owned(),
        ),
        Err(broken) => Some(broken.message),
    };
    Opened { took: clock::now().saturating_duration_since(began), error }
}

/// What came of a deployment's host.
fn shared(deployment: &Deployment, hosts: &[Arc<dyn Transport>], opened: &[Opened]) -> Warmed {
    let mut results = hosts.iter().zip(opened);
    let found = results.find(|(host, _)| Arc::ptr_eq(host, &deployment.transport));
    let (took, error) = found.map_or((Duration::ZERO, None), |(_, host)| (host.took, host.error.clone()));
    Warmed {
        deployment: Arc::clone(&deployment.name),
        ok: error.is_none(),
        seconds: took.as_secs_f64(),
        error,
    }
}

/// The limits of opening a connection.
fn limits(snapshot: &Snapshot, due: Due) -> Limits {
    let timeouts = snapshot.timeouts();
    Limits {
        started: clock::now(),
        pool: timeouts.pool,
        connect: timeouts.connect,
        write: timeouts.write,
        headers: timeouts.headers,
        answer: due,
        idle: timeouts.idle,
        content_idle: timeouts.content_idle,
        deadline: due,
        tail: timeouts.tail,
    }
}
