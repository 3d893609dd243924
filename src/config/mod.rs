//! What the operator wrote: plain data with its defaults in one place.
//!
//! One schema serves a Python dict and TOML, YAML, JSON and JSONC files ([`load`]). Reading never checks more than
//! the shape; [`check`] is a separate pass that returns every fault with its path. Durations are seconds.

pub mod check;
pub mod find;
pub mod import;
pub mod load;
pub mod merge;
pub mod problem;
pub mod read;
pub mod redact;
pub mod reload;
pub mod schema;
pub mod shape;
pub mod source;
pub mod tree;
pub mod variables;
pub mod watch;
pub mod write;

mod admission;
mod breaker;
mod duration;
pub mod exposure;
mod limits;
mod metrics;
mod model;
mod profiles;
mod routing;
mod secret;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub use admission::{
    Algorithm, Budget, Hedge, Limits, Oversize, Queue, ScopedBudgets, ScopedLimits, Unpriced, Window,
};
pub use breaker::{Breaker, BreakerPreset};
pub use duration::Moment;
pub(crate) use duration::{optional_seconds, seconds};
pub use limits::{Bounds, Jitter, Pool, Retry, RetryBudget, RetryPreset, Timeouts};
pub use metrics::{Metrics, WarmUp};
pub use model::{
    Deployment, Fallbacks, Group, LimitScope, Model, Params, Price, PriceTier, Provider, Reserve, Strategy,
    Supports, Upstream, provider_id,
};
pub use profiles::profiles;
pub use routing::{
    Canary, CanaryBy, CanaryStep, Condition, Ejection, NoMatch, Profile, Routing, Rule, Share, Target, Tenant,
};
pub use secret::{ClientAuth, Key, KeySource, Keys, OAuth, Secret, TokenExchange, Veiled};

/// The whole configuration.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The model of a call that names none and that no rule takes.
    pub default_model: Option<String>,
    /// Names a caller uses.
    pub models: BTreeMap<String, Model>,
    /// Conditions that pick the model of calls which leave it open.
    pub rules: Vec<Rule>,
    /// What holds for all models.
    pub routing: Routing,
    /// Who calls, with rules, models and keys of their own.
    pub tenants: BTreeMap<String, Tenant>,
    /// Named presets of timeouts, retries, priority and concurrency, beside the built-in `chat`, `batch` and `agent`.
    pub profiles: BTreeMap<String, Profile>,
    /// Own providers, or changes to the presets, by id.
    pub providers: BTreeMap<String, Provider>,
    /// The one upstream of an OpenAI-SDK-shaped client (`api_key=`, `base_url=`).
    pub client: Upstream,
    /// How much may be used, by whom it counts for.
    pub limits: ScopedLimits,
    /// How much may be spent, by whom it counts for.
    pub budgets: ScopedBudgets,
    /// The line in which calls wait for room under the limits.
    pub queue: Queue,
    /// Attempts and backoff.
    pub retry: Retry,
    /// When a deployment that fails is no longer asked.
    pub breaker: Breaker,
    /// A second request while the first one lingers.
    pub hedge: Hedge,
    /// Limits of every phase.
    pub timeouts: Timeouts,
    /// Connections per host.
    pub pool: Pool,
    /// What a response may at most be.
    pub bounds: Bounds,
    /// What is counted for operators.
    pub metrics: Metrics,
    /// What `warm_up()` does where its caller says nothing else.
    pub warm_up: WarmUp,
    /// Stages that can be switched off alone.
    pub stages: Stages,
    /// What a configuration is only warned of is wrong: nothing is served with it. Default: false.
    pub strict: bool,
}

/// Stages that can be switched off alone; the order is fixed in `call.rs`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "one switch a stage, as written in the file")]
pub struct Stages {
    /// Order candidates by their health (cooldowns, disabled keys). Off: strictly as written.
    pub health: bool,
    /// Limits, budgets and the waiting line. Off: everything is admitted.
    pub admit: bool,
    /// Retry and failover. Off: one upstream request a call.
    pub retry: bool,
    /// The one transparent repeat on a reused connection that had died.
    pub transparent_retry: bool,
    /// Totals, and receipts handed to hooks. Off: `stats()` stays at zero.
    pub settle: bool,
}

impl Default for Stages {
    fn default() -> Self {
        Self { health: true, admit: true, retry: true, transparent_retry: true, settle: true }
    }
}
