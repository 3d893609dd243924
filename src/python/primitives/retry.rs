//! How long to wait before something is tried again, and how often that may be.

use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::{seconds, share};
use crate::clock::{self, Rng};
use crate::python::runtime;
use crate::retry::allowance::{self, Allowed, Cost};
use crate::retry::backoff::{self, Jitter};
use crate::retry::policy::{Class, Policy};

/// How long to wait, by what failed and how often.
#[pyclass(frozen, module = "fairlead._core")]
pub(super) struct Backoff {
    policy: Policy,
    /// The chances of one process: a child that a fork made has its own.
    rng: Mutex<(u64, Rng)>,
}

impl Backoff {
    fn chance(&self) -> f64 {
        let generation = runtime::generation();
        let mut rng = self.rng.lock();
        if rng.0 != generation {
            *rng = (generation, Rng::from_machine());
        }
        rng.1.unit()
    }
}

#[pymethods]
impl Backoff {
    /// Steps that double from `base` to `cap` seconds, spread as `jitter` says; or those of a `preset`.
    #[new]
    #[pyo3(signature = (base, cap, jitter, preset = None))]
    fn new(base: f64, cap: f64, jitter: &str, preset: Option<&str>) -> PyResult<Self> {
        let jitter = match jitter {
            "full" => Jitter::Full,
            "equal" => Jitter::Equal,
            "decorrelated" => Jitter::Decorrelated,
            "none" => Jitter::None,
            other => {
                let message = format!("`jitter`: expected full, equal, decorrelated or none: {other}");
                return Err(PyValueError::new_err(message));
            }
        };
        let written = backoff::Backoff {
            jitter,
            ..backoff::Backoff::doubling(seconds("base", base)?, seconds("cap", cap)?)
        };
        let policy = match preset {
            None => Policy::alike(written),
            Some("hand_written") => Policy::HAND_WRITTEN,
            Some("tenacity") => Policy::TENACITY,
            Some("rising") => Policy::RISING,
            Some(other) => {
                let message = format!("`preset`: expected hand_written, tenacity or rising: {other}");
                return Err(PyValueError::new_err(message));
            }
        };
        Ok(Self { policy, rng: Mutex::new((runtime::generation(), Rng::from_machine())) })
    }

    /// Seconds to wait after the failure with this number, counted from 0. `previous` is the wait before it; `cause` is
    /// `throttled`, `connection`, `timeout` or `server`.
    #[pyo3(signature = (number, previous, cause))]
    fn wait(&self, number: u32, previous: Option<f64>, cause: &str) -> PyResult<f64> {
        let class = match cause {
            "throttled" => Class::Throttled,
            "connection" => Class::Connection,
            "timeout" => Class::Timeout,
            _ => Class::Server,
        };
        let previous = previous.map(|previous| seconds("previous", previous)).transpose()?;
        Ok(self.policy.backoff_of(class).wait(number, previous, self.chance()).as_secs_f64())
    }

    /// Seconds to wait where the other side asked for `wait`: never earlier, up to a tenth later.
    fn asked(&self, wait: f64) -> PyResult<f64> {
        Ok(backoff::asked(seconds("wait", wait)?, self.chance()).as_secs_f64())
    }
}

/// What retries draw on together.
#[pyclass(frozen, module = "fairlead._core")]
pub(super) struct Allowance {
    policy: allowance::Policy,
    shared: allowance::Allowance,
}

#[pymethods]
impl Allowance {
    /// So many retries for each first attempt, and so many a second whatever the traffic.
    #[new]
    fn new(ratio: f64, floor: f64) -> PyResult<Self> {
        let policy = allowance::Policy { share: share("ratio", ratio)?, floor: share("floor", floor)? };
        Ok(Self { policy, shared: allowance::Allowance::default() })
    }

    /// Something is tried for the first time.
    fn first(&self) {
        self.shared.first(clock::now());
    }

    /// May something be tried again? A yes is paid for, by half where throttling `cheaply` refused it.
    fn draw(&self, cheaply: bool) -> bool {
        let cost = if cheaply { Cost::Half } else { Cost::Whole };
        self.shared.draw(&self.policy, cost, clock::now()) == Allowed::Yes
    }

    /// Whole retries that could be drawn now.
    #[getter]
    fn balance(&self) -> f64 {
        self.shared.balance(&self.policy, clock::now())
    }
}
