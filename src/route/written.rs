//! From what the operator wrote to deployments: presets, providers of one's own, keys, headers, hosts.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;

use super::deployment::{Abilities, Credential, Deployment};
use super::group;
use crate::call::Operation;
use crate::config::load::environment;
use crate::config::{self, Bounds, Config, Pool, Secret, Upstream};
use crate::error::{Error, Kind};
use crate::live::Live;
use crate::provider::catalogue::{self, Entry, Known};
use crate::provider::endpoint;
use crate::provider::name::{self, Name};
use crate::provider::presets::{self, Auth, Preset};
use crate::provider::price::Prices;
use crate::send::{Connect, HostOptions, Transport};
use crate::settle::Gauges;

/// The provider of a client that names none.
const DEFAULT_PROVIDER: &str = "openai";
/// Any host that speaks OpenAI's dialect.
const ANY_HOST: &str = "openai-compatible";

/// Everything deployments are made from.
pub(super) struct Written {
    providers: BTreeMap<String, config::Provider>,
    client: Upstream,
    pool: Pool,
    bounds: Bounds,
    opening: Duration,
    live: Arc<Live>,
    gauges: Arc<Gauges>,
    connect: Connect,
    hosts: Mutex<HashMap<HostKey, Arc<dyn Transport>>>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written").field("providers", &self.providers).finish_non_exhaustive()
    }
}

/// Deployments at one host share its connections.
type HostKey = (String, bool, Option<String>, Option<String>);

/// One deployment on its way.
#[derive(Default)]
struct Draft<'a> {
    provider: &'a str,
    model: &'a str,
    base_url: Option<&'a str>,
    keys: &'a [config::Key],
    headers: Vec<&'a BTreeMap<String, String>>,
    query: Vec<(String, String)>,
    http2: bool,
    proxy: Option<&'a str>,
    ca: Option<&'a str>,
    finish_optional: Option<bool>,
    /// The provider whose models these are; nobody's where the host may be anyone.
    listed: &'a str,
    /// All else that the operator wrote of it.
    written: Option<&'a config::Deployment>,
    path: &'a str,
}

impl Written {
    pub(super) fn new(config: &Config, live: &Arc<Live>, gauges: &Arc<Gauges>, connect: Connect) -> Self {
        Self {
            providers: config.providers.clone(),
            client: config.client.clone(),
            pool: config.pool.clone(),
            bounds: config.bounds.clone(),
            opening: config.timeouts.connect,
            live: Arc::clone(live),
            gauges: Arc::clone(gauges),
            connect,
            hosts: Mutex::default(),
        }
    }

    /// Does every model go to the client's own upstream?
    pub(super) fn has_client(&self) -> bool {
        self.client.base_url.is_some() || !self.client.api_key.0.is_empty()
    }

