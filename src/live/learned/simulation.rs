//! A strict host and callers who always want more, in virtual time: how well do learned limits fit it?

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the numbers are those of the simulation itself"
)]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::{self, Rng};

/// How a host counts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Counts {
    /// A token bucket: all of the limit at once, refilled over a minute.
    Bucket,
    /// A new minute begins with all of it.
    Minutes,
}

/// How it writes when a limit is full again.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Writes {
    /// Milliseconds from when it looked at the request.
    Duration,
    /// A moment in whole seconds, read against the `Date` of the response.
    Moment,
    /// Nothing at all.
    Nothing,
}

/// What of a request it counts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Charges {
    /// All that it may use, and gives nothing back.
    Reserved,
    /// What it uses.
    Used,
}

#[derive(Clone, Copy, Debug)]
struct Host {
    counts: Counts,
    charges: Charges,
    writes: Writes,
    /// Requests, then tokens, a minute.
    limits: [f64; 2],
    /// Shortest and longest answer, in seconds.
    answers: [f64; 2],
    /// Requests in flight at most.
    callers: usize,
    /// The share of every limit that somebody else takes with the same key.
    strangers: f64,
}

struct Meter {
    counts: Counts,
    limit: f64,
    left: f64,
    at: f64,
}

impl Meter {
    fn advance(&mut self, now: f64) {
        match self.counts {
            Counts::Bucket => self.left = (self.left + (now - self.at) * self.limit / 60.0).min(self.limit),
            Counts::Minutes if (now / 60.0).floor() > (self.at / 60.0).floor() => self.left = self.limit,
            Counts::Minutes => {}
        }
        self.at = now;
    }

    fn full_at(&self, now: f64) -> f64 {
        match self.counts {
            Counts::Bucket => now + (self.limit - self.left) / self.limit * 60.0,
            Counts::Minutes => ((now / 60.0).floor() + 1.0) * 60.0,
        }
    }
}

enum Event {
    /// A caller wants to send.
    Wants(Needs),
    /// The first in the line asks again.
    Again,
    /// Somebody else with the same key sends.
    Stranger,
    /// A request reaches the host.
    Arrives(Taken, [f64; 2], Needs),
    /// Its response reaches us.
    Answers(Answer),
}

struct Answer {
    taken: Taken,
    refused: bool,
    /// Of each limit, when the host looked.
    remaining: [f64; 2],
    /// When each limit is full.
    full_at: [f64; 2],
    counted_at: f64,
    used: Needs,
}

struct Outcome {
    sent: u64,
    refused: u64,
    /// The busiest limit's share that was used.
    used: f64,
}

struct Simulation {
    host: Host,
    meters: [Meter; 2],
    learned: Arc<Learned>,
    rng: Rng,
    origin: Instant,
    events: BinaryHeap<(Reverse<u64>, u64)>,
    waiting: HashMap<u64, Event>,
    line: VecDeque<Needs>,
    scheduled: u64,
    terms: Terms,
    outcome: Outcome,
    accepted: [f64; 2],
    measured_from: f64,
}

impl Simulation {
    fn run(host: Host, seed: u64) -> Outcome {
        let origin = clock::now();
        let meter = |limit| Meter { counts: host.counts, limit, left: limit, at: 0.0 };
        let mut simulation = Self {
            host,
            meters: host.limits.map(meter),
            learned: Arc::new(Learned::new(origin)),
            rng: Rng::seeded(seed),
            origin,
            events: BinaryHeap::new(),
            waiting: HashMap::new(),
            line: VecDeque::new(),
            scheduled: 0,
            terms: Terms::default(),
            outcome: Outcome { sent: 0, refused: 0, used: 0.0 },
            accepted: [0.0; 2],
            measured_from: 180.0,
        };
        simulation.play(780.0);
        simulation.outcome
    }

    fn at(&self, seconds: f64) -> Instant {
        self.origin + Duration::from_secs_f64(seconds)
    }

    fn between(&self, [least, most]: [f64; 2]) -> f64 {
        least + (most - least) * self.rng.unit()
    }

