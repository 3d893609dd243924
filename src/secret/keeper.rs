//! A key that ends: asked for before it does, once for everybody, and kept as long as it is good.

use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::outside::Beyond;
use super::{Fault, Fetch, Issued, Outside, Wanted, schedule};
use crate::clock::{self, Instant, Rng};
use crate::config::Secret;
use crate::error::{Failure, Kind};
use crate::retry::backoff;
use crate::send::alarm::Due;

/// A source that fails in a way that may pass is asked so often before that is told.
const TRIES: u32 = 3;
/// The first backoff between these.
const BASE: Duration = Duration::from_millis(200);
/// How long a key whose source names no end is used beyond its time, while the source fails.
const STALE: Duration = Duration::from_secs(3600);

/// How a source is used.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// A key is asked for so long before it ends. Default: 60 s.
    pub margin: Duration,
    /// How long a key is used whose source names no end. Default: 300 s.
    pub ttl: Duration,
    /// How long the source may take. Default: 30 s.
    pub patience: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self { margin: Duration::from_secs(60), ttl: schedule::TTL, patience: Duration::from_secs(30) }
    }
}

/// A key with its times. Its memory is overwritten when the last call lets go of it.
pub struct Token {
    value: Secret,
    renew: Instant,
    expires: Instant,
    /// Until then it may be used while no other can be had.
    lasts: Instant,
}

impl Token {
    /// The key; for the request header only.
    pub fn value(&self) -> &Secret {
        &self.value
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}

type Outcome = Result<Arc<Token>, Fault>;

/// A fetch that is running, for all who wait for it.
#[derive(Clone, Debug)]
struct Flight {
    outcome: Shared<BoxFuture<'static, Outcome>>,
    abort: AbortHandle,
}

#[derive(Debug, Default)]
struct State {
    flight: Option<Flight>,
    /// In a row.
    failures: u32,
    fault: Option<Fault>,
    /// The source is left alone until then.
    rests_until: Option<Instant>,
    refused_at: Option<Instant>,
}

/// What became of a refused key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// There is another one.
    Changed,
    /// There is no other one.
    Same,
}

/// A source and the key it gave last.
#[derive(Debug)]
pub struct Keeper {
    source: Arc<dyn Fetch>,
    terms: Terms,
    token: ArcSwapOption<Token>,
    state: Mutex<State>,
    /// Keys asked for because the one before was refused, in a row. Outside the lock: every answer looks at it.
    refusals: AtomicU32,
    rng: Rng,
}

enum Look {
    Ready(Arc<Token>),
    Wait(Flight),
    Failing(Fault),
}

impl Keeper {
    /// Keeps what `source` gives; asks for nothing yet.
    pub fn new(source: Arc<dyn Fetch>, terms: Terms) -> Arc<Self> {
        let (token, state) = (ArcSwapOption::empty(), Mutex::default());
        let refusals = AtomicU32::new(0);
        Arc::new(Self { source, terms, token, state, refusals, rng: Rng::from_machine() })
    }

    /// A key that is good now: without a wait where there is one.
    ///
    /// # Errors
    ///
    /// [`Kind::Authentication`] where the source gives none; [`Kind::Deadline`] where the call ends first.
    pub async fn token(self: &Arc<Self>, deadline: Due) -> Result<Arc<Token>, Failure> {
        let flight = match self.look(clock::now()) {
            Look::Ready(token) => return Ok(token),
            Look::Failing(fault) => return Err(self.failure(&fault)),
            Look::Wait(flight) => flight,
        };
        let outcome = tokio::time::timeout_at(deadline.at, flight.outcome).await;
        let outcome = outcome.map_err(|_| self.too_late(deadline))?;
        outcome.or_else(|fault| self.held(|token| token.lasts).ok_or_else(|| self.failure(&fault)))
    }

    /// Is there no key, and will the source not be asked for one at `now`?
    pub fn is_without(&self, now: Instant) -> bool {
        self.held_at(now, |token| token.lasts).is_none() && self.state.lock().rests(now)
    }

