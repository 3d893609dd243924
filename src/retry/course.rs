//! The course of one call over its candidates: what the last failure means and what comes next.
//!
//! Two bounds hold at once. Attempts that may have consumed capacity are at most `max_retries + 1`; failures
//! refused before any work (a bad key, no quota, an unknown model, a refused connection) move on to the next
//! candidate without counting, and at most [`MOST_REQUESTS`] go upstream in all. With `max_retries = 0` there is
//! exactly one request. Another healthy candidate is asked at once; the same one only after backoff.

use std::time::Duration;

use crate::clock::{self, Instant, Rng};
use crate::defect;
use crate::error::{Attempt, Error, Failure, Kind, Other, Same};
use crate::retry::allowance::{self, Allowed, Cost};
use crate::retry::policy::Policy;
use crate::retry::{backoff, classify};
use crate::route::{Again, Candidate, Plan};
use crate::send::alarm::later;
use crate::send::attempt::Landed;
use crate::send::prepare::Leave;

/// Upstream requests of one call, counted or not.
pub const MOST_REQUESTS: usize = 8;
/// An attempt is not begun with less time than this left.
pub const SHORTEST_ATTEMPT: Duration = Duration::from_millis(250);

/// What to do after a failed attempt.
#[derive(Debug)]
pub enum Verdict {
    /// Ask this candidate, after `wait`.
    Again {
        /// Position in the plan.
        candidate: usize,
        /// Backoff; zero for another candidate.
        wait: Duration,
    },
    /// Raise this.
    Fail(Error),
}

impl Verdict {
    /// The candidate that is asked next, once its time has come.
    ///
    /// # Errors
    ///
    /// What is to be raised.
    pub async fn followed(self) -> Result<usize, Error> {
        match self {
            Self::Fail(error) => Err(error),
            Self::Again { candidate, wait } => {
                clock::sleep_until(clock::now() + wait).await;
                Ok(candidate)
            }
        }
    }
}

/// What governs the retries of one call.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How often, and after which waits.
    pub policy: Policy,
    /// The longest wait an upstream may ask for before the error is raised instead.
    pub longest_wait: Duration,
    /// How many retries of one deployment its own traffic pays for.
    pub allowance: allowance::Policy,
}

/// What a candidate has been through in this call.
#[derive(Clone, Copy, Debug, Default)]
struct Tried {
    last: Option<Kind>,
    /// Attempts that failed.
    failed: u32,
    /// The backoff before the last one.
    waited: Option<Duration>,
    /// Not again before this.
    ready: Option<Instant>,
    spent: bool,
    /// Was its key renewed, because it had been refused?
    renewed: bool,
}

/// The course of one call.
#[derive(Debug)]
pub struct Course<'a> {
    plan: &'a Plan,
    terms: Terms,
    rng: &'a Rng,
    deadline: Instant,
    max_retries: u32,
    tried: Vec<Tried>,
    counted: u32,
    /// Repeats on fresh connections: requests, if no attempts.
    repeats: usize,
    /// Waits since the last attempt.
    backoff: Duration,
    /// In the order in which they began, and when that was.
    history: Vec<Attempt>,
    starts: Vec<Instant>,
    /// The failure to raise if nothing helps, and the candidate it came from.
    worst: Option<(Failure, usize)>,
    /// The last failure, where that is another one.
    last: Option<(Failure, usize)>,
}

impl<'a> Course<'a> {
    /// A call that has not tried anything yet.
    pub fn new(plan: &'a Plan, terms: Terms, rng: &'a Rng, deadline: Instant) -> Self {
        Self {
            plan,
            max_retries: terms.policy.max_retries,
            terms,
            rng,
            deadline,
            tried: vec![Tried::default(); plan.candidates.len()],
            counted: 0,
            repeats: 0,
            backoff: Duration::ZERO,
            history: Vec::new(),
            starts: Vec::new(),
            worst: None,
            last: None,
        }
    }

    /// The history of a call whose last attempt answered.
    pub fn succeeded(mut self, position: usize, started: Instant, landed: &Landed) -> Vec<Attempt> {
        let (status, headers) = landed.head();
        let (status, request_id) = (Some(status), classify::request_id(headers));
        let attempt = self.attempt(position, started, None, status, request_id);
        self.record(started, attempt);
        self.history
    }

    fn attempt(
        &mut self,
        position: usize,
        started: Instant,
        kind: Option<Kind>,
        status: Option<u16>,
        request_id: Option<String>,
    ) -> Attempt {
        let candidate = self.plan.candidates.get(position);
        Attempt {
            deployment: candidate.map(|candidate| candidate.deployment.name.to_string()).unwrap_or_default(),
            kind,
            status,
            duration: clock::now().saturating_duration_since(started),
            backoff: std::mem::take(&mut self.backoff),
            request_id,
            counted: kind.is_none_or(|kind| !kind.rule().refused_before_work),
        }
    }

