//! When a deployment that fails is no longer asked.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::duration::optional_seconds;

/// When a deployment that fails is no longer asked, and how it comes back. A lone deployment is never refused for
/// long: it is asked once a second while its breaker is open, and without a configured model breakers only count.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Default: true.
    pub enabled: bool,
    /// Other defaults than those below.
    pub preset: Option<BreakerPreset>,
    /// Opens after so many hard failures in a row; 0 is never. Default: 5.
    pub consecutive: Option<u32>,
    /// Opens when at least this share of a window failed. Default: 0.5.
    #[schemars(range(min = 0, max = 1))]
    pub ratio: Option<f64>,
    /// But not before a window holds so many calls. Default: 10.
    #[schemars(range(min = 1))]
    pub minimum: Option<u32>,
    /// The window, in seconds. Default: 30 s.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 1, max = 1_000_000_000))]
    pub window: Option<Duration>,
    /// How long it stays open at first; doubles with each time in a row. Default: 5 s.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub open: Option<Duration>,
    /// The longest time that doubling leads to. Default: 60 s.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub longest: Option<Duration>,
    /// Attempts that may find out at once whether it is back. Default: 1.
    #[schemars(range(min = 1))]
    pub probes: Option<u32>,
    /// Attempts that take longer, in seconds, are slow. Default: none is.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub slow: Option<Duration>,
    /// Opens when at least this share of a window was slow. Default: 0.5.
    #[schemars(range(min = 0, max = 1))]
    pub slow_ratio: Option<f64>,
    /// How long its share grows from a tenth to all of it after it closed. Default: 10 s.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub slow_start: Option<Duration>,
}

/// Defaults of breakers for other needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerPreset {
    /// For much traffic: 15 % of at least 20 calls open it, for 30 s at first and 5 min at most.
    Sensitive,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            enabled: true,
            preset: None,
            consecutive: None,
            ratio: None,
            minimum: None,
            window: None,
            open: None,
            longest: None,
            probes: None,
            slow: None,
            slow_ratio: None,
            slow_start: None,
        }
    }
}
