//! What to say when no deployment may serve a call.

use super::decision::{Decision, IdleKey, Rejected, Rejection};
use crate::error::{Error, Kind};

/// The error of a plan without candidates, by what most of the rejected share.
pub(super) fn none_left(decision: &Decision) -> Error {
    let model = &decision.model;
    let Some(first) = decision.rejected.first() else {
        return Error::new(Kind::Config, format!("`{model}` has no deployments"));
    };
    let kind = match first.reason {
        Rejection::Lacks(_) | Rejection::ListedWithout(_) => Kind::BadRequest,
        Rejection::Window { .. } => Kind::ContextLength,
        Rejection::Region | Rejection::Denied => Kind::PermissionDenied,
        Rejection::NoKey => Kind::Authentication,
    };
    let keys = decision.idle_keys.iter().map(idle);
    let reasons: Vec<String> = decision.rejected.iter().map(told).chain(keys).collect();
    Error::new(kind, format!("no deployment of `{model}` may serve this call: {}", reasons.join("; ")))
}

fn told(rejected: &Rejected) -> String {
    format!("{}: {}", rejected.deployment, rejected.reason)
}

fn idle(idle: &IdleKey) -> String {
    format!("{}: the key `{}` is {}", idle.deployment, idle.key, idle.reason)
}
