//! What a configuration means: references that lead nowhere, names that stand twice, what is left out.

mod admission;
mod keys;
mod literals;
mod params;
mod proxies;
mod references;
mod warnings;

use super::problem::{self, Problem};
use super::profiles::built_in;
use super::tree::{Node, Place};
use super::{Condition, Config, Deployment, Group, Rule, Share, Target, provider_id};
use crate::error::Error;
use crate::provider::presets;
use crate::route::expr::Expression;
use references::References;

pub(super) use literals::repeated;
pub use warnings::warnings;

/// Where the key at a path stands.
pub type Places<'a> = &'a dyn Fn(&str) -> Option<Place>;

/// Reports all faults of `config` in one error.
///
/// # Errors
///
/// [`crate::Kind::Config`], one line a fault.
pub fn check(config: &Config) -> Result<(), Error> {
    match faults(config, &|_| None) {
        faults if faults.is_empty() => Ok(()),
        faults => Err(problem::error(faults, &Node::table())),
    }
}

/// Everything that is wrong with `config`, each at its place.
pub fn faults(config: &Config, places: Places<'_>) -> Vec<Problem> {
    let mut check = Check { config, places, references: References::of(config), problems: Vec::new() };
    check.models();
    check.ids();
    check.providers();
    check.target("default_model", config.default_model.as_ref());
    check.rules(&config.rules, "rules");
    check.tenants();
    check.admission();
    check.offset();
    check.problems
}

