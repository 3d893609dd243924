//! Models, their deployments, and the providers behind them.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::admission::{Budget, Limits};
use super::duration::optional_seconds;
use super::routing::Canary;
use super::schema::FILE;
use super::secret::{Keys, Veiled};
use crate::provider::{catalogue, presets};

/// Request parameters by name, sent where the caller sets none.
pub type Params = BTreeMap<String, serde_json::Value>;

/// A name a caller uses: a set of deployments with what follows when they fail. A plain string is an alias for
/// another model, for `provider/model`, for a deployment's id or for `tag:<capability>`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(from = "Form")]
#[schemars(with = "Form")]
pub struct Model {
    /// The target this name stands for; then nothing else is set.
    pub alias: Option<String>,
    /// All the rest.
    pub group: Group,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Form {
    /// Another name for a model, a `provider/model`, a deployment's id or `tag:<capability>`.
    Alias(String),
    /// A set of deployments.
    Group(Box<Group>),
}

impl From<Form> for Model {
    fn from(form: Form) -> Self {
        match form {
            Form::Alias(alias) => Self { alias: Some(alias), group: Group::default() },
            Form::Group(group) => Self { alias: None, group: *group },
        }
    }
}

/// A set of deployments that serve one name.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Group {
    /// Free text for people; listed with the models.
    pub description: Option<String>,
    /// Free tags, listed with the models, usable in rules and as the target `tag:<capability>`.
    pub capabilities: Vec<String>,
    /// Who serves it.
    pub deployments: Vec<Deployment>,
    /// In which order they are asked. Default: `ordered`.
    pub strategy: Strategy,
    /// Where the call goes when all of these failed.
    pub fallbacks: Fallbacks,
    /// Keep the calls of one conversation where the provider's prompt cache is warm. Default: `routing.affinity`.
    pub affinity: Option<bool>,
    /// A share of the calls that goes to another model instead.
    pub canary: Option<Canary>,
    /// Sent where the caller sets none.
    pub params: Params,
    /// The limit of an attempt in seconds, where the caller sets none.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub timeout: Option<Duration>,
    /// A named preset of timeouts, retries, priority and concurrency.
    pub profile: Option<String>,
    /// Only deployments in one of these regions (globs such as `eu-*`). Default: anywhere.
    pub regions: Vec<String>,
    /// Limits of all calls of this model together. Default: `limits.model`.
    pub limits: Option<Limits>,
    /// What all calls of this model together may spend. Default: `budgets.model`.
    pub budget: Option<Budget>,
}

/// How the deployments of a model are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By `priority`, then as written; on to the next while one is saturated.
    #[default]
    Ordered,
    /// At random, in proportion to `weight`.
    Weighted,
    /// The faster of two drawn at random, by time to first token.
    Latency,
    /// The cheapest for this call.
    Cost,
    /// The one with the fewest attempts in flight for its weight.
    LeastBusy,
    /// The best in success, speed and price together, with a share of exploration.
    Adaptive,
}

