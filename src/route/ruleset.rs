//! Rules with what follows from them: the target, default parameters, timing, regions.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::group::{self, Params};
use super::rules::Rules;
use crate::chat::facts::Wants;
use crate::clock::Rng;
use crate::config::{self, Target};
use crate::error::{Error, Kind};

/// The rules of a configuration or of a tenant.
#[derive(Debug)]
pub(super) struct RuleSet {
    rules: Rules,
    /// By position in the file.
    consequences: Vec<Arc<Consequence>>,
}

/// What follows when a rule holds.
#[derive(Debug, Default)]
pub struct Consequence {
    /// The rule's name.
    pub rule: Arc<str>,
    /// Where the call goes.
    target: Vec<(String, f64)>,
    /// Sent where the caller sets none.
    pub params: Params,
    /// The limit of an attempt, where the caller sets none.
    pub timeout: Option<Duration>,
    /// A named preset of timeouts and retries.
    pub profile: Option<String>,
    /// Only deployments in one of these regions.
    pub regions: Vec<String>,
}

impl RuleSet {
    /// Compiles the rules at `path`.
    pub(super) fn compile(written: &[config::Rule], path: &str) -> Result<Self, Error> {
        let rules = Rules::compile(written).map_err(|faults| {
            let lines = faults.iter().map(|(position, fault)| format!("`{path}[{position}].when`: {fault}"));
            Error::new(Kind::Config, lines.collect::<Vec<_>>().join("\n  "))
        })?;
        let consequences = written.iter().map(|rule| Arc::new(Consequence::of(rule))).collect();
        Ok(Self { rules, consequences })
    }

    /// Has it nothing to say?
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The costly facts that its conditions read.
    pub(super) fn wants(&self) -> Wants {
        self.rules.wants()
    }

    /// What follows for a call; conditions that cannot say are noted.
    pub(super) fn consequence(
        &self,
        context: &Context<'_>,
        notes: &mut Vec<String>,
    ) -> Option<&Arc<Consequence>> {
        let picked = self.rules.pick(context);
        for (position, fault) in &picked.faulty {
            let name = self.consequences.get(*position).map_or("?", |found| &found.rule);
            notes.push(format!("the rule `{name}` could not say: {fault}"));
        }
        self.consequences.get(picked.rule?.position)
    }

    /// How often each rule could not say whether it holds.
    pub(super) fn faults(&self) -> impl Iterator<Item = (&str, u64)> {
        self.rules.faults()
    }
}

impl Consequence {
    fn of(rule: &config::Rule) -> Self {
        let target = match &rule.model {
            Target::Name(name) => vec![(name.clone(), 1.0)],
            Target::Weighted(shares) => {
                shares.iter().map(|share| (share.model.clone(), share.weight)).collect()
            }
        };
        Self {
            rule: rule.name.as_str().into(),
            target,
            params: group::params(&rule.params),
            timeout: rule.timeout,
            profile: rule.profile.clone(),
            regions: rule.regions.clone(),
        }
    }

    /// The target of one call: one of several is drawn in proportion to their weights.
    pub(super) fn target(&self, rng: &Rng) -> Option<&str> {
        let [(only, _)] = self.target.as_slice() else { return self.draw(rng.unit()) };
        Some(only)
    }

    fn draw(&self, unit: f64) -> Option<&str> {
        let total: f64 = self.target.iter().map(|(_, weight)| weight).sum();
        let mut left = unit * total;
        let drawn = self.target.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        // Rounding may leave a rest beyond the last share.
        drawn.or(self.target.last()).map(|(name, _)| name.as_str())
    }
}
