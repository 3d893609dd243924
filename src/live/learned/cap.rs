//! How many requests a second a host takes, where only its refusals tell.
//!
//! Additive increase, multiplicative decrease (Chiu and Jain, 1989) of a rate, as TCP does it with a window. The first
//! refusal sets the rate to a part of what had been accepted lately; every second in which the rate is used up adds
//! to it, more of it the longer nothing was refused (as TCP CUBIC does); refusals of what was sent before the last
//! decrease are part of the same lesson, and a host that refuses whatever is sent, since its window is used up, is left
//! alone for longer each time, at no more than what it usually takes. Where next to nothing had been accepted before
//! the refusals, they tell of no rate: one is guessed, and doubles every second (slow start) until the host says what
//! it takes. After a long time without a refusal nothing is left of it. Pure: time is an argument.

use std::time::Duration;

use super::accepted::Accepted;
use crate::clock::Instant;

/// What is left of the rate after a refusal.
const BACKOFF: f64 = 0.8;
/// What a second adds to the rate while it is used up, as a part of the rate that was refused.
const GROWTH: f64 = 0.01;
/// The slowest rate: one request a minute.
const SLOWEST: f64 = 1.0 / 60.0;
/// After so many seconds without a refusal growth quickens, with the square of the time.
const PATIENCE: f64 = 30.0;
/// Seconds in which the counts of what was accepted lately, and of what usually is, fall to 1/e.
const LATELY: f64 = 10.0;
const USUALLY: f64 = 60.0;
/// Seconds of the rate that may be sent at once.
const BURST: f64 = 1.0;
/// Fewer accepted requests tell nothing of a rate: after a refusal the wait it asked for is enough.
const TELLING: f64 = 5.0;
/// Requests that are counted for a shorter time, in seconds, tell of a burst and of no rate.
const SHORT: f64 = 1.0;
/// A guessed rate is no lower than this.
const GUESS: f64 = 5.0;
/// Seconds in which a refusal comes back.
const ROUND_TRIP: f64 = 0.25;
/// The longest time, in seconds, for which nothing is sent to a host that refuses everything.
const LONGEST_REST: f64 = 10.0;
/// Without a refusal for so long, the host is taken to have no such limit any more.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// A learned rate of requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cap {
    learned: Option<Rate>,
    lately: Accepted,
    usually: Accepted,
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    /// Requests a second.
    per_second: f64,
    /// What it grows by in a second in which it is used up.
    step: f64,
    /// Requests that may be sent at once; below zero where more were sent.
    level: f64,
    at: Instant,
    /// When it was last lowered.
    lowered: Instant,
    /// When a request was last refused.
    refused: Instant,
    /// Was nothing answered that was sent since it was lowered?
    is_open: bool,
    /// Is it a guess, since too little was accepted to know?
    is_guess: bool,
    /// Requests sent since it was lowered.
    sent: f64,
    /// Refusals in a row, after the first, of what was sent after the one before.
    series: u32,
    /// When it last grew.
    grown: Instant,
}

impl Cap {
    pub(super) fn new(now: Instant) -> Self {
        Self { learned: None, lately: Accepted::new(LATELY, now), usually: Accepted::new(USUALLY, now) }
    }

    /// Requests a second; `None` is not limited.
    pub(super) fn per_second(&self, now: Instant) -> Option<f64> {
        self.rate(now).map(|rate| rate.per_second)
    }

