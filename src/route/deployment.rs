//! A deployment: a provider, an upstream model, where it listens, and the keys for it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::Plan;
use super::credential::{Credential, Owner};
use super::defaults;
use super::group::{Group, Params, Role};
use super::keyring::Keyring;
use super::outlier::{self, Manner};
use super::quotas::Subscription;
use crate::admit::Quota;
use crate::call::Operation;
use crate::chat::estimate::{self, Family, Prompt};
use crate::chat::facts::Facts;
use crate::chat::usage::Usage;
use crate::clock::{self, Instant};
use crate::config::{Ejection, Reserve, Veiled};
use crate::error::{Blow, Failure, Kind, Subject};
use crate::live::learned::Terms;
use crate::live::{self, Form, pace};
use crate::provider::catalogue::Entry;
use crate::provider::endpoint::{self, Target};
use crate::provider::presets::Preset;
use crate::provider::price::Prices;
use crate::send::attempt::Landed;
use crate::send::{Limits, Transport};
use crate::store::Scope;

/// Tokens set aside for an answer where the caller bounds it not.
const USUAL_OUTPUT: u64 = 1024;

/// An upstream model at a provider.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Its id, else `provider/model`.
    pub name: Arc<str>,
    /// The provider's id.
    pub provider: String,
    /// The name the provider knows the model by.
    pub model: String,
    /// The name that was written, where its model is retired and `model` is its heir.
    pub retired: Option<String>,
    /// What the provider is like.
    pub preset: &'static Preset,
    /// Does this host end streams without a finish reason?
    pub finish_optional: bool,
    /// Where it listens.
    pub target: Target,
    /// The path and query of its chat completions, and of its embeddings.
    pub paths: [String; 2],
    /// Added to every URL.
    pub query: Veiled<Vec<(String, String)>>,
    /// How it is reached.
    pub transport: Arc<dyn Transport>,
    /// In the order in which they are used; empty where only tenants bring keys.
    pub credentials: Vec<Arc<Credential>>,
    /// What makes further credentials for it.
    pub(super) keyring: Arc<Keyring>,
    /// Its share among its peers.
    pub weight: f64,
    /// The tier it belongs to, lower first.
    pub priority: u32,
    /// Where it runs.
    pub region: Option<String>,
    /// Attempts in flight at once; others are asked first, then calls wait.
    pub concurrency: Option<u32>,
    /// The limits it counts against: its own and those of its keys.
    pub quotas: Arc<[Quota]>,
    /// Its provider's account, where that tells what kind it is.
    pub subscription: Option<Subscription>,
    /// How far what its provider tells of limits is used up.
    pub terms: Terms,
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
    /// How much is set aside for an answer.
    pub reserve: Reserve,
    /// How its model makes tokens of text, before anything was counted.
    pub family: Family,
    /// The name under which it takes the bound on output tokens.
    pub output_limit: &'static str,
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

    /// What there is to say where its model is retired.
    pub fn heir(&self) -> Option<String> {
        let retired = self.retired.as_ref()?;
        Some(format!("`{retired}` is retired: {} answers in its place", self.model))
    }

    /// The tokens it will count for a prompt, as far as is known of it.
    pub fn tokens(&self, prompt: &Prompt) -> u64 {
        self.live.calibration.tokens(prompt, self.family)
    }

    /// It counted so much for a prompt.
    pub fn counted(&self, prompt: &Prompt, usage: &Usage) {
        self.live.calibration.learn(prompt, self.family, usage.input);
    }

    /// Tokens to set aside for an answer that may have as many as `most`.
    fn reserved_output(&self, most: Option<u64>) -> u64 {
        let possible = self.max_output().unwrap_or(u64::MAX);
        let observed = match self.reserve {
            Reserve::Observed => self.live.usual_output(0.9),
            Reserve::Declared => None,
        };
        match observed {
            Some(observed) => observed.min(most.unwrap_or(possible)),
            None => most.unwrap_or(USUAL_OUTPUT).min(possible),
        }
    }

    /// Tokens of an answer, by the operator's word or the catalogue's.
    pub fn max_output(&self) -> Option<u64> {
        self.abilities.max_output.or_else(|| self.listed?.max_output.map(u64::from))
    }

    /// `provider/model`, whatever its id.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.provider, self.retired.as_ref().unwrap_or(&self.model))
    }

    /// Should it rather not be asked now: is it cooling down, or is none of its keys usable?
    pub fn is_resting(&self, now: Instant) -> bool {
        self.live.rest.lasts(now) || self.usable_keys(now) == 0
    }

    /// Keys that can be used.
    pub fn usable_keys(&self, now: Instant) -> usize {
        self.credentials.iter().filter(|credential| credential.state(now).is_usable()).count()
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
pub struct Candidate(Arc<Pairing>);

/// What a [`Candidate`] is made of.
#[derive(Debug)]
pub struct Pairing {
    /// The deployment.
    pub deployment: Arc<Deployment>,
    /// The credential.
    pub credential: Arc<Credential>,
    /// The model it serves here.
    pub group: Arc<Group>,
    /// Why that model is asked.
    pub role: Role,
}

impl Deref for Candidate {
    type Target = Pairing;

    fn deref(&self) -> &Pairing {
        &self.0
    }
}

impl Candidate {
    /// One candidate for each credential of `deployment`, as a member of `group`.
    pub(super) fn of(
        deployment: &Arc<Deployment>,
        group: &Arc<Group>,
        role: Role,
    ) -> impl Iterator<Item = Self> {
        deployment.credentials.iter().map(move |credential| {
            Self(Arc::new(Pairing {
                deployment: Arc::clone(deployment),
                credential: Arc::clone(credential),
                group: Arc::clone(group),
                role,
            }))
        })
    }

    /// `deployment` with the first of its keys that is usable at `now`, else its first; none where it has none.
    pub fn usable(deployment: &Arc<Deployment>, group: &Arc<Group>, now: Instant) -> Option<Self> {
        let all: Vec<Self> = Self::of(deployment, group, Role::Own).collect();
        let usable = all.iter().find(|candidate| candidate.credential.state(now).is_usable());
        usable.or(all.first()).cloned()
    }

    /// Whose count of a limit of its deployment an attempt is: its key's, or the deployment's.
    pub fn subject(&self, quota: &Quota) -> u64 {
        match quota.account.limit().scope {
            Scope::Credential => self.credential.live.seat,
            _ => 0,
        }
    }

    /// Another credential of the same deployment? It may stand in several models, each with a copy of its own.
    pub fn is_sibling_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.deployment.live, &other.deployment.live)
    }

    /// What a call is expected to use here: its prompt, and what is set aside for each answer it asks for. What is no
    /// conversation has none.
    pub fn expected(&self, plan: &Plan, facts: &Facts) -> Usage {
        let most = defaults::max_output(facts, plan, self);
        let answers = if facts.messages == 0 && facts.max_output.is_none() { 0 } else { facts.choices };
        let input = self.deployment.tokens(&facts.prompt);
        let output = self.deployment.reserved_output(most).saturating_mul(answers);
        Usage { input, output, total: input.saturating_add(output), estimated: true, ..Usage::default() }
    }

    /// Writes the outcome of an attempt into the live records. Does it end a rest that others wait for?
    pub fn learn(&self, outcome: &Result<Landed, Failure>, limits: &Limits, ejection: &Ejection) -> bool {
        let now = clock::now();
        let took = now.saturating_duration_since(limits.started);
        match outcome {
            Ok(landed) => {
                self.deployment.live.succeeded(now);
                self.credential.accepted();
                self.measure(landed, took, ejection, now);
                let key_rested = self.credential.relation.rest.end(limits.started, now);
                self.deployment.live.rest.end(limits.started, now) || key_rested
            }
            Err(failure) => {
                self.refused(failure, now);
                let blow = failure.kind.rule().breaker;
                self.blame(blow, failure.status, limits.answer.limit.max(took), ejection, now);
                false
            }
        }
    }

    /// What a failure says of the key, and how long to wait for whom.
    fn refused(&self, failure: &Failure, now: Instant) {
        let kind = failure.root();
        self.credential.failed(kind);
        match failure.retry_after {
            Some(wait) if kind == Kind::RateLimit => self.credential.relation.rest.begin(wait, now),
            // What a request or a key is refused for says nothing of the host.
            Some(wait) if kind.rule().breaker == Blow::Hard => self.deployment.live.rest.begin(wait, now),
            _ => {}
        }
    }

    /// Writes that a stream broke after it had begun into the live records.
    pub fn relapse(&self, failure: &Failure, took: Duration, ejection: &Ejection) {
        let now = clock::now();
        self.refused(failure, now);
        if failure.root().rule().breaker != Blow::None {
            self.deployment.live.broke(took, now);
            outlier::judge_failure(&self.deployment, &self.group, Manner::Answered, ejection, now);
        }
    }

    fn measure(&self, landed: &Landed, took: Duration, ejection: &Ejection, now: Instant) {
        let live = &self.deployment.live;
        let (form, seconds) = match landed {
            Landed::Whole { facts, .. } => {
                live.completed();
                let counted = facts.usage.map(|usage| usage.output);
                let tokens = counted.unwrap_or_else(|| estimate::tokens(facts.output_bytes));
                live.replied(took, facts.usage.map_or(0, |usage| usage.input), tokens);
                (Form::Whole, pace::brought_to_length(took.as_secs_f64(), tokens as f64))
            }
            Landed::Stream(opening) => {
                let first_token = opening.first_token.unwrap_or(took);
                live.first_tokens.record(first_token);
                (Form::Streamed, first_token.as_secs_f64())
            }
        };
        live.measured(form, seconds, now);
        outlier::judge_slowness(&self.deployment, &self.group, form, ejection, now);
    }

    /// A failure that cost `lost`: its own time, and at least the limit it had.
    fn blame(&self, blow: Blow, status: Option<u16>, lost: Duration, ejection: &Ejection, now: Instant) {
        let live = &self.deployment.live;
        match blow {
            Blow::None => {}
            // A limit of theirs is nobody else's.
            Blow::Ratio if self.credential.owner == Owner::Guest => {}
            Blow::Ratio => live.throttled(lost, now),
            Blow::Hard => {
                live.failed(lost, now);
                let manner = if status.is_some() { Manner::Answered } else { Manner::Silent };
                outlier::judge_failure(&self.deployment, &self.group, manner, ejection, now);
            }
        }
    }
}
