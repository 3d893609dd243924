//! Which limits and budgets a call counts against, compiled from the configuration.
//!
//! A limit is an account of the store, and what is charged to it is charged for a subject: one of many users, tenants
//! or keys, each with counts of its own. Callers without a name count together as one, so that no limit is escaped by
//! leaving the name out.

use std::collections::HashMap;
use std::sync::Arc;

use crate::call::Call;
use crate::chat::facts::Facts;
use crate::config::{self, Config};
use crate::error::Error;
use crate::live::hash;
use crate::route::context::Context;
use crate::store::{Account, Charge, Measure, Scope, Store};

use super::needs::Needs;
use super::opening::Opening;

/// An account with what admission must know beside its numbers.
#[derive(Clone, Debug)]
pub struct Quota {
    /// Where it is counted.
    pub account: Account,
    /// From so much on, in nano-dollars, cheaper deployments are asked first.
    pub soft: Option<u64>,
    /// Is a deployment without a price refused under it?
    pub needs_price: bool,
}

impl Quota {
    /// The number of those whose count `subject` is, where others have counts of their own.
    pub fn own(&self, subject: u64) -> Option<u64> {
        let is_shared = self.account.limit().scope.is_shared();
        (!is_shared).then(|| hash::mix(hash::hash([&*self.account.limit().identity]) ^ subject))
    }

    /// What an attempt that needs so much is charged.
    pub fn charge(&self, subject: u64, needs: &Needs) -> Charge<'_> {
        Charge { account: &self.account, subject, amount: needs.of(self.account.limit().measure) }
    }
}

/// A quota and whose count it is.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What it counts against.
    pub quota: Quota,
    /// The caller's own count among many; 0 where there is one for all.
    pub subject: u64,
}

/// What a call counts against.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// Requests and slots: once, however many attempts follow.
    pub once: Vec<Claim>,
    /// Tokens and money: with each attempt.
    pub each: Vec<Claim>,
}

impl Claims {
    /// With the slots of a profile.
    #[must_use]
    pub fn and_slots(mut self, slots: Option<&Quota>) -> Self {
        self.add(slots.map(std::slice::from_ref).unwrap_or_default(), 0);
        self
    }

    fn add(&mut self, quotas: &[Quota], subject: u64) {
        for quota in quotas {
            let claims = match quota.account.limit().measure {
                Measure::Requests | Measure::Concurrency => &mut self.once,
                Measure::Tokens | Measure::InputTokens | Measure::OutputTokens | Measure::Cost => {
                    &mut self.each
                }
            };
            claims.push(Claim { quota: quota.clone(), subject });
        }
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller<'a> {
    /// The tenant.
    pub tenant: Option<&'a str>,
    /// The user.
    pub user: Option<&'a str>,
    /// The key.
    pub key: Option<&'a str>,
}

impl<'a> Caller<'a> {
    /// Who makes this call.
    pub fn of(call: &'a Call, facts: &'a Facts) -> Self {
        let Call { options, .. } = call;
        let user = Context::new(facts, options).user();
        Self { tenant: options.tenant.as_deref(), user, key: options.key.as_deref() }
    }
}

/// The limits and budgets of callers.
#[derive(Debug)]
pub struct Scopes {
    store: Arc<dyn Store>,
    global: Arc<[Quota]>,
    tenant: Scoped,
    user: Scoped,
    key: Scoped,
    model: Scoped,
    has_soft: bool,
}

/// Those of one kind of caller.
#[derive(Debug, Default)]
struct Scoped {
    /// Of everyone who has none of his own.
    each: Arc<[Quota]>,
    named: HashMap<String, Arc<[Quota]>>,
}

impl Scoped {
    fn claims(&self, name: &str, claims: &mut Claims) {
        match self.named.get(name) {
            Some(own) => claims.add(own, 0),
            None if self.each.is_empty() => {}
            None => claims.add(&self.each, hash::hash([name])),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Quota> {
        self.each.iter().chain(self.named.values().flat_map(|own| own.iter()))
    }
}

/// What one caller has for himself: limits, a budget, or both; what is not said is everyone's.
type Own<'a> = (&'a str, Option<&'a config::Limits>, Option<&'a config::Budget>);

impl Scopes {
    /// Opens an account for everything that `config` limits.
    ///
    /// # Errors
    ///
    /// [`crate::Kind::Config`] for a time zone nobody knows.
    pub fn compile(config: &Config, store: &Arc<dyn Store>) -> Result<Self, Error> {
        store.allow(config.limits.memory);
        let (limits, budgets) = (&config.limits, &config.budgets);
        let opening = |scope| Opening { scope, store: store.as_ref() };
        let global = opening(Scope::Global).all("", Some(&limits.global), Some(&budgets.global))?;
        let tenants = config.tenants.iter();
        let tenants = tenants.map(|(name, own)| (name.as_str(), own.limits.as_ref(), own.budget.as_ref()));
        let models = config.models.iter();
        let models =
            models.map(|(name, own)| (name.as_str(), own.group.limits.as_ref(), own.group.budget.as_ref()));
        let users = named(&limits.users, &budgets.users);
        let keys = named(&limits.keys, &budgets.keys);
        let mut scopes = Self {
            store: Arc::clone(store),
            global: global.into(),
            tenant: opening(Scope::Tenant).scoped(&limits.tenant, &budgets.tenant, tenants)?,
            user: opening(Scope::User).scoped(&limits.user, &budgets.user, users.into_iter())?,
            key: opening(Scope::Key).scoped(&limits.key, &budgets.key, keys.into_iter())?,
            model: opening(Scope::Model).scoped(&limits.model, &budgets.model, models)?,
            has_soft: false,
        };
        let has_soft = scopes.all().any(|quota| quota.soft.is_some());
        scopes.has_soft = has_soft && config.stages.admit;
        Ok(scopes)
    }

