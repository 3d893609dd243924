//! A deployment: a provider, an upstream model, where it listens, and the keys for it.

use std::sync::Arc;

use super::credential::{Credential, KeyState};
use super::group::{Group, Params, Role, Stop};
use super::keyring::Keyring;
use crate::call::Operation;
use crate::clock::{self, Instant};
use crate::error::{Blow, Failure, Subject};
use crate::live;
use crate::provider::catalogue::Entry;
use crate::provider::endpoint::{self, Target};
use crate::provider::presets::Preset;
use crate::provider::price::Prices;
use crate::send::Transport;
use crate::send::attempt::Landed;

/// An upstream model at a provider.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Its id, else `provider/model`.
    pub name: Arc<str>,
    /// The provider's id.
    pub provider: String,
    /// The name the provider knows the model by.
    pub model: String,
    /// What the provider is like.
    pub preset: &'static Preset,
    /// Does this host end streams without a finish reason?
    pub finish_optional: bool,
    /// Where it listens.
    pub target: Target,
    /// The path and query of its chat completions, and of its embeddings.
    pub paths: [String; 2],
    /// Added to every URL.
    pub query: Vec<(String, String)>,
    /// How it is reached.
    pub transport: Arc<dyn Transport>,
    /// In the order in which they are used; never empty.
    pub credentials: Vec<Arc<Credential>>,
    /// What makes further credentials for it.
    pub(super) keyring: Arc<Keyring>,
    /// Its share among its peers.
    pub weight: f64,
    /// The tier it belongs to, lower first.
    pub priority: u32,
    /// Where it runs.
    pub region: Option<String>,
    /// Attempts in flight from which on others are asked first.
    pub concurrency: Option<u32>,
    /// What it takes and can do, as far as that is known.
    pub abilities: Abilities,
    /// Sent where neither the caller nor the model sets them.
    pub params: Params,
    /// Defaults of ours that it refuses.
    pub drop_params: Vec<String>,
    /// What the catalogue knows of its model. Such knowledge ages: it never refuses the last deployment.
    pub listed: Option<&'static Entry>,
    /// What it costs, as far as that is known.
    pub prices: Option<Arc<Prices>>,
    /// What it has been doing.
    pub live: Arc<live::Deployment>,
}

/// What a deployment takes and can do; what is not known is `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Abilities {
    /// Tokens of prompt and answer together.
    pub context_window: Option<u64>,
    /// Tokens of an answer.
    pub max_output: Option<u64>,
    /// Tools and functions.
    pub tools: Option<bool>,
    /// Images in the prompt.
    pub vision: Option<bool>,
    /// Answers held to a JSON schema.
    pub json_schema: Option<bool>,
    /// Reasoning that can be asked for.
    pub reasoning: Option<bool>,
    /// Streams.
    pub stream: Option<bool>,
}

impl Deployment {
    /// Tokens of prompt and answer together, by the operator's word or the catalogue's.
    pub fn context_window(&self) -> Option<u64> {
        self.abilities.context_window.or_else(|| self.listed?.context_window.map(u64::from))
    }

    /// Should it rather not be asked now: is it cooling down, or are all its keys out of use?
    pub fn is_resting(&self, now: Instant) -> bool {
        self.live.is_cooling(now) || self.usable_keys(now) == 0
    }

    /// Keys that can be used.
    pub fn usable_keys(&self, now: Instant) -> usize {
        self.credentials.iter().filter(|credential| credential.state(now) == KeyState::Usable).count()
    }

    /// The path and query of a request for `operation`.
    pub fn path(&self, operation: &Operation) -> String {
        let [chat, embeddings] = &self.paths;
        match operation {
            Operation::Chat => chat.clone(),
            Operation::Embeddings => embeddings.clone(),
            Operation::Models | Operation::Raw { .. } => endpoint::path(operation, &self.target, &self.model),
        }
    }

    /// Where a request for `operation` goes, without its query.
    pub fn url(&self, operation: &Operation) -> String {
        let path = self.path(operation);
        format!("{}{}", self.target.origin(), path.split('?').next().unwrap_or_default())
    }

    /// What an error of a call for `model` says about it.
    pub fn subject(&self, model: &str, operation: &Operation) -> Subject {
        Subject {
            model: model.to_owned(),
            deployment: self.name.to_string(),
            provider: self.provider.clone(),
            url: self.url(operation),
        }
    }
}

/// A deployment with one of its credentials: what one attempt asks.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The deployment.
    pub deployment: Arc<Deployment>,
    /// The credential.
    pub credential: Arc<Credential>,
    /// The model it serves here.
    pub group: Arc<Group>,
    /// Why that model is asked.
    pub role: Role,
}

impl Candidate {
    /// One candidate for each credential of `deployment`.
    pub(super) fn of(deployment: &Arc<Deployment>, stop: &Stop) -> impl Iterator<Item = Self> {
        deployment.credentials.iter().map(|credential| Self {
            deployment: Arc::clone(deployment),
            credential: Arc::clone(credential),
            group: Arc::clone(&stop.group),
            role: stop.role,
        })
    }

    /// Another credential of the same deployment?
    pub fn is_sibling_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.deployment, &other.deployment)
    }

    /// Writes the outcome of an attempt into the live records.
    pub fn learn(&self, outcome: &Result<Landed, Failure>, started: Instant) {
        match outcome {
            Ok(landed) => {
                if matches!(landed, Landed::Whole { .. }) {
                    let duration = clock::now().saturating_duration_since(started);
                    self.deployment.live.durations.record(duration);
                }
                self.deployment.live.succeeded();
                self.credential.accepted();
            }
            Err(failure) => {
                let rule = failure.kind.rule();
                self.credential.failed(failure.kind);
                if let Some(wait) = failure.retry_after
                    && !rule.disables_credential
                {
                    self.deployment.live.cool_down(wait);
                }
                if rule.breaker != Blow::None {
                    self.deployment.live.failed();
                }
            }
        }
    }
}
