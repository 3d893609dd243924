//! One token of one deployment.

use std::sync::Arc;

use bytes::Bytes;

use crate::admit::{CallPermit, Gate};
use crate::call::{Call, CallOptions, Operation};
use crate::chat::facts::Facts;
use crate::chat::usage::Usage;
use crate::clock;
use crate::engine::Engine;
use crate::error::{Error, Failure};
use crate::provider::price::{Extent, Nano};
use crate::retry::course::Course;
use crate::route::{Candidate, Deployment, Group, Plan, Snapshot};
use crate::send::alarm::Due;
use crate::send::attempt::{self, Landed, Trace};

impl Engine {
    /// Asks `deployment` for one token. Its failure is a sentence.
    pub(super) async fn ping(
        &self,
        snapshot: &Snapshot,
        group: &Arc<Group>,
        deployment: &Arc<Deployment>,
        due: Due,
    ) -> Result<(), String> {
        let candidate = Candidate::usable(deployment, group, clock::now())
            .ok_or_else(|| "it has no key of its own".to_owned())?;
        let call = call(&candidate).ok_or_else(|| "it names no model to ask for".to_owned())?;
        let told = |error: Error| error.to_string();
        let facts = call.facts(snapshot.wants()).map_err(told)?;
        let plan = Plan::only(snapshot, &call, candidate).map_err(told)?;
        self.asked(snapshot, (&call, &facts, &plan), due).await
    }

    async fn asked(
        &self,
        snapshot: &Snapshot,
        (call, facts, plan): (&Call, &Facts, &Plan),
        due: Due,
    ) -> Result<(), String> {
        let (failed, told) = (|failure: Failure| failure.message, |error: Error| error.to_string());
        let course = Course::new(plan, snapshot.retry(call, plan), self.rng(), due.at);
        let mut gate = Gate::new(self, snapshot, (call, facts, plan), due.at);
        let entry = gate.enter(&course, 0).await.map_err(failed)?;
        let mut charged = CallPermit::new(self.gauges());
        if let Some(hold) = entry.call {
            charged.keep(self.live().store(), hold);
        }
        // It never begins, as far as totals know; what it used is settled nonetheless.
        let mut permit = entry.permit;
        let candidate = plan.candidate(entry.position).map_err(told)?;
        let pass = candidate.credential.key(due).await.map_err(failed)?;
        let job = snapshot.job(call, facts, plan, (candidate, &pass), due, course.leave()).map_err(told)?;
        match attempt::run(&job, &mut Trace::default()).await {
            Ok(landed) => {
                let usage = used(&landed, candidate, facts);
                let cost = cost(&usage, candidate);
                permit.settle(&usage, cost);
                self.spent(&candidate.deployment, cost);
                Ok(())
            }
            Err(failure) => {
                permit.settle_failed(failure.kind);
                Err(failure.message)
            }
        }
    }

    /// Money is counted, whoever spends it.
    fn spent(&self, deployment: &Deployment, cost: Option<Nano>) {
        if cost.is_some() {
            self.totals().spend(cost);
        }
        if let Some(metrics) = self.recorded() {
            metrics.deployments.of([&*deployment.name]).value.spent.pay(cost);
        }
    }
}

fn call(candidate: &Candidate) -> Option<Call> {
    let model = &candidate.deployment.model;
    if model.is_empty() {
        return None;
    }
    let body = serde_json::json!({
        "model": model,
        "messages": [{"role": "user", "content": "ping"}],
        "max_tokens": 1,
    });
    let options = CallOptions { priority: Some(0), max_retries: Some(0), ..CallOptions::default() };
    Some(Call { operation: Operation::Chat, body: Bytes::from(body.to_string()), options })
}

fn used(landed: &Landed, candidate: &Candidate, facts: &Facts) -> Usage {
    let counted = match landed {
        Landed::Whole { facts, .. } => facts.usage.filter(|_| !facts.usage_invalid),
        Landed::Stream(_) => None,
    };
    counted.unwrap_or_else(|| {
        let input = candidate.deployment.tokens(&facts.prompt);
        Usage { input, output: 1, total: input + 1, estimated: true, ..Usage::default() }
    })
}

fn cost(usage: &Usage, candidate: &Candidate) -> Option<Nano> {
    let extent = Extent { at: clock::wall(), ..Extent::default() };
    let told = usage.cost_usd.map(Nano::from_usd);
    told.or_else(|| candidate.deployment.prices.as_ref()?.cost(usage, &extent))
}
