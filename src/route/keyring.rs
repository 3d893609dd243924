//! From keys as they are written to credentials: the configuration's, a tenant's own, or those of one call.

use std::path::Path;
use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderName, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use super::credential::{Credential, Held, Owner, Window, write_key};
use super::deployment::Deployment;
use super::written::{Draft, Written, fault};
use crate::call::Operation;
use crate::config::load::environment;
use crate::config::problem;
use crate::config::tree::Node;
use crate::config::{self, Key, KeySource, Secret, Veiled};
use crate::error::{Error, Kind};
use crate::live::{self, Live, hash};
use crate::provider::endpoint;
use crate::provider::presets::{Auth, Preset};
use crate::secret::{Address, Exec, Fetch, File, Issuer, Terms, Wanted};

/// The key of one call, in errors.
const OF_THE_CALL: &str = "of the call";

/// How a host is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Way {
    /// HTTP/2 instead of HTTP/1.1.
    pub(super) http2: bool,
    /// A proxy URL.
    pub(super) proxy: Veiled<Option<String>>,
    /// A PEM file of trusted authorities.
    pub(super) ca: Option<String>,
}

/// What makes credentials for a deployment.
#[derive(Clone)]
pub(super) struct Keyring {
    /// Provider and base URL: what a key belongs to.
    pub(super) identity: String,
    pub(super) provider: String,
    way: Way,
    auth: Auth,
    /// All headers but the key.
    headers: HeaderMap,
    owner: Owner,
    /// What the deployment has been doing.
    pub(super) live: Arc<live::Deployment>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Of `draft`'s model at `base_url`.
    pub(super) fn new(
        preset: &Preset,
        draft: &Draft<'_>,
        (base_url, model): (&str, &str),
        way: Way,
        live: &Live,
    ) -> Result<Self, Error> {
        let identity = format!("{}|{}", draft.provider, base_url);
        Ok(Self {
            live: live.deployment(&format!("{identity}|{model}")),
            identity,
            owner: Owner::House,
            provider: draft.provider.to_owned(),
            way,
            auth: preset.auth,
            headers: headers(preset, draft)?,
        })
    }

    /// The same, for keys of a tenant's or a call's own.
    fn of_guest(&self) -> Self {
        Self { owner: Owner::Guest, ..self.clone() }
    }

    fn identity_of(&self, key: &Secret) -> String {
        format!("{}|{:016x}", self.identity, fingerprint(key.expose()))
    }

    /// A key that stands in the headers.
    fn written(&self, id: &str, window: Window, key: &Secret, live: Arc<live::Credential>) -> Credential {
        let mut headers = self.headers.clone();
        write_key(&mut headers, self.auth, key);
        let relation = self.live.relation(fingerprint(key.expose()));
        Credential { id: id.into(), headers, window, live, relation, owner: self.owner, held: Held::Written }
    }
}

impl Written {
    /// The keys of a deployment: as written, else the environment's; one without a key where the host takes none.
    pub(super) fn written_keys(
        &self,
        preset: &Preset,
        draft: &Draft<'_>,
        keyring: &Keyring,
    ) -> Result<Vec<Arc<Credential>>, Error> {
        if preset.key_required || !draft.keys.iter().all(Key::is_blank) {
            let path = draft.keys_of.as_deref().unwrap_or(draft.path);
            let written = self.credentials(keyring, draft.keys, &format!("{path}.api_key"))?;
            if !written.is_empty() {
                return Ok(written);
            }
        }
        for name in preset.key_env {
            if let Some(key) = environment(name) {
                let key = Secret::new(checked(&key, name)?);
                return Ok(vec![Arc::new(self.plain(keyring, name, Window::default(), &key))]);
            }
        }
        if preset.key_required && self.brought.contains(draft.provider) {
            return Ok(Vec::new());
        }
        if preset.key_required && draft.base_url.is_none() {
            let variables = preset.key_env.join(" or ");
            let message = format!(
                "no key for `{}`: set the environment variable {variables}, or pass `api_key`",
                draft.provider
            );
            return Err(Error::new(Kind::Config, message));
        }
        let live =
            self.live.credential(&format!("{}|{:016x}", keyring.identity, 0), &keyring.provider, "none");
        let (headers, window) = (keyring.headers.clone(), Window::default());
        let (relation, owner) = (keyring.live.relation(0), keyring.owner);
        let none =
            Credential { id: "none".into(), headers, window, live, relation, owner, held: Held::Written };
        Ok(vec![Arc::new(none)])
    }

