//! How much may be used: limits, budgets, the waiting line.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::duration::{optional_seconds, seconds};

/// How much may be used in a time, and at once. What is left out is not limited.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests in any second.
    #[schemars(range(min = 1))]
    pub requests_per_second: Option<u64>,
    /// Requests in any minute.
    #[schemars(range(min = 1))]
    pub requests_per_minute: Option<u64>,
    /// Requests in any 24 hours.
    #[schemars(range(min = 1))]
    pub requests_per_day: Option<u64>,
    /// Tokens of prompts and answers in any minute.
    #[schemars(range(min = 1))]
    pub tokens_per_minute: Option<u64>,
    /// Tokens of prompts and answers in any 24 hours.
    #[schemars(range(min = 1))]
    pub tokens_per_day: Option<u64>,
    /// Tokens of prompts in any minute.
    #[schemars(range(min = 1))]
    pub input_tokens_per_minute: Option<u64>,
    /// Tokens of answers in any minute.
    #[schemars(range(min = 1))]
    pub output_tokens_per_minute: Option<u64>,
    /// Running at once.
    #[schemars(range(min = 1))]
    pub concurrency: Option<u64>,
    /// Further limits, each over a time of its own.
    pub windows: Option<Vec<Window>>,
    /// How the limits above are kept. Default: `sliding`.
    pub algorithm: Option<Algorithm>,
    /// With `token_bucket`: how much may be used at once. Default: a tenth, at least 1.
    #[schemars(range(min = 1))]
    pub burst: Option<u64>,
    /// What becomes of a call that is larger than a whole limit. Default: `wait`.
    pub oversize: Option<Oversize>,
    /// Count and tell, but never refuse. Default: false.
    pub dry_run: Option<bool>,
}

impl Limits {
    /// These, and `each` in what they do not say.
    #[must_use]
    pub fn over(&self, each: &Self) -> Self {
        Self {
            requests_per_second: self.requests_per_second.or(each.requests_per_second),
            requests_per_minute: self.requests_per_minute.or(each.requests_per_minute),
            requests_per_day: self.requests_per_day.or(each.requests_per_day),
            tokens_per_minute: self.tokens_per_minute.or(each.tokens_per_minute),
            tokens_per_day: self.tokens_per_day.or(each.tokens_per_day),
            input_tokens_per_minute: self.input_tokens_per_minute.or(each.input_tokens_per_minute),
            output_tokens_per_minute: self.output_tokens_per_minute.or(each.output_tokens_per_minute),
            concurrency: self.concurrency.or(each.concurrency),
            windows: self.windows.clone().or_else(|| each.windows.clone()),
            algorithm: self.algorithm.or(each.algorithm),
            burst: self.burst.or(each.burst),
            oversize: self.oversize.or(each.oversize),
            dry_run: self.dry_run.or(each.dry_run),
        }
    }

    /// Is nothing limited?
    pub fn is_empty(&self) -> bool {
        *self
            == Self {
                algorithm: self.algorithm,
                burst: self.burst,
                oversize: self.oversize,
                dry_run: self.dry_run,
                windows: self.windows.clone().filter(Vec::is_empty),
                ..Self::default()
            }
    }
}

/// How much may be used in one time.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Window {
    /// The time, in seconds; 1 or more.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 1, max = 1_000_000_000))]
    pub per: Duration,
    /// Requests.
    #[schemars(range(min = 1))]
    pub requests: Option<u64>,
    /// Tokens of prompts and answers.
    #[schemars(range(min = 1))]
    pub tokens: Option<u64>,
    /// Tokens of prompts.
    #[schemars(range(min = 1))]
    pub input_tokens: Option<u64>,
    /// Tokens of answers.
    #[schemars(range(min = 1))]
    pub output_tokens: Option<u64>,
}

/// How a limit over a time is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// Never more than the limit in any window, to 1/256 of it.
    #[default]
    Sliding,
    /// Refilled evenly; a burst may be used at once.
    TokenBucket,
    /// Never more than the limit in any window, to the nanosecond; for limits up to 10,000.
    Log,
}

/// What becomes of a call that is larger than a whole limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Oversize {
    /// It waits until nothing of the limit is in use, and leaves a debt.
    #[default]
    Wait,
    /// It is refused.
    Reject,
}

/// Limits by whom they count for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScopedLimits {
    /// All calls together.
    pub global: Limits,
    /// Each tenant; `tenants.<name>.limits` says otherwise for one.
    pub tenant: Limits,
    /// Each user; `users` says otherwise for one.
    pub user: Limits,
    /// Each key of a caller; `keys` says otherwise for one.
    pub key: Limits,
    /// Each model; `models.<name>.limits` says otherwise for one.
    pub model: Limits,
    /// Users with limits of their own, by name.
    pub users: BTreeMap<String, Limits>,
    /// Keys of callers with limits of their own, by name.
    pub keys: BTreeMap<String, Limits>,
    /// Bytes that the counts of users, tenants and keys may take; who finds no room shares one count. Default: 128 MiB.
    pub memory: usize,
    /// What one caller (its key, else its user, else its tenant) may make at once, and as many more a second. Others are
    /// refused before anything of the call is read, so its own `user` does not count. Default: not limited.
    #[schemars(range(min = 1))]
    pub flood: Option<NonZeroU32>,
}

