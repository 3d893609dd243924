//! Which deployment does far worse than its peers. Pure functions over what is known of each.
//!
//! The shape is Envoy's outlier detection: failures in a row, a success rate far below that of the peers, at most a
//! share of the group aside, back by time. What differs has a reason: the groups here are small and slow, and below
//! five members no standard deviation tells anything, so there a rate must be less than half of the peers'. A lone
//! deployment has no peers and is never set aside.

use std::sync::Arc;

use super::deployment::Deployment;
use super::group::Group;
use crate::clock::Instant;
use crate::config::Ejection;
use crate::live::{Form, Offence, Tally, surge};

/// Answered failures in a row (Envoy's `consecutive_5xx`).
pub const IN_A_ROW: u32 = 5;
/// Failures in a row without any answer (refused connections, silence): each may have cost a whole limit.
pub const SILENT_IN_A_ROW: u32 = 3;
/// Attempts of the last minute or so before rates are compared.
pub const LEAST_ATTEMPTS: f64 = 10.0;
/// Members from which on a standard deviation is looked at (Envoy's `success_rate_minimum_hosts`).
pub const LEAST_HOSTS: usize = 5;
/// Standard deviations below the mean (Envoy's `success_rate_stdev_factor`).
pub const DEVIATIONS: f64 = 1.9;
/// Below this share of the peers' success, whatever the deviation: among perfect peers one failure deviates.
const FAR: f64 = 0.8;
/// The same in a small group.
const FAR_IN_SMALL: f64 = 0.5;
/// So many times slower than usual, and than the peers' own change.
pub const SLOWER: f64 = 3.0;
/// Replies measured before slowness is judged.
pub const LEAST_REPLIES: f64 = 20.0;

/// How a failure met the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// The upstream said so.
    Answered,
    /// Nothing came, or no connection.
    Silent,
}

/// So many failures in a row, the last in this manner: is that enough?
pub fn in_a_row(failures: u32, last: Manner) -> Option<Offence> {
    let most = match last {
        Manner::Answered => IN_A_ROW,
        Manner::Silent => SILENT_IN_A_ROW,
    };
    (failures >= most).then_some(Offence::InARow(failures))
}

/// Is this success far below that of the peers?
pub fn success(own: Tally, peers: &[Tally]) -> Option<Offence> {
    let known: Vec<f64> =
        peers.iter().filter(|peer| peer.asked >= LEAST_ATTEMPTS).map(|peer| peer.rate()).collect();
    if own.asked < LEAST_ATTEMPTS || known.is_empty() {
        return None;
    }
    let theirs = mean(&known);
    let bound = if known.len() + 1 < LEAST_HOSTS {
        theirs * FAR_IN_SMALL
    } else {
        let all: Vec<f64> = known.iter().copied().chain([own.rate()]).collect();
        (theirs * FAR).min(mean(&all) - DEVIATIONS * deviation(&all))
    };
    let offence = Offence::Success { failed: whole(own.failed), asked: whole(own.asked), peers: theirs };
    (own.rate() < bound).then_some(offence)
}

/// Is it far slower than usual (`own` times), while its peers are not? A model that is slow by nature is no
/// outlier, and a slow day of all is none either.
pub fn slowness(own: f64, peers: &[f64]) -> Option<Offence> {
    let theirs = median(peers)?;
    (own >= SLOWER && own >= SLOWER * theirs).then_some(Offence::Slow { times: own })
}

/// Does the evidence say that it fails far more often than before, while that against one peer at least is less than
/// half of what it takes? Where all of them get worse together, nobody is the outlier.
pub fn surge(own: f64, lately: Tally, peers: impl IntoIterator<Item = f64>) -> Option<Offence> {
    let is_well = |sum: f64| sum < surge::FOUND / 2.0;
    let offence = Offence::Surge { failed: whole(lately.failed), asked: whole(lately.asked) };
    (own >= surge::FOUND && peers.into_iter().any(is_well)).then_some(offence)
}

/// How many of a group of `members` may be aside at once: at most the share, at least one where there are two.
pub fn most_aside(members: usize, share: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small number")]
    let most = (members as f64 * share.clamp(0.0, 1.0)) as usize;
    if share > 0.0 { most.max(1).min(members.saturating_sub(1)) } else { 0 }
}

/// Sets `own` aside where it fails far more often than its peers in `group`; called after a failure.
pub(super) fn judge_failure(
    own: &Arc<Deployment>,
    group: &Group,
    manner: Manner,
    ejection: &Ejection,
    now: Instant,
) {
    if may_set_aside(own, group, ejection, now) {
        let offence = in_a_row(own.live.in_a_row(), manner).or_else(|| {
            let peers: Vec<Tally> = peers(own, group).map(|peer| peer.live.minute(now)).collect();
            success(own.live.minute(now), &peers)
        });
        let offence = offence.or_else(|| {
            let asked = |peer: &&Arc<Deployment>| peer.live.aside_until(now).is_none();
            let sums = self::peers(own, group).filter(asked).map(|peer| peer.live.surge(now).sum);
            surge(own.live.surge(now).sum, own.live.recent(now), sums)
        });
        if let Some(offence) = offence {
            own.live.set_aside(offence, ejection.base, now);
        }
    }
}

