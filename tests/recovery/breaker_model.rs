//! The breaker beside a model of it that keeps everything that ever happened and counts it anew each time.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use fairlead::clock;
use fairlead::error::{Blow, Kind};
use fairlead::live::breaker::{
    Ask, Breaker, Counts, Errand, Pass, Policy, Reason, Role, Slow, State, Transition,
};
use proptest::prelude::*;

/// A step of a history; numbers pick one of the calls that are out.
#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    Ask,
    Answered(usize),
    Succeeded(usize),
    Failed { call: usize, blow: Blow, retry_after: Option<u64> },
    Dropped(usize),
    Isolate,
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    let blow = prop_oneof![6 => Just(Blow::Hard), 2 => Just(Blow::Ratio), 1 => Just(Blow::None)];
    let retry_after = prop::option::weighted(0.1, 0_u64..1_000_000);
    prop_oneof![
        4 => (0_u64..1_500).prop_map(Step::Wait),
        2 => (0_u64..70_000).prop_map(Step::Wait),
        16 => Just(Step::Ask),
        3 => any::<usize>().prop_map(Step::Answered),
        5 => any::<usize>().prop_map(Step::Succeeded),
        9 => (any::<usize>(), blow, retry_after)
            .prop_map(|(call, blow, retry_after)| Step::Failed { call, blow, retry_after }),
        1 => any::<usize>().prop_map(Step::Dropped),
        1 => prop::bool::weighted(0.1).prop_map(|isolate| if isolate { Step::Isolate } else { Step::Ask }),
        1 => prop::bool::weighted(0.2).prop_map(|reset| if reset { Step::Reset } else { Step::Ask }),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let role = prop_oneof![6 => Just(Role::Guard), 2 => Just(Role::Lone), 1 => Just(Role::Observer)];
    let slow = prop::option::of((100_u64..2_000, 0.2_f64..1.0))
        .prop_map(|slow| slow.map(|(millis, share)| Slow { after: Duration::from_millis(millis), share }));
    let share = prop_oneof![Just(0.15), Just(0.5), Just(1.1)];
    (0_u32..7, share, 1_u32..12, slow, 0_u32..4, role).prop_map(
        |(in_a_row, failed, least_calls, slow, probes, role)| Policy {
            in_a_row,
            failed,
            least_calls,
            slow,
            probes,
            role,
            ..Policy::DEFAULT
        },
    )
}

/// A call that is out, as the model knows it.
#[derive(Clone, Copy, Debug)]
struct Out {
    id: usize,
    /// The time round in which it went out.
    round: usize,
    errand: Errand,
    sent: u64,
    answered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stand {
    Closed,
    Open { until: u64 },
    HalfOpen,
    Isolated,
}

/// All times in milliseconds.
#[derive(Debug)]
struct Model {
    policy: Policy,
    stand: Stand,
    round: usize,
    /// Calls, failures, slow ones, by slots of three seconds.
    counted: BTreeMap<u64, (u32, u32, u32)>,
    unanswered: u32,
    broken: u32,
    /// Probes by id that hold a place, in any round; those of this round; how many of this round answered.
    holding: HashSet<usize>,
    of_round: HashSet<usize>,
    answers: u32,
    last_trial: u64,
    /// When it healed, if it ever did.
    healed: Option<u64>,
    times: i32,
    asked: usize,
}

/// What the model expects of an asking.
#[derive(Debug, PartialEq)]
enum Expected {
    Go(Errand, bool),
    Wait(u64),
    Isolated,
}

impl Model {
    fn new(policy: Policy) -> Self {
        Self {
            policy,
            stand: Stand::Closed,
            round: 0,
            counted: BTreeMap::new(),
            unanswered: 0,
            broken: 0,
            holding: HashSet::new(),
            of_round: HashSet::new(),
            answers: 0,
            last_trial: 0,
            healed: None,
            times: 0,
            asked: 0,
        }
    }

    fn probes(&self) -> usize {
        self.policy.probes.max(1) as usize
    }

    fn ask(&mut self, now: u64) -> Expected {
        match (self.stand, self.policy.role) {
            (Stand::Closed, _) => Expected::Go(Errand::Regular, false),
            (Stand::Isolated, _) => Expected::Isolated,
            (_, Role::Observer) => Expected::Go(Errand::Trial, false),
            (_, Role::Lone) if now < self.last_trial + 1_000 => Expected::Wait(self.last_trial + 1_000 - now),
            (_, Role::Lone) => {
                self.last_trial = now;
                Expected::Go(Errand::Trial, false)
            }
            (Stand::Open { until }, Role::Guard) if now < until => Expected::Wait(until - now),
            (stand, Role::Guard) => {
                let opens = matches!(stand, Stand::Open { .. });
                let busy = if opens { 0 } else { self.of_round.len() + self.answers as usize };
                if self.holding.len() >= self.probes() || busy >= self.probes() {
                    return Expected::Wait(1_000);
                }
                if opens {
                    self.turn(Stand::HalfOpen);
                }
                Expected::Go(Errand::Probe, opens)
            }
        }
    }