    /// The history is in the order in which attempts began; of two at a time the later one may end first.
    fn record(&mut self, started: Instant, attempt: Attempt) {
        let place = self.starts.partition_point(|other| *other <= started);
        self.starts.insert(place, started);
        self.history.insert(place, attempt);
        if let Some([earlier, later]) = self.history.get_mut(place..place + 2) {
            // The wait was before both of them.
            std::mem::swap(&mut earlier.backoff, &mut later.backoff);
        }
    }

    /// Was nothing sent yet?
    pub fn is_first(&self) -> bool {
        self.history.is_empty()
    }

    /// What the next attempt may take of the call's time and requests.
    pub fn leave(&self) -> Leave {
        let repeat = self.requests() + 1 < MOST_REQUESTS;
        let is_last = self.max_retries == 0 || self.counted >= self.max_retries || !repeat;
        Leave { is_last, number: self.counted, repeat }
    }

    /// May another request be sent beside the one that runs? It counts as an attempt.
    pub fn may_hedge(&self) -> bool {
        self.counted < self.max_retries && self.requests() + 2 <= MOST_REQUESTS
    }

    /// A hedge at the candidate at `position` draws on the same allowance as a retry.
    pub fn pays_for_hedge(&self, position: usize) -> bool {
        self.is_paid_for(position, None)
    }

    /// An attempt was cancelled because another one had answered.
    pub fn superseded(&mut self, position: usize, started: Instant) {
        let attempt = self.attempt(position, started, Some(Kind::Superseded), None, None);
        self.counted += 1;
        self.record(started, attempt);
    }

    /// An attempt failed while another one was still on its way.
    pub fn noted(&mut self, position: usize, started: Instant, failure: &Failure) {
        let request_id = failure.request_id.clone();
        let attempt = self.attempt(position, started, Some(failure.kind), failure.status, request_id);
        self.counted += u32::from(attempt.counted);
        self.record(started, attempt);
        self.note(position, failure);
        self.keep_worst(position, failure);
    }

    /// An attempt's request was repeated.
    pub fn repeated(&mut self) {
        self.repeats += 1;
    }

    fn requests(&self) -> usize {
        self.history.len() + self.repeats
    }

    /// What follows from `failure` of the candidate at `position`.
    pub fn judge(&mut self, position: usize, started: Instant, failure: Failure) -> Verdict {
        defect::at(defect::Stage::Judge);
        let request_id = failure.request_id.clone();
        let attempt = self.attempt(position, started, Some(failure.kind), failure.status, request_id);
        self.counted += u32::from(attempt.counted);
        self.record(started, attempt);
        self.note(position, &failure);
        self.keep_worst(position, &failure);
        if failure.kind == Kind::Deadline {
            return Verdict::Fail(self.error(Some((failure, position)), "deadline"));
        }
        if self.max_retries == 0 || self.counted > self.max_retries || self.requests() >= MOST_REQUESTS {
            return Verdict::Fail(self.error(None, "attempts"));
        }
        if self.is_final(position, &failure) {
            return Verdict::Fail(self.error(None, "class"));
        }
        if let Some(next) = self.elsewhere(position, &failure) {
            return self.within_deadline(next, Duration::ZERO);
        }
        self.same_again(&failure)
    }

    /// What no deployment would take is not offered again to those that failed otherwise before.
    fn is_final(&self, position: usize, failure: &Failure) -> bool {
        let is_spent = self.tried.get(position).is_some_and(|tried| tried.spent);
        is_spent && failure.kind.rule().other == Other::Never
    }

    /// The candidate at `position` has no key to be asked with: nothing was sent, so no bound is touched.
    pub fn without_key(&mut self, position: usize, failure: Failure) -> Verdict {
        self.note(position, &failure);
        self.keep_worst(position, &failure);
        if failure.kind == Kind::Deadline {
            return Verdict::Fail(self.error(Some((failure, position)), "deadline"));
        }
        match self.elsewhere(position, &failure) {
            Some(next) => self.within_deadline(next, Duration::ZERO),
            None => self.same_again(&failure),
        }
    }

    /// May the candidate at `position` be asked once more with a renewed key?
    pub fn again(&self, position: usize) -> Again {
        if self.max_retries == 0 || self.requests() + 1 >= MOST_REQUESTS {
            return Again::NoRequestLeft;
        }
        let renewed = self.tried.get(position).is_none_or(|tried| tried.renewed);
        if renewed { Again::Done } else { Again::Yes }
    }

