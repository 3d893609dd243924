//! The faster of two drawn at random, by peak-EWMA of the time to first content and by load.
//!
//! The formula is Finagle's and linkerd's: `peak × (in flight + 1)`, divided by the weight; the peak fades by 1/e in
//! ten seconds. To the peak come the seconds that failures are expected to cost, each at least the limit its attempt
//! had, so that who fails fast does not look fast. Two are drawn and the better one goes first (Mitzenmacher, 2001):
//! always taking the best would send every caller to the same one until it is slow.

use super::Contender;
use super::speed::{Speed, speeds};
use crate::clock::Rng;
use crate::route::order::Ask;
use crate::route::standing::Standing;

/// Replies from which on a deployment takes its full share; before, each attempt in flight counts for more.
const SLOW_START: f64 = 10.0;

pub(super) fn rank(tier: &mut [Contender], ask: &Ask<'_>) {
    let speeds = speeds(tier, ask);
    let mut best = f64::INFINITY;
    for (contender, speed) in tier.iter_mut().zip(&speeds) {
        let loss = contender.deployment.live.recent(ask.now).expected_loss();
        let (seconds, load) = (speed.peak + loss, 1.0 + pending(contender.in_flight, speed));
        contender.key = seconds * load / contender.weight();
        // Who was slow is near again once its peak has faded, a call at a time at first: conversations too must find
        // out that it is well.
        contender.distance = speed.lately.min(speed.peak * load) + loss;
        best = best.min(speed.lately + loss);
        let known = speed.count >= 1.0;
        contender.say(Standing::Paced { seconds, in_flight: contender.in_flight, known });
    }
    for contender in tier {
        contender.distance = if best > 0.0 { contender.distance / best } else { 1.0 };
    }
}

/// Slow start: a newcomer is asked as soon as anybody, but not often at once before it has answered.
fn pending(in_flight: f64, speed: &Speed) -> f64 {
    in_flight * (SLOW_START / (1.0 + speed.count)).max(1.0)
}

/// Of two drawn at random the better goes first; the others stay in their order, for failover.
pub(super) fn lead(tier: &mut [Contender], rng: &Rng) {
    let count = tier.len();
    if count < 3 {
        return;
    }
    let (one, other) = (below(count, rng), below(count - 1, rng));
    let other = if other >= one { other + 1 } else { other };
    // The tier is in order, so the lower position is the better one.
    if let Some(upto) = tier.get_mut(..=one.min(other)) {
        upto.rotate_right(1);
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= unit < 1")]
fn below(count: usize, rng: &Rng) -> usize {
    (rng.unit() * count as f64) as usize
}