struct Check<'a> {
    config: &'a Config,
    places: Places<'a>,
    references: References<'a>,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(path, (self.places)(path).as_ref(), message));
    }

    fn models(&mut self) {
        for (name, model) in &self.config.models {
            let path = format!("models.{name}");
            match &model.alias {
                Some(alias) if self.references.circles(name) => {
                    self.fault(&path, format!("the alias `{alias}` leads in a circle"));
                }
                Some(_) => self.target(&path, model.alias.as_ref()),
                None => self.group(&model.group, &path),
            }
        }
    }

    fn group(&mut self, group: &Group, path: &str) {
        if group.deployments.is_empty() && group.fallbacks.any.is_empty() {
            self.fault(path, "no deployments");
        }
        self.params(&group.params, path);
        self.own(group.limits.as_ref(), group.budget.as_ref(), path);
        for (position, deployment) in group.deployments.iter().enumerate() {
            self.deployment(deployment, &format!("{path}.deployments[{position}]"));
        }
        for (cause, target) in group.fallbacks.targets() {
            let by_cause = (self.places)(&format!("{path}.fallbacks.{cause}"));
            let direct = (self.places)(&format!("{path}.fallbacks"));
            let path = if by_cause == direct {
                format!("{path}.fallbacks")
            } else {
                format!("{path}.fallbacks.{cause}")
            };
            self.target(&path, Some(target));
        }
        self.profile(group.profile.as_ref(), path);
        self.target(&format!("{path}.canary.model"), group.canary.as_ref().map(|canary| &canary.model));
    }

    fn deployment(&mut self, deployment: &Deployment, path: &str) {
        if deployment.model.is_empty() {
            self.fault(&format!("{path}.model"), "missing");
        }
        self.provider(&deployment.provider, &format!("{path}.provider"));
        self.keys_of(&deployment.provider, &deployment.api_key.0, &format!("{path}.api_key"));
        self.proxy(&deployment.proxy, path);
        self.params(&deployment.params, path);
        self.deployment_limits(deployment, path);
    }

    /// Deployments that share an id.
    fn ids(&mut self) {
        let mut seen = std::collections::HashMap::<&str, String>::new();
        for (name, model) in &self.config.models {
            for (position, deployment) in model.group.deployments.iter().enumerate() {
                let Some(id) = deployment.id.as_deref() else { continue };
                let path = format!("models.{name}.deployments[{position}].id");
                if id.trim().is_empty() {
                    self.fault(&path, "empty");
                } else if let Some(first) = seen.get(id) {
                    self.twice(&path, "deployment", id, first);
                } else if self.config.models.contains_key(id) {
                    self.twice(&path, "model", id, &format!("models.{id}"));
                } else {
                    seen.insert(id, path);
                }
            }
        }
    }

    /// Two things of one name; the one that stands later is at fault.
    fn twice(&mut self, path: &str, what: &str, name: &str, first: &str) {
        let order = |path| (self.places)(path).map(|at| (at.file.to_string(), at.line, at.column));
        let (path, first) = if order(path) < order(first) { (first, path) } else { (path, first) };
        let first = self.shown(first);
        self.fault(path, format!("a {what} is called `{name}` already at {first}"));
    }

    /// Where `path` stands, for people.
    fn shown(&self, path: &str) -> String {
        (self.places)(path).map_or_else(|| format!("`{path}`"), |place| place.to_string())
    }

    fn providers(&mut self) {
        for (id, written) in &self.config.providers {
            let path = format!("providers.{id}");
            if let Some(preset) = written.preset.as_ref().filter(|preset| presets::find(preset).is_none()) {
                self.unknown_provider(preset, &format!("{path}.preset"));
            }
            if written.base_url.is_none() && written.preset.is_none() && presets::find(id).is_none() {
                self.fault(&format!("{path}.base_url"), "missing");
            }
            self.keys_of(id, &written.api_key.0, &format!("{path}.api_key"));
            self.proxy(&written.proxy, &path);
        }
        if let Some(id) = &self.config.client.provider {
            self.provider(id, "client.provider");
        }
        let client = &self.config.client;
        self.keys_of(client.provider.as_deref().unwrap_or("openai"), &client.api_key.0, "client.api_key");
        self.proxy(&client.proxy, "client");
    }

    fn provider(&mut self, id: &str, path: &str) {
        if id.is_empty() {
            self.fault(path, "missing");
        } else if !self.config.providers.contains_key(id) && presets::find(id).is_none() {
            self.unknown_provider(id, path);
        }
    }

    fn unknown_provider(&mut self, id: &str, path: &str) {
        let mut problem =
            Problem::new(path, (self.places)(path).as_ref(), format!("no provider is called `{id}`"));
        problem = problem.or_nearest(id, self.config.providers.keys().map(String::as_str));
        problem.suggestion = problem.suggestion.or_else(|| presets::near(id).map(str::to_owned));
        self.problems.push(problem);
    }

    fn rules(&mut self, rules: &[Rule], path: &str) {
        let mut seen = std::collections::HashMap::<&str, String>::new();
        for (position, rule) in rules.iter().enumerate() {
            let path = format!("{path}[{position}]");
            let own = format!("{path}.name");
            if rule.name.trim().is_empty() {
                self.fault(&own, "empty");
            } else if let Some(first) = seen.get(rule.name.as_str()) {
                self.twice(&own, "rule", &rule.name, first);
            } else {
                seen.insert(&rule.name, own);
            }
            self.condition(&rule.when, &format!("{path}.when"));
            match &rule.model {
                Target::Name(name) => self.target(&format!("{path}.model"), Some(name)),
                Target::Weighted(shares) => self.shares(shares, &format!("{path}.model")),
            }
            self.profile(rule.profile.as_ref(), &path);
            self.params(&rule.params, &path);
        }
    }

    fn condition(&mut self, when: &Condition, path: &str) {
        let Condition::Expression(source) = when else { return };
        if source.trim().is_empty() {
            self.fault(path, "empty: write `true` where it always holds");
        } else if let Err(fault) = Expression::compile(source) {
            self.fault(path, fault.to_string());
        }
    }

    fn shares(&mut self, shares: &[Share], path: &str) {
        if shares.iter().all(|share| share.weight <= 0.0) {
            self.fault(path, "no share has a weight above 0");
        }
        for (position, share) in shares.iter().enumerate() {
            self.target(&format!("{path}[{position}].model"), Some(&share.model));
        }
    }

    fn tenants(&mut self) {
        for (id, tenant) in &self.config.tenants {
            let path = format!("tenants.{id}");
            self.target(&format!("{path}.default_model"), tenant.default_model.as_ref());
            self.rules(&tenant.rules, &format!("{path}.rules"));
            self.profile(tenant.profile.as_ref(), &path);
            let mut seen = std::collections::HashMap::<&str, &str>::new();
            for (provider, keys) in &tenant.api_keys {
                let path = format!("{path}.api_keys.{provider}");
                self.provider(provider, &path);
                self.keys(&keys.0, &path);
                let id = provider_id(&self.config.providers, provider);
                if let Some(other) = seen.insert(id, provider) {
                    self.fault(
                        &path,
                        format!("`{other}` is another name of this provider and has keys already"),
                    );
                }
            }
        }
    }

    fn profile(&mut self, name: Option<&String>, path: &str) {
        let Some(name) = name else { return };
        let built_in = built_in().map(|(name, _)| name);
        let known = || built_in.into_iter().chain(self.config.profiles.keys().map(String::as_str));
        if !known().any(|known| known == name) {
            let path = format!("{path}.profile");
            let message = format!("no profile is called `{name}`");
            self.problems
                .push(Problem::new(&path, (self.places)(&path).as_ref(), message).or_nearest(name, known()));
        }
    }

    fn target(&mut self, path: &str, target: Option<&String>) {
        let Some(target) = target else { return };
        if target.is_empty() {
            self.fault(path, "missing");
        } else if let Some(message) = self.references.missing(target) {
            let known = self.references.names();
            let problem = Problem::new(path, (self.places)(path).as_ref(), message).or_nearest(target, known);
            self.problems.push(problem);
        }
    }

    fn offset(&mut self) {
        let Some(offset) = &self.config.routing.utc_offset else { return };
        if offset_seconds(offset).is_none() {
            self.fault("routing.utc_offset", "expected an offset such as `+08:00`");
        }
    }
}

/// Seconds ahead of UTC, written as `+08:00`, `-03:30` or `Z`.
pub(crate) fn offset_seconds(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) =
        text.strip_prefix('+').map(|rest| (1, rest)).or(text.strip_prefix('-').map(|rest| (-1, rest)))?;
    let (hours, minutes) = rest.split_once(':')?;
    let two = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !two(hours) || !two(minutes) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 15 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}
