//! Calls of one conversation stay where the provider's prompt cache is warm.
//!
//! Weighted rendezvous hashing (Thaler and Ravishankar, 1998; Schindelhauer and Schomaker, 2005) over tenant and
//! conversation: nothing is stored, every process agrees, and when a deployment goes only its own conversations
//! move. It chooses among those near the best of the strategy, and with bounded load (Mirrokni, Thorup and
//! Zadimoghaddam, 2018), so that neither speed nor balance is given up for a warm cache. Who rests, is set aside or
//! full takes no part: the conversation moves on, to the same next one each time, and returns.

use super::group::Group;
use super::order::Ask;
use super::standing::Standing;
use super::strategy::{Contender, clock};
use crate::config::Strategy;
use crate::live::hash;

/// How many times as bad as the best a conversation's own may be.
const NEAR: f64 = 2.0;

/// Puts the conversation's own deployment first, where there is one in the tier.
pub(super) fn keep(group: &Group, tier: &mut [Contender], ask: &Ask<'_>) {
    if !group.affinity || group.strategy == Strategy::Ordered || tier.len() < 2 {
        return;
    }
    // Who is near the best is asked by conversations of its own; nobody else would find out how this one does now.
    let is_needed = |first: &Contender| first.standing == Standing::Explored && first.distance > NEAR;
    if tier.first().is_some_and(is_needed) {
        return;
    }
    let Some(conversation) = conversation(group.strategy, ask) else { return };
    let load: f64 = tier.iter().map(|contender| contender.in_flight).sum();
    let weight: f64 = tier.iter().map(Contender::weight).sum();
    let rings = |contender: &Contender| {
        let unit = hash::unit(hash::mix(conversation ^ contender.deployment.live.seat));
        clock(unit, contender.weight())
    };
    let fits = |(position, contender): (usize, &Contender)| {
        let share = (load + 1.0) * contender.weight() / weight;
        let has_room = contender.in_flight + 1.0 <= most(share, ask.routing.affinity_bound);
        let fits = contender.is_ready() && contender.distance <= NEAR && has_room;
        fits.then(|| (rings(contender), position))
    };
    let own = tier.iter().enumerate().filter_map(fits).min_by(|one, other| one.0.total_cmp(&other.0));
    if let Some((_, position)) = own
        && let Some(upto) = tier.get_mut(..=position)
    {
        upto.rotate_right(1);
        if let Some(first) = upto.first_mut() {
            first.standing = Standing::Kept;
        }
    }
}

/// How many attempts at once a fair share of `share` allows: `bound` times as many, and twice the square root more,
/// which chance alone makes of a few (conversations do not speak in turn).
fn most(share: f64, bound: f64) -> f64 {
    share * bound + 2.0 * share.sqrt() + 1.0
}

/// The conversation as a number: as the caller names it, as the request names it, else by how its prompt begins.
///
/// How a prompt begins is the same for all calls of many an application. Where the strategy is to spread the load,
/// that must not draw everything to one place, so only what is named as a conversation stays.
fn conversation(strategy: Strategy, ask: &Ask<'_>) -> Option<u64> {
    let tenant = ask.tenant.unwrap_or_default();
    match ask.session.or(ask.facts.conversation()) {
        Some(name) => Some(hash::hash([tenant, name])),
        None if matches!(strategy, Strategy::Weighted | Strategy::LeastBusy) => None,
        None => ask.facts.prefix.map(|prefix| hash::mix(hash::hash([tenant]) ^ prefix)),
    }
}
