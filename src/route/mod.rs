//! Which deployments, in which order, and why.
//!
//! So far a model is an ordered list of deployments with its fallbacks behind it; health only moves what is
//! cooling down or disabled to the end. Rules and strategies will change the order here, and nowhere else.

mod deployment;
mod snapshot;

use std::sync::Arc;

pub use deployment::{Candidate, Credential, Deployment, Endpoint};
pub use snapshot::Snapshot;

use crate::clock;
use crate::error::Error;

/// What routing decided.
#[derive(Debug)]
pub struct Plan {
    /// The name the caller used.
    pub model: String,
    /// The rule that picked the model.
    pub rule: Option<String>,
    /// In the order in which they are asked; never empty.
    pub candidates: Vec<Candidate>,
}

/// The plan for a call that names `model` (`None`: the default model).
///
/// # Errors
///
/// [`crate::error::Kind::Config`] where no model is named, or no provider or key is known for it.
pub fn plan(snapshot: &Snapshot, model: &str) -> Result<Plan, Error> {
    let model = snapshot.named(model)?;
    let deployments = snapshot.deployments(&model)?;
    let mut candidates: Vec<Candidate> = deployments.iter().flat_map(Candidate::of).collect();
    if snapshot.stages.health && candidates.len() > 1 {
        let now = clock::now();
        // Stable: within the healthy and the others the written order holds.
        candidates.sort_by_key(|candidate| candidate.is_resting(now));
    }
    Ok(Plan { model, rule: None, candidates })
}

impl Candidate {
    /// One candidate for each credential of `deployment`.
    fn of(deployment: &Arc<Deployment>) -> impl Iterator<Item = Self> + '_ {
        deployment.credentials.iter().map(|credential| Self {
            deployment: Arc::clone(deployment),
            credential: Arc::clone(credential),
        })
    }
}