    /// The key of the candidate at `position` was refused with `failure`, and there is another one: the same
    /// candidate is asked again, and the refusal counts as nothing.
    pub fn renewed(&mut self, position: usize, started: Instant, failure: &Failure) -> Verdict {
        let request_id = failure.request_id.clone();
        let attempt = self.attempt(position, started, Some(failure.kind), failure.status, request_id);
        self.record(started, attempt);
        self.keep_worst(position, failure);
        if let Some(tried) = self.tried.get_mut(position) {
            tried.renewed = true;
        }
        self.within_deadline(position, Duration::ZERO)
    }

    fn note(&mut self, position: usize, failure: &Failure) {
        let same = failure.should_retry.map_or(failure.kind.rule().same, |again| match again {
            true if failure.kind.rule().same == Same::Never => Same::Backoff,
            true => failure.kind.rule().same,
            false => Same::Never,
        });
        let ready = failure.retry_after.map(|wait| later(clock::now(), wait));
        if let Some(tried) = self.tried.get_mut(position) {
            let failed = tried.failed + 1;
            *tried = Tried { last: Some(failure.kind), failed, ready, spent: same == Same::Never, ..*tried };
        }
        // What failed is the deployment, not the key: its other keys would meet the same.
        if !failure.kind.rule().disables_credential && failure.kind != Kind::RateLimit {
            self.note_siblings(position, failure.kind, same == Same::Never);
        }
    }

    fn note_siblings(&mut self, position: usize, kind: Kind, spent: bool) {
        let Some(failed) = self.plan.candidates.get(position) else { return };
        for (tried, candidate) in self.tried.iter_mut().zip(&self.plan.candidates) {
            if tried.last.is_none() && candidate.is_sibling_of(failed) {
                *tried = Tried { last: Some(kind), ready: None, spent, ..*tried };
            }
        }
    }

    /// An untried candidate that may do better.
    fn elsewhere(&self, position: usize, failure: &Failure) -> Option<usize> {
        let failed = self.plan.candidates.get(position)?;
        let untried =
            |(next, _): &(usize, &Candidate)| self.tried.get(*next).is_some_and(|tried| tried.last.is_none());
        let candidates = self.plan.candidates.iter().enumerate();
        let mends = candidates.filter(untried).filter_map(|(next, other)| {
            let turn = (next + self.plan.candidates.len() - position) % self.plan.candidates.len();
            Some((other.mends(failure.kind, failed)?, turn, next))
        });
        mends.min().map(|(_, _, next)| next)
    }

    /// The candidate that is ready soonest among those that may be asked again.
    fn same_again(&mut self, failure: &Failure) -> Verdict {
        let now = clock::now();
        let soonest = (self.tried.iter().enumerate())
            .filter(|(_, tried)| tried.last.is_some() && !tried.spent)
            .min_by_key(|(_, tried)| tried.ready.unwrap_or(now));
        let Some((candidate, tried)) = soonest.map(|(position, tried)| (position, *tried)) else {
            return Verdict::Fail(self.error(None, "class"));
        };
        // Moving on is free; asking the same one again is a retry, whatever it said.
        self.counted += u32::from(failure.kind.rule().refused_before_work);
        if self.counted > self.max_retries {
            return Verdict::Fail(self.error(None, "attempts"));
        }
        let asked = tried.ready.map(|ready| ready.saturating_duration_since(now));
        let wait = match asked {
            Some(wait) if wait > self.terms.longest_wait => return Verdict::Fail(self.error(None, "wait")),
            Some(wait) => backoff::asked(wait, self.rng.unit()),
            None => self.backoff(&tried, failure.kind),
        };
        if let Some(tried) = self.tried.get_mut(candidate) {
            tried.waited = Some(wait);
        }
        let verdict = self.within_deadline(candidate, wait);
        match verdict {
            Verdict::Again { .. } if !self.is_paid_for(candidate, tried.last) => {
                Verdict::Fail(self.error(None, "budget"))
            }
            verdict => verdict,
        }
    }

    /// Asking the same deployment again is paid for by its first attempts; throttling cost it little.
    fn is_paid_for(&self, position: usize, last: Option<Kind>) -> bool {
        let Some(candidate) = self.plan.candidates.get(position) else { return true };
        let cost = if last == Some(Kind::RateLimit) { Cost::Half } else { Cost::Whole };
        let allowance = &candidate.deployment.live.allowance;
        allowance.draw(&self.terms.allowance, cost, clock::now()) == Allowed::Yes
    }

    fn backoff(&self, tried: &Tried, kind: Kind) -> Duration {
        let backoff = self.terms.policy.backoff(tried.last.unwrap_or(kind));
        backoff.wait(tried.failed.saturating_sub(1), tried.waited, self.rng.unit())
    }

