//! What a limit is: plain data.

use std::sync::Arc;
use std::time::Duration;

use super::zone::Zone;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Requests.
    Requests,
    /// Tokens of prompts and answers.
    Tokens,
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
    /// Nano-dollars.
    Cost,
    /// What runs at once.
    Concurrency,
}

impl Measure {
    /// Its name in errors and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Cost => "cost",
            Self::Concurrency => "concurrency",
        }
    }
}

/// Whom a limit counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everybody.
    Global,
    /// A tenant.
    Tenant,
    /// A user.
    User,
    /// A caller's key.
    Key,
    /// A model.
    Model,
    /// A profile of calls.
    Profile,
    /// A deployment, all its keys together.
    Deployment,
    /// A key of a provider.
    Credential,
}

impl Scope {
    /// Is there one count for all calls that reach it, whoever calls?
    pub const fn is_shared(self) -> bool {
        matches!(self, Self::Global | Self::Model | Self::Deployment | Self::Credential)
    }

    /// Its name in errors and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Key => "key",
            Self::Model => "model",
            Self::Profile => "profile",
            Self::Deployment => "deployment",
            Self::Credential => "credential",
        }
    }
}

/// Over which time a limit counts, and how.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// Held until it is given back.
    Concurrency,
    /// Never more than the limit in any window, to 1/256 of its length.
    Sliding {
        /// The length of the window.
        length: Duration,
    },
    /// Never more than the limit in any window, to the nanosecond.
    Log {
        /// The length of the window.
        length: Duration,
    },
    /// Refilled evenly.
    Bucket {
        /// The limit is refilled in this time.
        per: Duration,
        /// How much may be used at once.
        burst: u64,
    },
    /// Begins anew with every span of the calendar.
    Calendar {
        /// The span.
        every: Every,
        /// Where midnight is.
        zone: Zone,
    },
}

impl Window {
    /// When it begins anew, since the Unix epoch, where that is a date.
    pub fn ends(&self, wall: Duration) -> Option<Duration> {
        let Self::Calendar { every, zone } = self else { return None };
        let (_, end) = zone.span(*every, u64::try_from(wall.as_nanos()).ok()?);
        Some(Duration::from_nanos(end))
    }

    /// Its length, where that does not depend on the calendar.
    pub fn length(&self) -> Option<Duration> {
        match self {
            Self::Sliding { length } | Self::Log { length } | Self::Bucket { per: length, .. } => {
                Some(*length)
            }
            Self::Concurrency | Self::Calendar { .. } => None,
        }
    }
}

/// A span of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Every {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// From the first of a month to that of the next.
    Month,
}

impl Every {
    /// Its name in errors and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// What becomes of an amount that is larger than the whole limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Oversize {
    /// Granted when nothing of the limit is in use; what exceeds it is a debt.
    #[default]
    Debt,
    /// Never granted.
    Reject,
}

/// A limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Whom it counts for.
    pub scope: Scope,
    /// What it counts.
    pub measure: Measure,
    /// Its counts are found by this, whatever its numbers become.
    pub identity: Arc<str>,
    /// How much it allows; nano-dollars for [`Measure::Cost`].
    pub most: u64,
    /// Over which time.
    pub window: Window,
    /// What becomes of an amount larger than `most`.
    pub oversize: Oversize,
    /// Counts and tells, but never refuses.
    pub shadow: bool,
}
