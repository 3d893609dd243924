//! Where a call goes: base URLs as people write them, joined to the path of an operation.

use std::fmt;

use url::Url;

use super::presets::Preset;
use crate::call::Operation;

/// How the bytes travel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain TCP.
    Http,
    /// TLS.
    Https,
    /// A Unix socket at this path, HTTP inside.
    Unix(String),
}

/// A base URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// How the bytes travel.
    pub scheme: Scheme,
    /// The host, IPv6 without brackets; `localhost` for a Unix socket.
    pub host: String,
    /// The port; the scheme's own where none was written, 0 for a Unix socket.
    pub port: u16,
    /// The path before the operation's, without a slash at its end; may be empty.
    pub path_prefix: String,
    /// The query to keep on every request, without `?`; may be empty.
    pub query: String,
    /// Are Azure's URLs spoken here?
    pub azure: bool,
}

/// What is wrong with a base URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written.
    Empty,
    /// It is no URL at all.
    Syntax(String),
    /// Neither `http`, `https` nor `unix`.
    Scheme(String),
    /// No host.
    Host,
    /// A user name or password; keys belong in `api_key`.
    Userinfo,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the base URL is empty"),
            Self::Syntax(why) => write!(f, "the base URL cannot be read: {why}"),
            Self::Scheme(scheme) => {
                write!(f, "a base URL begins with http://, https:// or unix:/, not {scheme}:")
            }
            Self::Host => f.write_str("the base URL names no host"),
            Self::Userinfo => {
                f.write_str("the base URL holds a user name or password; keys belong in api_key")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// Endings that people copy along with a base URL.
const COPIED: &[&str] = &["/chat/completions", "/embeddings", "/models"];

/// The prefix that a base URL without a path means.
const DEFAULT_PREFIX: &str = "/v1";

/// Reads a base URL of `preset`; one without a path means `/v1`, except where endpoints are below the host itself.
pub fn parse(base_url: &str, preset: &Preset) -> Result<Target, Fault> {
    let default_prefix = if preset.rooted || preset.azure { "" } else { DEFAULT_PREFIX };
    let target = read(base_url, default_prefix)?;
    Ok(Target { azure: preset.azure, ..target })
}

/// Reads the URL of one endpoint: where it listens, and its path with its query.
pub fn address(url: &str) -> Result<(Target, String), Fault> {
    let target = Target { path_prefix: String::new(), query: String::new(), ..read(url, "")? };
    let parsed = Url::parse(url.trim()).map_err(|error| Fault::Syntax(error.to_string()))?;
    let query = parsed.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok((target, format!("{}{query}", parsed.path())))
}

fn read(base_url: &str, default_prefix: &str) -> Result<Target, Fault> {
    let text = base_url.trim();
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    if let Some(socket) = text.strip_prefix("unix:") {
        return unix(socket, default_prefix);
    }
    let url = Url::parse(text).map_err(|error| Fault::Syntax(error.to_string()))?;
    let scheme = match url.scheme() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => return Err(Fault::Scheme(other.to_owned())),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::Userinfo);
    }
    Ok(Target {
        scheme,
        host: url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(Fault::Host)?
            .trim_matches(['[', ']'])
            .to_owned(),
        port: url.port_or_known_default().unwrap_or_default(),
        path_prefix: prefix(url.path(), default_prefix),
        query: url.query().unwrap_or_default().to_owned(),
        azure: false,
    })
}

