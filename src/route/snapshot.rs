//! The configuration, compiled once: calls in flight keep theirs whatever is loaded meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::compile::{self, Compiled};
use super::deployment::Deployment;
use super::group::{Group, Route};
use super::hosts::Hosts;
use super::routes::Routes;
use super::ruleset::RuleSet;
use super::settings::{self, Profiles, Settings};
use super::tenant::Tenant;
use super::written::Written;
use crate::admit::{Flood, Scopes};
use crate::chat::facts::Wants;
use crate::config::problem::{self, Problem};
use crate::config::{self, Bounds, Config, Hedge, Metrics, Queue, Routing, Secret, Stages, Timeouts, WarmUp};
use crate::error::{Error, Kind};
use crate::live::{Live, breaker};
use crate::provider::catalogue;
use crate::provider::name::{self, Name};
use crate::provider::presets;
use crate::retry::allowance;
use crate::secret::Anybody;
use crate::send;

/// The most names that an error suggests for a mistyped one.
const NEAREST: usize = 3;

/// An immutable compiled configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// What a response may at most be.
    pub bounds: Bounds,
    /// Which stages are on.
    pub stages: Stages,
    /// What callers may use.
    pub scopes: Scopes,
    /// So many calls a second of one caller, before anything is read.
    pub flood: Option<Arc<Flood>>,
    /// A second attempt beside one that lingers.
    pub hedge: Hedge,
    /// The line in which calls wait for room.
    pub queue: Queue,
    /// The shares of tenants that wait, where they are not 1.
    weights: HashMap<String, f64>,
    /// When breakers open; `None` without breakers.
    pub(super) breaker: Option<breaker::Policy>,
    /// What holds for all models.
    pub routing: Routing,
    /// What is counted for operators.
    pub metrics: Metrics,
    /// What is done before the first call, where nobody says otherwise.
    pub warm_up: WarmUp,
    /// Seconds by which the operator's clocks are ahead of UTC.
    pub(super) utc_offset: i64,
    pub(super) rules: RuleSet,
    wants: Wants,
    profiles: Profiles,
    default_model: Option<String>,
    routes: Routes,
    /// For each `provider/model` the configured models that hold it.
    pub(super) holders: HashMap<String, Vec<Arc<str>>>,
    tenants: HashMap<String, Tenant>,
    written: Written,
}

impl Snapshot {
    /// Compiles `config`, which has been checked, to stand in the place of `before`.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`] for what only shows when it is put together: a missing key, a URL that is none.
    pub fn compile(
        config: Config,
        live: &Arc<Live>,
        hosts: &Arc<Hosts>,
        before: Option<&Self>,
    ) -> Result<Self, Error> {
        let written = Written::new(&config, live, hosts, before.map(|before| &before.written));
        let Compiled { routes, holders, tenants } = compile::compile(&config, &written)?;
        let rules = RuleSet::compile(&config.rules, "rules")?;
        let counted = before.and_then(|before| before.flood.as_ref());
        // What was counted stays, as long as the number does.
        let flood = |most| match counted {
            Some(flood) if flood.most() == most => Arc::clone(flood),
            _ => Arc::new(Flood::new(most)),
        };
        let sets = tenants.values().map(|tenant| &tenant.rules).chain([&rules]);
        let prefix = routes.values().flat_map(|route| &route.stops).any(|stop| stop.group.reads_prefix());
        let affinity = if prefix { Wants::PREFIX } else { Wants::NOTHING };
        Ok(Self {
            wants: sets.fold(affinity, |wants, rules| wants | rules.wants()),
            utc_offset: settings::utc_offset(config.routing.utc_offset.as_deref())?,
            rules,
            profiles: Profiles::compile(&config, live.store().as_ref()),
            routes: Routes::new(routes),
            holders,
            tenants,
            scopes: Scopes::compile(&config, live.store())?,
            flood: config.limits.flood.filter(|_| config.stages.admit).map(flood),
            hedge: config.hedge.clone(),
            queue: config.queue.clone(),
            weights: weights(&config),
            breaker: breaker::Policy::configured(&config),
            bounds: config.bounds,
            stages: config.stages,
            routing: config.routing,
            metrics: config.metrics,
            warm_up: config.warm_up,
            default_model: config.default_model,
            written,
        })
    }

