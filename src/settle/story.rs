//! The story of one call while it runs: the receipt in the making, told exactly once.

use std::sync::Arc;
use std::time::Duration;

use super::{AttemptLine, Open, Receipt, Totals};
use crate::admit::{AttemptPermit, CallPermit};
use crate::call::Operation;
use crate::chat::estimate;
use crate::chat::event::StreamState;
use crate::chat::facts::Facts;
use crate::chat::reply::ReplyFacts;
use crate::chat::usage::Usage;
use crate::clock::{self, Instant};
use crate::defect;
use crate::engine::Engine;
use crate::error::{Attempt, Error, Kind, Subject};
use crate::provider::price::{Extent, Nano};
use crate::route::{Candidate, Plan, defaults};
use crate::send::Limits;
use crate::send::attempt::Trace;
use crate::send::stream::Opening;

/// A receipt in the making. Dropped untold, the call was cancelled.
#[derive(Debug)]
pub struct Story {
    engine: Arc<Engine>,
    began: Instant,
    /// When the last attempt began.
    attempt_began: Instant,
    /// The same on the calendar, for prices that change by the hour.
    began_at: Duration,
    receipt: Receipt,
    /// The prompt's estimated tokens, for replies that count nothing.
    input: u64,
    /// Images of the prompt.
    images: u64,
    asked: Option<Candidate>,
    operation: Operation,
    told: Option<Arc<Receipt>>,
    /// Given back after the story has been told, so that whoever sees nothing running sees all that has run.
    permit: Option<CallPermit>,
}

impl Story {
    /// A call begins.
    pub fn begin(engine: &Arc<Engine>, operation: &Operation) -> Self {
        Totals::count(&engine.totals().calls);
        Self {
            engine: Arc::clone(engine),
            began: clock::now(),
            attempt_began: clock::now(),
            began_at: clock::wall(),
            receipt: Receipt::default(),
            input: 0,
            images: 0,
            asked: None,
            operation: operation.clone(),
            told: None,
            permit: None,
        }
    }

    /// When the call began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Routing decided.
    pub fn planned(&mut self, plan: &Plan, facts: &Facts) {
        self.receipt.model = Arc::clone(&plan.decision.model);
        self.receipt.rule.clone_from(&plan.decision.rule);
        self.receipt.route = Some(Arc::clone(&plan.decision));
        self.receipt.stream = facts.stream;
        self.input = facts.expected_usage().input;
        self.images = facts.images;
    }

    /// The call was admitted.
    pub fn admitted(&mut self, permit: CallPermit) {
        self.permit = Some(permit);
        defect::at(defect::Stage::Admit);
    }

    /// An attempt came back, well or not.
    pub fn attempted(&mut self, plan: &Plan, candidate: &Candidate, limits: &Limits, trace: Trace) {
        let deployment = &candidate.deployment;
        self.receipt.deployment = Arc::clone(&deployment.name);
        self.receipt.degraded = candidate.role.is_below();
        let dropped = defaults::dropped(plan, candidate)
            .map(|name| format!("the default `{name}` was not sent: {} refuses it", deployment.name));
        self.receipt.notes = dropped.chain(deployment.heir()).chain(deployment.transport.note()).collect();
        self.receipt.provider.clone_from(&deployment.provider);
        self.asked = Some(candidate.clone());
        self.attempt_began = limits.started;
        self.receipt.upstream_model.clone_from(&deployment.model);
        let queue = limits.started.saturating_duration_since(self.began);
        let timings = &mut self.receipt.timings;
        timings.queue = Some(queue.as_secs_f64());
        timings.connect = trace.connected_in.map(|wait| wait.as_secs_f64());
        timings.first_byte = trace.first_byte.map(|wait| (queue + wait).as_secs_f64());
        if trace.repeated {
            self.receipt.transparent_retries += 1;
            Totals::count(&self.engine.totals().transparent_retries);
        }
    }

    /// A whole reply: settles its attempt and tells the story.
    pub fn answered(
        mut self,
        history: &[Attempt],
        found: &ReplyFacts,
        permit: &mut AttemptPermit,
    ) -> Arc<Receipt> {
        defect::at(defect::Stage::Settle);
        self.receipt.attempts = history.iter().map(AttemptLine::from).collect();
        self.receipt.request_id = history.last().and_then(|attempt| attempt.request_id.clone());
        self.receipt.warnings.extend(found.warnings.names());
        let usage = self.usage(found.usage, found.usage_invalid, found.output_bytes);
        permit.settle(&usage);
        self.wrote(&usage);
        Totals::count(&self.engine.totals().succeeded);
        self.tell("ok")
    }

    /// A stream has committed: the story goes on with it.
    pub fn streaming(&mut self, history: &[Attempt], opening: &Opening) {
        self.receipt.attempts = history.iter().map(AttemptLine::from).collect();
        self.receipt.request_id = history.last().and_then(|attempt| attempt.request_id.clone());
        let queue = self.receipt.timings.queue.unwrap_or_default();
        self.receipt.timings.first_token =
            opening.first_token.map(|wait: Duration| queue + wait.as_secs_f64());
    }