    /// Credentials from `keys`, which stand at `path`: the one that became valid last is asked first, those that
    /// were always valid come after it, as written. In an overlap so the new key is used, and the old one catches
    /// what the new one cannot do yet.
    pub(super) fn credentials(
        &self,
        keyring: &Keyring,
        keys: &[Key],
        path: &str,
    ) -> Result<Vec<Arc<Credential>>, Error> {
        let mut credentials = Vec::with_capacity(keys.len());
        let mut faults = Vec::new();
        for (position, key) in keys.iter().enumerate() {
            let path = if keys.len() == 1 { path.to_owned() } else { format!("{path}[{position}]") };
            match self.credential(keyring, key, position, &path) {
                Ok(credential) => credentials.push(Arc::new(credential)),
                Err(error) => faults.extend(problem::of(&error, &path)),
            }
        }
        if !faults.is_empty() {
            return Err(problem::error(faults, &Node::table()));
        }
        credentials.sort_by_key(|credential| std::cmp::Reverse(credential.window.not_before));
        Ok(credentials)
    }

    /// A tenant's own keys for a deployment; `path` is where they are written.
    pub(super) fn tenant_credentials(
        &self,
        deployment: &Deployment,
        keys: &config::Keys,
        path: &str,
    ) -> Result<Vec<Arc<Credential>>, Error> {
        self.credentials(&deployment.keyring.of_guest(), &keys.0, path)
    }

    /// `deployment` with a key, an address, or both, of one call.
    pub(super) fn for_call(
        &self,
        deployment: &Deployment,
        api_key: Option<&Secret>,
        base_url: Option<&str>,
    ) -> Result<Arc<Deployment>, Error> {
        let mut own = deployment.clone();
        if let Some(base_url) = base_url {
            let wrong = |what: endpoint::Fault| fault("base_url", &what.to_string());
            let mut target = endpoint::parse(base_url, deployment.preset).map_err(wrong)?;
            if target.azure && !target.names_version() {
                target.query.clone_from(&deployment.target.query);
            }
            own.transport = self.visit(&target, &deployment.keyring.way);
            own.paths = [Operation::Chat, Operation::Embeddings]
                .map(|operation| endpoint::path(&operation, &target, &deployment.model));
            own.live = self.live.unlisted_deployment();
            own.target = target;
            let there = hash::hash([base_url]);
            let elsewhere = |key: &Arc<Credential>| {
                Arc::new(key.elsewhere(self.live.unlisted_credential(hash::mix(key.live.seat ^ there))))
            };
            own.credentials = own.credentials.iter().map(elsewhere).collect();
        }
        if let Some(key) = api_key {
            let key = Secret::new(checked(key.expose(), "api_key")?);
            // The same key has the same counts, whoever brings it.
            let live = self.live.unlisted_credential(hash::hash([&*deployment.keyring.identity_of(&key)]));
            let credential =
                deployment.keyring.of_guest().written(OF_THE_CALL, Window::default(), &key, live);
            own.credentials = vec![Arc::new(Credential { relation: Arc::default(), ..credential })];
        }
        Ok(Arc::new(own))
    }

    fn credential(
        &self,
        keyring: &Keyring,
        key: &Key,
        position: usize,
        path: &str,
    ) -> Result<Credential, Error> {
        let window = window(key);
        let source = key.source().ok_or_else(|| {
            fault(
                path,
                "expected exactly one of `key`, `env`, `file`, `exec`, `oauth`, `token_exchange`, `plugin`",
            )
        })?;
        let id = key.id.clone().unwrap_or_else(|| match source {
            KeySource::Env(name) => name.to_owned(),
            _ => format!("key-{}", position + 1),
        });
        match source {
            KeySource::Plain(written) => {
                let secret = Secret::new(checked(written.expose(), path)?);
                Ok(self.plain(keyring, &id, window, &secret))
            }
            KeySource::Env(name) => {
                let unset = || fault(path, &format!("the environment variable {name} is not set"));
                let secret = Secret::new(checked(&environment(name).ok_or_else(unset)?, path)?);
                Ok(self.plain(keyring, &id, window, &secret))
            }
            fetched => self.kept(keyring, key, fetched, &id, window, path),
        }
    }

    fn plain(&self, keyring: &Keyring, id: &str, window: Window, key: &Secret) -> Credential {
        let identity = keyring.identity_of(key);
        keyring.written(id, window, key, self.live.credential(&identity, &keyring.provider, id))
    }

    fn kept(
        &self,
        keyring: &Keyring,
        key: &Key,
        source: KeySource<'_>,
        id: &str,
        window: Window,
        path: &str,
    ) -> Result<Credential, Error> {
        let fetch = self.fetch(keyring, key, source, path)?;
        let described = described(key, &keyring.way);
        let keeper = self.live.keepers.keeper(&described, terms(key), || fetch);
        let identity = format!("{}|{:016x}", keyring.identity, fingerprint(&described));
        Ok(Credential {
            id: id.into(),
            headers: keyring.headers.clone(),
            window,
            live: self.live.credential(&identity, &keyring.provider, id),
            relation: keyring.live.relation(fingerprint(&described)),
            owner: keyring.owner,
            held: Held::Kept(keeper, keyring.auth),
        })
    }

