//! What the live records of the deployments say now.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::exposition::{Exposition, Type};
use crate::clock::{self, Instant};
use crate::engine::Engine;
use crate::live;
use crate::live::breaker::State;
use crate::provider::limit_headers::LimitKind;
use crate::route::{Deployment, Snapshot};

/// The deployments behind each label. Namesakes at several addresses have several records.
pub(super) type Standing = BTreeMap<Box<str>, Vec<Arc<Deployment>>>;

/// The deployments of the configuration that holds, by the label of their metrics.
pub(super) fn deployments(engine: &Engine, snapshot: &Snapshot) -> Standing {
    let mut standing = Standing::new();
    for deployment in snapshot.deployments() {
        let entry = engine.metrics().deployments.of([&*deployment.name]);
        let [label] = &entry.labels;
        let same = standing.entry(label.clone()).or_default();
        if !same.iter().any(|known| Arc::ptr_eq(&known.live, &deployment.live)) {
            same.push(deployment);
        }
    }
    standing
}

/// Writes the families of the live records.
pub(super) fn write(engine: &Engine, out: &mut Exposition) {
    let Ok(snapshot) = engine.snapshot() else { return };
    let (standing, now) = (deployments(engine, &snapshot), clock::now());
    let mut number = |name, help, of: &dyn Fn(&[Arc<Deployment>]) -> f64| {
        let mut family = out.family(name, Type::Gauge, help);
        for (label, deployments) in &standing {
            family.sample(&[("deployment", label)], of(deployments));
        }
    };
    number("breaker_state", "0 closed, 1 half-open, 2 open, 3 isolated.", &|same| {
        same.iter().map(|deployment| rank(deployment.live.breaker.state(now))).max().map_or(0.0, f64::from)
    });
    number("deployment_cooling", "1 while a deployment is left alone, because it asked for that.", &|same| {
        f64::from(same.iter().any(|deployment| deployment.live.rest.lasts(now)))
    });
    let policy = snapshot.allowance();
    number(
        "retry_budget_balance",
        "Retries of a deployment that its own traffic would pay for now.",
        &|same| {
            let balances = same.iter().map(|deployment| deployment.live.allowance.balance(&policy, now));
            balances.fold(f64::INFINITY, f64::min)
        },
    );
    limits(&standing, now, out);
}

/// The number of a state in `breaker_state`.
pub(super) fn rank(state: State) -> u8 {
    match state {
        State::Closed => 0,
        State::HalfOpen => 1,
        State::Open => 2,
        State::Isolated => 3,
    }
}

/// What is known of a provider's limit.
#[derive(Clone, Copy, Default)]
struct Left {
    limit: u64,
    remaining: u64,
    reset: Duration,
}

/// What providers told of their limits. The keys of a deployment count together.
fn limits(standing: &Standing, now: Instant, out: &mut Exposition) {
    let mut known = BTreeMap::<(&str, &str), Left>::new();
    for (label, same) in standing {
        for relation in relations(same) {
            for told in relation.learned.known(now) {
                let left = known.entry((label, kind(told.kind))).or_default();
                left.limit = left.limit.saturating_add(told.limit);
                left.remaining = left.remaining.saturating_add(told.remaining);
                left.reset = left.reset.max(told.reset);
            }
        }
    }
    let mut number = |name, help, of: fn(&Left) -> f64| {
        let mut family = out.family(name, Type::Gauge, help);
        for ((deployment, kind), left) in &known {
            family.sample(&[("deployment", deployment), ("kind", kind)], of(left));
        }
    };
    number("provider_limit", "What a provider allows, as its responses told it, over all keys.", |left| {
        left.limit as f64
    });
    number("provider_limit_remaining", "What is left of it.", |left| left.remaining as f64);
    number("provider_limit_reset_seconds", "Until all of it is there again, at the latest.", |left| {
        left.reset.as_secs_f64()
    });
}

fn relations(same: &[Arc<Deployment>]) -> Vec<&Arc<live::Relation>> {
    let mut relations: Vec<&Arc<live::Relation>> = Vec::new();
    for credential in same.iter().flat_map(|deployment| &deployment.credentials) {
        if !relations.iter().any(|known| Arc::ptr_eq(known, &credential.relation)) {
            relations.push(&credential.relation);
        }
    }
    relations
}

/// The name of a limit in labels.
fn kind(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Requests => "requests",
        LimitKind::RequestsPerMinute => "requests_per_minute",
        LimitKind::RequestsPerDay => "requests_per_day",
        LimitKind::Tokens => "tokens",
        LimitKind::TokensPerMinute => "tokens_per_minute",
        LimitKind::TokensPerDay => "tokens_per_day",
        LimitKind::InputTokens => "input_tokens",
        LimitKind::OutputTokens => "output_tokens",
        LimitKind::InputImages => "input_images",
        LimitKind::ProjectRequests => "project_requests",
        LimitKind::ProjectTokens => "project_tokens",
        LimitKind::UnifiedFiveHours => "unified_5h",
        LimitKind::UnifiedSevenDays => "unified_7d",
    }
}
