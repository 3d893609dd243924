//! Why a call does not wait any longer.

use std::fmt;
use std::time::Duration;

/// Who is too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowd {
    /// All who wait.
    Line,
    /// Those of the same tenant.
    Tenant,
}

/// A call that was sent away from the line, and when it is worth coming back.
///
/// `retry_after` is the wait that is predicted for such a call, from how quickly the line moves and who stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// As many wait as may, and none of a lower priority.
    Full {
        /// Of whom there are too many.
        crowd: Crowd,
        /// How many may wait.
        most: usize,
        /// When to come back.
        retry_after: Duration,
    },
    /// A call of higher priority took the place.
    Shed {
        /// Of whom there were too many.
        crowd: Crowd,
        /// How long it had waited.
        waited: Duration,
        /// When to come back.
        retry_after: Duration,
    },
    /// The wait would outlast the deadline: not even begun.
    Predicted {
        /// How long it would be.
        wait: Duration,
    },
    /// It waited as long as it could.
    TimedOut {
        /// How long it had waited.
        waited: Duration,
        /// When to come back.
        retry_after: Duration,
    },
}

impl TurnedAway {
    /// When it is worth coming back.
    pub fn retry_after(&self) -> Duration {
        match *self {
            Self::Full { retry_after, .. }
            | Self::Shed { retry_after, .. }
            | Self::TimedOut { retry_after, .. } => retry_after,
            Self::Predicted { wait } => wait,
        }
    }

    /// The reason in one word, for metrics: `full`, `shed`, `predicted` or `timed_out`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Full { .. } => "full",
            Self::Shed { .. } => "shed",
            Self::Predicted { .. } => "predicted",
            Self::TimedOut { .. } => "timed_out",
        }
    }
}

impl fmt::Display for TurnedAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = self.retry_after().as_secs_f64();
        match self {
            Self::Full { crowd: Crowd::Line, most, .. } => {
                write!(f, "{most} calls wait already; again in {again:.2} s")
            }
            Self::Full { crowd: Crowd::Tenant, most, .. } => {
                write!(f, "{most} calls of this tenant wait already; again in {again:.2} s")
            }
            Self::Shed { waited, .. } => write!(
                f,
                "gave way to a call of higher priority after {:.2} s; again in {again:.2} s",
                waited.as_secs_f64()
            ),
            Self::Predicted { wait } => {
                write!(f, "the wait would be {:.2} s, longer than the deadline allows", wait.as_secs_f64())
            }
            Self::TimedOut { waited, .. } => {
                write!(f, "still waiting after {:.2} s; again in {again:.2} s", waited.as_secs_f64())
            }
        }
    }
}
