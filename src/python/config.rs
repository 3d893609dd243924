//! What a client is constructed with, as the core's configuration.

use std::path::Path;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyString, PyTuple};

use super::errors;
use super::secret::Secret;
use crate::config::{self, Config, Keys, load};
use crate::error::{Error, Kind};

/// The configuration in `source` (a path, a mapping or nothing) with the constructor's own `arguments` on top.
pub(super) fn read(source: &Bound<'_, PyAny>, arguments: &Bound<'_, PyDict>) -> PyResult<Config> {
    let mut config = written(source)?;
    for (name, value) in arguments.iter() {
        if !value.is_none() {
            argument(name.cast::<PyString>()?.to_str()?, &value, &mut config)?;
        }
    }
    Ok(config)
}

fn written(source: &Bound<'_, PyAny>) -> PyResult<Config> {
    let py = source.py();
    if source.is_none() {
        return Ok(Config::default());
    }
    if source.cast::<PyMapping>().is_ok() {
        let plain = plain(source)?;
        return pythonize::depythonize(&plain)
            .map_err(|fault| errors::misuse(py, &format!("config: {}", cause(&fault))));
    }
    let path = py
        .import("os")?
        .call_method1("fspath", (source,))
        .map_err(|_| errors::misuse(py, "`config`: expected the path of a file, a dict or None"))?;
    let path: String = path.extract()?;
    load::file(Path::new(&path)).map_err(|error| errors::exception(py, &error))
}

/// What is wrong, without the value itself where that could be a key.
fn cause(fault: &pythonize::PythonizeError) -> String {
    load::told(fault.to_string().trim_end())
}

fn argument(name: &str, value: &Bound<'_, PyAny>, config: &mut Config) -> PyResult<()> {
    let client = &mut config.client;
    match name {
        "api_key" => client.api_key = keys(value)?,
        "provider" => client.provider = Some(text(name, value)?),
        "base_url" => client.base_url = Some(value.str()?.to_string()),
        "proxy" => client.proxy = Some(text(name, value)?),
        "ca" => client.ca = Some(value.py().import("os")?.call_method1("fspath", (value,))?.extract()?),
        "http2" => client.http2 = value.extract()?,
        _ => return Err(errors::misuse(value.py(), &format!("`{name}`: unknown argument"))),
    }
    Ok(())
}

fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    value.extract().map_err(|_| errors::misuse(value.py(), &format!("`{name}`: expected a str")))
}

fn keys(value: &Bound<'_, PyAny>) -> PyResult<Keys> {
    if let Ok(several) = value.cast::<PyList>() {
        return several.iter().map(|one| key(&one)).collect::<PyResult<Vec<_>>>().map(Keys);
    }
    Ok(Keys(vec![key(value)?]))
}

fn key(value: &Bound<'_, PyAny>) -> PyResult<config::Key> {
    if let Ok(secret) = value.cast::<Secret>() {
        return Ok(config::Key::plain(config::Secret::new(secret.get().expose())));
    }
    let error = Error::new(Kind::Config, "`api_key`: expected a str or a list of them");
    let secret = value.extract::<String>().map(config::Secret::new);
    secret.map(config::Key::plain).map_err(|_| errors::exception(value.py(), &error))
}

/// A copy of `value` in plain dicts and lists, secrets revealed: what can be deserialised.
fn plain<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    if let Ok(secret) = value.cast::<Secret>() {
        return Ok(PyString::new(py, secret.get().expose()).into_any());
    }
    if let Ok(mapping) = value.cast::<PyMapping>() {
        let dict = PyDict::new(py);
        for pair in mapping.items()?.iter() {
            let (name, member) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            dict.set_item(name, plain(&member)?)?;
        }
        return Ok(dict.into_any());
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let items = value.try_iter()?.map(|item| plain(&item?)).collect::<PyResult<Vec<_>>>()?;
        return Ok(PyList::new(py, items)?.into_any());
    }
    Ok(value.clone())
}