    fn schedule(&mut self, seconds: f64, event: Event) {
        self.scheduled += 1;
        self.events.push((Reverse((seconds * 1e9).ceil() as u64), self.scheduled));
        self.waiting.insert(self.scheduled, event);
    }

    fn play(&mut self, until: f64) {
        for caller in 0..self.host.callers {
            let needs = self.needs();
            self.schedule(caller as f64 * 0.001, Event::Wants(needs));
        }
        if self.host.strangers > 0.0 {
            self.schedule(0.0, Event::Stranger);
        }
        while let Some((Reverse(nanos), number)) = self.events.pop() {
            let now = nanos as f64 / 1e9;
            if now > until {
                break;
            }
            match self.waiting.remove(&number).unwrap() {
                Event::Wants(needs) => {
                    self.line.push_back(needs);
                    if self.line.len() == 1 {
                        self.advance_line(now);
                    }
                }
                Event::Again => self.advance_line(now),
                Event::Stranger => self.stranger(now),
                Event::Arrives(taken, amounts, used) => self.arrives(taken, amounts, used, now),
                Event::Answers(answer) => self.answers(answer, now),
            }
        }
        let minutes = (until - self.measured_from) / 60.0;
        let shares = [0, 1].map(|limit| self.accepted[limit] / (self.host.limits[limit] * minutes));
        self.outcome.used = shares[0].max(shares[1]);
        // What is still on its way is not asked any more.
        for (_, event) in self.waiting.drain() {
            if let Event::Arrives(taken, _, used) | Event::Answers(Answer { taken, used, .. }) = event {
                taken.settle(used, self.origin);
            }
        }
    }

    fn needs(&self) -> Needs {
        let (input, output) = (200 + self.rng.u64() % 1800, 100 + self.rng.u64() % 900);
        Needs { requests: 1, input, output, images: 0 }
    }

    /// Takes a part of every limit, in a hundredth of a minute's steps.
    fn stranger(&mut self, now: f64) {
        for meter in &mut self.meters {
            meter.advance(now);
            let amount = meter.limit * self.host.strangers / 100.0;
            if meter.left >= amount {
                meter.left -= amount;
            }
        }
        self.schedule(now + 0.6, Event::Stranger);
    }

    /// Sends from the head of the line until that must wait.
    fn advance_line(&mut self, now: f64) {
        while let Some(needs) = self.line.front().copied() {
            match self.learned.take(needs, self.terms, self.at(now)) {
                Taking::Taken(taken) => {
                    self.line.pop_front();
                    let travel = self.between([0.002, 0.030]);
                    let used = Needs { output: needs.output / self.between([1.0, 20.0]) as u64, ..needs };
                    let charged = if self.host.charges == Charges::Used { used } else { needs };
                    let amounts = [1.0, (charged.input + charged.output) as f64];
                    self.schedule(now + travel, Event::Arrives(taken, amounts, used));
                }
                Taking::NotUntil(blocked) => {
                    assert!(blocked.wait > Duration::ZERO);
                    return self.schedule(now + blocked.wait.as_secs_f64().min(1.0), Event::Again);
                }
            }
        }
    }

    fn arrives(&mut self, taken: Taken, amounts: [f64; 2], used: Needs, now: f64) {
        for meter in &mut self.meters {
            meter.advance(now);
        }
        let refused = self.meters.iter().zip(amounts).any(|(meter, amount)| meter.left < amount);
        if !refused {
            for (meter, amount) in self.meters.iter_mut().zip(amounts) {
                meter.left -= amount;
            }
        }
        if now > self.measured_from {
            self.outcome.sent += 1;
            self.outcome.refused += u64::from(refused);
            if !refused {
                for (sum, amount) in self.accepted.iter_mut().zip(amounts) {
                    *sum += amount;
                }
            }
        }
        let remaining = self.meters.each_ref().map(|meter| meter.left.floor());
        let full_at = self.meters.each_ref().map(|meter| meter.full_at(now));
        let seconds = if refused { 0.001 } else { self.between(self.host.answers) };
        let back = now + seconds + self.between([0.002, 0.030]);
        let answer = Answer { taken, refused, remaining, full_at, counted_at: now, used };
        self.schedule(back, Event::Answers(answer));
    }

