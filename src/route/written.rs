//! From what the operator wrote to deployments: presets, providers of one's own, keys, headers, hosts.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::deployment::{Abilities, Deployment};
use super::group;
use super::hosts::Hosts;
use super::keyring::{Keyring, Way};
use super::quotas::{self, Numbers, Place};
use crate::call::Operation;
use crate::chat::estimate::Family;
use crate::config::load::environment;
use crate::config::problem::{self, Problem};
use crate::config::{self, Bounds, Config, Pool, Upstream, Veiled};
use crate::error::{Error, Kind};
use crate::live::Live;
use crate::live::learned::Terms;
use crate::provider::catalogue::{self, Entry, Known};
use crate::provider::endpoint;
use crate::provider::name::{self, Name};
use crate::provider::presets::{self, Preset};
use crate::provider::price::Prices;
use crate::send::{HostOptions, Transport};

/// The provider of a client that names none.
const DEFAULT_PROVIDER: &str = "openai";
/// Who takes the upstream providers of a model after an `@`.
const OPENROUTER: &str = "openrouter";
/// Addresses of calls whose connections stay open.
const MOST_VISITED: usize = 64;

/// Everything deployments are made from.
pub(super) struct Written {
    providers: BTreeMap<String, config::Provider>,
    client: Upstream,
    pool: Pool,
    bounds: Bounds,
    opening: Duration,
    pub(super) live: Arc<Live>,
    /// What deployments say of the limits of keys.
    numbers: Numbers,
    /// Providers that tenants bring keys of their own for, so that the house needs none.
    pub(super) brought: BTreeSet<String>,
    hosts: Arc<Hosts>,
    /// Those in use here, so that they last as long as this does.
    used: Mutex<HashMap<HostKey, Arc<dyn Transport>>>,
    /// Those that calls named last, whose addresses are without end.
    visited: Mutex<VecDeque<(HostKey, Arc<dyn Transport>)>>,
    /// Those of the snapshot before: a model that no configuration lists may need them again.
    before: Vec<Arc<dyn Transport>>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written")
            .field("providers", &self.providers)
            .field("before", &self.before.len())
            .finish_non_exhaustive()
    }
}

/// Deployments at one host share its connections.
type HostKey = (String, Way);

/// One deployment on its way.
#[derive(Default)]
pub(super) struct Draft<'a> {
    pub(super) provider: &'a str,
    model: &'a str,
    pub(super) base_url: Option<&'a str>,
    pub(super) keys: &'a [config::Key],
    /// Where the keys are written, if not at `path`.
    pub(super) keys_of: Option<String>,
    pub(super) headers: Vec<&'a BTreeMap<String, String>>,
    query: Vec<(String, String)>,
    http2: bool,
    proxy: Option<&'a str>,
    ca: Option<&'a str>,
    finish_optional: Option<bool>,
    /// The provider whose models these are; nobody's where the host may be anyone.
    listed: &'a str,
    /// All else that the operator wrote of it.
    written: Option<&'a config::Deployment>,
    pub(super) path: &'a str,
}

impl Written {
    pub(super) fn new(config: &Config, live: &Arc<Live>, hosts: &Arc<Hosts>, before: Option<&Self>) -> Self {
        Self {
            providers: config.providers.clone(),
            client: config.client.clone(),
            pool: config.pool.clone(),
            bounds: config.bounds.clone(),
            opening: config.timeouts.connect,
            live: Arc::clone(live),
            numbers: Numbers::of(config),
            brought: brought(config),
            hosts: Arc::clone(hosts),
            used: Mutex::default(),
            visited: Mutex::default(),
            before: before.map(|before| before.used.lock().values().cloned().collect()).unwrap_or_default(),
        }
    }

    /// Does every model go to the client's own upstream?
    pub(super) fn has_client(&self) -> bool {
        self.client.base_url.is_some() || !self.client.api_key.0.is_empty()
    }

    /// Finds now what a call would find later: a provider whose dialect is missing, a key that is not set.
    pub(super) fn faults(&self) -> Vec<Problem> {
        let of_provider = |(id, own): (&String, &config::Provider)| {
            let path = format!("providers.{id}");
            Some(problem::of(&preset(Some(own), id, &path).err()?, &path))
        };
        let mut faults: Vec<Problem> = self.providers.iter().filter_map(of_provider).flatten().collect();
        if (self.has_client() || self.client.provider.is_some())
            && let Err(error) = self.client("")
        {
            faults.extend(problem::of(&error, ""));
        }
        faults
    }

