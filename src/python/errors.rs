//! Errors of the core as the Python classes of `fairlead.errors`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::config::problem::Problem;
use crate::error::{Attempt, Error, Kind};

/// The exception for `error`.
pub(super) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    exception_of(py, error, "POST")
}

/// The exception for `error`, of a request with `method`.
pub(super) fn exception_of(py: Python<'_>, error: &Error, method: &str) -> PyErr {
    let exception = build(py, error, method).map_or_else(|failed| failed, PyErr::from_value);
    if let Some(cause) = error.cause() {
        exception.set_cause(py, Some(exception_of(py, cause, method)));
    }
    exception
}

/// A `ConfigError` about the caller's own arguments.
pub(super) fn misuse(py: Python<'_>, sentence: &str) -> PyErr {
    exception(py, &Error::new(Kind::Config, sentence))
}

/// A `LocalResourceError`: this machine has no descriptor, or no thread, left for us.
pub(super) fn lacking(sentence: &str) -> PyErr {
    Python::attach(|py| exception(py, &Error::new(Kind::LocalResource, sentence)))
}

/// What a call fails with that met a panic.
pub(super) fn internal() -> Error {
    Error::new(Kind::Internal, "a defect in fairlead ended this call; other calls are not affected")
}

/// What `work` yields; a panic in it is an `InternalError`, not an exception that nobody catches.
pub(super) fn guarded<T>(py: Python<'_>, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(exception(py, &internal())))
}

fn build<'py>(py: Python<'py>, error: &Error, method: &str) -> PyResult<Bound<'py, PyAny>> {
    static FROM_CORE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let from_core = FROM_CORE.import(py, "fairlead.errors", "_from_core")?;
    from_core.call1((error.kind().name(), error.to_string(), fields(py, error, method)?))
}

fn fields<'py>(py: Python<'py>, error: &Error, method: &str) -> PyResult<Bound<'py, PyDict>> {
    let failure = error.failure();
    let fields = PyDict::new(py);
    fields.set_item("status_code", failure.status)?;
    fields.set_item("headers", failure.headers.clone())?;
    fields.set_item("content", content(py, &failure.body))?;
    fields.set_item("code", failure.code.as_deref())?;
    fields.set_item("type", failure.error_type.as_deref())?;
    fields.set_item("param", failure.param.as_deref())?;
    fields.set_item("request_id", failure.request_id.as_deref())?;
    fields.set_item("retry_after", error.retry_after().map(|wait| wait.as_secs_f64()))?;
    fields.set_item("is_retryable", error.is_retryable())?;
    fields.set_item("in_band", failure.in_band)?;
    fields.set_item("partial", failure.partial.as_str())?;
    fields.set_item("model", error.model())?;
    fields.set_item("deployment", error.deployment())?;
    fields.set_item("provider", error.provider())?;
    fields.set_item("url", error.url())?;
    fields.set_item("method", method)?;
    fields.set_item("retry_denied", error.retry_denied())?;
    fields.set_item("attempts", attempts(py, error.attempts())?)?;
    if let Some(limit) = &failure.limit {
        fields.set_item("limit_type", limit.measure)?;
        fields.set_item("scope", limit.scope)?;
        fields.set_item("limit", limit.most)?;
        fields.set_item("window", limit.window.as_str())?;
        fields.set_item("resets_at", limit.resets_at.map(|at| at.as_secs_f64()))?;
    }
    if error.kind() == Kind::Config {
        fields.set_item("problems", problems(py, error.problems())?)?;
    }
    Ok(fields)
}

/// What `fairlead.errors.Problem` is made from.
pub(super) fn problems<'py>(py: Python<'py>, problems: &[Problem]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for problem in problems {
        let line = PyDict::new(py);
        let at = problem.at.as_ref();
        line.set_item("path", problem.path.as_str())?;
        line.set_item("message", problem.message.as_str())?;
        line.set_item("suggestion", problem.suggestion.as_deref())?;
        line.set_item("file", at.map(|at| &*at.file))?;
        line.set_item("line", at.map(|at| at.line).filter(|line| *line != 0))?;
        line.set_item("column", at.map(|at| at.column).filter(|column| *column != 0))?;
        list.append(line)?;
    }
    Ok(list)
}

fn content<'py>(py: Python<'py>, body: &Bytes) -> Bound<'py, PyBytes> {
    PyBytes::new(py, body)
}

fn attempts<'py>(py: Python<'py>, attempts: &[Attempt]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for attempt in attempts {
        let line = PyDict::new(py);
        line.set_item("deployment", attempt.deployment.as_str())?;
        line.set_item("error", attempt.kind.map(Kind::name))?;
        line.set_item("status_code", attempt.status)?;
        line.set_item("duration", attempt.duration.as_secs_f64())?;
        line.set_item("request_id", attempt.request_id.as_deref())?;
        line.set_item("counted", attempt.counted)?;
        list.append(line)?;
    }
    Ok(list)
}
