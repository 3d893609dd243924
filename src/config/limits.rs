//! Limits of every phase of a call, attempts and backoff, connections, sizes.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::duration::{optional_seconds, seconds};

/// Attempts and backoff.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts after the first that may have consumed capacity; 2 means at most 3. Both SDKs use 2.
    pub max_retries: u32,
    /// First backoff step after a broken connection or server (AWS retry 2.1).
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub base: Duration,
    /// First backoff step after throttling or overload (AWS retry 2.1).
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub throttled_base: Duration,
    /// The longest backoff step (AWS retry 2.1).
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub cap: Duration,
    /// The longest wait an upstream may ask for before the error is raised instead.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub longest_wait: Duration,
    /// How chance enters the backoff. Default: `full`.
    pub jitter: Jitter,
    /// How many retries of one deployment its own traffic pays for.
    pub budget: RetryBudget,
    /// A known policy instead of `base`, `throttled_base`, `cap` and `jitter`. Default: none.
    pub preset: Option<RetryPreset>,
}

/// Policies that are common elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryPreset {
    /// `min(1000 * 2^n + random * 500, 30000)` milliseconds, whatever failed.
    HandWritten,
    /// `wait_exponential(multiplier=1, min=2, max=10)` of tenacity: 2, 2, 4, 8, 10 s.
    Tenacity,
    /// 1 s more each time after a timeout, 2 s more without a connection; attempts of 30, 60, 90 s.
    Rising,
}

/// How chance enters a backoff whose step is `base * 2^n`, at most `cap` (M. Brooker, AWS, 2015).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Anywhere between 0 and the step.
    #[default]
    Full,
    /// Anywhere between half the step and the step.
    Equal,
    /// Anywhere between the base and three times the wait before.
    Decorrelated,
    /// The step itself.
    None,
}

/// Retries of the same deployment are paid for by its first attempts, so that an outage is not multiplied. Going to
/// another deployment is free.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryBudget {
    /// Default: true.
    pub enabled: bool,
    /// Retries for each first attempt. Default: 0.2 (Finagle's).
    #[schemars(range(min = 0))]
    pub ratio: f64,
    /// Retries a second that need no first attempts. Default: 1.
    #[schemars(range(min = 0))]
    pub floor: f64,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { enabled: true, ratio: 0.2, floor: 1.0 }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_retries: 2,
            base: Duration::from_millis(50),
            throttled_base: Duration::from_secs(1),
            cap: Duration::from_secs(20),
            longest_wait: Duration::from_secs(60),
            jitter: Jitter::Full,
            budget: RetryBudget::default(),
            preset: None,
        }
    }
}

/// Limits of every phase of an attempt, and of the call.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Name resolution, TCP and TLS together. Default: 5 s, as both SDKs.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub connect: Duration,
    /// The response head, from its first byte. Default: 10 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub headers: Duration,
    /// A stream's first content, from the start of the attempt. Default: 120 s, safe for reasoning models.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub first_token: Duration,
    /// Silence between two reads of a body. Default: 60 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub idle: Duration,
    /// A stream that sends pings but no content. Default: 300 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub content_idle: Duration,
    /// The upstream does not read our request. Default: 60 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub write: Duration,
    /// Waiting for a free connection. Default: 10 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub pool: Duration,
    /// One attempt that is not a stream. Default: half the total, at most 300 s; the last one gets what is left.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub attempt: Option<Duration>,
    /// The call, everything included. Default: 600 s, as both SDKs.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub total: Duration,
    /// After a stream's end: how long to read on so that its connection can be reused. Default: 1 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub tail: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            headers: Duration::from_secs(10),
            first_token: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            content_idle: Duration::from_secs(300),
            write: Duration::from_secs(60),
            pool: Duration::from_secs(10),
            attempt: None,
            total: Duration::from_secs(600),
            tail: Duration::from_secs(1),
        }
    }
}

/// Connections per host, under httpx's names.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// Open at once. Default: as many as the process' file-descriptor limit leaves room for.
    pub max_connections: Option<usize>,
    /// Kept while idle. Default: as many as were in use.
    pub max_keepalive_connections: Option<usize>,
    /// Idle connections are closed after this. Default: 30 s, below the providers' own.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub keepalive_expiry: Duration,
    /// Connections are retired at this age, give or take a tenth, so that DNS changes take hold. Default: 600 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub max_age: Duration,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            max_connections: None,
            max_keepalive_connections: None,
            keepalive_expiry: Duration::from_secs(30),
            max_age: Duration::from_secs(600),
        }
    }
}

/// What a response may at most be, in bytes unless named otherwise.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// A decoded body. Default: 64 MiB. Streams are bounded per event, not in all.
    pub body: usize,
    /// One stream event. Default: 1 MiB.
    pub event: usize,
    /// One line of a stream. Default: 1 MiB.
    pub line: usize,
    /// The response head. Default: 64 KiB.
    pub head: usize,
    /// Header fields. Default: 256.
    pub headers: usize,
    /// Events held back before commit. Default: 64 KiB.
    pub preamble: usize,
    /// Read on after a stream's end. Default: 16 KiB.
    pub tail: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            body: 64 << 20,
            event: 1 << 20,
            line: 1 << 20,
            head: 64 << 10,
            headers: 256,
            preamble: 64 << 10,
            tail: 16 << 10,
        }
    }
}
