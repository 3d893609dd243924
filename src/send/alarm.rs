//! One timer for all limits of an attempt.
//!
//! The earliest of the limits is what matters; most of them move further away with every byte. So the timer is
//! set once and looked at when it rings: if its limit has moved meanwhile, it is set again. A busy stream costs
//! no timer operation per chunk.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use crate::clock::{self, Instant};
use crate::error::Kind;

/// A limit in force: when it ends, and what has failed if it does.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// The end.
    pub at: Instant,
    /// The kind of timeout.
    pub kind: Kind,
    /// How long the limit was, for the message.
    pub limit: Duration,
}

impl Due {
    /// `limit` counted from `start`.
    pub fn after(start: Instant, limit: Duration, kind: Kind) -> Self {
        Self { at: later(start, limit), kind, limit }
    }

    /// The earlier of two.
    #[must_use]
    pub fn or_sooner(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.at < self.at => other,
            _ => self,
        }
    }
}

/// `start + limit`, bounded: a limit of years is no limit.
pub fn later(start: Instant, limit: Duration) -> Instant {
    start + limit.min(Duration::from_hours(24 * 365))
}

/// The timer.
#[derive(Debug)]
pub struct Alarm {
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    /// A timer set for `due`.
    pub fn new(due: Due) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(due.at)) }
    }

    /// Ready when `due` has passed.
    pub fn poll(&mut self, cx: &mut Context<'_>, due: Due) -> Poll<()> {
        if due.at < self.sleep.deadline() {
            self.sleep.as_mut().reset(due.at);
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            if clock::now() >= due.at {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(due.at);
        }
        Poll::Pending
    }

    /// Awaits `future` under the limit that `due` names each time it is asked.
    ///
    /// # Errors
    ///
    /// The limit that ended first.
    pub async fn guard<F: Future>(
        &mut self,
        future: F,
        mut due: impl FnMut() -> Due + Send,
    ) -> Result<F::Output, Due> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            let due = due();
            self.poll(cx, due).map(|()| Err(due))
        })
        .await
    }
}
