//! Limits and budgets that cannot be kept as they are written.

use std::time::Duration;

use super::Check;
use crate::config::{Algorithm, Budget, Deployment, Limits};
use crate::store::{Measure, Zone};

/// Every single amount of such a limit is kept.
const LONGEST_LOG: u64 = 10_000;

impl Check<'_> {
    /// Everything that is limited or budgeted.
    pub(super) fn admission(&mut self) {
        let config = self.config;
        let (limits, budgets) = (&config.limits, &config.budgets);
        for (scope, written) in [
            ("global", &limits.global),
            ("tenant", &limits.tenant),
            ("user", &limits.user),
            ("key", &limits.key),
            ("model", &limits.model),
        ] {
            self.limits(written, &format!("limits.{scope}"));
        }
        for (scope, written) in [
            ("global", &budgets.global),
            ("tenant", &budgets.tenant),
            ("user", &budgets.user),
            ("key", &budgets.key),
            ("model", &budgets.model),
        ] {
            self.budget(written, &format!("budgets.{scope}"));
        }
        let own = limits.users.iter().map(|(name, own)| (format!("limits.users.{name}"), own));
        for (path, own) in
            own.chain(limits.keys.iter().map(|(name, own)| (format!("limits.keys.{name}"), own)))
        {
            self.limits(own, &path);
        }
        let own = budgets.users.iter().map(|(name, own)| (format!("budgets.users.{name}"), own));
        for (path, own) in
            own.chain(budgets.keys.iter().map(|(name, own)| (format!("budgets.keys.{name}"), own)))
        {
            self.budget(own, &path);
        }
        for (name, tenant) in &config.tenants {
            self.own(tenant.limits.as_ref(), tenant.budget.as_ref(), &format!("tenants.{name}"));
        }
        for (name, provider) in &config.providers {
            self.limits(&provider.limits, &format!("providers.{name}.limits"));
        }
    }

    /// Those of a tenant or a model.
    pub(super) fn own(&mut self, limits: Option<&Limits>, budget: Option<&Budget>, path: &str) {
        if let Some(limits) = limits {
            self.limits(limits, &format!("{path}.limits"));
        }
        if let Some(budget) = budget {
            self.budget(budget, &format!("{path}.budget"));
        }
    }

    /// Those of a deployment.
    pub(super) fn deployment_limits(&mut self, written: &Deployment, path: &str) {
        self.limits(&written.limits, &format!("{path}.limits"));
        for (name, twice) in [
            (
                "requests_per_minute",
                written.requests_per_minute.is_some() && written.limits.requests_per_minute.is_some(),
            ),
            (
                "tokens_per_minute",
                written.tokens_per_minute.is_some() && written.limits.tokens_per_minute.is_some(),
            ),
        ] {
            if twice {
                let path = format!("{path}.limits.{name}");
                self.fault(&path, format!("stands beside `limits` already: `{name}`"));
            }
        }
    }

    fn limits(&mut self, limits: &Limits, path: &str) {
        if limits.burst.is_some() && limits.algorithm != Some(Algorithm::TokenBucket) {
            self.fault(&format!("{path}.burst"), "only `algorithm = \"token_bucket\"` has a burst");
        }
        if limits.algorithm == Some(Algorithm::Log) {
            let rates = crate::admit::opening::rates(limits);
            if let Some((measure, most, _)) = rates.into_iter().find(|(_, most, _)| *most > LONGEST_LOG) {
                let message = format!(
                    "keeps every single amount of {} {}: `sliding` is for more than {LONGEST_LOG}",
                    most,
                    measure.name().replace('_', " ")
                );
                self.fault(&format!("{path}.algorithm"), message);
            }
        }
        let rates = crate::admit::opening::rates(limits);
        for (position, (measure, _, per)) in rates.iter().enumerate() {
            let is_same = |(other, _, length): &&(Measure, u64, Duration)| other == measure && length == per;
            if rates.iter().take(position).any(|rate| is_same(&rate)) {
                let measure = measure.name().replace('_', " ");
                self.fault(
                    &format!("{path}.windows"),
                    format!("limits {measure} in {} s twice", per.as_secs_f64()),
                );
            }
        }
        for (position, window) in limits.windows.iter().flatten().enumerate() {
            let path = format!("{path}.windows[{position}]");
            if window.per < Duration::from_secs(1) {
                self.fault(&format!("{path}.per"), "expected 1 second or more");
            }
            if [window.requests, window.tokens, window.input_tokens, window.output_tokens] == [None; 4] {
                self.fault(
                    &path,
                    "limits nothing: set `requests`, `tokens`, `input_tokens` or `output_tokens`",
                );
            }
        }
    }

    fn budget(&mut self, budget: &Budget, path: &str) {
        if let Some(zone) = budget.timezone.as_ref().filter(|zone| Zone::parse(zone).is_none()) {
            let message = format!(
                "no time zone is called `{zone}` on this machine: expected a name such as `Europe/Berlin` or an offset \
                 such as `+08:00`"
            );
            self.fault(&format!("{path}.timezone"), message);
        }
        if budget.is_empty() && *budget != Budget::default() {
            self.fault(path, "budgets nothing: set `hourly`, `daily`, `weekly` or `monthly`");
        }
    }
}
