//! What a tenant's calls may do.

use super::glob;
use super::ruleset::RuleSet;
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
            allow: written.allow.clone(),
            deny: written.deny.clone(),
        })
    }

    /// May the tenant use this model?
    pub(super) fn may_use(&self, model: &str) -> bool {
        let allowed = self.allow.is_empty() || glob::any(&self.allow, model);
        allowed && !glob::any(&self.deny, model)
    }
}