/// Where a call goes when every deployment of its model failed: a list, or a table by cause.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(from = "FallbackForm")]
#[schemars(with = "FallbackForm")]
pub struct Fallbacks {
    /// After any failure that another deployment may mend.
    pub any: Vec<String>,
    /// When the prompt does not fit the context window.
    pub context_window: Vec<String>,
    /// When the provider's content policy refused.
    pub content_filter: Vec<String>,
    /// When quota or money is used up.
    pub quota: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum FallbackForm {
    /// After any failure.
    Any(Vec<String>),
    /// By cause.
    ByCause(Box<FallbackTable>),
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct FallbackTable {
    /// After any failure that another deployment may mend.
    any: Vec<String>,
    /// When the prompt does not fit the context window.
    context_window: Vec<String>,
    /// When the provider's content policy refused.
    content_filter: Vec<String>,
    /// When quota or money is used up.
    quota: Vec<String>,
}

impl From<FallbackForm> for Fallbacks {
    fn from(form: FallbackForm) -> Self {
        match form {
            FallbackForm::Any(any) => Self { any, ..Self::default() },
            FallbackForm::ByCause(table) => Self {
                any: table.any,
                context_window: table.context_window,
                content_filter: table.content_filter,
                quota: table.quota,
            },
        }
    }
}

impl Fallbacks {
    /// All targets with the key they stand under.
    pub fn targets(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let any = self.any.iter().map(|name| ("any", name));
        let window = self.context_window.iter().map(|name| ("context_window", name));
        let filter = self.content_filter.iter().map(|name| ("content_filter", name));
        any.chain(window).chain(filter).chain(self.quota.iter().map(|name| ("quota", name)))
    }
}

/// A provider, an upstream model and the credentials for it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Deployment {
    /// A name of its own, for targets and statistics; must be unique.
    pub id: Option<String>,
    /// A preset's id or a key of `providers`.
    pub provider: String,
    /// The name the provider knows the model by.
    pub model: String,
    /// Which model it is, where `model` is a name of one's own (an Azure deployment, a fine-tuned or a local model):
    /// the catalogue's window, abilities and prices of this one hold. With a provider (`openai/gpt-4o`) where the
    /// row of another one is meant.
    pub base_model: Option<String>,
    /// Instead of the provider's.
    pub base_url: Option<String>,
    /// One key or several; default: the provider's environment variable.
    pub api_key: Keys,
    /// Sent with every request.
    pub headers: Veiled<BTreeMap<String, String>>,
    /// HTTP/2 instead of HTTP/1.1. Default: false.
    pub http2: Option<bool>,
    /// A proxy URL (`http://`, `https://`, `socks5://`).
    pub proxy: Veiled<Option<String>>,
    /// A PEM file of certificate authorities that replaces the system's.
    #[schemars(extend("format" = FILE))]
    pub ca: Option<String>,
    /// Does this host end streams without a finish reason?
    pub finish_optional: Option<bool>,
    /// Its share among its peers. Default: 1.
    #[schemars(range(min = 0))]
    pub weight: f64,
    /// The tier it belongs to, lower first. Default: 0.
    pub priority: u32,
    /// Where it runs, such as `eu-west-1`.
    pub region: Option<String>,
    /// Attempts in flight at once, whatever their key; others are asked first, then calls wait.
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
    /// Requests in any minute; as in `limits`.
    #[schemars(range(min = 1))]
    pub requests_per_minute: Option<u64>,
    /// Tokens of prompts and answers in any minute; as in `limits`.
    #[schemars(range(min = 1))]
    pub tokens_per_minute: Option<u64>,
    /// Further limits.
    pub limits: Limits,
    /// What the limits belong to. Default: `credential`.
    pub limit_scope: LimitScope,
    /// Tokens of an answer that are set aside before it is written. Default: `declared`.
    pub reserve: Reserve,
    /// The share of the limits that its provider tells in headers which is left to others with the same key; 0.05 is
    /// right where several processes share one without a common store. Default: 0.
    #[schemars(range(min = 0, max = 0.9))]
    pub guard: f64,
    /// Tokens that prompt and answer may have together. Default: the catalogue's.
    pub context_window: Option<u32>,
    /// Tokens that an answer may have. Default: the catalogue's.
    pub max_output: Option<u32>,
    /// What it can do. Default: the catalogue's.
    pub supports: Supports,
    /// What it costs. Default: the catalogue's.
    pub price: Option<Price>,
    /// Sent where neither the caller nor the model sets them.
    pub params: Params,
    /// Defaults of ours that this upstream refuses; never sent to it.
    pub drop_params: Vec<String>,
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            id: None,
            provider: String::new(),
            model: String::new(),
            base_model: None,
            base_url: None,
            api_key: Keys::default(),
            headers: Veiled::default(),
            http2: None,
            proxy: Veiled(None),
            ca: None,
            finish_optional: None,
            weight: 1.0,
            priority: 0,
            region: None,
            concurrency: None,
            requests_per_minute: None,
            tokens_per_minute: None,
            limits: Limits::default(),
            limit_scope: LimitScope::default(),
            reserve: Reserve::default(),
            guard: 0.0,
            context_window: None,
            max_output: None,
            supports: Supports::default(),
            price: None,
            params: Params::new(),
            drop_params: Vec::new(),
        }
    }
}

impl Deployment {
    /// What the catalogue knows of the model that it is.
    pub fn listed(&self) -> Option<&'static catalogue::Entry> {
        let Some(base) = &self.base_model else { return catalogue::find(&self.provider, &self.model) };
        let named =
            base.split_once('/').and_then(|(provider, model)| Some((presets::find(provider)?, model)));
        let elsewhere = || {
            let (preset, model) = named.or_else(|| Some((presets::find(&self.provider)?, base.as_str())))?;
            // Azure has OpenAI's models, at OpenAI's prices.
            catalogue::find(if preset.azure { "openai" } else { preset.id }, model)
        };
        catalogue::find(&self.provider, base).or_else(elsewhere)
    }
}

/// How many tokens of an answer are set aside before it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reserve {
    /// As many as the caller allows (`max_tokens`), at most what the model can write; 1,024 where the caller says
    /// nothing. OpenAI, Azure and Cerebras count so.
    #[default]
    Declared,
    /// As many as nine of ten answers had, once 50 were seen, and never more than that.
    Observed,
}