    fn went_out(&mut self, errand: Errand, now: u64) -> Out {
        self.asked += 1;
        if errand == Errand::Probe {
            self.holding.insert(self.asked);
            self.of_round.insert(self.asked);
        }
        Out { id: self.asked, round: self.round, errand, sent: now, answered: false }
    }

    fn turn(&mut self, stand: Stand) {
        self.stand = stand;
        self.round += 1;
        self.counted.clear();
        self.of_round.clear();
        (self.unanswered, self.broken, self.answers) = (0, 0, 0);
    }

    fn counts(&self, now: u64) -> Counts {
        let window = self.counted.range((now / 3_000).saturating_sub(9)..);
        window.fold(Counts { calls: 0, failed: 0, slow: 0 }, |sum, (_, (calls, failed, slow))| Counts {
            calls: sum.calls + calls,
            failed: sum.failed + failed,
            slow: sum.slow + slow,
        })
    }

    fn is_slow(&self, out: &Out, now: u64) -> bool {
        self.policy.slow.is_some_and(|slow| Duration::from_millis(now - out.sent) > slow.after)
    }

    fn free(&mut self, out: &Out) {
        self.holding.remove(&out.id);
        self.of_round.remove(&out.id);
    }

    /// Why it must open now, if it must.
    fn verdict(&self, now: u64, failed: bool) -> Option<Reason> {
        let Counts { calls, failed: failures, slow } = self.counts(now);
        let enough = |count: u32, share: f64| {
            count > 0 && calls >= self.policy.least_calls && f64::from(count) / f64::from(calls) >= share
        };
        let run = self.unanswered.max(self.broken);
        if self.policy.role == Role::Observer {
            None
        } else if failed && self.policy.in_a_row > 0 && run >= self.policy.in_a_row {
            Some(Reason::InARow)
        } else if failed && enough(failures, self.policy.failed) {
            Some(Reason::Failed)
        } else if self.policy.slow.is_some_and(|limit| enough(slow, limit.share)) {
            Some(Reason::Slow)
        } else {
            None
        }
    }

    fn answered(&mut self, out: &mut Out, now: u64) -> Option<Reason> {
        if out.answered {
            return None;
        }
        let (errand, slow) = (out.errand, self.is_slow(out, now));
        self.free(out);
        (out.answered, out.errand) = (true, Errand::Regular);
        if out.round != self.round {
            return None;
        }
        match (self.stand, errand) {
            (Stand::Closed, _) => {
                self.unanswered = 0;
                let counted = self.counted.entry(now / 3_000).or_default();
                (counted.0, counted.2) = (counted.0 + 1, counted.2 + u32::from(slow));
                if slow { self.verdict(now, false) } else { None }
            }
            (Stand::HalfOpen, Errand::Probe) if slow => Some(Reason::ProbeFailed),
            (Stand::HalfOpen, Errand::Probe) => {
                self.answers += 1;
                (self.answers as usize >= self.probes()).then_some(Reason::ProbeAnswered)
            }
            (_, Errand::Trial) => (!slow).then_some(Reason::ProbeAnswered),
            _ => None,
        }
    }

    fn failed(&mut self, out: &Out, blow: Blow, now: u64) -> Option<Reason> {
        self.free(out);
        if blow == Blow::None || out.round != self.round {
            return None;
        }
        match self.stand {
            Stand::Closed => {
                let slow = self.is_slow(out, now);
                let counted = self.counted.entry(now / 3_000).or_default();
                if out.answered {
                    *counted = (counted.0.max(counted.1 + 1), counted.1 + 1, counted.2);
                } else {
                    *counted = (counted.0 + 1, counted.1 + 1, counted.2 + u32::from(slow));
                }
                match (blow, out.answered) {
                    (Blow::Hard, true) => self.broken += 1,
                    (Blow::Hard, false) => self.unanswered += 1,
                    _ => {}
                }
                self.verdict(now, true)
            }
            Stand::HalfOpen if out.errand != Errand::Trial => Some(Reason::ProbeFailed),
            _ => None,
        }
    }

    /// Follows a transition: the one number that chance decides is taken from it, within its bounds.
    fn follow(&mut self, told: &Transition, retry_after: Option<u64>, now: u64) {
        if told.to != State::Open {
            self.healed = Some(now);
            return self.turn(Stand::Closed);
        }
        let forgiven = match self.healed {
            None => true,
            Some(at) => now - at >= 60_000,
        };
        self.times = if self.stand == Stand::Closed && forgiven { 1 } else { self.times + 1 };
        let middle = (5.0 * 2_f64.powi(self.times - 1)).min(50.0);
        let hint = retry_after.unwrap_or(0).min(600_000) as f64 / 1e3;
        let nanos = told.open_for.unwrap().as_nanos();
        let open_for = nanos as f64 / 1e9;
        assert!(open_for >= (0.8 * middle).max(hint) - 1e-6, "{told}");
        assert!(open_for <= (1.2 * middle).max(hint) + 1e-6, "{told}");
        // Whole milliseconds of waiting later it is over for both.
        self.turn(Stand::Open { until: now + nanos.div_ceil(1_000_000) as u64 });
        self.last_trial = now;
    }
}

/// Both, step by step.
struct Pair {
    breaker: Arc<Breaker>,
    origin: clock::Instant,
    now: u64,
    model: Model,
    out: Vec<(Pass, Out)>,
}

impl Pair {
    fn instant(&self) -> clock::Instant {
        self.origin + Duration::from_millis(self.now)
    }

