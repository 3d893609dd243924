//! One limit by itself, with a line before it: for whoever wants to hold code of their own to it, counted and waited for
//! as the engine does.
//!
//! Whoever finds no room waits in the line of its subject, first come, first served. Nobody overtakes, neither by asking
//! for less nor by not waiting. How long a wait would be is not foretold from how quickly the line moved before: only one
//! that the limit itself makes too long ends before its time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::line::{Leave, Place, Queue, Settings, TurnedAway, Waiting};
use crate::clock::{self, Instant};
use crate::store::{Account, Charge, Hold, Limit, Memory, Reserved, Reserving, Store, When};
use crate::sync::Mutex;

/// Whoever waits without an end waits for a century.
const LONGEST: Duration = Duration::from_secs(3_200_000_000);

/// First come, first served, however many wait and however long.
const PATIENT: Settings = Settings {
    most: usize::MAX,
    most_per_tenant: usize::MAX,
    aging: Duration::ZERO,
    overload_target: Duration::MAX,
    overload_interval: Duration::MAX,
    overload_patience: Duration::MAX,
};

/// One limit with its counts, and those who wait for it.
#[derive(Clone, Debug)]
pub struct Limiter {
    store: Memory,
    account: Account,
    queues: Arc<Queues>,
}

/// May so much be taken now?
#[derive(Debug)]
#[must_use]
pub enum Taking {
    /// It was.
    Taken(Share),
    /// Not now.
    NotYet(When),
}

/// What was taken. Dropped it goes back; kept it is used up.
#[derive(Debug)]
pub struct Share {
    store: Memory,
    hold: Hold,
    since: Instant,
}

impl Share {
    /// When it was taken.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// It is used up: only time brings it back. Slots go back all the same.
    pub fn keep(self) {
        self.store.settle(self.hold, &mut |_, reserved| reserved);
    }
}

/// No room in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// How long it waited.
    pub waited: Duration,
    /// When it is worth coming back.
    pub retry_after: Duration,
}

impl Limiter {
    /// A limit of which nothing is in use.
    pub fn new(limit: Limit) -> Self {
        let store = Memory::default();
        let account = store.account(limit);
        let queues = Arc::new(Queues::default());
        let waiting = Arc::clone(&queues);
        store.on_room(Some(Box::new(move || waiting.wake())));
        Self { store, account, queues }
    }

    /// Takes `amount` for `subject`, 0 where there is one count for all, if there is room and nobody waits for it.
    pub fn try_take(&self, amount: u64, subject: u64) -> Taking {
        if self.queues.is_crowded(subject) {
            return Taking::NotYet(When::GivenBack);
        }
        self.take_now(amount, subject)
    }

    /// Takes `amount` for `subject`, and waits for room until `until`. Dropping the future leaves the line.
    ///
    /// # Errors
    ///
    /// There was no room in time, or there will not be.
    pub async fn take(&self, amount: u64, subject: u64, until: Option<Instant>) -> Result<Share, Late> {
        match self.try_take(amount, subject) {
            Taking::Taken(share) => Ok(share),
            Taking::NotYet(_) => self.line_up(amount, subject)?.room(until).await,
        }
    }

    /// Stands in line for `amount` from now on, whenever that is waited for.
    ///
    /// # Errors
    ///
    /// The line takes nobody.
    pub fn line_up(&self, amount: u64, subject: u64) -> Result<InLine, Late> {
        let began = clock::now();
        let crowd = Crowd::join(&self.queues, subject);
        let end = began.checked_add(LONGEST).unwrap_or(began);
        let who = Waiting { tenant: 0, weight: 1.0, priority: 0, cost: 1, deadline: end };
        let late = |away: TurnedAway| Late { waited: Duration::ZERO, retry_after: away.retry_after() };
        let place = crowd.queue.join(who).map_err(late)?;
        Ok(InLine { place, _crowd: crowd, limiter: self.clone(), wanted: (amount, subject), began })
    }

    /// What `subject` has in use.
    pub fn used(&self, subject: u64) -> u64 {
        self.store.used(&self.account, subject)
    }

    /// How many wait, for one subject or all.
    pub fn waiting(&self, subject: Option<u64>) -> usize {
        self.queues.waiting(subject)
    }

