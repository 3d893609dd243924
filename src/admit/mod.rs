//! May this start now? Two permits: one for the call, one for every attempt.
//!
//! A [`CallPermit`] is taken once, however many attempts follow; an [`AttemptPermit`] belongs to one upstream
//! request and settles exactly once, at the latest when it is dropped. So far both are always granted: limits and
//! budgets will be refusals here, and nowhere else.

mod flood;
pub mod priority;
mod purse;

use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use flood::Flood;
pub use purse::Purse;

use crate::chat::usage::Usage;
use crate::error::Kind;
use crate::live;
use crate::settle::{Gauges, Open, Totals};

/// The answer to a request for a permit.
#[derive(Debug)]
pub enum Admission<P> {
    /// Go ahead; dropping the permit gives everything back.
    Granted(P),
}

/// Admission of one call.
#[derive(Debug)]
pub struct CallPermit {
    _open: Open,
}

/// Admits a call.
pub fn call(gauges: &Gauges) -> Admission<CallPermit> {
    Admission::Granted(CallPermit { _open: gauges.calls.enter() })
}

/// Admission of one attempt, with the duty to settle.
#[derive(Debug)]
pub struct AttemptPermit {
    totals: Arc<Totals>,
    live: Arc<live::Deployment>,
    reserved: Usage,
    settled: bool,
    _open: Open,
}

/// Admits an attempt that is expected to use `reserved`.
pub fn attempt(
    gauges: &Gauges,
    totals: &Arc<Totals>,
    live: &Arc<live::Deployment>,
    reserved: Usage,
) -> Admission<AttemptPermit> {
    live.in_flight.fetch_add(1, Ordering::Relaxed);
    Totals::count(&totals.attempts);
    Admission::Granted(AttemptPermit {
        totals: Arc::clone(totals),
        live: Arc::clone(live),
        reserved,
        settled: false,
        _open: gauges.attempts.enter(),
    })
}

impl AttemptPermit {
    /// Books what the attempt used. Only the first call counts.
    pub fn settle(&mut self, usage: &Usage) {
        if !std::mem::replace(&mut self.settled, true) {
            self.totals.book(usage);
        }
    }

    /// Books an attempt that failed: nothing where no work was done, else the prompt as estimated.
    pub fn settle_failed(&mut self, kind: Kind) {
        let usage = if kind.may_have_worked() { self.reserved } else { Usage::default() };
        self.settle(&usage);
    }
}

impl Drop for AttemptPermit {
    fn drop(&mut self) {
        // Cancelled before anyone could tell: the estimate stands.
        let reserved = self.reserved;
        self.settle(&reserved);
        self.live.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
