//! What the configuration is compared with.

use std::time::Duration;

use crate::config::{Config, Fallbacks, Jitter, Strategy};

/// As both SDKs: 600 s an attempt, and no end of the whole.
const SDK_TIMEOUT: Duration = Duration::from_secs(600);

/// What leads the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The configuration as it is written.
    Written,
    /// One request to the first deployment of a model.
    Bare,
    /// The same, and two retries with the SDKs' backoff (0.5 s doubling to 8 s) and timeout (600 s).
    SdkRetries,
}

impl Policy {
    /// All of them, the plainest first.
    pub const ALL: [Self; 3] = [Self::Bare, Self::SdkRetries, Self::Written];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Bare => "bare",
            Self::SdkRetries => "sdk_retries",
        }
    }

    /// `config` under this policy. Rules and defaults still pick the model.
    #[must_use]
    pub fn over(self, config: Config) -> Config {
        match self {
            Self::Written => config,
            Self::Bare => alone(config, 0),
            Self::SdkRetries => alone(config, 2),
        }
    }
}

/// Every model is its first deployment, which nothing guards.
fn alone(mut config: Config, max_retries: u32) -> Config {
    for model in config.models.values_mut() {
        let group = &mut model.group;
        group.deployments.sort_by_key(|deployment| deployment.priority);
        group.deployments.truncate(1);
        (group.fallbacks, group.canary, group.timeout, group.profile) =
            (Fallbacks::default(), None, None, None);
        group.strategy = Strategy::Ordered;
    }
    for rule in
        config.rules.iter_mut().chain(config.tenants.values_mut().flat_map(|tenant| &mut tenant.rules))
    {
        (rule.timeout, rule.profile) = (None, None);
    }
    config.tenants.values_mut().for_each(|tenant| tenant.profile = None);
    config.stages.health = false;
    config.stages.admit = false;
    config.breaker.enabled = false;
    config.hedge.enabled = false;
    config.routing.ejection.enabled = false;
    let retry = &mut config.retry;
    (retry.max_retries, retry.preset, retry.budget.enabled) = (max_retries, None, false);
    (retry.base, retry.throttled_base) = (Duration::from_millis(500), Duration::from_millis(500));
    (retry.cap, retry.jitter) = (Duration::from_secs(8), Jitter::Equal);
    let timeouts = &mut config.timeouts;
    timeouts.attempt = Some(SDK_TIMEOUT);
    (timeouts.first_token, timeouts.idle, timeouts.content_idle) = (SDK_TIMEOUT, SDK_TIMEOUT, SDK_TIMEOUT);
    timeouts.total = SDK_TIMEOUT * (max_retries + 1) + Duration::from_secs(60);
    config
}
