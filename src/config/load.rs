//! Reading a configuration from a file. TOML and JSON; the ending decides.

use std::path::Path;

use super::Config;
use crate::error::{Error, Kind};

/// Reads `path` (`.toml` or `.json`).
///
/// # Errors
///
/// [`Kind::Config`] naming the file, the line and the key.
pub fn file(path: &Path) -> Result<Config, Error> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Error::new(Kind::Config, format!("config file `{shown}` cannot be read: {cause}"))
    })?;
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let parsed = match ending {
        "toml" => toml::from_str(&text).map_err(|cause| cause.to_string()),
        "json" => serde_json::from_str(&text).map_err(|cause| cause.to_string()),
        other => Err(format!("expected a file ending in `.toml` or `.json`: `.{other}`")),
    };
    parsed.map_err(|cause| Error::new(Kind::Config, format!("config file `{shown}`: {}", cause.trim_end())))
}

/// Replaces `${VAR}` and `${VAR:-default}` by the environment's values.
///
/// # Errors
///
/// [`Kind::Config`] naming the variable that is not set, or the place that is not closed.
pub fn expand(text: &str, path: &str) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((inner, tail)) = after.split_once('}') else {
            return Err(Error::new(Kind::Config, format!("`{path}`: `${{` without its `}}`")));
        };
        out.push_str(&variable(inner, path)?);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn variable(inner: &str, path: &str) -> Result<String, Error> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    match (environment(name), default) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            Err(Error::new(Kind::Config, format!("`{path}`: the environment variable {name} is not set")))
        }
    }
}

/// A variable of the environment that is set and not empty.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