impl Default for ScopedLimits {
    fn default() -> Self {
        Self {
            global: Limits::default(),
            tenant: Limits::default(),
            user: Limits::default(),
            key: Limits::default(),
            model: Limits::default(),
            users: BTreeMap::new(),
            keys: BTreeMap::new(),
            memory: 128 << 20,
            flood: None,
        }
    }
}

/// Dollars that may be spent in a span of the calendar. What is left out is not limited.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// From one full hour to the next.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub hourly: Option<f64>,
    /// From midnight to midnight.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub daily: Option<f64>,
    /// From Monday to Monday.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub weekly: Option<f64>,
    /// From the first of a month to that of the next.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub monthly: Option<f64>,
    /// From this share on, cheaper deployments are asked first; 0 to 1. Default: never.
    #[schemars(range(min = 0, max = 1))]
    pub soft: Option<f64>,
    /// Where midnight is: `Europe/Berlin`, or an offset such as `+08:00`. Default: UTC.
    pub timezone: Option<String>,
    /// What becomes of calls whose price is not known. Default: `allow`.
    pub unpriced: Option<Unpriced>,
}

impl Budget {
    /// This one, and `each` in what it does not say.
    #[must_use]
    pub fn over(&self, each: &Self) -> Self {
        Self {
            hourly: self.hourly.or(each.hourly),
            daily: self.daily.or(each.daily),
            weekly: self.weekly.or(each.weekly),
            monthly: self.monthly.or(each.monthly),
            soft: self.soft.or(each.soft),
            timezone: self.timezone.clone().or_else(|| each.timezone.clone()),
            unpriced: self.unpriced.or(each.unpriced),
        }
    }

    /// Is nothing limited?
    pub fn is_empty(&self) -> bool {
        [self.hourly, self.daily, self.weekly, self.monthly].iter().all(Option::is_none)
    }
}

/// What becomes of a call under a budget where nobody knows what it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// It goes on and counts as nothing.
    #[default]
    Allow,
    /// Deployments without a price are not asked.
    Deny,
}

/// Budgets by whom they count for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScopedBudgets {
    /// All calls together.
    pub global: Budget,
    /// Each tenant; `tenants.<name>.budget` says otherwise for one.
    pub tenant: Budget,
    /// Each user; `users` says otherwise for one.
    pub user: Budget,
    /// Each key of a caller; `keys` says otherwise for one.
    pub key: Budget,
    /// Each model; `models.<name>.budget` says otherwise for one.
    pub model: Budget,
    /// Users with budgets of their own, by name.
    pub users: BTreeMap<String, Budget>,
    /// Keys of callers with budgets of their own, by name.
    pub keys: BTreeMap<String, Budget>,
}

/// The line in which calls wait for room under the limits.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// The longest wait, in seconds; 0 refuses at once. Default: 30 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0, max = 1_000_000_000))]
    pub wait: Duration,
    /// Calls that may wait for one model. Default: as many as come.
    #[schemars(range(min = 1))]
    pub most: Option<usize>,
    /// Those of one tenant; those without a tenant count as one. Default: as many as come.
    #[schemars(range(min = 1))]
    pub most_per_tenant: Option<usize>,
    /// Whoever has waited this long moves up one priority. Default: 5 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0.001, max = 1_000_000_000))]
    pub aging: Duration,
    /// A line in which nobody waited less than this for `overload_interval` is overloaded (`CoDel`). Default: 1 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0.001, max = 1_000_000_000))]
    pub overload_target: Duration,
    /// See `overload_target`. Default: 5 s.
    #[serde(deserialize_with = "seconds")]
    #[schemars(with = "f64", range(min = 0.001, max = 1_000_000_000))]
    pub overload_interval: Duration,
    /// The priority of calls that name none, 0 to 9, higher first. Default: 5.
    #[schemars(range(max = 9))]
    pub priority: u8,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(30),
            most: None,
            most_per_tenant: None,
            aging: Duration::from_secs(5),
            overload_target: Duration::from_secs(1),
            overload_interval: Duration::from_secs(5),
            priority: 5,
        }
    }
}

/// A second request while the first one lingers; the first content wins, the other is cancelled and paid for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Hedge {
    /// Default: false.
    pub enabled: bool,
    /// Wait this long before, in seconds. Default: the 95th percentile of the time to first token (of whole replies:
    /// of their duration), at least 1 s, once 20 samples are known.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub delay: Option<Duration>,
    /// At most this share of calls. Default: 0.05.
    #[schemars(range(min = 0, max = 1))]
    pub share: f64,
}

impl Default for Hedge {
    fn default() -> Self {
        Self { enabled: false, delay: None, share: 0.05 }
    }
}
