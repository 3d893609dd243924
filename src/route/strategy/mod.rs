//! Who goes first among deployments that could all be asked: one file a strategy.
//!
//! A strategy gives each contender a key, lower first; equal keys are settled by lot, weighted, never by position.

mod adaptive;
mod cost;
mod latency;
mod least_busy;
mod speed;
mod weighted;

use super::deployment::Deployment;
use super::group::Post;
use super::order::{Ask, Placed};
use super::outlier;
use super::standing::{Full, Standing};
use crate::clock::Rng;
use crate::config::Strategy;

/// Can it be asked now? The better comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Ready,
    SlowStart,
    Saturated,
    Spare,
    SetAside,
    Resting,
}

/// A deployment on its way to a place.
#[derive(Debug)]
pub(super) struct Contender<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) standing: Standing,
    pub(super) in_flight: f64,
    /// How many times as bad as the best of its tier, for affinity; infinite is too far.
    pub(super) distance: f64,
    post: &'a Post,
    class: Class,
    /// By the strategy; lower first.
    key: f64,
    /// By lot.
    lot: f64,
}

impl Contender<'_> {
    pub(super) fn tier(&self) -> (Class, u32) {
        (self.class, self.deployment.priority)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.class == Class::Ready
    }

    pub(super) fn weight(&self) -> f64 {
        self.deployment.weight
    }

    /// Says why it stands there, unless its class has said so.
    fn say(&mut self, standing: Standing) {
        if self.is_ready() {
            self.standing = standing;
        }
    }
}

impl<'a> From<Contender<'a>> for Placed<'a> {
    fn from(contender: Contender<'a>) -> Self {
        Self { post: contender.post, standing: contender.standing }
    }
}

/// The deployments with what keeps them from being asked.
pub(super) fn contenders<'a>(eligible: &[&'a Post], ask: &Ask<'_>, rng: &Rng) -> Vec<Contender<'a>> {
    let bound = aside_bound(eligible, ask);
    let contender = |post: &'a Post| {
        let deployment = &*post.deployment;
        let in_flight = deployment.live.running();
        let (class, standing) = stand(deployment, in_flight, bound, ask, rng);
        Contender { deployment, standing, in_flight, distance: 1.0, post, class, key: 0.0, lot: 0.0 }
    };
    eligible.iter().copied().map(contender).collect()
}

fn stand(deployment: &Deployment, in_flight: f64, bound: u64, ask: &Ask<'_>, rng: &Rng) -> (Class, Standing) {
    let live = &deployment.live;
    if ask.health && deployment.is_resting(ask.now) {
        return (Class::Resting, Standing::Resting);
    }
    if ask.health
        && let (Some(until), Some(offence)) = (live.aside_until(ask.now), live.offence(ask.now))
        && until >= bound
    {
        return (Class::SetAside, Standing::SetAside(offence));
    }
    if ask.health && live.is_silent(ask.now) {
        return (Class::SetAside, Standing::Silent);
    }
    if deployment.weight <= 0.0 {
        return (Class::Spare, Standing::Spare);
    }
    let full = if deployment.concurrency.is_some_and(|most| in_flight >= f64::from(most)) {
        Some(Full::Configured)
    } else {
        (ask.health && live.room().is_full(in_flight)).then_some(Full::Learned)
    };
    if let Some(limit) = full {
        return (Class::Saturated, Standing::Saturated { in_flight, limit });
    }
    match slow_start(deployment, ask).filter(|share| rng.unit() >= *share) {
        Some(share) => (Class::SlowStart, Standing::SlowStart { share }),
        None => (Class::Ready, Standing::AsWritten),
    }
}

/// The share of its traffic that a deployment gets whose breaker has just closed.
fn slow_start(deployment: &Deployment, ask: &Ask<'_>) -> Option<f64> {
    let policy = ask.breaker.filter(|_| ask.health)?;
    deployment.live.breaker.slow_start(policy, ask.now)
}

/// A deployment may serve several groups, so more of this one may be aside than its share: those that end first
/// come back, at once. Below the returned end, aside is not aside.
fn aside_bound(eligible: &[&Post], ask: &Ask<'_>) -> u64 {
    if !ask.health || !ask.routing.ejection.enabled {
        return u64::MAX;
    }
    let ends = || eligible.iter().filter_map(|post| post.deployment.live.aside_until(ask.now));
    let most = outlier::most_aside(eligible.len(), ask.routing.ejection.most);
    if ends().count() <= most {
        return 0;
    }
    let mut ends: Vec<u64> = ends().collect();
    ends.sort_unstable_by(|one, other| other.cmp(one));
    most.checked_sub(1).and_then(|last| ends.get(last).copied()).unwrap_or(u64::MAX)
}

/// Orders one tier by the strategy.
pub(super) fn rank(strategy: Strategy, tier: &mut [Contender], ask: &Ask<'_>, rng: &Rng) {
    if strategy == Strategy::Ordered {
        return;
    }
    // Of equal weights the clocks ring in the order of the draws themselves; `adaptive` divides by more than weights.
    let weights = || tier.iter().map(Contender::weight);
    let by_draw = strategy != Strategy::Adaptive
        && weights().zip(weights().skip(1)).all(|(one, other)| one.total_cmp(&other).is_eq());
    let mut draws = rng.draws();
    for contender in tier.iter_mut() {
        let unit = draws.unit();
        contender.lot = if by_draw { unit } else { clock(unit, contender.weight()) };
    }
    match strategy {
        Strategy::Ordered => {}
        Strategy::Weighted => weighted::rank(tier),
        Strategy::Latency => latency::rank(tier, ask),
        Strategy::Cost => cost::rank(tier, ask),
        Strategy::LeastBusy => least_busy::rank(tier),
        Strategy::Adaptive => adaptive::rank(tier, ask, rng),
    }
    tier.sort_by(|one, other| one.key.total_cmp(&other.key).then(one.lot.total_cmp(&other.lot)));
}

/// Picks who goes first of the ordered tier that is asked first.
pub(super) fn lead(strategy: Strategy, tier: &mut [Contender], rng: &Rng) {
    if strategy == Strategy::Latency {
        latency::lead(tier, rng);
    }
}

/// When the alarm of a clock with this rate rings, `unit` being uniform: the first of several to ring is each with
/// probability in proportion to its rate, and so is the next among those left (Efraimidis and Spirakis, 2006).
pub(super) fn clock(unit: f64, rate: f64) -> f64 {
    // 1 - unit is never 0.
    -(1.0 - unit).ln() / rate
}