    /// The model for calls that name none: from the variable of the client's provider or its preset, else from
    /// the first variable of any provider that is set.
    pub(super) fn default_model(&self) -> Option<String> {
        let preset = presets::find(self.client_provider())?;
        let own = model_of(preset).or(preset.default_model.map(str::to_owned));
        if own.is_some() || self.has_client() {
            return own;
        }
        presets::all().iter().find_map(|preset| Some(format!("{}/{}", preset.id, model_of(preset)?)))
    }

    fn client_provider(&self) -> &str {
        self.client.provider.as_deref().unwrap_or(DEFAULT_PROVIDER)
    }

    /// `model` at the client's own upstream.
    pub(super) fn client<'a>(&'a self, model: &'a str) -> Result<Deployment, Error> {
        let client = &self.client;
        let anyone = client.provider.is_none() && client.base_url.is_some();
        self.finish(Draft {
            provider: self.client_provider(),
            listed: if anyone { "" } else { self.client_provider() },
            model,
            base_url: client.base_url.as_deref(),
            keys: &client.api_key.0,
            headers: vec![&client.default_headers],
            query: client.default_query.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            http2: client.http2,
            proxy: client.proxy.as_deref(),
            ca: client.ca.as_deref(),
            path: "client",
            ..Draft::default()
        })
    }

    /// The one id of the provider called `name`.
    pub(super) fn provider_id<'a>(&'a self, name: &'a str) -> &'a str {
        config::provider_id(&self.providers, name)
    }

    /// `provider/model` for `provider:model` too, by the provider's one id.
    pub(super) fn full_name(&self, name: &str) -> Option<String> {
        let (provider, model) = name.split_once(['/', ':'])?;
        let is_known = self.providers.contains_key(provider) || presets::find(provider).is_some();
        is_known.then(|| format!("{}/{model}", self.provider_id(provider)))
    }

    /// The deployment of `provider/model` or `provider:model`, where a preset or one of `providers` answers to the
    /// provider; `path` is where it is named.
    pub(super) fn named<'a>(&'a self, name: &'a str, path: &'a str) -> Option<Result<Deployment, Error>> {
        let parts = name.split_once('/').or_else(|| name.split_once(':'));
        if let Some((provider, model)) = parts.filter(|(provider, _)| self.providers.contains_key(*provider))
        {
            return Some(self.inferred(provider, model, path));
        }
        match name::parse(name) {
            Name::Qualified { preset, model } => Some(self.inferred(preset.id, &model, path)),
            Name::Bare(_) => None,
        }
    }

    /// `model` at `provider`, a preset or one of `providers`.
    fn inferred<'a>(&'a self, provider: &'a str, model: &'a str, path: &'a str) -> Result<Deployment, Error> {
        let headers = vec![&*self.client.default_headers];
        self.finish(Draft { provider, model, listed: provider, headers, path, ..Draft::default() })
    }

    /// A deployment as configured at `path`.
    pub(super) fn configured<'a>(
        &'a self,
        written: &'a config::Deployment,
        path: &'a str,
    ) -> Result<Deployment, Error> {
        self.finish(Draft {
            provider: &written.provider,
            model: &written.model,
            listed: &written.provider,
            base_url: written.base_url.as_deref(),
            keys: &written.api_key.0,
            headers: vec![&self.client.default_headers, &written.headers],
            http2: written.http2.unwrap_or_default(),
            proxy: written.proxy.as_deref(),
            ca: written.ca.as_deref(),
            finish_optional: written.finish_optional,
            written: Some(written),
            path,
            ..Draft::default()
        })
    }

    fn finish<'a>(&'a self, mut draft: Draft<'a>) -> Result<Deployment, Error> {
        draft.provider = self.provider_id(draft.provider);
        let own = self.providers.get(draft.provider);
        if let Some(own) = own {
            draft.base_url = draft.base_url.or(own.base_url.as_deref());
            draft.proxy = draft.proxy.or(own.proxy.as_deref());
            draft.ca = draft.ca.or(own.ca.as_deref());
            draft.http2 |= own.http2;
            draft.finish_optional = draft.finish_optional.or(own.finish_optional);
            draft.headers.insert(0, &own.headers);
            if draft.keys.is_empty() {
                draft.keys = &own.api_key.0;
                draft.keys_of = Some(format!("providers.{}", draft.provider));
            }
        }
        let preset = preset(own, draft.provider, draft.path)?;
        let asked = draft.model;
        let params = upstreams(preset, &mut draft);
        let base_url = base_url(preset, &draft)?;
        let target = target(&base_url, preset, &mut draft)?;
        let way = Way {
            http2: draft.http2,
            proxy: Veiled(draft.proxy.map(str::to_owned)),
            ca: draft.ca.map(str::to_owned),
        };
        let transport = self.host(&target, &way, draft.path)?;
        let keyring = Keyring::new(preset, &draft, (&base_url, asked), way, &self.live)?;
        let credentials = self.written_keys(preset, &draft, &keyring)?;
        let defaults = config::Deployment::default();
        let written = draft.written.unwrap_or(&defaults);
        let place = Place { provider: draft.provider, base_url: &base_url, model: asked };
        let (profile, subscription) =
            quotas::profile((preset, own), place, &target, &self.live).map_err(|fault| {
                Error::new(Kind::Config, format!("`providers.{}.limit_profile`: {fault}", draft.provider))
            })?;
        let quotas = quotas::quotas(written, (own, profile), place, &self.numbers, &self.live);
        let name = written.id.clone().unwrap_or_else(|| format!("{}/{asked}", draft.provider));
        // Nobody answers to a retired name; at an address of one's own, somebody may.
        let heir = catalogue::successor(draft.listed, draft.model).filter(|_| draft.base_url.is_none());
        let retired = heir.map(|_| draft.model.to_owned());
        draft.model = heir.unwrap_or(draft.model);
        let base = written.base_model.as_deref();
        let entry = match base {
            Some(_) => written.listed(),
            None => catalogue::find(draft.listed, draft.model),
        };
        let is = base.unwrap_or(draft.model);
        Ok(Deployment {
            name: name.into(),
            provider: draft.provider.to_owned(),
            model: draft.model.to_owned(),
            retired,
            preset,
            finish_optional: draft.finish_optional.unwrap_or(preset.finish_optional),
            live: Arc::clone(&keyring.live),
            credentials,
            transport,
            keyring: Arc::new(keyring),
            weight: written.weight,
            priority: written.priority,
            region: written.region.clone(),
            concurrency: written.concurrency,
            terms: Terms { guard: written.guard, most_per_second: quotas::per_second(&quotas) },
            reserve: written.reserve,
            family: Family::of(is),
            output_limit: presets::max_tokens_name(preset, is),
            quotas,
            subscription,
            abilities: abilities(written, entry),
            params: group::params(&written.params).into_iter().chain(params).collect(),
            drop_params: refused(written, entry),
            prices: prices(written, entry),
            listed: entry,
            query: Veiled(draft.query),
            paths: [Operation::Chat, Operation::Embeddings]
                .map(|operation| endpoint::path(&operation, &target, draft.model)),
            target,
        })
    }

    /// What reaches `target` in this `way`; `path` is where it was written.
    pub(super) fn host(
        &self,
        target: &endpoint::Target,
        way: &Way,
        path: &str,
    ) -> Result<Arc<dyn Transport>, Error> {
        if let Some(ca) = &way.ca
            && !std::path::Path::new(ca).is_file()
        {
            return Err(fault(&format!("{path}.ca"), &format!("no such file: {ca}")));
        }
        let mut used = self.used.lock();
        let key = (target.origin(), way.clone());
        Ok(Arc::clone(used.entry(key).or_insert_with(|| self.hosts.host(self.host_options(target, way)))))
    }

    /// What reaches an address that a call named; kept open while it is among the last [`MOST_VISITED`].
    pub(super) fn visit(&self, target: &endpoint::Target, way: &Way) -> Arc<dyn Transport> {
        let key = (target.origin(), way.clone());
        if let Some(used) = self.used.lock().get(&key) {
            return Arc::clone(used);
        }
        let mut visited = self.visited.lock();
        if let Some((_, known)) = visited.iter().find(|(known, _)| *known == key) {
            return Arc::clone(known);
        }
        if visited.len() >= MOST_VISITED {
            visited.pop_front();
        }
        let host = self.hosts.host(self.host_options(target, way));
        visited.push_back((key, Arc::clone(&host)));
        host
    }

    fn host_options(&self, target: &endpoint::Target, way: &Way) -> HostOptions {
        let (target, pool, bounds) = (target.clone(), self.pool.clone(), self.bounds.clone());
        let Way { http2, proxy, ca } = way.clone();
        HostOptions { target, http2, proxy, ca, connect: self.opening, pool, bounds }
    }
}

