//! A second attempt beside one that lingers.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::flight::{Arrival, Asked, Flight};
use crate::admit::Gate;
use crate::clock;
use crate::engine::Engine;
use crate::retry::course::{Course, SHORTEST_ATTEMPT};
use crate::retry::hedge;
use crate::settle::Story;

impl Engine {
    /// Runs an attempt, and another one beside it where hedging is on and the first one lingers.
    pub(super) async fn send<'a>(
        &self,
        flight: Flight<'a>,
        asked: &Asked<'a>,
        gate: &mut Gate<'a>,
        course: &mut Course<'a>,
        story: &mut Story,
    ) -> Arrival<'a> {
        match self.patience(&flight, asked, course) {
            None => flight.fly().await,
            // Few calls are hedged: the others carry no room for it.
            Some(delay) => Box::pin(self.hedged(delay, flight, asked, gate, course, story)).await,
        }
    }

    async fn hedged<'a>(
        &self,
        delay: Duration,
        flight: Flight<'a>,
        asked: &Asked<'a>,
        gate: &mut Gate<'a>,
        course: &mut Course<'a>,
        story: &mut Story,
    ) -> Arrival<'a> {
        let (position, started) = (flight.position, flight.job.limits.started);
        let mut first = pin!(flight.fly());
        let lingers = pin!(clock::sleep_until(clock::now() + delay));
        if let Either::Left((arrival, _)) = select(first.as_mut(), lingers).await {
            return arrival;
        }
        // The second one may have to wait for its key; the first one does not wait for that.
        let second = match select(first.as_mut(), pin!(self.second(position, asked, gate, course))).await {
            Either::Left((arrival, _)) => return arrival,
            Either::Right((None, first)) => return first.await,
            Either::Right((Some(second), _)) => second,
        };
        let (hedge_position, hedge_started) = (second.position, second.job.limits.started);
        // The first answer decides, and the other one is cancelled, its prompt charged; where both fail, the failure
        // that comes last.
        match select(first, pin!(second.fly())).await {
            Either::Left((first, _)) if first.outcome.is_ok() => {
                course.superseded(hedge_position, hedge_started);
                first
            }
            Either::Right((second, _)) if second.outcome.is_ok() => {
                course.superseded(position, started);
                second
            }
            Either::Left((failed, second)) => {
                failed.noted(self, asked, story, course);
                second.await
            }
            Either::Right((failed, first)) => {
                failed.noted(self, asked, story, course);
                first.await
            }
        }
    }

    /// How long the attempt may take before another one is sent beside it; `None` is as long as it takes.
    fn patience(&self, flight: &Flight<'_>, asked: &Asked<'_>, course: &Course<'_>) -> Option<Duration> {
        let written = &asked.snapshot.hedge;
        if !written.enabled {
            return None;
        }
        if course.is_first() {
            self.live().hedges.earn(written.share);
        }
        let live = &flight.job.candidate.deployment.live;
        let times = if asked.facts.stream { &live.first_tokens } else { &live.durations };
        let usual = || {
            let known = times.count() >= hedge::SAMPLES;
            known.then(|| times.percentile(hedge::PERCENTILE)).flatten().map(|usual| usual.max(hedge::LEAST))
        };
        written.delay.or_else(usual).filter(|_| course.may_hedge())
    }

    /// A second attempt, if there is time for one, somebody else may be asked now, and it is paid for.
    async fn second<'a>(
        &self,
        position: usize,
        asked: &Asked<'a>,
        gate: &mut Gate<'a>,
        course: &Course<'a>,
    ) -> Option<Flight<'a>> {
        if clock::now() + SHORTEST_ATTEMPT > asked.deadline.at {
            return None;
        }
        let apart = self.live().hedges.set_apart()?;
        let entry = gate.beside(course, position).await?;
        if !course.pays_for_hedge(entry.position) {
            return None;
        }
        let flight = asked.flight(entry.position, entry.permit, course).await.ok()?.ok()?;
        apart.spend();
        Some(flight)
    }
}
