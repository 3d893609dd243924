//! What a client is constructed with, as a source of the core's configuration.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};

use super::callables::{Callables, Hosted};
use super::errors;
use super::secret::Secret;
use crate::config::source::{Files, Fixed, Found, Source};
use crate::config::tree::{Member, Node, Origin, Value, below};
use crate::config::{self, load, redact};
use crate::error::{Error, Kind};

/// Reads a configuration as a client would, without making one: a dict of `config` (keys and what variables held
/// are `***`), `warnings`, `sources` and `hash`.
#[pyfunction]
#[pyo3(name = "_load")]
pub(super) fn load_config<'py>(source: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let py = source.py();
    let source = self::source(source, false, &mut Callables::default())?;
    let loaded = load::load(source.as_ref(), None).map_err(|error| errors::exception(py, &error))?;
    let told = PyDict::new(py);
    told.set_item("config", pythonize::pythonize(py, &redact::redacted(&loaded.tree))?)?;
    told.set_item("warnings", errors::problems(py, &loaded.warnings)?)?;
    told.set_item("sources", &loaded.sources)?;
    told.set_item("hash", loaded.hash())?;
    Ok(told)
}

/// The JSON Schema of a configuration.
#[pyfunction]
#[pyo3(name = "_schema")]
pub(super) fn schema(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    Ok(pythonize::pythonize(py, config::schema::schema())?)
}

/// A dict deeper than this is refused; one that holds itself has no end.
const DEEPEST: usize = 48;
/// Arguments that say where the calls go: with one of them no file is looked for.
const UPSTREAM: &[&str] = &["api_key", "base_url", "provider"];

/// What a client is made from: kept, so that it can be read again.
#[derive(Debug)]
pub(super) struct Given {
    /// Where the configuration is.
    pub(super) source: Arc<dyn Source>,
    /// The constructor's own arguments, which lie on top.
    pub(super) arguments: Node,
    /// What stands in the trees as `{callable: position}`.
    pub(super) callables: Callables,
}

/// The source that `source` (a path, several, a mapping or nothing) and the constructor's `arguments` make.
pub(super) fn given(source: &Bound<'_, PyAny>, arguments: &Bound<'_, PyDict>) -> PyResult<Given> {
    let (mut members, mut callables) = (Vec::new(), Callables::default());
    for (name, value) in arguments.iter().filter(|(_, value)| !value.is_none()) {
        let name = name.extract::<String>()?;
        let node = argument(&name, &value, &mut callables)?;
        members.push(Member { key: name, at: None, node });
    }
    let named = members.iter().any(|member| UPSTREAM.contains(&member.key.as_str()));
    let source = self::source(source, named, &mut callables)?;
    let client = (!members.is_empty()).then(|| Node::new(Value::Map(members), None));
    let client = client.map(|node| Member { key: "client".to_owned(), at: None, node });
    let arguments = Node::new(Value::Map(client.into_iter().collect()), None);
    Ok(Given { source, arguments, callables })
}

/// The same client over another `source`; the constructor's arguments still lie on top. Callables that yield keys
/// join those in `hosted`, so that the old configuration still finds its own.
pub(super) fn again(source: &Bound<'_, PyAny>, given: &Given, hosted: &Hosted) -> PyResult<Given> {
    let mut callables = Callables { keys: hosted.keys(source.py()), ..Callables::default() };
    let source = self::source(source, false, &mut callables)?;
    hosted.host(std::mem::take(&mut callables.keys));
    Ok(Given { source, arguments: given.arguments.clone(), callables })
}

/// How often to look at the files of what is to be watched.
pub(super) fn poll(py: Python<'_>, seconds: f64, given: &Given) -> PyResult<Duration> {
    if !given.source.is_watchable() {
        return Err(errors::misuse(py, "`watch`: only files can be watched; use `reload` for a dict"));
    }
    let poll = Duration::try_from_secs_f64(seconds).ok().filter(|poll| *poll >= Duration::from_millis(1));
    poll.ok_or_else(|| errors::misuse(py, "`watch`: expected True, False or a number of seconds above 0"))
}

/// The source that a `config` argument stands for. Nothing is looked for where the caller says where calls go.
pub(super) fn source(
    source: &Bound<'_, PyAny>,
    named: bool,
    callables: &mut Callables,
) -> PyResult<Arc<dyn Source>> {
    if source.is_none() && named {
        return Ok(Arc::new(Fixed(Node::table())));
    }
    if source.is_none() {
        return Ok(Arc::new(Found::new(std::env::current_dir().unwrap_or_default())));
    }
    if source.cast::<PyMapping>().is_ok() {
        return Ok(Arc::new(Fixed(node(source, "", 0, callables)?)));
    }
    if source.is_instance_of::<PyList>() || source.is_instance_of::<PyTuple>() {
        let paths = source.try_iter()?.map(|one| path(&one?)).collect::<PyResult<Vec<_>>>()?;
        return Ok(Arc::new(Files::new(paths)));
    }
    Ok(Arc::new(Files::new([path(source)?])))
}

