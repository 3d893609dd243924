//! One event loop's way to learn what the I/O threads have finished.
//!
//! The I/O threads put numbered results into the [`Inbox`]; the first one after a drain wakes the loop through a
//! file descriptor, the others ride along. The [`Port`] maps numbers to futures and lives on the loop's side only.
//! It holds no reference to the loop: the loop holds it, through its reader callback.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit, intern};
use tokio::task::AbortHandle;

use super::client::Endpoint;
use super::errors;
use super::runtime;
use super::task::Done;
use crate::admit::Leave;

/// What the I/O threads see of a port.
#[derive(Debug)]
pub(super) struct Inbox {
    done: Mutex<Vec<(u64, Done)>>,
    armed: AtomicBool,
    /// Written to by the I/O threads; closed with the last of them that knows this inbox, so that nobody ever
    /// writes to a number that has come to mean another file.
    wake: File,
    /// Read by the loop. The same file on Linux.
    woken: File,
}

impl Inbox {
    fn new() -> std::io::Result<Self> {
        let (wake, woken) = signal()?;
        Ok(Self { done: Mutex::default(), armed: AtomicBool::new(false), wake, woken })
    }

    /// Leaves what call `id` came to, and wakes the loop unless it has been.
    pub(super) fn put(&self, id: u64, done: Done) {
        self.done.lock().push((id, done));
        if !self.armed.swap(true, Ordering::AcqRel) {
            // A full pipe means that the loop has been woken already.
            let _ = (&self.wake).write(&1_u64.to_ne_bytes());
        }
    }

    fn take(&self) -> Vec<(u64, Done)> {
        let mut count = [0_u8; 8];
        let _ = (&self.woken).read(&mut count);
        self.armed.store(false, Ordering::Release);
        std::mem::take(&mut *self.done.lock())
    }
}

/// Both ends of a non-blocking signal.
#[cfg(target_os = "linux")]
fn signal() -> std::io::Result<(File, File)> {
    // SAFETY: no pointers are passed.
    let number = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
    if number < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just opened and belongs to nobody else.
    let file = File::from(unsafe { OwnedFd::from_raw_fd(number) });
    Ok((file.try_clone()?, file))
}

/// Both ends of a non-blocking signal.
#[cfg(not(target_os = "linux"))]
fn signal() -> std::io::Result<(File, File)> {
    let (wake, woken) = std::os::unix::net::UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    woken.set_nonblocking(true)?;
    Ok((File::from(OwnedFd::from(wake)), File::from(OwnedFd::from(woken))))
}

/// How to give up what runs on the I/O threads.
pub(super) struct Abort {
    pub(super) task: AbortHandle,
    /// The line it stands in is left at once, whenever the task learns of its end.
    pub(super) place: Option<Leave>,
}

impl Abort {
    pub(super) fn now(&self) {
        self.task.abort();
        if let Some(place) = &self.place {
            place.now();
        }
    }
}

impl From<AbortHandle> for Abort {
    fn from(task: AbortHandle) -> Self {
        Self { task, place: None }
    }
}

/// Who waits for a number.
struct Waiter {
    future: Py<PyAny>,
    /// How to give the call up; none for a stream that merely waits for its next chunk.
    abort: Option<Abort>,
    endpoint: Option<Py<Endpoint>>,
}

/// The futures of one event loop.
#[pyclass(frozen, weakref, module = "fairlead._core")]
pub(super) struct Port {
    inbox: Arc<Inbox>,
    waiting: Mutex<HashMap<u64, Waiter>>,
    next: AtomicU64,
    generation: u64,
}

impl Port {
    /// The inbox and the number for a new wait.
    pub(super) fn ticket(&self) -> PyResult<(Arc<Inbox>, u64)> {
        if self.generation != runtime::generation() {
            return Err(PyRuntimeError::new_err("this event loop belongs to the process before the fork"));
        }
        Ok((Arc::clone(&self.inbox), self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// Resolves `future` when number `id` is done.
    pub(super) fn wait(
        &self,
        id: u64,
        future: Py<PyAny>,
        abort: Option<Abort>,
        endpoint: Option<Py<Endpoint>>,
    ) {
        self.waiting.lock().insert(id, Waiter { future, abort, endpoint });
    }

    fn resolve(py: Python<'_>, waiter: &Waiter, done: Done) -> PyResult<()> {
        let future = waiter.future.bind(py);
        if future.call_method0(intern!(py, "done"))?.is_truthy()? {
            return Ok(());
        }
        match done.into_python(py, waiter.endpoint.as_ref().map(|endpoint| endpoint.bind(py))) {
            Ok(value) => future.call_method1(intern!(py, "set_result"), (value,))?,
            Err(error) => future.call_method1(intern!(py, "set_exception"), (error.into_value(py),))?,
        };
        Ok(())
    }
}

#[pymethods]
impl Port {
    #[new]
    fn new() -> PyResult<Self> {
        Ok(Self {
            inbox: Arc::new(Inbox::new().map_err(|cause| errors::lacking(&cause.to_string()))?),
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
            generation: runtime::generation(),
        })
    }

    /// The descriptor that becomes readable when there is something to drain.
    fn fileno(&self) -> i32 {
        self.inbox.woken.as_raw_fd()
    }

    /// Resolves the futures of everything that is done; to be called on the loop.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        let mut first_error = Ok(());
        for (id, done) in self.inbox.take() {
            let waiter = self.waiting.lock().remove(&id);
            // Without a waiter the call was cancelled: its result is dropped here, a stream closes with it.
            let Some(waiter) = waiter else { continue };
            let resolved = Self::resolve(py, &waiter, done);
            first_error = first_error.and(resolved);
        }
        first_error
    }

    /// Gives number `id` up: aborts its task, and drops its result if that was ready but not drained yet.
    fn cancel(&self, id: u64) {
        let waiter = self.waiting.lock().remove(&id);
        if let Some(abort) = waiter.and_then(|waiter| waiter.abort) {
            abort.now();
        }
    }

    /// Gives everything up; for loops that are closed.
    fn close(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        for abort in waiting.into_values().filter_map(|waiter| waiter.abort) {
            abort.now();
        }
        drop(self.inbox.take());
    }

    /// Futures that wait.
    fn pending(&self) -> usize {
        self.waiting.lock().len()
    }

    #[expect(clippy::needless_pass_by_value, reason = "the shape PyO3 asks for")]
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(waiting) = self.waiting.try_lock() else { return Ok(()) };
        waiting.values().try_for_each(|waiter| visit.call(&waiter.future))
    }

    fn __clear__(&self) {
        if self.generation == runtime::generation() {
            self.close();
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if self.generation == runtime::generation() {
            self.close();
        }
    }
}