    fn answers(&mut self, answer: Answer, now: f64) {
        let Answer { mut taken, refused, remaining, full_at, counted_at, used } = answer;
        let views: Vec<LimitView> = [LimitKind::Requests, LimitKind::Tokens]
            .into_iter()
            .enumerate()
            .filter(|_| self.host.writes != Writes::Nothing)
            .map(|(limit, kind)| {
                let reset = match self.host.writes {
                    Writes::Moment => (full_at[limit].ceil() - now.floor()).max(0.0),
                    _ => ((full_at[limit] - counted_at) * 1000.0).round() / 1000.0,
                };
                LimitView {
                    kind,
                    limit: Some(self.host.limits[limit] as u64),
                    remaining: Some(remaining[limit] as u64),
                    reset: Some(Duration::from_secs_f64(reset)),
                }
            })
            .collect();
        let at = self.at(now);
        if refused {
            taken.throttled(&views, self.terms, at);
            taken.settle(Needs { requests: 1, ..Needs::default() }, at);
        } else {
            taken.heard(&views, at);
            taken.answered(self.terms, at);
            taken.settle(used, at);
        }
        let rest = if refused { 1.0 } else { 0.0 };
        let needs = self.needs();
        self.schedule(now + rest, Event::Wants(needs));
    }
}

fn hosts() -> impl Iterator<Item = Host> {
    let charges = [Charges::Reserved, Charges::Used];
    let counts = [Counts::Bucket, Counts::Minutes]
        .into_iter()
        .flat_map(move |counts| charges.map(|charges| (counts, charges)));
    let writes = [Writes::Duration, Writes::Moment];
    let limits: [[f64; 2]; 3] = [[300.0, 1e9], [1e6, 200_000.0], [600.0, 800_000.0]];
    let answers = [[0.05, 0.2], [0.5, 5.0], [2.0, 30.0]];
    counts.flat_map(move |(counts, charges)| {
        writes.into_iter().flat_map(move |writes| {
            limits.into_iter().flat_map(move |limits| {
                answers.into_iter().map(move |answers| {
                    let busy = limits[0].min(limits[1] / 1650.0) / 60.0 * answers[1];
                    let callers = (busy * 4.0) as usize + 8;
                    Host { counts, charges, writes, limits, answers, callers, strangers: 0.0 }
                })
            })
        })
    })
}

/// What part is refused at most, and used at least?
#[track_caller]
fn holds(host: Host, seed: u64, most_refused: f64, least_used: f64) {
    let outcome = Simulation::run(host, seed);
    let refused = outcome.refused as f64 / outcome.sent as f64;
    assert!(
        refused < most_refused && outcome.used >= least_used,
        "{host:?}: sent {}, refused {refused:.4}, used {:.3}",
        outcome.sent,
        outcome.used
    );
}

#[test]
fn h5_at_full_demand_a_strict_host_refuses_less_than_one_in_a_hundred_and_is_used_to_nine_tenths() {
    for (number, host) in hosts().enumerate() {
        holds(host, number as u64, 0.01, 0.9);
    }
}

#[test]
fn h5_who_shares_a_key_with_a_stranger_still_hears_what_is_left() {
    for (number, host) in hosts().enumerate() {
        holds(Host { strangers: 0.3, ..host }, number as u64, 0.04, 0.65);
    }
}

#[test]
fn refusals_alone_teach_a_rate_near_that_of_the_host() {
    for (limit, answers) in
        [(60.0, [0.5, 5.0]), (300.0, [0.05, 0.2]), (300.0, [2.0, 30.0]), (3000.0, [0.5, 5.0])]
    {
        let callers = (limit / 60.0 * answers[1] * 2.0) as usize + 8;
        for counts in [Counts::Bucket, Counts::Minutes] {
            let host = Host {
                counts,
                charges: Charges::Reserved,
                writes: Writes::Nothing,
                limits: [limit, 1e9],
                answers,
                callers,
                strangers: 0.0,
            };
            let most = if counts == Counts::Bucket { 0.04 } else { 0.12 };
            holds(host, 7, most, 0.75);
        }
    }
}