fn path(source: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    let py = source.py();
    let path = py.import("os")?.call_method1("fspath", (source,)).and_then(|path| path.extract::<String>());
    let message = "`config`: expected the path of a file, a list of them, a dict or None";
    path.map(PathBuf::from).map_err(|_| errors::misuse(py, message))
}

fn argument(name: &str, value: &Bound<'_, PyAny>, callables: &mut Callables) -> PyResult<Node> {
    match name {
        "api_key" => key(value, callables),
        "provider" | "proxy" => {
            let wrong = || errors::misuse(value.py(), &format!("`{name}`: expected a str"));
            value.extract().map(text).map_err(|_| wrong())
        }
        "base_url" => Ok(text(value.str()?.to_string())),
        "ca" => Ok(text(value.py().import("os")?.call_method1("fspath", (value,))?.extract()?)),
        "http2" => Ok(Node::new(Value::Bool(value.extract()?), None)),
        _ => Err(errors::misuse(value.py(), &format!("`{name}`: unknown argument"))),
    }
}

fn key(value: &Bound<'_, PyAny>, callables: &mut Callables) -> PyResult<Node> {
    let known = value.is_instance_of::<Secret>()
        || value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyList>()
        || value.is_callable();
    if !known {
        let error = Error::new(Kind::Config, "`api_key`: expected a str or a list of them");
        return Err(errors::exception(value.py(), &error));
    }
    node(value, "api_key", 0, callables)
}

/// A `datetime` as RFC 3339. Without an offset it would be another moment on another machine.
fn moment(value: &Bound<'_, PyAny>, path: &str) -> PyResult<String> {
    if value.call_method0("utcoffset")?.is_none() {
        let message = format!(
            "`{path}`: a datetime without a time zone; give it one, as in `2026-12-01T00:00:00Z` or `tzinfo=UTC`"
        );
        return Err(errors::misuse(value.py(), &message));
    }
    value.call_method0("isoformat")?.extract()
}

fn text(text: String) -> Node {
    Node::new(Value::Text(text), None)
}

/// A Python value as a tree. Secrets are revealed into it, and marked so that no error quotes them.
pub(super) fn node(
    value: &Bound<'_, PyAny>,
    path: &str,
    depth: usize,
    callables: &mut Callables,
) -> PyResult<Node> {
    let py = value.py();
    if depth > DEEPEST {
        return Err(errors::misuse(py, &format!("`{path}`: nested more than {DEEPEST} deep")));
    }
    if let Ok(secret) = value.cast::<Secret>() {
        return Ok(Node { origin: Origin::Variable, ..text(secret.get().expose().to_owned()) });
    }
    let value = if value.is_none() {
        Value::Null
    } else if let Ok(flag) = value.cast::<PyBool>() {
        Value::Bool(flag.is_true())
    } else if value.is_instance_of::<PyInt>() {
        let wide = || errors::misuse(py, &format!("`{path}`: a number of more than 64 bits"));
        Value::Integer(value.extract().map_err(|_| wide())?)
    } else if value.is_instance_of::<PyFloat>() {
        Value::Float(value.extract()?)
    } else if value.is_instance_of::<PyString>() {
        Value::Text(value.extract()?)
    } else if let Ok(mapping) = value.cast::<PyMapping>() {
        Value::Map(members(mapping, path, depth, callables)?)
    } else if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let items = value.try_iter()?.enumerate();
        let items =
            items.map(|(position, item)| node(&item?, &format!("{path}[{position}]"), depth + 1, callables));
        Value::List(items.collect::<PyResult<_>>()?)
    } else if value.is_callable() {
        callables.keep(value, path)?
    } else if value.is_instance(&py.import("datetime")?.getattr("datetime")?)? {
        Value::Text(moment(value, path)?)
    } else {
        let path_like = py.import("os")?.call_method1("fspath", (value,)).and_then(|path| path.extract());
        let name = value.get_type().name()?.to_string();
        let message = format!("`{path}`: a {name} cannot stand in a configuration");
        Value::Text(path_like.map_err(|_| errors::misuse(py, &message))?)
    };
    Ok(Node::new(value, None))
}

fn members(
    mapping: &Bound<'_, PyMapping>,
    path: &str,
    depth: usize,
    callables: &mut Callables,
) -> PyResult<Vec<Member>> {
    let pairs = mapping.items()?;
    let members = pairs.iter().map(|pair| {
        let (name, member) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
        let message = format!("`{path}`: expected names as keys");
        let key: String = name.extract().map_err(|_| errors::misuse(mapping.py(), &message))?;
        let node = node(&member, &below(path, &key), depth + 1, callables)?;
        Ok(Member { key, at: None, node })
    });
    members.collect()
}