fn brought(config: &Config) -> BTreeSet<String> {
    let named = config.tenants.values().flat_map(|tenant| tenant.api_keys.keys());
    named.map(|name| config::provider_id(&config.providers, name).to_owned()).collect()
}

/// What the operator says that it can do, and what the catalogue says that it can.
fn abilities(written: &config::Deployment, entry: Option<&Entry>) -> Abilities {
    let supports = &written.supports;
    let known = entry.map(|entry| entry.capabilities).unwrap_or_default();
    let can = |told: Option<bool>, known: Known| told.or((known == Known::Yes).then_some(true));
    Abilities {
        context_window: written.context_window.map(u64::from),
        max_output: written.max_output.map(u64::from),
        tools: can(supports.tools, known.tools),
        vision: can(supports.vision, known.vision),
        json_schema: can(supports.json_schema, known.json_schema),
        reasoning: can(supports.reasoning, known.reasoning),
        stream: supports.stream,
    }
}

/// What the operator says that it refuses, and the catalogue.
fn refused(written: &config::Deployment, entry: Option<&'static Entry>) -> Vec<String> {
    let known = entry.map(catalogue::rejects).unwrap_or_default();
    written.drop_params.iter().cloned().chain(known.iter().map(|&name| name.to_owned())).collect()
}

