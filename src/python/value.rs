//! JSON text to Python objects, exactly as `json.loads` makes them.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyFloat, PyInt, PyList, PyString};

use crate::chat::json::{Raw, Str, ValueKind};

/// The Python object that `raw` says.
pub(super) fn value<'py>(py: Python<'py>, raw: Raw<'_>) -> PyResult<Bound<'py, PyAny>> {
    match raw.kind() {
        ValueKind::Null => Ok(py.None().into_bound(py)),
        ValueKind::Bool => (raw.text() == "true").into_bound_py_any(py),
        ValueKind::Number => number(py, raw.text()),
        ValueKind::String => {
            raw.string().map_or_else(|| Ok(py.None().into_bound(py)), |text| string(py, text))
        }
        ValueKind::Array => Ok(list(py, raw)?.into_any()),
        ValueKind::Object => Ok(dict(py, raw)?.into_any()),
    }
}

/// The members of an object; of several with one name the last wins.
pub(super) fn dict<'py>(py: Python<'py>, raw: Raw<'_>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (key, member) in raw.fields() {
        dict.set_item(string(py, key)?, value(py, member)?)?;
    }
    Ok(dict)
}

fn list<'py>(py: Python<'py>, raw: Raw<'_>) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for item in raw.items() {
        list.append(value(py, item)?)?;
    }
    Ok(list)
}

/// The text of a string. Surrogates without a partner survive: Python strings can hold them, Rust's cannot.
pub(super) fn string<'py>(py: Python<'py>, text: Str<'_>) -> PyResult<Bound<'py, PyAny>> {
    if !text.has_escapes() {
        return Ok(PyString::new(py, text.raw()).into_any());
    }
    let decoded = text.decode();
    if decoded.contains(char::REPLACEMENT_CHARACTER) {
        return loads(py, &format!("\"{}\"", text.raw()));
    }
    Ok(PyString::new(py, &decoded).into_any())
}

fn number<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    if text.contains(['.', 'e', 'E']) {
        return Ok(PyFloat::new(py, text.parse().unwrap_or(f64::NAN)).into_any());
    }
    if let Ok(small) = text.parse::<i64>() {
        return Ok(PyInt::new(py, small).into_any());
    }
    // Python refuses to read integers of more than 4,300 digits; a reply that was accepted must stay readable.
    py.get_type::<PyInt>().call1((text,)).or_else(|_| py.get_type::<PyFloat>().call1((text,)))
}

fn loads<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    LOADS.import(py, "json", "loads")?.call1((text,))
}
