//! One limit of a provider as its responses tell it: what is left, and when it is full again.
//!
//! A response says what was left when the host looked at its request. What was taken after that request is
//! subtracted here; what was taken before it is in the number already; for what was sent at about the same time
//! there is a least and a most ([`order`](super::order)). Within one epoch (until the moment at which
//! the limit was said to be full) a response can only tighten the view, so one that comes late or out of order
//! never loosens it. A later epoch begins when that moment has passed, when the limit itself changes, or when a
//! response to a request from after the last reading names a later moment: a bucket that refills steadily has no
//! longer epochs. Pure: time and amounts are arguments.
//!
//! Hosts differ in what they count: some all that a request may use, and give nothing back; others what it did use.
//! From the tightest word of an epoch on, both are counted here. The first count never leaves too much. The second may
//! leave more, as far as the host's own word goes: the least that it said was left, less what it was not heard of yet.

use std::time::Duration;

use super::order::APART;
use super::window::{self, Refill};
use super::{Known, Needs};
use crate::clock::Instant;
use crate::provider::limit_headers::{LimitKind, LimitView};

/// An exhausted limit is asked again this often, whatever it says (hints lie).
const PROBED: Duration = Duration::from_secs(600);
/// Moments are told in whole seconds.
const ROUNDED: Duration = Duration::from_secs(1);
/// What is left of our share of a steady refill after a refusal, and the least of it.
const BACKOFF: f64 = 0.8;
const SMALLEST_SHARE: f64 = 0.05;
/// What a second adds to the share.
const GROWTH: f64 = 0.005;

/// An attempt as far as its response is judged by it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Its place among all takes, from 1.
    pub(super) sequence: u64,
    /// When it was sent, at the earliest.
    pub(super) at: Instant,
    /// The last take that the host has surely seen before it.
    pub(super) surely_known: u64,
    /// What was taken after it without doubt, and what may have reached the host after it.
    pub(super) surely_after: Needs,
    /// The last take that was not surely after it, and the last of all.
    pub(super) after: u64,
    pub(super) newest: u64,
    pub(super) perhaps_after: Needs,
    /// What was given back since.
    pub(super) returned: Needs,
    /// What it took, where this is the first that its response tells of the limit.
    pub(super) awaited: Needs,
}

/// An attempt that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    pub(super) sequence: u64,
    pub(super) taken: Needs,
    pub(super) used: Needs,
    /// Did its response tell of limits, which include it? Then what comes back is for the host to correct, or not.
    pub(super) counted: bool,
    /// Did it tell of this one?
    pub(super) heard: bool,
}

/// What is left of one limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) kind: LimitKind,
    /// How many a window allows.
    pub(super) limit: u64,
    /// What is left at `at` for a host that gives nothing back, for one that counts what was used, and by the least
    /// word of all.
    reserved: Count,
    used: Count,
    told: Count,
    /// What was taken whose responses have not told yet: no word knows of it.
    flying: f64,
    at: Instant,
    /// When all of it will be there again, at the earliest and at the latest.
    full: Span,
    refill: Refill,
    window: Duration,
    /// The latest attempt whose response was heard.
    asked: u64,
    /// What was taken since all was there, or since the last response.
    taken: f64,
    /// The latest attempt of all.
    newest: u64,
    /// When the first response of this epoch was heard.
    began: Instant,
    /// When it was last said to be full, if that has come.
    rolled: Option<Instant>,
    /// Was nothing heard since?
    unheard: bool,
    /// Since when it is believed.
    believed: Instant,
    /// Our share of a steady refill, learned as a rate is: others may take theirs, and not every host that seems to
    /// refill steadily does.
    share: f64,
    /// When it was last lowered.
    lowered: Instant,
}

/// What is left of a limit by some word of its host, below zero where more was taken than there was.
#[derive(Clone, Copy, Debug)]
struct Count {
    left: f64,
    /// What was taken after this one is subtracted here; what was taken up to it is in the word.
    known: u64,
}

impl Count {
    fn tighten(&mut self, most: f64, known: u64) {
        if most < self.left {
            *self = Self { left: most, known };
        }
    }

