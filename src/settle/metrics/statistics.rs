//! What `stats()` shows beside the totals: rates, means and percentiles, in all and by deployment.

use std::collections::BTreeMap;

use serde::Serialize;

use super::class::Class;
use super::meters::DeploymentMeter;
use super::standing;
use crate::clock;
use crate::engine::Engine;
use crate::live::Histogram;
use crate::settle::Stats;

/// What has happened since the engine was made, summed up.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// Calls begun.
    pub total_requests: u64,
    /// Calls that answered, of those that answered or raised; `None` before the first.
    pub success_rate: Option<f64>,
    /// Seconds that a call took on the average that answered or raised; `None` before the first.
    pub average_latency: Option<f64>,
    /// Calls that ended, by model.
    pub model_distribution: BTreeMap<String, u64>,
    /// Percentiles over all calls that answered.
    pub percentiles: Shape,
    /// Each deployment by its name.
    pub deployments: BTreeMap<String, DeploymentStatistics>,
}

/// Percentiles of what is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Shape {
    /// From the start to the end; a stream's end is its last piece.
    pub latency: Option<Percentiles>,
    /// From the start to the first content of a stream.
    pub time_to_first_token: Option<Percentiles>,
}

/// Seconds, each at most a fifth too high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
}

/// What a deployment has been doing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DeploymentStatistics {
    /// Attempts that ended.
    pub requests: u64,
    /// Those that failed, for whatever reason but that nobody waited any more.
    pub failures: u64,
    /// Of these, those that were one too many.
    pub throttles: u64,
    /// Attempts that have not ended.
    pub in_flight: u64,
    /// Is it left alone now, because it asked for that?
    pub cooling: bool,
    /// The state of its breaker.
    pub breaker: &'static str,
    /// Percentiles over its attempts that answered.
    #[serde(flatten)]
    pub percentiles: Shape,
}

impl Percentiles {
    fn of(histogram: &Histogram) -> Option<Self> {
        let at = |share| histogram.percentile(share).map(|duration| duration.as_secs_f64());
        Some(Self { p50: at(0.5)?, p90: at(0.9)?, p95: at(0.95)?, p99: at(0.99)? })
    }
}

impl DeploymentStatistics {
    fn of(meter: &DeploymentMeter) -> Self {
        let (requests, by_class) = meter.outcomes.by_class();
        let in_class = |class: Class| by_class.get(class as usize).copied().unwrap_or_default();
        Self {
            requests,
            failures: requests - in_class(Class::Ok) - in_class(Class::Cancelled),
            throttles: in_class(Class::Throttled),
            in_flight: meter.in_flight.get(),
            cooling: false,
            breaker: "closed",
            percentiles: Shape {
                latency: Percentiles::of(&meter.latency),
                time_to_first_token: Percentiles::of(&meter.first_latency),
            },
        }
    }
}

impl Statistics {
    /// As they stand.
    pub(crate) fn of(engine: &Engine) -> Self {
        let (metrics, Stats { calls, succeeded, failed, .. }) = (engine.metrics(), engine.stats());
        let models = metrics.models.all();
        let (mut seconds, mut measured) = (0.0, 0);
        for entry in &models {
            let durations = &entry.value.durations;
            measured += durations.count();
            seconds += durations.mean().unwrap_or_default() * durations.count() as f64;
        }
        let calls_of = models.iter().map(|entry| (entry.labels.concat(), entry.value.calls()));
        Self {
            total_requests: calls,
            success_rate: (succeeded + failed > 0).then(|| succeeded as f64 / (succeeded + failed) as f64),
            average_latency: (measured > 0).then(|| seconds / measured as f64),
            model_distribution: calls_of.filter(|(_, calls)| *calls > 0).collect(),
            percentiles: Shape {
                latency: Percentiles::of(&metrics.latency),
                time_to_first_token: Percentiles::of(&metrics.first_token),
            },
            deployments: Self::deployments(engine),
        }
    }

    fn deployments(engine: &Engine) -> BTreeMap<String, DeploymentStatistics> {
        let entries = engine.metrics().deployments.all();
        let mut deployments: BTreeMap<_, _> = entries
            .iter()
            .map(|entry| (entry.labels.concat(), DeploymentStatistics::of(&entry.value)))
            .collect();
        let Ok(snapshot) = engine.snapshot() else { return deployments };
        let now = clock::now();
        for (label, same) in standing::deployments(engine, &snapshot) {
            let Some(shown) = deployments.get_mut(&*label) else { continue };
            shown.cooling = same.iter().any(|deployment| deployment.live.rest.lasts(now));
            let states = same.iter().map(|deployment| deployment.live.breaker.state(now));
            shown.breaker =
                states.max_by_key(|state| standing::rank(*state)).map_or("closed", |state| state.name());
        }
        deployments
    }
}
