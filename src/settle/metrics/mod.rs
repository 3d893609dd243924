//! What is counted for operators: calls, attempts, tokens and times, by labels whose number is bounded.
//!
//! ```text
//! recorder   what one call writes, as its story goes                       recorder
//! meters     the counts of a model, a deployment, a tenant                  meters, outcomes, distribution
//! series     meters by label: models 200, deployments 200, tenants 100,     series
//!            then `other`
//! report     all of it as Prometheus' text, with what the live records,     report, standing, admission,
//!            the limits, the lines and other sources say now               exposition
//! statistics the same for `stats()`                                         statistics
//! ```
//!
//! Writing takes no lock and allocates nothing for labels that are known. Users, keys and prompts are never labels;
//! tenants are where the configuration says so. Counts belong to the engine and go on over reloads.

mod admission;
mod class;
mod distribution;
mod exposition;
mod meters;
mod outcomes;
mod recorder;
mod report;
mod series;
mod standing;
mod statistics;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

pub use class::Class;
pub use distribution::Distribution;
pub use exposition::{Exposition, Family, Source, Type, Value};
pub use meters::{DeploymentMeter, ModelMeter, Spent, TenantMeter};
pub use outcomes::Outcomes;
pub use recorder::{End, Recorder, Trip};
pub use series::{Entry, LONGEST, OTHER, Series};
pub use statistics::{DeploymentStatistics, Percentiles, Shape, Statistics};

use crate::live::Histogram;
use crate::live::breaker::Transition;
use crate::route::Snapshot;
use distribution::OVERHEAD;

pub(crate) use report::text;

/// Models, and deployments, that have counts of their own.
pub const NAMES: usize = 200;
/// Tenants that have counts of their own.
pub const TENANTS: usize = 100;
/// Combinations of other labels. They come from our own code and from configurations.
const COMBINATIONS: usize = 500;

/// What an engine counts.
pub struct Metrics {
    /// By name.
    pub models: Series<ModelMeter, 1>,
    /// By name.
    pub deployments: Series<DeploymentMeter, 1>,
    /// By name; none where tenants are no label.
    pub tenants: Series<TenantMeter, 1>,
    /// Calls that a rule led, by its name.
    pub rules: Series<AtomicU64, 1>,
    /// Attempts after another one had failed: the class of that failure, and how they ended.
    pub retries: Series<AtomicU64, 2>,
    /// Calls for which no further attempt was made, by why.
    pub denied: Series<AtomicU64, 1>,
    /// Limits of time that ended, by phase.
    pub timeouts: Series<AtomicU64, 1>,
    /// Changes of breakers: from, to, why.
    pub transitions: Series<AtomicU64, 3>,
    /// Calls that were turned away from the waiting line, by why.
    pub sheds: Series<AtomicU64, 1>,
    /// Our own part of calls that answered: their time but for attempts, backoff and standing in line.
    pub overhead: Distribution,
    /// How long calls took that answered, for percentiles.
    pub latency: Histogram,
    /// From the start of a call to the first content of its stream, for percentiles.
    pub first_token: Histogram,
    /// Faults of rules that a reload has replaced.
    past_faults: Series<AtomicU64, 1>,
    by_tenant: AtomicBool,
    sources: Mutex<Vec<Arc<dyn Source>>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("overhead", &self.overhead).finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            models: Series::bounded(NAMES),
            deployments: Series::bounded(NAMES),
            tenants: Series::bounded(TENANTS),
            rules: Series::bounded(NAMES),
            retries: Series::bounded(COMBINATIONS),
            denied: Series::bounded(COMBINATIONS),
            timeouts: Series::bounded(COMBINATIONS),
            transitions: Series::bounded(COMBINATIONS),
            sheds: Series::bounded(COMBINATIONS),
            overhead: Distribution::seconds(&OVERHEAD),
            latency: Histogram::default(),
            first_token: Histogram::default(),
            past_faults: Series::bounded(NAMES),
            by_tenant: AtomicBool::default(),
            sources: Mutex::default(),
        }
    }
}

impl Metrics {
    /// Further families: `source` is asked for them whenever the text is made.
    pub fn add(&self, source: Arc<dyn Source>) {
        self.sources.lock().push(source);
    }

    /// A call was turned away from the waiting line.
    pub fn shed(&self, why: &str) {
        count(&self.sheds.of([why]).value);
    }

    /// A breaker changed its state.
    pub fn changed(&self, change: &Transition) {
        let labels = [change.from.name(), change.to.name(), change.reason.name()];
        count(&self.transitions.of(labels).value);
    }

    /// `snapshot` holds from now on, instead of `before`. What the operator has named gets counts of its own before
    /// callers can use them up.
    pub fn begin(&self, snapshot: &Snapshot, before: Option<&Snapshot>) {
        for (name, faults) in
            before.into_iter().flat_map(Snapshot::rule_faults).filter(|(_, count)| *count > 0)
        {
            self.past_faults.of([name]).value.fetch_add(faults, Ordering::Relaxed);
        }
        for group in snapshot.models() {
            self.models.of([&*group.name]);
            for deployment in &group.deployments {
                self.deployments.of([&*deployment.name]);
            }
        }
        self.by_tenant.store(snapshot.metrics.tenant_label, Ordering::Relaxed);
    }

    fn tenant(&self, name: Option<&str>) -> Option<Arc<Entry<TenantMeter, 1>>> {
        let name = name.filter(|_| self.by_tenant.load(Ordering::Relaxed))?;
        Some(self.tenants.of([name]))
    }
}

/// One more.
fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
