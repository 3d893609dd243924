//! The line itself: no clock, no lock, no await. Times are nanoseconds since its beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::time::Duration;

use super::away::TurnedAway;
use super::class::thousandths;
use super::overload::Overload;
use super::pace::Pace;
use super::presence::{Presence, Room};
use super::ranks::{Ranks, Turn};
use super::settings::{HIGHEST, Settings, nanos};
use super::statistics::Statistics;
use super::waiter::{Newcomer, Spot, Standing, Ticket, Waiter};

/// What a refusal says where nothing is known of how quickly the line moves.
const UNKNOWN: Duration = Duration::from_secs(1);
/// The shortest time worth coming back after.
const SOON: Duration = Duration::from_millis(1);

/// Whom the next room was offered to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Offer {
    #[default]
    Nobody,
    Made(Turn),
    /// It tried, and found no room; some is expected at `until`.
    Blocked {
        turn: Turn,
        since: u64,
        until: Option<u64>,
    },
}

/// Calls that wait for room.
#[derive(Debug)]
pub struct Line {
    pub(super) settings: Settings,
    pub(super) waiters: BTreeMap<u64, Waiter>,
    pub(super) ranks: Ranks,
    pub(super) presence: Presence,
    /// Those who wait for limits of their own: the limit, then the ticket.
    pub(super) asides: BTreeSet<(u64, u64)>,
    pub(super) overload: Overload,
    pub(super) pace: Pace,
    pub(super) offer: Offer,
    /// How long, all in all, the head has waited for moments that were known.
    pub(super) patience: u64,
    /// How often room became free, and how often it had when the head began to try.
    pub(super) freed: u64,
    pub(super) tried: u64,
    pub(super) tickets: u64,
    pub(super) news: Vec<Ticket>,
    pub(super) told: Statistics,
}

