//! How fast each of a tier may be taken to be.

use super::Contender;
use crate::live::Form;
use crate::route::order::Ask;
use crate::route::outlier::median;

/// Taken for a deployment while nobody has been measured.
const NOBODY_KNOWS: f64 = 1.0;

/// The speed of one deployment, in seconds to first content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    /// The peak, faded to now.
    pub(super) peak: f64,
    /// The mean of the last few.
    pub(super) lately: f64,
    /// Replies it was measured by; 0 is not measured, and then the others are those of its peers.
    pub(super) count: f64,
}

/// The speeds of a tier, in its order. Who was not measured is as fast as the median of its peers.
pub(super) fn speeds(tier: &[Contender], ask: &Ask<'_>) -> Vec<Speed> {
    let form = if ask.facts.stream { Form::Streamed } else { Form::Whole };
    let mut speeds: Vec<Speed> = tier.iter().map(|contender| measured(contender, form, ask)).collect();
    if speeds.iter().any(|speed| speed.count < 1.0) {
        let known: Vec<Speed> = speeds.iter().filter(|speed| speed.count >= 1.0).copied().collect();
        let middle = |of: fn(&Speed) -> f64| {
            median(&known.iter().map(of).collect::<Vec<f64>>()).unwrap_or(NOBODY_KNOWS)
        };
        let (peak, lately) = (middle(|speed| speed.peak), middle(|speed| speed.lately));
        for speed in speeds.iter_mut().filter(|speed| speed.count < 1.0) {
            (speed.peak, speed.lately) = (peak, lately);
        }
    }
    speeds
}

fn measured(contender: &Contender, form: Form, ask: &Ask<'_>) -> Speed {
    let live = &contender.deployment.live;
    let pace = live.pace(form);
    Speed { peak: live.peak(form, ask.now).unwrap_or_default(), lately: pace.lately, count: pace.count }
}
