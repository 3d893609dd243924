//! What one call writes into the metrics, as its story goes.

use std::sync::Arc;
use std::time::Duration;

use super::class::{self, Class};
use super::meters::{DeploymentMeter, ModelMeter, TenantMeter};
use super::series::Entry;
use super::{Metrics, count};
use crate::chat::usage::Usage;
use crate::clock::Instant;
use crate::error::{Attempt, Failure, Kind};
use crate::provider::price::Nano;
use crate::send::attempt::Landed;
use crate::settle::Open;

/// The label of a call that names no model.
const NONE: &str = "none";

/// What one call writes; nothing where the stage `settle` is off.
#[derive(Debug)]
pub struct Recorder {
    metrics: Option<Arc<Metrics>>,
    model: Option<Arc<Entry<ModelMeter, 1>>>,
    tenant: Option<Arc<Entry<TenantMeter, 1>>>,
    /// Who was asked last.
    deployment: Option<Arc<Entry<DeploymentMeter, 1>>>,
    /// The attempt that has not ended.
    running: Option<Running>,
    /// What the attempt before it failed with, until it is known how the retry went.
    before: Option<Kind>,
    /// When the last piece of a stream came.
    piece: Option<Instant>,
}

#[derive(Debug)]
struct Running {
    began: Instant,
    status: Option<u16>,
    _open: Open,
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// It answered.
    Answered,
    /// It raised this; no further attempt was made for this reason.
    Failed(Kind, Option<&'a str>),
    /// The caller gave it up.
    Cancelled,
}

impl Recorder {
    /// A call begins.
    pub fn begin(metrics: Option<&Arc<Metrics>>, tenant: Option<&str>) -> Self {
        Self {
            metrics: metrics.cloned(),
            model: None,
            tenant: metrics.and_then(|metrics| metrics.tenant(tenant)),
            deployment: None,
            running: None,
            before: None,
            piece: None,
        }
    }

    /// Routing decided.
    pub fn planned(&mut self, model: &str, rule: Option<&str>) {
        let Some(metrics) = &self.metrics else { return };
        self.model = Some(metrics.models.of([if model.is_empty() { NONE } else { model }]));
        if let Some(rule) = rule {
            count(&metrics.rules.of([rule]).value);
        }
    }

    /// An attempt begins.
    pub fn begins(&mut self, deployment: &str, now: Instant) {
        let Some(metrics) = &self.metrics else { return };
        let meter = metrics.deployments.of([deployment]);
        self.running = Some(Running { began: now, status: None, _open: meter.value.in_flight.enter() });
        self.deployment = Some(meter);
    }

    /// An attempt came back. With a stream it has only begun.
    pub fn attempted(&mut self, outcome: &Result<Landed, Failure>, now: Instant) {
        self.retried(if outcome.is_ok() { "ok" } else { "failed" });
        match outcome {
            Ok(Landed::Whole { status, .. }) => self.ended(Class::Ok, Some(*status), now),
            Ok(Landed::Stream(opening)) => {
                if let Some(running) = &mut self.running {
                    running.status = Some(opening.status);
                }
                self.piece = Some(now);
                if let (Some(meter), Some(wait)) = (&self.deployment, opening.first_token) {
                    meter.value.first_token.took(wait);
                    meter.value.first_latency.record(wait);
                }
            }
            Err(failure) => self.failed(failure, now),
        }
    }

    /// The running attempt failed, or its stream broke.
    pub fn failed(&mut self, failure: &Failure, now: Instant) {
        self.before = Some(failure.kind);
        if failure.kind != Kind::Deadline {
            self.timed_out(failure.kind);
        }
        self.ended(Class::of(failure.kind), failure.status, now);
    }

    /// Another piece of a stream came.
    pub fn piece(&mut self, now: Instant) {
        if let (Some(meter), Some(last)) = (&self.deployment, self.piece.replace(now)) {
            meter.value.gaps.took(now.saturating_duration_since(last));
        }
    }

    /// A stream ended well, or nobody waits for the attempt any more.
    pub fn closed(&mut self, class: Class, now: Instant) {
        let status = self.running.as_ref().and_then(|running| running.status);
        self.ended(class, status, now);
    }

    /// What an answer used, as far as it came.
    pub fn used(&self, usage: &Usage, cost: Option<Nano>) {
        if self.metrics.is_none() {
            return;
        }
        if let Some(meter) = &self.deployment {
            meter.value.spent.add(usage, cost);
        }
        if let Some(meter) = &self.tenant {
            meter.value.spent.add(usage, cost);
        }
        if let Some(meter) = &self.model {
            meter.value.input.observe(usage.input);
            meter.value.output.observe(usage.output);
        }
    }

    /// A call answered, or its stream has begun, so long after it began. What went before it: its attempts, and
    /// standing in line.
    pub fn answered(&self, after: Duration, history: &[Attempt], waited: Duration) {
        let Some(metrics) = &self.metrics else { return };
        let elsewhere = history.iter().map(|attempt| attempt.duration + attempt.backoff).sum::<Duration>();
        metrics.overhead.took(after.saturating_sub(elsewhere + waited));
    }

    /// The first content of a stream came so long after its call began.
    pub fn first_token(&self, after: Duration) {
        if let Some(metrics) = &self.metrics {
            metrics.first_token.record(after);
        }
    }

    /// The call is over; `waited` is how long it stood in line, where it was admitted.
    pub fn over(&mut self, end: End<'_>, took: Duration, waited: Option<Duration>, now: Instant) {
        let Some(metrics) = self.metrics.clone() else { return };
        if matches!(end, End::Cancelled) && self.running.is_some() {
            self.retried("cancelled");
            self.closed(Class::Cancelled, now);
        }
        let model = self.model.get_or_insert_with(|| metrics.models.of([NONE]));
        let meter = &model.value;
        if let Some(waited) = waited {
            meter.queue.took(waited);
        }
        let tenant = self.tenant.as_ref().map(|tenant| &tenant.value);
        match end {
            End::Answered => {
                count(&meter.ok);
                tenant.inspect(|tenant| count(&tenant.ok));
                metrics.latency.record(took);
            }
            End::Cancelled => {
                count(&meter.cancelled);
                tenant.inspect(|tenant| count(&tenant.cancelled));
                return;
            }
            End::Failed(kind, denied) => {
                count(&meter.failures.of([&class::snake(kind)]).value);
                tenant.inspect(|tenant| count(&tenant.failed));
                if let Some(why) = denied {
                    count(&metrics.denied.of([why]).value);
                }
            }
        }
        meter.durations.took(took);
        if let End::Failed(kind @ (Kind::Deadline | Kind::QueueTimeout), _) = end {
            self.timed_out(kind);
        }
    }

    fn ended(&mut self, class: Class, status: Option<u16>, now: Instant) {
        let (Some(running), Some(meter)) = (self.running.take(), &self.deployment) else { return };
        let took = now.saturating_duration_since(running.began);
        meter.value.outcomes.count(class, status.or(running.status));
        meter.value.durations.took(took);
        if class == Class::Ok {
            meter.value.latency.record(took);
        }
    }

    fn retried(&mut self, ended: &str) {
        if let (Some(metrics), Some(before)) = (&self.metrics, self.before.take()) {
            count(&metrics.retries.of([Class::of(before).name(), ended]).value);
        }
    }

    fn timed_out(&self, kind: Kind) {
        if let (Some(metrics), Some(phase)) = (&self.metrics, class::phase(kind)) {
            count(&metrics.timeouts.of([phase]).value);
        }
    }
}
