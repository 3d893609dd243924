//! What admission gave out. Both permits give back what they hold when they are dropped.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::lines::Lines;
use super::needs::Needs;
use super::purse::Taken;
use crate::chat::usage::Usage;
use crate::clock::{self, Instant};
use crate::engine::Engine;
use crate::error::{Blow, Failure, Kind};
use crate::live::Form;
use crate::live::breaker::{Pass, Transition};
use crate::live::learned;
use crate::provider::limit_headers::LimitView;
use crate::provider::presets::Preset;
use crate::provider::price::Nano;
use crate::route::{Candidate, Deployment};
use crate::send::attempt::Landed;
use crate::settle::metrics::Metrics;
use crate::settle::{Gauges, Open, Totals};
use crate::store::{Hold, Limit, Measure, Store};

/// Admission of one call: its requests and slots under the limits of whoever calls, charged once.
#[derive(Debug)]
pub struct CallPermit {
    holds: Vec<(Arc<dyn Store>, Hold)>,
    _open: Open,
}

impl CallPermit {
    /// A call that exists, before anything was reserved for it.
    pub fn new(gauges: &Gauges) -> Self {
        Self { holds: Vec::new(), _open: gauges.calls.enter() }
    }

    /// Keeps what was reserved with an attempt for the whole call.
    pub fn keep(&mut self, store: &Arc<dyn Store>, hold: Hold) {
        self.holds.push((Arc::clone(store), hold));
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        for (store, hold) in self.holds.drain(..) {
            // The call was made, whatever became of it.
            store.settle(hold, &mut |_, reserved| reserved);
        }
    }
}

/// What an attempt used, in the terms of limits.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    requests: u64,
    usage: Usage,
    cost: Option<Nano>,
}

/// Admission of one attempt, with the duty to settle.
#[derive(Debug)]
pub struct AttemptPermit {
    totals: Arc<Totals>,
    /// Where it is told what it cost that no answer tells of.
    metrics: Option<Arc<Metrics>>,
    deployment: Arc<Deployment>,
    /// Those who wait for what it gives back.
    lines: Arc<Lines>,
    reserved: Usage,
    hold: Option<(Arc<dyn Store>, Hold)>,
    pass: Option<Pass>,
    learned: Option<learned::Taken>,
    taken: Option<Taken>,
    /// Is it made with a key of a tenant's or a call's own?
    is_guests: bool,
    /// Has its request gone out?
    begun: bool,
    /// When, as long as it is waited for.
    waited_for: Option<Instant>,
    settled: bool,
    _open: Open,
}

impl AttemptPermit {
    /// An attempt that is expected to use so much, before anything holds room for it.
    pub fn new(engine: &Engine, candidate: &Candidate, needs: &Needs) -> Self {
        let deployment = Arc::clone(&candidate.deployment);
        deployment.live.in_flight.fetch_add(1, Ordering::Relaxed);
        Self {
            totals: Arc::clone(engine.totals()),
            metrics: engine.recorded().cloned(),
            deployment,
            lines: Arc::clone(&engine.live().lines),
            is_guests: candidate.credential.is_guests(),
            reserved: needs.usage,
            hold: None,
            pass: None,
            learned: None,
            taken: None,
            begun: false,
            waited_for: None,
            settled: false,
            _open: engine.gauges().attempts.enter(),
        }
    }

    /// With room in the store.
    #[must_use]
    pub fn holding(mut self, store: &Arc<dyn Store>, hold: Option<Hold>) -> Self {
        self.hold = hold.map(|hold| (Arc::clone(store), hold));
        self
    }

    /// With the breaker's pass.
    #[must_use]
    pub fn passed(mut self, pass: Option<Pass>) -> Self {
        self.pass = pass;
        self
    }

    /// With room in what the provider has told of its limits.
    #[must_use]
    pub fn learning(mut self, learned: Option<learned::Taken>) -> Self {
        self.learned = learned;
        self
    }

    /// With money out of a purse.
    #[must_use]
    pub fn paying(mut self, taken: Option<Taken>) -> Self {
        self.taken = taken;
        self
    }

    /// The request goes out now: from here on it may have been counted upstream.
    pub fn begin(&mut self, form: Form) {
        let now = clock::now();
        self.begun = true;
        self.waited_for = Some(now);
        self.deployment.live.sent(form, now);
        Totals::count(&self.totals.attempts);
        if let Some(pass) = &mut self.pass {
            pass.sent(now);
        }
    }

