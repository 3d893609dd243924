//! What is allowed but hardly meant.

use super::Places;
use super::references::References;
use crate::config::problem::Problem;
use crate::config::profiles::built_in;
use crate::config::{Canary, Config, Deployment, Group, Provider, Rule, Strategy, provider_id};
use crate::provider::catalogue;
use crate::provider::presets::{self, Preset};
use crate::route::rules::{Rules, Warning};

/// Things worth a word, each at its place.
pub fn warnings(config: &Config, places: Places<'_>) -> Vec<Problem> {
    let references = References::of(config);
    let mut warnings = Vec::new();
    let mut warn = |path: &str, message: String| {
        warnings.push(Problem::new(path, places(path).as_ref(), message));
    };
    for (name, model) in &config.models {
        group(&model.group, &format!("models.{name}"), config, &mut warn);
        if let Some(canary) = &model.group.canary {
            self::canary(canary, name, config, &mut warn);
        }
    }
    rules(&config.rules, "rules", &mut warn);
    for (id, tenant) in &config.tenants {
        rules(&tenant.rules, &format!("tenants.{id}.rules"), &mut warn);
        for (key, names) in [("allow", &tenant.allow), ("deny", &tenant.deny)] {
            for (position, name) in names.iter().enumerate().filter(|(_, name)| !references.reaches(name)) {
                warn(&format!("tenants.{id}.{key}[{position}]"), format!("no model is called `{name}`"));
            }
        }
    }
    let is_own = |name: &&String| built_in().iter().all(|(known, _)| known != name);
    for name in config.profiles.keys().filter(is_own) {
        if !profiles(config).any(|used| used == name) {
            warn(&format!("profiles.{name}"), "nothing uses this profile".to_owned());
        }
    }
    warnings
}

/// Rules that can never decide anything. Conditions that do not compile are faults, and reported as such.
fn rules(written: &[Rule], path: &str, warn: &mut impl FnMut(&str, String)) {
    let Ok(rules) = Rules::compile(written) else { return };
    let name = |position: usize| written.get(position).map_or("", |rule| &rule.name);
    for warning in rules.warnings() {
        let why = match warning {
            Warning::NeverHolds { .. } => "it never holds".to_owned(),
            Warning::Unreachable { behind, .. } => {
                format!("it is never asked: `{}` comes first and always holds", name(behind))
            }
        };
        warn(&format!("{path}[{}].when", warning.position()), why);
    }
}

fn group(group: &Group, path: &str, config: &Config, warn: &mut impl FnMut(&str, String)) {
    for (position, deployment) in group.deployments.iter().enumerate() {
        let path = format!("{path}.deployments[{position}]");
        let weighted = !matches!(group.strategy, Strategy::Ordered | Strategy::Cost);
        #[expect(clippy::float_cmp, reason = "as written, not a result")]
        let heavy = deployment.weight != 1.0 && deployment.weight != 0.0;
        if heavy && !weighted {
            warn(
                &format!("{path}.weight"),
                format!("the strategy {} does not look at it", name(group.strategy)),
            );
        }
        if !is_priced(deployment, config) {
            warn(&path, "its price is not known, nor what its answers cost: set `price`".to_owned());
        }
        if let Some(base) = deployment.base_model.as_ref().filter(|_| deployment.listed().is_none()) {
            let near = catalogue::nearest(base);
            let hint = presets::did_you_mean(near.first().map(String::as_str));
            warn(&format!("{path}.base_model"), format!("the catalogue does not know `{base}`{hint}"));
        }
        if let Some(heir) = heir(deployment, config) {
            let model = &deployment.model;
            warn(&format!("{path}.model"), format!("`{model}` is retired: {heir} answers in its place"));
        }
    }
}

fn canary(canary: &Canary, name: &str, config: &Config, warn: &mut impl FnMut(&str, String)) {
    let path = format!("models.{name}.canary");
    let target = meant(&canary.model, config);
    let theirs = config.models.get(target).and_then(|model| model.group.canary.as_ref());
    if target == name {
        warn(&format!("{path}.model"), "it is the model itself: nothing goes elsewhere".to_owned());
    } else if theirs.is_some_and(|theirs| meant(&theirs.model, config) == name) {
        let message = format!("`{target}` has this model as its canary: each takes the other's calls");
        warn(&format!("{path}.model"), message);
    }
    if !canary.steps.is_empty() && canary.start.is_none() {
        warn(&format!("{path}.steps"), "they never begin: `start` is missing".to_owned());
    }
    let mut before = canary.percent;
    for (position, step) in canary.steps.iter().enumerate() {
        let path = format!("{path}.steps[{position}]");
        if position > 0 && canary.steps.get(position - 1).is_some_and(|step| step.lasting.is_none()) {
            warn(&path, "it is never reached: the step before it has no `for`".to_owned());
        } else if step.percent < before {
            let message = format!("the share shrinks from {before} to {} %: users leave", step.percent);
            warn(&format!("{path}.percent"), message);
        }
        before = step.percent;
    }
}

/// What `name` stands for: aliases followed, as many as there may be.
fn meant<'a>(name: &'a str, config: &'a Config) -> &'a str {
    let alias = |name: &str| config.models.get(name).and_then(|model| model.alias.as_deref());
    let names = std::iter::successors(Some(name), |name| alias(name));
    names.take(config.models.len() + 1).last().unwrap_or(name)
}

/// Is it known what it costs? What runs on a machine of one's own costs nobody's price.
fn is_priced(deployment: &Deployment, config: &Config) -> bool {
    let own = provider(deployment, config);
    let is_local = match deployment.base_url.as_ref().or(own.and_then(|own| own.base_url.as_ref())) {
        Some(base_url) => ["http://localhost", "http://127."].iter().any(|own| base_url.starts_with(own)),
        None => presets::find(&deployment.provider).is_some_and(Preset::is_local),
    };
    let is_listed = || deployment.listed().is_some_and(|entry| entry.prices.is_some());
    is_local || deployment.price.is_some() || is_listed()
}

/// Who answers for a model that its provider has retired.
fn heir(deployment: &Deployment, config: &Config) -> Option<&'static str> {
    let own = provider(deployment, config).and_then(|own| own.base_url.as_ref());
    let heir = catalogue::successor(&deployment.provider, &deployment.model);
    heir.filter(|_| deployment.base_url.as_ref().or(own).is_none())
}

/// What `providers` says of the one of a deployment.
fn provider<'a>(deployment: &'a Deployment, config: &'a Config) -> Option<&'a Provider> {
    config.providers.get(provider_id(&config.providers, &deployment.provider))
}

fn profiles(config: &Config) -> impl Iterator<Item = &String> {
    let models = config.models.values().filter_map(|model| model.group.profile.as_ref());
    let tenants = config.tenants.values();
    let rules = config.rules.iter().chain(tenants.clone().flat_map(|tenant| &tenant.rules));
    let rules = rules.filter_map(|rule| rule.profile.as_ref());
    models.chain(rules).chain(tenants.filter_map(|tenant| tenant.profile.as_ref()))
}

fn name(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Ordered => "`ordered`",
        Strategy::Weighted => "`weighted`",
        Strategy::Latency => "`latency`",
        Strategy::Cost => "`cost`",
        Strategy::LeastBusy => "`least_busy`",
        Strategy::Adaptive => "`adaptive`",
    }
}
