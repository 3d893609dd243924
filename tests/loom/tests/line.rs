//! The waiting line, in every interleaving: who waits is told, and who goes leaves nothing behind.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use fairlead_loom::clock;
use fairlead_loom::line::{Place, Queue, Settings, TurnedAway, Waiting};
use loom::future::block_on;
use loom::sync::Mutex;
use loom::thread;

/// Slots that are taken and given back under a lock, as limits are, and the line before them.
struct Slots {
    free: Mutex<usize>,
    line: Arc<Queue>,
}

/// The limit that everybody shares, or one of their own.
#[derive(Clone, Copy, Debug)]
enum Limit {
    Shared,
    Own,
}

impl Slots {
    fn new(free: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::new(free), line: Queue::new(Settings::default()) })
    }

    fn take(&self) -> bool {
        let mut free = self.free.lock().unwrap();
        let taken = free.checked_sub(1);
        *free = taken.unwrap_or(*free);
        taken.is_some()
    }

    fn give_back(&self) {
        *self.free.lock().unwrap() += 1;
        self.line.wake();
    }

    fn join(&self) -> Place {
        let deadline = clock::now() + Duration::from_secs(60);
        let who = Waiting { tenant: 1, weight: 1.0, priority: 5, cost: 1, deadline };
        self.line.join(who).unwrap()
    }

    /// As a call does it: past an empty line, else through it.
    async fn acquire(&self, limit: Limit) -> Result<(), TurnedAway> {
        if self.line.is_empty() && self.take() {
            return Ok(());
        }
        let mut place = self.join();
        place.turn().await?;
        while !self.take() {
            match limit {
                Limit::Shared => place.blocked(None, false).await?,
                Limit::Own => place.aside(7, None).await?,
            }
        }
        place.served(1);
        Ok(())
    }

    /// Nobody is left behind, and who comes next has its turn at once.
    fn assert_at_rest(&self, free: usize) {
        assert!(self.line.is_empty());
        let statistics = self.line.statistics();
        assert_eq!((statistics.depth, statistics.aside), ([0; 10], 0));
        assert_eq!(*self.free.lock().unwrap(), free);
        let mut place = self.join();
        assert!(poll(&mut place).is_some());
    }
}

/// Asks once whether it is a place's turn.
fn poll(place: &mut Place) -> Option<Result<(), TurnedAway>> {
    let mut turn = pin!(place.turn());
    match turn.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(answer) => Some(answer),
        std::task::Poll::Pending => None,
    }
}

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.or(Some(5));
    model.check(run);
}

#[test]
fn q1_what_is_given_back_while_somebody_tries_is_not_missed() {
    for limit in [Limit::Shared, Limit::Own] {
        model(move || {
            let slots = Slots::new(0);
            let giving = Arc::clone(&slots);
            let other = thread::spawn(move || giving.give_back());
            block_on(slots.acquire(limit)).unwrap();
            other.join().unwrap();
            slots.assert_at_rest(0);
        });
    }
}

#[test]
fn q1_two_who_want_the_one_slot_have_it_one_after_the_other() {
    for limit in [Limit::Shared, Limit::Own] {
        model(move || {
            let slots = Slots::new(1);
            let others = Arc::clone(&slots);
            let other = thread::spawn(move || {
                block_on(others.acquire(limit)).unwrap();
                others.give_back();
            });
            block_on(slots.acquire(limit)).unwrap();
            slots.give_back();
            other.join().unwrap();
            slots.assert_at_rest(1);
        });
    }
}

#[test]
fn q8_who_goes_while_it_is_given_the_turn_passes_it_on() {
    model(|| {
        let slots = Slots::new(0);
        let mut first = slots.join();
        assert!(poll(&mut first).is_some());
        let mut second = slots.join();
        let served = thread::spawn(move || first.served(1));
        let third = Arc::clone(&slots);
        let waiting = thread::spawn(move || {
            let mut place = third.join();
            block_on(place.turn()).unwrap();
            place.served(1);
        });
        // Whether or not it was its turn already.
        let _ = poll(&mut second);
        drop(second);
        served.join().unwrap();
        waiting.join().unwrap();
        slots.assert_at_rest(0);
    });
}

#[test]
fn q8_who_is_blocked_and_goes_leaves_the_way_free() {
    model(|| {
        let slots = Slots::new(0);
        let blocked = Arc::clone(&slots);
        let going = thread::spawn(move || {
            let mut place = blocked.join();
            assert!(poll(&mut place).is_some());
            if blocked.take() {
                blocked.give_back();
            } else {
                let mut wait = pin!(place.blocked(None, false));
                let _ = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
        });
        let giving = Arc::clone(&slots);
        let other = thread::spawn(move || giving.give_back());
        going.join().unwrap();
        other.join().unwrap();
        block_on(slots.acquire(Limit::Shared)).unwrap();
        slots.assert_at_rest(0);
    });
}