    /// The upstream refused `token`: asks for another one, unless that has been done already.
    pub async fn renew(self: &Arc<Self>, token: &Token, deadline: Due) -> Renewal {
        let flight = match self.force(token) {
            Forced::Changed => return Renewal::Changed,
            Forced::No => return Renewal::Same,
            Forced::Flight(flight) => flight,
        };
        match tokio::time::timeout_at(deadline.at, flight.outcome).await {
            Ok(Ok(fresh)) if fresh.value != token.value => Renewal::Changed,
            _ => Renewal::Same,
        }
    }

    /// The upstream refused `token`, but this call cannot go on: the next one is not to begin with it.
    pub fn doubt(self: &Arc<Self>, token: &Token) {
        if let Forced::Flight(_) = self.force(token) {
            let held = self.token.load();
            // What was asked for may have come already.
            if held.as_ref().is_some_and(|held| held.value == token.value) {
                self.token.compare_and_swap(&*held, None);
            }
        }
    }

    /// The upstream took the key.
    pub fn accepted(&self) {
        if self.refusals.load(Ordering::Relaxed) != 0 {
            self.refusals.store(0, Ordering::Relaxed);
        }
    }

    fn held(&self, until: impl Fn(&Token) -> Instant) -> Option<Arc<Token>> {
        self.held_at(clock::now(), until)
    }

    fn held_at(&self, now: Instant, until: impl Fn(&Token) -> Instant) -> Option<Arc<Token>> {
        self.token.load_full().filter(|token| now < until(token))
    }

    fn look(self: &Arc<Self>, now: Instant) -> Look {
        if let Some(token) = self.held_at(now, |token| token.renew) {
            return Look::Ready(token);
        }
        let mut state = self.state.lock();
        // What was in flight may have landed meanwhile.
        if let Some(token) = self.held_at(now, |token| token.renew) {
            return Look::Ready(token);
        }
        if state.flight.is_none() && !state.rests(now) {
            state.flight = Some(self.depart());
        }
        let (good, lasting) = (|token: &Token| token.expires, |token: &Token| token.lasts);
        match (self.held_at(now, good), &state.flight) {
            (Some(token), _) => Look::Ready(token),
            (None, Some(flight)) => Look::Wait(flight.clone()),
            (None, None) => match self.held_at(now, lasting) {
                Some(token) => Look::Ready(token),
                None => Look::Failing(state.fault.clone().unwrap_or_else(|| Fault::Passing(String::new()))),
            },
        }
    }

    fn force(self: &Arc<Self>, refused: &Token) -> Forced {
        let now = clock::now();
        let mut state = self.state.lock();
        if self.held_at(now, |token| token.expires).is_some_and(|token| token.value != refused.value) {
            return Forced::Changed;
        }
        if let Some(flight) = &state.flight {
            return Forced::Flight(flight.clone());
        }
        let refusals = self.refusals.load(Ordering::Relaxed);
        if state.rests(now) || state.is_weary(refusals, now) {
            return Forced::No;
        }
        self.refusals.store(refusals.saturating_add(1), Ordering::Relaxed);
        state.refused_at = Some(now);
        let flight = self.depart();
        state.flight = Some(flight.clone());
        Forced::Flight(flight)
    }

    /// Asks the source, on a task of its own: whoever gives up waiting takes nobody with him.
    fn depart(self: &Arc<Self>) -> Flight {
        let (keeper, source, patience) =
            (Arc::downgrade(self), Arc::clone(&self.source), self.terms.patience);
        let waits = std::array::from_fn(|step| {
            backoff::full_jitter(BASE, patience, u32::try_from(step).unwrap_or_default(), self.rng.unit())
        });
        let task = tokio::spawn(async move {
            let asked = tokio::time::timeout(patience, patiently(source.as_ref(), waits));
            let outcome = match AssertUnwindSafe(asked).catch_unwind().await {
                Ok(in_time) => in_time.unwrap_or_else(|_| Err(Fault::late(patience))),
                Err(_) => Err(Fault::Lasting("a defect in fairlead".to_owned())),
            };
            let gone = || Err(Fault::Lasting("the client is gone".to_owned()));
            keeper.upgrade().map_or_else(gone, |keeper| keeper.land(outcome))
        });
        let abort = task.abort_handle();
        let given_up = || Err(Fault::Passing("the client is gone".to_owned()));
        let outcome = async move { task.await.unwrap_or_else(|_| given_up()) }.boxed().shared();
        Flight { outcome, abort }
    }

