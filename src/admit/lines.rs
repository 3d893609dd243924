//! All the lines of an engine: one for each route that calls wait for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::line::{PRIORITIES, Queue, Settings};
use crate::config;

/// Lines that nobody waits in are dropped when there are as many.
const KEPT: usize = 256;

/// All the lines of an engine.
#[derive(Debug, Default)]
pub struct Lines {
    queues: Mutex<HashMap<String, Arc<Queue>>>,
    /// Calls that wait, in whichever line.
    waiting: AtomicUsize,
}

/// A call that waits; dropping it takes it off the count.
#[derive(Debug)]
pub struct Crowd<'a>(&'a Lines);

impl Lines {
    /// Does anybody wait? One look, no lock: most of the time nobody does.
    pub fn is_crowded(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// A call begins to wait.
    pub fn enter(&self) -> Crowd<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Crowd(self)
    }

    /// The line with this name.
    pub fn of(&self, name: &str, written: &config::Queue) -> Arc<Queue> {
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.get(name) {
            queue.set(settings(written));
            return Arc::clone(queue);
        }
        if queues.len() >= KEPT {
            queues.retain(|_, queue| !queue.is_empty() || Arc::strong_count(queue) > 1);
        }
        let queue = Queue::new(settings(written));
        queues.insert(name.to_owned(), Arc::clone(&queue));
        queue
    }

    /// Calls that stand in line, by the priority they came with.
    pub fn depth(&self) -> [usize; PRIORITIES] {
        let mut all = [0; PRIORITIES];
        for queue in self.queues.lock().values() {
            for (sum, depth) in all.iter_mut().zip(queue.statistics().depth) {
                *sum += depth;
            }
        }
        all
    }

    /// Calls that wait aside, for limits of their own.
    pub fn aside(&self) -> usize {
        self.queues.lock().values().map(|queue| queue.statistics().aside).sum()
    }

    /// Something was given back: the head of every line tries again. Where they wait for the same, the line that was
    /// served longest ago is the first to try.
    pub fn wake(&self) {
        if self.is_crowded() {
            let queues = self.queues.lock();
            let mut waiting: Vec<_> = queues.values().filter(|queue| !queue.is_deserted()).collect();
            waiting.sort_by_cached_key(|queue| queue.last_served());
            for queue in waiting {
                queue.wake();
            }
        }
    }
}

fn settings(written: &config::Queue) -> Settings {
    Settings {
        most: written.most.unwrap_or(usize::MAX),
        most_per_tenant: written.most_per_tenant.unwrap_or(usize::MAX),
        aging: written.aging,
        overload_target: written.overload_target,
        overload_interval: written.overload_interval,
        ..Settings::default()
    }
}

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
