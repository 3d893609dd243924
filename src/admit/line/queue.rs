//! A line that many tasks stand in at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::away::TurnedAway;
use super::joining::Line;
use super::place::Place;
use super::settings::{Settings, nanos};
use super::statistics::Statistics;
use super::waiter::{Newcomer, Standing, Ticket};
use crate::clock::{self, Instant};
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// Who wants to wait.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Whose call it is: a hash.
    pub tenant: u64,
    /// The tenant's share beside other tenants; taken as 0.001 to 1,000.
    pub weight: f64,
    /// 0 to 9, higher first; what is above counts as 9.
    pub priority: u8,
    /// What it is expected to use, in tokens.
    pub cost: u64,
    /// The longest it can wait.
    pub deadline: Instant,
}

/// A line that many tasks stand in at once.
#[derive(Debug)]
pub struct Queue {
    began: Instant,
    /// How many are in the line, and how many in it or aside: what is asked without the lock.
    waiting: AtomicUsize,
    present: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    line: Line,
    wakers: BTreeMap<Ticket, Waker>,
}

impl Queue {
    /// An empty line.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            began: clock::now(),
            waiting: AtomicUsize::new(0),
            present: AtomicUsize::new(0),
            state: Mutex::new(State { line: Line::new(settings), wakers: BTreeMap::new() }),
        })
    }

    /// From here on these numbers hold; who waits already stays.
    pub fn set(&self, settings: Settings) {
        self.change(|line, _| line.set(settings));
    }

    /// Is nobody in the line? Then a call may try at once. Those aside are not in anyone's way. One atomic load.
    pub fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0
    }

    /// Is nobody there, not even aside? One atomic load.
    pub fn is_deserted(&self) -> bool {
        self.present.load(Ordering::SeqCst) == 0
    }

    /// Joins the line. Whoever tried without it and found no room joins and tries [at its turn](Place::turn), at once if
    /// nobody is before it: what became free in between is not missed.
    ///
    /// # Errors
    ///
    /// The line is full, or it would take too long.
    pub fn join(self: &Arc<Self>, who: Waiting) -> Result<Place, TurnedAway> {
        let newcomer = Newcomer {
            tenant: who.tenant,
            weight: who.weight,
            priority: who.priority,
            cost: who.cost,
            deadline: self.since_began(who.deadline),
        };
        let (ticket, deadline) = self.change(|line, now| {
            let ticket = line.join(newcomer, now)?;
            Ok((ticket, line.deadline(ticket)))
        })?;
        let deadline = self.began.checked_add(Duration::from_nanos(deadline)).unwrap_or(who.deadline);
        Ok(Place::new(Arc::clone(self), ticket, deadline.min(who.deadline)))
    }

    /// Something was given back: the head of the line tries again, and whoever is aside. Where nobody waits, one atomic
    /// load.
    pub fn wake(&self) {
        if !self.is_deserted() {
            self.change(Line::freed);
        }
    }

    /// When somebody in it was served last, or when it began.
    pub fn last_served(&self) -> Instant {
        self.began + Duration::from_nanos(self.state.lock().line.last_served())
    }

    /// Where the line stands, and what it has done.
    pub fn statistics(&self) -> Statistics {
        self.state.lock().line.statistics()
    }

    /// Changes the line, then wakes those for whom that is news.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut Line, u64) -> R) -> R {
        self.change_and_forget(None, change)
    }

    /// The same, and the holder of a ticket is not waiting any longer.
    pub(super) fn change_and_forget<R>(
        &self,
        gone: Option<Ticket>,
        change: impl FnOnce(&mut Line, u64) -> R,
    ) -> R {
        let mut state = self.state.lock();
        let result = change(&mut state.line, self.since_began(clock::now()));
        self.waiting.store(state.line.len(), Ordering::SeqCst);
        self.present.store(state.line.present(), Ordering::SeqCst);
        let forgotten = gone.and_then(|ticket| state.wakers.remove(&ticket));
        let news = state.line.news();
        let woken: Vec<Waker> = news.iter().filter_map(|ticket| state.wakers.remove(ticket)).collect();
        // To wake or drop a waker may run anything, such as the drop of a place.
        drop(state);
        drop(forgotten);
        woken.into_iter().for_each(Waker::wake);
        result
    }

    /// Is it the turn of a ticket? If not, `waker` is told when it is.
    pub(super) fn look(&self, ticket: Ticket, waker: &Waker) -> Poll<Result<(), TurnedAway>> {
        let mut state = self.state.lock();
        let answer = match state.line.standing(ticket) {
            Standing::Offered => {
                state.line.tries();
                Poll::Ready(Ok(()))
            }
            Standing::Away(away) => Poll::Ready(Err(away)),
            // Taken out from elsewhere: whoever waits here is about to be told so, too.
            Standing::Gone => {
                let (waited, retry_after) = (Duration::ZERO, Duration::ZERO);
                Poll::Ready(Err(TurnedAway::TimedOut { waited, retry_after }))
            }
            Standing::Waiting | Standing::Aside => Poll::Pending,
        };
        let known = match (answer.is_ready(), state.wakers.get(&ticket)) {
            (true, _) => state.wakers.remove(&ticket),
            (false, Some(known)) if known.will_wake(waker) => None,
            (false, _) => state.wakers.insert(ticket, waker.clone()),
        };
        drop(state);
        drop(known);
        answer
    }

    fn since_began(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.began))
    }
}
