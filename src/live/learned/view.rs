//! One limit of a provider as its responses tell it: what is left, and when it is full again.
//!
//! A response says what was left when the host looked at its request. What was taken after that request is
//! subtracted here; what was taken before it is in the number already; for what was sent at about the same time
//! there is a least and a most ([`order`](super::order)). Within one epoch (until the moment at which
//! the limit was said to be full) a response can only tighten the view, so one that comes late or out of order
//! never loosens it. A later epoch begins when that moment has passed, when the limit itself changes, or when a
//! response to a request from after the last reading names a later moment: a bucket that refills steadily has no
//! longer epochs. Pure: time and amounts are arguments.

use std::time::Duration;

use super::window::{self, Refill};
use super::{Known, Needs};
use crate::clock::Instant;
use crate::provider::limit_headers::{LimitKind, LimitView};

/// An exhausted limit is asked again this often, whatever it says (hints lie).
const PROBED: Duration = Duration::from_secs(600);
/// Moments are told in whole seconds.
const ROUNDED: Duration = Duration::from_secs(1);
/// A host that refuses this often in one window what a steady refill should allow does not refill steadily.
const REFUSALS: u32 = 3;
/// How long it is then taken for one that refills at once.
const DOUBTED: Duration = Duration::from_secs(600);

/// An attempt as far as its response is judged by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Its place among all takes, from 1.
    pub(super) sequence: u64,
    /// When it was sent, at the earliest.
    pub(super) at: Instant,
    /// What was taken after it without doubt, and what may have reached the host after it.
    pub(super) surely_after: Needs,
    pub(super) perhaps_after: Needs,
    /// What was given back since.
    pub(super) returned: Needs,
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) kind: LimitKind,
    /// How many a window allows.
    pub(super) limit: u64,
    /// What is left at `at`; below zero where more was taken than there was.
    level: f64,
    at: Instant,
    /// When all of it will be there again, at the earliest and at the latest.
    full: Span,
    refill: Refill,
    window: Duration,
    /// The latest attempt whose response tells this. What is taken after it is subtracted here.
    asked: u64,
    /// So much of it.
    taken: f64,
    /// The latest attempt of all.
    newest: u64,
    /// When the first response of this epoch was heard.
    began: Instant,
    /// When it was last full, where nothing was heard since.
    rolled: Option<Instant>,
    /// Since when it is believed.
    believed: Instant,
    /// Attempts that were refused although a steady refill allowed them, and when the first was.
    refusals: u32,
    refused: Instant,
    doubted_until: Instant,
}

/// Between which moments something happens: a reset is told as a time from a moment between request and response.
#[derive(Clone, Copy, Debug)]
struct Span {
    earliest: Instant,
    latest: Instant,
}

impl Span {
    fn is_after(self, other: Self) -> bool {
        self.earliest > other.latest + ROUNDED
    }

    fn and(self, other: Self) -> Self {
        Self { earliest: self.earliest.max(other.earliest), latest: self.latest.min(other.latest) }
    }
}

/// A response with its moments: the host looked at the request between `asked.at` and `now`.
#[derive(Clone, Copy)]
struct Reading {
    limit: u64,
    remaining: u64,
    full: Span,
    window: Option<Duration>,
}

impl Reading {
    fn of(told: &LimitView, asked: &Asked, usual: Duration, now: Instant) -> Option<Self> {
        let remaining = told.remaining?;
        let limit = told.limit.unwrap_or(remaining).max(remaining);
        if limit == 0 {
            // "No limit" is written like that, too.
            return None;
        }
        let reset = told.reset.unwrap_or(usual);
        let delay = now.saturating_duration_since(asked.at);
        Some(Self {
            limit,
            remaining: if reset.is_zero() { limit } else { remaining },
            full: Span { earliest: asked.at + reset, latest: now + reset },
            window: told.reset.and_then(|reset| window::inferred(limit, remaining, reset, delay)),
        })
    }
}