    /// How long until one more may be sent; `None` is now.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let rate = self.rate(now)?.refilled(now);
        // Half a millionth of a request is a rounding error.
        let missing = 1.0 - rate.level;
        (missing > 5e-7).then(|| Duration::from_secs_f64(missing / rate.per_second))
    }

    /// One is sent.
    pub(super) fn take(&mut self, now: Instant) {
        self.lately.add(now);
        self.usually.add(now);
        self.learned = self.rate(now).map(|rate| {
            let rate = rate.refilled(now);
            Rate { level: rate.level - 1.0, sent: rate.sent + 1.0, ..rate }
        });
    }

    /// One was not sent after all.
    pub(super) fn untake(&mut self, now: Instant) {
        self.lately.take_back(now);
        self.usually.take_back(now);
        if let Some(rate) = &mut self.learned {
            rate.level = (rate.level + 1.0).min(rate.burst());
        }
    }

    /// One that was sent at `sent` was refused for being too many.
    pub(super) fn throttled(&mut self, sent: Instant, ceiling: Option<f64>, now: Instant) {
        self.lately.take_back(now);
        self.usually.take_back(now);
        if self.rate(now).is_none() && self.lately.count(now) < TELLING {
            return;
        }
        let lately = self.lately.per_second(now);
        let ceiling = ceiling.unwrap_or(f64::INFINITY);
        let rate = match self.rate(now) {
            None => self.first(now),
            Some(rate) if sent < rate.lowered && rate.series > 0 => rate.refilled(now),
            // More of the same lesson: less was accepted than had seemed so.
            Some(rate) if sent < rate.lowered => {
                let taught = if rate.is_guess { self.guess(now) } else { lately * BACKOFF };
                Rate { per_second: rate.per_second.min(taught), level: rate.level.min(0.0), ..rate }
            }
            Some(rate) if rate.refuses_all() => rate.left_alone(self.usual(now), now),
            Some(rate) => rate.lowered_to(rate.per_second.min(lately) * BACKOFF, now),
        };
        let per_second = rate.per_second.max(SLOWEST).min(ceiling);
        self.learned = Some(Rate { per_second, refused: now, at: now, grown: now, ..rate });
    }

    /// One was answered. A rate that is used up grows, up to `ceiling`.
    pub(super) fn answered(&mut self, sent: Instant, ceiling: Option<f64>, now: Instant) {
        let Some(rate) = self.rate(now) else {
            self.learned = None;
            return;
        };
        let mut rate = rate.refilled(now);
        rate.is_open &= sent < rate.lowered;
        self.learned = Some(rate);
        let over = now.saturating_duration_since(rate.grown).as_secs_f64();
        if over < 1.0 {
            return;
        }
        let used = self.lately.per_second(now) >= rate.per_second / 2.0;
        let patience = now.saturating_duration_since(rate.refused).as_secs_f64() / PATIENCE;
        let step = match (used, rate.is_guess) {
            (false, _) => 0.0,
            (true, true) => rate.per_second,
            (true, false) => rate.step * over.min(LATELY) * patience.powi(2).max(1.0),
        };
        let per_second = (rate.per_second + step).min(ceiling.unwrap_or(f64::INFINITY));
        self.learned = Some(Rate { per_second, grown: now, ..rate });
    }

    /// The rate that the first refusals teach.
    fn first(&self, now: Instant) -> Rate {
        let new = Rate::new(now);
        if self.lately.seconds(now) < SHORT || self.lately.count(now) < TELLING {
            return Rate { is_guess: true, ..new.lowered_to(self.guess(now), now) };
        }
        new.lowered_to(self.lately.per_second(now) * BACKOFF, now)
    }

    fn guess(&self, now: Instant) -> f64 {
        (self.lately.per_second(now) * BACKOFF).max(GUESS)
    }

    /// What the host usually takes, if that is known.
    fn usual(&self, now: Instant) -> Option<f64> {
        (self.usually.count(now) >= TELLING).then(|| self.usually.per_second(now))
    }

    /// The rate, unless it is forgotten.
    fn rate(&self, now: Instant) -> Option<Rate> {
        self.learned.filter(|rate| now.saturating_duration_since(rate.refused) < FORGOTTEN)
    }
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self {
            per_second: 0.0,
            step: 0.0,
            level: 0.0,
            at: now,
            lowered: now,
            refused: now,
            is_open: true,
            is_guess: false,
            sent: 0.0,
            series: 0,
            grown: now,
        }
    }

    /// The rate was too high.
    fn lowered_to(self, per_second: f64, now: Instant) -> Self {
        let step = per_second / BACKOFF * GROWTH;
        let lowered = Self { per_second, step, level: 0.0, lowered: now, ..self };
        Self { is_open: true, is_guess: false, sent: 0.0, series: 0, ..lowered }
    }

    /// The host refuses whatever is sent, since its window is used up. Over a whole window, it accepted so many.
    fn left_alone(self, usually: Option<f64>, now: Instant) -> Self {
        let per_second = usually.map_or(self.per_second, |usually| self.per_second.min(usually / BACKOFF));
        let series = self.series + 1;
        let rest = f64::from(1_u32 << series.min(16)) - 1.0;
        let level = -rest.min(LONGEST_REST * self.per_second);
        Self { per_second, level, lowered: now, is_open: true, sent: 0.0, series, ..self }
    }

    /// Is nothing of what was sent since the last lesson known or likely to be accepted?
    fn refuses_all(&self) -> bool {
        self.is_open && self.sent <= 2.0 + self.per_second * ROUND_TRIP
    }

    fn burst(&self) -> f64 {
        (self.per_second * BURST).max(1.0)
    }

    fn refilled(self, now: Instant) -> Self {
        let over = now.saturating_duration_since(self.at).as_secs_f64();
        let level = (self.level + self.per_second * over).min(self.burst());
        Self { level, at: self.at.max(now), ..self }
    }
}
