//! The gate: which candidate may be asked now, and the wait until one may.
//!
//! Every attempt comes through here. The candidates that the course of the call allows are tried in their order, each
//! against its breaker, what its provider has told of its limits, the purse of the scope and the limits and budgets of
//! the store; the first that all of them let through is asked. Where none is, the call waits in the line of its route
//! until something is given back or a window moves on, but never longer than its deadline and `queue.wait` allow, and
//! never where waiting is known to be in vain.
//!
//! The limits of whoever calls are charged with the first attempt, together with that attempt's own: all or nothing.
//! Those of a model are charged with the first attempt at it. Later attempts charge only what is theirs.

use std::sync::Arc;
use std::time::Duration;

use super::line::{TurnedAway, Waiting};
use super::lines::Lane;
use super::needs::Needs;
use super::permit::AttemptPermit;
use super::refusal::{Refusal, Why};
use super::scopes::{Caller, Claims, Quota};
use crate::call::Call;
use crate::chat::facts::Facts;
use crate::clock::{self, Instant};
use crate::engine::Engine;
use crate::error::Failure;
use crate::live::breaker::{Ask, Pass};
use crate::live::learned::{Taken, Taking};
use crate::live::{Leave, hash};
use crate::retry::course::{Course, SHORTEST_ATTEMPT};
use crate::route::{Candidate, Plan, Snapshot};
use crate::store::{Charge, Hold, Reserved, Reserving, When};

/// When it is worth asking again where another call has just become the probe: its answer may end the rest.
const PROBE_ELSEWHERE: Duration = Duration::from_secs(1);

/// The gate of one call.
#[derive(Debug)]
pub struct Gate<'a> {
    engine: &'a Engine,
    snapshot: &'a Snapshot,
    plan: &'a Plan,
    call: &'a Call,
    facts: &'a Facts,
    /// No wait goes on after this.
    deadline: Instant,
    /// What whoever calls counts against.
    claims: Claims,
    /// The models whose requests and slots have been charged; with the first of them, the caller's.
    charged: Vec<Arc<str>>,
    /// How long the call has stood in line.
    waited: Duration,
    is_lone: bool,
}

/// An attempt that may begin.
#[derive(Debug)]
pub struct Entry {
    /// Who is asked: a position in the plan.
    pub position: usize,
    /// To be settled.
    pub permit: AttemptPermit,
    /// What was reserved for the call as a whole; with its first attempt only.
    pub call: Option<Hold>,
    /// How long the call has stood in line so far.
    pub waited: Duration,
}