    /// What became of it is told to the breaker, and with `told`, the limits its response told, to what is learned of
    /// the provider's limits. The beginning of a stream is an answer, not yet a complete one.
    pub fn judged(&mut self, outcome: &Result<Landed, Failure>, told: &[LimitView]) -> Option<Transition> {
        let now = clock::now();
        if let Some(sent) = self.waited_for.take() {
            match outcome {
                Err(failure) if failure.status.is_none() => self.deployment.live.unheard(sent),
                _ => self.deployment.live.heard(sent),
            }
        }
        if let Some(learned) = &mut self.learned {
            match outcome {
                Err(failure) if failure.kind == Kind::RateLimit => {
                    learned.throttled(told, self.deployment.terms, now);
                }
                Err(_) => learned.heard(told, now),
                Ok(_) => {
                    learned.heard(told, now);
                    learned.answered(self.deployment.terms, now);
                }
            }
            if matches!(outcome, Ok(Landed::Stream(_))) && !told.is_empty() {
                self.lines.wake();
            }
        }
        match outcome {
            Ok(Landed::Stream(_)) => self.pass.as_mut()?.answered(now),
            Ok(Landed::Whole { .. }) => self.completed(),
            Err(failure) => self.broke(failure),
        }
    }

    /// The answer is complete.
    pub fn completed(&mut self) -> Option<Transition> {
        self.pass.take()?.succeeded(clock::now())
    }

    /// The attempt failed, or its stream broke.
    pub fn broke(&mut self, failure: &Failure) -> Option<Transition> {
        let kind = failure.root();
        let blow = match kind.rule().breaker {
            // A limit of theirs is nobody else's.
            Blow::Ratio if self.is_guests => Blow::None,
            blow => blow,
        };
        self.pass.take()?.failed(blow, kind, failure.retry_after, clock::now())
    }

    /// Books what the attempt used and cost. Only the first call counts.
    pub fn settle(&mut self, usage: &Usage, cost: Option<Nano>) {
        self.close(usage, Used { requests: 1, usage: *usage, cost });
    }

    /// Books an attempt that failed: nothing where nothing was sent, the request where it was refused, else the prompt
    /// as estimated too.
    pub fn settle_failed(mut self, kind: Kind) {
        if kind.was_never_sent() {
            self.close(&Usage::default(), Used::nothing());
        } else if kind.may_have_worked() {
            self.close_read();
        } else {
            self.close(&Usage::default(), Used { requests: 1, ..Used::nothing() });
        }
    }

    /// The prompt was read, and nothing came of it.
    fn close_read(&mut self) {
        if self.settled {
            return;
        }
        let input = self.reserved.input;
        let prompt = Usage { output: 0, total: input, ..self.reserved };
        let cost = self.deployment.prices.as_ref().and_then(|prices| prices.expected(input, 0));
        if cost.is_some() {
            self.totals.spend(cost);
        }
        if let Some(metrics) = &self.metrics {
            metrics.deployments.of([&*self.deployment.name]).value.spent.add(&prompt, cost);
        }
        self.close(&prompt, Used { requests: 1, usage: prompt, cost });
    }

    fn close(&mut self, booked: &Usage, used: Used) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        if self.begun {
            self.totals.book(booked);
        }
        let preset = self.deployment.preset;
        let frees = self.learned.take().is_some_and(|learned| match used.requests {
            // Dropped, all of it goes back.
            0 => true,
            _ => learned.settle(used.learned(preset), clock::now()),
        });
        if let Some((store, hold)) = self.hold.take() {
            store.settle(hold, &mut |limit, reserved| used.of(limit, reserved, preset));
        }
        if frees {
            self.lines.wake();
        }
        if let Some(taken) = self.taken.take() {
            match used.cost {
                Some(cost) => taken.spend(cost),
                None => taken.keep(),
            }
        }
    }
}

impl Used {
    fn nothing() -> Self {
        Self { cost: Some(Nano(0)), ..Self::default() }
    }

    fn learned(&self, preset: &Preset) -> learned::Needs {
        let Self { requests, usage, .. } = self;
        learned::Needs {
            requests: *requests,
            input: preset.counted_input(usage),
            output: usage.billed_output(),
            images: 0,
        }
    }

    fn of(&self, limit: &Limit, reserved: u64, preset: &Preset) -> u64 {
        let Self { requests, usage, cost } = self;
        let input = preset.counted_input(usage);
        match limit.measure {
            Measure::Requests => *requests,
            Measure::Tokens => input.saturating_add(usage.billed_output()),
            Measure::InputTokens => input,
            Measure::OutputTokens => usage.billed_output(),
            // What nobody can tell stays as it was expected.
            Measure::Cost => cost.map_or(reserved, |Nano(nanos)| nanos),
            Measure::Concurrency => 0,
        }
    }
}

impl Drop for AttemptPermit {
    fn drop(&mut self) {
        if self.begun {
            // Cancelled before anyone could tell what came of it.
            self.close_read();
        } else {
            self.close(&Usage::default(), Used::nothing());
        }
        if let Some(sent) = self.waited_for.take() {
            self.deployment.live.unheard(sent);
        }
        self.deployment.live.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
