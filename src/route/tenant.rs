//! What a tenant's calls may do.

use std::collections::HashMap;
use std::sync::Arc;

use super::deployment::Deployment;
use super::glob;
use super::group::Route;
use super::routes::Routes;
use super::ruleset::RuleSet;
use super::written::Written;
use crate::config;
use crate::config::problem::{self, Problem};
use crate::error::Error;

/// The policy of one tenant.
#[derive(Debug)]
pub(super) struct Tenant {
    /// Instead of the general default.
    pub(super) default_model: Option<String>,
    /// Asked before the general rules.
    pub(super) rules: RuleSet,
    /// Only deployments in one of these regions.
    pub(super) regions: Vec<String>,
    /// A named preset of timeouts and retries.
    pub(super) profile: Option<String>,
    /// Its own routes, where it brings keys: nobody else's calls take them.
    pub(super) routes: Option<Routes>,
    /// By the provider's id: where they are written, and what they are.
    api_keys: HashMap<String, (String, config::Keys)>,
    allow: Vec<String>,
    deny: Vec<String>,
}

impl Tenant {
    /// Compiles the policy, and over the tenant's keys all of `routes`.
    pub(super) fn compile(
        name: &str,
        policy: &config::Tenant,
        routes: &HashMap<String, Arc<Route>>,
        written: &Written,
    ) -> Result<Self, Error> {
        let mut tenant = Self::under(name, policy, routes, written)?;
        if !tenant.api_keys.is_empty() {
            let over =
                |(name, route): (&String, &Arc<Route>)| Ok((name.clone(), tenant.over(route, written)?));
            tenant.routes = Some(Routes::new(routes.iter().map(over).collect::<Result<_, Error>>()?));
        }
        Ok(tenant)
    }

    /// What is wrong with the keys of the tenant `name`, as far as one of `deployments` would use them.
    pub(super) fn faults<'a>(
        name: &str,
        policy: &config::Tenant,
        deployments: &(impl Iterator<Item = &'a Arc<Deployment>> + Clone),
        written: &Written,
    ) -> Vec<Problem> {
        let wrong = policy.api_keys.iter().filter_map(|(provider, keys)| {
            let id = written.provider_id(provider);
            let deployment = deployments.clone().find(|deployment| deployment.provider == id)?;
            let path = format!("tenants.{name}.api_keys.{provider}");
            let error = written.tenant_credentials(deployment, keys, &path).err()?;
            Some(problem::of(&error, &path))
        });
        wrong.flatten().collect()
    }

    fn under(
        name: &str,
        policy: &config::Tenant,
        routes: &HashMap<String, Arc<Route>>,
        written: &Written,
    ) -> Result<Self, Error> {
        let models = |names: &[String]| names.iter().flat_map(|name| meant(name, routes, written)).collect();
        let api_keys = policy.api_keys.iter().map(|(provider, keys)| {
            let path = format!("tenants.{name}.api_keys.{provider}");
            (written.provider_id(provider).to_owned(), (path, keys.clone()))
        });
        Ok(Self {
            default_model: policy.default_model.clone(),
            rules: RuleSet::compile(&policy.rules, &format!("tenants.{name}.rules"))?,
            regions: policy.regions.clone(),
            profile: policy.profile.clone(),
            routes: None,
            api_keys: api_keys.collect(),
            allow: models(&policy.allow),
            deny: models(&policy.deny),
        })
    }

    /// `route` with the tenant's own keys where it brings some, so that nobody else's are used there.
    pub(super) fn over(&self, route: &Route, written: &Written) -> Result<Arc<Route>, Error> {
        let own = route.over(|deployment| {
            let Some((path, keys)) = self.api_keys.get(&deployment.provider) else {
                return Ok(Arc::clone(deployment));
            };
            let credentials = written.tenant_credentials(deployment, keys, path)?;
            Ok(Arc::new(Deployment { credentials, ..deployment.as_ref().clone() }))
        })?;
        Ok(Arc::new(own))
    }

    /// May the tenant use the model with these names? Every name that leads to it counts, and `holders` are the
    /// configured models that hold the same deployment.
    pub(super) fn may_use(&self, names: &[&str], holders: &[Arc<str>]) -> bool {
        let denies = |name: &str| glob::any(&self.deny, name);
        let held = || holders.iter().map(|holder| &**holder);
        let is_denied = names.iter().any(|name| denies(name));
        if is_denied || !holders.is_empty() && held().all(denies) {
            return false;
        }
        let allows = |name: &str| glob::any(&self.allow, name) && !denies(name);
        self.allow.is_empty() || names.iter().copied().chain(held()).any(allows)
    }
}

/// What a name in `allow` or `deny` means: itself, what it is an alias of, and its provider by the one id it has.
fn meant(name: &str, routes: &HashMap<String, Arc<Route>>, written: &Written) -> Vec<String> {
    let pattern = [name.to_owned()];
    let fitting = routes.iter().filter(|(known, _)| glob::any(&pattern, known));
    let targets = fitting.filter_map(|(_, route)| route.own()).map(|own| own.name.to_string());
    let mut names = vec![name.to_owned()];
    names.extend(targets.chain(written.full_name(name)));
    names
}
