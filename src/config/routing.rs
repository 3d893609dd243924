//! Where calls go: rules, tenants, canaries, profiles, and what the strategies are tuned with.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::admission::{Budget, Limits};
use super::duration::{Moment, optional_seconds, seconds};
use super::model::Params;
use super::secret::Keys;

/// A named condition over a call that picks its model.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, shown on every reply it decided; must be unique.
    pub name: String,
    /// When it holds.
    pub when: Condition,
    /// Where the call goes then.
    pub model: Target,
    /// Higher first; the order of the file breaks ties. Default: 1.
    #[serde(default = "one")]
    pub weight: f64,
    /// Names (globs) a caller may have used and which this rule may redirect. Default: only calls that leave the
    /// model open (none, or `auto`).
    #[serde(default)]
    pub models: Vec<String>,
    /// Sent where the caller sets none.
    #[serde(default)]
    pub params: Params,
    /// The limit of an attempt in seconds, where the caller sets none.
    #[serde(default, deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub timeout: Option<Duration>,
    /// A named preset of timeouts, retries, priority and concurrency.
    #[serde(default)]
    pub profile: Option<String>,
    /// Only deployments in one of these regions (globs). Default: anywhere.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Free text for people.
    #[serde(default)]
    pub description: Option<String>,
}

/// When a rule holds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Condition {
    /// Always, or never.
    Always(bool),
    /// When this expression is true.
    Expression(String),
    /// When a Python callable says so; never written in a file.
    Callable {
        /// Its position.
        callable: usize,
    },
}

/// Where a rule sends a call.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Target {
    /// A model, `provider/model`, a deployment's id, or `tag:<capability>`.
    Name(String),
    /// One of several, at random in proportion to their weights.
    Weighted(Vec<Share>),
}

/// One target of a weighted list.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// A model, `provider/model`, a deployment's id, or `tag:<capability>`.
    pub model: String,
    /// Its share. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    pub weight: f64,
}

fn one() -> f64 {
    1.0
}

/// A share of a model's calls that goes to another one.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Canary {
    /// Where that share goes.
    pub model: String,
    /// How many of a hundred calls. With `steps`: what holds before the first.
    #[schemars(range(min = 0, max = 100))]
    pub percent: f64,
    /// Who stays on one side. Default: the user, else the session, else each call for itself.
    pub by: CanaryBy,
    /// When the steps begin. Default: they do not begin.
    pub start: Option<Moment>,
    /// Shares that follow one another; the last one stays.
    pub steps: Vec<CanaryStep>,
}

/// What a canary's sides are drawn by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CanaryBy {
    /// The user, else the session, else each call for itself.
    #[default]
    User,
    /// The session, else the user, else each call for itself.
    Session,
    /// The tenant, else each call for itself.
    Tenant,
    /// Each call for itself.
    Call,
}

/// One step of a canary.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CanaryStep {
    /// How many of a hundred calls.
    #[schemars(range(min = 0, max = 100))]
    pub percent: f64,
    /// How long, in seconds. Default: from here on.
    #[serde(rename = "for", deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub lasting: Option<Duration>,
}

/// What a tenant's calls may do, and where they go.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tenant {
    /// Instead of the general default.
    pub default_model: Option<String>,
    /// Asked before the general rules.
    pub rules: Vec<Rule>,
    /// Only models with one of these names (globs). Default: all.
    pub allow: Vec<String>,
    /// No model with one of these names (globs); wins over `allow`.
    pub deny: Vec<String>,
    /// Only deployments in one of these regions (globs). Default: anywhere.
    pub regions: Vec<String>,
    /// The tenant's own keys by provider, used instead of the deployments'.
    pub api_keys: BTreeMap<String, Keys>,
    /// A named preset of timeouts, retries, priority and concurrency.
    pub profile: Option<String>,
    /// Limits of all its calls together. Default: `limits.tenant`.
    pub limits: Option<Limits>,
    /// What all its calls together may spend. Default: `budgets.tenant`.
    pub budget: Option<Budget>,
    /// Its share among the tenants that wait for the same model. Default: 1.
    #[schemars(range(min = 0.001))]
    pub weight: Option<f64>,
}

/// A named preset for one kind of application. `chat`, `batch` and `agent` are built in; setting one changes it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// Instead of `timeouts.total`, in seconds.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub total: Option<Duration>,
    /// Instead of `timeouts.attempt`, in seconds.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub attempt: Option<Duration>,
    /// Instead of `timeouts.first_token`, in seconds.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub first_token: Option<Duration>,
    /// Instead of `timeouts.idle`, in seconds.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub idle: Option<Duration>,
    /// Instead of `retry.max_retries`.
    pub max_retries: Option<u32>,
    /// Where the call stands in queues, 0 to 9.
    #[schemars(range(max = 9))]
    pub priority: Option<u8>,
    /// Calls of this profile in flight at once.
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
}

/// What holds for all models.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Routing {
    /// What becomes of a call that no rule takes. Default: `default`.
    pub no_match: NoMatch,
    /// Keep the calls of one conversation where the provider's prompt cache is warm. Default: true.
    pub affinity: bool,
    /// How far above its fair share a deployment may be loaded for the sake of affinity. Default: 1.25.
    #[schemars(range(min = 1))]
    pub affinity_bound: f64,
    /// Share of calls that the strategy `adaptive` spends on finding out. Default: 0.05.
    #[schemars(range(min = 0, max = 1))]
    pub exploration: f64,
    /// Set aside deployments that do far worse than their peers.
    pub ejection: Ejection,
    /// Added to UTC for `hour` and `weekday` in rules, such as `+08:00`. Default: none.
    pub utc_offset: Option<String>,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            no_match: NoMatch::Default,
            affinity: true,
            affinity_bound: 1.25,
            exploration: 0.05,
            ejection: Ejection::default(),
            utc_offset: None,
        }
    }
}

/// What becomes of a call that leaves the model open and that no rule takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoMatch {
    /// The default model; an error where there is none.
    #[default]
    Default,
    /// An error.
    Error,
}

/// When a deployment is set aside for doing worse than its peers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ejection {
    /// Default: true.
    pub enabled: bool,
    /// Set aside at first for this long, growing with each time in a row. Default: 30 s (Envoy's).
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub base: Duration,
    /// At most this share of a model's deployments at once. Default: 0.5.
    #[schemars(range(min = 0, max = 1))]
    pub most: f64,
}

impl Default for Ejection {
    fn default() -> Self {
        Self { enabled: true, base: Duration::from_secs(30), most: 0.5 }
    }
}
