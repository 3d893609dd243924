//! The circuit breaker of a deployment: what fails over and over is left alone for a while, then probed.
//!
//! ```text
//!           failures in a row, or too many of the calls in the window
//!   closed ────────────────────────────────────────────────────────────► open ◄─┐
//!     ▲                                                                   │      │ longer
//!     │                                                    its time ends  │      │ each time
//!     │  the probes answer                                                ▼      │
//!     └──────────────────────────────────────────────────────────────  half-open ┘ a probe fails
//! ```
//!
//! [`Breaker::ask`] is one short lock and answers with a [`Pass`], or with how long to wait. The pass travels with
//! the attempt. Its result belongs to the state of things in which it was given: whatever has changed since, it is
//! ignored, so a late answer from before the outage closes nothing. A pass that is dropped says nothing and gives
//! its place back, whether the caller cancelled, panicked or was refused by another stage.
//!
//! A probe has done its work with the first token: a reply of a minute must not hold the gate for a minute. Failures
//! of credentials never come here, they disable the credential (see `error::Rule`).
//!
//! # Beside the other memories of a deployment
//!
//! The breaker is the only one that refuses. It looks at its own deployment alone, on hard evidence, and what it
//! refuses is not sent even where nothing else is left. The others only reorder: `aside` (outlier ejection) compares
//! a deployment with its peers, also where it is merely worse or slower than they, and moves it to the end; `room`
//! (how many at once) and the cool-down after `Retry-After` do likewise. Both count five failures in a row. Where one
//! of a group fails, both act: it is refused while open, and stands last while aside; the first call that reaches it
//! after its open time is the probe. Where all fail, ejection spares its share and the breakers open nonetheless.
//! Slow start ([`Breaker::slow_start`]) only reorders as well: whatever the strategy, one that has come back is passed
//! over in a part of the calls; nothing is refused for it.

mod machine;
mod policy;
mod ticket;
mod transition;
mod window;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, Instant, Rng};
use crate::error::Blow;
use crate::sync::{AtomicUsize, Mutex, Ordering};

use machine::Machine;
pub use policy::{Policy, Role, Slow};
pub use ticket::Errand;
use ticket::{Entry, Fault, Moment, Speed, Ticket};
pub use transition::{Cause, Evidence, Reason, State, Transition};
pub use window::Counts;

/// The share of its usual traffic that a deployment gets when its breaker has just closed.
pub const LEAST_SHARE: f64 = 0.1;

/// The breaker of one deployment.
#[derive(Debug)]
pub struct Breaker {
    origin: Instant,
    rng: Rng,
    machine: Mutex<Machine>,
    /// 1 from when it closes until its slow start is seen to be over: most orders need no lock to tell.
    starting: AtomicUsize,
    /// 1 from when it was isolated until it is reset: what is asked where breakers are off, without the lock.
    isolated: AtomicUsize,
}

/// May a call go out?
#[derive(Debug)]
#[must_use]
pub enum Ask {
    /// Yes, and this is told of its result.
    Go(Pass),
    /// Not before this time has passed; a second where probes are out whose end is not known.
    NotUntil(Duration),
    /// Not before somebody resets it.
    Isolated,
}

/// What is known of a breaker, for statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Its state; an open time that is over reads as half-open.
    pub state: State,
    /// What an asking would be told to wait; zero where it would go out, `None` where it waits for a reset.
    pub wait: Option<Duration>,
    /// As [`Breaker::share`].
    pub share: f64,
    /// Counts and last failures of the state it is in.
    pub evidence: Evidence,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new(clock::now(), 0)
    }
}

impl Breaker {
    /// A closed one, whose beginning is `origin`; `seed` is for the spread of open times.
    pub fn new(origin: Instant, seed: u64) -> Self {
        Self {
            origin,
            rng: Rng::seeded(seed),
            machine: Mutex::new(Machine::new()),
            starting: AtomicUsize::new(0),
            isolated: AtomicUsize::new(0),
        }
    }

    /// May a call go out at `now`? A half-open breaker's pass is one of its probes.
    pub fn ask(self: &Arc<Self>, policy: &Policy, now: Instant) -> Ask {
        let at = self.at(now);
        let entry = self.machine.lock().enter(policy, at);
        match entry {
            Entry::Open(ticket, transition) => Ask::Go(Pass {
                breaker: Arc::clone(self),
                policy: *policy,
                ticket: Some(ticket),
                sent: at,
                transition,
            }),
            Entry::NotUntil(wait) => Ask::NotUntil(wait),
            Entry::Isolated => Ask::Isolated,
        }
    }

    /// Were its last failures all refusals for being too many? Then it is up, and worth waiting for.
    pub fn is_throttled(&self) -> bool {
        self.machine.lock().is_throttled()
    }

    /// Its state at `now`; an open time that is over reads as half-open.
    pub fn state(&self, now: Instant) -> State {
        self.machine.lock().state(self.at(now))
    }

    /// The share of its usual traffic that the deployment should get at `now`: 1, but a tenth half-open and growing
    /// to 1 over the policy's slow start once closed; 0 while open or isolated.
    pub fn share(&self, policy: &Policy, now: Instant) -> f64 {
        self.machine.lock().share(policy, self.at(now))
    }

