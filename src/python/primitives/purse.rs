//! Money that the calls of a scope share.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::admit;
use crate::provider::price::Nano;

/// So many US dollars, for all calls that hold it.
#[pyclass(frozen, module = "fairlead._core")]
pub(in crate::python) struct Purse(Arc<admit::Purse>);

impl Purse {
    /// The purse that calls hold.
    pub(in crate::python) fn shared(&self) -> &Arc<admit::Purse> {
        &self.0
    }
}

/// So many US dollars.
pub(in crate::python) fn dollars(amount: f64) -> Option<Nano> {
    (amount >= 0.0 && amount.is_finite()).then(|| Nano::from_usd(amount))
}

#[pymethods]
impl Purse {
    #[new]
    fn new(most: f64) -> PyResult<Self> {
        let most = dollars(most).ok_or_else(|| {
            PyValueError::new_err(format!("`most`: expected US dollars, 0 or more: {most}"))
        })?;
        Ok(Self(admit::Purse::new(most, None)))
    }

    /// How much is in it when it is full, in US dollars.
    #[getter]
    fn most(&self) -> f64 {
        self.0.most().as_usd()
    }

    /// How much was spent or is set aside for attempts that run, in US dollars.
    #[getter]
    fn spent(&self) -> f64 {
        self.0.taken().as_usd()
    }

    /// What is left, in US dollars.
    #[getter]
    fn left(&self) -> f64 {
        Nano(self.0.most().0.saturating_sub(self.0.taken().0)).as_usd()
    }

    fn __repr__(&self) -> String {
        format!("Purse(most={}, spent={})", self.most(), self.spent())
    }
}
