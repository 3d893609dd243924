//! One limit: taken at once, awaited, or waited for in a thread.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;

use super::seconds;
use crate::admit::{self, InLine, Late, Share, Taking};
use crate::clock::{self, Instant};
use crate::error::{Error, Failure, Kind, LimitReached};
use crate::live::hash;
use crate::python::errors;
use crate::python::port::{Abort, Port};
use crate::python::runtime::{self, Alive};
use crate::python::task::{self, Done, Recipient};
use crate::store::{Limit, Measure, Oversize, Scope, Window};

/// The largest whole number below which a float holds every one.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// In which parts of the caller's units the store counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grain {
    /// Whole ones.
    One,
    /// Buckets are refilled all the time.
    Millionth,
}

impl Grain {
    fn of(kind: &str) -> Self {
        if kind == "token_bucket" { Self::Millionth } else { Self::One }
    }

    /// How many of the store's units one of the caller's is.
    fn parts(self) -> f64 {
        match self {
            Self::One => 1.0,
            Self::Millionth => 1_000_000.0,
        }
    }

    /// Can it count `amount`?
    fn holds(self, amount: f64) -> bool {
        let is_whole = self == Self::Millionth || amount.fract() == 0.0;
        amount >= 0.0 && amount * self.parts() <= EXACT && is_whole
    }

    fn units(self, amount: f64) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to fit")]
        let units = (amount * self.parts()).round() as u64;
        units
    }
}

/// What a limit is, as it was asked for.
struct Terms {
    /// What it is called in errors.
    name: String,
    limit: Limit,
    /// What the limit allows, in the caller's own units.
    most: f64,
    /// The most that can be had at once.
    whole: f64,
    grain: Grain,
}

/// One limit. A forked child counts for itself, from nothing.
#[pyclass(frozen, module = "fairlead._core")]
pub(super) struct Limiter {
    terms: Arc<Terms>,
    /// Taken by attached threads that do not detach while they hold it, so that no child inherits it locked.
    running: Mutex<(u64, admit::Limiter)>,
}

impl Terms {
    fn new(kind: &str, most: f64, per: f64, burst: Option<f64>, name: String) -> PyResult<Self> {
        let grain = Grain::of(kind);
        let whole = burst.unwrap_or(most);
        for amount in [most, whole] {
            if !grain.holds(amount) || grain.units(amount) == 0 {
                let message = format!("{name}: a limit is above 0 and no more than can be counted: {amount}");
                return Err(PyValueError::new_err(message));
            }
        }
        let length = seconds("per", per)?;
        if length.is_zero() && kind != "concurrency" {
            return Err(PyValueError::new_err(format!("{name}: `per` is more than 0 seconds")));
        }
        let (measure, window) = match kind {
            "token_bucket" => (Measure::Requests, Window::Bucket { per: length, burst: grain.units(whole) }),
            "sliding" => (Measure::Requests, Window::Sliding { length }),
            "log" => (Measure::Requests, Window::Log { length }),
            "concurrency" => (Measure::Concurrency, Window::Concurrency),
            other => return Err(PyValueError::new_err(format!("`{other}` is no kind of limit"))),
        };
        let limit = Limit {
            scope: Scope::Global,
            measure,
            identity: Arc::from(name.as_str()),
            most: grain.units(most),
            window,
            oversize: Oversize::Reject,
            shadow: false,
        };
        Ok(Self { name, limit, most, whole, grain })
    }

    /// `n` in the store's units.
    fn amount(&self, n: f64) -> PyResult<u64> {
        let Self { name, whole, grain, .. } = self;
        if n > *whole {
            let message = format!("{name}: {n} is more than its capacity of {whole} and will never fit");
            return Err(PyValueError::new_err(message));
        }
        if !grain.holds(n) {
            let message = format!("{name}: expected an amount, 0 or more: {n}");
            return Err(PyValueError::new_err(message));
        }
        Ok(grain.units(n))
    }

    fn late(&self, late: Late) -> Error {
        let (waited, again) = (late.waited.as_secs_f64(), late.retry_after.as_secs_f64());
        let message = format!("{} has no room: waited {waited:.2} s, room in about {again:.2} s", self.name);
        let window = match self.limit.window.length() {
            Some(length) => format!("{} s", length.as_secs_f64()),
            None => "at once".to_owned(),
        };
        let limit = LimitReached {
            measure: self.limit.measure.name(),
            scope: "process",
            most: Some(self.most),
            window,
            resets_at: None,
        };
        Error::from_failure(Failure {
            retry_after: Some(late.retry_after),
            limit: Some(Box::new(limit)),
            ..Failure::new(Kind::QueueTimeout, message)
        })
    }
}

/// Of many subjects which; 0 is everybody.
fn subject(key: Option<&str>) -> u64 {
    key.map_or(0, |key| hash::hash([key]).max(1))
}

/// What is to be taken.
struct Wanted {
    amount: u64,
    subject: u64,
    until: Option<Instant>,
}

impl Limiter {
    fn current(&self) -> admit::Limiter {
        let generation = runtime::generation();
        let mut running = self.running.lock();
        if running.0 != generation {
            let fresh = (generation, admit::Limiter::new(self.terms.limit.clone()));
            // Its locks may be held by threads that do not exist in this process.
            std::mem::forget(std::mem::replace(&mut *running, fresh));
        }
        running.1.clone()
    }

