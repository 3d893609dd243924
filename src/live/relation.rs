//! What one key and one deployment have been through together: limits are a key's and a model's.

use std::sync::Arc;
use std::time::Duration;

use super::Until;
use super::learned::Learned;
use crate::clock::{self, Instant};

/// The longest wait that an upstream's hint is believed (hints lie).
pub(super) const LONGEST: Duration = Duration::from_secs(600);

/// A key at a deployment.
#[derive(Debug)]
pub struct Relation {
    /// Until when the deployment is asked last with this key, after it was throttled.
    until: Until,
    /// What the provider has told or taught of its limits.
    pub learned: Arc<Learned>,
}

impl Default for Relation {
    fn default() -> Self {
        Self { until: Until::default(), learned: Arc::new(Learned::new(clock::now())) }
    }
}

impl Relation {
    /// Asked last for `wait` (bounded to 600 s).
    pub fn rest(&self, wait: Duration) {
        self.until.extend(clock::now() + wait.min(LONGEST));
    }

    /// Does that last at `now`?
    pub fn is_resting(&self, now: Instant) -> bool {
        self.until.is_after(now)
    }
}