    fn ask(&mut self) {
        let expected = self.model.ask(self.now);
        let said = match self.breaker.ask(&self.model.policy, self.instant()) {
            Ask::Go(mut pass) => {
                let (errand, turned) = (pass.errand(), pass.transition().is_some());
                let out = self.model.went_out(errand, self.now);
                self.out.push((pass, out));
                Expected::Go(errand, turned)
            }
            Ask::NotUntil(wait) => Expected::Wait(wait.as_nanos().div_ceil(1_000_000) as u64),
            Ask::Isolated => Expected::Isolated,
        };
        assert_eq!(said, expected);
    }

    fn take(&mut self, number: usize) -> Option<(Pass, Out)> {
        let position = number.checked_rem(self.out.len())?;
        Some(self.out.swap_remove(position))
    }

    fn agree(
        &mut self,
        counts: Counts,
        expected: Option<Reason>,
        told: Option<&Transition>,
        retry_after: Option<u64>,
    ) {
        assert_eq!(told.map(|told| told.reason), expected);
        let Some(told) = told else { return };
        if told.from == State::Closed {
            assert_eq!(told.evidence.counts, counts);
        }
        self.model.follow(told, retry_after, self.now);
        assert_eq!(told.to == State::Open, matches!(self.model.stand, Stand::Open { .. }));
    }

    fn answered(&mut self, pass: &mut Pass, out: &mut Out) {
        let expected = self.model.answered(out, self.now);
        let counts = self.model.counts(self.now);
        let told = pass.answered(self.instant());
        self.agree(counts, expected, told.as_ref(), None);
        if told.is_some_and(|told| told.to == State::Closed) {
            out.round = self.model.round;
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait(millis) => self.now += millis,
            Step::Ask => self.ask(),
            Step::Answered(number) => {
                if let Some((mut pass, mut out)) = self.take(number) {
                    self.answered(&mut pass, &mut out);
                    self.out.push((pass, out));
                }
            }
            Step::Succeeded(number) => {
                if let Some((pass, mut out)) = self.take(number) {
                    let expected = self.model.answered(&mut out, self.now);
                    let counts = self.model.counts(self.now);
                    let told = pass.succeeded(self.instant());
                    self.agree(counts, expected, told.as_ref(), None);
                    if out.round == self.model.round {
                        (self.model.unanswered, self.model.broken) = (0, 0);
                    }
                }
            }
            Step::Failed { call, blow, retry_after } => {
                if let Some((pass, out)) = self.take(call) {
                    let expected = self.model.failed(&out, blow, self.now);
                    let counts = self.model.counts(self.now);
                    let asked = retry_after.map(Duration::from_millis);
                    let told = pass.failed(blow, Kind::Server, asked, self.instant());
                    self.agree(counts, expected, told.as_ref(), retry_after);
                }
            }
            Step::Dropped(number) => {
                if let Some((pass, out)) = self.take(number) {
                    self.model.free(&out);
                    drop(pass);
                }
            }
            Step::Isolate => {
                let told = self.breaker.isolate(&self.model.policy, self.instant());
                assert_eq!(told.is_some(), self.model.stand != Stand::Isolated);
                if told.is_some() {
                    self.model.turn(Stand::Isolated);
                }
            }
            Step::Reset => {
                let told = self.breaker.reset(&self.model.policy, self.instant());
                assert_eq!(told.is_some(), self.model.stand != Stand::Closed);
                self.model.turn(Stand::Closed);
                (self.model.healed, self.model.times) = (None, 0);
            }
        }
        let holding = self.out.iter().filter(|(pass, _)| pass.errand() == Errand::Probe).count();
        assert!(holding <= self.model.probes(), "{holding} probes");
        let view = self.breaker.view(&self.model.policy, self.instant());
        assert_eq!(view.evidence.counts, self.model.counts(self.now));
        assert_eq!(view.evidence.in_a_row, self.model.unanswered.max(self.model.broken));
    }
}

proptest! {
    #[test]
    fn b1_b2_b4_the_breaker_is_the_model(policy in policy(), steps in prop::collection::vec(step(), 1..250)) {
        let origin = clock::now();
        let breaker = Arc::new(Breaker::new(origin, 3));
        let mut pair = Pair { breaker, origin, now: 0, model: Model::new(policy), out: Vec::new() };
        for step in steps {
            pair.step(step);
        }
    }
}
