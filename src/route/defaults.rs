//! Default parameters: the rule's, then the model's, then the deployment's; the caller wins over all.

use super::Plan;
use super::deployment::Candidate;
use super::group::Params;
use crate::chat::facts::{Facts, OUTPUT_LIMITS};
use crate::chat::json;
use crate::chat::patch::Edit;

/// What is added to the request of `candidate` where the caller set nothing.
pub fn edits<'a>(
    facts: &'a Facts,
    plan: &'a Plan,
    candidate: &'a Candidate,
) -> impl Iterator<Item = Edit<'a>> {
    let sent = all(plan, candidate).filter(|(name, _)| !is_refused(candidate, name));
    sent.filter(|(name, _)| !is_bounded(facts, name)).map(|(name, value)| Edit::SetIfAbsent(name, value))
}

/// The defaults that `candidate` refuses, so that they are not sent to it.
pub fn dropped<'a>(plan: &'a Plan, candidate: &'a Candidate) -> impl Iterator<Item = &'a str> {
    all(plan, candidate).filter(|(name, _)| is_refused(candidate, name)).map(|(name, _)| name)
}

/// Those of the defaults that a candidate of `plan` refuses which the request says for itself: they would not have
/// been sent anyway. Without such a default `body` is not looked at.
pub fn overridden(facts: &Facts, plan: &Plan, body: &[u8]) -> Vec<String> {
    let mut refused = plan.candidates.iter().flat_map(|candidate| dropped(plan, candidate)).peekable();
    if refused.peek().is_none() {
        return Vec::new();
    }
    let request = json::document(body).ok();
    let is_said =
        |name: &&str| is_bounded(facts, name) || request.is_some_and(|request| request.get(name).is_some());
    refused.filter(is_said).map(str::to_owned).collect()
}

/// The most output tokens that is sent to `candidate`: the caller's word, else a default's.
pub fn max_output(facts: &Facts, plan: &Plan, candidate: &Candidate) -> Option<u64> {
    let mut sent =
        all(plan, candidate).filter(|(name, _)| OUTPUT_LIMITS.contains(name) && !is_refused(candidate, name));
    facts.max_output.or_else(|| sent.find_map(|(_, value)| value.parse().ok()))
}

/// Every default under the name that it is sent under, the first of a name before the others.
fn all<'a>(plan: &'a Plan, candidate: &'a Candidate) -> impl Iterator<Item = (&'a str, &'a str)> {
    let lists: [&'a Params; 3] =
        [&plan.consequence.params, &candidate.group.params, &candidate.deployment.params];
    lists.into_iter().flatten().map(|(name, value)| (sent_as(candidate, name), value.as_str()))
}

/// The bound on output tokens is one parameter, under whatever of its names it was written.
fn sent_as<'a>(candidate: &'a Candidate, name: &'a str) -> &'a str {
    if OUTPUT_LIMITS.contains(&name) { candidate.deployment.output_limit } else { name }
}

fn is_refused(candidate: &Candidate, name: &str) -> bool {
    candidate.deployment.drop_params.iter().any(|dropped| sent_as(candidate, dropped) == name)
}

/// The caller bounds the output under another of its names.
fn is_bounded(facts: &Facts, name: &str) -> bool {
    facts.output_limits != 0 && OUTPUT_LIMITS.contains(&name)
}
