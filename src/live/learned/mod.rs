//! What a provider's responses teach about its limits, for one key and model.
//!
//! Two sources: headers that tell what is left of a limit ([`view`]), and, where a host says nothing, its refusals
//! ([`cap`]). Both only ever restrict: configured limits are asked as well. An attempt takes its part before it is
//! sent ([`Learned::take`]), since responses tell nothing yet of what is on its way; dropping what was taken gives
//! it back. The record outlives reloads, as all of `live` does.
//!
//! ```text
//! take ─► Taken ─► send ─► heard (any response with limit headers)
//!                      ├─► answered, or throttled (429)
//!                      └─► settle (what was really used); dropped unsettled: not sent
//! ```

mod accepted;
mod cap;
mod needs;
mod order;
mod view;
mod window;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

pub use needs::Needs;

use crate::clock::Instant;
use crate::provider::limit_headers::{LimitKind, LimitView};
use cap::Cap;
use order::Takes;
use view::{Asked, Settled, View};

/// What configuration says about learned limits of a deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Terms {
    /// The share of every told limit (0 to 1) that is left to others who use the same key. Default 0; 0.05 where
    /// several processes share it without a common store.
    pub guard: f64,
    /// The configured limit on requests a second, if any: a learned rate never exceeds it.
    pub most_per_second: Option<f64>,
}

/// May an attempt be sent, as far as the provider's limits are known?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Yes.
    Fits,
    /// Not yet.
    NotUntil(Blocked),
}

/// How long it takes until there is room, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// From now; asking earlier is in vain, unless something is given back.
    pub wait: Duration,
    /// What stands in the way.
    pub source: Source,
}

/// Where a learned limit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Headers told this limit, and how much it allows.
    Told(LimitKind, u64),
    /// Refusals taught a rate of requests.
    Refusals,
}

/// The answer to [`Learned::take`].
#[derive(Debug)]
pub enum Taking {
    /// Go ahead; dropping it unsettled gives it back.
    Taken(Taken),
    /// Not yet.
    NotUntil(Blocked),
}

/// A limit as it is known now, for statistics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// What it counts.
    pub kind: LimitKind,
    /// How many a window allows.
    pub limit: u64,
    /// How many are left, without those on their way.
    pub remaining: u64,
    /// How long until all are there, at the latest.
    pub reset: Duration,
}

/// What is known of the limits of one key and model.
#[derive(Debug)]
pub struct Learned {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    takes: Takes,
    /// All that was ever given back.
    returned: Needs,
    /// What attempts took that are not over.
    flying: Needs,
    views: Vec<View>,
    cap: Cap,
}

/// What an attempt took. Settle it once it was sent; dropped unsettled it was not, and is given back.
#[derive(Debug)]
pub struct Taken {
    learned: Arc<Learned>,
    needs: Needs,
    sequence: u64,
    surely_known: u64,
    at: Instant,
    /// What the record had surely taken before it, how often, and what was given back.
    before: Needs,
    returned: Needs,
    /// Did its response tell limits that include it?
    counted: bool,
    /// The kinds of limits that it told of.
    heard: Kinds,
    settled: bool,
}

/// A set of kinds of limits.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds(u32);

impl Kinds {
    fn add(&mut self, kind: LimitKind) {
        self.0 |= 1 << kind as u32;
    }

    fn has(self, kind: LimitKind) -> bool {
        self.0 & 1 << kind as u32 != 0
    }
}

impl Learned {
    /// Nothing is known yet.
    pub fn new(now: Instant) -> Self {
        let state = State {
            takes: Takes::default(),
            returned: Needs::default(),
            flying: Needs::default(),
            views: Vec::new(),
            cap: Cap::new(now),
        };
        Self { state: Mutex::new(state) }
    }

    /// Takes what an attempt needs, all of it or nothing.
    pub fn take(self: &Arc<Self>, needs: Needs, terms: Terms, now: Instant) -> Taking {
        let mut state = self.state.lock();
        if let Fit::NotUntil(blocked) = state.fit(needs, terms, now) {
            return Taking::NotUntil(blocked);
        }
        let (before, surely_known) = state.take(needs, now);
        Taking::Taken(Taken {
            learned: Arc::clone(self),
            needs,
            sequence: state.takes.count,
            surely_known,
            at: now,
            before,
            returned: state.returned,
            counted: false,
            heard: Kinds::default(),
            settled: false,
        })
    }

    /// Would [`Learned::take`] succeed? For routing and statistics; taking is what counts.
    pub fn fit(&self, needs: Needs, terms: Terms, now: Instant) -> Fit {
        self.state.lock().fit(needs, terms, now)
    }