    fn give_back(&mut self, sequence: u64, amount: f64) {
        if sequence > self.known {
            self.left += amount;
        }
    }
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
    pub(super) fn first(told: &LimitView, asked: &Asked, flying: Needs, now: Instant) -> Option<Self> {
        let since = amount(told.kind, asked.perhaps_after)?;
        let usual = window::usual(told.kind);
        let reading = Reading::of(told, asked, usual, now)?;
        let known = asked.surely_known;
        let word = Count { left: reading.remaining as f64 - since, known };
        Some(Self {
            kind: told.kind,
            limit: reading.limit,
            reserved: word,
            used: word,
            told: Count { left: reading.remaining as f64, known },
            flying: amount(told.kind, flying)?,
            at: now,
            full: reading.full,
            refill: Refill::AtOnce,
            window: reading.window.unwrap_or(usual),
            asked: asked.sequence,
            taken: since,
            newest: asked.newest,
            began: now,
            rolled: None,
            unheard: false,
            believed: now,
            share: 1.0,
            lowered: now,
        })
    }

    /// One more response that tells of it; does it tell anything that can be counted?
    pub(super) fn hear(&mut self, told: &LimitView, asked: &Asked, now: Instant) -> bool {
        self.advance(now);
        let Some(reading) = Reading::of(told, asked, self.window, now) else { return false };
        self.flying -= amount(self.kind, asked.awaited).unwrap_or_default();
        self.read(told, &reading, asked, now);
        true
    }

    fn read(&mut self, told: &LimitView, reading: &Reading, asked: &Asked, now: Instant) {
        let is_latest = asked.sequence >= self.asked;
        if told.limit.is_some() && reading.limit != self.limit {
            if is_latest {
                self.restate(told, asked, now);
            }
            return;
        }
        let moved = reading.full.is_after(self.full);
        let is_past = self.full.is_after(reading.full);
        let in_epoch = self.rolled.is_some_and(|rolled| asked.at >= rolled);
        if !self.unheard && (moved || is_past && in_epoch) {
            // Within a window, its end does not move.
            self.refill = Refill::Steady;
        }
        self.window = reading.window.unwrap_or(self.window);
        let is_new = if self.unheard {
            in_epoch || self.rolled.is_some_and(|rolled| reading.full.earliest > rolled + ROUNDED)
        } else {
            (moved || self.refill == Refill::Steady) && is_latest && asked.at >= self.began
        };
        if is_new {
            self.full = reading.full;
            self.began = now;
            self.unheard = false;
        } else if self.unheard || is_past {
            // It tells of a window that is over.
            return;
        }
        let [least, most] = self.left(reading, asked, is_latest, now);
        if self.refill == Refill::AtOnce && !is_new {
            self.full = self.full.and(reading.full);
        } else if is_latest {
            self.full = reading.full;
        }
        let word = Count { left: least, known: asked.surely_known };
        for count in [&mut self.reserved, &mut self.used] {
            // Our own count is exact as long as nobody else takes: it stands where the response allows it.
            if is_new && least > count.left {
                *count = word;
            }
            count.tighten(most, asked.after);
        }
        self.reserved.known = self.reserved.known.max(asked.surely_known);
        let word = Count { left: self.word(reading, asked, now), ..word };
        if is_new {
            self.told = word;
        }
        self.told.tighten(word.left, word.known);
        if is_latest {
            self.asked = asked.sequence;
            self.taken = amount(self.kind, asked.perhaps_after).unwrap_or_default();
        }
        self.newest = self.newest.max(asked.sequence);
        self.believed = now;
    }

    /// What was left when the host looked, and what it has refilled since.
    fn word(&self, reading: &Reading, asked: &Asked, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(asked.at).saturating_sub(APART);
        (reading.remaining as f64 + self.refilled(passed)).min(self.limit as f64)
    }

    /// The least and the most that can be left by what a response tells.
    fn left(&self, reading: &Reading, asked: &Asked, is_latest: bool, now: Instant) -> [f64; 2] {
        let amount = |needs| amount(self.kind, needs).unwrap_or_default();
        let passed = now.saturating_duration_since(asked.at);
        let left = |over| (reading.remaining as f64 + self.refilled(over)).min(self.limit as f64);
        // Of what came between, those that were asked later tell more.
        let returned = if is_latest { 0.0 } else { amount(asked.returned) };
        let least = left(passed.saturating_sub(APART)) - amount(asked.perhaps_after);
        let most = left(passed) - amount(asked.surely_after) + returned;
        [least, most]
    }

