//! What a breaker tells when its state changes: from what to what, why, and on what evidence.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::window::Counts;
use crate::error::Kind;

/// The state of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Everything goes out.
    Closed,
    /// Its time has come: probes go out.
    HalfOpen,
    /// Nothing goes out for a while.
    Open,
    /// Nothing goes out until it is reset by hand.
    Isolated,
}

impl State {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
            Self::Isolated => "isolated",
        }
    }
}

/// Why a state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Too many hard failures without an answer between them.
    InARow,
    /// Too many of the calls in the window failed.
    Failed,
    /// Too many of the calls in the window were slow.
    Slow,
    /// The open time is over.
    TimePassed,
    /// A probe failed, was throttled or was slow.
    ProbeFailed,
    /// Enough probes answered.
    ProbeAnswered,
    /// By hand.
    Isolated,
    /// By hand.
    Reset,
}

impl Reason {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InARow => "consecutive",
            Self::Failed => "ratio",
            Self::Slow => "slow",
            Self::TimePassed => "time",
            Self::ProbeFailed => "probe_failed",
            Self::ProbeAnswered => "probe_answered",
            Self::Isolated => "isolate",
            Self::Reset => "reset",
        }
    }
}

/// What a failure was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A failure of an attempt.
    Kind(Kind),
    /// A failure of something else that is guarded, by its name.
    Named(Arc<str>),
}

impl From<Kind> for Cause {
    fn from(kind: Kind) -> Self {
        Self::Kind(kind)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "{kind}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// What was known when a state changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Hard failures without an answer between them.
    pub in_a_row: u32,
    /// The calls in the window.
    pub counts: Counts,
    /// The length of the window.
    pub window: Duration,
    /// The last three failures, the newest last.
    pub last: Vec<Cause>,
    /// How often in a row it has opened.
    pub times: u32,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// What was known.
    pub evidence: Evidence,
    /// How long it stays open, where it opened.
    pub open_for: Option<Duration>,
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evidence { in_a_row, counts: Counts { calls, failed, slow }, window, .. } = &self.evidence;
        let window = window.as_secs_f64();
        match self.reason {
            Reason::InARow => write!(f, "opened after {in_a_row} failures in a row")?,
            Reason::Failed => write!(f, "opened after {failed} of {calls} calls in {window} s failed")?,
            Reason::Slow => write!(f, "opened after {slow} of {calls} calls in {window} s were slow")?,
            Reason::ProbeFailed => f.write_str("opened again after a probe failed")?,
            Reason::TimePassed => f.write_str("half-open, a probe goes out")?,
            Reason::ProbeAnswered => f.write_str("closed after a probe answered")?,
            Reason::Isolated => f.write_str("isolated by hand")?,
            Reason::Reset => f.write_str("closed by hand")?,
        }
        let Some(open_for) = self.open_for else { return Ok(()) };
        for (position, cause) in self.evidence.last.iter().enumerate() {
            let before = if position == 0 { " (last: " } else { ", " };
            write!(f, "{before}{cause}")?;
        }
        let after = if self.evidence.last.is_empty() { "" } else { ")" };
        write!(f, "{after}; open for {:.1} s", open_for.as_secs_f64())
    }
}