    /// The limits that headers told, as they stand at `now`.
    pub fn known(&self, now: Instant) -> Vec<Known> {
        self.state.lock().views.iter().map(|view| view.known(now)).collect()
    }

    /// The requests a second that refusals taught; `None` is not limited.
    pub fn per_second(&self, now: Instant) -> Option<f64> {
        self.state.lock().cap.per_second(now)
    }
}

impl Taken {
    /// How much was taken.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// A response came, whatever its status, and tells these limits.
    pub fn heard(&mut self, told: &[LimitView], now: Instant) {
        if told.is_empty() {
            return;
        }
        self.counted = true;
        let mut state = self.learned.state.lock();
        for view in told {
            let awaited = if self.heard.has(view.kind) { Needs::default() } else { self.needs };
            let asked = self.asked(&state, awaited);
            if state.hear(view, &asked, now) {
                self.heard.add(view.kind);
            }
        }
    }

    /// It was answered: what refusals taught may ease.
    pub fn answered(&self, terms: Terms, now: Instant) {
        self.learned.state.lock().cap.answered(self.at, terms.most_per_second, now);
    }

    /// It was refused for being too many (429), and the response told `told`. Where that explains the refusal, the
    /// views know; else it is a lesson on the rate of requests.
    pub fn throttled(&mut self, told: &[LimitView], terms: Terms, now: Instant) {
        self.heard(told, now);
        self.counted = false;
        let lacking = |view: &LimitView| {
            view.remaining.zip(self.needs.of(view.kind)).is_some_and(|(remaining, needs)| remaining < needs)
        };
        let mut state = self.learned.state.lock();
        let asked = self.asked(&state, Needs::default());
        let mut explained = false;
        for view in told.iter().filter(|view| lacking(view)) {
            explained = true;
            if let Some(known) = state.views.iter_mut().find(|known| known.kind == view.kind) {
                known.refused(view, &asked, now);
            }
        }
        if !explained {
            state.cap.throttled(self.at, terms.most_per_second, now);
        }
    }

    /// It was sent and used so much: the rest goes back, what exceeds it is taken as well. Are there limits that were
    /// told, under which others may have room now?
    pub fn settle(mut self, used: Needs, now: Instant) -> bool {
        self.settled = true;
        let mut state = self.learned.state.lock();
        self.correct(&mut state, used, now);
        !state.views.is_empty()
    }

    fn correct(&self, state: &mut State, used: Needs, now: Instant) {
        state.takes.sum = state.takes.sum + (used - self.needs);
        state.returned = state.returned + (self.needs - used);
        state.flying = state.flying - self.needs;
        for view in &mut state.views {
            let (counted, heard) = (self.counted, self.heard.has(view.kind));
            view.settle(&Settled { sequence: self.sequence, taken: self.needs, used, counted, heard }, now);
        }
    }

    fn asked(&self, state: &State, awaited: Needs) -> Asked {
        let (surely_after, after) = state.takes.surely_after(self.at);
        Asked {
            sequence: self.sequence,
            at: self.at,
            surely_known: self.surely_known,
            surely_after,
            after,
            newest: state.takes.count,
            perhaps_after: state.takes.sum - self.before - self.needs,
            returned: state.returned - self.returned,
            awaited,
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.settled {
            let now = crate::clock::now();
            let mut state = self.learned.state.lock();
            // Heard of, it was sent.
            let used = if self.counted { self.needs } else { Needs::default() };
            self.correct(&mut state, used, now);
            if !self.counted {
                state.cap.untake(now);
            }
        }
    }
}

impl State {
    fn fit(&self, needs: Needs, terms: Terms, now: Instant) -> Fit {
        let told = self.views.iter().filter_map(|view| {
            let wait = view.wait(needs, terms.guard, now)?;
            Some(Blocked { wait, source: Source::Told(view.kind, view.limit) })
        });
        let taught = self.cap.wait(now).map(|wait| Blocked { wait, source: Source::Refusals });
        told.chain(taught).max_by_key(|blocked| blocked.wait).map_or(Fit::Fits, Fit::NotUntil)
    }

    /// Answers what was taken surely before.
    fn take(&mut self, needs: Needs, now: Instant) -> (Needs, u64) {
        let before = self.takes.add(needs, now);
        self.flying = self.flying + needs;
        for view in &mut self.views {
            view.take(self.takes.count, needs, now);
        }
        self.cap.take(now);
        before
    }

    /// Does it tell anything that can be counted?
    fn hear(&mut self, told: &LimitView, asked: &Asked, now: Instant) -> bool {
        if let Some(view) = self.views.iter_mut().find(|view| view.kind == told.kind) {
            return view.hear(told, asked, now);
        }
        let first = View::first(told, asked, self.flying - asked.awaited, now);
        self.views.extend(first);
        first.is_some()
    }
}
