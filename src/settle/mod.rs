//! What a call cost and who is told.
//!
//! Every attempt settles exactly once, whatever became of it: [`crate::admit::AttemptPermit`] carries the duty and
//! pays it when it is dropped. [`Totals`] are what `stats()` shows, [`metrics`] what operators watch; the [`Receipt`]
//! goes with the reply.

pub mod metrics;
mod receipt;
mod story;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

pub use receipt::{AttemptLine, Receipt, Timings};
pub use story::Story;

use crate::chat::usage::Usage;
use crate::provider::price::Nano;

/// A count of things that exist now.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    /// One more, until the value is dropped.
    pub fn enter(&self) -> Open {
        self.0.fetch_add(1, Ordering::Relaxed);
        Open(self.clone())
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of the things counted; dropping it takes it off the count.
#[derive(Debug)]
pub struct Open(Count);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What exists now. All but the idle connections are zero when nothing is going on.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Calls that have not ended.
    pub calls: Count,
    /// Attempts that have not ended.
    pub attempts: Count,
    /// Streams that were handed out and have not ended.
    pub streams: Count,
    /// Sockets, idle ones included.
    pub connections_open: Count,
    /// Sockets that wait for work.
    pub connections_idle: Count,
}

/// What has happened since the engine was made.
#[derive(Debug, Default)]
pub struct Totals {
    /// Calls begun.
    pub calls: AtomicU64,
    /// Calls that answered.
    pub succeeded: AtomicU64,
    /// Calls that raised.
    pub failed: AtomicU64,
    /// Calls the caller gave up.
    pub cancelled: AtomicU64,
    /// Upstream requests.
    pub attempts: AtomicU64,
    /// Repeats on a fresh connection that count as nothing.
    pub transparent_retries: AtomicU64,
    /// Streams that ended well without `[DONE]`.
    pub missing_done: AtomicU64,
    /// Usage fields that were no counts.
    pub usage_invalid: AtomicU64,
    /// Attempts settled.
    pub settled: AtomicU64,
    /// Prompt tokens.
    pub input_tokens: AtomicU64,
    /// Completion tokens.
    pub output_tokens: AtomicU64,
    /// Tokens in the two above that are estimates.
    pub estimated_tokens: AtomicU64,
    /// What answers cost, in nano-dollars, as far as it is known.
    pub cost_nanos: AtomicU64,
    /// Answers whose cost is not known.
    pub unpriced: AtomicU64,
}

impl Totals {
    /// One more.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Books the usage of one attempt.
    pub fn book(&self, usage: &Usage) {
        self.settled.fetch_add(1, Ordering::Relaxed);
        self.input_tokens.fetch_add(usage.input, Ordering::Relaxed);
        let output = usage.billed_output();
        self.output_tokens.fetch_add(output, Ordering::Relaxed);
        if usage.estimated {
            self.estimated_tokens.fetch_add(usage.input + output, Ordering::Relaxed);
        }
    }

    /// Books what an answer cost; `None` is not known.
    pub fn spend(&self, cost: Option<Nano>) {
        match cost {
            Some(Nano(nanos)) => {
                self.cost_nanos.fetch_add(nanos, Ordering::Relaxed);
            }
            None => Self::count(&self.unpriced),
        }
    }

    /// The numbers as they stand.
    pub fn read(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            calls: read(&self.calls),
            succeeded: read(&self.succeeded),
            failed: read(&self.failed),
            cancelled: read(&self.cancelled),
            attempts: read(&self.attempts),
            transparent_retries: read(&self.transparent_retries),
            missing_done: read(&self.missing_done),
            usage_invalid: read(&self.usage_invalid),
            settled: read(&self.settled),
            input_tokens: read(&self.input_tokens),
            output_tokens: read(&self.output_tokens),
            estimated_tokens: read(&self.estimated_tokens),
            cost_nanos: read(&self.cost_nanos),
            unpriced: read(&self.unpriced),
        }
    }
}

/// A copy of the [`Totals`]; fields as there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "fields as in Totals")]
pub struct Stats {
    pub calls: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub attempts: u64,
    pub transparent_retries: u64,
    pub missing_done: u64,
    pub usage_invalid: u64,
    pub settled: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub estimated_tokens: u64,
    pub cost_nanos: u64,
    pub unpriced: u64,
}
