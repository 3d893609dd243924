//! What the operator wrote: plain data with its defaults in one place.
//!
//! One schema serves a Python dict, a TOML file and a JSON file ([`load`]). Reading never checks more than the
//! shape; [`check`] is a separate pass that returns every fault with its path. Durations are seconds.

pub mod check;
pub mod load;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// The whole configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The model of a call that names none.
    pub default_model: Option<String>,
    /// Names a caller uses, each an ordered list of deployments.
    pub models: BTreeMap<String, Model>,
    /// Own providers, or changes to the presets, by id.
    pub providers: BTreeMap<String, Provider>,
    /// The one upstream of an OpenAI-SDK-shaped client (`api_key=`, `base_url=`).
    pub client: Upstream,
    /// Attempts and backoff.
    pub retry: Retry,
    /// Limits of every phase.
    pub timeouts: Timeouts,
    /// Connections per host.
    pub pool: Pool,
    /// What a response may at most be.
    pub bounds: Bounds,
    /// Stages that can be switched off alone.
    pub stages: Stages,
}

/// A name a caller uses.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Model {
    /// Tried in this order.
    pub deployments: Vec<Deployment>,
    /// Models whose deployments follow when all of these failed.
    pub fallbacks: Vec<String>,
    /// How deployments are ordered; `ordered` is the only strategy so far.
    pub strategy: Strategy,
}

/// How the deployments of a model are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As written.
    #[default]
    Ordered,
}

/// A provider, an upstream model and the credentials for it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Deployment {
    /// A preset's id or a key of `providers`.
    pub provider: String,
    /// The name the provider knows the model by.
    pub model: String,
    /// Instead of the provider's.
    pub base_url: Option<String>,
    /// One key or several; default: the provider's environment variable.
    pub api_key: Keys,
    /// Sent with every request.
    pub headers: BTreeMap<String, String>,
    /// HTTP/2 instead of HTTP/1.1. Default: false.
    pub http2: Option<bool>,
    /// A proxy URL (`http://`, `https://`, `socks5://`).
    pub proxy: Option<String>,
    /// A PEM file of certificate authorities that replaces the system's.
    pub ca: Option<String>,
    /// Does this host end streams without a finish reason?
    pub finish_optional: Option<bool>,
}

/// A provider of one's own, or changes to a preset.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// The preset whose quirks it shares. Default: the preset of the same id, else any OpenAI-compatible host.
    pub preset: Option<String>,
    /// Where it listens.
    pub base_url: Option<String>,
    /// One key or several.
    pub api_key: Keys,
    /// Sent with every request.
    pub headers: BTreeMap<String, String>,
    /// HTTP/2 instead of HTTP/1.1. Default: false.
    pub http2: bool,
    /// A proxy URL.
    pub proxy: Option<String>,
    /// A PEM file of certificate authorities that replaces the system's.
    pub ca: Option<String>,
    /// Does this host end streams without a finish reason?
    pub finish_optional: Option<bool>,
}

/// The upstream of an OpenAI-SDK-shaped client. When `base_url` or `api_key` is set, every model goes there
/// under the very name the caller used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// A preset's id. Default: `openai`.
    pub provider: Option<String>,
    /// Where it listens. Default: the preset's.
    pub base_url: Option<String>,
    /// Its key. Default: the preset's environment variable.
    pub api_key: Keys,
    /// Sent with every request.
    pub default_headers: BTreeMap<String, String>,
    /// Added to every URL.
    pub default_query: BTreeMap<String, String>,
    /// HTTP/2 instead of HTTP/1.1. Default: false.
    pub http2: bool,
    /// A proxy URL.
    pub proxy: Option<String>,
    /// A PEM file of certificate authorities that replaces the system's.
    pub ca: Option<String>,
}

