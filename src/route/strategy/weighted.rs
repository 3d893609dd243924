//! At random in proportion to `weight`, without replacement.

use super::Contender;
use crate::route::standing::Standing;

pub(super) fn rank(tier: &mut [Contender]) {
    let of = tier.iter().map(Contender::weight).sum();
    for contender in tier {
        contender.key = contender.lot;
        contender.say(Standing::Drawn { weight: contender.weight(), of });
    }
}
