//! The state machine of a breaker: no clock, no lock, no chance of its own. Times are since the breaker's beginning.

use std::time::Duration;

use super::policy::{Policy, Role};
use super::ticket::{Entry, Errand, Fault, Moment, Speed, Ticket};
use super::transition::{Cause, Evidence, Reason, State, Transition};
use super::window::{Counts, Window};
use crate::error::Blow;

/// While a lone deployment's breaker is not closed, one call goes out in this time.
pub(super) const TRIAL_EVERY: Duration = Duration::from_secs(1);
/// Failures that are kept as evidence.
const KEPT: usize = 3;

/// Where a breaker stands.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// `since` is when it healed; `None` where it never broke.
    Closed {
        since: Option<Duration>,
    },
    /// `trial` is when a call went out last.
    Open {
        until: Duration,
        trial: Duration,
    },
    HalfOpen {
        running: u32,
        answered: u32,
        trial: Duration,
    },
    Isolated,
}

/// A breaker.
#[derive(Debug)]
pub(super) struct Machine {
    /// Changes with every state; results of an older one are ignored.
    generation: u64,
    phase: Phase,
    window: Window,
    /// Hard failures since an answer began.
    unanswered: u32,
    /// Streams that broke since an answer was complete.
    broken: u32,
    last: [Option<Cause>; KEPT],
    /// How often in a row it has opened.
    times: u32,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self {
            generation: 0,
            phase: Phase::Closed { since: None },
            window: Window::new(Policy::DEFAULT.window),
            unanswered: 0,
            broken: 0,
            last: [const { None }; KEPT],
            times: 0,
        }
    }

    /// May a call go out at `at`?
    pub(super) fn enter(&mut self, policy: &Policy, at: Duration) -> Entry {
        match (self.phase, policy.role) {
            (Phase::Closed { .. }, _) => self.admit(Errand::Regular),
            (Phase::Isolated, _) => Entry::Isolated,
            (_, Role::Observer) => self.admit(Errand::Trial),
            (_, Role::Lone) => self.try_one(at),
            (Phase::Open { until, .. }, Role::Guard) if at < until => {
                Entry::NotUntil(until.saturating_sub(at))
            }
            (Phase::Open { trial, .. }, Role::Guard) => {
                let phase = Phase::HalfOpen { running: 1, answered: 0, trial };
                let transition = self.change(phase, Reason::TimePassed, policy, at);
                Entry::Open(self.ticket(Errand::Probe), Some(transition))
            }
            (Phase::HalfOpen { .. }, Role::Guard) => self.probe(policy),
        }
    }

    fn probe(&mut self, policy: &Policy) -> Entry {
        if let Phase::HalfOpen { running, answered, .. } = &mut self.phase
            && running.saturating_add(*answered) < policy.most_probes()
        {
            *running += 1;
            return self.admit(Errand::Probe);
        }
        // When the probes that are out come back is not known.
        Entry::NotUntil(TRIAL_EVERY)
    }

    fn try_one(&mut self, at: Duration) -> Entry {
        if let Phase::Open { trial, .. } | Phase::HalfOpen { trial, .. } = &mut self.phase {
            let next = trial.saturating_add(TRIAL_EVERY);
            if at < next {
                return Entry::NotUntil(next.saturating_sub(at));
            }
            *trial = at;
        }
        self.admit(Errand::Trial)
    }

    fn admit(&self, errand: Errand) -> Entry {
        Entry::Open(self.ticket(errand), None)
    }

    fn ticket(&self, errand: Errand) -> Ticket {
        Ticket { generation: self.generation, errand, answered: false }
    }

    /// The first token of a call's answer, or the whole of it, has come.
    pub(super) fn answered(
        &mut self,
        policy: &Policy,
        ticket: &mut Ticket,
        moment: Moment,
    ) -> Option<Transition> {
        let Moment { at, speed, .. } = moment;
        if std::mem::replace(&mut ticket.answered, true) || ticket.generation != self.generation {
            return None;
        }
        match (&mut self.phase, ticket.errand, speed) {
            (Phase::Closed { .. }, _, _) => {
                self.unanswered = 0;
                let call = Counts { calls: 1, failed: 0, slow: u32::from(speed == Speed::Slow) };
                self.window.of_length(policy.window).add(at, call);
                let reason = if speed == Speed::Slow { self.judge(policy, at) } else { None };
                reason.map(|reason| self.open(policy, reason, None, moment))
            }
            (Phase::HalfOpen { .. }, Errand::Probe, Speed::Slow) => {
                Some(self.open(policy, Reason::ProbeFailed, None, moment))
            }
            (Phase::HalfOpen { running, answered, .. }, Errand::Probe, Speed::Prompt) => {
                *running = running.saturating_sub(1);
                *answered += 1;
                ticket.errand = Errand::Regular;
                (*answered >= policy.most_probes()).then(|| self.close(policy, ticket, at))
            }
            (_, Errand::Trial, Speed::Prompt) => Some(self.close(policy, ticket, at)),
            _ => None,
        }
    }

    /// The answer of a call was complete.
    pub(super) fn completed(&mut self, ticket: &Ticket) {
        if ticket.generation == self.generation {
            self.unanswered = 0;
            self.broken = 0;
        }
    }

    /// A call failed.
    pub(super) fn failed(
        &mut self,
        policy: &Policy,
        ticket: &Ticket,
        fault: Fault,
        moment: Moment,
    ) -> Option<Transition> {
        let Fault { blow, cause, retry_after } = fault;
        if blow == Blow::None {
            self.abandoned(ticket);
            return None;
        }
        if ticket.generation != self.generation {
            return None;
        }
        self.remember(cause);
        let reason = match (self.phase, ticket.errand) {
            (Phase::Closed { .. }, _) => {
                self.count(policy, ticket, blow, moment);
                self.judge(policy, moment.at)
            }
            (Phase::HalfOpen { .. }, Errand::Probe | Errand::Regular) => Some(Reason::ProbeFailed),
            _ => None,
        };
        reason.map(|reason| self.open(policy, reason, retry_after, moment))
    }

    fn count(&mut self, policy: &Policy, ticket: &Ticket, blow: Blow, moment: Moment) {
        let Moment { at, speed, .. } = moment;
        let window = self.window.of_length(policy.window);
        if ticket.answered {
            window.relapse(at);
        } else {
            window.add(at, Counts { calls: 1, failed: 1, slow: u32::from(speed == Speed::Slow) });
        }
        if blow == Blow::Hard {
            let run = if ticket.answered { &mut self.broken } else { &mut self.unanswered };
            *run = run.saturating_add(1);
        }
    }

    /// A call ended without a result that says anything.
    pub(super) fn abandoned(&mut self, ticket: &Ticket) {
        if ticket.generation == self.generation
            && ticket.errand == Errand::Probe
            && let Phase::HalfOpen { running, .. } = &mut self.phase
        {
            *running = running.saturating_sub(1);
        }
    }

    /// Is it enough to open?
    fn judge(&mut self, policy: &Policy, at: Duration) -> Option<Reason> {
        let Counts { calls, failed, slow } = self.window.of_length(policy.window).counts(at);
        let reaches = |count: u32, share: f64| {
            count > 0 && calls >= policy.least_calls && f64::from(count) >= share * f64::from(calls)
        };
        if policy.role == Role::Observer {
            None
        } else if policy.in_a_row > 0 && self.in_a_row() >= policy.in_a_row {
            Some(Reason::InARow)
        } else if reaches(failed, policy.failed) {
            Some(Reason::Failed)
        } else if policy.slow.is_some_and(|limit| reaches(slow, limit.share)) {
            Some(Reason::Slow)
        } else {
            None
        }
    }

    fn in_a_row(&self) -> u32 {
        self.unanswered.max(self.broken)
    }

    fn remember(&mut self, cause: Cause) {
        self.last.rotate_left(1);
        if let Some(newest) = self.last.last_mut() {
            *newest = Some(cause);
        }
    }

    fn open(
        &mut self,
        policy: &Policy,
        reason: Reason,
        retry_after: Option<Duration>,
        moment: Moment,
    ) -> Transition {
        let Moment { at, chance, .. } = moment;
        self.times = match self.phase {
            Phase::Closed { since: None } => 1,
            Phase::Closed { since: Some(since) } if at.saturating_sub(since) >= policy.forgiven_after => 1,
            _ => self.times.saturating_add(1),
        };
        let hint = retry_after.unwrap_or_default().min(policy.longest_hint);
        let open_for = policy.open_for(self.times, chance).max(hint);
        let phase = Phase::Open { until: at.saturating_add(open_for), trial: at };
        Transition { open_for: Some(open_for), ..self.change(phase, reason, policy, at) }
    }

    /// The call that closes it belongs to the state it made: should its stream break, that counts.
    fn close(&mut self, policy: &Policy, ticket: &mut Ticket, at: Duration) -> Transition {
        let closed = self.change(Phase::Closed { since: Some(at) }, Reason::ProbeAnswered, policy, at);
        self.last = [const { None }; KEPT];
        *ticket = Ticket { answered: true, ..self.ticket(Errand::Regular) };
        closed
    }

    /// Nothing goes out until it is reset.
    pub(super) fn isolate(&mut self, policy: &Policy, at: Duration) -> Option<Transition> {
        let changes = !matches!(self.phase, Phase::Isolated);
        changes.then(|| self.change(Phase::Isolated, Reason::Isolated, policy, at))
    }

    /// As if it were new.
    pub(super) fn reset(&mut self, policy: &Policy, at: Duration) -> Option<Transition> {
        let changes = !matches!(self.phase, Phase::Closed { .. });
        let reset = self.change(Phase::Closed { since: None }, Reason::Reset, policy, at);
        self.last = [const { None }; KEPT];
        self.times = 0;
        changes.then_some(reset)
    }

    /// Every change of state begins a generation and counts afresh.
    fn change(&mut self, phase: Phase, reason: Reason, policy: &Policy, at: Duration) -> Transition {
        let (from, evidence) = (self.phase.state(), self.evidence(policy, at));
        self.generation += 1;
        self.phase = phase;
        self.window = Window::new(policy.window);
        (self.unanswered, self.broken) = (0, 0);
        Transition { from, to: phase.state(), reason, evidence, open_for: None }
    }

    /// What is known at `at`.
    pub(super) fn evidence(&mut self, policy: &Policy, at: Duration) -> Evidence {
        Evidence {
            in_a_row: self.in_a_row(),
            counts: self.window.of_length(policy.window).counts(at),
            window: policy.window,
            last: self.last.iter().flatten().cloned().collect(),
            times: self.times,
        }
    }

    /// Its state at `at`; open time that is over reads as half-open.
    pub(super) fn state(&self, at: Duration) -> State {
        match self.phase {
            Phase::Open { until, .. } if at >= until => State::HalfOpen,
            phase => phase.state(),
        }
    }

    /// How long an asking at `at` would be told to wait; zero where it would go out, `None` where it waits for a
    /// reset.
    pub(super) fn wait(&self, policy: &Policy, at: Duration) -> Option<Duration> {
        match (self.phase, policy.role) {
            (Phase::Isolated, _) => None,
            (Phase::Closed { .. }, _) | (_, Role::Observer) => Some(Duration::ZERO),
            (Phase::Open { trial, .. } | Phase::HalfOpen { trial, .. }, Role::Lone) => {
                Some(trial.saturating_add(TRIAL_EVERY).saturating_sub(at))
            }
            (Phase::Open { until, .. }, Role::Guard) => Some(until.saturating_sub(at)),
            (Phase::HalfOpen { running, answered, .. }, Role::Guard) => {
                let full = running.saturating_add(answered) >= policy.most_probes();
                Some(if full { TRIAL_EVERY } else { Duration::ZERO })
            }
        }
    }

    /// The share of its usual traffic that it should get at `at`, 0 to 1.
    pub(super) fn share(&self, policy: &Policy, at: Duration) -> f64 {
        match (self.phase, self.state(at)) {
            (Phase::Closed { since: Some(since) }, _) => policy.share(at.saturating_sub(since)),
            (_, State::Closed) => 1.0,
            (_, State::HalfOpen) => super::LEAST_SHARE,
            (_, State::Open | State::Isolated) => 0.0,
        }
    }
}

impl Phase {
    fn state(self) -> State {
        match self {
            Self::Closed { .. } => State::Closed,
            Self::Open { .. } => State::Open,
            Self::HalfOpen { .. } => State::HalfOpen,
            Self::Isolated => State::Isolated,
        }
    }
}