    /// An attempt that this view had allowed was refused for it, as was just heard.
    pub(super) fn refused(&mut self, told: &LimitView, asked: &Asked, now: Instant) {
        if asked.sequence >= self.asked
            && let Some(reading) = Reading::of(told, asked, self.window, now)
        {
            let [least, _] = self.left(&reading, asked, true, now);
            for count in [&mut self.reserved, &mut self.used] {
                if least < count.left {
                    *count = Count { left: least, known: asked.surely_known };
                }
            }
        }
        // What was sent before the last lesson is part of it.
        if self.refill == Refill::Steady && asked.at >= self.lowered {
            self.share = (self.share * BACKOFF).max(SMALLEST_SHARE);
            self.lowered = now;
        }
    }

    /// Starts afresh with what a response tells.
    fn restate(&mut self, told: &LimitView, asked: &Asked, now: Instant) {
        let flying = self.flying;
        if let Some(first) = Self::first(told, asked, Needs::default(), now) {
            *self = Self { flying, ..first };
        }
    }

    /// Takes `needs`, by an attempt that was not yet asked.
    pub(super) fn take(&mut self, sequence: u64, needs: Needs, now: Instant) {
        self.advance(now);
        self.newest = sequence;
        let amount = amount(self.kind, needs).unwrap_or_default();
        self.reserved.left -= amount;
        self.used.left -= amount;
        self.flying += amount;
        self.taken += amount;
        if self.is_probed(now) {
            self.believed = now;
        }
    }

    /// An attempt is over: gives back what it took and did not use, or takes what it used beyond that.
    pub(super) fn settle(&mut self, over: &Settled, now: Instant) {
        self.advance(now);
        let amount = |needs| amount(self.kind, needs).unwrap_or_default();
        let (taken, used) = (amount(over.taken), amount(over.used));
        let back = taken - used;
        self.used.give_back(over.sequence, back);
        if !over.counted {
            self.reserved.give_back(over.sequence, back);
            self.taken = (self.taken - back).max(0.0);
        }
        if !over.heard {
            self.flying -= taken;
            if over.sequence > self.told.known {
                self.told.left -= used;
            }
        }
        self.bound();
    }

    /// How long until `needs` fit with `guard` (0 to 1) of the limit left to others; `None` is now. What exceeds the
    /// whole limit fits when all of it is there.
    pub(super) fn wait(&self, needs: Needs, guard: f64, now: Instant) -> Option<Duration> {
        let mut ahead = *self;
        ahead.advance(now);
        let limit = ahead.limit as f64;
        let amount = amount(ahead.kind, needs).filter(|amount| *amount > 0.0)?;
        let wanted = (amount + limit * guard).min(limit);
        if ahead.level() >= wanted || ahead.is_probed(now) {
            return None;
        }
        let full = ahead.full.latest.min(ahead.believed + PROBED).saturating_duration_since(now);
        let refilled = match ahead.refill {
            Refill::AtOnce => full,
            Refill::Steady => Duration::from_secs_f64((wanted - ahead.level()) / ahead.per_second()),
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
            remaining: ahead.level().max(0.0) as u64,
            reset: ahead.full.latest.saturating_duration_since(now),
        }
    }

    fn level(&self) -> f64 {
        self.reserved.left.max(self.used.left.min(self.told.left - self.flying))
    }

    fn counts(&mut self) -> [&mut Count; 3] {
        [&mut self.reserved, &mut self.used, &mut self.told]
    }

    /// There is never more than all of it.
    fn bound(&mut self) {
        let limit = self.limit as f64;
        for count in self.counts() {
            count.left = count.left.min(limit);
        }
    }

    fn is_probed(&self, now: Instant) -> bool {
        now >= self.believed + PROBED
    }

    fn per_second(&self) -> f64 {
        self.share * self.limit as f64 / self.window.as_secs_f64()
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
        let refilled = self.refilled(over);
        for count in self.counts() {
            count.left += refilled;
        }
        self.bound();
        self.share = (self.share + GROWTH * over.as_secs_f64()).min(1.0);
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
        self.rolled = Some(rolled);
        match self.refill {
            Refill::AtOnce => {
                let all = Count { left: limit, known: self.newest };
                (self.reserved, self.used, self.told) = (all, all, all);
                self.unheard = true;
            }
            Refill::Steady => {
                let least = limit - self.taken;
                for count in self.counts() {
                    count.left = count.left.max(least);
                }
            }
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
