//! An attempt in flight.

use std::sync::Arc;

use super::Call;
use crate::admit::AttemptPermit;
use crate::chat::facts::Facts;
use crate::engine::Engine;
use crate::error::{Error, Failure};
use crate::live::Form;
use crate::retry::course::Course;
use crate::route::{Candidate, Pass, Plan, Snapshot};
use crate::send::Limits;
use crate::send::alarm::Due;
use crate::send::attempt::{self, Job, Landed, Trace};
use crate::settle::Story;
use crate::settle::metrics::{Metrics, Trip};

/// What is asked, the same for every attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) call: &'a Call,
    pub(super) facts: &'a Facts,
    pub(super) plan: &'a Plan,
    pub(super) deadline: Due,
    pub(super) metrics: Option<&'a Arc<Metrics>>,
}

/// An attempt that is about to begin.
#[derive(Debug)]
pub(super) struct Flight<'a> {
    pub(super) position: usize,
    pub(super) pass: Pass,
    pub(super) permit: AttemptPermit,
    pub(super) trip: Option<Trip>,
    pub(super) job: Job<'a>,
}

/// An attempt that has come back.
#[derive(Debug)]
pub(super) struct Arrival<'a> {
    pub(super) position: usize,
    pub(super) candidate: &'a Candidate,
    pub(super) pass: Pass,
    pub(super) permit: AttemptPermit,
    pub(super) trip: Option<Trip>,
    pub(super) limits: Limits,
    pub(super) trace: Trace,
    pub(super) outcome: Result<Landed, Failure>,
}

impl<'a> Asked<'a> {
    /// An attempt at the candidate at `position`, its key in hand.
    ///
    /// # Errors
    ///
    /// What is wrong with the call itself; inside, why there is no key.
    pub(super) async fn flight(
        &self,
        position: usize,
        permit: AttemptPermit,
        course: &Course<'_>,
    ) -> Result<Result<Flight<'a>, Failure>, Error> {
        let Self { snapshot, call, facts, plan, deadline, metrics } = *self;
        let candidate = plan.candidate(position)?;
        let pass = match candidate.credential.pass(deadline).await {
            Ok(pass) => pass,
            Err(failure) => return Ok(Err(failure)),
        };
        let job = snapshot.job(call, facts, plan, (candidate, &pass), deadline, course.leave())?;
        course.begins(position);
        let trip = metrics.map(|metrics| metrics.trip(&candidate.deployment.name, job.limits.started));
        Ok(Ok(Flight { position, pass, permit, trip, job }))
    }
}

impl<'a> Flight<'a> {
    /// Runs the attempt.
    pub(super) async fn fly(mut self) -> Arrival<'a> {
        self.permit.begin(if self.job.stream { Form::Streamed } else { Form::Whole });
        let mut trace = Trace::default();
        let outcome = attempt::run(&self.job, &mut trace).await;
        let Self { position, pass, permit, trip, job } = self;
        Arrival { position, candidate: job.candidate, pass, permit, trip, limits: job.limits, trace, outcome }
    }
}

impl Arrival<'_> {
    /// Tells everyone who remembers how attempts end.
    pub(super) fn told(
        &mut self,
        engine: &Engine,
        asked: &Asked<'_>,
        story: &mut Story,
        course: &mut Course<'_>,
    ) {
        let Self { candidate, limits, trace, trip, outcome, permit, .. } = self;
        story.attempted(asked.plan, candidate, limits, trace);
        story.recorder.attempted(trip.take(), outcome);
        if trace.repeated {
            course.repeated();
        }
        if candidate.learn(outcome, limits, &asked.snapshot.routing.ejection) {
            engine.live().lines.wake();
        }
        engine.changed(&candidate.deployment, permit.judged(outcome, &trace.told));
    }

    /// It failed while another one is on its way: that is told and booked at once.
    pub(super) fn noted(
        mut self,
        engine: &Engine,
        asked: &Asked<'_>,
        story: &mut Story,
        course: &mut Course<'_>,
    ) {
        self.told(engine, asked, story, course);
        if let Err(failure) = &self.outcome {
            course.noted(self.position, self.limits.started, failure);
            self.permit.settle_failed(failure.kind);
        }
    }
}
