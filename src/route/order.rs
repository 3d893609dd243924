//! In which order the deployments of one group are asked, and why each stands where it stands.

use super::affinity;
use super::group::{Group, Post};
use super::snapshot::Snapshot;
use super::standing::Standing;
use super::strategy::{self, Contender};
use crate::call::Call;
use crate::chat::facts::Facts;
use crate::clock::{self, Instant, Rng};
use crate::config::{Routing, Strategy};
use crate::live::breaker;

/// What may be known of the call while its deployments are ordered.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The request.
    pub facts: &'a Facts,
    /// Who calls.
    pub tenant: Option<&'a str>,
    /// The conversation it belongs to, as the caller named it.
    pub session: Option<&'a str>,
    /// The present.
    pub now: Instant,
    /// Does health count?
    pub health: bool,
    /// Has a budget come so far that the cheapest goes first, whatever the strategy?
    pub thrifty: bool,
    /// What the strategies are tuned with.
    pub routing: &'a Routing,
    /// How breakers close.
    pub breaker: Option<&'a breaker::Policy>,
}

impl<'a> Ask<'a> {
    pub(super) fn of(snapshot: &'a Snapshot, call: &'a Call, facts: &'a Facts) -> Self {
        Self {
            facts,
            tenant: call.options.tenant.as_deref(),
            session: call.options.session.as_deref(),
            now: clock::now(),
            health: snapshot.stages.health,
            thrifty: false,
            routing: &snapshot.routing,
            breaker: snapshot.breaker.as_ref(),
        }
    }
}

/// A deployment at its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'a> {
    /// Who is asked.
    pub(super) post: &'a Post,
    /// And why here.
    pub(super) standing: Standing,
}

/// Orders `eligible` deployments of `group`, the first to ask first. Loses none.
///
/// First by whether they can be asked at all now, then by `priority`, then by the strategy. A conversation keeps its
/// own deployment among the best.
pub(super) fn order<'a>(group: &Group, eligible: &[&'a Post], ask: &Ask<'_>, rng: &Rng) -> Vec<Placed<'a>> {
    let mut contenders = strategy::contenders(eligible, ask, rng);
    let strategy = if ask.thrifty { Strategy::Cost } else { group.strategy };
    // Where money counts, tiers do not.
    let tier = |one: &Contender<'_>| if ask.thrifty { (one.tier().0, 0) } else { one.tier() };
    // Stable: within a tier they stand as written.
    contenders.sort_by_key(tier);
    for tier in contenders.chunk_by_mut(|one, other| tier(one) == tier(other)) {
        strategy::rank(strategy, tier, ask, rng);
    }
    if let Some(first) = contenders.chunk_by_mut(|one, other| tier(one) == tier(other)).next()
        && !ask.thrifty
    {
        strategy::lead(strategy, first, rng);
        affinity::keep(group, first, ask);
    }
    contenders.into_iter().map(Placed::from).collect()
}
