//! Which deployments, in which order, and why.
//!
//! So far a model is an ordered list of deployments with its fallbacks behind it; health only moves what is
//! cooling down or disabled to the end. Rules and strategies will change the order here, and nowhere else.

mod deployment;
mod snapshot;
mod written;

use std::sync::Arc;

pub use deployment::{Candidate, Credential, Deployment};
pub use snapshot::Snapshot;

use crate::call::{Call, Operation};
use crate::chat::facts::Facts;
use crate::clock;
use crate::error::{Error, Kind};

/// What routing decided.
#[derive(Debug)]
pub struct Plan {
    /// The name the caller used.
    pub model: String,
    /// What is asked.
    pub operation: Operation,
    /// The rule that picked the model.
    pub rule: Option<String>,
    /// In the order in which they are asked; never empty.
    pub candidates: Vec<Candidate>,
}

impl Plan {
    /// The candidate at `position`.
    ///
    /// # Errors
    ///
    /// [`Kind::NoHealthyDeployment`] where there is none.
    pub fn candidate(&self, position: usize) -> Result<&Candidate, Error> {
        self.candidates.get(position).ok_or_else(|| {
            Error::new(Kind::NoHealthyDeployment, format!("no deployment serves `{}` now", self.model))
        })
    }
}

/// The plan for a call.
///
/// # Errors
///
/// [`Kind::Config`] where no model is named or no key is known for it; [`Kind::NotFound`] where no model has the
/// name.
pub fn plan(snapshot: &Snapshot, call: &Call, facts: &Facts) -> Result<Plan, Error> {
    let (model, deployments) = if call.operation.names_model() {
        let model = snapshot.named(&facts.model)?;
        let deployments = snapshot.deployments(&model)?;
        (model, deployments)
    } else {
        (facts.model.clone(), vec![snapshot.any_deployment()?])
    };
    let mut candidates = candidates(&deployments);
    if snapshot.stages.health && candidates.len() > 1 {
        let now = clock::now();
        // Stable: within the healthy and the others the written order holds.
        candidates.sort_by_key(|candidate| candidate.is_resting(now));
    }
    Ok(Plan { model, operation: call.operation.clone(), rule: None, candidates })
}

fn candidates(deployments: &[Arc<Deployment>]) -> Vec<Candidate> {
    deployments.iter().flat_map(Candidate::of).collect()
}
