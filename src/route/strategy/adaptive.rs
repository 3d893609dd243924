//! The best in success, speed and price together, drawn at random so that the second best is used as well.
//!
//! `score = success² × fastest/seconds × cheapest/price`, and each is drawn in proportion to its weight times
//! `score²`. The inverse square is what OpenRouter documents for prices; here it holds for speed too, and failures
//! weigh twice as much, since each of them costs a second attempt. A share of the calls (`routing.exploration`) is
//! drawn by weight alone: who does badly must be asked now and then, or nobody would learn that it has recovered.

use super::speed::speeds;
use super::{Contender, clock, cost};
use crate::clock::Rng;
use crate::route::order::Ask;
use crate::route::standing::Standing;

/// What a contender is judged by.
struct Merits {
    success: f64,
    seconds: f64,
    price: Option<f64>,
}

pub(super) fn rank(tier: &mut [Contender], ask: &Ask<'_>, rng: &Rng) {
    let merits = merits(tier, ask);
    let fastest = merits.iter().map(|own| own.seconds).fold(f64::INFINITY, f64::min);
    let prices = || merits.iter().filter_map(|own| own.price);
    let (cheapest, dearest) = (prices().fold(f64::INFINITY, f64::min), prices().fold(0.0, f64::max));
    for (contender, own) in tier.iter_mut().zip(&merits) {
        // Where some prices are known, an unknown one may be as high as any of them.
        let price = if dearest > 0.0 { share(cheapest, own.price.unwrap_or(dearest)) } else { 1.0 };
        let score = own.success.powi(2) * share(fastest, own.seconds) * price;
        contender.key = contender.lot / score.powi(2);
        contender.distance = score;
        contender.say(Standing::Scored { score, success: own.success, seconds: own.seconds });
    }
    let best = tier.iter().map(|contender| contender.distance).fold(0.0, f64::max);
    for contender in tier.iter_mut() {
        contender.distance = share(best, contender.distance);
    }
    if rng.unit() < ask.routing.exploration {
        explore(tier, rng);
    }
}

/// Puts one of the tier, drawn by weight alone, before all others.
fn explore(tier: &mut [Contender], rng: &Rng) {
    let drawn = tier.iter_mut().map(|contender| (clock(rng.unit(), contender.weight()), contender));
    if let Some((_, first)) = drawn.min_by(|(one, _), (other, _)| one.total_cmp(other)) {
        first.key = -1.0;
        first.say(Standing::Explored);
    }
}

fn merits(tier: &[Contender], ask: &Ask<'_>) -> Vec<Merits> {
    let peers = cost::peers_length(tier);
    let merits = tier.iter().zip(speeds(tier, ask)).map(|(contender, speed)| Merits {
        success: contender.deployment.live.recent(ask.now).success(),
        seconds: speed.lately,
        price: cost::expected(contender, peers, ask).map(|price| price.0 as f64),
    });
    merits.collect()
}

/// How much of the best one has, 1 being all of it.
fn share(best: f64, own: f64) -> f64 {
    if own > 0.0 { best / own } else { 1.0 }
}
