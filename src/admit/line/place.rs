//! A place in the line.

use std::future::{self, Future as _};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::away::TurnedAway;
use super::queue::Queue;
use super::waiter::Ticket;
use crate::clock::{self, Instant};

/// A place in the line. Dropping it leaves the line, in whatever state, and passes on the turn if it had it.
///
/// Its futures may be dropped and begun again at any time. All of them answer that it is this one's turn to try, and
/// then, or with an error, at the latest at the deadline.
#[derive(Debug)]
#[must_use = "dropping it leaves the line"]
pub struct Place {
    queue: Arc<Queue>,
    ticket: Ticket,
    deadline: Instant,
    served: bool,
}

impl Place {
    pub(super) fn new(queue: Arc<Queue>, ticket: Ticket, deadline: Instant) -> Self {
        Self { queue, ticket, deadline, served: false }
    }

    /// What leaves it from elsewhere.
    pub fn leave(&self) -> Leave {
        Leave { queue: Arc::clone(&self.queue), ticket: self.ticket }
    }

    /// The longest it waits: its deadline, or less where the line is overloaded.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When it would be worth coming back after leaving now.
    pub fn retry_after(&self) -> Duration {
        self.queue.change(|line, now| line.retry_after(self.ticket, now))
    }

    /// Waits for its turn to try. Whoever was blocked or aside tries again.
    ///
    /// # Errors
    ///
    /// It gave way to another, or waited as long as it could.
    pub async fn turn(&mut self) -> Result<(), TurnedAway> {
        self.queue.change(|line, now| line.again(self.ticket, now));
        self.stand(None).await
    }

    /// It tried, and found no room under a limit that others share: waits until something was given back or `wait` is
    /// over, and until nobody is before it. `is_known`: there is none before, and so the wait is no overload.
    ///
    /// # Errors
    ///
    /// It gave way to another, or waited as long as it could.
    pub async fn blocked(&mut self, wait: Option<Duration>, is_known: bool) -> Result<(), TurnedAway> {
        let known = wait.filter(|_| is_known);
        self.queue.change(|line, now| line.blocked(self.ticket, known, now));
        self.stand(wait).await
    }

    /// It tried, and found no room under a limit of its `own`, of its user for example: waits out of the line, in nobody's
    /// way, until something was given back or `wait` is over; then in the line, with the age it has. `own` is the same
    /// number for all who wait for the same limit: of those, the first tries, and the next when it was served.
    ///
    /// # Errors
    ///
    /// It gave way to another, or waited as long as it could.
    pub async fn aside(&mut self, own: u64, wait: Option<Duration>) -> Result<(), TurnedAway> {
        self.queue.change(|line, now| line.step_aside(self.ticket, own, now));
        self.stand(wait).await
    }

    /// It found room, and uses `cost` tokens: the next tries. Tells how long it waited.
    pub fn served(mut self, cost: u64) -> Duration {
        self.served = true;
        self.queue.change_and_forget(Some(self.ticket), |line, now| line.serve(self.ticket, cost, now))
    }

    /// Waits for its turn; after `wait` it asks for one.
    async fn stand(&self, wait: Option<Duration>) -> Result<(), TurnedAway> {
        let again =
            wait.and_then(|wait| clock::now().checked_add(wait)).filter(|again| *again < self.deadline);
        let mut waiting_for = again;
        let mut timer = pin!(clock::wake_at(again.unwrap_or(self.deadline)));
        future::poll_fn(|task| {
            loop {
                if let Poll::Ready(answer) = self.queue.look(self.ticket, task.waker()) {
                    return Poll::Ready(answer);
                }
                if timer.as_mut().poll(task).is_pending() {
                    return Poll::Pending;
                }
                if waiting_for.take().is_some() {
                    self.queue.change(|line, now| line.again(self.ticket, now));
                    timer.set(clock::wake_at(self.deadline));
                } else {
                    self.queue.change(|line, now| line.expire(self.ticket, now));
                }
            }
        })
        .await
    }
}

/// Leaves a place in the line for whoever holds it, who cannot be reached at once.
#[derive(Debug)]
pub struct Leave {
    queue: Arc<Queue>,
    ticket: Ticket,
}

impl Leave {
    /// Nobody waits there any longer. What the place does later is without effect.
    pub fn now(&self) {
        self.queue.change_and_forget(Some(self.ticket), |line, now| line.leave(self.ticket, now));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.served {
            self.leave().now();
        }
    }
}
