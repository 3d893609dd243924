//! What the engine counts, waits, retries and breaks with, one piece at a time, for code that is no call.
//!
//! The shape of these classes is that of the work; their typed faces, with the forms in which they guard a function, are
//! in `fairlead.primitives`.

mod breaker;
mod deadline;
mod limiter;
mod purse;
mod retry;

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

pub(super) use deadline::Deadline;
pub(super) use limiter::Lease;
pub(super) use purse::{Purse, dollars};

/// A century, for times too large to add to a clock.
const LONGEST: f64 = 3.2e9;

/// Adds the classes to the module.
pub(super) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<breaker::Breaker>()?;
    module.add_class::<breaker::Pass>()?;
    module.add_class::<deadline::Deadline>()?;
    module.add_class::<limiter::Lease>()?;
    module.add_class::<limiter::Limiter>()?;
    module.add_class::<purse::Purse>()?;
    module.add_class::<retry::Allowance>()?;
    module.add_class::<retry::Backoff>()
}

/// A time that `name` gives in seconds.
fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    // `min` would take a century where there is no number.
    let bounded = if value.is_nan() { value } else { value.min(LONGEST) };
    Duration::try_from_secs_f64(bounded)
        .map_err(|_| PyValueError::new_err(format!("`{name}`: expected seconds, 0 or more: {value}")))
}

/// A share between 0 and 1, or more where more means never.
fn share(name: &str, value: f64) -> PyResult<f64> {
    if value >= 0.0 {
        return Ok(value);
    }
    Err(PyValueError::new_err(format!("`{name}`: expected a share, 0 or more: {value}")))
}