/// `unix:/path/to.sock`, `unix:///path/to.sock`, either with `:/prefix` behind it.
fn unix(socket: &str, default_prefix: &str) -> Result<Target, Fault> {
    let socket = socket.strip_prefix("//").unwrap_or(socket);
    let (socket, path) = socket.split_once(":/").unwrap_or((socket, ""));
    if !socket.starts_with('/') || socket.len() < 2 || socket.contains('\0') {
        return Err(Fault::Syntax("unix: is followed by the absolute path of a socket".to_owned()));
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Ok(Target {
        scheme: Scheme::Unix(socket.to_owned()),
        host: "localhost".to_owned(),
        port: 0,
        path_prefix: prefix(&escape(&format!("/{path}")), default_prefix),
        query: escape(query),
        azure: false,
    })
}

fn prefix(path: &str, default_prefix: &str) -> String {
    let path = path.trim_end_matches('/');
    let bare =
        COPIED.iter().find_map(|ending| path.strip_suffix(ending)).unwrap_or(path).trim_end_matches('/');
    if path.is_empty() { default_prefix.to_owned() } else { bare.to_owned() }
}

impl Target {
    /// Host and port as in the `Host` header: IPv6 in brackets, no port where it is the scheme's own.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (&self.scheme, self.port) {
            (Scheme::Unix(_), _) | (Scheme::Http, 80) | (Scheme::Https, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// Where connections go: deployments with the same origin share them.
    pub fn origin(&self) -> String {
        match &self.scheme {
            Scheme::Http => format!("http://{}", self.authority()),
            Scheme::Https => format!("https://{}", self.authority()),
            Scheme::Unix(path) => format!("unix:{path}"),
        }
    }

    /// Does its query say which version of Azure's API is spoken?
    pub fn names_version(&self) -> bool {
        self.query.split('&').any(|pair| pair.starts_with(API_VERSION))
    }

    /// The same, with Azure's API version in its query.
    #[must_use]
    pub fn with_version(mut self, version: &str) -> Self {
        let separator = if self.query.is_empty() { "" } else { "&" };
        self.query = format!("{}{separator}{API_VERSION}{}", self.query, escape_segment(version));
        self
    }

    /// The path before the operation's, for a call to `model`.
    ///
    /// Azure's classic form, which names the deployment, is spoken where an API version is known; without one, or
    /// where the base URL already says `/openai/v1`, the newer form, where the body names it.
    fn prefix_for(&self, operation: &Operation, model: &str) -> String {
        let prefix = &self.path_prefix;
        if !self.azure || prefix.ends_with("/openai/v1") || prefix.contains("/openai/deployments/") {
            return prefix.clone();
        }
        let root = prefix.strip_suffix("/openai").unwrap_or(prefix);
        match (self.names_version(), operation) {
            (false, _) => format!("{root}/openai/v1"),
            (true, Operation::Models | Operation::Raw { .. }) => format!("{root}/openai"),
            (true, _) => format!("{root}/openai/deployments/{}", escape_segment(model)),
        }
    }
}

/// What begins the version in the query of an Azure URL.
const API_VERSION: &str = "api-version=";

/// The path and query of a request to `target`; `model` is what the upstream calls it.
pub fn path(operation: &Operation, target: &Target, model: &str) -> String {
    let prefix = target.prefix_for(operation, model);
    match operation {
        Operation::Chat => join(&prefix, "/chat/completions", &[&target.query]),
        Operation::Embeddings => join(&prefix, "/embeddings", &[&target.query]),
        Operation::Models => join(&prefix, "/models", &[&target.query]),
        Operation::Raw { path, .. } => {
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let path = format!("/{}", escape(path.trim_start_matches('/')));
            join(&prefix, &path, &[&target.query, &escape(query)])
        }
    }
}

/// A path that already begins with the prefix is not prefixed twice.
fn join(prefix: &str, path: &str, queries: &[&str]) -> String {
    let whole = path.strip_prefix(prefix).is_some_and(|rest| !prefix.is_empty() && rest.starts_with('/'));
    let mut joined = if whole { path.to_owned() } else { format!("{prefix}{path}") };
    let mut sign = '?';
    for query in queries.iter().filter(|query| !query.is_empty()) {
        joined.push(sign);
        joined.push_str(query);
        sign = '&';
    }
    joined
}

/// Percent-encodes what must not stand in a request line; what is encoded already stays.
fn escape(text: &str) -> String {
    encode(text, |byte| byte > b' ' && byte < 0x7f && !b"\"#<>\\^`{|}".contains(&byte))
}

/// Percent-encodes a name that must stay within one path segment.
fn escape_segment(text: &str) -> String {
    encode(text, |byte| byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte))
}

fn encode(text: &str, plain: impl Fn(u8) -> bool) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.extend(['%', hexadecimal(byte >> 4), hexadecimal(byte & 15)]);
        }
        encoded
    })
}

fn hexadecimal(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase()
}