impl View {
    /// The first that is heard of a limit; `None` where it tells no limit or nothing that can be counted.
    pub(super) fn first(told: &LimitView, asked: &Asked, now: Instant) -> Option<Self> {
        let since = amount(told.kind, asked.perhaps_after)?;
        let usual = window::usual(told.kind);
        let reading = Reading::of(told, asked, usual, now)?;
        Some(Self {
            kind: told.kind,
            limit: reading.limit,
            level: reading.remaining as f64 - since,
            at: now,
            full: reading.full,
            refill: Refill::AtOnce,
            window: reading.window.unwrap_or(usual),
            asked: asked.sequence,
            taken: since,
            newest: asked.sequence,
            began: now,
            rolled: None,
            believed: now,
            refusals: 0,
            refused: now,
            doubted_until: now,
        })
    }

    /// One more response that tells of it.
    pub(super) fn hear(&mut self, told: &LimitView, asked: &Asked, now: Instant) {
        self.advance(now);
        let Some(reading) = Reading::of(told, asked, self.window, now) else { return };
        let is_latest = asked.sequence >= self.asked;
        if told.limit.is_some() && reading.limit != self.limit {
            if is_latest {
                self.restate(told, asked, now);
            }
            return;
        }
        let moved = reading.full.is_after(self.full);
        if moved && self.rolled.is_none() && now >= self.doubted_until {
            // The end of a window does not move before it has come.
            self.refill = Refill::Steady;
        }
        self.window = reading.window.unwrap_or(self.window);
        let steady = self.refill == Refill::Steady;
        let is_new = match self.rolled {
            Some(rolled) => asked.at >= rolled || reading.full.earliest > rolled + ROUNDED,
            None => (moved || steady) && is_latest && asked.at >= self.began,
        };
        if is_new {
            self.full = reading.full;
            self.began = now;
            self.rolled = None;
        } else if self.rolled.is_some() || self.full.is_after(reading.full) {
            // It tells of a window that is over.
            return;
        }
        let [least, most] = self.left(&reading, asked, is_latest, now);
        if is_new {
            // Our own count is exact as long as nobody else takes: it stands where the response allows it.
            self.level = self.level.max(least);
        } else if self.refill == Refill::AtOnce {
            self.full = self.full.and(reading.full);
        } else if most < self.level {
            self.full = reading.full;
        }
        self.level = self.level.min(most);
        if is_latest {
            self.asked = asked.sequence;
            self.taken = amount(self.kind, asked.perhaps_after).unwrap_or_default();
        }
        self.newest = self.newest.max(asked.sequence);
        self.believed = now;
    }

    /// The least and the most that can be left by what a response tells.
    fn left(&self, reading: &Reading, asked: &Asked, is_latest: bool, now: Instant) -> [f64; 2] {
        let refilled = self.refilled(now.saturating_duration_since(asked.at));
        let left = (reading.remaining as f64 + refilled).min(self.limit as f64);
        let amount = |needs| amount(self.kind, needs).unwrap_or_default();
        // Of what came between, those that were asked later tell more.
        let returned = if is_latest { 0.0 } else { amount(asked.returned) };
        [left - amount(asked.perhaps_after), left - amount(asked.surely_after) + returned]
    }

    /// An attempt that this view had allowed was refused for it, as was just heard.
    pub(super) fn refused(&mut self, told: &LimitView, asked: &Asked, now: Instant) {
        if asked.sequence >= self.asked
            && let Some(reading) = Reading::of(told, asked, self.window, now)
        {
            let [least, _] = self.left(&reading, asked, true, now);
            self.level = self.level.min(least);
        }
        if self.refill != Refill::Steady || asked.at < self.refused {
            return;
        }
        if now.saturating_duration_since(self.refused) > self.window {
            self.refusals = 0;
        }
        self.refusals += 1;
        self.refused = now;
        if self.refusals >= REFUSALS {
            self.refusals = 0;
            self.refill = Refill::AtOnce;
            self.doubted_until = now + DOUBTED;
        }
    }

