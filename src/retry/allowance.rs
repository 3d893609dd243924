//! How many retries all calls together may make: a share of what is asked for the first time.
//!
//! When everything fails, retries multiply the load exactly when it hurts. So asking the same deployment again, and
//! a hedge, draw on one allowance that first attempts earn (Finagle's `RetryBudget`, 20 % over 10 s; its floor of
//! ten a second is above the whole traffic of most, so here it is one). Moving on to another deployment is free: it
//! is bounded by the attempts of the call.
//!
//! The bound is exact: in the ten seconds that end with any retry, the cost of retries is at most `share` of the
//! first attempts in them and `floor` a second. It is checked and taken under one lock; checking, then adding, lets
//! racing calls overshoot.

use std::time::Duration;

use crate::clock::{self, Instant};
use crate::sync::Mutex;

/// What first attempts count for, and retries count against.
pub const WINDOW: Duration = Duration::from_secs(10);
/// Seconds that are kept, one more than the window has: the oldest is half outside, so its retries still count and
/// its first attempts no longer do.
const KEPT: usize = 11;

/// How many retries there may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Retries per first attempt. Default: 0.2 (Finagle).
    pub share: f64,
    /// Retries per second, whatever the traffic; those of the window may come at once. Default: 1.
    pub floor: f64,
}

impl Policy {
    /// The defaults.
    pub const DEFAULT: Self = Self { share: 0.2, floor: 1.0 };

    /// No bound but that of each call.
    pub const UNLIMITED: Self = Self { share: 0.0, floor: f64::INFINITY };

    fn earned(&self, firsts: u64) -> f64 {
        self.share * firsts as f64 + self.floor * WINDOW.as_secs_f64()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a retry costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// After a failure, and for a hedge.
    Whole,
    /// After throttling: it cost the upstream nothing (AWS retry 2.1: 5 of 14).
    Half,
}

/// May a retry go out?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Allowed {
    /// Yes, and it is paid for.
    Yes,
    /// No.
    No,
}

/// The allowance that calls share.
#[derive(Debug)]
pub struct Allowance {
    origin: Instant,
    ledger: Mutex<Ledger>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self::new(clock::now())
    }
}

impl Allowance {
    /// One that nothing has been drawn from, whose beginning is `origin`.
    pub fn new(origin: Instant) -> Self {
        Self { origin, ledger: Mutex::new(Ledger::default()) }
    }

    /// Something is asked for the first time.
    pub fn first(&self, now: Instant) {
        self.ledger.lock().first(self.at(now));
    }

    /// May something be asked again? A yes is paid for.
    pub fn draw(&self, policy: &Policy, cost: Cost, now: Instant) -> Allowed {
        self.ledger.lock().draw(policy, cost, self.at(now))
    }

    /// Whole retries that could be drawn at `now`.
    pub fn balance(&self, policy: &Policy, now: Instant) -> f64 {
        self.ledger.lock().balance(policy, self.at(now)).max(0.0)
    }

    fn at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }
}

/// What happened within a second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    firsts: u64,
    /// Halves of retries.
    spent: u64,
}

/// What happened within the window, by seconds since the beginning.
#[derive(Debug, Default)]
struct Ledger {
    newest: u64,
    seconds: [Second; KEPT],
}

impl Ledger {
    fn first(&mut self, at: Duration) {
        if let Some(second) = self.running(at) {
            second.firsts += 1;
        }
    }

    fn draw(&mut self, policy: &Policy, cost: Cost, at: Duration) -> Allowed {
        let balance = self.balance(policy, at);
        let Some(second) = self.running(at).filter(|_| balance >= cost.retries()) else { return Allowed::No };
        second.spent += cost.halves();
        Allowed::Yes
    }

    fn balance(&mut self, policy: &Policy, at: Duration) -> f64 {
        self.advance(at);
        let half_outside = self.second(self.newest.saturating_add(1)).map_or(0, |oldest| oldest.firsts);
        let firsts: u64 = self.seconds.iter().map(|second| second.firsts).sum();
        let spent: u64 = self.seconds.iter().map(|second| second.spent).sum();
        policy.earned(firsts - half_outside) - spent as f64 / 2.0
    }

    fn running(&mut self, at: Duration) -> Option<&mut Second> {
        self.advance(at);
        self.second(self.newest)
    }

    fn advance(&mut self, at: Duration) {
        let passed = at.as_secs().saturating_sub(self.newest).min(KEPT as u64);
        for gone in 1..=passed {
            if let Some(second) = self.second(self.newest.saturating_add(gone)) {
                *second = Second::default();
            }
        }
        self.newest = self.newest.max(at.as_secs());
    }

    fn second(&mut self, number: u64) -> Option<&mut Second> {
        self.seconds.get_mut(usize::try_from(number % KEPT as u64).unwrap_or_default())
    }
}

impl Cost {
    fn halves(self) -> u64 {
        match self {
            Self::Whole => 2,
            Self::Half => 1,
        }
    }

    fn retries(self) -> f64 {
        self.halves() as f64 / 2.0
    }
}
