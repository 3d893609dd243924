//! An end that several calls share.

use std::time::Duration;

use pyo3::prelude::*;

use super::seconds;
use crate::clock::{self, Instant};

/// So many seconds from its making on, on the monotonic clock.
#[pyclass(frozen, subclass, module = "fairlead._core")]
pub(in crate::python) struct Deadline {
    length: Duration,
    end: Instant,
}

impl Deadline {
    /// How long it was at its beginning.
    pub(in crate::python) fn length(&self) -> Duration {
        self.length
    }

    /// What is left of it.
    pub(in crate::python) fn left(&self) -> Duration {
        self.end.saturating_duration_since(clock::now())
    }
}

#[pymethods]
impl Deadline {
    #[new]
    fn new(seconds: f64) -> PyResult<Self> {
        let length = self::seconds("seconds", seconds)?;
        let now = clock::now();
        Ok(Self { length, end: now.checked_add(length).unwrap_or(now) })
    }

    /// How long it was at its beginning, in seconds.
    #[getter]
    fn seconds(&self) -> f64 {
        self.length.as_secs_f64()
    }

    /// Seconds that are left, never below 0.
    #[getter]
    fn remaining(&self) -> f64 {
        self.left().as_secs_f64()
    }

    /// Is nothing left?
    #[getter]
    fn expired(&self) -> bool {
        self.left().is_zero()
    }
}