impl Line {
    /// An empty line.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            waiters: BTreeMap::new(),
            ranks: Ranks::new(nanos(settings.aging)),
            presence: Presence::default(),
            asides: BTreeSet::new(),
            overload: Overload::default(),
            pace: Pace::default(),
            offer: Offer::Nobody,
            patience: 0,
            freed: 0,
            tried: 0,
            tickets: 0,
            news: Vec::new(),
            told: Statistics::default(),
        }
    }

    /// From here on these numbers hold; who waits already stays.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
        self.ranks.set(nanos(settings.aging));
    }

    /// How many are in the line, those aside not counted.
    pub fn len(&self) -> usize {
        self.presence.len() - self.asides.len()
    }

    /// Is nobody in the line?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many are in the line or aside.
    pub fn present(&self) -> usize {
        self.presence.len()
    }

    /// Lets somebody in.
    ///
    /// # Errors
    ///
    /// There is no room, or no hope of being served in time.
    pub fn join(&mut self, who: Newcomer, now: u64) -> Result<Ticket, TurnedAway> {
        let waiter = self.receive(who, now);
        if waiter.deadline <= now {
            self.told.timed_out += 1;
            let retry_after = self.worth(&waiter, now);
            return Err(TurnedAway::TimedOut { waited: Duration::ZERO, retry_after });
        }
        let trying = self.offered().map(|ticket| ticket.0);
        let room = self.presence.room(waiter.tenant, waiter.class, trying, &self.settings);
        if let Room::None(crowd, most) = room {
            self.told.full += 1;
            return Err(TurnedAway::Full { crowd, most, retry_after: self.worth(&waiter, now) });
        }
        let forecast = self.forecast(&waiter, now);
        let ticket = self.tickets;
        self.tickets += 1;
        self.enter(ticket, &waiter, now);
        if let Some(wait) = forecast.filter(|wait| nanos(*wait) > waiter.deadline - now)
            && self.next().is_some_and(|turn| turn.ticket != ticket)
        {
            self.ranks.remove(ticket, &waiter, self.overload.order());
            self.told.predicted += 1;
            return Err(TurnedAway::Predicted { wait });
        }
        self.presence.insert(waiter.tenant, waiter.class, ticket);
        self.waiters.insert(ticket, waiter);
        if let Room::InPlaceOf(loser, crowd) = room {
            self.shed(loser, crowd, now);
        }
        self.advance(now);
        Ok(Ticket(ticket))
    }

    fn receive(&mut self, who: Newcomer, now: u64) -> Waiter {
        if let Some(next) = self.next().and_then(|turn| self.waiters.get(&turn.ticket)) {
            self.note(self.sojourn(next, now), now);
        }
        let patience = now.saturating_add(nanos(self.settings.overload_patience));
        Waiter {
            tenant: who.tenant,
            weight: thousandths(who.weight),
            class: who.priority.min(HIGHEST),
            cost: who.cost,
            joined: now,
            entered: now,
            patience: self.patience(now),
            deadline: if self.overload.is_on() { who.deadline.min(patience) } else { who.deadline },
            spot: Spot::Line,
            own: None,
        }
    }

    /// Where the holder of a ticket stands.
    pub fn standing(&self, ticket: Ticket) -> Standing {
        match self.waiters.get(&ticket.0).map(|waiter| waiter.spot) {
            None => Standing::Gone,
            Some(Spot::Away(away)) => Standing::Away(away),
            Some(Spot::Aside) => Standing::Aside,
            Some(Spot::Line) if self.offered() == Some(ticket) => Standing::Offered,
            Some(Spot::Line) => Standing::Waiting,
        }
    }

    /// The longest that the holder of a ticket waits.
    pub fn deadline(&self, ticket: Ticket) -> u64 {
        self.waiters.get(&ticket.0).map_or(0, |waiter| waiter.deadline)
    }

    /// When it is worth coming back for the holder of a ticket that leaves now.
    pub fn retry_after(&self, ticket: Ticket, now: u64) -> Duration {
        self.waiters.get(&ticket.0).map_or(UNKNOWN, |waiter| self.worth(waiter, now))
    }

    /// When somebody was served last, 0 if nobody was.
    pub fn last_served(&self) -> u64 {
        self.pace.last()
    }

    /// Whose turn it is to try.
    pub fn offered(&self) -> Option<Ticket> {
        match self.offer {
            Offer::Made(turn) => Some(Ticket(turn.ticket)),
            Offer::Nobody | Offer::Blocked { .. } => None,
        }
    }

    /// Those whose standing changed since this was asked last, unless they changed it themselves.
    pub fn news(&mut self) -> Vec<Ticket> {
        mem::take(&mut self.news)
    }

    /// Where the line stands, and what it has done.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            depth: self.ranks.depth(),
            aside: self.asides.len(),
            overloaded: self.overload.is_on(),
            overloads: self.overload.times(),
            ..self.told
        }
    }

    /// Who is first, whatever was offered to whom.
    pub(super) fn next(&self) -> Option<Turn> {
        self.ranks.next(self.overload.order())
    }

    pub(super) fn enter(&mut self, ticket: u64, waiter: &Waiter, now: u64) {
        if self.ranks.is_empty() {
            self.pace.begins(now);
            self.overload.emptied(now);
        }
        self.ranks.insert(ticket, waiter, self.overload.order());
    }

    /// How long, all in all, the head has waited for moments that were known until `now`.
    pub(super) fn patience(&self, now: u64) -> u64 {
        match self.offer {
            Offer::Blocked { since, until: Some(_), .. } => {
                self.patience.saturating_add(now.saturating_sub(since))
            }
            Offer::Nobody | Offer::Made(_) | Offer::Blocked { until: None, .. } => self.patience,
        }
    }

    /// How long one has stood in the line because there are too many: not while its head waited for a moment that was
    /// known, when a window moves on or a provider's wait ends.
    pub(super) fn sojourn(&self, waiter: &Waiter, now: u64) -> u64 {
        let known = self.patience(now).saturating_sub(waiter.patience);
        now.saturating_sub(waiter.entered).saturating_sub(known)
    }

    /// Notes how long somebody has waited, the next in line or one that is being served.
    pub(super) fn note(&mut self, sojourn: u64, now: u64) {
        if self.overload.begins(sojourn, now, &self.settings) {
            self.ranks.reorder(self.overload.order());
        }
    }

    /// How long such a newcomer would wait. `None` where nothing is known.
    fn forecast(&self, waiter: &Waiter, now: u64) -> Option<Duration> {
        if self.ranks.is_empty() {
            return None;
        }
        let blocked = match self.offer {
            Offer::Blocked { until: Some(until), .. } => {
                Some(Duration::from_nanos(until.saturating_sub(now)))
            }
            Offer::Nobody | Offer::Made(_) | Offer::Blocked { until: None, .. } => None,
        };
        let Some(interval) = self.pace.interval(now) else { return blocked };
        let ahead = self.ranks.ahead(waiter.tenant, waiter.class, self.overload.order());
        let turns = interval.saturating_mul(u32::try_from(ahead).unwrap_or(u32::MAX));
        Some(turns.saturating_add(blocked.unwrap_or(interval)))
    }

    /// When it is worth coming back for such a newcomer.
    pub(super) fn worth(&self, waiter: &Waiter, now: u64) -> Duration {
        self.forecast(waiter, now).unwrap_or(UNKNOWN).max(SOON)
    }
}