/// What the operator says that it costs, laid over the catalogue.
fn prices(written: &config::Deployment, entry: Option<&Entry>) -> Option<Arc<Prices>> {
    let known = entry.and_then(|entry| entry.prices.as_ref());
    let prices = match &written.price {
        Some(own) => Prices::configured(known, own),
        None => known?.clone(),
    };
    Some(Arc::new(prices))
}

fn preset(own: Option<&config::Provider>, provider: &str, path: &str) -> Result<&'static Preset, Error> {
    let id = own.and_then(|own| own.preset.as_deref()).unwrap_or(provider);
    let found = presets::find(id).or_else(|| own.and_then(|_| presets::find(presets::ANY_HOST)));
    let preset = found.ok_or_else(|| fault(path, &format!("no provider is called `{provider}`")))?;
    preset.spoken().map_err(|what| fault(path, &what))?;
    Ok(preset)
}

/// Takes `@one,two` off the name of a model at OpenRouter and says the same in a parameter, which the operator's and
/// the caller's own `provider` go before.
fn upstreams(preset: &Preset, draft: &mut Draft<'_>) -> Option<(String, String)> {
    if preset.id != OPENROUTER {
        return None;
    }
    let (model, order) = name::upstreams(draft.model);
    draft.model = model;
    let own = draft.written.is_some_and(|written| written.params.contains_key("provider"));
    let value = serde_json::json!({ "order": order, "allow_fallbacks": false });
    (!order.is_empty() && !own).then(|| ("provider".to_owned(), value.to_string()))
}

/// Where the deployment is. Azure's API version decides the form of its URLs, wherever it was written.
fn target(base_url: &str, preset: &Preset, draft: &mut Draft<'_>) -> Result<endpoint::Target, Error> {
    let target = endpoint::parse(base_url, preset)
        .map_err(|what| fault(&format!("{}.base_url", draft.path), &what.to_string()))?;
    if !target.azure || target.names_version() {
        return Ok(target);
    }
    let written = draft.query.iter().position(|(name, _)| name == "api-version");
    let version = written.map(|position| draft.query.remove(position).1);
    let version = version.or_else(|| preset.version_env.iter().find_map(|name| environment(name)));
    Ok(version.map_or(target.clone(), |version| target.with_version(&version)))
}

/// The model that a variable of the environment names for a provider.
fn model_of(preset: &Preset) -> Option<String> {
    preset.model_env.iter().find_map(|name| environment(name))
}

fn base_url(preset: &Preset, draft: &Draft<'_>) -> Result<String, Error> {
    if let Some(written) = draft.base_url {
        return Ok(written.to_owned());
    }
    let named = preset.base_url_env.iter().find_map(|name| environment(name));
    named.or_else(|| preset.base_url.map(str::to_owned)).ok_or_else(|| {
        let variables = preset.base_url_env.join(" or ");
        let hint = if variables.is_empty() { String::new() } else { format!(", or set {variables}") };
        fault(draft.path, &format!("the provider `{}` needs a `base_url`{hint}", draft.provider))
    })
}

pub(super) fn fault(path: &str, what: &str) -> Error {
    Error::new(Kind::Config, format!("`{path}`: {what}"))
}