    /// An attempt begins at the candidate at `position`: what it pays for is counted.
    pub fn begins(&self, position: usize) {
        let first = self.tried.get(position).is_none_or(|tried| tried.last.is_none());
        if let Some(candidate) = self.plan.candidates.get(position).filter(|_| first) {
            candidate.deployment.live.allowance.first(clock::now());
        }
    }

    /// Who may be asked now: the candidate at `first`, then those that were not tried and may do as well.
    pub fn choices(&self, first: usize) -> impl Iterator<Item = usize> {
        let others = self.tried.iter().enumerate().filter(move |(position, tried)| {
            *position != first && tried.last.is_none() && self.may_stand_in(*position, first)
        });
        std::iter::once(first).chain(others.map(|(position, _)| position))
    }

    /// Has somebody been asked already who could be asked in the stead of the candidate at `first`?
    pub fn is_narrowed(&self, first: usize) -> bool {
        (self.tried.iter().enumerate()).any(|(position, tried)| {
            position != first && tried.last.is_some() && self.may_stand_in(position, first)
        })
    }

    fn may_stand_in(&self, position: usize, first: usize) -> bool {
        let candidates = &self.plan.candidates;
        let (Some(other), Some(refused)) = (candidates.get(position), candidates.get(first)) else {
            return false;
        };
        other.mends(Kind::LimitExceeded, refused).is_some()
    }

    /// Neither the candidate at `first` nor those in its stead may be asked, for a reason of our own. One that failed
    /// before may be asked again, where there is one; else the failure that an upstream caused says more.
    pub fn turned_away(&mut self, first: usize, refusal: Failure) -> Verdict {
        let Some((failure, _)) = self.last.clone().or_else(|| self.worst.clone()) else {
            return Verdict::Fail(self.error(Some((refusal, usize::MAX)), "limits"));
        };
        let is_again = self.tried.get(first).is_none_or(|tried| tried.last.is_some());
        if is_again || self.counted > self.max_retries || self.requests() >= MOST_REQUESTS {
            return Verdict::Fail(self.error(None, "limits"));
        }
        self.same_again(&failure)
    }

    /// A backoff that would cross the deadline is not slept: the error is raised now.
    fn within_deadline(&mut self, candidate: usize, wait: Duration) -> Verdict {
        if clock::now() + wait + SHORTEST_ATTEMPT > self.deadline {
            return Verdict::Fail(self.error(None, "deadline"));
        }
        self.backoff += wait;
        Verdict::Again { candidate, wait }
    }

    /// The failure worth raising is the first one that says something about the request rather than about a
    /// candidate that would not take it.
    fn keep_worst(&mut self, position: usize, failure: &Failure) {
        let better = match &self.worst {
            None => true,
            Some((kept, _)) if kept.kind == failure.kind => true,
            Some((kept, _)) => {
                kept.kind.rule().refused_before_work && !failure.kind.rule().refused_before_work
            }
        };
        self.last = None;
        if better {
            self.worst = Some((failure.clone(), position));
        } else {
            self.last = Some((failure.clone(), position));
        }
    }

    fn error(&self, failure: Option<(Failure, usize)>, denied: &'static str) -> Error {
        let nothing = || (Failure::new(Kind::NoHealthyDeployment, "no deployment could be asked"), 0);
        let cause = if failure.is_none() { self.last.clone() } else { None };
        let mut raised = failure.or_else(|| self.worst.clone()).unwrap_or_else(nothing);
        if raised.0.kind.rule().disables_credential {
            raised.0.message.push_str(&self.refused_keys());
        }
        let error = self.about(raised).with_attempts(self.history.clone()).denied(denied);
        match cause {
            Some(last) => error.caused_by(self.about(last)),
            None => error,
        }
    }

    /// Which keys did not serve, where there are several; by their ids.
    fn refused_keys(&self) -> String {
        let tried = self.tried.iter().zip(&self.plan.candidates);
        let refused =
            tried.filter(|(tried, _)| tried.last.is_some_and(|kind| kind.rule().disables_credential));
        let named =
            refused.map(|(_, refused)| format!("`{}` of {}", refused.credential.id, refused.deployment.name));
        let named: Vec<String> = named.collect();
        if named.len() < 2 { String::new() } else { format!(" (keys tried: {})", named.join(", ")) }
    }

    fn about(&self, (failure, position): (Failure, usize)) -> Error {
        let plan = self.plan;
        let asked = plan.candidates.get(position).map(|candidate| &candidate.deployment);
        let subject =
            asked.map(|asked| asked.subject(&plan.decision.model, &plan.operation)).unwrap_or_default();
        Error::from_failure(failure).about(subject)
    }
}
