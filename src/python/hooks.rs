//! Receipts on their way to the one Python thread that tells hooks and loggers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

use super::reply;
use crate::config::reload::Outcome;
use crate::live::breaker::{State, Transition};
use crate::settle::Receipt;
use crate::settle::metrics::{Exposition, Source, Type};

/// Receipts that wait to be told; beyond that the oldest are dropped and counted.
const MOST: usize = 10_000;

/// A bounded queue of receipts. The I/O threads only enqueue.
///
/// Its locks are the standard library's: threads that wait on others are remembered in a table of the whole process,
/// which a forked child would read when those threads are no more.
#[derive(Debug, Default)]
pub(super) struct Queue {
    receipts: Mutex<VecDeque<Arc<Receipt>>>,
    notices: Mutex<VecDeque<Notice>>,
    arrived: Condvar,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// What the log is told beside calls.
#[derive(Debug)]
pub(super) struct Notice {
    /// Is it told only where calls are logged too?
    quiet: bool,
    failed: bool,
    sentence: String,
}

impl Notice {
    /// What came of another look at the configuration, where that is worth a line.
    pub(super) fn of(outcome: &Outcome) -> Option<Self> {
        match outcome {
            Outcome::Unchanged | Outcome::StillFailing => None,
            Outcome::Changed { version } => {
                Some(Self { quiet: false, failed: false, sentence: format!("configuration {version} holds") })
            }
            Outcome::Failed(error) => {
                let sentence = format!("the last good configuration stays: {error}");
                Some(Self { quiet: false, failed: true, sentence })
            }
        }
    }
}

impl Notice {
    /// What the breaker of a deployment did.
    pub(super) fn of_breaker(deployment: &str, change: &Transition) -> Self {
        let failed = matches!(change.to, State::Open | State::Isolated);
        Self { quiet: true, failed, sentence: format!("the breaker of {deployment} {change}") }
    }
}

impl Source for Queue {
    fn write(&self, out: &mut Exposition) {
        let [errors, dropped] = self.counts();
        out.single("hook_errors_total", Type::Counter, "What hooks raised.", errors);
        let help = "Receipts that no hook was told, because earlier ones had not been taken.";
        out.single("hook_dropped_total", Type::Counter, help, dropped);
    }
}

impl Queue {
    /// How often a hook or a log handler raised, and how many receipts they were too slow for.
    pub(super) fn counts(&self) -> [u64; 2] {
        [&self.failed, &self.dropped].map(|count| count.load(Ordering::Relaxed))
    }

    /// Adds what the log is told, never waits.
    pub(super) fn notice(&self, notice: Notice) {
        let mut notices = held(&self.notices);
        if notices.len() < MOST {
            notices.push_back(notice);
        }
        drop(notices);
        // Under the lock of the receipts, so that who is about to wait cannot miss it.
        let _receipts = held(&self.receipts);
        self.arrived.notify_one();
    }

    /// Adds one, never waits.
    pub(super) fn push(&self, receipt: &Arc<Receipt>) {
        let mut receipts = held(&self.receipts);
        if receipts.len() == MOST {
            receipts.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        receipts.push_back(Arc::clone(receipt));
        self.arrived.notify_one();
    }

    fn take(&self, patience: Duration) -> Vec<Arc<Receipt>> {
        let mut receipts = held(&self.receipts);
        if receipts.is_empty() {
            let waited = self.arrived.wait_timeout(receipts, patience);
            receipts = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(receipts, _)| receipts);
        }
        receipts.drain(..).collect()
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The Python end of the queue.
#[pyclass(frozen, module = "fairlead._core")]
#[derive(Default)]
pub(super) struct Feed(Arc<Queue>);

impl Feed {
    /// The end that the engine fills.
    pub(super) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.0)
    }
}

#[pymethods]
impl Feed {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Waits up to `seconds` for receipts and takes all there are.
    fn take<'py>(&self, py: Python<'py>, seconds: f64) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let patience = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let receipts = py.detach(|| self.0.take(patience));
        receipts.iter().map(|told| reply::receipt(py, told)).collect()
    }

    /// Takes what the log is to be told beside calls: is it told only with calls, did something fail, and a sentence.
    fn notices(&self) -> Vec<(bool, bool, String)> {
        let told = |notice: Notice| (notice.quiet, notice.failed, notice.sentence);
        held(&self.0.notices).drain(..).map(told).collect()
    }

    /// Ends a wait before its time.
    fn wake(&self) {
        self.0.arrived.notify_all();
    }

    /// Notes that a hook or a log handler raised.
    fn hook_failed(&self) {
        self.0.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Receipts that were dropped because nobody took them in time.
    #[getter]
    fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}
