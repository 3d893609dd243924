//! Which model a call goes to: the caller's word, a rule, or the default.

use std::sync::Arc;

use super::canary::{self, Identity, Side};
use super::context::Context;
use super::decision::Why;
use super::filter;
use super::group::Route;
use super::rules::AUTO;
use super::ruleset::Consequence;
use super::snapshot::Snapshot;
use super::tenant::Tenant;
use crate::call::Call;
use crate::chat::facts::{Facts, Wants};
use crate::clock::{self, Rng};
use crate::config::NoMatch;
use crate::error::{Error, Kind};

/// A call on its way to a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) call: &'a Call,
    pub(super) facts: &'a Facts,
    pub(super) tenant: Option<&'a Tenant>,
    pub(super) rng: &'a Rng,
}

/// What was picked.
#[derive(Debug)]
pub(super) struct Picked {
    pub(super) route: Arc<Route>,
    pub(super) why: Why,
    pub(super) consequence: Arc<Consequence>,
    pub(super) notes: Vec<String>,
}

impl Asked<'_> {
    /// Picks the model of the call.
    pub(super) fn pick(&self) -> Result<Picked, Error> {
        let mut notes = Vec::new();
        if !self.call.operation.names_model() {
            let route = self.for_this_call(self.snapshot.any_route(self.tenant)?)?;
            return Ok(Picked { route, why: Why::AnyDeployment, consequence: Arc::default(), notes });
        }
        if self.brings_its_own() {
            let route = self.for_this_call(self.snapshot.route(self.named()?, self.tenant)?)?;
            let why = self.why(Why::Named, &route);
            return Ok(Picked { route, why, consequence: Arc::default(), notes });
        }
        let consequence = self.consequence(&mut notes).unwrap_or_default();
        let (name, why) = self.name(&consequence)?;
        let route = self.with_fallbacks(self.snapshot.route(&name, self.tenant)?)?;
        let why = self.why(why, &route);
        let (route, why) = self.or_its_canary(route, why, &mut notes)?;
        Ok(Picked { route, why, consequence, notes })
    }

    /// Has the call a key or an address of its own? They are meant for the model it names, so neither rules nor
    /// canaries divert it.
    fn brings_its_own(&self) -> bool {
        self.call.options.api_key.is_some() || self.call.options.base_url.is_some()
    }

    fn named(&self) -> Result<&str, Error> {
        if self.is_open() {
            let message = "a call with a key or an address of its own must name its model";
            return Err(Error::new(Kind::Config, message));
        }
        Ok(&self.facts.model)
    }

    /// What the first rule that holds says; a tenant's own rules are asked first.
    fn consequence(&self, notes: &mut Vec<String>) -> Option<Arc<Consequence>> {
        let theirs = self.tenant.map(|tenant| &tenant.rules);
        let rules = || theirs.into_iter().chain([&self.snapshot.rules]).filter(|rules| !rules.is_empty());
        rules().next()?;
        let context = self.context();
        rules().find_map(|rules| rules.consequence(&context, notes)).cloned()
    }

    fn context(&self) -> Context<'_> {
        let mut context = Context::new(self.facts, &self.call.options);
        context.path = self.call.operation.path();
        let named = (!self.is_open()).then_some(self.facts.model.as_str());
        let theirs = || self.tenant.and_then(|tenant| tenant.default_model.as_deref());
        context.capabilities = self.snapshot.tags(named.or_else(theirs));
        if self.snapshot.wants().has(Wants::CLOCK) {
            context = context.at(clock::wall(), self.snapshot.utc_offset);
        }
        context
    }

    fn name(&self, consequence: &Consequence) -> Result<(String, Why), Error> {
        if let Some(target) = consequence.target(self.rng) {
            return Ok((target.to_owned(), Why::Rule));
        }
        if !self.is_open() {
            return Ok((self.facts.model.clone(), Why::Named));
        }
        if self.snapshot.routing.no_match == NoMatch::Error {
            let message = "no rule takes this call, and `routing.no_match` is `error`";
            return Err(Error::new(Kind::NotFound, message));
        }
        if let Some(default) = self.tenant.and_then(|tenant| tenant.default_model.clone()) {
            return Ok((default, Why::TenantDefault));
        }
        let default = self.snapshot.default_model().map(|default| (default, Why::Default));
        default.ok_or_else(|| {
            let message = "no model is named: pass `model=`, or set `default_model` or the provider's variable \
                           (such as OPENROUTER_MODEL)";
            Error::new(Kind::Config, message)
        })
    }

    /// Does the caller leave the choice to us?
    fn is_open(&self) -> bool {
        self.facts.model.is_empty() || self.facts.model == AUTO
    }

    /// A name that stands for another one is an alias.
    fn why(&self, why: Why, route: &Route) -> Why {
        match (why, route.own()) {
            (Why::Named, Some(own)) if *own.name != *self.facts.model => Why::Alias,
            (why, _) => why,
        }
    }

    /// The route of the model's canary, if the call is on its side; the model itself follows when it fails. A canary
    /// has no canary of its own.
    fn or_its_canary(
        &self,
        route: Arc<Route>,
        why: Why,
        notes: &mut Vec<String>,
    ) -> Result<(Arc<Route>, Why), Error> {
        let Some((own, canary)) = route.own().and_then(|own| Some((own, own.canary.as_ref()?))) else {
            return Ok((route, why));
        };
        let options = &self.call.options;
        let who = Identity {
            user: Context::new(self.facts, options).user(),
            session: options.session.as_deref().or(self.facts.conversation()),
            tenant: options.tenant.as_deref(),
        };
        let wall = clock::wall();
        let percent = canary::percent(canary, wall);
        notes
            .push(format!("{percent} % of the calls for `{}` go to its canary `{}`", own.name, canary.model));
        if canary::side(canary, &who, wall, self.rng) == Side::Stable {
            return Ok((route, why));
        }
        let mut diverted = Route::clone(self.snapshot.route(&canary.model, self.tenant)?.as_ref());
        if !self.may_use(&route) || !self.may_use(&diverted) {
            return Ok((route, why));
        }
        diverted.follow_all(&route);
        Ok((Arc::new(diverted), Why::Canary(Arc::clone(&own.name))))
    }

    /// A tenant is diverted only from what it may use to what it may use.
    fn may_use(&self, route: &Route) -> bool {
        self.tenant.is_none_or(|tenant| filter::may_use(tenant, route, &self.snapshot.holders))
    }

    /// The call's own fallbacks instead of the model's.
    fn with_fallbacks(&self, route: Arc<Route>) -> Result<Arc<Route>, Error> {
        let Some(names) = &self.call.options.fallbacks else { return Ok(route) };
        let mut own = route.alone();
        for name in names {
            own.follow(self.snapshot.route(name, self.tenant)?.as_ref());
        }
        Ok(Arc::new(own))
    }

    /// The route with the call's own key and address, where it brings them. They are meant for its model, and for one
    /// host: no other model and no other host sees the key.
    fn for_this_call(&self, route: Arc<Route>) -> Result<Arc<Route>, Error> {
        if !self.brings_its_own() {
            return Ok(route);
        }
        let options = &self.call.options;
        let (key, base_url) = (options.api_key.as_ref(), options.base_url.as_deref());
        let own = route.at_one_host().over(|deployment| self.snapshot.for_call(deployment, key, base_url))?;
        Ok(Arc::new(own))
    }
}
