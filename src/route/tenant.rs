//! What a tenant's calls may do.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::deployment::Deployment;
use super::glob;
use super::group::Route;
use super::ruleset::RuleSet;
use super::written::Written;
use crate::config;
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
    name: String,
    api_keys: BTreeMap<String, config::Keys>,
    allow: Vec<String>,
    deny: Vec<String>,
}

impl Tenant {
    pub(super) fn compile(name: &str, written: &config::Tenant) -> Result<Self, Error> {
        Ok(Self {
            default_model: written.default_model.clone(),
            rules: RuleSet::compile(&written.rules, &format!("tenants.{name}.rules"))?,
            regions: written.regions.clone(),
            profile: written.profile.clone(),
            name: name.to_owned(),
            api_keys: written.api_keys.clone(),
            allow: written.allow.clone(),
            deny: written.deny.clone(),
        })
    }

    /// Does it bring keys of its own?
    pub(super) fn brings_keys(&self) -> bool {
        !self.api_keys.is_empty()
    }

    /// What its routes are kept under, apart from everybody's.
    pub(super) fn own(&self, model: &str) -> String {
        format!("{}\0{model}", self.name)
    }

    /// `route` with the tenant's own keys where it brings some, so that nobody else's are used there.
    pub(super) fn over(&self, route: &Route, written: &Written) -> Result<Route, Error> {
        route.over(|deployment| {
            let Some(keys) = self.api_keys.get(&deployment.provider) else {
                return Ok(Arc::clone(deployment));
            };
            let path = format!("tenants.{}.api_keys.{}", self.name, deployment.provider);
            let credentials = written.tenant_credentials(deployment, keys, &path)?;
            Ok(Arc::new(Deployment { credentials, ..deployment.as_ref().clone() }))
        })
    }

    /// May the tenant use this model?
    pub(super) fn may_use(&self, model: &str) -> bool {
        let allowed = self.allow.is_empty() || glob::any(&self.allow, model);
        allowed && !glob::any(&self.deny, model)
    }
}