    /// What [`Snapshot::compile`] would find wrong with `config`. Nothing of it is kept, and nobody is asked for a key.
    pub fn faults(config: &Config) -> Vec<Problem> {
        let live = Arc::new(Live::new(Some(Arc::new(Anybody))));
        let hosts = Arc::new(Hosts::new(Box::new(send::transport), Arc::default()));
        let compiled = Self::compile(config.clone(), &live, &hosts, None);
        compiled.err().map(|error| problem::of(&error, "")).unwrap_or_default()
    }

    /// When the breaker of a deployment opens, that has no other beside it or has.
    pub fn breaker(&self, is_lone: bool) -> Option<breaker::Policy> {
        self.breaker.map(|policy| if is_lone { policy.for_lone() } else { policy })
    }

    /// How many retries the traffic of a deployment pays for, in calls of no profile.
    pub fn allowance(&self) -> allowance::Policy {
        self.profiles.general().retry.allowance
    }

    /// The models that were configured.
    pub fn models(&self) -> impl Iterator<Item = &Arc<Group>> {
        let groups = self.routes.iter().filter_map(|(_, route)| route.own());
        groups.filter(|group| group.is_configured)
    }

    /// The models that were configured, in the order of their names; without any, the client's own upstream.
    pub fn own_groups(&self) -> Vec<Arc<Group>> {
        let mut groups: Vec<_> = self.models().cloned().collect();
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        groups.dedup_by(|one, other| one.name == other.name);
        if groups.is_empty() && self.written.has_client() {
            let named = self.default_model().and_then(|name| self.group(&name).ok());
            let any = || self.any_route(None).ok()?.own().cloned();
            groups.extend(named.or_else(any));
        }
        groups
    }

    /// The model behind a name, alone.
    ///
    /// # Errors
    ///
    /// [`Kind::ModelNotFound`] where nothing has the name; [`Kind::Config`] where its key is missing.
    pub fn group(&self, name: &str) -> Result<Arc<Group>, Error> {
        let own = self.route(name, None)?.own().cloned();
        own.ok_or_else(|| Error::new(Kind::Internal, "a route without a group"))
    }

    /// The limits of time of calls of no profile.
    pub fn timeouts(&self) -> &Timeouts {
        &self.profiles.general().timeouts
    }

    /// Every deployment that calls may reach, with those that names have led to so far. Each record once a name.
    pub fn deployments(&self) -> Vec<Arc<Deployment>> {
        let routes: Vec<Arc<Route>> = self.routes.all().collect();
        let groups = routes.iter().flat_map(|route| &route.stops).map(|stop| &stop.group);
        let mut all: Vec<_> = groups.flat_map(|group| &group.deployments).cloned().collect();
        let place = |deployment: &Arc<Deployment>| {
            (Arc::clone(&deployment.name), Arc::as_ptr(&deployment.live).addr())
        };
        all.sort_by_cached_key(place);
        all.dedup_by_key(|deployment| place(deployment));
        all
    }

    /// The share of a tenant that waits.
    pub fn weight(&self, tenant: &str) -> f64 {
        self.weights.get(tenant).copied().unwrap_or(1.0)
    }

    /// The model of a call that leaves it open.
    pub(super) fn default_model(&self) -> Option<String> {
        self.default_model.clone().or_else(|| self.written.default_model())
    }

    /// The costly facts that rules and affinity read.
    pub fn wants(&self) -> Wants {
        self.wants
    }

    /// The tags of a model, or of the default one.
    pub(super) fn tags(&self, model: Option<&str>) -> &[String] {
        let name = model.or(self.default_model.as_deref());
        let own = name.and_then(|name| self.routes.compiled(name)).and_then(|route| route.own());
        own.map_or(&[], |group| &group.tags)
    }

    /// How often each rule could not say whether it holds, by name.
    pub fn rule_faults(&self) -> impl Iterator<Item = (&str, u64)> {
        let theirs = self.tenants.values().flat_map(|tenant| tenant.rules.faults());
        self.rules.faults().chain(theirs)
    }

