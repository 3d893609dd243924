//! Traces run through the engine in virtual time, for the command line.

use std::sync::Arc;

use pyo3::prelude::*;
use serde_json::{Map, Value, json};

use super::callables::Callables;
use super::config;
use super::errors;
use crate::config::load;
use crate::error::{Error, Kind};
use crate::simulate::{Poisson, Policy, Scenario, Trace, run};

/// Points of the plot.
const SPANS: usize = 120;

/// What would have become of the calls of `trace` (JSON lines) under the configuration in `source`, and without one,
/// while upstreams behave as `scenario` (TOML) has it: a summary by policy, and the phases of illness.
#[pyfunction]
#[pyo3(name = "_simulate")]
pub(super) fn simulate<'py>(
    source: &Bound<'py, PyAny>,
    trace: &str,
    scenario: &str,
    seed: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let py = source.py();
    let source = config::source(source, false, &mut Callables::default())?;
    let told = py.detach(|| {
        let loaded = load::load_without_secrets(source.as_ref())?;
        let (scenario, trace) = (Scenario::read(scenario)?, Arc::new(Trace::read(trace)?));
        let mut policies = Map::new();
        for policy in Policy::ALL {
            let outcome = run(&loaded.config, policy, &scenario, &trace, seed)?;
            let summary = serde_json::to_value(outcome.summary(SPANS));
            let summary = summary.map_err(|fault| Error::new(Kind::Internal, fault.to_string()))?;
            policies.insert(policy.name().to_owned(), summary);
        }
        let last = trace.arrivals.last().map_or(0.0, |arrival| arrival.at);
        let phases = scenario.phases.iter().map(|phase| {
            let to = phase.to.map_or(last, |to| to.as_secs_f64());
            json!({ "from": phase.from.as_secs_f64(), "to": to })
        });
        Ok(json!({ "policies": policies, "phases": phases.collect::<Vec<Value>>(), "seconds": last }))
    });
    let told = told.map_err(|error: Error| errors::exception(py, &error))?;
    Ok(pythonize::pythonize(py, &told)?)
}

/// A Poisson process as a trace: `rate` calls a second for so many `seconds`, prompts and answers of about so many
/// tokens (`sizes`).
#[pyfunction]
#[pyo3(name = "_trace")]
pub(super) fn trace(
    py: Python<'_>,
    rate: f64,
    seconds: f64,
    model: Option<String>,
    streams: f64,
    sizes: (f64, f64),
    seed: u64,
) -> PyResult<String> {
    let (input, output) = sizes;
    let trace = Poisson { rate, seconds, model, streams, input, output }.trace(seed);
    trace.written().map_err(|error| errors::exception(py, &error))
}