/// Attempts and backoff.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts after the first that may have consumed capacity; 2 means at most 3. Both SDKs use 2.
    pub max_retries: u32,
    /// First backoff step after a broken connection or server (AWS retry 2.1).
    #[serde(deserialize_with = "seconds")]
    pub base: Duration,
    /// First backoff step after throttling or overload (AWS retry 2.1).
    #[serde(deserialize_with = "seconds")]
    pub throttled_base: Duration,
    /// The longest backoff step (AWS retry 2.1).
    #[serde(deserialize_with = "seconds")]
    pub cap: Duration,
    /// The longest wait an upstream may ask for before the error is raised instead.
    #[serde(deserialize_with = "seconds")]
    pub longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_retries: 2,
            base: Duration::from_millis(50),
            throttled_base: Duration::from_secs(1),
            cap: Duration::from_secs(20),
            longest_wait: Duration::from_secs(60),
        }
    }
}

/// Limits of every phase of an attempt, and of the call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Name resolution, TCP and TLS together. Default: 5 s, as both SDKs.
    #[serde(deserialize_with = "seconds")]
    pub connect: Duration,
    /// The response head, from its first byte. Default: 10 s.
    #[serde(deserialize_with = "seconds")]
    pub headers: Duration,
    /// A stream's first content, from the start of the attempt. Default: 120 s, safe for reasoning models.
    #[serde(deserialize_with = "seconds")]
    pub first_token: Duration,
    /// Silence between two reads of a body. Default: 60 s.
    #[serde(deserialize_with = "seconds")]
    pub idle: Duration,
    /// A stream that sends pings but no content. Default: 300 s.
    #[serde(deserialize_with = "seconds")]
    pub content_idle: Duration,
    /// The upstream does not read our request. Default: 60 s.
    #[serde(deserialize_with = "seconds")]
    pub write: Duration,
    /// Waiting for a free connection. Default: 10 s.
    #[serde(deserialize_with = "seconds")]
    pub pool: Duration,
    /// One attempt that is not a stream. Default: half the total, at most 300 s; the last one gets what is left.
    #[serde(deserialize_with = "optional_seconds")]
    pub attempt: Option<Duration>,
    /// The call, everything included. Default: 600 s, as both SDKs.
    #[serde(deserialize_with = "seconds")]
    pub total: Duration,
    /// After a stream's end: how long to read on so that its connection can be reused. Default: 1 s.
    #[serde(deserialize_with = "seconds")]
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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// Open at once. Default: as many as the process' file-descriptor limit leaves room for.
    pub max_connections: Option<usize>,
    /// Kept while idle. Default: as many as were in use.
    pub max_keepalive_connections: Option<usize>,
    /// Idle connections are closed after this. Default: 30 s, below the providers' own.
    #[serde(deserialize_with = "seconds")]
    pub keepalive_expiry: Duration,
    /// Connections are retired at this age, give or take a tenth, so that DNS changes take hold. Default: 600 s.
    #[serde(deserialize_with = "seconds")]
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
#[derive(Clone, Debug, Deserialize)]
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

/// Stages that can be switched off alone; the order is fixed in `call.rs`. Admission grants everything so far, and
/// so has no switch yet.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "one switch a stage, as written in the file")]
pub struct Stages {
    /// Order candidates by their health (cooldowns, disabled keys). Off: strictly as written.
    pub health: bool,
    /// Retry and failover. Off: one upstream request a call.
    pub retry: bool,
    /// The one transparent repeat on a reused connection that had died.
    pub transparent_retry: bool,
    /// Totals, and receipts handed to hooks. Off: `stats()` stays at zero.
    pub settle: bool,
}

impl Default for Stages {
    fn default() -> Self {
        Self { health: true, retry: true, transparent_retry: true, settle: true }
    }
}

/// A key that never shows itself.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from view.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key itself; for the request header only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// One key, several, or none (then the environment's).
#[derive(Clone, Debug, Default)]
pub struct Keys(pub Vec<Secret>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            None(()),
            One(String),
            Many(Vec<String>),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::None(()) => Vec::new(),
            Written::One(key) => vec![Secret::new(key)],
            Written::Many(keys) => keys.into_iter().map(Secret::new).collect(),
        }))
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let written = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(written).map_err(|_| {
        serde::de::Error::custom(format!("expected a number of seconds, 0 or more, finite: {written}"))
    })
}

fn optional_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    seconds(deserializer).map(Some)
}