    /// Starts afresh with what a response tells.
    fn restate(&mut self, told: &LimitView, asked: &Asked, now: Instant) {
        if let Some(first) = Self::first(told, asked, now) {
            *self = first;
        }
    }

    /// Takes `needs`, by an attempt that was not yet asked.
    pub(super) fn take(&mut self, sequence: u64, needs: Needs, now: Instant) {
        self.advance(now);
        self.newest = sequence;
        let amount = amount(self.kind, needs).unwrap_or_default();
        self.level -= amount;
        self.taken += amount;
        if self.is_probed(now) {
            self.believed = now;
        }
    }

    /// Gives back what an attempt took and did not use, or takes what it used beyond that. What was asked before
    /// the last reading is the host's to correct.
    pub(super) fn correct(&mut self, sequence: u64, returned: Needs, added: Needs, now: Instant) {
        self.advance(now);
        if sequence > self.asked {
            let back = amount(self.kind, returned).unwrap_or_default()
                - amount(self.kind, added).unwrap_or_default();
            self.level = (self.level + back).min(self.limit as f64);
            self.taken -= back;
        }
    }

    /// How long until `needs` fit with `guard` (0 to 1) of the limit left to others; `None` is now. What exceeds the
    /// whole limit fits when all of it is there.
    pub(super) fn wait(&self, needs: Needs, guard: f64, now: Instant) -> Option<Duration> {
        let mut ahead = *self;
        ahead.advance(now);
        let limit = ahead.limit as f64;
        let amount = amount(ahead.kind, needs).filter(|amount| *amount > 0.0)?;
        let wanted = (amount + limit * guard).min(limit);
        if ahead.level >= wanted || ahead.is_probed(now) {
            return None;
        }
        let full = ahead.full.latest.min(ahead.believed + PROBED).saturating_duration_since(now);
        let refilled = match ahead.refill {
            Refill::AtOnce => full,
            Refill::Steady => Duration::from_secs_f64((wanted - ahead.level) / ahead.per_second()),
        };
        // A nanosecond more than arithmetic says, since that rounds.
        Some(refilled.min(full) + Duration::from_nanos(1))
    }

    /// As it is known at `now`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the limit")]
    pub(super) fn known(&self, now: Instant) -> Known {
        let mut ahead = *self;
        ahead.advance(now);
        Known {
            kind: ahead.kind,
            limit: ahead.limit,
            remaining: ahead.level.max(0.0) as u64,
            reset: ahead.full.latest.saturating_duration_since(now),
        }
    }

    fn is_probed(&self, now: Instant) -> bool {
        now >= self.believed + PROBED
    }

    fn per_second(&self) -> f64 {
        self.limit as f64 / self.window.as_secs_f64()
    }

    fn refilled(&self, over: Duration) -> f64 {
        match self.refill {
            Refill::AtOnce => 0.0,
            Refill::Steady => self.per_second() * over.as_secs_f64(),
        }
    }

    /// As it stands at `now`.
    fn advance(&mut self, now: Instant) {
        let over = now.saturating_duration_since(self.at);
        self.level = (self.level + self.refilled(over)).min(self.limit as f64);
        self.at = self.at.max(now);
        if now >= self.full.latest {
            self.roll(now);
        }
    }

    /// The moment has come at which it was said to be full.
    fn roll(&mut self, now: Instant) {
        let limit = self.limit as f64;
        let over = now.saturating_duration_since(self.full.latest);
        let rolled = now - remainder(over, self.window);
        self.full = Span { earliest: rolled, latest: rolled + self.window };
        match self.refill {
            Refill::AtOnce => {
                self.level = limit;
                self.rolled = Some(rolled);
                self.asked = self.newest;
            }
            Refill::Steady => self.level = self.level.max(limit - self.taken),
        }
        self.taken = 0.0;
    }
}

fn remainder(time: Duration, window: Duration) -> Duration {
    Duration::from_secs_f64(time.as_secs_f64() % window.as_secs_f64()).min(time)
}

fn amount(kind: LimitKind, needs: Needs) -> Option<f64> {
    needs.of(kind).map(|amount| amount as f64)
}
