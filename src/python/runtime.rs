//! The I/O threads: one tokio runtime a process, begun by the first call, begun anew in a forked child.

use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
#[cfg(debug_assertions)]
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::desk;
use super::errors;
#[cfg(debug_assertions)]
use crate::defect::{self, Stage};

/// Threads that move bytes, unless the first client says otherwise.
const IO_THREADS: usize = 1;

static RUNTIME: AtomicPtr<Runtime> = AtomicPtr::new(std::ptr::null_mut());
static GENERATION: AtomicU64 = AtomicU64::new(0);
static THREADS: AtomicUsize = AtomicUsize::new(IO_THREADS);
static TASKS: AtomicU64 = AtomicU64::new(0);
/// Taken by attached threads that do not detach while they hold it; a fork happens attached, so no child ever
/// inherits it locked.
static BUILDING: Mutex<()> = Mutex::new(());

/// How many forks lie between the first process and this one. What was made in another generation is not ours.
pub(super) fn generation() -> u64 {
    GENERATION.load(Ordering::Acquire)
}

/// Sets the number of I/O threads; without effect once they run.
pub(super) fn set_threads(threads: usize) {
    THREADS.store(threads.max(1), Ordering::Release);
}

/// The runtime of this process.
pub(super) fn get() -> PyResult<&'static Runtime> {
    if let Some(running) = running() {
        return Ok(running);
    }
    let _building = BUILDING.lock();
    if let Some(running) = running() {
        return Ok(running);
    }
    let built = Builder::new_multi_thread()
        .worker_threads(THREADS.load(Ordering::Acquire))
        .thread_name("fairlead-io")
        .enable_all()
        .build()
        .map_err(|cause| errors::lacking(&format!("the I/O threads could not be started: {cause}")))?;
    let built: &'static Runtime = Box::leak(Box::new(built));
    RUNTIME.store(std::ptr::from_ref(built).cast_mut(), Ordering::Release);
    Ok(built)
}

fn running() -> Option<&'static Runtime> {
    let pointer = RUNTIME.load(Ordering::Acquire);
    // SAFETY: the pointer is null or came from `Box::leak` above and is never freed.
    unsafe { pointer.as_ref() }
}

/// To be called in a forked child, where the threads of the parent's runtime do not exist: forgets the runtime
/// (it is never freed, its locks may be held by threads that are gone) and begins a new generation.
#[pyfunction]
#[pyo3(name = "_after_fork")]
pub(super) fn after_fork() {
    RUNTIME.store(std::ptr::null_mut(), Ordering::Release);
    desk::after_fork();
    TASKS.store(0, Ordering::Release);
    GENERATION.fetch_add(1, Ordering::AcqRel);
}

/// Tasks on the I/O threads that have not ended: calls, and streams that are being read.
#[pyfunction]
#[pyo3(name = "_tasks")]
pub(super) fn tasks() -> u64 {
    TASKS.load(Ordering::Acquire)
}

/// One task, while it lives.
pub(super) struct Alive(u64);

impl Alive {
    /// Counts a task of this generation.
    pub(super) fn new() -> Self {
        TASKS.fetch_add(1, Ordering::AcqRel);
        Self(generation())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if self.0 == generation() {
            TASKS.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Has the next call that comes to `stage` panic there; only where debug assertions are on.
#[cfg(debug_assertions)]
#[pyfunction]
#[pyo3(name = "_provoke")]
pub(super) fn provoke(stage: &str) -> PyResult<()> {
    let found = Stage::ALL.into_iter().find(|(name, _)| *name == stage);
    let (_, stage) = found.ok_or_else(|| PyValueError::new_err(format!("`{stage}` is no stage")))?;
    defect::provoke(stage);
    Ok(())
}
