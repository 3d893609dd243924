//! placeholder
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

mod memory;
pub use memory::{Account, Hold, Memory};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    Requests,
    Tokens,
    InputTokens,
    OutputTokens,
    Cost,
    Concurrency,
}
impl Measure {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    Global,
    Tenant,
    User,
    Key,
    Model,
    Deployment,
    Credential,
}
impl Scope {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Key => "key",
            Self::Model => "model",
            Self::Deployment => "deployment",
            Self::Credential => "credential",
        }
    }
}
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    Concurrency,
    Sliding { length: Duration },
    Log { length: Duration },
    Bucket { per: Duration, burst: u64 },
    Calendar { every: Every, zone: Zone },
}
impl Window {
    pub fn length(&self) -> Option<Duration> {
        match self {
            Self::Sliding { length: per } | Self::Log { length: per } | Self::Bucket { per, .. } => {
                Some(*per)
            }
            Self::Concurrency | Self::Calendar { .. } => None,
        }
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    Hour,
    Day,
    Week,
    Month,
}
impl Every {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(i64);
impl Zone {
    pub fn utc() -> Self {
        Self(0)
    }
    pub fn parse(text: &str) -> Option<Self> {
        crate::config::check::offset_seconds(text).map(Self)
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    Debt,
    Reject,
}
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    pub scope: Scope,
    pub measure: Measure,
    pub identity: Arc<str>,
    pub most: u64,
    pub window: Window,
    pub oversize: Oversize,
    pub shadow: bool,
}
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    pub account: &'a Account,
    pub subject: u64,
    pub amount: u64,
}
pub enum Reserving {
    Ready(Reserved),
    Pending(Pin<Box<dyn Future<Output = Reserved> + Send>>),
}
#[derive(Debug)]
pub enum Reserved {
    Granted(Hold),
    Denied(Denial),
}
#[derive(Clone, Copy, Debug)]
pub struct Denial {
    pub charge: usize,
    pub when: When,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    After(Duration),
    GivenBack,
    Never,
}
pub trait Store: Send + Sync + Debug {
    fn account(&self, limit: Limit) -> Account;
    fn reserve(&self, charges: &[Charge<'_>]) -> Reserving;
    fn settle(&self, hold: Hold, used: &mut dyn FnMut(&Limit, u64) -> u64);
    fn on_room(&self, tell: Option<Box<dyn Fn() + Send + Sync>>);
    fn used(&self, account: &Account, subject: u64) -> u64;
}