    fn take_now(&self, amount: u64, subject: u64) -> Taking {
        match self.store.reserve(&[Charge { account: &self.account, subject, amount }]) {
            Reserving::Ready(Reserved::Granted(hold)) => {
                Taking::Taken(Share { store: self.store.clone(), hold, since: clock::now() })
            }
            Reserving::Ready(Reserved::Denied(denial)) => Taking::NotYet(denial.when),
            // The memory of a process always knows at once.
            Reserving::Pending(_) => Taking::NotYet(When::GivenBack),
        }
    }
}

/// One who stands in line. Dropping it leaves the line.
#[derive(Debug)]
#[must_use = "dropping it leaves the line"]
pub struct InLine {
    place: Place,
    _crowd: Crowd,
    limiter: Limiter,
    /// How much, and for whom.
    wanted: (u64, u64),
    began: Instant,
}

impl InLine {
    /// What leaves the line from elsewhere.
    pub fn leave(&self) -> Leave {
        self.place.leave()
    }

    /// Waits for room until `until`.
    ///
    /// # Errors
    ///
    /// There was none in time, or there will not be.
    pub async fn room(mut self, until: Option<Instant>) -> Result<Share, Late> {
        let until = until.unwrap_or_else(|| self.place.deadline());
        let retry_after = match tokio::time::timeout_at(until, self.stand(until)).await {
            Ok(Ok(share)) => {
                self.place.served(1);
                return Ok(share);
            }
            Ok(Err(retry_after)) => retry_after,
            Err(_) => self.place.retry_after(),
        };
        Err(Late { waited: clock::now().saturating_duration_since(self.began), retry_after })
    }

    /// Tries at each of its turns. An error is the wait that the limit itself makes too long.
    async fn stand(&mut self, until: Instant) -> Result<Share, Duration> {
        let (amount, subject) = self.wanted;
        let away = |turned: TurnedAway| turned.retry_after();
        self.place.turn().await.map_err(away)?;
        loop {
            let wait = match self.limiter.take_now(amount, subject) {
                Taking::Taken(share) => return Ok(share),
                Taking::NotYet(When::After(wait)) => Some(wait),
                Taking::NotYet(When::GivenBack) => None,
                Taking::NotYet(When::Never) => return Err(LONGEST),
            };
            let left = until.saturating_duration_since(clock::now());
            if let Some(wait) = wait.filter(|wait| *wait > left) {
                return Err(wait);
            }
            self.place.blocked(wait, true).await.map_err(away)?;
        }
    }
}

/// The lines of all subjects for whom somebody waits, each with how many know it.
#[derive(Debug, Default)]
struct Queues(Mutex<HashMap<u64, (Arc<Queue>, usize)>>);

impl Queues {
    fn is_crowded(&self, subject: u64) -> bool {
        self.0.lock().get(&subject).is_some_and(|(queue, _)| !queue.is_empty())
    }

    fn waiting(&self, subject: Option<u64>) -> usize {
        let queues = self.0.lock();
        match subject {
            Some(subject) => queues.get(&subject).map_or(0, |(_, waiting)| *waiting),
            None => queues.values().map(|(_, waiting)| waiting).sum(),
        }
    }

    fn wake(&self) {
        let queues: Vec<Arc<Queue>> = self.0.lock().values().map(|(queue, _)| Arc::clone(queue)).collect();
        for queue in queues {
            queue.wake();
        }
    }
}

/// One who waits for a subject. The last one takes the line away.
#[derive(Debug)]
struct Crowd {
    queues: Arc<Queues>,
    subject: u64,
    queue: Arc<Queue>,
}

impl Crowd {
    fn join(queues: &Arc<Queues>, subject: u64) -> Self {
        let mut known = queues.0.lock();
        let (queue, waiting) = known.entry(subject).or_insert_with(|| (Queue::new(PATIENT), 0));
        *waiting += 1;
        Self { queues: Arc::clone(queues), subject, queue: Arc::clone(queue) }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let mut known = self.queues.0.lock();
        if let Some((_, waiting)) = known.get_mut(&self.subject) {
            *waiting -= 1;
            if *waiting == 0 {
                known.remove(&self.subject);
            }
        }
    }
}
