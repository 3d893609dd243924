//! A model as it was compiled: its deployments, and the groups that follow when they fail.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::decision::Label;
use super::deployment::{Candidate, Deployment};
use crate::config::{self, Canary, Strategy};
use crate::error::Error;

/// Default parameters: names with their JSON.
pub type Params = Vec<(String, String)>;

/// Deployments that serve one name.
#[derive(Clone, Debug)]
pub struct Group {
    /// The model's name.
    pub name: Arc<str>,
    /// Is it a model of the configuration, or what a name leads to directly?
    pub is_configured: bool,
    /// Who serves it, as written.
    pub deployments: Vec<Arc<Deployment>>,
    /// The model of each deployment, where they were gathered from others; else empty.
    homes: Vec<Arc<Group>>,
    /// In which order they are asked.
    pub strategy: Strategy,
    /// Do conversations stay where the provider's cache is warm?
    pub affinity: bool,
    /// Tags of the operator's.
    pub tags: Vec<String>,
    /// Text of the operator's.
    pub description: Option<String>,
    /// Sent where the caller sets none.
    pub params: Params,
    /// The limit of an attempt, where the caller sets none.
    pub timeout: Option<Duration>,
    /// A named preset of timeouts and retries.
    pub profile: Option<String>,
    /// Only deployments in one of these regions.
    pub regions: Vec<String>,
    /// A share of the calls that goes elsewhere.
    pub canary: Option<Canary>,
}

impl Group {
    /// A group of the configuration.
    pub(super) fn configured(
        name: &str,
        written: &config::Group,
        deployments: Vec<Arc<Deployment>>,
        affinity: bool,
    ) -> Self {
        Self {
            is_configured: true,
            strategy: written.strategy,
            affinity: written.affinity.unwrap_or(affinity),
            tags: written.capabilities.clone(),
            description: written.description.clone(),
            params: params(&written.params),
            timeout: written.timeout,
            profile: written.profile.clone(),
            regions: written.regions.clone(),
            canary: written.canary.clone(),
            ..Self::of(name, deployments)
        }
    }

    /// Deployments of other models under a name that is none: each stays under the terms of its own model. For all of
    /// them holds what all of their models say.
    pub(super) fn gathered(name: &str, members: Vec<(Arc<Deployment>, Arc<Self>)>) -> Self {
        let (deployments, homes): (Vec<_>, Vec<Arc<Self>>) = members.into_iter().unzip();
        let first = homes.first();
        let profile = first.and_then(|first| first.profile.clone());
        let tags = first.map(|first| first.tags.clone()).unwrap_or_default();
        let all = |holds: &dyn Fn(&Self) -> bool| homes.iter().all(|home| holds(home));
        Self {
            profile: profile
                .filter(|_| all(&|home| Some(&home.profile) == first.map(|first| &first.profile))),
            tags: tags.into_iter().filter(|tag| all(&|home| home.tags.contains(tag))).collect(),
            homes,
            ..Self::of(name, deployments)
        }
    }

    /// A group that no configuration describes.
    pub(super) fn of(name: &str, deployments: Vec<Arc<Deployment>>) -> Self {
        Self {
            name: name.into(),
            is_configured: false,
            deployments,
            homes: Vec::new(),
            strategy: Strategy::Ordered,
            affinity: false,
            tags: Vec::new(),
            description: None,
            params: Params::new(),
            timeout: None,
            profile: None,
            regions: Vec::new(),
            canary: None,
        }
    }

    /// Each deployment with the model under whose terms it is asked.
    pub(super) fn members(self: &Arc<Self>) -> impl Iterator<Item = (Arc<Deployment>, Arc<Self>)> {
        let home = |position| Arc::clone(self.homes.get(position).unwrap_or(self));
        let members = self.deployments.iter().enumerate();
        members.map(move |(position, deployment)| (Arc::clone(deployment), home(position)))
    }

    /// The names of the models it stands for.
    pub(super) fn models(&self) -> impl Iterator<Item = &str> {
        let own = self.homes.is_empty().then_some(&self.name);
        own.into_iter().chain(self.homes.iter().map(|home| &home.name)).map(|name| &**name)
    }

    /// Does its order depend on how a prompt begins?
    pub(super) fn reads_prefix(&self) -> bool {
        let by_lot = matches!(self.strategy, Strategy::Ordered | Strategy::Weighted | Strategy::LeastBusy);
        self.affinity && !by_lot && self.deployments.len() > 1
    }
}

/// Parameters as they are sent.
pub(super) fn params(written: &config::Params) -> Params {
    written.iter().map(|(name, value)| (name.clone(), value.to_string())).collect()
}

