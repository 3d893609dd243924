//! What goes into a breaker and comes out of it for one call.

use std::time::Duration;

use super::transition::{Cause, Transition};
use crate::error::Blow;

/// What a call that was let through is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// It found the breaker closed.
    Regular,
    /// It holds one of the places of a half-open breaker, and decides.
    Probe,
    /// It went out although the breaker is not closed; its answer closes it, its failure tells nothing new.
    Trial,
}

/// What a call that was let through carries: to which state of things its result belongs.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) generation: u64,
    pub(super) errand: Errand,
    /// Has its answer begun?
    pub(super) answered: bool,
}

/// May a call go out?
#[derive(Debug)]
pub(super) enum Entry {
    Open(Ticket, Option<Box<Transition>>),
    NotUntil(Duration),
    Isolated,
}

/// How long a call took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speed {
    Prompt,
    Slow,
}

/// When something became known of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) at: Duration,
    /// How long the call has taken.
    pub(super) speed: Speed,
    /// Uniform in `[0, 1)`, for the open time.
    pub(super) chance: f64,
}

/// How a call failed.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) blow: Blow,
    pub(super) cause: Cause,
    /// The wait that the upstream asked for.
    pub(super) retry_after: Option<Duration>,
}
