//! Leaving one key of one deployment alone after it was throttled.

use std::time::Duration;

use super::Until;
use crate::clock::{self, Instant};

/// The longest wait that an upstream's hint is believed (hints lie).
pub(super) const LONGEST: Duration = Duration::from_secs(600);

/// Until when one key of one deployment is asked last.
#[derive(Debug, Default)]
pub struct Pause {
    until: Until,
}

impl Pause {
    /// Asked last for `wait` (bounded to 600 s).
    pub fn begin(&self, wait: Duration) {
        self.until.extend(clock::now() + wait.min(LONGEST));
    }

    /// Does it last at `now`?
    pub fn is_on(&self, now: Instant) -> bool {
        self.until.is_after(now)
    }
}
