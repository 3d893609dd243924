//! A call's keyword arguments: what goes into the body, and what is meant for us.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString, PyTuple};

use super::convert::{self, Misuse, Writer};
use super::errors;
use super::primitives::{self, Deadline, Purse};
use super::query;
use super::secret::Secret;
use crate::admit::{self, priority};
use crate::call::{CallOptions, Limit, TimeoutOptions};
use crate::config;
use crate::error::{Error, Kind};

/// A century, for limits too large to add to a clock.
const LONGEST: f64 = 3.2e9;

/// A request as the engine takes it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) body: Bytes,
    pub(super) options: CallOptions,
}

/// Splits `params` into body and options, starting from the client's `defaults` and what `fairlead.scope()` says.
pub(super) fn request(
    params: &Bound<'_, PyDict>,
    defaults: &CallOptions,
    scope: Option<&Bound<'_, PyAny>>,
) -> PyResult<Request> {
    let py = params.py();
    let mut options = defaults.clone();
    if let Some(scope) = scope {
        fairlead(scope, &mut options)?;
    }
    let extra = match params.get_item("extra_body")? {
        Some(extra) if !extra.is_none() && !convert::is_absent(&extra) => {
            Some(mapping(&extra, "extra_body")?)
        }
        _ => None,
    };
    let mut writer = Writer::new();
    writer.open_object();
    for (name, value) in params.iter() {
        let name = name.cast::<PyString>()?.to_str()?;
        if !option(name, &value, &mut options)? {
            let value = match overriding(extra.as_ref(), name)? {
                Some(other) => other,
                None => value,
            };
            writer.member(name, &value).map_err(|misuse| misuse.into_error(py))?;
        }
    }
    if let Some(extra) = &extra {
        added(extra, params, &mut writer, &mut options)?;
    }
    writer.close_object();
    Ok(Request { body: Bytes::from(writer.into_bytes()), options })
}

/// Takes `name` if it is one of ours.
fn option(name: &str, value: &Bound<'_, PyAny>, options: &mut CallOptions) -> PyResult<bool> {
    match name {
        "extra_body" => {}
        "response_format" => {
            convert::refuse_class(value)?;
            return Ok(false);
        }
        "extra_headers" | "extra_query" | "timeout" | "fairlead" if convert::is_absent(value) => {}
        "extra_headers" => {
            headers(value, &mut options.headers)?;
            if let Some(asked) = urgency(value)? {
                options.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(priority::HEADER));
                options.priority = Some(asked);
            }
        }
        "extra_query" => query::add(value, &mut options.query)?,
        "timeout" => options.timeout = timeout(value)?,
        "fairlead" => fairlead(value, options)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn overriding<'py>(extra: Option<&Bound<'py, PyMapping>>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    match extra {
        Some(extra) if extra.contains(name)? => extra.get_item(name).map(Some),
        _ => Ok(None),
    }
}

/// What only `extra_body` has, at the end of the body; a `fairlead` member inside is ours.
fn added(
    extra: &Bound<'_, PyMapping>,
    params: &Bound<'_, PyDict>,
    writer: &mut Writer,
    options: &mut CallOptions,
) -> PyResult<()> {
    for pair in extra.items()?.iter() {
        let (name, value) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
        let name = name.str()?;
        let name = name.to_str()?;
        if name == "fairlead" {
            fairlead(&value, options)?;
        } else if !params.contains(name)? {
            let written = writer.member(name, &value);
            written.map_err(|misuse: Misuse| misuse.into_error(params.py()))?;
        }
    }
    Ok(())
}