/// Why a group is in a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It is what the call is for.
    #[default]
    Own,
    /// It follows after any failure.
    Fallback,
    /// It follows when the prompt did not fit.
    ContextWindow,
    /// It follows when a content policy refused.
    ContentFilter,
    /// It follows when quota or money was used up.
    Quota,
}

impl Role {
    /// Does it stand below the model the call is for? A larger window does not.
    pub fn is_below(self) -> bool {
        matches!(self, Self::Fallback | Self::ContentFilter | Self::Quota)
    }

    /// Is it asked only after one kind of failure?
    pub fn is_for_one_cause(self) -> bool {
        matches!(self, Self::ContextWindow | Self::ContentFilter | Self::Quota)
    }
}

/// A group at its place in a route.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Who is asked.
    pub group: Arc<Group>,
    /// And why.
    pub role: Role,
    /// Its deployments, in the order of the group.
    pub(super) posts: Arc<[Post]>,
}

/// A deployment at its post in a route, with all that a decision hands on: made once, so that each decision only
/// counts references.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) deployment: Arc<Deployment>,
    /// The model under whose terms it is asked.
    pub(super) home: Arc<Group>,
    /// What it is called here.
    pub(super) label: Arc<Label>,
    /// One for each of its keys.
    pub(super) candidates: Vec<Candidate>,
}

impl Stop {
    pub(super) fn new(group: Arc<Group>, role: Role) -> Self {
        let post = |(deployment, home): (Arc<Deployment>, Arc<Group>)| Post {
            label: Arc::new(Label {
                deployment: Arc::clone(&deployment.name),
                model: Arc::clone(&group.name),
            }),
            candidates: Candidate::of(&deployment, &home, role).collect(),
            deployment,
            home,
        };
        Self { posts: group.members().map(post).collect(), group, role }
    }
}

/// What stands behind a name: its own group, then its fallbacks, each once.
#[derive(Clone, Debug)]
pub struct Route {
    /// In the order in which they are asked; the first is the call's own.
    pub stops: Vec<Stop>,
}

impl Route {
    /// A route without fallbacks.
    pub(super) fn only(group: Group) -> Self {
        Self { stops: vec![Stop::new(Arc::new(group), Role::Own)] }
    }

    /// The same route over other deployments.
    pub(super) fn over(
        &self,
        other: impl Fn(&Arc<Deployment>) -> Result<Arc<Deployment>, Error>,
    ) -> Result<Self, Error> {
        let stops = self.stops.iter().map(|stop| {
            let deployments = stop.group.deployments.iter().map(&other).collect::<Result<_, Error>>()?;
            let group = Arc::new(Group { deployments, ..stop.group.as_ref().clone() });
            Ok(Stop::new(group, stop.role))
        });
        Ok(Self { stops: stops.collect::<Result<_, Error>>()? })
    }

    /// The same route without what follows when it fails.
    pub(super) fn alone(&self) -> Self {
        Self { stops: self.stops.iter().take(1).cloned().collect() }
    }

    /// The own group with the deployments at its first host, and nothing after it. A provider's name does not tell
    /// its hosts: each deployment may have an address of its own.
    pub(super) fn at_one_host(&self) -> Self {
        let mut own = self.alone();
        for stop in &mut own.stops {
            let first = stop.group.deployments.first().map(|deployment| deployment.target.origin());
            let here = stop.group.members().filter(|(member, _)| Some(member.target.origin()) == first);
            let (deployments, mut homes): (Vec<_>, Vec<_>) = here.unzip();
            if stop.group.homes.is_empty() {
                homes.clear();
            }
            let group = Group { deployments, homes, ..stop.group.as_ref().clone() };
            *stop = Stop::new(Arc::new(group), stop.role);
        }
        own
    }

    /// Adds all stops of another as they are, in place of what followed: what a canary stands in for is not below
    /// it.
    pub(super) fn follow_all(&mut self, other: &Self) {
        self.stops.truncate(1);
        let is_here = |stop: &Stop| self.stops.iter().any(|own| own.group.name == stop.group.name);
        let others: Vec<Stop> = other.stops.iter().filter(|stop| !is_here(stop)).cloned().collect();
        self.stops.extend(others);
    }

    /// Adds the own group of another route as a fallback.
    pub(super) fn follow(&mut self, other: &Self) {
        if let Some(group) = other.own()
            && !self.stops.iter().any(|stop| stop.group.name == group.name)
        {
            self.stops.push(Stop::new(Arc::clone(group), Role::Fallback));
        }
    }

    /// The group the call is for.
    pub fn own(&self) -> Option<&Arc<Group>> {
        self.stops.first().map(|stop| &stop.group)
    }
}
