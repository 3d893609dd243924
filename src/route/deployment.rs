//! A deployment: a provider, an upstream model, where it listens, and the keys for it.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use crate::clock::Instant;
use crate::error::Subject;
use crate::live;
use crate::provider::presets::Preset;
use crate::send::Transport;

/// An upstream model at a provider.
#[derive(Debug)]
pub struct Deployment {
    /// `provider/model`, for people.
    pub name: String,
    /// The provider's id.
    pub provider: String,
    /// The name the provider knows the model by; `None` sends the caller's own.
    pub model: Option<String>,
    /// What the provider is like.
    pub preset: &'static Preset,
    /// Does this host end streams without a finish reason?
    pub finish_optional: bool,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// How it is reached.
    pub transport: Arc<dyn Transport>,
    /// In the order in which they are used; never empty.
    pub credentials: Vec<Arc<Credential>>,
    /// What it has been doing.
    pub live: Arc<live::Deployment>,
}

/// Base URL and fixed query of a deployment.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// As configured; shown in errors.
    pub base_url: String,
    /// Added to every path.
    pub query: Vec<(String, String)>,
}

/// A key of a deployment, as the headers it becomes.
pub struct Credential {
    /// All headers of a request.
    pub headers: HeaderMap,
    /// What it has been doing, shared with every deployment that uses the key.
    pub live: Arc<live::Credential>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("live", &self.live).finish_non_exhaustive()
    }
}

/// A deployment with one of its credentials: what one attempt asks.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The deployment.
    pub deployment: Arc<Deployment>,
    /// The credential.
    pub credential: Arc<Credential>,
}

impl Candidate {
    /// Another credential of the same deployment?
    pub fn is_sibling_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.deployment, &other.deployment)
    }

    /// Should it rather not be asked now?
    pub fn is_resting(&self, now: Instant) -> bool {
        self.deployment.live.is_cooling(now) || self.credential.live.is_disabled(now)
    }

    /// What an error says about it.
    pub fn subject(&self) -> Subject {
        Subject {
            model: String::new(),
            deployment: self.deployment.name.clone(),
            provider: self.deployment.provider.clone(),
            url: self.deployment.endpoint.base_url.clone(),
        }
    }
}

/// A header value that no debug output shows.
pub(super) fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
