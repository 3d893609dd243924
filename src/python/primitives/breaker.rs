//! A breaker around anything that can fail.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{seconds, share};
use crate::clock::{self, Rng};
use crate::error::Blow;
use crate::live::breaker::{self, Ask, Cause, Policy, Slow, Transition};

/// A breaker. All of it runs attached, so that no forked child inherits it locked.
#[pyclass(frozen, module = "fairlead._core")]
pub(super) struct Breaker {
    policy: Policy,
    shared: Arc<breaker::Breaker>,
}

#[pymethods]
impl Breaker {
    /// What is not given is the preset's: that for much traffic where it is `sensitive`, else the engine's own.
    #[new]
    #[pyo3(signature = (sensitive = false, *, consecutive = None, ratio = None, minimum = None, window = None,
        open = None, longest_open = None, probes = None, slow_after = None, slow_ratio = None))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        sensitive: bool,
        consecutive: Option<u32>,
        ratio: Option<f64>,
        minimum: Option<u32>,
        window: Option<f64>,
        open: Option<f64>,
        longest_open: Option<f64>,
        probes: Option<u32>,
        slow_after: Option<f64>,
        slow_ratio: Option<f64>,
    ) -> PyResult<Self> {
        let preset = if sensitive { Policy::SENSITIVE } else { Policy::DEFAULT };
        let time = |name: &str, given: Option<f64>, otherwise: Duration| {
            given.map_or(Ok(otherwise), |given| seconds(name, given))
        };
        let slow = match slow_after {
            Some(after) => Some(Slow {
                after: seconds("slow_after", after)?,
                share: slow_ratio.map_or(Ok(Slow::SHARE), |ratio| share("slow_ratio", ratio))?,
            }),
            None => None,
        };
        let open = time("open", open, preset.open)?;
        let policy = Policy {
            in_a_row: consecutive.unwrap_or(preset.in_a_row),
            failed: ratio.map_or(Ok(preset.failed), |ratio| share("ratio", ratio))?,
            least_calls: minimum.unwrap_or(preset.least_calls),
            slow,
            window: time("window", window, preset.window)?,
            open,
            longest_open: time("longest_open", longest_open, preset.longest_open.max(open))?,
            probes: probes.unwrap_or(preset.probes),
            ..preset
        };
        if policy.window.is_zero() || policy.open.is_zero() {
            return Err(PyValueError::new_err("`window` and `open` are more than 0 seconds"));
        }
        let shared = breaker::Breaker::new(clock::now(), Rng::from_machine().u64());
        Ok(Self { policy, shared: Arc::new(shared) })
    }

    /// May something be done? A pass; else the seconds to wait, without an end where it is isolated.
    fn ask<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let wait = match self.shared.ask(&self.policy, clock::now()) {
            Ask::Go(pass) => return Ok(Bound::new(py, Pass(Mutex::new(Some(pass))))?.into_any()),
            Ask::NotUntil(wait) => wait.as_secs_f64(),
            Ask::Isolated => f64::INFINITY,
        };
        Ok(wait.into_pyobject(py)?.into_any())
    }

    /// Lets nothing through until it is reset.
    fn isolate<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        told(py, self.shared.isolate(&self.policy, clock::now()))
    }

    /// As if it were new.
    fn reset<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        told(py, self.shared.reset(&self.policy, clock::now()))
    }

    /// `closed`, `open`, `half_open` or `isolated`.
    #[getter]
    fn state(&self) -> &'static str {
        self.shared.state(clock::now()).name()
    }

    /// All that is known of it.
    fn view<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let view = self.shared.view(&self.policy, clock::now());
        let told = PyDict::new(py);
        told.set_item("state", view.state.name())?;
        told.set_item("retry_after", view.wait.map(|wait| wait.as_secs_f64()))?;
        told.set_item("consecutive", view.evidence.in_a_row)?;
        told.set_item("calls", view.evidence.counts.calls)?;
        told.set_item("failed", view.evidence.counts.failed)?;
        told.set_item("slow", view.evidence.counts.slow)?;
        told.set_item("opened", view.evidence.times)?;
        let last: Vec<String> = view.evidence.last.iter().map(ToString::to_string).collect();
        told.set_item("last", last)?;
        Ok(told)
    }
}

/// Leave to do something once. Forgotten it says nothing.
#[pyclass(frozen, module = "fairlead._core")]
pub(super) struct Pass(Mutex<Option<breaker::Pass>>);

#[pymethods]
impl Pass {
    /// The change of state that the asking for it made.
    fn transition<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let transition = self.0.lock().as_mut().and_then(breaker::Pass::transition);
        told(py, transition)
    }

    /// It went well.
    fn succeeded<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let pass = self.0.lock().take();
        told(py, pass.and_then(|pass| pass.succeeded(clock::now())))
    }

    /// It failed with `cause`, a failure in the ratio `only` or a hard one; `retry_after` is the wait that was asked for.
    #[pyo3(signature = (cause, only_ratio = false, retry_after = None))]
    fn failed<'py>(
        &self,
        py: Python<'py>,
        cause: &str,
        only_ratio: bool,
        retry_after: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let wait = retry_after.map(|wait| seconds("retry_after", wait)).transpose()?;
        let Some(pass) = self.0.lock().take() else { return Ok(None) };
        let blow = if only_ratio { Blow::Ratio } else { Blow::Hard };
        told(py, pass.failed(blow, Cause::Named(Arc::from(cause)), wait, clock::now()))
    }

    /// Nothing is known of it; a probe's place is given back.
    fn forget(&self) {
        drop(self.0.lock().take());
    }
}

/// A change of state, as `fairlead.primitives` tells it.
fn told(py: Python<'_>, transition: Option<Transition>) -> PyResult<Option<Bound<'_, PyDict>>> {
    let Some(transition) = transition else { return Ok(None) };
    let told = PyDict::new(py);
    told.set_item("before", transition.from.name())?;
    told.set_item("after", transition.to.name())?;
    told.set_item("reason", transition.reason.name())?;
    told.set_item("message", transition.to_string())?;
    told.set_item("open_for", transition.open_for.map(|time| time.as_secs_f64()))?;
    Ok(Some(told))
}
