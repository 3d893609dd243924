//! A server with slots before which a line forms, in virtual time: no threads, no sleeping, the same every time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use fairlead::admit::line::{Line, Newcomer, Settings, Standing, Ticket};
use fairlead::clock::Rng;

/// A call that comes at some time and takes a slot for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    pub at: u64,
    pub tenant: u64,
    pub priority: u8,
    pub cost: u64,
    pub takes: u64,
    /// Its caller calls again so long after it ended, on average; zero: others call, whatever becomes of it.
    pub thinks: u64,
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub call: Call,
    pub waited: u64,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Served,
    Refused,
    TimedOut,
}

/// A time, exponentially distributed.
pub fn exponential(rng: &Rng, mean: u64) -> u64 {
    (-(mean as f64) * (1.0 - rng.unit()).ln()) as u64
}

/// Calls at random times, one `every` so many nanoseconds on average, until some time.
pub fn poisson(rng: &Rng, every: u64, until: u64, call: Call) -> Vec<Call> {
    let next = |call: &Call| Some(Call { at: call.at + exponential(rng, every), ..*call });
    std::iter::successors(Some(call), next).take_while(|call| call.at < until).collect()
}

/// Lets calls come until some time, each with `patience`, through a line before `slots`.
pub fn run(rng: &Rng, calls: Vec<Call>, until: u64, slots: usize, patience: u64) -> Vec<Ended> {
    let mut server = Server {
        line: Line::new(Settings::default()),
        free: slots,
        waiting: BTreeMap::new(),
        events: calls.into_iter().map(|call| Reverse((call.at, Event::Comes(call)))).collect(),
        ended: Vec::new(),
    };
    while let Some(Reverse((now, event))) = server.events.pop() {
        match event {
            Event::Comes(call) if now < until => server.comes(call, patience),
            Event::Comes(_) => continue,
            Event::Ends(call) => {
                server.free += 1;
                server.line.freed(now);
                server.calls_again(rng, call, now);
            }
        }
        server.try_head(rng, now);
    }
    server.ended
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ends(Call),
    Comes(Call),
}

struct Server {
    line: Line,
    free: usize,
    waiting: BTreeMap<Ticket, Call>,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    ended: Vec<Ended>,
}

impl Server {
    fn comes(&mut self, call: Call, patience: u64) {
        let Call { at, tenant, priority, cost, .. } = call;
        let who = Newcomer { tenant, weight: 1.0, priority, cost, deadline: at.saturating_add(patience) };
        match self.line.join(who, at) {
            Ok(ticket) => drop(self.waiting.insert(ticket, call)),
            Err(_) => self.ended.push(Ended { call, waited: 0, outcome: Outcome::Refused }),
        }
    }

    fn calls_again(&mut self, rng: &Rng, call: Call, now: u64) {
        if call.thinks > 0 {
            let at = now + exponential(rng, call.thinks);
            self.events.push(Reverse((at, Event::Comes(Call { at, ..call }))));
        }
    }

    fn try_head(&mut self, rng: &Rng, now: u64) {
        while let Some(ticket) = self.line.offered() {
            self.line.tries();
            if self.free == 0 {
                self.line.blocked(ticket, None, now);
                continue;
            }
            let call = self.waiting.remove(&ticket).unwrap();
            self.line.serve(ticket, call.cost, now);
            self.free -= 1;
            self.events.push(Reverse((now + call.takes, Event::Ends(call))));
            self.ended.push(Ended { call, waited: now - call.at, outcome: Outcome::Served });
        }
        for ticket in self.line.news() {
            if matches!(self.line.standing(ticket), Standing::Away(_)) {
                let call = self.waiting.remove(&ticket).unwrap();
                self.line.leave(ticket, now);
                self.ended.push(Ended { call, waited: now - call.at, outcome: Outcome::TimedOut });
                self.calls_again(rng, call, now);
            }
        }
    }
}
