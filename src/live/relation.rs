//! What one key and one deployment have been through together: limits are a key's and a model's.

use std::sync::Arc;

use super::learned::Learned;
use super::rest::Rest;
use crate::clock;

/// A key at a deployment.
#[derive(Debug)]
pub struct Relation {
    /// The deployment is left alone with this key, after it was throttled.
    pub rest: Rest,
    /// What the provider has told or taught of its limits.
    pub learned: Arc<Learned>,
}

impl Default for Relation {
    fn default() -> Self {
        Self { rest: Rest::default(), learned: Arc::new(Learned::new(clock::now())) }
    }
}
