//! The state machine of a breaker: no clock, no lock, no chance of its own. Times are since the breaker's beginning.

use std::time::Duration;

use super::policy::{Policy, Role};
use super::ticket::{Entry, Errand, Fault, Moment, Speed, Ticket};
use super::transition::{Cause, Evidence, Reason, State, Transition};
use super::window::{Counts, Window};
use crate::error::{Blow, Kind};

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
    /// Probes that run, whatever has changed since they went out.
    probing: u32,
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
            probing: 0,
            unanswered: 0,
            broken: 0,
            last: [const { None }; KEPT],
            times: 0,
        }
    }

    /// May a call go out at `at`?
    pub(super) fn enter(&mut self, policy: &Policy, at: Duration) -> Entry {
        if let Some(wait) = self.wait(policy, at).filter(|wait| !wait.is_zero()) {
            return Entry::NotUntil(wait);
        }
        match (&mut self.phase, policy.role) {
            (Phase::Isolated, _) => Entry::Isolated,
            (Phase::Closed { .. }, _) => Entry::Open(self.ticket(Errand::Regular), None),
            (_, Role::Guard) => self.probe(policy, at),
            (Phase::Open { trial, .. } | Phase::HalfOpen { trial, .. }, Role::Lone | Role::Observer) => {
                *trial = at;
                Entry::Open(self.ticket(Errand::Trial), None)
            }
        }
    }

    fn probe(&mut self, policy: &Policy, at: Duration) -> Entry {
        let mut transition = None;
        if let Phase::Open { trial, .. } = self.phase {
            let phase = Phase::HalfOpen { running: 0, answered: 0, trial };
            transition = Some(Box::new(self.change(phase, Reason::TimePassed, policy, at)));
        }
        if let Phase::HalfOpen { running, .. } = &mut self.phase {
            *running += 1;
        }
        self.probing += 1;
        Entry::Open(self.ticket(Errand::Probe), transition)
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
        if std::mem::replace(&mut ticket.answered, true) {
            return None;
        }
        self.returned(ticket);
        let errand = std::mem::replace(&mut ticket.errand, Errand::Regular);
        if ticket.generation != self.generation {
            return None;
        }
        match (&mut self.phase, errand, speed) {
            (Phase::Closed { .. }, _, _) => {
                self.unanswered = 0;
                let call = Counts { calls: 1, failed: 0, slow: u32::from(speed == Speed::Slow) };
                self.window.of_length(policy.window).add(at, call);
                let reason = if speed == Speed::Slow { self.slowing(policy, at) } else { None };
                reason.and_then(|reason| self.open(policy, reason, None, moment))
            }
            (Phase::HalfOpen { .. }, Errand::Probe, Speed::Slow) => {
                self.open(policy, Reason::ProbeFailed, None, moment)
            }
            (Phase::HalfOpen { answered, .. }, Errand::Probe, Speed::Prompt) => {
                *answered += 1;
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
        self.returned(ticket);
        if blow == Blow::None || ticket.generation != self.generation {
            return None;
        }
        self.remember(cause);
        let reason = match (self.phase, ticket.errand) {
            (Phase::Closed { .. }, _) => {
                self.count(policy, ticket, blow, moment);
                self.failing(policy, moment.at).or_else(|| self.slowing(policy, moment.at))
            }
            (Phase::HalfOpen { .. }, Errand::Probe | Errand::Regular) => Some(Reason::ProbeFailed),
            _ => None,
        };
        reason.and_then(|reason| self.open(policy, reason, retry_after, moment))
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

    /// A call has ended, or a probe answered: where it held a probe's place, that is free.
    pub(super) fn returned(&mut self, ticket: &Ticket) {
        if ticket.errand == Errand::Probe {
            self.probing = self.probing.saturating_sub(1);
            if let Phase::HalfOpen { running, .. } = &mut self.phase
                && ticket.generation == self.generation
            {
                *running = running.saturating_sub(1);
            }
        }
    }

    /// Do enough calls fail?
    fn failing(&mut self, policy: &Policy, at: Duration) -> Option<Reason> {
        if policy.in_a_row > 0 && self.in_a_row() >= policy.in_a_row {
            return Some(Reason::InARow);
        }
        let Counts { calls, failed, .. } = self.window.of_length(policy.window).counts(at);
        policy.reaches(failed, calls, policy.failed).then_some(Reason::Failed)
    }

    /// Are enough calls slow?
    fn slowing(&mut self, policy: &Policy, at: Duration) -> Option<Reason> {
        let share = policy.slow?.share;
        let Counts { calls, slow, .. } = self.window.of_length(policy.window).counts(at);
        policy.reaches(slow, calls, share).then_some(Reason::Slow)
    }

    /// Were its last failures all refusals for being too many? Then it is up, and worth waiting for.
    pub(super) fn is_throttled(&self) -> bool {
        let mut last = self.last.iter().flatten().peekable();
        last.peek().is_some() && last.all(|cause| *cause == Cause::Kind(Kind::RateLimit))
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
    ) -> Option<Transition> {
        if policy.role == Role::Observer {
            return None;
        }
        let Moment { at, chance, .. } = moment;
        self.times = match self.phase {
            Phase::Closed { since: None } => 1,
            Phase::Closed { since: Some(since) } if at.saturating_sub(since) >= policy.forgiven_after => 1,
            _ => self.times.saturating_add(1),
        };
        let hint = retry_after.unwrap_or_default().min(policy.longest_hint);
        let open_for = policy.open_for(self.times, chance).max(hint);
        let phase = Phase::Open { until: at.saturating_add(open_for), trial: at };
        Some(Transition { open_for: Some(open_for), ..self.change(phase, reason, policy, at) })
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
            (Phase::Open { until, .. }, Role::Guard) if at < until => Some(until.saturating_sub(at)),
            (Phase::Open { .. }, Role::Guard) => Some(self.turn(0, policy)),
            (Phase::HalfOpen { running, answered, .. }, Role::Guard) => {
                Some(self.turn(running.saturating_add(answered), policy))
            }
        }
    }

    /// How long a probe waits for its turn, where so many of this time round have been let out.
    fn turn(&self, out: u32, policy: &Policy) -> Duration {
        // When those that run come back is not known.
        if self.probing.max(out) < policy.most_probes() { Duration::ZERO } else { TRIAL_EVERY }
    }

    /// The share of its usual traffic that it should get at `at`, 0 to 1.
    pub(super) fn share(&self, policy: &Policy, at: Duration) -> f64 {
        match self.state(at) {
            State::Closed => self.slow_start(policy, at).unwrap_or(1.0),
            State::HalfOpen => super::LEAST_SHARE,
            State::Open | State::Isolated => 0.0,
        }
    }

    /// The same while it grows after closing.
    pub(super) fn slow_start(&self, policy: &Policy, at: Duration) -> Option<f64> {
        match self.phase {
            Phase::Closed { since: Some(since) } => policy.slow_start_share(at.saturating_sub(since)),
            _ => None,
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