    fn fetch(
        &self,
        keyring: &Keyring,
        key: &Key,
        source: KeySource<'_>,
        path: &str,
    ) -> Result<Arc<dyn Fetch>, Error> {
        match source {
            KeySource::Plain(_) | KeySource::Env(_) => Err(fault(path, "this key is not fetched")),
            KeySource::File(file) if !Path::new(file).is_file() => {
                Err(fault(&format!("{path}.file"), &format!("no such file: {file}")))
            }
            KeySource::File(file) => Ok(Arc::new(File::new(Path::new(file)))),
            KeySource::Exec(words) => match words.split_first() {
                Some((program, arguments)) => Ok(Arc::new(Exec::new(program, arguments))),
                None => Err(fault(&format!("{path}.exec"), "no command")),
            },
            KeySource::OAuth(written) => {
                let path = format!("{path}.oauth");
                let address = self.address(keyring, &written.token_url, &path)?;
                Ok(Arc::new(Issuer::client(address, written)))
            }
            KeySource::Exchange(written) => {
                let path = format!("{path}.token_exchange");
                let address = self.address(keyring, &written.token_url, &path)?;
                let issuer = Issuer::exchange(address, written);
                let wrong = "expected either subject_token or subject_token_file";
                Ok(Arc::new(issuer.ok_or_else(|| fault(&path, wrong))?))
            }
            KeySource::Plugin(name) => {
                let wanted = Wanted::Plugin { name: name.to_owned(), options: key.options.clone() };
                let unknown = || {
                    let message = format!("no secret plug-in is registered under the name `{name}`");
                    fault(&format!("{path}.plugin"), &message)
                };
                self.live.keepers.outside(wanted).ok_or_else(unknown)
            }
            KeySource::Callable(position) => {
                let unknown = || fault(path, "a callable can only be given by a Python program");
                self.live.keepers.outside(Wanted::Callable(position)).ok_or_else(unknown)
            }
        }
    }

    /// Where an issuer listens: reached as the deployment is, but over HTTP/1.1.
    fn address(&self, keyring: &Keyring, url: &str, path: &str) -> Result<Address, Error> {
        let path = format!("{path}.token_url");
        let wrong = |what: endpoint::Fault| fault(&path, &what.to_string());
        let (target, below) = endpoint::address(url).map_err(wrong)?;
        let way = Way { http2: false, ..keyring.way.clone() };
        let without_query = below.split('?').next().unwrap_or_default();
        let shown = format!("{}{without_query}", target.origin());
        Ok(Address { transport: self.host(&target, &way, &path)?, path: below, shown })
    }
}

fn window(key: &Key) -> Window {
    Window {
        not_before: key.not_before.map(|moment| moment.0),
        not_after: key.not_after.map(|moment| moment.0),
    }
}

fn terms(key: &Key) -> Terms {
    let usual = Terms::default();
    let margin = match (&key.oauth, &key.token_exchange) {
        (Some(oauth), _) => oauth.refresh_margin,
        (_, Some(exchange)) => exchange.refresh_margin,
        _ => None,
    };
    Terms {
        margin: margin.unwrap_or(usual.margin),
        ttl: key.ttl.unwrap_or(usual.ttl),
        patience: key.timeout.unwrap_or(usual.patience),
    }
}

/// What tells sources apart, secrets as fingerprints: keys of the same source are fetched once.
fn described(key: &Key, way: &Way) -> String {
    let source = Key { id: None, not_before: None, not_after: None, ..key.clone() };
    let client = key.oauth.as_ref().and_then(|oauth| oauth.client_secret.as_ref());
    let exchange = key.token_exchange.as_ref();
    let given = exchange.map(|exchange| [&exchange.client_secret, &exchange.subject_token]);
    let secrets = client.into_iter().chain(given.into_iter().flatten().flatten());
    let secrets = secrets.map(|secret| fingerprint(secret.expose()));
    let veiled = fingerprint(&format!("{:?}", (&*key.exec, &*key.options, &*way.proxy)));
    let prints: Vec<u64> = secrets.chain([veiled]).collect();
    format!("{source:?}|{prints:x?}|{way:?}")
}

/// A key that can stand in a header; what is wrong is told without the key.
fn checked(key: &str, path: &str) -> Result<String, Error> {
    if key.trim().is_empty() {
        return Err(fault(path, "the key is empty"));
    }
    if key.trim() != key {
        return Err(fault(path, "the key begins or ends with white space"));
    }
    if HeaderValue::from_str(key).is_err() {
        return Err(fault(path, "the key holds characters that cannot stand in a header"));
    }
    Ok(key.to_owned())
}

fn headers(preset: &Preset, draft: &Draft<'_>) -> Result<HeaderMap, Error> {
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
    for written in &draft.headers {
        for (name, value) in *written {
            insert(&mut headers, name, value, draft.path)?;
        }
    }
    Ok(headers)
}

/// Sets a header, naming it where it cannot be one.
fn insert(headers: &mut HeaderMap, name: &str, value: &str, path: &str) -> Result<(), Error> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
    let (name, value) =
        parsed.ok_or_else(|| fault(path, &format!("`{name}` is not a header that can be sent")))?;
    headers.insert(name, value);
    Ok(())
}

/// Tells keys apart without keeping them: FNV-1a, 64 bits.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