    fn wanted(&self, n: f64, timeout: Option<f64>, key: Option<&str>) -> PyResult<Wanted> {
        let timeout = timeout.map(|timeout| seconds("timeout", timeout)).transpose()?;
        let until = timeout.and_then(|timeout| clock::now().checked_add(timeout));
        Ok(Wanted { amount: self.terms.amount(n)?, subject: subject(key), until })
    }

    /// Joins the line at once, so that those who ask first are served first, and waits on the I/O threads.
    fn spawn(&self, py: Python<'_>, wanted: &Wanted, recipient: Recipient) -> PyResult<Abort> {
        let runtime = runtime::get()?;
        let in_line = self.current().line_up(wanted.amount, wanted.subject);
        let in_line = in_line.map_err(|late| errors::exception(py, &self.terms.late(late)))?;
        let place = Some(in_line.leave());
        let task = wait(in_line, wanted.until, Arc::clone(&self.terms), recipient, Alive::new());
        Ok(Abort { task: runtime.spawn(task).abort_handle(), place })
    }
}

async fn wait(
    in_line: InLine,
    until: Option<Instant>,
    terms: Arc<Terms>,
    recipient: Recipient,
    alive: Alive,
) {
    let _alive = alive;
    let room = AssertUnwindSafe(in_line.room(until)).catch_unwind().await;
    recipient.tell(match room {
        Ok(Ok(share)) => Done::Share(share),
        Ok(Err(late)) => Done::Failed(terms.late(late)),
        Err(_) => Done::Failed(errors::internal()),
    });
}

#[pymethods]
impl Limiter {
    /// `kind` is `token_bucket`, `sliding`, `log` or `concurrency`; `most` in `per` seconds, `burst` of it at once;
    /// errors call it `name`.
    #[new]
    #[pyo3(signature = (kind, most, per, name, burst = None))]
    fn new(kind: &str, most: f64, per: f64, name: String, burst: Option<f64>) -> PyResult<Self> {
        let terms = Terms::new(kind, most, per, burst, name)?;
        let limiter = admit::Limiter::new(terms.limit.clone());
        Ok(Self { terms: Arc::new(terms), running: Mutex::new((runtime::generation(), limiter)) })
    }

    /// Takes `n` for `key` if there is room and nobody waits for it.
    #[pyo3(signature = (n = 1.0, key = None))]
    fn try_take(&self, n: f64, key: Option<&str>) -> PyResult<Option<Lease>> {
        match self.current().try_take(self.terms.amount(n)?, subject(key)) {
            Taking::Taken(share) => Ok(Some(Lease::new(share))),
            Taking::NotYet(_) => Ok(None),
        }
    }

    /// Takes `n` for `key` when there is room; returns the future of a lease and the number to cancel it by.
    #[pyo3(signature = (port, event_loop, n = 1.0, timeout = None, key = None))]
    fn start_take<'py>(
        &self,
        port: &Bound<'py, Port>,
        event_loop: &Bound<'py, PyAny>,
        n: f64,
        timeout: Option<f64>,
        key: Option<&str>,
    ) -> PyResult<(Bound<'py, PyAny>, u64)> {
        let wanted = self.wanted(n, timeout, key)?;
        let (inbox, id) = port.get().ticket()?;
        let future = event_loop.call_method0(intern!(event_loop.py(), "create_future"))?;
        let abort = self.spawn(event_loop.py(), &wanted, Recipient::Loop(inbox, id))?;
        port.get().wait(id, future.clone().unbind(), Some(abort), None);
        Ok((future, id))
    }

    /// Takes `n` for `key` and waits until there is room, looking at signals now and then.
    #[pyo3(signature = (n = 1.0, timeout = None, key = None))]
    fn block_take<'py>(
        &self,
        py: Python<'py>,
        n: f64,
        timeout: Option<f64>,
        key: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wanted = self.wanted(n, timeout, key)?;
        let (sender, receiver) = mpsc::sync_channel(1);
        let abort = self.spawn(py, &wanted, Recipient::Thread(sender))?;
        task::listen(py, receiver, &abort)?.into_python(py, None)
    }

    /// What is in use for `key`, in the caller's units.
    #[pyo3(signature = (key = None))]
    fn used(&self, key: Option<&str>) -> f64 {
        self.current().used(subject(key)) as f64 / self.terms.grain.parts()
    }

    /// How many wait: for `key`, or all.
    #[pyo3(signature = (key = None))]
    fn waiting(&self, key: Option<&str>) -> usize {
        self.current().waiting(key.map(|key| subject(Some(key))))
    }
}

/// What was taken. Forgotten it goes back; kept it is used up.
#[pyclass(frozen, module = "fairlead._core")]
pub(in crate::python) struct Lease {
    generation: u64,
    since: Instant,
    share: Mutex<Option<Share>>,
}

impl Lease {
    /// A lease of `share`.
    pub(in crate::python) fn new(share: Share) -> Self {
        let (generation, since) = (runtime::generation(), share.since());
        Self { generation, since, share: Mutex::new(Some(share)) }
    }

    fn take(&self) -> Option<Share> {
        let share = self.share.lock().take()?;
        if self.generation == runtime::generation() {
            return Some(share);
        }
        // It belongs to the parent, and so do the locks it would take.
        std::mem::forget(share);
        None
    }
}

#[pymethods]
impl Lease {
    /// It is used up.
    fn keep(&self) {
        if let Some(share) = self.take() {
            share.keep();
        }
    }

    /// It goes back.
    fn release(&self) {
        drop(self.take());
    }

    /// Seconds since it was granted.
    #[getter]
    fn age(&self) -> f64 {
        let age: Duration = clock::now().saturating_duration_since(self.since);
        age.as_secs_f64()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.take());
    }
}
