//! Which deployments of a group may serve the call at all.

use std::collections::HashMap;
use std::sync::Arc;

use super::decision::{Need, Rejected, Rejection};
use super::deployment::{Abilities, Deployment};
use super::glob;
use super::group::{Post, Role, Route, Stop};
use super::ruleset::Consequence;
use super::tenant::Tenant;
use crate::call::Call;
use crate::chat::estimate::Prompt;
use crate::chat::facts::Facts;
use crate::provider::catalogue::{Entry, Known};

/// How many windows the estimate of a prompt must come to before it is believed: estimates err, and the upstream
/// counts for certain.
const FAR: u64 = 2;

/// What is asked of every deployment.
#[derive(Debug)]
pub(super) struct Demands<'a> {
    pub(super) needs: Vec<Need>,
    /// Every list must hold the region; an empty one allows all.
    pub(super) regions: [&'a [String]; 3],
    /// What of the prompt becomes tokens.
    pub(super) prompt: Prompt,
    /// Tokens the answer may have.
    pub(super) output: u64,
    pub(super) tenant: Option<&'a Tenant>,
    pub(super) holders: &'a Holders,
    /// Whose word on abilities counts.
    pub(super) believe: Believe,
}

/// For each `provider/model` the configured models that hold it.
pub(super) type Holders = HashMap<String, Vec<Arc<str>>>;

/// Whose word counts when it says that a deployment cannot do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Believe {
    /// The operator's and the catalogue's.
    All,
    /// The operator's alone: a catalogue errs and ages, and the upstream knows for certain.
    Operator,
}

impl<'a> Demands<'a> {
    pub(super) fn of(
        call: &'a Call,
        facts: &Facts,
        consequence: &'a Consequence,
        tenant: Option<&'a Tenant>,
        holders: &'a Holders,
    ) -> Self {
        let theirs = tenant.map_or(&[][..], |tenant| tenant.regions.as_slice());
        Self {
            needs: needs(facts),
            regions: [&call.options.regions, &consequence.regions, theirs],
            prompt: facts.prompt,
            output: facts.max_output.unwrap_or_default(),
            tenant,
            holders,
            believe: Believe::All,
        }
    }

    /// The deployments of `stop` that may be asked; the others go to `rejected`.
    pub(super) fn eligible<'b>(&self, stop: &'b Stop, rejected: &mut Vec<Rejected>) -> Vec<&'b Post> {
        let mut eligible = Vec::with_capacity(stop.posts.len());
        for post in stop.posts.iter() {
            let deployment = &post.deployment;
            let denied = self.tenant.filter(|tenant| is_denied(tenant, post, stop, self.holders));
            let refusal = denied.map(|_| Rejection::Denied).or_else(|| self.refusal(post, stop.role));
            match refusal {
                None => eligible.push(post),
                Some(reason) => rejected.push(Rejected {
                    deployment: Arc::clone(&deployment.name),
                    model: Arc::clone(&stop.group.name),
                    reason,
                }),
            }
        }
        eligible
    }

    fn refusal(&self, post: &Post, role: Role) -> Option<Rejection> {
        let deployment = &*post.deployment;
        let regions = self.regions.into_iter().chain([post.home.regions.as_slice()]);
        if regions.filter(|list| !list.is_empty()).any(|list| !is_in(deployment, list)) {
            return Some(Rejection::Region);
        }
        // A fallback that runs nearby is often a small model: unless it is known to be able, it is not asked.
        let must_know = role != Role::Own && deployment.preset.is_local();
        let lacks = |need: &&Need| match deployment.abilities.can(**need) {
            Some(can) => !can,
            None => must_know && **need != Need::Stream,
        };
        if let Some(need) = self.needs.iter().find(lacks) {
            return Some(Rejection::Lacks(*need));
        }
        let listed = deployment.listed.filter(|_| self.believe == Believe::All);
        if let Some(need) = self.needs.iter().find(|need| is_listed_without(deployment, listed, **need)) {
            return Some(Rejection::ListedWithout(*need));
        }
        let listed = listed.and_then(|entry| entry.context_window).map(u64::from);
        let window = deployment.abilities.context_window.or(listed)?;
        let tokens = deployment.tokens(&self.prompt);
        (tokens > window * FAR).then_some(Rejection::Window { tokens, window })
    }

    /// Will the prompt and its answer probably not fit?
    pub(super) fn strains(&self, deployment: &Deployment) -> bool {
        deployment
            .context_window()
            .is_some_and(|window| deployment.tokens(&self.prompt) + self.output > window)
    }
}

/// May the tenant not use the deployment here? An id or a tag leads to it as a part of its model, `provider/model` to
/// what all models that hold it are.
fn is_denied(tenant: &Tenant, post: &Post, stop: &Stop, holders: &Holders) -> bool {
    if stop.group.is_configured {
        return !tenant.may_use(&[&stop.group.name], &[]);
    }
    let deployment = &post.deployment;
    let full_name = deployment.full_name();
    if post.home.is_configured {
        return !tenant.may_use(&[&post.home.name, &stop.group.name, &deployment.name, &full_name], &[]);
    }
    let holders = holders.get(&full_name).map(Vec::as_slice).unwrap_or_default();
    !tenant.may_use(&[&stop.group.name, &deployment.name, &full_name], holders)
}

/// May the tenant use any deployment of the route's own model?
pub(super) fn may_use(tenant: &Tenant, route: &Route, holders: &Holders) -> bool {
    let may = |stop: &Stop| stop.posts.iter().any(|post| !is_denied(tenant, post, stop, holders));
    route.stops.first().is_some_and(may)
}

/// Does the catalogue say that it cannot, where the operator says nothing?
fn is_listed_without(deployment: &Deployment, listed: Option<&Entry>, need: Need) -> bool {
    let Some(known) = listed.map(|entry| entry.capabilities) else { return false };
    let known = match need {
        Need::Tools => known.tools,
        Need::Vision => known.vision,
        Need::JsonSchema => known.json_schema,
        Need::Reasoning => known.reasoning,
        Need::Stream => Known::Unknown,
    };
    known == Known::No && deployment.abilities.can(need).is_none()
}

/// Residency is a promise: a deployment whose region is not known does not keep it.
fn is_in(deployment: &Deployment, regions: &[String]) -> bool {
    deployment.region.as_ref().is_some_and(|region| glob::any(regions, region))
}

impl Abilities {
    /// Can it do that, as far as is known?
    pub fn can(&self, need: Need) -> Option<bool> {
        match need {
            Need::Tools => self.tools,
            Need::Vision => self.vision,
            Need::JsonSchema => self.json_schema,
            Need::Reasoning => self.reasoning,
            Need::Stream => self.stream,
        }
    }
}

/// What the request needs.
fn needs(facts: &Facts) -> Vec<Need> {
    let needs = [
        (facts.has_tools, Need::Tools),
        (facts.has_images, Need::Vision),
        (facts.needs_json_schema, Need::JsonSchema),
        (facts.needs_reasoning, Need::Reasoning),
        (facts.stream, Need::Stream),
    ];
    needs.into_iter().filter_map(|(needed, need)| needed.then_some(need)).collect()
}
