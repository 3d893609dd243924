//! What one key and one deployment have been through together: limits are a key's and a model's.

use std::sync::Arc;
use std::time::Duration;

use super::learned::Learned;
use super::rest::{Leave, Rest};
use crate::clock::{self, Instant};

/// A key at a deployment.
#[derive(Debug)]
pub struct Relation {
    /// The deployment is left alone with this key, after it was throttled.
    rest: Rest,
    /// What the provider has told or taught of its limits.
    pub learned: Arc<Learned>,
}

impl Default for Relation {
    fn default() -> Self {
        Self { rest: Rest::default(), learned: Arc::new(Learned::new(clock::now())) }
    }
}

impl Relation {
    /// Left alone for `wait` (bounded to 600 s: hints lie), but for a probe now and then.
    pub fn rest(&self, wait: Duration) {
        self.rest.begin(wait, clock::now());
    }

    /// Does that last at `now`?
    pub fn is_resting(&self, now: Instant) -> bool {
        self.rest.lasts(now)
    }

    /// What the rest leaves to those who would like to ask.
    pub fn leave(&self, now: Instant) -> Leave {
        self.rest.leave(now)
    }

    /// Of those who would send a probe, one may.
    pub fn claims(&self, now: Instant) -> bool {
        self.rest.claims(now)
    }

    /// What was sent at `sent` was answered, which ends a rest that had been asked for before. Did it?
    pub fn answered(&self, sent: Instant, now: Instant) -> bool {
        self.rest.end(sent, now)
    }
}
