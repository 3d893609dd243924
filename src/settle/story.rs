//! The story of one call while it runs: the receipt in the making, told exactly once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::metrics::{End, Recorder};
use super::{AttemptLine, Open, Receipt, Totals};
use crate::admit::{AttemptPermit, CallPermit, Entry};
use crate::call::{Call, Operation};
use crate::chat::estimate::{self, Prompt};
use crate::chat::event::StreamState;
use crate::chat::facts::Facts;
use crate::chat::reply::ReplyFacts;
use crate::chat::thoughts::Thoughts;
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
use crate::store::Store;

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
    /// What of the prompt becomes tokens.
    prompt: Prompt,
    /// How long it has stood in line, once it was admitted.
    waited: Option<Duration>,
    /// Images of the prompt.
    images: u64,
    /// Do messages carry the reasoning of earlier turns?
    reasoned: bool,
    /// The request, until routing decided.
    body: Bytes,
    /// Defaults that some deployment refuses and the request says for itself.
    overridden: Vec<String>,
    asked: Option<Candidate>,
    operation: Operation,
    told: Option<Arc<Receipt>>,
    /// What operators are told.
    pub(crate) recorder: Recorder,
    /// Given back once the story has been told, so that whoever sees nothing running sees all that has run.
    permit: Option<CallPermit>,
}

impl Story {
    /// A call begins.
    pub fn begin(engine: &Arc<Engine>, call: &Call) -> Self {
        Totals::count(&engine.totals().calls);
        Self {
            engine: Arc::clone(engine),
            began: clock::now(),
            attempt_began: clock::now(),
            began_at: clock::wall(),
            receipt: Receipt::default(),
            prompt: Prompt::default(),
            waited: None,
            images: 0,
            reasoned: false,
            body: call.body.clone(),
            overridden: Vec::new(),
            asked: None,
            operation: call.operation.clone(),
            told: None,
            recorder: Recorder::begin(engine.recorded(), call.options.tenant.as_deref()),
            permit: Some(CallPermit::new(engine.gauges())),
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
        self.recorder.planned(&self.receipt.model, self.receipt.rule.as_deref());
        self.prompt = facts.prompt;
        self.images = facts.images;
        self.reasoned = facts.reasoned.is_some();
        self.overridden = defaults::overridden(facts, plan, &std::mem::take(&mut self.body));
    }

    /// An attempt was admitted, and with the first one the call.
    pub fn entered(&mut self, store: &Arc<dyn Store>, entry: Entry) -> (usize, AttemptPermit) {
        if let (Some(permit), Some(hold)) = (&mut self.permit, entry.call) {
            permit.keep(store, hold);
        }
        self.waited = Some(entry.waited);
        self.receipt.timings.waited = (!entry.waited.is_zero()).then_some(entry.waited.as_secs_f64());
        defect::at(defect::Stage::Admit);
        (entry.position, entry.permit)
    }

    /// An attempt came back, well or not.
    pub fn attempted(&mut self, plan: &Plan, candidate: &Candidate, limits: &Limits, trace: &Trace) {
        let deployment = &candidate.deployment;
        self.receipt.deployment = Arc::clone(&deployment.name);
        self.receipt.degraded = candidate.role.is_below();
        let dropped = defaults::dropped(plan, candidate)
            .filter(|name| !self.overridden.iter().any(|own| own == name))
            .map(|name| format!("the default `{name}` was not sent: {} refuses it", deployment.name));
        let refused = self.reasoned && deployment.preset.thoughts == Thoughts::Refused;
        let unthought = refused
            .then(|| format!("the reasoning of earlier turns was not sent: {} refuses it", deployment.name));
        let others = [unthought, deployment.heir(), deployment.transport.note()];
        self.receipt.notes = dropped.chain(others.into_iter().flatten()).collect();
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
        let (usage, cost) = self.usage(found.usage, found.usage_invalid, found.output_bytes);
        permit.settle(&usage, cost);
        self.wrote(&usage);
        self.recorder.answered(self.took(), history, self.waited.unwrap_or_default());
        Totals::count(&self.engine.totals().succeeded);
        self.tell("ok", End::Answered)
    }

    /// A stream has committed: the story goes on with it.
    pub fn streaming(&mut self, history: &[Attempt], opening: &Opening) {
        self.receipt.attempts = history.iter().map(AttemptLine::from).collect();
        self.receipt.request_id = history.last().and_then(|attempt| attempt.request_id.clone());
        let queue = self.receipt.timings.queue.unwrap_or_default();
        self.receipt.timings.first_token =
            opening.first_token.map(|wait: Duration| queue + wait.as_secs_f64());
        let took = self.took();
        self.recorder.answered(took, history, self.waited.unwrap_or_default());
        self.recorder.first_token(took);
    }

    /// A piece of a stream is handed out.
    pub fn piece(&mut self) {
        self.recorder.piece(clock::now());
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
            self.engine.changed(&asked.deployment, permit.completed());
        }
        if !state.done() {
            Totals::count(&self.engine.totals().missing_done);
        }
        Totals::count(&self.engine.totals().succeeded);
        self.tell("ok", End::Answered);
    }

