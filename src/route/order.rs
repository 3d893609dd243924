//! In which order the deployments of one group are asked, and why each stands where it stands.

use std::fmt;
use std::sync::Arc;

use super::deployment::Deployment;
use super::group::Group;
use super::snapshot::Snapshot;
use crate::call::Call;
use crate::chat::facts::Facts;
use crate::clock::{self, Instant, Rng};
use crate::config::Routing;

/// What may be known of the call while its deployments are ordered.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The request.
    pub facts: &'a Facts,
    /// Who calls.
    pub tenant: Option<&'a str>,
    /// The conversation it belongs to, as the caller named it.
    pub session: Option<&'a str>,
    /// The present.
    pub now: Instant,
    /// Does health count?
    pub health: bool,
    /// What the strategies are tuned with.
    pub routing: &'a Routing,
}

impl<'a> Ask<'a> {
    pub(super) fn of(snapshot: &'a Snapshot, call: &'a Call, facts: &'a Facts) -> Self {
        Self {
            facts,
            tenant: call.options.tenant.as_deref(),
            session: call.options.session.as_deref(),
            now: clock::now(),
            health: snapshot.stages.health,
            routing: &snapshot.routing,
        }
    }
}

/// A deployment at its place.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Who is asked.
    pub deployment: Arc<Deployment>,
    /// And why here.
    pub standing: Standing,
}

/// Why a deployment stands where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    /// As written.
    AsWritten,
    /// It rests after failures or on the upstream's word: asked last.
    Resting,
}

impl Standing {
    /// Is it asked last?
    pub fn is_resting(self) -> bool {
        self == Self::Resting
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsWritten => "as written",
            Self::Resting => "resting: asked last",
        })
    }
}

/// Orders `eligible` deployments of `group`, the first to ask first. Loses none.
pub(super) fn order(
    _group: &Group,
    eligible: Vec<Arc<Deployment>>,
    ask: &Ask<'_>,
    _rng: &Rng,
) -> Vec<Placed> {
    let place = |deployment: Arc<Deployment>| {
        let rests = ask.health && deployment.is_resting(ask.now);
        let standing = if rests { Standing::Resting } else { Standing::AsWritten };
        Placed { deployment, standing }
    };
    let mut placed: Vec<Placed> = eligible.into_iter().map(place).collect();
    placed.sort_by_key(|placed| placed.standing == Standing::Resting);
    placed
}
