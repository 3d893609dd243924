//! All the lines of an engine: one for each route that calls wait for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::line::{PRIORITIES, Queue, Settings};
use super::refusal::Refusal;
use crate::clock::{self, Instant};
use crate::config;

/// Lines that nobody waits in are dropped when there are as many.
const KEPT: usize = 256;

/// A line, and what its head waits for.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) queue: Arc<Queue>,
    blocked: Mutex<Option<(Refusal, Instant)>>,
}

impl Lane {
    /// Its head was refused, or was not.
    pub(super) fn blocks(&self, refusal: Option<&Refusal>) {
        *self.blocked.lock() = refusal.map(|refusal| (refusal.clone(), clock::now()));
    }

    /// What its head was refused for, as it is now.
    pub(super) fn blocked(&self) -> Option<Refusal> {
        let (refusal, at) = self.blocked.lock().clone()?;
        Some(refusal.later(clock::now().saturating_duration_since(at)))
    }
}

/// All the lines of an engine.
#[derive(Debug, Default)]
pub struct Lines {
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
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
    pub(super) fn of(&self, name: &str, written: &config::Queue) -> Arc<Lane> {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.get(name) {
            lane.queue.set(settings(written));
            return Arc::clone(lane);
        }
        if lanes.len() >= KEPT {
            lanes.retain(|_, lane| !lane.queue.is_empty() || Arc::strong_count(lane) > 1);
        }
        let lane = Arc::new(Lane { queue: Queue::new(settings(written)), blocked: Mutex::default() });
        lanes.insert(name.to_owned(), Arc::clone(&lane));
        lane
    }

    /// Calls that stand in line, by the priority they came with.
    pub fn depth(&self) -> [usize; PRIORITIES] {
        let mut all = [0; PRIORITIES];
        for lane in self.lanes.lock().values() {
            for (sum, depth) in all.iter_mut().zip(lane.queue.statistics().depth) {
                *sum += depth;
            }
        }
        all
    }

    /// Calls that wait aside, for limits of their own.
    pub fn aside(&self) -> usize {
        self.lanes.lock().values().map(|lane| lane.queue.statistics().aside).sum()
    }

    /// Something was given back: the head of every line tries again. Where they wait for the same, the line that was
    /// served longest ago is the first to try.
    pub fn wake(&self) {
        if self.is_crowded() {
            let lanes = self.lanes.lock();
            let queues = lanes.values().map(|lane| &lane.queue);
            let mut waiting: Vec<_> = queues.filter(|queue| !queue.is_deserted()).collect();
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