    /// A stream broke after commit.
    pub fn stream_failed(&mut self, error: &Error, state: &StreamState, permit: &mut AttemptPermit) {
        self.stream_settled(state, permit);
        if let Some(asked) = &self.asked {
            self.engine.changed(&asked.deployment, permit.broke(error.failure()));
        }
        self.relapsed(error);
        self.recorder.broke(error.failure());
        self.fail(error);
    }

    /// The caller left a stream before its end.
    pub fn stream_dropped(&mut self, state: &StreamState, permit: &mut AttemptPermit) {
        self.stream_settled(state, permit);
        self.cancel();
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
        let so_far = |usage: Usage| usage.so_far(estimate::tokens(state.output_bytes()));
        let counted = if state.finished() { state.usage() } else { state.usage().map(so_far) };
        let (usage, cost) = self.usage(counted, state.usage_invalid(), state.output_bytes());
        permit.settle(&usage, cost);
        usage
    }

    /// The length of a complete answer, for what the next one may cost.
    fn wrote(&self, usage: &Usage) {
        if let Some(asked) = self.asked.as_ref().filter(|_| self.operation.names_model()) {
            asked.deployment.live.wrote(usage.billed_output());
        }
    }

    /// A stream that breaks was no success after all.
    fn relapsed(&self, error: &Error) {
        if let (Some(asked), Ok(snapshot)) = (&self.asked, self.engine.snapshot()) {
            let took = clock::now().saturating_duration_since(self.attempt_began);
            asked.relapse(error.failure(), took, &snapshot.routing.ejection);
        }
    }

    /// The provider's count, or an estimate that says so.
    fn usage(&mut self, counted: Option<Usage>, invalid: bool, output_bytes: usize) -> (Usage, Option<Nano>) {
        if invalid {
            Totals::count(&self.engine.totals().usage_invalid);
        }
        let counted = counted.filter(|_| !invalid);
        if let (Some(usage), Some(asked)) = (&counted, &self.asked) {
            asked.deployment.counted(&self.prompt, usage);
        }
        let usage = counted.unwrap_or_else(|| {
            let input = self.asked.as_ref().map_or(0, |asked| asked.deployment.tokens(&self.prompt));
            let output = estimate::tokens(output_bytes);
            Usage { input, output, total: input + output, estimated: true, invalid, ..Usage::default() }
        });
        self.receipt.usage = Some(usage);
        let cost = self.price(&usage);
        if self.operation.names_model() {
            self.recorder.used(&usage, cost);
        }
        (usage, cost)
    }

    /// What it cost: the provider's own word, else its tokens at known prices.
    fn price(&mut self, usage: &Usage) -> Option<Nano> {
        let told = usage.cost_usd.map(Nano::from_usd);
        let cost =
            told.or_else(|| self.asked.as_ref()?.deployment.prices.as_ref()?.cost(usage, &self.extent()));
        self.receipt.cost_usd = usage.cost_usd.or(cost.map(Nano::as_usd));
        self.receipt.cost_estimated = cost.is_some() && usage.estimated;
        if self.operation.names_model() {
            self.engine.totals().spend(cost);
        }
        cost
    }

    fn extent(&self) -> Extent {
        Extent { images: self.images, took: self.took(), at: self.began_at }
    }

    fn fail(&mut self, error: &Error) {
        Totals::count(&self.engine.totals().failed);
        self.tell(error.kind().name(), End::Failed(error.kind(), error.retry_denied()));
    }

    fn cancel(&mut self) {
        // What unwinds is a defect of ours, not a caller who left.
        if std::thread::panicking() {
            Totals::count(&self.engine.totals().failed);
            self.tell(Kind::Internal.name(), End::Failed(Kind::Internal, None));
            return;
        }
        Totals::count(&self.engine.totals().cancelled);
        self.tell("cancelled", End::Cancelled);
    }

    fn took(&self) -> Duration {
        clock::now().saturating_duration_since(self.began)
    }

    fn tell(&mut self, outcome: &str, end: End<'_>) -> Arc<Receipt> {
        outcome.clone_into(&mut self.receipt.outcome);
        let total = self.took();
        self.receipt.timings.total = Some(total.as_secs_f64());
        self.recorder.over(end, total, self.waited);
        let receipt = Arc::new(std::mem::take(&mut self.receipt));
        self.told = Some(Arc::clone(&receipt));
        self.engine.tell(&receipt);
        self.permit = None;
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
