//! From a call and a candidate to the request that goes out and the limits it goes under.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method};

use super::alarm::Due;
use super::attempt::Job;
use super::{Limits, Outgoing};
use crate::call::{Call, Limit, Operation};
use crate::chat::facts::{Facts, OUTPUT_LIMITS, OWN_OPTIONS};
use crate::chat::patch::{self, Edit};
use crate::clock::{self, Instant};
use crate::config::Timeouts;
use crate::error::{Error, Kind};
use crate::live::pace;
use crate::retry::course::Terms;
use crate::retry::policy::{AttemptLimit, Policy};
use crate::route::{Candidate, Pass, Plan, Snapshot, defaults};

/// The least that durations of earlier replies may make the limit of an attempt.
const LEAST: Duration = Duration::from_secs(30);
/// The most an attempt may take of a call's time while there are too few samples.
const MOST: Duration = Duration::from_secs(300);

/// What the course of a call leaves to its next attempt.
#[derive(Clone, Copy, Debug)]
pub struct Leave {
    /// A failure would be the last word: the attempt may take all the time that is left.
    pub is_last: bool,
    /// Attempts before it.
    pub number: u32,
    /// Its request may be repeated, should its connection turn out to be dead.
    pub repeat: bool,
}

impl Snapshot {
    /// When the call must have ended.
    pub fn deadline(&self, call: &Call, plan: &Plan, began: Instant) -> Due {
        let total = plan.settings.timeouts.total;
        Due::after(began, call.options.deadline.unwrap_or(total), Kind::Deadline)
    }

    /// What governs the retries of this call.
    pub fn retry(&self, call: &Call, plan: &Plan) -> Terms {
        let terms = plan.settings.retry;
        let allowed = call.options.max_retries.unwrap_or(terms.policy.max_retries);
        let max_retries = if self.stages.retry { allowed } else { 0 };
        Terms { policy: Policy { max_retries, ..terms.policy }, ..terms }
    }

    /// One attempt at a candidate with the key in hand, beginning now.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`] for a header or path of the call that cannot be sent.
    pub fn job<'a>(
        &'a self,
        call: &Call,
        facts: &Facts,
        plan: &Plan,
        (candidate, pass): (&'a Candidate, &Pass),
        deadline: Due,
        leave: Leave,
    ) -> Result<Job<'a>, Error> {
        let repeat = leave.repeat && self.stages.transparent_retry;
        Ok(Job {
            outgoing: outgoing(call, facts, plan, candidate, candidate.credential.headers(pass), repeat)?,
            candidate,
            shape: call.operation.shape(),
            stream: facts.stream,
            choices: facts.choices,
            wants_usage: facts.include_usage,
            limits: limits(call, facts, plan, candidate, deadline, leave),
            bounds: &self.bounds,
        })
    }
}

fn limits(
    call: &Call,
    facts: &Facts,
    plan: &Plan,
    candidate: &Candidate,
    deadline: Due,
    leave: Leave,
) -> Limits {
    let (timeouts, chosen) = (&plan.settings.timeouts, &call.options.timeout);
    let read = chosen.read.or(plan.consequence.timeout.or(candidate.group.timeout).map(Limit::After));
    let pick = |chosen: Option<Limit>, configured: Duration| chosen.map_or(configured, Limit::duration);
    let policy = &plan.settings.retry.policy;
    let started = clock::now();
    let answer = if facts.stream {
        Due::after(started, pick(read, timeouts.first_token), Kind::FirstTokenTimeout)
    } else {
        match read.map(Limit::duration).or(timeouts.attempt) {
            Some(limit) => Due::after(started, limit, Kind::AttemptTimeout),
            None if leave.is_last && policy.attempt_limit == AttemptLimit::AsConfigured => deadline,
            None => {
                let usual = attempt_limit(timeouts, facts, candidate);
                let left = deadline.at.saturating_duration_since(started);
                match policy.attempt_limit.of(leave.number, usual, left) {
                    limit if limit < left => Due::after(started, limit, Kind::AttemptTimeout),
                    _ => deadline,
                }
            }
        }
    };
    Limits {
        started,
        pool: pick(chosen.pool, timeouts.pool),
        connect: pick(chosen.connect, timeouts.connect),
        write: pick(chosen.write, timeouts.write),
        headers: timeouts.headers,
        answer,
        idle: pick(read, timeouts.idle),
        content_idle: timeouts.content_idle,
        deadline,
        tail: timeouts.tail,
    }
}

/// How many times as long as usual answers the one may be that a call allows, for the limit of its attempt.
const LONGER: u64 = 4;

