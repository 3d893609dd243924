//! How many requests a second a host takes, where only its refusals tell.
//!
//! Additive increase, multiplicative decrease (Chiu and Jain, 1989) of a rate, as TCP does it with a window. The first
//! refusal sets the rate to a part of what had been accepted lately; every second in which the rate is used up adds
//! to it, more of it the longer nothing was refused (as TCP CUBIC does); refusals of what was sent before the last
//! decrease are part of the same lesson. After a long time without a refusal nothing is left of it. Pure: time is an
//! argument.

use std::time::Duration;

use crate::clock::Instant;

/// What is left of the rate after a refusal.
const BACKOFF: f64 = 0.8;
/// What a second adds to the rate while it is used up, as a part of the rate that was refused.
const GROWTH: f64 = 0.01;
/// The slowest rate: one request a minute.
const SLOWEST: f64 = 1.0 / 60.0;
/// After so many seconds without a refusal growth quickens, with the square of the time.
const PATIENCE: f64 = 30.0;
/// Seconds in which the counts of what was lately sent and refused fall to 1/e.
const LATELY: f64 = 10.0;
/// Seconds of the rate that may be sent at once.
const BURST: f64 = 1.0;
/// Fewer accepted requests tell nothing of a rate: after a refusal the wait it asked for is enough.
const TELLING: f64 = 5.0;
/// Without a refusal for so long, the host is taken to have no such limit any more.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// A learned rate of requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cap {
    learned: Option<Rate>,
    /// Requests sent and not refused lately, as of `at`.
    accepted: f64,
    at: Instant,
    /// When the first of them was sent.
    began: Instant,
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
    /// When it last grew.
    grown: Instant,
}

impl Cap {
    pub(super) fn new(now: Instant) -> Self {
        Self { learned: None, accepted: 0.0, at: now, began: now }
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
        self.fade(now);
        if self.accepted < 0.1 {
            self.began = now;
        }
        self.accepted += 1.0;
        self.learned = self.rate(now).map(|rate| {
            let rate = rate.refilled(now);
            Rate { level: rate.level - 1.0, ..rate }
        });
    }

    /// One was not sent after all.
    pub(super) fn untake(&mut self, now: Instant) {
        self.fade(now);
        self.accepted = (self.accepted - 1.0).max(0.0);
        if let Some(rate) = &mut self.learned {
            rate.level = (rate.level + 1.0).min(rate.burst());
        }
    }

    /// One that was sent at `sent` was refused for being too many.
    pub(super) fn throttled(&mut self, sent: Instant, ceiling: Option<f64>, now: Instant) {
        self.fade(now);
        self.accepted = (self.accepted - 1.0).max(0.0);
        let learned = self.rate(now);
        if learned.is_none() && self.accepted < TELLING {
            return;
        }
        let lately = self.accepted_per_second(now);
        let same_lesson = learned.is_some_and(|rate| sent < rate.lowered);
        let before = learned.map_or(lately, |rate| rate.per_second);
        let lowered = if same_lesson { before.min(lately * BACKOFF) } else { before.min(lately) * BACKOFF };
        let per_second = lowered.min(ceiling.unwrap_or(f64::INFINITY)).max(SLOWEST);
        let lowered_at = learned.filter(|_| same_lesson).map_or(now, |rate| rate.lowered);
        self.learned = Some(Rate {
            per_second,
            step: per_second / BACKOFF * GROWTH,
            level: 0.0,
            at: now,
            lowered: lowered_at,
            refused: now,
            grown: now,
        });
    }

    /// One was answered. A rate that is used up grows, up to `ceiling`.
    pub(super) fn answered(&mut self, ceiling: Option<f64>, now: Instant) {
        let Some(rate) = self.rate(now) else {
            self.learned = None;
            return;
        };
        let rate = rate.refilled(now);
        let over = now.saturating_duration_since(rate.grown).as_secs_f64();
        if over < 1.0 {
            return;
        }
        let used = self.accepted_per_second(now) >= rate.per_second / 2.0;
        let patience = now.saturating_duration_since(rate.refused).as_secs_f64() / PATIENCE;
        let step = if used { rate.step * over.min(LATELY) * patience.powi(2).max(1.0) } else { 0.0 };
        let per_second = (rate.per_second + step).min(ceiling.unwrap_or(f64::INFINITY));
        self.learned = Some(Rate { per_second, grown: now, ..rate });
    }

    /// The rate, unless it is forgotten.
    fn rate(&self, now: Instant) -> Option<Rate> {
        self.learned.filter(|rate| now.saturating_duration_since(rate.refused) < FORGOTTEN)
    }

    fn fade(&mut self, now: Instant) {
        self.accepted = self.accepted_at(now);
        self.at = self.at.max(now);
    }

    fn accepted_at(&self, now: Instant) -> f64 {
        self.accepted * (-now.saturating_duration_since(self.at).as_secs_f64() / LATELY).exp()
    }

    /// What was accepted a second lately; in the first seconds over as many.
    fn accepted_per_second(&self, now: Instant) -> f64 {
        let counted = now.saturating_duration_since(self.began).as_secs_f64().max(1.0);
        self.accepted_at(now) / (LATELY * (1.0 - (-counted / LATELY).exp()))
    }
}

impl Rate {
    fn burst(&self) -> f64 {
        (self.per_second * BURST).max(1.0)
    }

    fn refilled(self, now: Instant) -> Self {
        let over = now.saturating_duration_since(self.at).as_secs_f64();
        let level = (self.level + self.per_second * over).min(self.burst());
        Self { level, at: self.at.max(now), ..self }
    }
}
