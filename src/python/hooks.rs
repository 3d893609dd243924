//! Receipts on their way to the one Python thread that tells hooks and loggers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use pyo3::prelude::*;

use super::reply;
use crate::settle::Receipt;

/// Receipts that wait to be told; beyond that the oldest are dropped and counted.
const MOST: usize = 10_000;

/// A bounded queue of receipts. The I/O threads only enqueue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    receipts: Mutex<VecDeque<Arc<Receipt>>>,
    arrived: Condvar,
    dropped: AtomicU64,
}

impl Queue {
    /// Adds one, never waits.
    pub(super) fn push(&self, receipt: &Arc<Receipt>) {
        let mut receipts = self.receipts.lock();
        if receipts.len() == MOST {
            receipts.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        receipts.push_back(Arc::clone(receipt));
        self.arrived.notify_one();
    }

    fn take(&self, patience: Duration) -> Vec<Arc<Receipt>> {
        let mut receipts = self.receipts.lock();
        if receipts.is_empty() {
            self.arrived.wait_for(&mut receipts, patience);
        }
        receipts.drain(..).collect()
    }
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

    /// Ends a wait before its time.
    fn wake(&self) {
        self.0.arrived.notify_all();
    }

    /// Receipts that were dropped because nobody took them in time.
    #[getter]
    fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}