/// What one attempt that is not a stream may take, so that a black hole does not eat the whole deadline: three times
/// what a reply of its expected size takes in all but one case of a hundred.
fn attempt_limit(timeouts: &Timeouts, facts: &Facts, candidate: &Candidate) -> Duration {
    let deployment = &candidate.deployment;
    let usual = deployment.live.usual_output(0.99).unwrap_or_default();
    let output = facts.max_output.map_or(usual, |most| most.min(usual.saturating_mul(LONGER)));
    let size = pace::size(deployment.tokens(&facts.prompt) as f64, output as f64);
    let known = deployment.live.longest(size);
    known.map_or((timeouts.total / 2).min(MOST), |longest| longest.saturating_mul(3).max(LEAST))
}

fn outgoing(
    call: &Call,
    facts: &Facts,
    plan: &Plan,
    candidate: &Candidate,
    mut headers: HeaderMap,
    repeat: bool,
) -> Result<Outgoing, Error> {
    let deployment = &candidate.deployment;
    let method = match &call.operation {
        Operation::Chat | Operation::Embeddings => Method::POST,
        Operation::Models => Method::GET,
        Operation::Raw { method, .. } => method.clone(),
    };
    let path = deployment.path(&call.operation);
    let accept = if facts.stream { "text/event-stream" } else { "application/json" };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if facts.stream {
        // A compressed stream arrives in blocks, not in events.
        headers.remove(ACCEPT_ENCODING);
    }
    if call.body.is_empty() {
        headers.remove(CONTENT_TYPE);
    }
    for (name, value) in &call.options.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unsendable(name))?;
        match value {
            Some(value) => {
                headers.insert(parsed, HeaderValue::from_str(value).map_err(|_| unsendable(name))?);
            }
            None => {
                headers.remove(parsed);
            }
        }
    }
    let path = with_query(path, deployment.query.iter().chain(&call.options.query));
    Ok(Outgoing { method, path, headers, body: body(call, facts, plan, candidate)?, repeat })
}

fn unsendable(name: &str) -> Error {
    Error::new(Kind::Config, format!("`extra_headers`: `{name}` is not a header that can be sent"))
}

fn with_query<'a>(mut path: String, query: impl Iterator<Item = &'a (String, String)>) -> String {
    let mut query = query.peekable();
    if query.peek().is_some() {
        path.push(if path.contains('?') { '&' } else { '?' });
        let mut written = url::form_urlencoded::Serializer::new(String::new());
        written.extend_pairs(query.map(|(name, value)| (name.as_str(), value.as_str())));
        path.push_str(&written.finish());
    }
    path
}

/// The caller's bytes with the few fields that must change.
fn body(call: &Call, facts: &Facts, plan: &Plan, candidate: &Candidate) -> Result<Bytes, Error> {
    if !call.operation.names_model() {
        return Ok(call.body.clone());
    }
    let deployment = &candidate.deployment;
    let mut edits = Vec::new();
    if facts.own_options {
        edits.push(Edit::Remove(OWN_OPTIONS));
    }
    let model;
    // Where the model is named twice, rules and upstream must still read the same one.
    if deployment.model != facts.model || facts.models > 1 {
        model = serde_json::Value::from(deployment.model.as_str()).to_string();
        edits.push(Edit::Set("model", &model));
    }
    edits.extend(defaults::edits(facts, plan, candidate));
    let (options, messages);
    if call.operation == Operation::Chat {
        if facts.bounds_output_other_than(deployment.output_limit) {
            edits.extend(OUTPUT_LIMITS.iter().map(|name| Edit::Rename(name, deployment.output_limit)));
        }
        if facts.stream && !facts.include_usage && deployment.preset.include_usage {
            let written = facts.stream_options.clone().and_then(|place| call.body.get(place));
            options = patch::stream_options(written, true).map_err(|fault| not_json(&fault))?;
            edits.extend(options.as_deref().map(|options| Edit::Set("stream_options", options)));
        }
        if let Some(written) = facts.reasoned.clone().and_then(|place| call.body.get(place)) {
            messages = deployment.preset.thoughts.told(written).map_err(|fault| not_json(&fault))?;
            edits.extend(messages.as_deref().map(|messages| Edit::Set("messages", messages)));
        }
    }
    patch::apply(&call.body, &edits).map_err(|fault| not_json(&fault))
}

fn not_json(fault: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::BadRequest, format!("the request is not JSON: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_join_whatever_the_path_already_carries() {
        let query = [("a".to_owned(), "x y".to_owned())];
        assert_eq!(with_query("/v1/models".into(), query.iter()), "/v1/models?a=x+y");
        assert_eq!(with_query("/v1?api-version=1".into(), query.iter()), "/v1?api-version=1&a=x+y");
        assert_eq!(with_query("/v1".into(), [].iter()), "/v1");
    }
}
