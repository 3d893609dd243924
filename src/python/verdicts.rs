//! Rules that are Python callables: asked in the caller's own thread, before the call begins.

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::call::CallOptions;

/// What one rule says, or why it cannot.
type Verdict = Result<bool, String>;

/// What each of `rules` says of a call, by position. The log tells of one that raises.
pub(super) fn verdicts(
    rules: &[Py<PyAny>],
    params: &Bound<'_, PyDict>,
    options: &CallOptions,
) -> PyResult<Vec<Verdict>> {
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let py = params.py();
    let call = params.copy()?;
    call.set_item(intern!(py, "fairlead"), caller(py, options)?)?;
    rules.iter().map(|rule| verdict(rule.bind(py), &call)).collect()
}

fn verdict(rule: &Bound<'_, PyAny>, call: &Bound<'_, PyDict>) -> PyResult<Verdict> {
    let py = rule.py();
    match rule.call1((call,)).and_then(|said| truth(&said)) {
        Err(raised) if raised.is_instance_of::<PyException>(py) => {
            let details = PyDict::new(py);
            details.set_item("exc_info", raised.value(py))?;
            let log = py.import("logging")?.call_method1("getLogger", ("fairlead",))?;
            let message = "the rule %r could not say whether it holds, and was passed over";
            log.call_method("warning", (message, rule), Some(&details))?;
            Ok(Err(raised.to_string()))
        }
        said => said.map(Ok),
    }
}

/// A coroutine would be true whatever it would say.
fn truth(said: &Bound<'_, PyAny>) -> PyResult<bool> {
    if said.hasattr(intern!(said.py(), "__await__"))? {
        said.call_method0(intern!(said.py(), "close"))?;
        return Err(PyTypeError::new_err("a rule is asked at once: it cannot be an async function"));
    }
    said.is_truthy()
}

/// Who calls, under the names of the `fairlead=` argument.
fn caller<'py>(py: Python<'py>, options: &CallOptions) -> PyResult<Bound<'py, PyDict>> {
    let caller = PyDict::new(py);
    caller.set_item("user", &options.user)?;
    caller.set_item("tenant", &options.tenant)?;
    caller.set_item("key", &options.key)?;
    caller.set_item("session", &options.session)?;
    caller.set_item("priority", options.priority)?;
    let metadata = PyDict::new(py);
    for (name, value) in &options.metadata {
        metadata.set_item(name, value)?;
    }
    caller.set_item("metadata", metadata)?;
    Ok(caller)
}
