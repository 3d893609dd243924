//! Reading a configuration from a file. TOML and JSON; the ending decides.

use std::path::Path;

use super::Config;
use crate::error::{Error, Kind};
use crate::retry::hint::scrub;

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
        "toml" => toml::from_str(&text).map_err(|cause| toml_fault(&cause, &text)),
        "json" => serde_json::from_str(&text).map_err(|cause| told(&cause.to_string())),
        other => Err(format!("expected a file ending in `.toml` or `.json`: `.{other}`")),
    };
    parsed.map_err(|cause| Error::new(Kind::Config, format!("config file `{shown}`: {cause}")))
}

/// What is wrong and where, without the line itself: it may hold a key.
fn toml_fault(cause: &toml::de::Error, text: &str) -> String {
    let message = told(cause.message());
    let Some(before) = cause.span().and_then(|span| text.get(..span.start)) else { return message };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {message}")
}

/// The parser's sentence without the value it quotes, which may be a key.
pub fn told(sentence: &str) -> String {
    const QUOTED: &str = "string \"";
    let Some((before, after)) = sentence.split_once(QUOTED) else { return scrub(sentence) };
    let rest = after.rfind("\", expected").map_or("", |end| after.get(end + 1..).unwrap_or_default());
    format!("{}a string{}", scrub(before), scrub(rest))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_line_and_column_and_never_quotes_a_value() {
        let folder = std::env::temp_dir().join(format!("fairlead-load-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let files = [
            ("a.toml", "[retry]\nmax_retries = \"hush-1234567890\"\n", "line 2, column 15"),
            ("b.toml", "[client]\napi_key = \"hush-1234567890\nbase_url = 1", "line 2"),
            ("c.json", "{\"retry\": {\"max_retries\": \"hush-1234567890\"}}", "line 1"),
            ("d.toml", "[client]\nhush = 1\n", "unknown field `hush`"),
        ];
        for (name, text, place) in files {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            let sentence = file(&path).unwrap_err().to_string();
            assert!(sentence.contains(name) && sentence.contains(place), "{sentence}");
            assert!(!sentence.contains("hush-1234567890"), "{sentence}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
