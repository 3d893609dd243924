//! What is counted for a model, a deployment and a tenant.

use std::sync::atomic::{AtomicU64, Ordering};

use super::distribution::{DURATIONS, Distribution, GAPS, TOKENS};
use super::outcomes::Outcomes;
use super::series::Series;
use crate::chat::usage::Usage;
use crate::live::Histogram;
use crate::provider::price::Nano;
use crate::settle::Count;

/// Kinds of failure that a model has counts of their own for; there are fewer.
const KINDS: usize = 64;

/// Calls of a model.
#[derive(Debug)]
pub struct ModelMeter {
    /// Those that answered.
    pub ok: AtomicU64,
    /// Those that the caller gave up.
    pub cancelled: AtomicU64,
    /// Those that raised, by what.
    pub failures: Series<AtomicU64, 1>,
    /// How long those took that answered or raised.
    pub durations: Distribution,
    /// How long those stood in line that were admitted.
    pub queue: Distribution,
    /// Prompt tokens of an answer.
    pub input: Distribution,
    /// Tokens of an answer.
    pub output: Distribution,
}

impl Default for ModelMeter {
    fn default() -> Self {
        Self {
            ok: AtomicU64::default(),
            cancelled: AtomicU64::default(),
            failures: Series::bounded(KINDS),
            durations: Distribution::seconds(&DURATIONS),
            queue: Distribution::seconds(&DURATIONS),
            input: Distribution::counts(&TOKENS),
            output: Distribution::counts(&TOKENS),
        }
    }
}

impl ModelMeter {
    /// Calls that ended.
    pub fn calls(&self) -> u64 {
        let failures = self.failures.all();
        let failed = failures.iter().map(|failure| failure.value.load(Ordering::Relaxed)).sum::<u64>();
        failed + self.ok.load(Ordering::Relaxed) + self.cancelled.load(Ordering::Relaxed)
    }
}

/// Attempts of a deployment.
#[derive(Debug)]
pub struct DeploymentMeter {
    /// How they ended.
    pub outcomes: Outcomes,
    /// Those that run.
    pub in_flight: Count,
    /// How long they took, streams to their end.
    pub durations: Distribution,
    /// From the start of an attempt to the first content of its stream.
    pub first_token: Distribution,
    /// Between two pieces of a stream.
    pub gaps: Distribution,
    /// What its answers used.
    pub spent: Spent,
    /// How long answers took, for percentiles.
    pub latency: Histogram,
    /// As `first_token`, for percentiles.
    pub first_latency: Histogram,
}

impl Default for DeploymentMeter {
    fn default() -> Self {
        Self {
            outcomes: Outcomes::default(),
            in_flight: Count::default(),
            durations: Distribution::seconds(&DURATIONS),
            first_token: Distribution::seconds(&DURATIONS),
            gaps: Distribution::seconds(&GAPS),
            spent: Spent::default(),
            latency: Histogram::default(),
            first_latency: Histogram::default(),
        }
    }
}

/// Calls of a tenant.
#[derive(Debug, Default)]
pub struct TenantMeter {
    /// Those that answered.
    pub ok: AtomicU64,
    /// Those that raised.
    pub failed: AtomicU64,
    /// Those that the caller gave up.
    pub cancelled: AtomicU64,
    /// What their answers used.
    pub spent: Spent,
}

/// Tokens by kind, and money.
#[derive(Debug, Default)]
pub struct Spent {
    tokens: [AtomicU64; 5],
    nanos: AtomicU64,
}

impl Spent {
    /// Counts an answer.
    pub fn add(&self, usage: &Usage, cost: Option<Nano>) {
        let used = [usage.input, usage.output, usage.cached, usage.cache_write, usage.reasoning];
        for (count, used) in self.tokens.iter().zip(used) {
            if used > 0 {
                count.fetch_add(used, Ordering::Relaxed);
            }
        }
        self.pay(cost);
    }

    /// Counts money alone.
    pub fn pay(&self, cost: Option<Nano>) {
        if let Some(Nano(nanos)) = cost {
            self.nanos.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// Tokens, each kind with its name. Cached ones are prompt tokens too, and reasoning belongs to the answer.
    pub fn tokens(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.tokens.iter().map(|count| count.load(Ordering::Relaxed));
        ["input", "output", "cached", "cache_write", "reasoning"].into_iter().zip(counts)
    }

    /// Nano-dollars.
    pub fn nanos(&self) -> u64 {
        self.nanos.load(Ordering::Relaxed)
    }
}