    /// Every deployment behind a configured model, behind the default one and behind those of `named` that lead
    /// somewhere, in an order that is always the same.
    pub fn reached_by<'a>(&self, named: impl IntoIterator<Item = &'a str>) -> Vec<Arc<Deployment>> {
        let configured: BTreeSet<&str> = self.routes.iter().map(|(name, _)| name.as_str()).collect();
        let named = named.into_iter().map(str::to_owned).chain(self.default_model());
        let named: BTreeSet<String> = named.collect();
        let routes = configured.into_iter().chain(named.iter().map(String::as_str));
        let routes = routes.filter_map(|name| self.common_route(name).ok());
        let stops = routes.flat_map(|route| route.stops.clone());
        stops.flat_map(|stop| stop.group.deployments.clone()).collect()
    }

    /// What is known of a tenant.
    pub(super) fn tenant(&self, name: &str) -> Option<&Tenant> {
        self.tenants.get(name)
    }

    /// Timeouts and retries under a profile.
    pub(super) fn settings(&self, profile: Option<&str>) -> Result<&Arc<Settings>, Error> {
        self.profiles.find(profile)
    }

    /// What stands behind `name`, for a tenant with keys of its own or for everybody.
    ///
    /// # Errors
    ///
    /// [`Kind::ModelNotFound`] where nothing has the name; [`Kind::Config`] where its key is missing.
    pub(super) fn route(&self, name: &str, tenant: Option<&Tenant>) -> Result<Arc<Route>, Error> {
        let Some(tenant) = tenant else { return self.common_route(name) };
        match &tenant.routes {
            None => self.common_route(name),
            Some(own) => own.find(name, || tenant.over(self.common_route(name)?.as_ref(), &self.written)),
        }
    }

    fn common_route(&self, name: &str) -> Result<Arc<Route>, Error> {
        self.routes.find(name, || {
            let deployment = Arc::new(self.infer(name)?);
            Ok(Arc::new(Route::only(Group::of(name, vec![deployment]))))
        })
    }

    /// `deployment` with a key, an address, or both, of one call. Without a key of its own the call uses the
    /// deployment's at the address it names: a gateway must not take addresses from strangers.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`] for a key that cannot be sent or an address that is none.
    pub fn for_call(
        &self,
        deployment: &Deployment,
        api_key: Option<&Secret>,
        base_url: Option<&str>,
    ) -> Result<Arc<Deployment>, Error> {
        self.written.for_call(deployment, api_key, base_url)
    }

    /// Where calls go that name no model: the client's own upstream, else the first that is configured.
    pub(super) fn any_route(&self, tenant: Option<&Tenant>) -> Result<Arc<Route>, Error> {
        let default = self.default_model.as_ref().and_then(|name| self.routes.compiled(name));
        let is_model = |route: &Route| route.own().is_some_and(|own| own.is_configured);
        let first = || self.routes.iter().min_by_key(|(name, route)| (!is_model(route), *name));
        let first = || first().map(|(_, route)| route);
        let group = default.or_else(first).and_then(|route| route.own());
        let deployment = match group.and_then(|group| group.deployments.first()) {
            Some(deployment) if !self.written.has_client() => Arc::clone(deployment),
            _ => Arc::new(self.written.client("")?),
        };
        let route = Arc::new(Route::only(Group::of("", vec![deployment])));
        match tenant.filter(|tenant| tenant.routes.is_some()) {
            Some(tenant) => tenant.over(&route, &self.written),
            None => Ok(route),
        }
    }

    fn infer(&self, model: &str) -> Result<Deployment, Error> {
        if self.written.has_client() {
            return self.written.client(model);
        }
        if let Some(deployment) = self.written.named(model, "model") {
            return deployment;
        }
        match name::parse(model) {
            // The default provider's names have no slash: what has one means a provider that nobody knows.
            Name::Bare(bare) if self.routes.iter().next().is_none() && !bare.contains('/') => {
                self.written.client(&bare)
            }
            Name::Bare(bare) => Err(self.unknown(&bare)),
            Name::Qualified { .. } => Err(self.unknown(model)),
        }
    }

    fn unknown(&self, model: &str) -> Error {
        let own = presets::nearest(model, self.routes.iter().map(|(name, _)| name.as_str()));
        let mut near: Vec<String> = own.map(str::to_owned).into_iter().collect();
        near.extend(catalogue::nearest(model));
        let quoted: Vec<String> = near.iter().take(NEAREST).map(|name| format!("`{name}`")).collect();
        let hint = if quoted.is_empty() {
            String::new()
        } else {
            format!("; did you mean {}?", quoted.join(" or "))
        };
        Error::new(Kind::ModelNotFound, format!("no model is called `{model}`{hint}"))
    }
}

fn weights(config: &Config) -> HashMap<String, f64> {
    let weighed = |(name, tenant): (&String, &config::Tenant)| Some((name.clone(), tenant.weight?));
    config.tenants.iter().filter_map(weighed).collect()
}
