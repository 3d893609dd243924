//! The cheapest for this call: its estimated prompt and the answer this deployment is expected to write, at its
//! prices.
//!
//! The length of an answer is the observed mean of the deployment, else that of its peers, else [`LENGTH`], never
//! more than the caller or the model allows. A price that is not known is not zero: it goes last.

use super::Contender;
use crate::provider::price::Nano;
use crate::route::order::Ask;
use crate::route::standing::Standing;

/// Tokens an answer is taken for before any was seen.
const LENGTH: f64 = 256.0;

pub(super) fn rank(tier: &mut [Contender], ask: &Ask<'_>) {
    let mut best = f64::INFINITY;
    let peers = peers_length(tier);
    for contender in tier.iter_mut() {
        let price = expected(contender, peers, ask);
        contender.key = price.map_or(f64::INFINITY, |price| price.0 as f64);
        contender.say(price.map_or(Standing::Unpriced, Standing::Priced));
        best = best.min(contender.key);
    }
    for contender in tier {
        // A warm cache saves less than a dearer model costs: a conversation stays only where it is as cheap.
        contender.distance = if contender.key > best { f64::INFINITY } else { 1.0 };
    }
}

/// What the call is expected to cost there.
pub(super) fn expected(contender: &Contender, peers: Option<f64>, ask: &Ask<'_>) -> Option<Nano> {
    let deployment = &contender.deployment;
    let prices = deployment.prices.as_ref()?;
    let length = deployment.live.length().or(peers).unwrap_or(LENGTH);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    let length = length.round() as u64;
    let most = [ask.facts.max_output, deployment.abilities.max_output];
    let length = most.into_iter().flatten().fold(length, u64::min);
    let output = length.saturating_mul(ask.facts.choices);
    prices.expected(deployment.tokens(&ask.facts.prompt), output)
}

/// The mean length of answers over those that have written any.
pub(super) fn peers_length(tier: &[Contender]) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for length in tier.iter().filter_map(|contender| contender.deployment.live.length()) {
        sum += length;
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}