    /// Counts a stream that was handed out.
    pub fn open_stream(&self) -> Open {
        self.engine.gauges().streams.enter()
    }

    /// What an error of the last attempt is about.
    pub fn subject(&self) -> Subject {
        let asked = self.asked.as_ref();
        asked.map(|asked| asked.deployment.subject(&self.receipt.model, &self.operation)).unwrap_or_default()
    }

    /// A stream ended properly.
    pub fn stream_ended(&mut self, state: &StreamState, permit: &mut AttemptPermit) {
        defect::at(defect::Stage::Settle);
        let usage = self.stream_settled(state, permit);
        self.wrote(&usage);
        if let Some(asked) = &self.asked {
            asked.deployment.live.completed();
        }
        if !state.done() {
            Totals::count(&self.engine.totals().missing_done);
        }
        Totals::count(&self.engine.totals().succeeded);
        self.tell("ok");
    }

    /// A stream broke after commit.
    pub fn stream_failed(&mut self, error: &Error, state: &StreamState, permit: &mut AttemptPermit) {
        self.stream_settled(state, permit);
        self.relapsed(error);
        self.fail(error);
    }

    /// The caller left a stream before its end.
    pub fn stream_dropped(&mut self, state: &StreamState, permit: &mut AttemptPermit) {
        if self.told.is_none() {
            self.stream_settled(state, permit);
            self.cancel();
        }
    }

    /// The call failed.
    pub fn failed(mut self, error: &Error) {
        self.receipt.attempts = error.attempts().iter().map(AttemptLine::from).collect();
        self.fail(error);
    }

    /// The receipt: complete once the story has been told, until then as far as it goes.
    pub fn receipt(&self) -> Arc<Receipt> {
        self.told.clone().unwrap_or_else(|| Arc::new(self.receipt.clone()))
    }

    fn stream_settled(&mut self, state: &StreamState, permit: &mut AttemptPermit) -> Usage {
        self.receipt.warnings.extend(state.warnings().names());
        let usage = self.usage(state.usage(), state.usage_invalid(), state.output_bytes());
        permit.settle(&usage);
        usage
    }

    /// The length of a complete answer, for what the next one may cost.
    fn wrote(&self, usage: &Usage) {
        if let Some(asked) = self.asked.as_ref().filter(|_| self.operation.names_model()) {
            asked.deployment.live.wrote(usage.output);
        }
    }

    /// A stream that breaks was no success after all.
    fn relapsed(&self, error: &Error) {
        if let (Some(asked), Ok(snapshot)) = (&self.asked, self.engine.snapshot()) {
            let took = clock::now().saturating_duration_since(self.attempt_began);
            asked.relapse(error.kind(), took, &snapshot.routing.ejection);
        }
    }

    /// The provider's count, or an estimate that says so.
    fn usage(&mut self, counted: Option<Usage>, invalid: bool, output_bytes: usize) -> Usage {
        if invalid {
            Totals::count(&self.engine.totals().usage_invalid);
        }
        let usage = counted.filter(|_| !invalid).unwrap_or_else(|| {
            let output = estimate::tokens(output_bytes);
            Usage {
                input: self.input,
                output,
                total: self.input + output,
                estimated: true,
                invalid,
                ..Usage::default()
            }
        });
        self.receipt.usage = Some(usage);
        self.price(&usage);
        usage
    }

    /// What it cost: the provider's own word, else its tokens at known prices.
    fn price(&mut self, usage: &Usage) {
        let told = usage.cost_usd.map(Nano::from_usd);
        let cost =
            told.or_else(|| self.asked.as_ref()?.deployment.prices.as_ref()?.cost(usage, &self.extent()));
        self.receipt.cost_usd = usage.cost_usd.or(cost.map(Nano::as_usd));
        self.receipt.cost_estimated = cost.is_some() && usage.estimated;
        if self.operation.names_model() {
            self.engine.totals().spend(cost);
        }
    }

    fn extent(&self) -> Extent {
        let took = clock::now().saturating_duration_since(self.began);
        Extent { images: self.images, took, at: self.began_at }
    }

    fn fail(&mut self, error: &Error) {
        Totals::count(&self.engine.totals().failed);
        self.tell(&format!("{:?}", error.kind()));
    }

    fn cancel(&mut self) {
        // What unwinds is a defect of ours, not a caller who left.
        if std::thread::panicking() {
            Totals::count(&self.engine.totals().failed);
            self.tell(&format!("{:?}", Kind::Internal));
            return;
        }
        Totals::count(&self.engine.totals().cancelled);
        self.tell("cancelled");
    }

    fn tell(&mut self, outcome: &str) -> Arc<Receipt> {
        outcome.clone_into(&mut self.receipt.outcome);
        let total = clock::now().saturating_duration_since(self.began);
        self.receipt.timings.total = Some(total.as_secs_f64());
        let receipt = Arc::new(std::mem::take(&mut self.receipt));
        self.told = Some(Arc::clone(&receipt));
        self.engine.tell(&receipt);
        receipt
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if self.told.is_none() {
            self.cancel();
        }
    }
}