    /// Finds now what a call would find later: a provider whose dialect is missing, a key that is not set.
    pub(super) fn check(&self) -> Result<(), Error> {
        for (id, own) in &self.providers {
            preset(Some(own), id, &format!("providers.{id}"))?;
        }
        if self.has_client() || self.client.provider.is_some() {
            self.client("")?;
        }
        Ok(())
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

    /// The deployment of `provider/model` or `provider:model`, where a preset or one of `providers` answers to the
    /// provider.
    pub(super) fn named(&self, name: &str) -> Option<Result<Deployment, Error>> {
        let parts = name.split_once('/').or_else(|| name.split_once(':'));
        if let Some((provider, model)) = parts.filter(|(provider, _)| self.providers.contains_key(*provider))
        {
            return Some(self.inferred(provider, model));
        }
        match name::parse(name) {
            Name::Qualified { preset, model } => Some(self.inferred(preset.id, &model)),
            Name::Bare(_) => None,
        }
    }

    /// `model` at `provider`, a preset or one of `providers`.
    fn inferred<'a>(&'a self, provider: &'a str, model: &'a str) -> Result<Deployment, Error> {
        let headers = vec![&self.client.default_headers];
        self.finish(Draft { provider, model, listed: provider, headers, path: "model", ..Draft::default() })
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
            }
        }
        let preset = preset(own, draft.provider, draft.path)?;
        let base_url = base_url(preset, &draft)?;
        let target = target(&base_url, preset, &mut draft)?;
        let keys = keys(preset, &draft)?;
        let identity = format!("{}|{}", draft.provider, base_url);
        let credentials = keys.iter().map(|key| self.credential(preset, &draft, &identity, key.as_ref()));
        let defaults = config::Deployment::default();
        let written = draft.written.unwrap_or(&defaults);
        let entry = catalogue::find(draft.listed, draft.model);
        let name = written.id.clone().unwrap_or_else(|| format!("{}/{}", draft.provider, draft.model));
        Ok(Deployment {
            name: name.into(),
            provider: draft.provider.to_owned(),
            model: draft.model.to_owned(),
            preset,
            finish_optional: draft.finish_optional.unwrap_or(preset.finish_optional),
            credentials: credentials.collect::<Result<_, _>>()?,
            transport: self.host(&target, &draft)?,
            live: self.live.deployment(&format!("{identity}|{}", draft.model)),
            weight: written.weight,
            priority: written.priority,
            region: written.region.clone(),
            concurrency: written.concurrency,
            abilities: abilities(written, entry),
            params: group::params(&written.params),
            drop_params: refused(written, entry),
            prices: prices(written, entry),
            listed: entry,
            query: draft.query,
            paths: [Operation::Chat, Operation::Embeddings]
                .map(|operation| endpoint::path(&operation, &target, draft.model)),
            target,
        })
    }

    fn host(&self, target: &endpoint::Target, draft: &Draft<'_>) -> Result<Arc<dyn Transport>, Error> {
        let (proxy, ca) = (draft.proxy.map(str::to_owned), draft.ca.map(str::to_owned));
        if let Some(ca) = &ca
            && !std::path::Path::new(ca).is_file()
        {
            return Err(fault(&format!("{}.ca", draft.path), &format!("no such file: {ca}")));
        }
        let key = (target.origin(), draft.http2, proxy.clone(), ca.clone());
        let mut hosts = self.hosts.lock();
        let host = hosts.entry(key).or_insert_with(|| {
            let (pool, bounds) = (self.pool.clone(), self.bounds.clone());
            let (target, http2, connect) = (target.clone(), draft.http2, self.opening);
            let options = HostOptions { target, http2, proxy, ca, connect, pool, bounds };
            (self.connect)(options, &self.gauges)
        });
        Ok(Arc::clone(host))
    }

    fn credential(
        &self,
        preset: &Preset,
        draft: &Draft<'_>,
        identity: &str,
        key: Option<&Secret>,
    ) -> Result<Arc<Credential>, Error> {
        let headers = headers(preset, draft, key)?;
        let identity = format!("{identity}|{:016x}", key.map_or(0, fingerprint));
        Ok(Arc::new(Credential { headers, live: self.live.credential(&identity) }))
    }
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
fn refused(written: &config::Deployment, entry: Option<&Entry>) -> Vec<String> {
    let known = entry.map(|entry| entry.rejects.as_slice()).unwrap_or_default();
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
    let found = presets::find(id).or_else(|| own.and_then(|_| presets::find(ANY_HOST)));
    let preset = found.ok_or_else(|| fault(path, &format!("no provider is called `{provider}`")))?;
    preset.spoken().map_err(|what| fault(path, &what))?;
    Ok(preset)
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

/// The keys to use: as written, else the environment's; `None` where the host takes none.
fn keys(preset: &Preset, draft: &Draft<'_>) -> Result<Vec<Option<Secret>>, Error> {
    let path = format!("{}.api_key", draft.path);
    let mut keys = Vec::new();
    for written in draft.keys.iter().filter_map(|written| written.key.as_ref()) {
        keys.push(Some(Secret::new(checked(written.expose(), &path)?)));
    }
    if !keys.is_empty() {
        return Ok(keys);
    }
    for name in preset.key_env {
        if let Some(key) = environment(name) {
            return Ok(vec![Some(Secret::new(checked(&key, name)?))]);
        }
    }
    if preset.key_required && draft.base_url.is_none() {
        let variables = preset.key_env.join(" or ");
        let message = format!(
            "no key for `{}`: set the environment variable {variables}, or pass `api_key`",
            draft.provider
        );
        return Err(Error::new(Kind::Config, message));
    }
    Ok(vec![None])
}

/// A key that can stand in a header; what is wrong is told without the key.
fn checked(key: &str, path: &str) -> Result<String, Error> {
    if key.trim() != key {
        return Err(fault(path, "the key begins or ends with white space"));
    }
    if HeaderValue::from_str(key).is_err() {
        return Err(fault(path, "the key holds characters that cannot stand in a header"));
    }
    Ok(key.to_owned())
}

fn headers(preset: &Preset, draft: &Draft<'_>, key: Option<&Secret>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    let agent = concat!("fairlead/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate, br, zstd"));
    for (name, value) in preset.headers {
        insert(&mut headers, name, value, draft.path)?;
    }
    for (name, variables) in preset.header_env {
        if let Some(value) = variables.iter().find_map(|variable| environment(variable)) {
            insert(&mut headers, name, &value, draft.path)?;
        }
    }
    if let Some(key) = key {
        let (name, mut value) = match preset.auth {
            Auth::Bearer => (AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {}", key.expose()))),
            Auth::Header(name) => (HeaderName::from_static(name), HeaderValue::from_str(key.expose())),
        };
        if let Ok(value) = &mut value {
            value.set_sensitive(true);
        }
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    }
    for written in &draft.headers {
        for (name, value) in *written {
            insert(&mut headers, name, value, draft.path)?;
        }
    }
    Ok(headers)
}

/// Sets a header, naming it where it cannot be one.
pub(super) fn insert(headers: &mut HeaderMap, name: &str, value: &str, path: &str) -> Result<(), Error> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
    let (name, value) =
        parsed.ok_or_else(|| fault(path, &format!("`{name}` is not a header that can be sent")))?;
    headers.insert(name, value);
    Ok(())
}

/// Tells keys apart without keeping them: FNV-1a, 64 bits.
fn fingerprint(key: &Secret) -> u64 {
    key.expose().bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn fault(path: &str, what: &str) -> Error {
    Error::new(Kind::Config, format!("`{path}`: {what}"))
}
