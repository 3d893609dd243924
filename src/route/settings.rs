//! Timeouts and retries of a call: the configuration's, or those of a named profile.

use std::collections::HashMap;
use std::sync::Arc;

use crate::admit::Quota;
use crate::admit::opening::Opening;
use crate::call::CallOptions;
use crate::config::{self, Config, Timeouts, check};
use crate::error::{Error, Kind};
use crate::provider::presets;
use crate::retry::allowance;
use crate::retry::course::Terms;
use crate::retry::policy::Policy;
use crate::store::{Scope, Store};

/// What a call's timing is governed by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Limits of every phase.
    pub timeouts: Timeouts,
    /// Attempts and backoff.
    pub retry: Terms,
    /// Where the call stands in queues, 0 to 9.
    pub priority: Option<u8>,
    /// How many calls under it may run at once.
    pub slots: Option<Quota>,
}

/// Seconds ahead of UTC, written as `+08:00`, `-03:30` or `Z`.
pub(super) fn utc_offset(written: Option<&str>) -> Result<i64, Error> {
    let Some(text) = written else { return Ok(0) };
    check::offset_seconds(text).ok_or_else(|| {
        Error::new(Kind::Config, format!("`routing.utc_offset`: expected such as `+08:00`: `{text}`"))
    })
}

fn retry(written: &config::Retry) -> Terms {
    let config::RetryBudget { enabled, ratio, floor } = written.budget;
    let allowance =
        if enabled { allowance::Policy { share: ratio, floor } } else { allowance::Policy::UNLIMITED };
    Terms { policy: Policy::configured(written), longest_wait: written.longest_wait, allowance }
}

/// All profiles, compiled.
#[derive(Debug)]
pub(super) struct Profiles {
    general: Arc<Settings>,
    named: HashMap<String, Arc<Settings>>,
}

impl Profiles {
    pub(super) fn compile(config: &Config, store: &dyn Store) -> Self {
        let retry = retry(&config.retry);
        let general = Settings { timeouts: config.timeouts.clone(), retry, priority: None, slots: None };
        let opening = Opening { scope: Scope::Profile, store };
        let compiled = |(name, profile): (String, config::Profile)| {
            let slots =
                profile.concurrency.map(|most| opening.slots(&format!("={name}"), u64::from(most), false));
            (name, Arc::new(Settings { slots, ..general.under(&profile) }))
        };
        let named = config::profiles(config).into_iter().map(compiled).collect();
        Self { general: Arc::new(general), named }
    }

    /// Those of calls of no profile.
    pub(super) fn general(&self) -> &Arc<Settings> {
        &self.general
    }

    pub(super) fn find(&self, profile: Option<&str>) -> Result<&Arc<Settings>, Error> {
        let Some(name) = profile else { return Ok(&self.general) };
        self.named.get(name).ok_or_else(|| {
            let near = presets::nearest(name, self.named.keys().map(String::as_str));
            let hint = presets::did_you_mean(near);
            Error::new(Kind::Config, format!("`profile`: no profile is called `{name}`{hint}"))
        })
    }
}

impl Settings {
    /// Where a call stands in queues: by its own word, else its profile's.
    pub fn priority_of(&self, options: &CallOptions) -> Option<u8> {
        options.priority.or(self.priority)
    }

    fn under(&self, profile: &config::Profile) -> Self {
        let mut settings = self.clone();
        let timeouts = &mut settings.timeouts;
        timeouts.total = profile.total.unwrap_or(timeouts.total);
        timeouts.attempt = profile.attempt.or(timeouts.attempt);
        timeouts.first_token = profile.first_token.unwrap_or(timeouts.first_token);
        timeouts.idle = profile.idle.unwrap_or(timeouts.idle);
        let policy = &mut settings.retry.policy;
        policy.max_retries = profile.max_retries.unwrap_or(policy.max_retries);
        settings.priority = profile.priority;
        settings
    }
}
