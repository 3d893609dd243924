//! Which model a call goes to: the caller's word, a rule, the default, or a canary of any of these.

use std::sync::Arc;

use super::decision::Why;
use super::group::Route;
use super::snapshot::Snapshot;
use super::tenant::Tenant;
use crate::call::Call;
use crate::chat::facts::Facts;
use crate::error::{Error, Kind};

/// The name that leaves the choice to the rules.
const OPEN: &str = "auto";

/// What was picked.
#[derive(Debug)]
pub(super) struct Picked {
    pub(super) route: Arc<Route>,
    pub(super) why: Why,
    pub(super) rule: Option<Arc<str>>,
}

/// Picks the model of a call.
pub(super) fn pick(
    snapshot: &Snapshot,
    call: &Call,
    facts: &Facts,
    tenant: Option<&Tenant>,
) -> Result<Picked, Error> {
    if !call.operation.names_model() {
        return Ok(Picked { route: snapshot.any_route()?, why: Why::AnyDeployment, rule: None });
    }
    let (name, why) = named(snapshot, &facts.model, tenant)?;
    let route = snapshot.route(&name)?;
    let route = with_fallbacks(snapshot, call, route)?;
    Ok(Picked { route, why, rule: None })
}

fn named(snapshot: &Snapshot, model: &str, tenant: Option<&Tenant>) -> Result<(String, Why), Error> {
    if !is_open(model) {
        return Ok((model.to_owned(), Why::Named));
    }
    if let Some(default) = tenant.and_then(|tenant| tenant.default_model.clone()) {
        return Ok((default, Why::TenantDefault));
    }
    let default = snapshot.default_model().map(|default| (default, Why::Default));
    default.ok_or_else(|| {
        let message = "no model is named: pass `model=`, or set `default_model` or the provider's variable \
                       (such as OPENROUTER_MODEL)";
        Error::new(Kind::Config, message)
    })
}

/// Does the caller leave the choice to us?
pub(super) fn is_open(model: &str) -> bool {
    model.is_empty() || model == OPEN
}

/// The call's own fallbacks instead of the model's.
fn with_fallbacks(snapshot: &Snapshot, call: &Call, route: Arc<Route>) -> Result<Arc<Route>, Error> {
    let Some(names) = &call.options.fallbacks else { return Ok(route) };
    let mut own = Route { stops: route.stops.iter().take(1).cloned().collect() };
    for name in names {
        own.follow(snapshot.route(name)?.as_ref());
    }
    Ok(Arc::new(own))
}
