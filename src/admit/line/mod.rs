//! placeholder
use crate::clock::{self, Instant};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct Queue {
    order: Mutex<VecDeque<u64>>,
    next: AtomicU64,
    moved: Notify,
}
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub tenant: u64,
    pub weight: f64,
    pub priority: u8,
    pub cost: u64,
    pub deadline: Instant,
}
#[derive(Clone, Copy, Debug)]
pub enum TurnedAway {
    Full { retry_after: Duration },
    TimedOut { retry_after: Duration },
}
#[derive(Debug)]
pub struct Place {
    queue: Arc<Queue>,
    id: u64,
    deadline: Instant,
}
impl Queue {
    pub fn is_empty(&self) -> bool {
        self.order.lock().is_empty()
    }
    pub fn join(self: &Arc<Self>, who: Waiting) -> Result<Place, TurnedAway> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut order = self.order.lock();
        if order.len() >= 1000 {
            return Err(TurnedAway::Full { retry_after: Duration::from_secs(1) });
        }
        order.push_back(id);
        Ok(Place { queue: Arc::clone(self), id, deadline: who.deadline })
    }
    pub fn wake(&self) {
        self.moved.notify_waiters();
    }
}
impl Place {
    pub async fn turn(&mut self) -> Result<(), TurnedAway> {
        loop {
            let moved = self.queue.moved.notified();
            if self.queue.order.lock().front() == Some(&self.id) {
                return Ok(());
            }
            tokio::select! { () = moved => {}, () = clock::sleep_until(self.deadline) => return Err(TurnedAway::TimedOut { retry_after: Duration::from_secs(1) }) }
        }
    }
    pub async fn blocked(&mut self, wait: Option<Duration>) -> Result<(), TurnedAway> {
        let until = wait.map_or(self.deadline, |w| clock::now() + w);
        let moved = self.queue.moved.notified();
        tokio::select! { () = moved => {}, () = clock::sleep_until(until) => {} }
        if clock::now() >= self.deadline {
            return Err(TurnedAway::TimedOut { retry_after: Duration::from_secs(1) });
        }
        self.turn().await
    }
    pub fn step_aside(&mut self) {
        self.queue.order.lock().retain(|id| *id != self.id);
        self.queue.wake();
    }
    pub fn rejoin(&mut self) {
        self.queue.order.lock().push_front(self.id);
    }
    pub fn served(self) {}
}
impl Drop for Place {
    fn drop(&mut self) {
        self.queue.order.lock().retain(|id| *id != self.id);
        self.queue.wake();
    }
}
