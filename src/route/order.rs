//! In which order the deployments of one group are asked, and why each stands where it stands.

use super::affinity;
use super::group::{Group, Post};
use super::snapshot::Snapshot;
use super::standing::Standing;
use super::strategy::{self, Contender};
use crate::call::Call;
use crate::chat::facts::Facts;
use crate::clock::{self, Instant, Rng};
use crate::config::Routing;

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
    /// What the strategies are tuned with.
    pub routing: &'a Routing,
}

impl<'a> Ask<'a> {
    pub(super) fn of(snapshot: &'a Snapshot, call: &'a Call, facts: &'a Facts) -> Self {
        Self {
            facts,
            tenant: call.options.tenant.as_deref(),
            session: call.options.session.as_deref(),
            now: clock::now(),
            health: snapshot.stages.health,
            routing: &snapshot.routing,
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
    let mut contenders = strategy::contenders(eligible, ask);
    // Stable: within a tier they stand as written.
    contenders.sort_by_key(Contender::tier);
    for tier in contenders.chunk_by_mut(|one, other| one.tier() == other.tier()) {
        strategy::rank(group.strategy, tier, ask, rng);
    }
    if let Some(first) = contenders.chunk_by_mut(|one, other| one.tier() == other.tier()).next() {
        strategy::lead(group.strategy, first, rng);
        affinity::keep(group, first, ask);
    }
    contenders.into_iter().map(Placed::from).collect()
}
