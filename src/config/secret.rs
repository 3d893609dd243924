//! Keys as they are written: values that never show themselves, and references to where a key is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::duration::{Moment, optional_seconds};
use super::schema::FILE;

/// A key that never shows itself.
#[derive(Clone, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from view.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key itself; for the request header only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// What may hold secrets (headers, a proxy's password, arguments of a command) and does not show itself.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent, inline)]
pub struct Veiled<T>(pub T);

impl<T> Deref for Veiled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Veiled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// One key, several, or none (then the environment's).
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(with = "Option<OneOrMany>")]
pub struct Keys(pub Vec<Key>);

/// A key, where it comes from, and when it may be used. Written as a string, or as a table with exactly one source.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Key {
    /// A name for this key in statistics and logs.
    pub id: Option<String>,
    /// Not used before this moment.
    pub not_before: Option<Moment>,
    /// Not used from this moment on.
    pub not_after: Option<Moment>,
    /// Source: the key itself, or a reference such as `${VAR}`.
    pub key: Option<Secret>,
    /// Source: a variable of the environment.
    pub env: Option<String>,
    /// Source: a file that holds the key and nothing else.
    #[schemars(extend("format" = FILE))]
    pub file: Option<String>,
    /// Source: a command that prints the key.
    pub exec: Veiled<Option<Vec<String>>>,
    /// Source: OAuth 2 client credentials (RFC 6749, section 4.4).
    pub oauth: Option<OAuth>,
    /// Source: OAuth 2 token exchange (RFC 8693).
    pub token_exchange: Option<TokenExchange>,
    /// Source: a plug-in registered under this name (a key management service, a secrets manager, a vault).
    pub plugin: Option<String>,
    /// What the plug-in is given.
    pub options: Veiled<BTreeMap<String, String>>,
    /// Source: a Python callable, by its position; never written in a file.
    pub callable: Option<usize>,
    /// How long a key whose source does not say so is used before it is read again. Default: 300 s.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub ttl: Option<Duration>,
    /// How long a source may take to yield the key. Default: 30 s.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub timeout: Option<Duration>,
}

/// Where one key comes from.
#[derive(Clone, Copy, Debug)]
pub enum KeySource<'a> {
    /// It is written out.
    Plain(&'a Secret),
    /// A variable of the environment, by name.
    Env(&'a str),
    /// A file, by path.
    File(&'a str),
    /// A command with its arguments.
    Exec(Veiled<&'a [String]>),
    /// OAuth 2 client credentials.
    OAuth(&'a OAuth),
    /// OAuth 2 token exchange.
    Exchange(&'a TokenExchange),
    /// A plug-in, by name.
    Plugin(&'a str),
    /// A Python callable, by position.
    Callable(usize),
}

/// OAuth 2 client credentials.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OAuth {
    /// Where tokens are issued.
    pub token_url: String,
    /// Who asks.
    pub client_id: String,
    /// The secret that proves it.
    pub client_secret: Option<Secret>,
    /// How the client proves itself. Default: `basic`.
    pub client_auth: ClientAuth,
    /// Scopes, separated by spaces.
    pub scope: Option<String>,
    /// For whom the token is meant.
    pub audience: Option<String>,
    /// Refreshed so long before it ends, give or take a tenth. Default: 60 s.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub refresh_margin: Option<Duration>,
}

/// OAuth 2 token exchange.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TokenExchange {
    /// Where tokens are issued.
    pub token_url: String,
    /// The token that is given for another.
    pub subject_token: Option<Secret>,
    /// A file that holds it, read anew for each exchange.
    #[schemars(extend("format" = FILE))]
    pub subject_token_file: Option<String>,
    /// What it is. Default: `urn:ietf:params:oauth:token-type:jwt`.
    pub subject_token_type: Option<String>,
    /// Who asks, where the issuer wants to know.
    pub client_id: Option<String>,
    /// The secret that proves it.
    pub client_secret: Option<Secret>,
    /// How the client proves itself. Default: `basic`.
    pub client_auth: ClientAuth,
    /// Scopes, separated by spaces.
    pub scope: Option<String>,
    /// For whom the token is meant.
    pub audience: Option<String>,
    /// Refreshed so long before it ends, give or take a tenth. Default: 60 s.
    #[serde(deserialize_with = "optional_seconds")]
    #[schemars(with = "Option<f64>", range(min = 0, max = 1_000_000_000))]
    pub refresh_margin: Option<Duration>,
}

/// How a client proves itself to an issuer (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// HTTP Basic, which every issuer must understand.
    #[default]
    Basic,
    /// In the body of the request.
    Body,
}

/// A key as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    /// The key, or a reference such as `${VAR}`.
    Plain(Secret),
    /// A table with exactly one source.
    Table(Box<Key>),
}

/// Keys as they are written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany {
    /// One.
    One(Written),
    /// Several, used in turn when one fails.
    Many(Vec<Written>),
}

impl Key {
    /// A key that is written out.
    pub fn plain(secret: Secret) -> Self {
        Self { key: Some(secret), ..Self::default() }
    }

    /// Is an empty key written out?
    pub fn is_blank(&self) -> bool {
        self.key.as_ref().is_some_and(|key| key.expose().trim().is_empty())
    }

    /// Where it comes from; `None` unless exactly one source is written.
    pub fn source(&self) -> Option<KeySource<'_>> {
        let sources = [
            self.key.as_ref().map(KeySource::Plain),
            self.env.as_deref().map(KeySource::Env),
            self.file.as_deref().map(KeySource::File),
            self.exec.as_deref().map(|words| KeySource::Exec(Veiled(words))),
            self.oauth.as_ref().map(KeySource::OAuth),
            self.token_exchange.as_ref().map(KeySource::Exchange),
            self.plugin.as_deref().map(KeySource::Plugin),
            self.callable.map(KeySource::Callable),
        ];
        let mut written = sources.into_iter().flatten();
        written.next().filter(|_| written.next().is_none())
    }
}

impl From<Written> for Key {
    fn from(written: Written) -> Self {
        match written {
            Written::Plain(secret) => Self::plain(secret),
            Written::Table(key) => *key,
        }
    }
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Option::<OneOrMany>::deserialize(deserializer)? {
            None => Vec::new(),
            Some(OneOrMany::One(written)) => vec![written.into()],
            Some(OneOrMany::Many(several)) => several.into_iter().map(Key::from).collect(),
        }))
    }
}
