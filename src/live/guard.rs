//! Breakers as the configuration describes them. Not among the breakers themselves, which `tests/loom` compiles alone.

use super::breaker::{Policy, Role, Slow};
use crate::config::{BreakerPreset, Config};

impl Policy {
    /// The policy that a configuration describes; `None` where it wants no breaker. Where no model is configured, a
    /// client made of a key alone, breakers only count.
    pub fn configured(config: &Config) -> Option<Self> {
        let written = &config.breaker;
        let base = match written.preset {
            Some(BreakerPreset::Sensitive) => Self::SENSITIVE,
            None => Self::DEFAULT,
        };
        let slow = written.slow.map(|after| Slow { after, share: written.slow_ratio.unwrap_or(Slow::SHARE) });
        let role = if config.models.is_empty() { Role::Observer } else { Role::Guard };
        written.enabled.then_some(Self {
            in_a_row: written.consecutive.unwrap_or(base.in_a_row),
            failed: written.ratio.unwrap_or(base.failed),
            least_calls: written.minimum.unwrap_or(base.least_calls),
            slow,
            window: written.window.unwrap_or(base.window),
            open: written.open.unwrap_or(base.open),
            longest_open: written.longest.unwrap_or(base.longest_open),
            probes: written.probes.unwrap_or(base.probes),
            slow_start: written.slow_start.unwrap_or(base.slow_start),
            role,
            ..base
        })
    }
}
