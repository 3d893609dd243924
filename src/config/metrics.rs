//! What operators watch, and what is done before the first call.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::duration::seconds;

/// What is counted for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Count calls, tokens and cost by tenant too: the first 100 by name, the rest as `other`. Default: false.
    pub tenant_label: bool,
}

/// What `warm_up()` does where its caller says nothing else.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WarmUp {
    /// Ask every deployment for one token, instead of only connecting to it. Default: false.
    pub ping: bool,
    /// The models whose deployments are warmed up. Default: all of the configuration.
    pub models: Vec<String>,
    /// The longest it may take in all, in seconds. Default: 10 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0.001, max = 1_000_000_000))]
    pub timeout: Duration,
    /// Deployments at once. Default: 8.
    #[schemars(range(min = 1))]
    pub concurrency: usize,
}

impl Default for WarmUp {
    fn default() -> Self {
        Self { ping: false, models: Vec::new(), timeout: Duration::from_secs(10), concurrency: 8 }
    }
}
