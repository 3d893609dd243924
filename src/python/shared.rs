//! What all clients that share connections share: the engine, its configuration and the watch over it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::task::AbortHandle;

use super::callables::Hosted;
use super::config::{self, Given};
use super::errors;
use super::hooks::{Notice, Queue};
use super::runtime;
use crate::config::Config;
use crate::config::load;
use crate::config::problem;
use crate::config::reload::{Current, Outcome, Reloader};
use crate::config::watch::{self, Pace};
use crate::engine::Engine as Core;
use crate::error::{Error, Kind};
use crate::live::breaker::Transition;

/// What all clients that share connections share. Holds the configuration, so that a forked child can begin anew.
pub(super) struct Shared {
    pub(super) given: ArcSwap<Given>,
    /// Its callables that yield keys.
    pub(super) hosted: Hosted,
    pub(super) current: Arc<ArcSwap<Current>>,
    /// The generation that everything below it belongs to.
    pub(super) running: Mutex<(u64, Running)>,
    queue: Option<Arc<Queue>>,
    /// Seconds between two looks at the files, where they are watched.
    poll: Option<Duration>,
}

/// What lives in one process only.
pub(super) struct Running {
    pub(super) core: Arc<Core>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) watching: Option<Watching>,
}

/// A watch that ends with its owner.
pub(super) struct Watching(AbortHandle);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shared {
    pub(super) fn new(
        mut given: Given,
        queue: Option<Arc<Queue>>,
        poll: Option<Duration>,
    ) -> Result<Self, Error> {
        let hosted = Hosted::new(std::mem::take(&mut given.callables.keys));
        let loaded = load::load(given.source.as_ref(), Some(&given.arguments))?;
        let current = Arc::new(ArcSwap::from_pointee(Current::new(loaded)));
        let running = Self::run(&current, &hosted, queue.as_ref());
        let running = running.map_err(|error| problem::placed(error, &current.load().loaded.tree))?;
        let running = Mutex::new((runtime::generation(), running));
        Ok(Self { given: ArcSwap::from_pointee(given), hosted, current, running, queue, poll })
    }

    fn run(
        current: &Arc<ArcSwap<Current>>,
        hosted: &Hosted,
        queue: Option<&Arc<Queue>>,
    ) -> Result<Running, Error> {
        let core = Core::hosted(current.load().loaded.config.clone(), hosted.door())?;
        if let Some(queue) = queue {
            let (calls, breakers) = (Arc::clone(queue), Arc::clone(queue));
            core.metrics().add(Arc::<Queue>::clone(queue));
            core.on_settled(Some(Box::new(move |receipt| calls.push(receipt))));
            let told = move |deployment: &str, change: &Transition| {
                breakers.notice(Notice::of_breaker(deployment, change));
            };
            core.on_change(Some(Box::new(told)));
        }
        let engine = Arc::downgrade(&core);
        let apply = move |config: &Config| match engine.upgrade() {
            Some(core) => core.reload(config.clone()),
            None => Err(Error::new(Kind::ClientClosed, "the client was closed")),
        };
        let reloader = Arc::new(Reloader::new(Arc::clone(current), Box::new(apply)));
        Ok(Running { core, reloader, watching: None })
    }

    /// What runs in this process. The lock is only held attached, so no fork happens meanwhile.
    pub(super) fn running(&self) -> Result<MutexGuard<'_, (u64, Running)>, Error> {
        let mut running = self.running.lock();
        let generation = runtime::generation();
        if running.0 != generation {
            let was_closed = running.1.core.is_closed();
            let mut fresh = Self::run(&self.current, &self.hosted, self.queue.as_ref())?;
            if was_closed {
                fresh.core.close();
            } else if running.1.watching.is_some() {
                fresh.watching = self.watch(&fresh.reloader);
            }
            // The parent's sockets and locks are not ours to touch, not even to close.
            std::mem::forget(std::mem::replace(&mut *running, (generation, fresh)));
        }
        Ok(running)
    }

    /// What hooks raised, and receipts that were dropped.
    pub(super) fn hooks(&self) -> [u64; 2] {
        self.queue.as_ref().map(|queue| queue.counts()).unwrap_or_default()
    }

    pub(super) fn core(&self) -> Result<Arc<Core>, Error> {
        Ok(Arc::clone(&self.running()?.1.core))
    }

    /// Begins to watch the source; without effect where it is not to be watched.
    pub(super) fn watch(&self, reloader: &Arc<Reloader>) -> Option<Watching> {
        let (given, poll) = (self.given.load_full(), self.poll?);
        let (source, arguments) = (Arc::clone(&given.source), given.arguments.clone());
        let queue = self.queue.clone();
        let tell = move |outcome: Outcome| {
            if let (Some(queue), Some(notice)) = (&queue, Notice::of(&outcome)) {
                queue.notice(notice);
            }
        };
        let pace = Pace { poll, ..Pace::default() };
        let task = watch::watch(Arc::clone(reloader), source, arguments, pace, tell);
        Some(Watching(runtime::get().ok()?.spawn(task).abort_handle()))
    }

    pub(super) fn close(&self) {
        let mut running = self.running.lock();
        running.1.core.close();
        let watching = running.1.watching.take();
        if running.0 != runtime::generation() {
            std::mem::forget(watching);
        }
    }

    /// Reads the configuration again, or `source` from now on, and puts it into effect. Has anything changed?
    pub(super) fn reload(&self, py: Python<'_>, source: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        let told = |error: &Error| errors::exception(py, error);
        let (core, reloader) = {
            let running = self.running().map_err(|error| told(&error))?;
            (Arc::clone(&running.1.core), Arc::clone(&running.1.reloader))
        };
        if core.is_closed() {
            return Err(told(&Error::new(Kind::ClientClosed, "the client was closed")));
        }
        let next = match source {
            Some(source) => Arc::new(config::again(source, &self.given.load(), &self.hosted)?),
            None => self.given.load_full(),
        };
        let outcome = py.detach(|| reloader.look(next.source.as_ref(), &next.arguments));
        let changed = match outcome {
            Outcome::Unchanged => false,
            Outcome::Changed { .. } => true,
            Outcome::Failed(error) => return Err(told(&error)),
            Outcome::StillFailing => {
                let current = self.current.load();
                let known = current.problem.as_ref().map(told);
                return Err(known.unwrap_or_else(|| PyRuntimeError::new_err("the configuration is wrong")));
            }
        };
        if source.is_some() {
            self.given.store(next);
            let mut running = self.running().map_err(|error| told(&error))?;
            if running.1.watching.is_some() {
                running.1.watching = self.watch(&reloader);
            }
        }
        Ok(changed)
    }
}
