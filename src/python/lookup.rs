//! What the command line asks for: what is known of providers, the catalogue's word on a model, and what profiles set.

use pyo3::prelude::*;
use serde_json::{Map, Value, json};

use super::callables::Callables;
use super::config;
use super::errors;
use crate::config::{Profile, load, profiles};
use crate::provider::catalogue::{self, Entry, Known};
use crate::provider::name::{self, Name};
use crate::provider::presets::all as all_presets;

/// The providers that are known by name: where they are, and which variables hold their keys, addresses and models.
#[pyfunction]
#[pyo3(name = "_presets")]
pub(super) fn presets(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let rows: Vec<Value> = all_presets()
        .iter()
        .map(|preset| {
            json!({
                "id": preset.id,
                "base_url": preset.base_url,
                "base_url_env": preset.base_url_env,
                "key_env": preset.key_env,
                "key_required": preset.key_required,
                "model_env": preset.model_env,
            })
        })
        .collect();
    Ok(pythonize::pythonize(py, &rows)?)
}

/// The models of the catalogue that `name` (`provider/model`, or a model at any provider) means, and the nearest
/// names where it means none.
#[pyfunction]
#[pyo3(name = "_models")]
pub(super) fn models<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let found: Vec<_> = match name::parse(name) {
        Name::Qualified { preset, model } => catalogue::find(preset.id, &model).into_iter().collect(),
        Name::Bare(bare) => catalogue::all().filter(|entry| entry.model == bare).collect(),
    };
    let nearest = if found.is_empty() { catalogue::nearest(name) } else { Vec::new() };
    let told =
        json!({ "models": found.iter().map(|entry| row(entry)).collect::<Vec<_>>(), "nearest": nearest });
    Ok(pythonize::pythonize(py, &told)?)
}

/// What every profile of the configuration in `source` sets, the built-in ones included.
#[pyfunction]
#[pyo3(name = "_profiles")]
pub(super) fn profiles_of<'py>(source: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = source.py();
    let source = config::source(source, false, &mut Callables::default())?;
    let loaded = load::load(source.as_ref(), None).map_err(|error| errors::exception(py, &error))?;
    let all = profiles(&loaded.config).into_iter().map(|(name, profile)| (name, profile_row(&profile)));
    Ok(pythonize::pythonize(py, &all.collect::<Map<_, _>>())?)
}

fn profile_row(profile: &Profile) -> Value {
    let seconds = |limit: Option<std::time::Duration>| limit.map(|limit| json!(limit.as_secs_f64()));
    let members = [
        ("total", seconds(profile.total)),
        ("attempt", seconds(profile.attempt)),
        ("first_token", seconds(profile.first_token)),
        ("idle", seconds(profile.idle)),
        ("max_retries", profile.max_retries.map(|count| json!(count))),
        ("priority", profile.priority.map(|level| json!(level))),
        ("concurrency", profile.concurrency.map(|count| json!(count))),
    ];
    members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<Map<_, _>>()
        .into()
}

fn row(entry: &'static Entry) -> Value {
    // Short of every tier, and a thousand thousands are a million.
    let per_million = |input: u64, output: u64| {
        entry.prices.as_ref()?.expected(input, output).map(|cost| cost.as_usd() * 1000.0)
    };
    let can = &entry.capabilities;
    let known = [
        ("tools", can.tools),
        ("vision", can.vision),
        ("json_schema", can.json_schema),
        ("reasoning", can.reasoning),
        ("audio", can.audio),
        ("pdf", can.pdf),
        ("prompt_cache", can.prompt_cache),
    ];
    let capabilities = known.into_iter().filter(|(_, known)| *known == Known::Yes).map(|(name, _)| name);
    json!({
        "provider": entry.provider,
        "model": entry.model,
        "mode": entry.mode,
        "context_window": entry.context_window,
        "max_output": entry.max_output,
        "capabilities": capabilities.collect::<Vec<_>>(),
        "rejects": catalogue::rejects(entry),
        "input": per_million(1000, 0),
        "output": per_million(0, 1000),
        "since": entry.since,
        "retires": entry.retires,
        "successor": catalogue::successor(entry.provider, entry.model),
        "source": entry.source,
    })
}
