//! How much a call may say and be told, wherever among the deployments of its own model it goes.

use serde::Serialize;

use super::Plan;
use super::deployment::Candidate;
use super::group::Role;

/// The least of what is known of the deployments of a call's own model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Space {
    /// What the upstream that is asked first calls the model.
    pub model: String,
    /// Tokens of prompt and answer together; `None` where no deployment's are known.
    pub context_window: Option<u64>,
    /// Tokens of an answer; likewise.
    pub max_output: Option<u64>,
}

impl Plan {
    /// How much room the call has, whichever deployment of its own model answers.
    pub fn space(&self) -> Space {
        let own = || self.candidates.iter().filter(|candidate| candidate.role == Role::Own);
        let least = |of: fn(&Candidate) -> Option<u64>| own().filter_map(of).min();
        Space {
            model: own().next().map(|first| first.deployment.model.clone()).unwrap_or_default(),
            context_window: least(|candidate| candidate.deployment.context_window()),
            max_output: least(|candidate| candidate.deployment.max_output()),
        }
    }
}