/// `fairlead={...}`: who calls, and limits that are ours.
fn fairlead(value: &Bound<'_, PyAny>, options: &mut CallOptions) -> PyResult<()> {
    if value.is_none() {
        return Ok(());
    }
    for pair in mapping(value, "fairlead")?.items()?.iter() {
        let (name, value) = pair.extract::<(String, Bound<'_, PyAny>)>()?;
        member(&name, &value, options)?;
    }
    Ok(())
}

fn member(name: &str, value: &Bound<'_, PyAny>, options: &mut CallOptions) -> PyResult<()> {
    if value.is_none() {
        return Ok(());
    }
    match name {
        "user" => options.user = Some(value.str()?.to_string()),
        "tenant" => options.tenant = Some(value.str()?.to_string()),
        "key" => options.key = Some(value.str()?.to_string()),
        "priority" => options.priority = Some(priority(value, "fairlead.priority")?),
        "metadata" => metadata(value, &mut options.metadata)?,
        "deadline" => {
            let left = deadline(value)?;
            // What a scope gave can only be shortened.
            options.deadline = Some(options.deadline.map_or(left, |around| around.min(left)));
        }
        "budget" => budget(value, options)?,
        "max_retries" => options.max_retries = Some(max_retries(value)?),
        "session" => options.session = Some(value.str()?.to_string()),
        "profile" => options.profile = Some(value.str()?.to_string()),
        "regions" => options.regions = names(value, "fairlead.regions")?,
        "fallbacks" => options.fallbacks = Some(names(value, "fairlead.fallbacks")?),
        "base_url" => options.base_url = Some(value.str()?.to_string()),
        "api_key" => options.api_key = Some(secret(value)?),
        other => {
            return Err(errors::misuse(
                value.py(),
                &format!(
                    "`fairlead.{other}`: unknown; known are user, tenant, key, session, priority, metadata, \
                     deadline, budget, max_retries, profile, regions, fallbacks, base_url and api_key"
                ),
            ));
        }
    }
    Ok(())
}

/// Seconds, or what is left of a deadline that several calls share; after its end nothing begins.
fn deadline(value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let Ok(shared) = value.cast::<Deadline>() else { return seconds(value, "fairlead.deadline") };
    let left = shared.get().left();
    if left.is_zero() {
        let length = shared.get().length().as_secs_f64();
        let message = format!("the deadline of {length} s passed before the call began");
        return Err(errors::exception(value.py(), &Error::new(Kind::Deadline, message)));
    }
    Ok(left)
}

/// US dollars for this call, a purse, or several; inside those it is in already.
fn budget(value: &Bound<'_, PyAny>, options: &mut CallOptions) -> PyResult<()> {
    if let Ok(several) = value.cast::<PyTuple>() {
        return several.iter().try_for_each(|one| budget(&one, options));
    }
    let inner = purse(value)?;
    let joined = options.purse.take().map(|outer| admit::Purse::joined(&inner, &outer));
    options.purse = Some(joined.unwrap_or(inner));
    Ok(())
}

fn purse(value: &Bound<'_, PyAny>) -> PyResult<Arc<admit::Purse>> {
    if let Ok(purse) = value.cast::<Purse>() {
        return Ok(Arc::clone(purse.get().shared()));
    }
    let most = value.extract().ok().and_then(primitives::dollars).ok_or_else(|| {
        let message = format!("`fairlead.budget`: expected US dollars, 0 or more, or a Purse: {value}");
        errors::misuse(value.py(), &message)
    })?;
    Ok(admit::Purse::new(most, None))
}

fn names(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Vec<String>> {
    if let Ok(one) = value.extract::<String>() {
        return Ok(vec![one]);
    }
    let several = value.extract();
    several.map_err(|_| errors::misuse(value.py(), &format!("`{name}`: expected a str or a list of them")))
}

fn secret(value: &Bound<'_, PyAny>) -> PyResult<config::Secret> {
    if let Ok(secret) = value.cast::<Secret>() {
        return Ok(config::Secret::new(secret.get().expose()));
    }
    let key = value.extract::<String>();
    key.map(config::Secret::new)
        .map_err(|_| errors::misuse(value.py(), "`fairlead.api_key`: expected a str or a Secret"))
}

fn priority(value: &Bound<'_, PyAny>, name: &str) -> PyResult<u8> {
    priority::parse(value.str()?.to_str()?).ok_or_else(|| {
        let names: Vec<&str> = priority::NAMES.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        errors::misuse(value.py(), &format!("`{name}`: expected 0 to 9 or one of {names}: {value}"))
    })
}

/// Attempts after the first.
pub(super) fn max_retries(value: &Bound<'_, PyAny>) -> PyResult<u32> {
    value
        .extract()
        .map_err(|_| errors::misuse(value.py(), &format!("`max_retries`: expected 0 or more: {value}")))
}

/// Text stays, `None` is left out, all else is its JSON text: as the request's own `metadata` is read.
fn metadata(value: &Bound<'_, PyAny>, into: &mut Vec<(String, String)>) -> PyResult<()> {
    for pair in mapping(value, "fairlead.metadata")?.items()?.iter() {
        let (name, value) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
        let name = name.str()?.to_string();
        if value.is_none() {
            into.retain(|(known, _)| *known != name);
        } else {
            put(into, name, fact(&value)?);
        }
    }
    Ok(())
}

/// What has no JSON form (a UUID) says itself as text.
fn fact(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = value.extract::<String>() {
        return Ok(text);
    }
    let Ok(json) = convert::json(value) else { return Ok(value.str()?.to_string()) };
    // A date, which is text in JSON.
    let text = serde_json::from_slice::<String>(&json);
    Ok(text.unwrap_or_else(|_| String::from_utf8_lossy(&json).into_owned()))
}

/// Headers by name; `None` and the "omit" sentinels remove one.
pub(super) fn headers(value: &Bound<'_, PyAny>, into: &mut Vec<(String, Option<String>)>) -> PyResult<()> {
    if value.is_none() {
        return Ok(());
    }
    for pair in mapping(value, "extra_headers")?.items()?.iter() {
        let (name, value) = pair.extract::<(String, Bound<'_, PyAny>)>()?;
        let removed = value.is_none() || convert::is_absent(&value);
        let value = if removed { None } else { Some(value.str()?.to_string()) };
        into.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        into.push((name, value));
    }
    Ok(())
}

/// The priority that a header says.
fn urgency(headers: &Bound<'_, PyAny>) -> PyResult<Option<u8>> {
    if headers.is_none() {
        return Ok(None);
    }
    for pair in mapping(headers, "extra_headers")?.items()?.iter() {
        let (name, value) = pair.extract::<(String, Bound<'_, PyAny>)>()?;
        if name.eq_ignore_ascii_case(priority::HEADER) && !value.is_none() && !convert::is_absent(&value) {
            return priority(&value, priority::HEADER).map(Some);
        }
    }
    Ok(None)
}

/// A number for every limit, `None` for none, or an object with `connect`, `read`, `write` and `pool`.
pub(super) fn timeout(value: &Bound<'_, PyAny>) -> PyResult<TimeoutOptions> {
    if value.is_none() || value.extract::<f64>().is_ok() {
        let all = Some(limit(value)?);
        return Ok(TimeoutOptions { connect: all, read: all, write: all, pool: all });
    }
    if !value.hasattr("connect")? {
        let found = value.get_type().name()?;
        return Err(errors::misuse(
            value.py(),
            &format!("`timeout`: expected seconds, None or a Timeout, not {found}"),
        ));
    }
    let part = |name: &str| limit(&value.getattr(name)?).map(Some);
    Ok(TimeoutOptions {
        connect: part("connect")?,
        read: part("read")?,
        write: part("write")?,
        pool: part("pool")?,
    })
}

fn limit(value: &Bound<'_, PyAny>) -> PyResult<Limit> {
    if value.is_none() {
        return Ok(Limit::Never);
    }
    seconds(value, "timeout").map(Limit::After)
}

fn seconds(value: &Bound<'_, PyAny>, name: &str) -> PyResult<Duration> {
    value
        .extract::<f64>()
        .ok()
        .filter(|seconds| !seconds.is_nan())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds.min(LONGEST)).ok())
        .ok_or_else(|| errors::misuse(value.py(), &format!("`{name}`: expected seconds, 0 or more: {value}")))
}

/// `value` as the argument `name`, which is a mapping.
pub(super) fn mapping<'py>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<Bound<'py, PyMapping>> {
    value.cast::<PyMapping>().cloned().map_err(|_| {
        let found = value.get_type().name().map_or_else(|_| "?".to_owned(), |found| found.to_string());
        errors::misuse(value.py(), &format!("`{name}`: expected a mapping, not {found}"))
    })
}

fn put(into: &mut Vec<(String, String)>, name: String, value: String) {
    into.retain(|(known, _)| *known != name);
    into.push((name, value));
}
