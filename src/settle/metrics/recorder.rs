//! What one call writes into the metrics, as its story goes, and what each of its attempts does.

use std::sync::Arc;
use std::time::Duration;

use super::class::{self, Class};
use super::meters::{DeploymentMeter, ModelMeter, TenantMeter};
use super::series::Entry;
use super::{Metrics, count};
use crate::chat::usage::Usage;
use crate::clock::{self, Instant};
use crate::error::{Attempt, Failure, Kind};
use crate::provider::price::Nano;
use crate::send::attempt::Landed;
use crate::settle::Open;

/// The label of a call that names no model.
const NONE: &str = "none";

/// What one attempt writes. Dropped before its end, it was cancelled.
#[derive(Debug)]
pub struct Trip {
    meter: Arc<Entry<DeploymentMeter, 1>>,
    began: Instant,
    status: Option<u16>,
    has_ended: bool,
    _open: Open,
}

impl Metrics {
    /// An attempt at `deployment` begins.
    pub fn trip(&self, deployment: &str, began: Instant) -> Trip {
        let meter = self.deployments.of([deployment]);
        let open = meter.value.in_flight.enter();
        Trip { meter, began, status: None, has_ended: false, _open: open }
    }
}

impl Trip {
    fn end(&mut self, class: Class) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let (meter, took) = (&self.meter.value, clock::now().saturating_duration_since(self.began));
        meter.outcomes.count(class, self.status);
        meter.durations.took(took);
        if class == Class::Ok {
            meter.latency.record(took);
        }
    }
}

impl Drop for Trip {
    fn drop(&mut self) {
        self.end(Class::Cancelled);
    }
}

/// What one call writes; nothing where the stage `settle` is off.
#[derive(Debug)]
pub struct Recorder {
    metrics: Option<Arc<Metrics>>,
    model: Option<Arc<Entry<ModelMeter, 1>>>,
    tenant: Option<Arc<Entry<TenantMeter, 1>>>,
    /// The attempt that has answered; a stream has not ended yet.
    trip: Option<Trip>,
    /// What an attempt failed with, and when.
    before: Option<(Kind, Instant)>,
    /// When the last piece of a stream came.
    piece: Option<Instant>,
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
            trip: None,
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

    /// An attempt came back. With a stream it has only begun.
    pub fn attempted(&mut self, trip: Option<Trip>, outcome: &Result<Landed, Failure>) {
        let Some(mut trip) = trip else { return };
        self.retried(trip.began, if outcome.is_ok() { "ok" } else { "failed" });
        match outcome {
            Ok(landed) => {
                trip.status = Some(landed.head().0);
                match landed {
                    Landed::Whole { .. } => trip.end(Class::Ok),
                    Landed::Stream(opening) => {
                        self.piece = Some(clock::now());
                        if let Some(wait) = opening.first_token {
                            trip.meter.value.first_token.took(wait);
                            trip.meter.value.first_latency.record(wait);
                        }
                    }
                }
                self.trip = Some(trip);
            }
            Err(failure) => {
                trip.status = failure.status;
                trip.end(Class::of(failure.kind));
                self.before = Some((failure.kind, clock::now()));
                self.timed_out(failure.kind);
            }
        }
    }

    /// A stream broke after it had begun.
    pub fn broke(&mut self, failure: &Failure) {
        if let Some(trip) = &mut self.trip {
            trip.end(Class::of(failure.root()));
        }
        self.timed_out(failure.kind);
    }

    /// Another piece of a stream came.
    pub fn piece(&mut self, now: Instant) {
        if let (Some(trip), Some(last)) = (&self.trip, self.piece.replace(now)) {
            trip.meter.value.gaps.took(now.saturating_duration_since(last));
        }
    }

    /// What an answer used, as far as it came.
    pub fn used(&self, usage: &Usage, cost: Option<Nano>) {
        if self.metrics.is_none() {
            return;
        }
        if let Some(trip) = &self.trip {
            trip.meter.value.spent.add(usage, cost);
        }
        if let Some(meter) = &self.tenant {
            meter.value.spent.add(usage, cost);
        }
        if let Some(meter) = &self.model {
            meter.value.input.observe(usage.input);
            meter.value.output.observe(usage.output);
        }
    }

    /// A call answered, or its stream has begun, so long after the call began. What is not ours: its attempts with
    /// the waits before them, and standing in line.
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
    pub fn over(&mut self, end: End<'_>, took: Duration, waited: Option<Duration>) {
        let Some(metrics) = self.metrics.take() else { return };
        let model = self.model.get_or_insert_with(|| metrics.models.of([NONE]));
        let (meter, tenant) = (&model.value, self.tenant.as_ref().map(|tenant| &tenant.value));
        if let Some(waited) = waited {
            meter.queue.took(waited);
        }
        let of_tenant = match end {
            End::Answered => {
                count(&meter.ok);
                metrics.latency.record(took);
                if let Some(trip) = &mut self.trip {
                    trip.end(Class::Ok);
                }
                tenant.map(|tenant| &tenant.ok)
            }
            End::Cancelled => {
                count(&meter.cancelled);
                tenant.map(|tenant| &tenant.cancelled)
            }
            End::Failed(kind, denied) => {
                count(&meter.failures.of([&class::snake(kind)]).value);
                if let Some(why) = denied {
                    count(&metrics.denied.of([why]).value);
                }
                if let Some(phase) = class::phase_of_call(kind) {
                    count(&metrics.timeouts.of([phase]).value);
                }
                tenant.map(|tenant| &tenant.failed)
            }
        };
        of_tenant.inspect(|counter| count(counter));
        if !matches!(end, End::Cancelled) {
            meter.durations.took(took);
        }
        // What was in flight is so no longer.
        self.trip = None;
    }

    /// An attempt that began after another one had failed came back. One that was sent beside it is no retry.
    fn retried(&mut self, began: Instant, ended: &str) {
        if let (Some(metrics), Some((kind, at))) = (&self.metrics, self.before)
            && began >= at
        {
            count(&metrics.retries.of([Class::of(kind).name(), ended]).value);
        }
    }

    fn timed_out(&self, kind: Kind) {
        if let (Some(metrics), Some(phase)) = (&self.metrics, class::phase_of_attempt(kind)) {
            count(&metrics.timeouts.of([phase]).value);
        }
    }
}