    fn land(&self, outcome: Result<Issued, Fault>) -> Outcome {
        let now = clock::now();
        let mut state = self.state.lock();
        state.flight = None;
        match outcome {
            Ok(issued) => {
                (state.failures, state.fault, state.rests_until) = (0, None, None);
                let token = Arc::new(self.timed(issued, now));
                self.token.store(Some(Arc::clone(&token)));
                Ok(token)
            }
            Err(fault) => {
                state.failures = state.failures.saturating_add(1);
                state.fault = Some(fault.clone());
                state.rests_until = Some(now + schedule::pause(state.failures, self.rng.unit()));
                Err(fault)
            }
        }
    }

    fn timed(&self, issued: Issued, now: Instant) -> Token {
        let life = issued.lives.unwrap_or(self.terms.ttl).min(schedule::LONGEST_LIFE);
        let stale = if issued.lives.is_none() { STALE } else { Duration::ZERO };
        let renewal = schedule::renewal(life, self.terms.margin, self.rng.unit());
        let (renew, expires) = (now + renewal, now + life);
        Token { value: issued.value, renew, expires, lasts: expires + stale }
    }

    fn failure(&self, fault: &Fault) -> Failure {
        Failure::new(Kind::Authentication, format!("no token from {}: {fault}", self.source.name()))
    }

    fn too_late(&self, deadline: Due) -> Failure {
        let limit = deadline.limit.as_secs_f64();
        let name = self.source.name();
        Failure::new(Kind::Deadline, format!("the deadline of {limit:.3} s passed waiting for {name}"))
    }
}

/// What asking for another key than the refused one came to.
enum Forced {
    Changed,
    Flight(Flight),
    No,
}

impl State {
    fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// Have new keys been refused so often that another one would not help?
    fn is_weary(&self, refusals: u32, now: Instant) -> bool {
        let pause = schedule::refusal_pause(refusals);
        refusals > 0 && self.refused_at.is_some_and(|at| now < at + pause)
    }
}

/// Asks until there is an answer that asking again would not change.
async fn patiently(source: &dyn Fetch, waits: [Duration; TRIES as usize - 1]) -> Result<Issued, Fault> {
    for wait in waits {
        match source.fetch().await {
            Err(Fault::Passing(_)) => clock::sleep_until(clock::now() + wait).await,
            settled => return settled,
        }
    }
    source.fetch().await
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(flight) = self.state.get_mut().flight.take() {
            flight.abort.abort();
        }
    }
}

/// All keepers of an engine, by what they ask and how.
#[derive(Debug, Default)]
pub struct Keepers {
    outside: Option<Arc<dyn Outside>>,
    known: Mutex<HashMap<String, Arc<Keeper>>>,
}

impl Keepers {
    /// No keepers yet; plug-ins and callables are those of `outside`.
    pub fn new(outside: Option<Arc<dyn Outside>>) -> Self {
        Self { outside, known: Mutex::default() }
    }

    /// The keeper with this identity, made where there is none. It outlives the configuration that named it until
    /// another one is made.
    pub fn keeper(
        &self,
        identity: &str,
        terms: Terms,
        source: impl FnOnce() -> Arc<dyn Fetch>,
    ) -> Arc<Keeper> {
        let mut known = self.known.lock();
        if let Some(keeper) = known.get(identity) {
            return Arc::clone(keeper);
        }
        known.retain(|_, keeper| Arc::strong_count(keeper) > 1);
        let keeper = Keeper::new(source(), terms);
        known.insert(identity.to_owned(), Arc::clone(&keeper));
        keeper
    }

    /// Lets go of all keys; calls that run keep theirs to their end.
    pub fn close(&self) {
        self.known.lock().clear();
    }

    /// What answers for `wanted`, where somebody does.
    pub fn outside(&self, wanted: Wanted) -> Option<Arc<dyn Fetch>> {
        let outside = self.outside.as_ref().filter(|outside| outside.knows(&wanted))?;
        Some(Arc::new(Beyond::new(outside, wanted)))
    }
}