    /// What a call of `caller` counts against.
    pub fn claims(&self, caller: &Caller<'_>) -> Claims {
        let mut claims = Claims::default();
        claims.add(&self.global, 0);
        self.tenant.claims(caller.tenant.unwrap_or_default(), &mut claims);
        self.user.claims(caller.user.unwrap_or_default(), &mut claims);
        self.key.claims(caller.key.unwrap_or_default(), &mut claims);
        claims
    }

    /// What a call counts against that `model` serves: its slots with each attempt, since the call may go on elsewhere.
    pub fn of_model(&self, model: &str) -> Claims {
        let mut claims = Claims::default();
        self.model.claims(model, &mut claims);
        let is_slot = |claim: &mut Claim| claim.quota.account.limit().measure == Measure::Concurrency;
        claims.each.extend(claims.once.extract_if(.., is_slot));
        claims
    }

    /// Has any budget of `caller`, or of one of `models`, come so far that cheaper deployments go first?
    pub fn is_thrifty<'a>(&self, caller: &Caller<'_>, mut models: impl Iterator<Item = &'a str>) -> bool {
        let is_low = |claims: &Claims| {
            claims.each.iter().any(|claim| {
                let soft = claim.quota.soft;
                soft.is_some_and(|soft| self.store.used(&claim.quota.account, claim.subject) >= soft)
            })
        };
        self.has_soft && (is_low(&self.claims(caller)) || models.any(|model| is_low(&self.of_model(model))))
    }

    fn all(&self) -> impl Iterator<Item = &Quota> {
        let scoped = [&self.tenant, &self.user, &self.key, &self.model];
        self.global.iter().chain(scoped.into_iter().flat_map(Scoped::all))
    }
}

fn named<'a>(
    limits: &'a std::collections::BTreeMap<String, config::Limits>,
    budgets: &'a std::collections::BTreeMap<String, config::Budget>,
) -> Vec<Own<'a>> {
    let names: std::collections::BTreeSet<&String> = limits.keys().chain(budgets.keys()).collect();
    names.into_iter().map(|name| (name.as_str(), limits.get(name), budgets.get(name))).collect()
}

impl Opening<'_> {
    /// The quotas of everyone and of those who have their own.
    fn scoped<'a>(
        &self,
        limits: &config::Limits,
        budget: &config::Budget,
        own: impl Iterator<Item = Own<'a>>,
    ) -> Result<Scoped, Error> {
        let each = self.all("", Some(limits), Some(budget))?.into();
        let own = own.filter(|(_, limits, budget)| limits.is_some() || budget.is_some());
        let named = own.map(|(name, own_limits, own_budget)| {
            // What is not said of one is what holds for each; the count is his own all the same.
            let own_limits = own_limits.map_or_else(|| limits.clone(), |own| own.over(limits));
            let own_budget = own_budget.map_or_else(|| budget.clone(), |own| own.over(budget));
            let quotas = self.all(&format!("={name}"), Some(&own_limits), Some(&own_budget))?;
            Ok((name.to_owned(), quotas.into()))
        });
        Ok(Scoped { each, named: named.collect::<Result<_, Error>>()? })
    }
}