    /// As [`Breaker::share`] while it grows after closing; `None` at any other time.
    pub fn slow_start(&self, policy: &Policy, now: Instant) -> Option<f64> {
        if self.starting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let machine = self.machine.lock();
        let share = machine.slow_start(policy, self.at(now));
        if share.is_none() {
            self.starting.store(0, Ordering::Relaxed);
        }
        share
    }

    /// What an asking at `now` would be told to wait, without asking: zero where it would go out, `None` where it
    /// waits for a reset.
    pub fn wait(&self, policy: &Policy, now: Instant) -> Option<Duration> {
        self.machine.lock().wait(policy, self.at(now))
    }

    /// All that is known of it at `now`.
    pub fn view(&self, policy: &Policy, now: Instant) -> View {
        let at = self.at(now);
        let mut machine = self.machine.lock();
        View {
            state: machine.state(at),
            wait: machine.wait(policy, at),
            share: machine.share(policy, at),
            evidence: machine.evidence(policy, at),
        }
    }

    /// Lets nothing through until [`Breaker::reset`], whatever the policy's role. Results of calls that are out are
    /// ignored.
    pub fn isolate(&self, policy: &Policy, now: Instant) -> Option<Transition> {
        let mut machine = self.machine.lock();
        self.isolated.store(1, Ordering::Relaxed);
        machine.isolate(policy, self.at(now))
    }

    /// Was it isolated, and not reset since? One atomic load.
    pub fn is_isolated(&self) -> bool {
        self.isolated.load(Ordering::Relaxed) > 0
    }

    /// As if it were new: closed, nothing counted, all of its traffic at once. Results of calls that are out are
    /// ignored.
    pub fn reset(&self, policy: &Policy, now: Instant) -> Option<Transition> {
        let mut machine = self.machine.lock();
        self.isolated.store(0, Ordering::Relaxed);
        machine.reset(policy, self.at(now))
    }

    /// With the lock held: a slow start begins where `transition` closed it.
    fn starts(&self, transition: Option<Transition>) -> Option<Transition> {
        if transition.as_ref().is_some_and(|transition| transition.to == State::Closed) {
            self.starting.store(1, Ordering::Relaxed);
        }
        transition
    }

    fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }
}

/// Leave to make one attempt. Dropping it says nothing of the deployment and gives a probe's place back.
#[derive(Debug)]
#[must_use]
pub struct Pass {
    breaker: Arc<Breaker>,
    policy: Policy,
    /// `None` once the result is in.
    ticket: Option<Ticket>,
    sent: Duration,
    transition: Option<Box<Transition>>,
}

impl Pass {
    /// The change of state that the asking for this pass made: the time of an open breaker was over.
    pub fn transition(&mut self) -> Option<Transition> {
        self.transition.take().map(|transition| *transition)
    }

    /// What the attempt is for.
    pub fn errand(&self) -> Errand {
        self.ticket.as_ref().map_or(Errand::Regular, |ticket| ticket.errand)
    }

    /// The attempt begins now; else it is slow counted from when the pass was asked for.
    pub fn sent(&mut self, now: Instant) {
        self.sent = self.breaker.at(now);
    }

    /// The first token of the answer has come: a probe has succeeded. What happens to the stream later is told by
    /// [`Pass::succeeded`] or [`Pass::failed`].
    pub fn answered(&mut self, now: Instant) -> Option<Transition> {
        let moment = self.moment(now);
        let ticket = self.ticket.as_mut()?;
        let mut machine = self.breaker.machine.lock();
        self.breaker.starts(machine.answered(&self.policy, ticket, moment))
    }

    /// The answer is complete.
    pub fn succeeded(mut self, now: Instant) -> Option<Transition> {
        let moment = self.moment(now);
        let mut ticket = self.ticket.take()?;
        let mut machine = self.breaker.machine.lock();
        let transition = machine.answered(&self.policy, &mut ticket, moment);
        machine.completed(&ticket);
        self.breaker.starts(transition)
    }

    /// The attempt failed, or its stream broke. `blow` is what the table of errors says of `cause`; a throttled
    /// probe has failed. A wait that the upstream asked for, where this opens the breaker, lasts if it is longer
    /// than the open time.
    pub fn failed(
        mut self,
        blow: Blow,
        cause: impl Into<Cause>,
        retry_after: Option<Duration>,
        now: Instant,
    ) -> Option<Transition> {
        let moment = Moment { chance: self.breaker.rng.unit(), ..self.moment(now) };
        let fault = Fault { blow, cause: cause.into(), retry_after };
        let ticket = self.ticket.take()?;
        self.breaker.machine.lock().failed(&self.policy, &ticket, fault, moment)
    }

    fn moment(&self, now: Instant) -> Moment {
        let at = self.breaker.at(now);
        match self.policy.slow {
            Some(slow) if at.saturating_sub(self.sent) > slow.after => {
                Moment { at, speed: Speed::Slow, chance: self.breaker.rng.unit() }
            }
            // A prompt answer opens nothing, so there is nothing to spread.
            _ => Moment { at, speed: Speed::Prompt, chance: 0.0 },
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        // Only a probe holds a place; the others need no lock to go.
        if let Some(ticket) = self.ticket.take().filter(|ticket| ticket.errand == Errand::Probe) {
            self.breaker.machine.lock().returned(&ticket);
        }
    }
}