impl<'a> Gate<'a> {
    /// The gate of a call that has a plan.
    pub fn new(
        engine: &'a Engine,
        snapshot: &'a Snapshot,
        (call, facts, plan): (&'a Call, &'a Facts, &'a Plan),
        deadline: Instant,
    ) -> Self {
        let stages = &snapshot.stages;
        let claims = if stages.admit {
            snapshot.scopes.claims(&Caller::of(call, facts)).and_slots(plan.settings.slots.as_ref())
        } else {
            Claims::default()
        };
        Self {
            engine,
            snapshot,
            plan,
            call,
            facts,
            deadline,
            claims,
            charged: Vec::new(),
            waited: Duration::ZERO,
            is_lone: plan.is_lone(),
        }
    }

    /// Waits until one of the candidates that `course` allows after `first` may be asked.
    ///
    /// # Errors
    ///
    /// Why none may, or not in time.
    pub async fn enter(&mut self, course: &Course<'_>, first: usize) -> Result<Entry, Failure> {
        let lines = &self.engine.live().lines;
        // Whoever waits comes first; where nobody waits, there is no line to look at.
        let lane = lines.is_crowded().then(|| self.lane());
        let refusal = match &lane {
            Some(lane) if !lane.queue.is_empty() => None,
            _ => match self.try_all(course, first).await {
                Ok(entry) => return Ok(entry),
                Err(refusal) => Some(refusal),
            },
        };
        let patience = self.patience();
        if let Some(refusal) = &refusal
            && !refusal.is_worth_waiting(patience)
        {
            return Err(refusal.failure());
        }
        let began = clock::now();
        let lane = lane.unwrap_or_else(|| self.lane());
        // Few calls wait: those that do not carry no room for it.
        let waits = Box::pin(self.stand_in_line(&lane, course, first, refusal, began + patience));
        let entered = waits.await;
        self.waited += clock::now().saturating_duration_since(began);
        entered.map(|entry| Entry { waited: self.waited, ..entry })
    }

    /// Somebody who may be asked now, beside the candidate at `position`: another one rather than the same again.
    pub async fn beside(&mut self, course: &Course<'_>, position: usize) -> Option<Entry> {
        let lines = &self.engine.live().lines;
        if lines.is_crowded() && !self.lane().queue.is_empty() {
            return None;
        }
        let others: Vec<usize> = course.choices(position).skip(1).chain([position]).collect();
        for position in others {
            // Another model's limits are for calls that are led there.
            if let Some(candidate) = self.plan.candidates.get(position)
                && self.charged.contains(&candidate.group.name)
                && let Ok((permit, call)) = self.try_one(candidate).await
            {
                return Some(Entry { position, permit, call, waited: self.waited });
            }
        }
        None
    }

    async fn stand_in_line(
        &mut self,
        lane: &Lane,
        course: &Course<'_>,
        first: usize,
        mut last: Option<Refusal>,
        until: Instant,
    ) -> Result<Entry, Failure> {
        let _crowd = self.engine.live().lines.enter();
        let metrics = self.engine.metrics();
        let away = |turned: TurnedAway, last: &Option<Refusal>| {
            metrics.shed(turned.reason());
            // Who never had a turn waited for what the head of the line waits for.
            let before = if last.is_none() { lane.blocked() } else { None };
            Refusal::turned_away(&turned, last.as_ref().or(before.as_ref()))
        };
        let waiting = self.waiting(until);
        let mut place = lane.queue.join(waiting).map_err(|turned| away(turned, &last))?;
        place.turn().await.map_err(|turned| away(turned, &last))?;
        loop {
            let refusal = match self.try_all(course, first).await {
                Ok(entry) => {
                    lane.blocks(None);
                    place.served(waiting.cost);
                    return Ok(entry);
                }
                Err(refusal) => refusal,
            };
            let left = until.saturating_duration_since(clock::now());
            if !refusal.is_worth_waiting(left) {
                return Err(refusal.failure());
            }
            let again = refusal.again;
            let own = refusal.own.or_else(|| self.narrowed(course, first));
            if own.is_none() && refusal.is_shared() {
                lane.blocks(Some(&refusal));
            }
            let is_known = !refusal.slots;
            last = Some(refusal);
            match own {
                // Those behind may go ahead: it is no limit of theirs, or they may ask others.
                Some(own) => place.aside(own, again).await.map_err(|turned| away(turned, &last))?,
                None => place.blocked(again, is_known).await.map_err(|turned| away(turned, &last))?,
            }
        }
    }

    /// The first candidate that everything lets through.
    async fn try_all(&mut self, course: &Course<'_>, first: usize) -> Result<Entry, Refusal> {
        let mut soonest: Option<Refusal> = None;
        for position in course.choices(first) {
            let Some(candidate) = self.plan.candidates.get(position) else { continue };
            match self.try_one(candidate).await {
                Ok((permit, call)) => {
                    return Ok(Entry { position, permit, call, waited: self.waited });
                }
                Err(refusal) => {
                    let is_callers = refusal.is_callers;
                    soonest = Some(refusal.or_sooner(soonest));
                    if is_callers {
                        break;
                    }
                }
            }
        }
        Err(soonest.unwrap_or_else(Refusal::nobody))
    }

    async fn try_one(&mut self, candidate: &Candidate) -> Result<(AttemptPermit, Option<Hold>), Refusal> {
        let now = clock::now();
        let deployment = &candidate.deployment;
        self.rested(candidate, now)?;
        let pass = self.pass(candidate, now)?;
        let needs = self.needs(candidate);
        let learned = if self.snapshot.stages.admit { self.learn(candidate, &needs, now)? } else { None };
        let purse = self.call.options.purse.as_ref();
        let money = needs.cost.unwrap_or_default();
        let taken = purse
            .map(|purse| {
                let empty = |most| Refusal::of(deployment, Why::Purse(most), When::Never);
                purse.reserve(money).map_err(empty)
            })
            .transpose()?;
        let (own, call) = self.reserve(candidate, &needs).await?;
        if !self.claims_probe(candidate, now) {
            // Another call is the probe; what was reserved goes back.
            return Err(Refusal::of(deployment, Why::Throttled, When::After(PROBE_ELSEWHERE)));
        }
        if !self.charged.contains(&candidate.group.name) {
            self.charged.push(Arc::clone(&candidate.group.name));
        }
        let permit = AttemptPermit::new(self.engine, candidate, &needs)
            .passed(pass)
            .learning(learned)
            .paying(taken)
            .holding(self.engine.live().store(), own);
        Ok((permit, call))
    }

    /// Is the rest over that the provider asked for, with this key or altogether, or else a probe due?
    fn rested(&self, candidate: &Candidate, now: Instant) -> Result<(), Refusal> {
        if !self.snapshot.stages.health {
            return Ok(());
        }
        let rests = [
            (candidate.credential.relation.rest.leave(now), Why::Throttled),
            (candidate.deployment.live.rest.leave(now), Why::Cooling),
        ];
        for (leave, why) in rests {
            if let Leave::NotFor { wait, probe } = leave {
                let refusal = Refusal::of(&candidate.deployment, why, When::After(wait));
                return Err(Refusal { again: Some(wait.min(probe)), ..refusal });
            }
        }
        Ok(())
    }

    /// Nothing else stands in the way: where only a probe may go out, is this call the one?
    fn claims_probe(&self, candidate: &Candidate, now: Instant) -> bool {
        let (key, all) = (&candidate.credential.relation.rest, &candidate.deployment.live.rest);
        !self.snapshot.stages.health
            || (key.leave(now) != Leave::Probe || key.claims(now))
                && (all.leave(now) != Leave::Probe || all.claims(now))
    }

    /// The breaker's leave; none where it is not asked. What was isolated by hand is left alone all the same.
    fn pass(&self, candidate: &Candidate, now: Instant) -> Result<Option<Pass>, Refusal> {
        let deployment = &candidate.deployment;
        let Some(policy) = self.snapshot.breaker(self.is_lone) else {
            let refusal = || Refusal::of(deployment, Why::Isolated, When::Never);
            return if deployment.live.breaker.is_isolated() { Err(refusal()) } else { Ok(None) };
        };
        let (why, when) = match deployment.live.breaker.ask(&policy, now) {
            Ask::Go(mut pass) => {
                self.engine.changed(deployment, pass.transition());
                return Ok(Some(pass));
            }
            Ask::NotUntil(wait) if deployment.live.breaker.is_throttled() => {
                (Why::Throttled, When::After(wait))
            }
            Ask::NotUntil(wait) => (Why::Breaker, When::After(wait)),
            Ask::Isolated => (Why::Isolated, When::Never),
        };
        Err(Refusal::of(deployment, why, when))
    }

    /// What the provider has told of its limits for this key and model.
    fn learn(&self, candidate: &Candidate, needs: &Needs, now: Instant) -> Result<Option<Taken>, Refusal> {
        let (learned, terms) = (&candidate.credential.relation.learned, candidate.deployment.terms);
        match learned.take(needs.learned(self.facts.images), terms, now) {
            Taking::Taken(taken) => Ok(Some(taken)),
            Taking::NotUntil(blocked) => {
                let (why, when) = (Why::Learned(blocked.source), When::After(blocked.wait));
                Err(Refusal::of(&candidate.deployment, why, when))
            }
        }
    }

    fn needs(&self, candidate: &Candidate) -> Needs {
        if !self.call.operation.names_model() {
            return Needs::default();
        }
        let usage = candidate.expected(self.plan, self.facts);
        let prices = candidate.deployment.prices.as_ref();
        Needs { usage, cost: prices.and_then(|prices| prices.expected(usage.input, usage.output)) }
    }

    /// Room under all limits and budgets, for the attempt and, the first time, for the call.
    async fn reserve(
        &self,
        candidate: &Candidate,
        needs: &Needs,
    ) -> Result<(Option<Hold>, Option<Hold>), Refusal> {
        let deployment = &candidate.deployment;
        let model = if self.snapshot.stages.admit {
            self.snapshot.scopes.of_model(&candidate.group.name)
        } else {
            Claims::default()
        };
        let callers = if self.charged.is_empty() { &*self.claims.once } else { &[] };
        let models = if self.charged.contains(&candidate.group.name) { &[] } else { &*model.once };
        let once = callers.len() + models.len();
        let each = self.claims.each.iter().chain(&model.each);
        let theirs = callers.iter().chain(models).chain(each).map(|claim| (&claim.quota, claim.subject));
        let own = deployment.quotas.iter().map(|quota| (quota, candidate.subject(quota)));
        let own = own.take_while(|_| self.snapshot.stages.admit);
        let all: Vec<(&Quota, u64)> = theirs.chain(own).collect();
        if all.is_empty() {
            return Ok((None, None));
        }
        if needs.cost.is_none()
            && let Some((quota, _)) = all.iter().find(|(quota, _)| quota.needs_price)
        {
            let why = Why::Unpriced(quota.account.limit().clone());
            return Err(Refusal::of(deployment, why, When::Never));
        }
        let charges: Vec<Charge<'_>> =
            all.iter().map(|(quota, subject)| quota.charge(*subject, needs)).collect();
        let reserved = match self.engine.live().store().reserve(&charges) {
            Reserving::Ready(reserved) => reserved,
            Reserving::Pending(reserved) => reserved.await,
        };
        match reserved {
            Reserved::Granted(mut hold) => {
                let attempt = hold.split_off(once);
                Ok((Some(attempt), (once > 0).then_some(hold)))
            }
            Reserved::Denied(denial) => {
                let Some((quota, subject)) = all.get(denial.charge) else { return Err(Refusal::nobody()) };
                let own = quota.own(*subject);
                Err(Refusal { own, ..Refusal::of(deployment, Why::of(&quota.account), denial.when) })
            }
        }
    }

    /// How long the call may stand in line from now on.
    fn patience(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(clock::now()).saturating_sub(SHORTEST_ATTEMPT);
        self.snapshot.queue.wait.saturating_sub(self.waited).min(left)
    }

    fn waiting(&self, until: Instant) -> Waiting {
        let tenant = self.call.options.tenant.as_deref().unwrap_or_default();
        let usage = self.plan.candidates.first().map(|first| first.expected(self.plan, self.facts));
        Waiting {
            tenant: hash::hash([tenant]),
            weight: self.snapshot.weight(tenant),
            priority: self
                .plan
                .settings
                .priority_of(&self.call.options)
                .unwrap_or(self.snapshot.queue.priority),
            cost: usage.map_or(1, |usage| usage.input.saturating_add(usage.output)).max(1),
            deadline: until,
        }
    }

    /// The line of all calls that have the same deployments and keys to choose from.
    fn lane(&self) -> Arc<Lane> {
        let model = &self.plan.decision.model;
        let seats = seats(&mut self.plan.candidates.iter());
        self.engine.live().lines.of(&format!("{model}|{seats:016x}"), &self.snapshot.queue)
    }

    /// Where a call that has asked others before has fewer left than those behind it in line: a number for its choices.
    fn narrowed(&self, course: &Course<'_>, first: usize) -> Option<u64> {
        let choices = course.choices(first).filter_map(|position| self.plan.candidates.get(position));
        course.is_narrowed(first).then(|| seats(&mut choices.into_iter()))
    }
}

/// A number for what `candidates` have to choose from: their deployments, in whatever order, and the keys that only they
/// may use.
fn seats(candidates: &mut dyn Iterator<Item = &Candidate>) -> u64 {
    let seat = |candidate: &Candidate| {
        let (deployment, credential) = (candidate.deployment.live.seat, &candidate.credential);
        if credential.is_guests() { hash::mix(deployment ^ credential.live.seat) } else { deployment }
    };
    let mut seats: Vec<u64> = candidates.map(seat).collect();
    seats.sort_unstable();
    seats.dedup();
    seats.iter().fold(0, |hash, seat| hash::mix(hash ^ seat))
}
