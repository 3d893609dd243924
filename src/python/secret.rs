//! A key as Python holds it: it can be handed on, never read.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// A key that does not show itself: not in `repr`, `str` or `vars`, not by pickling, not in tracebacks.
#[pyclass(frozen, eq, hash, module = "fairlead")]
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Secret(String);

impl Secret {
    /// The key itself.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

#[pymethods]
impl Secret {
    #[new]
    #[pyo3(signature = (value, /))]
    fn new(value: String) -> Self {
        Self(value)
    }

    #[expect(clippy::unused_self, reason = "the shape of a Python method")]
    fn __repr__(&self) -> &'static str {
        "Secret('***')"
    }

    fn __bool__(&self) -> bool {
        !self.0.is_empty()
    }

    #[expect(clippy::unused_self, reason = "the shape of a Python method")]
    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a Secret cannot be pickled"))
    }
}
