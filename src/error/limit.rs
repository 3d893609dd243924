//! Which limit of ours refused a call.

use std::time::Duration;

/// A limit or budget of ours that had no room. Holds no name of a user, tenant or key.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitReached {
    /// What it counts: `requests`, `tokens`, `input_tokens`, `output_tokens`, `concurrency` or `cost`.
    pub measure: &'static str,
    /// Whom it counts for: `global`, `tenant`, `user`, `key`, `model`, `deployment` or `credential`.
    pub scope: &'static str,
    /// How much it allows; of a budget, US dollars. `None` where only the provider knows.
    pub most: Option<f64>,
    /// Over which time, in words; of `concurrency`, at once.
    pub window: String,
    /// When a budget begins anew, since the Unix epoch.
    pub resets_at: Option<Duration>,
}