/// What the limits of a deployment belong to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// Each of its keys for itself, together with every deployment that says the same limit of the same key.
    #[default]
    Credential,
    /// The deployment, all its keys together.
    Deployment,
}

/// What a deployment can do; what is left out is the catalogue's word, or unknown.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Supports {
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

/// US dollars, per million tokens unless named otherwise. What is left out is unknown, not free.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Price {
    /// Tokens of the prompt.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub input: Option<f64>,
    /// Tokens of the answer.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub output: Option<f64>,
    /// Prompt tokens read from the provider's cache.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub cache_read: Option<f64>,
    /// Prompt tokens written to it.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub cache_write: Option<f64>,
    /// Reasoning tokens, where they cost other than the rest of the answer.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub reasoning: Option<f64>,
    /// One rate for every token, in dollars per single token.
    #[schemars(range(min = 0, max = 1))]
    pub per_token: Option<f64>,
    /// Dollars for each request.
    #[schemars(range(min = 0, max = 1_000))]
    pub per_request: Option<f64>,
    /// Dollars for each image in the prompt.
    #[schemars(range(min = 0, max = 1_000))]
    pub per_image: Option<f64>,
    /// Dollars for each second of the call.
    #[schemars(range(min = 0, max = 1_000))]
    pub per_second: Option<f64>,
    /// Other rates for longer prompts.
    pub tiers: Vec<PriceTier>,
}

/// The rates of a call whose prompt is longer than `above` tokens.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PriceTier {
    /// Prompt tokens from which on (exclusive) the whole call is billed at these rates.
    pub above: u64,
    /// As of [`Price`].
    #[schemars(range(min = 0, max = 1_000_000))]
    pub input: Option<f64>,
    /// As of [`Price`].
    #[schemars(range(min = 0, max = 1_000_000))]
    pub output: Option<f64>,
    /// As of [`Price`].
    #[schemars(range(min = 0, max = 1_000_000))]
    pub cache_read: Option<f64>,
    /// As of [`Price`].
    #[schemars(range(min = 0, max = 1_000_000))]
    pub cache_write: Option<f64>,
}

/// A provider of one's own, or changes to a preset.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// The preset whose quirks it shares. Default: the preset of the same id, else any OpenAI-compatible host.
    pub preset: Option<String>,
    /// Where it listens.
    pub base_url: Option<String>,
    /// One key or several.
    pub api_key: Keys,
    /// Sent with every request.
    pub headers: Veiled<BTreeMap<String, String>>,
    /// HTTP/2 instead of HTTP/1.1. Default: false.
    pub http2: bool,
    /// A proxy URL.
    pub proxy: Veiled<Option<String>>,
    /// A PEM file of certificate authorities that replaces the system's.
    #[schemars(extend("format" = FILE))]
    pub ca: Option<String>,
    /// Does this host end streams without a finish reason?
    pub finish_optional: Option<bool>,
    /// Limits of each of its keys, over all deployments that use it.
    pub limits: Limits,
    /// Which of the limits that the preset knows hold: a name, or `none`. Default: the preset's first.
    pub limit_profile: Option<String>,
}

/// The one id of a provider that may have several names: as `providers` has it, else the preset's. The names of one
/// preset mean one provider, unless `providers` tells them apart or it is the one of any host: what is at two hosts
/// must not share keys.
pub fn provider_id<'a>(providers: &'a BTreeMap<String, Provider>, name: &'a str) -> &'a str {
    if providers.contains_key(name) {
        return name;
    }
    let preset = presets::find(name).filter(|preset| preset.id != presets::ANY_HOST);
    let Some(preset) = preset else { return name };
    let mut changed = providers.iter().filter(|(id, own)| own.preset.is_none() && preset.answers_to(id));
    changed.next().map_or(preset.id, |(id, _)| id)
}

/// The upstream of an OpenAI-SDK-shaped client. When `base_url` or `api_key` is set, every model goes there
/// under the very name the caller used.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// A preset's id. Default: `openai`.
    pub provider: Option<String>,
    /// Where it listens. Default: the preset's.
    pub base_url: Option<String>,
    /// Its key. Default: the preset's environment variable.
    pub api_key: Keys,
    /// Sent with every request.
    pub default_headers: Veiled<BTreeMap<String, String>>,
    /// Added to every URL.
    pub default_query: Veiled<BTreeMap<String, String>>,
    /// HTTP/2 instead of HTTP/1.1. Default: false.
    pub http2: bool,
    /// A proxy URL.
    pub proxy: Veiled<Option<String>>,
    /// A PEM file of certificate authorities that replaces the system's.
    #[schemars(extend("format" = FILE))]
    pub ca: Option<String>,
}