/// Sets `own` aside where it has become far slower than its peers in `group`; called after an answer.
pub(super) fn judge_slowness(
    own: &Arc<Deployment>,
    group: &Group,
    form: Form,
    ejection: &Ejection,
    now: Instant,
) {
    let slowdown = |deployment: &Arc<Deployment>| deployment.live.pace(form).slowdown(LEAST_REPLIES);
    if let Some(times) = slowdown(own).filter(|times| *times >= SLOWER)
        && may_set_aside(own, group, ejection, now)
    {
        let peers: Vec<f64> = peers(own, group).filter_map(slowdown).collect();
        if let Some(offence) = slowness(times, &peers) {
            own.live.set_aside(offence, ejection.base, now);
        }
    }
}

fn peers<'a>(own: &'a Arc<Deployment>, group: &'a Group) -> impl Iterator<Item = &'a Arc<Deployment>> {
    group.deployments.iter().filter(|peer| !Arc::ptr_eq(&peer.live, &own.live))
}

fn may_set_aside(own: &Arc<Deployment>, group: &Group, ejection: &Ejection, now: Instant) -> bool {
    let members = group.deployments.len();
    let aside = peers(own, group).filter(|peer| peer.live.aside_until(now).is_some()).count();
    ejection.enabled && aside < most_aside(members, ejection.most)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / values.len().max(1) as f64).sqrt()
}

/// The middle value; `None` of none.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(count: f64) -> u32 {
    count.round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(asked: f64, failed: f64) -> Tally {
        Tally { asked, failed, ..Tally::default() }
    }

    #[test]
    fn silence_counts_sooner_than_an_answer() {
        assert_eq!(in_a_row(4, Manner::Answered), None);
        assert_eq!(in_a_row(5, Manner::Answered), Some(Offence::InARow(5)));
        assert_eq!(in_a_row(2, Manner::Silent), None);
        assert_eq!(in_a_row(3, Manner::Silent), Some(Offence::InARow(3)));
    }

    #[test]
    fn two_deployments_are_compared_with_each_other() {
        let good = tally(50.0, 5.0);
        let offence = success(tally(10.0, 8.0), &[good]);
        assert_eq!(offence, Some(Offence::Success { failed: 8, asked: 10, peers: 0.9 }));
        assert_eq!(success(tally(10.0, 4.0), &[good]), None, "not half as bad");
        assert_eq!(success(tally(5.0, 5.0), &[good]), None, "too few to tell");
        assert_eq!(success(tally(50.0, 40.0), &[tally(50.0, 45.0)]), None, "all are bad");
        assert_eq!(success(tally(50.0, 50.0), &[]), None, "a lone one has no peers");
    }

    #[test]
    fn among_five_a_success_far_below_the_mean_stands_out() {
        let good = [tally(50.0, 0.0); 4];
        assert_eq!(success(tally(50.0, 1.0), &good), None, "one failure among perfect peers is nothing");
        assert!(success(tally(50.0, 20.0), &good).is_some());
        let mixed = [tally(50.0, 0.0), tally(50.0, 20.0), tally(50.0, 5.0), tally(50.0, 15.0)];
        assert_eq!(success(tally(50.0, 20.0), &mixed), None, "nobody stands out of a mixed group");
    }

    #[test]
    fn who_fails_more_often_than_before_is_an_outlier_only_beside_a_peer_that_does_not() {
        let lately = tally(20.0, 6.0);
        let offence = Some(Offence::Surge { failed: 6, asked: 20 });
        assert_eq!(surge(8.0, lately, [0.3]), offence);
        assert_eq!(surge(7.9, lately, [0.0]), None);
        assert_eq!(surge(16.0, lately, [7.0]), None, "all get worse");
        assert_eq!(surge(16.0, lately, [7.0, 1.0]), offence);
        assert_eq!(surge(16.0, lately, []), None);
    }

    #[test]
    fn slow_is_who_became_slow_alone() {
        assert_eq!(slowness(6.0, &[1.0, 1.1]), Some(Offence::Slow { times: 6.0 }));
        assert_eq!(slowness(6.0, &[5.0, 6.0]), None, "a slow day of all");
        assert_eq!(slowness(2.0, &[1.0]), None);
        assert_eq!(slowness(9.0, &[]), None);
    }

    #[test]
    fn at_most_half_of_a_group_is_aside_and_never_all() {
        let most: Vec<usize> = (0..=6).map(|members| most_aside(members, 0.5)).collect();
        assert_eq!(most, [0, 0, 1, 1, 2, 2, 3]);
        assert_eq!(most_aside(4, 1.0), 3);
        assert_eq!(most_aside(4, 0.0), 0);
        assert_eq!(most_aside(4, 0.1), 1);
    }
}
