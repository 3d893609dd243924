//! The candidates of a call in the order in which they are asked.

use std::sync::Arc;

use super::decision::{Choice, Decision, IdleKey, Rejected, Rejection};
use super::deployment::Candidate;
use super::filter::Demands;
use super::group::{Role, Route, Stop};
use super::order::{self, Ask, Placed};
use crate::clock::Rng;

/// Those for any failure first, and of these keys that are out of use last; then those for one cause.
#[derive(Debug, Default)]
struct Lineup {
    usable: Vec<Candidate>,
    disabled: Vec<Candidate>,
    by_cause: Vec<Candidate>,
}

/// Lines up the candidates of all stops and records who is asked, who is not, and why.
pub(super) fn line_up(
    route: &Route,
    demands: &Demands<'_>,
    ask: &Ask<'_>,
    rng: &Rng,
    decision: &mut Decision,
) -> Vec<Candidate> {
    let count = route.stops.iter().map(|stop| stop.group.deployments.len()).sum();
    let mut places = Vec::with_capacity(count);
    decision.candidates.reserve(count);
    for stop in &route.stops {
        let eligible = demands.eligible(stop, &mut decision.rejected);
        let mut ordered = order::order(&stop.group, &eligible, ask, rng);
        ordered.sort_by_key(|placed| demands.strains(&placed.post.deployment));
        places.extend(ordered.into_iter().map(|placed| (stop, placed)));
    }
    // Stable: within the healthy and the others the order holds.
    places.sort_by_key(|(stop, placed)| (stop.role.is_for_one_cause(), placed.standing.is_resting()));
    let mut lineup = Lineup::default();
    lineup.usable.reserve(count);
    for (stop, placed) in places {
        lineup.add(stop, &placed, ask, decision);
    }
    lineup.finish(&decision.rejected)
}

impl Lineup {
    /// Adds a deployment with each of its keys.
    fn add(&mut self, stop: &Stop, placed: &Placed<'_>, ask: &Ask<'_>, decision: &mut Decision) {
        let (mut usable, mut asked) = (0, 0);
        for candidate in &placed.post.candidates {
            let state = candidate.credential.state(ask.now);
            if !state.is_usable() {
                decision.idle_keys.push(IdleKey::of(candidate, state));
            }
            if state.is_outside_window() {
                continue;
            }
            asked += 1;
            usable += usize::from(state.is_usable());
            let line = match (stop.role.is_for_one_cause(), ask.health && !state.is_usable()) {
                (true, _) => &mut self.by_cause,
                (false, true) => &mut self.disabled,
                (false, false) => &mut self.usable,
            };
            line.push(candidate.clone());
        }
        record(stop, placed, usable, asked, decision);
    }

    /// What follows for one cause follows only that: where nobody else may serve the call, it is asked only if the
    /// cause is there already, a prompt that fits no window.
    fn finish(mut self, rejected: &[Rejected]) -> Vec<Candidate> {
        self.usable.append(&mut self.disabled);
        if self.usable.is_empty() {
            let is_too_long = |rejected: &Rejected| matches!(rejected.reason, Rejection::Window { .. });
            let role = rejected.iter().any(is_too_long).then_some(Role::ContextWindow);
            self.by_cause.retain(|candidate| Some(candidate.role) == role);
        }
        self.usable.append(&mut self.by_cause);
        self.usable
    }
}

fn record(stop: &Stop, placed: &Placed<'_>, keys: usize, asked: usize, decision: &mut Decision) {
    let label = Arc::clone(&placed.post.label);
    if asked == 0 {
        let (deployment, model) = (Arc::clone(&label.deployment), Arc::clone(&label.model));
        decision.rejected.push(Rejected { deployment, model, reason: Rejection::NoKey });
        return;
    }
    decision.notes.extend(placed.post.deployment.heir());
    decision.candidates.push(Choice { label, role: stop.role, reason: placed.standing, keys });
}
