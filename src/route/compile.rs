//! From models, aliases and targets as they are written to routes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::deployment::Deployment;
use super::group::{Group, Role, Route, Stop};
use super::tenant::Tenant;
use super::written::Written;
use crate::config::problem::{self, Problem};
use crate::config::tree::Node;
use crate::config::{self, Config, Target};
use crate::error::{Error, Kind};

/// Aliases of aliases; more is a circle.
const DEEPEST: usize = 8;

/// What a snapshot routes by.
pub(super) struct Compiled {
    pub(super) routes: HashMap<String, Arc<Route>>,
    /// For each `provider/model` the configured models that hold it.
    pub(super) holders: HashMap<String, Vec<Arc<str>>>,
    pub(super) tenants: HashMap<String, Tenant>,
}

/// Compiles all routes, and those of every target that rules, canaries and tenants name.
pub(super) fn compile(config: &Config, written: &Written) -> Result<Compiled, Error> {
    let mut faults = written.faults();
    let targets = Targets::new(config, written, &mut faults);
    for (name, policy) in &config.tenants {
        faults.extend(Tenant::faults(name, policy, &targets.deployments(), written));
    }
    let models = config.models.keys().map(|name| (format!("models.{name}"), name.as_str()));
    let tags = targets.tags();
    let tags = tags.iter().map(|tag| ("models".to_owned(), tag.as_str()));
    let mut routes = HashMap::new();
    for (path, name) in models.chain(named(config)).chain(tags) {
        if !routes.contains_key(name) {
            match targets.route(name, &path) {
                Ok(route) => drop(routes.insert(name.to_owned(), Arc::new(route))),
                // Of a deployment that is wrong nothing follows.
                Err(_) if !faults.is_empty() && targets.is_left_out(name) => {}
                Err(error) => faults.extend(problem::of(&error, &path)),
            }
        }
    }
    if !faults.is_empty() {
        return Err(problem::error(faults, &Node::table()));
    }
    for id in targets.by_id.keys().filter(|id| !config.models.contains_key(**id)) {
        routes.insert((*id).to_owned(), Arc::new(targets.route(id, "models")?));
    }
    let tenants = config.tenants.iter();
    let tenants =
        tenants.map(|(name, policy)| Ok((name.clone(), Tenant::compile(name, policy, &routes, written)?)));
    let tenants = tenants.collect::<Result<_, Error>>()?;
    Ok(Compiled { holders: targets.holders(), tenants, routes })
}

/// Numbers a deployment whose name others of its model have: "why there?" needs an answer that tells them apart.
fn told_apart(mut deployment: Deployment, others: &[Arc<Deployment>]) -> Deployment {
    let full_name = deployment.full_name();
    let namesakes = others.iter().filter(|other| other.full_name() == full_name).count();
    if namesakes > 0 && *deployment.name == *full_name {
        deployment.name = format!("{full_name}#{}", namesakes + 1).into();
    }
    deployment
}

/// Every target outside `models` itself, with the path it stands under.
fn named(config: &Config) -> Vec<(String, &str)> {
    let mut named = Vec::new();
    if let Some(name) = &config.default_model
        && !config.models.is_empty()
    {
        named.push(("default_model".to_owned(), name.as_str()));
    }
    let tenants = config.tenants.iter();
    let theirs = tenants.clone().map(|(name, tenant)| (format!("tenants.{name}.rules"), &tenant.rules));
    for (path, rules) in std::iter::once(("rules".to_owned(), &config.rules)).chain(theirs) {
        for (position, rule) in rules.iter().enumerate() {
            named.extend(targets(&rule.model).map(|name| (format!("{path}[{position}].model"), name)));
        }
    }
    for (name, tenant) in tenants {
        let default = tenant.default_model.iter();
        named.extend(default.map(|model| (format!("tenants.{name}.default_model"), model.as_str())));
    }
    for (name, model) in &config.models {
        let canary = model.group.canary.iter();
        named.extend(canary.map(|canary| (format!("models.{name}.canary.model"), canary.model.as_str())));
    }
    named
}

/// The names of a rule's target.
pub(super) fn targets(target: &Target) -> impl Iterator<Item = &str> {
    let (one, several) = match target {
        Target::Name(name) => (Some(name.as_str()), [].as_slice()),
        Target::Weighted(shares) => (None, shares.as_slice()),
    };
    one.into_iter().chain(several.iter().map(|share| share.model.as_str()))
}

/// What a target may name.
struct Targets<'a> {
    config: &'a Config,
    written: &'a Written,
    groups: BTreeMap<&'a str, Arc<Group>>,
    /// The model of a deployment with an id, and its place there.
    by_id: BTreeMap<&'a str, (&'a str, usize)>,
}

impl<'a> Targets<'a> {
    /// Goes on past what is wrong, so that one error tells all of it.
    fn new(config: &'a Config, written: &'a Written, faults: &mut Vec<Problem>) -> Self {
        let mut targets = Self { config, written, groups: BTreeMap::new(), by_id: BTreeMap::new() };
        let models = config.models.iter().filter(|(_, model)| model.alias.is_none());
        for (name, model) in models {
            targets.compile(name, &model.group, faults);
        }
        targets
    }

