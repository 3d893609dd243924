//! Which deployments, in which order, and why.
//!
//! ```text
//! call ─► pick      the model: named, by a rule, by default, or its canary        pick, rules
//!      ─► filter    who may serve it: regions, capabilities, windows, tenants     filter
//!      ─► order     who goes first: strategy, affinity, health                    order
//!      ─► plan      the candidates with their keys, and the decision as a record  decision
//! ```
//!
//! All of it reads an immutable [`Snapshot`] and the live records; nothing is sent and nothing is locked.

mod affinity;
pub mod canary;
mod compile;
mod credential;
pub mod context;
mod decision;
pub mod defaults;
mod deployment;
pub mod expr;
mod filter;
pub mod glob;
mod group;
mod hosts;
mod keyring;
mod lineup;
mod order;
pub mod outlier;
mod pick;
mod quotas;
mod refusal;
pub mod rules;
mod routes;
mod ruleset;
mod settings;
mod snapshot;
mod space;
mod standing;
mod strategy;
mod tenant;
mod written;

use std::sync::Arc;

pub use credential::{Again, Credential, KeyState, Pass, Window};
pub use decision::{Choice, Decision, IdleKey, Label, Need, Rejected, Rejection, Why};
pub use deployment::{Abilities, Candidate, Deployment, Pairing};
pub use group::{Group, Params, Role, Route, Stop};
pub use hosts::Hosts;
pub use order::Ask;
pub use quotas::Subscription;
pub use ruleset::Consequence;
pub use settings::Settings;
pub use snapshot::Snapshot;
pub use space::Space;
pub use standing::{Full, Standing};

use crate::admit::Caller;
use crate::call::{Call, Operation};
use crate::chat::facts::Facts;
use crate::clock::Rng;
use crate::defect;
use crate::error::{Error, Kind};
use filter::{Believe, Demands};
use pick::{Asked, Picked};

/// What routing decided.
#[derive(Debug)]
pub struct Plan {
    /// What is asked.
    pub operation: Operation,
    /// In the order in which they are asked; never empty. Those for one cause only come last.
    pub candidates: Vec<Candidate>,
    /// Timeouts and retries of this call.
    pub settings: Arc<Settings>,
    /// What follows from the rule that picked the model; nothing where none did.
    pub consequence: Arc<Consequence>,
    /// What was decided and why.
    pub decision: Arc<Decision>,
}

impl Plan {
    /// The plan of a call that is for one candidate and nobody else.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`] where its model's profile is unknown.
    pub fn only(snapshot: &Snapshot, call: &Call, candidate: Candidate) -> Result<Self, Error> {
        let model = Arc::clone(&candidate.group.name);
        Ok(Self {
            operation: call.operation.clone(),
            settings: Arc::clone(snapshot.settings(candidate.group.profile.as_deref())?),
            candidates: vec![candidate],
            consequence: Arc::default(),
            decision: Arc::new(Decision { model, ..Decision::default() }),
        })
    }

    /// Is there but one deployment to ask, whatever its keys?
    pub fn is_lone(&self) -> bool {
        let first = self.candidates.first();
        first.is_some_and(|first| self.candidates.iter().all(|other| other.is_sibling_of(first)))
    }

    /// The candidate at `position`.
    ///
    /// # Errors
    ///
    /// [`Kind::NoHealthyDeployment`] where there is none.
    pub fn candidate(&self, position: usize) -> Result<&Candidate, Error> {
        self.candidates.get(position).ok_or_else(|| {
            let model = &self.decision.model;
            Error::new(Kind::NoHealthyDeployment, format!("no deployment serves `{model}` now"))
        })
    }
}

/// The plan for a call.
///
/// # Errors
///
/// [`Kind::Config`] where no model is named or no key is known for it; [`Kind::ModelNotFound`] where no model has the
/// name; where no deployment may serve the call, what it lacks.
pub fn plan(snapshot: &Snapshot, call: &Call, facts: &Facts, rng: &Rng) -> Result<Plan, Error> {
    defect::at(defect::Stage::Route);
    let options = &call.options;
    let tenant = options.tenant.as_deref().and_then(|name| snapshot.tenant(name));
    let Picked { route, why, consequence, notes } = Asked { snapshot, call, facts, tenant, rng }.pick()?;
    let own = route.own().ok_or_else(|| Error::new(Kind::Internal, "a route without a group"))?;
    let profiles = [&options.profile, &consequence.profile, &own.profile];
    let theirs = tenant.and_then(|tenant| tenant.profile.as_deref());
    let profile = profiles.into_iter().find_map(|profile| profile.as_deref()).or(theirs);
    let mut decision = Decision {
        requested: facts.model.clone(),
        model: Arc::clone(&own.name),
        rule: Some(&consequence.rule).filter(|rule| !rule.is_empty()).cloned(),
        why,
        notes,
        ..Decision::default()
    };
    let mut demands = Demands::of(call, facts, &consequence, tenant, &snapshot.holders);
    let thrifty = snapshot.scopes.is_thrifty(&Caller::of(call, facts), own.models());
    if thrifty {
        decision.notes.push("a budget is nearly used up: the cheapest is asked first".to_owned());
    }
    let ask = Ask { thrifty, ..Ask::of(snapshot, call, facts) };
    let mut candidates = lineup::line_up(&route, &demands, &ask, rng, &mut decision);
    if candidates.is_empty() {
        // Who would be refused on the catalogue's word alone is asked before nobody is.
        demands.believe = Believe::Operator;
        decision.rejected.clear();
        decision.idle_keys.clear();
        candidates = lineup::line_up(&route, &demands, &ask, rng, &mut decision);
    }
    if candidates.is_empty() {
        return Err(refusal::none_left(&decision));
    }
    Ok(Plan {
        operation: call.operation.clone(),
        candidates,
        settings: Arc::clone(snapshot.settings(profile)?),
        consequence,
        decision: Arc::new(decision),
    })
}
