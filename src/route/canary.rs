//! Which side of a canary a call is on.
//!
//! The share grows by a schedule, and whoever is inside stays inside while it grows: a user's point on the scale
//! never moves. This decides about calls that are answered by the canary; two neighbours have their place here but
//! are not built: shadow traffic, which would ask the canary beside the stable model and throw its answer away (a
//! third [`Side`]), and a rollback by itself, which would bound [`percent`] by what the live records of both models
//! say.

use std::time::Duration;

use crate::clock::Rng;
use crate::config::{Canary, CanaryBy};
use crate::live::hash;

/// Which model serves the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that was picked.
    Stable,
    /// Its canary.
    Canary,
}

/// Who calls, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity<'a> {
    /// The user.
    pub user: Option<&'a str>,
    /// The conversation.
    pub session: Option<&'a str>,
    /// The tenant.
    pub tenant: Option<&'a str>,
}

impl<'a> Identity<'a> {
    /// What the side is drawn by; `None` where each call is drawn for itself.
    fn drawn_by(&self, by: CanaryBy) -> Option<&'a str> {
        match by {
            CanaryBy::User => self.user.or(self.session),
            CanaryBy::Session => self.session.or(self.user),
            CanaryBy::Tenant => self.tenant,
            CanaryBy::Call => None,
        }
    }
}

/// How many of a hundred calls go to the canary at `wall`, counted from the Unix epoch.
pub fn percent(canary: &Canary, wall: Duration) -> f64 {
    let Some(mut begins) = canary.start.map(|start| start.0) else { return canary.percent };
    let mut percent = canary.percent;
    for step in &canary.steps {
        if wall < begins {
            break;
        }
        percent = step.percent;
        let Some(lasting) = step.lasting else { break };
        begins = begins.saturating_add(lasting);
    }
    percent
}

/// The side of one call at `wall`.
pub fn side(canary: &Canary, who: &Identity<'_>, wall: Duration, rng: &Rng) -> Side {
    // Salted with the model, so that it is not the same users who are inside of every canary.
    let point = match who.drawn_by(canary.by) {
        Some(name) => hash::unit(hash::hash([canary.model.as_str(), name])),
        None => rng.unit(),
    };
    if point * 100.0 < percent(canary, wall) { Side::Canary } else { Side::Stable }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CanaryStep, Moment};

    const HOUR: Duration = Duration::from_secs(3600);

    fn canary(percent: f64) -> Canary {
        Canary { model: "next".into(), percent, ..Canary::default() }
    }

    fn inside(canary: &Canary, user: u32, wall: Duration) -> bool {
        let user = format!("user-{user}");
        let who = Identity { user: Some(&user), ..Identity::default() };
        side(canary, &who, wall, &Rng::seeded(1)) == Side::Canary
    }

    #[test]
    fn a_user_inside_stays_inside_as_the_share_grows() {
        let mut counts = Vec::new();
        let mut before = vec![false; 10_000];
        for percent in [0.0, 5.0, 25.0, 60.0, 100.0] {
            let now: Vec<bool> =
                (0..10_000).map(|user| inside(&canary(percent), user, Duration::ZERO)).collect();
            assert!(before.iter().zip(&now).all(|(before, now)| !before || *now), "{percent}");
            counts.push(now.iter().filter(|inside| **inside).count());
            before = now;
        }
        assert_eq!((counts[0], counts[4]), (0, 10_000));
        assert!((400..600).contains(&counts[1]) && (2300..2700).contains(&counts[2]), "{counts:?}");
    }

    #[test]
    fn steps_follow_one_another_and_the_last_one_stays() {
        let step =
            |percent, hours: Option<u32>| CanaryStep { percent, lasting: hours.map(|hours| HOUR * hours) };
        let canary = Canary {
            start: Some(Moment(HOUR * 10)),
            steps: vec![step(5.0, Some(2)), step(25.0, Some(3)), step(100.0, None)],
            ..canary(1.0)
        };
        let at = |hour| percent(&canary, HOUR * hour);
        let shares: Vec<f64> = [9, 10, 11, 12, 14, 15, 99].map(at).to_vec();
        assert_eq!(shares, [1.0, 5.0, 5.0, 25.0, 25.0, 100.0, 100.0]);
        let waiting = Canary { start: None, ..canary.clone() };
        assert_eq!(vec![percent(&waiting, HOUR * 99)], [1.0], "without a start they do not begin");
        let ending = Canary { steps: vec![step(5.0, Some(1))], ..canary };
        assert_eq!(vec![percent(&ending, HOUR * 99)], [5.0]);
    }

    #[test]
    fn who_is_unknown_is_drawn_call_by_call() {
        let rng = Rng::seeded(7);
        let drawn = |canary: &Canary, who: &Identity<'_>| {
            (0..10_000).filter(|_| side(canary, who, Duration::ZERO, &rng) == Side::Canary).count()
        };
        assert!((800..1200).contains(&drawn(&canary(10.0), &Identity::default())));
        let user = Identity { user: Some("u"), ..Identity::default() };
        assert!([0, 10_000].contains(&drawn(&canary(10.0), &user)), "one user is on one side");
        let by_call = Canary { by: CanaryBy::Call, ..canary(10.0) };
        assert!((800..1200).contains(&drawn(&by_call, &user)));
        let by_tenant = Canary { by: CanaryBy::Tenant, ..canary(10.0) };
        assert!((800..1200).contains(&drawn(&by_tenant, &user)), "no tenant, no memory");
    }

    #[test]
    fn two_canaries_have_different_users() {
        let other = Canary { model: "other".into(), ..canary(20.0) };
        let both = (0..10_000)
            .filter(|user| inside(&canary(20.0), *user, HOUR) && inside(&other, *user, HOUR))
            .count();
        assert!((300..500).contains(&both), "{both}: a fifth of a fifth");
    }
}