    /// Is it the id of a deployment that was left out because something is wrong with it?
    fn is_left_out(&self, name: &str) -> bool {
        let written = self.config.models.values().flat_map(|model| &model.group.deployments);
        let mut ids = written.filter_map(|deployment| deployment.id.as_deref());
        !self.by_id.contains_key(name) && ids.any(|id| id == name)
    }

    /// Those of all models.
    fn deployments(&self) -> impl Iterator<Item = &Arc<Deployment>> + Clone {
        self.groups.values().flat_map(|group| &group.deployments)
    }

    fn compile(&mut self, name: &'a str, model: &'a config::Group, faults: &mut Vec<Problem>) {
        let mut deployments = Vec::new();
        for (position, written) in model.deployments.iter().enumerate() {
            let path = format!("models.{name}.deployments[{position}]");
            let deployment = match self.written.configured(written, &path) {
                Ok(deployment) => Arc::new(told_apart(deployment, &deployments)),
                Err(error) => {
                    faults.extend(problem::of(&error, &path));
                    continue;
                }
            };
            if let Some(id) = &written.id {
                self.by_id.insert(id, (name, deployments.len()));
            }
            deployments.push(deployment);
        }
        let group = Group::configured(name, model, deployments, self.config.routing.affinity);
        self.groups.insert(name, Arc::new(group));
    }

    /// For each `provider/model` the models that hold it.
    fn holders(&self) -> HashMap<String, Vec<Arc<str>>> {
        let mut holders: HashMap<String, Vec<Arc<str>>> = HashMap::new();
        for group in self.groups.values() {
            for deployment in &group.deployments {
                holders.entry(deployment.full_name()).or_default().push(Arc::clone(&group.name));
            }
        }
        holders
    }

    /// The group behind a target.
    fn group(&self, name: &str, path: &str) -> Result<Arc<Group>, Error> {
        let name = self.resolved(name, path)?;
        if let Some(group) = self.groups.get(name) {
            return Ok(Arc::clone(group));
        }
        if let Some((model, position)) = self.by_id.get(name) {
            let one = self.groups.get(model).and_then(|home| home.members().nth(*position));
            return Ok(Arc::new(Group::gathered(name, one.into_iter().collect())));
        }
        if let Some(tag) = name.strip_prefix("tag:") {
            return Ok(Arc::new(Group::gathered(name, self.tagged(tag))));
        }
        let named = self.written.named(name, path).ok_or_else(|| unknown(name, path))?;
        Ok(Arc::new(Group::of(name, vec![Arc::new(named?)])))
    }

    /// What an alias stands for in the end.
    fn resolved<'b>(&self, mut name: &'b str, path: &str) -> Result<&'b str, Error>
    where
        'a: 'b,
    {
        for _ in 0..DEEPEST {
            match self.config.models.get(name).and_then(|model| model.alias.as_deref()) {
                Some(alias) => name = alias,
                None => return Ok(name),
            }
        }
        Err(Error::new(Kind::Config, format!("`{path}`: the alias `{name}` leads in a circle")))
    }

    /// Every tag as a target: a caller may name any of them.
    fn tags(&self) -> BTreeSet<String> {
        let tags = self.groups.values().flat_map(|group| &group.tags);
        tags.map(|tag| format!("tag:{tag}")).collect()
    }

    /// The deployments of all models that carry the tag, each with its model.
    fn tagged(&self, tag: &str) -> Vec<(Arc<Deployment>, Arc<Group>)> {
        let carry = self.groups.values().filter(|group| group.tags.iter().any(|own| own == tag));
        carry.flat_map(Group::members).collect()
    }

    /// The group behind a target, then what follows when it fails.
    fn route(&self, name: &str, path: &str) -> Result<Route, Error> {
        let own = self.group(name, path)?;
        let mut stops = vec![Stop::new(own, Role::Own)];
        let mut position = 0;
        while let Some(stop) = stops.get(position).cloned() {
            self.follow(&stop.group.name, Role::Fallback, &mut stops)?;
            position += 1;
        }
        let name = stops.first().map(|stop| Arc::clone(&stop.group.name)).unwrap_or_default();
        for role in [Role::Quota, Role::ContentFilter, Role::ContextWindow] {
            self.follow(&name, role, &mut stops)?;
        }
        Ok(Route { stops })
    }

    /// Adds the fallbacks that `model` has for one cause.
    fn follow(&self, model: &str, role: Role, stops: &mut Vec<Stop>) -> Result<(), Error> {
        let Some(model_written) = self.config.models.get(model) else { return Ok(()) };
        for name in for_cause(&model_written.group.fallbacks, role) {
            let group = self.group(name, &format!("models.{model}.fallbacks"))?;
            let known =
                |stop: &Stop| stop.group.name == group.name && (stop.role == role || stop.role == Role::Own);
            if !stops.iter().any(known) {
                stops.push(Stop::new(group, role));
            }
        }
        Ok(())
    }
}

fn for_cause(fallbacks: &config::Fallbacks, role: Role) -> &[String] {
    match role {
        Role::Own => &[],
        Role::Fallback => &fallbacks.any,
        Role::ContextWindow => &fallbacks.context_window,
        Role::ContentFilter => &fallbacks.content_filter,
        Role::Quota => &fallbacks.quota,
    }
}

fn unknown(name: &str, path: &str) -> Error {
    Error::new(Kind::Config, format!("`{path}`: no model, deployment or provider answers to `{name}`"))
}
