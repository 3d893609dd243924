//! When a deployment that fails is no longer asked.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::duration::{optional_seconds, seconds};

/// When a deployment that fails is no longer asked, and how it comes back. A lone deployment is never refused: it is
/// asked once a second while its breaker is open, and without a configuration file the breaker only counts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Default: true.
    pub enabled: bool,
    /// Opens after so many hard failures in a row. Default: 5.
    #[schemars(range(min = 1))]
    pub consecutive: u32,
    /// Opens when at least this share of a window failed. Default: 0.5.
    #[schemars(range(min = 0, max = 1))]
    pub ratio: f64,
    /// But not before a window holds so many. Default: 10.
    #[schemars(range(min = 1))]
    pub minimum: u32,
    /// The window, in seconds. Default: 30 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 1))]
    pub window: Duration,
    /// How long it stays open at first; doubles with each time in a row. Default: 5 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0))]
    pub open: Duration,
    /// The longest time that doubling leads to. Default: 60 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0))]
    pub longest: Duration,
    /// Attempts that may find out at once whether it is back. Default: 1.
    #[schemars(range(min = 1))]
    pub probes: u32,
    /// Attempts that take longer, in seconds, are slow. Default: none is.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0))]
    pub slow: Option<Duration>,
    /// Opens when at least this share of a window was slow. Default: 0.5.
    #[schemars(range(min = 0, max = 1))]
    pub slow_ratio: f64,
    /// How long its share grows from a tenth to all of it after it closed. Default: 10 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0))]
    pub slow_start: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            enabled: true,
            consecutive: 5,
            ratio: 0.5,
            minimum: 10,
            window: Duration::from_secs(30),
            open: Duration::from_secs(5),
            longest: Duration::from_secs(60),
            probes: 1,
            slow: None,
            slow_ratio: 0.5,
            slow_start: Duration::from_secs(10),
        }
    }
}
