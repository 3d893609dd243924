//! The fewest attempts in flight for its weight; who is equally busy is drawn by weight.

use super::Contender;
use crate::route::standing::Standing;

pub(super) fn rank(tier: &mut [Contender]) {
    for contender in tier {
        contender.key = contender.in_flight / contender.weight();
        contender.say(Standing::Loaded { in_flight: contender.in_flight, weight: contender.weight() });
    }
}
