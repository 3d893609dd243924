//! What happens in a line: who tries, is blocked, steps aside, is served, or goes.

use std::time::Duration;

use super::away::{Crowd, TurnedAway};
use super::joining::{Line, Offer};
use super::ranks::Turn;
use super::settings::nanos;
use super::waiter::{Spot, Ticket, Waiter};

impl Line {
    /// The head begins to try: whatever becomes free from here on is worth another try.
    pub fn tries(&mut self) {
        self.tried = self.freed;
    }

    /// The head found no room under a limit that others share; some is expected after `wait`.
    pub fn blocked(&mut self, ticket: Ticket, wait: Option<Duration>, now: u64) {
        if let Offer::Made(turn) = self.offer
            && turn.ticket == ticket.0
            && self.freed == self.tried
        {
            let until = wait.map(|wait| now.saturating_add(nanos(wait)));
            self.offer(Offer::Blocked { turn, since: now, until }, now);
        }
        self.advance(now);
    }

    /// Something was given back: the head tries, and so does the first aside for each limit of their own.
    pub fn freed(&mut self, now: u64) {
        self.freed += 1;
        let mut from = (0, 0);
        while let Some(&(own, ticket)) = self.asides.range(from..).next() {
            self.put_back(ticket, now);
            let Some(next) = own.checked_add(1) else { break };
            from = (next, 0);
        }
        self.unblock(now);
        self.advance(now);
    }

    /// The wait of somebody blocked or aside is over: it tries again, those aside with the age they have.
    pub fn again(&mut self, ticket: Ticket, now: u64) {
        if self.turn_is(ticket.0) {
            self.unblock(now);
        }
        self.put_back(ticket.0, now);
        self.advance(now);
    }

    /// The holder of a ticket found no room under a limit of its `own`: it leaves the way to others.
    pub fn step_aside(&mut self, ticket: Ticket, own: u64, now: u64) {
        let missed = self.offered() == Some(ticket) && self.freed != self.tried;
        let order = self.overload.order();
        if let Some(waiter) = self.waiters.get_mut(&ticket.0)
            && waiter.spot == Spot::Line
            && !missed
        {
            waiter.spot = Spot::Aside;
            let before = waiter.own.replace(own).filter(|before| *before != own);
            self.ranks.remove(ticket.0, waiter, order);
            self.asides.insert((own, ticket.0));
            self.withdraw(ticket.0, now);
            if let Some(before) = before {
                self.put_back_first(before, now);
            }
        }
        self.advance(now);
    }

    /// The holder of a ticket found room, and used `cost`. Tells how long it had waited.
    pub fn serve(&mut self, ticket: Ticket, cost: u64, now: u64) -> Duration {
        let Some(waiter) = self.waiters.remove(&ticket.0) else { return Duration::ZERO };
        let wait = waiter.waited(now);
        self.told.served += 1;
        self.told.waited = self.told.waited.saturating_add(wait);
        if waiter.spot == Spot::Line {
            let turn = self.turn().filter(|turn| turn.ticket == ticket.0);
            let turn = turn.unwrap_or(Turn { ticket: ticket.0, class: waiter.class });
            self.ranks.serve(turn, &waiter, cost, now, self.overload.order());
            self.pace.served(now);
            let sojourn = self.sojourn(&waiter, now);
            self.overload.served(sojourn, now, &self.settings);
            self.note(sojourn, now);
        }
        // Who was sent away while it tried, and found room all the same, has gone before.
        if !matches!(waiter.spot, Spot::Away(_)) {
            self.absent(ticket.0, &waiter, now);
        }
        self.advance(now);
        wait
    }

    /// The holder of a ticket goes, whatever its standing.
    pub fn leave(&mut self, ticket: Ticket, now: u64) {
        let Some(waiter) = self.waiters.remove(&ticket.0) else { return };
        if !matches!(waiter.spot, Spot::Away(_)) {
            self.told.left += 1;
            self.absent(ticket.0, &waiter, now);
        }
        self.advance(now);
    }

    /// The holder of a ticket has waited as long as it can.
    pub fn expire(&mut self, ticket: Ticket, now: u64) {
        self.time_out(ticket.0, now);
        self.advance(now);
    }

    fn time_out(&mut self, ticket: u64, now: u64) {
        let away =
            |waiter: &Waiter, retry_after| TurnedAway::TimedOut { waited: waiter.waited(now), retry_after };
        self.told.timed_out += self.send_away(ticket, now, away);
    }

    /// The holder of a ticket gives way to another.
    pub(super) fn shed(&mut self, loser: u64, crowd: Crowd, now: u64) {
        let away = |waiter: &Waiter, retry_after| TurnedAway::Shed {
            crowd,
            waited: waiter.waited(now),
            retry_after,
        };
        self.told.shed += self.send_away(loser, now, away);
    }

    /// Tells how many were sent away: one, or none if it had been before.
    fn send_away(
        &mut self,
        ticket: u64,
        now: u64,
        away: impl FnOnce(&Waiter, Duration) -> TurnedAway,
    ) -> u64 {
        let Some(waiter) = self.waiters.get(&ticket).copied() else { return 0 };
        if matches!(waiter.spot, Spot::Away(_)) {
            return 0;
        }
        self.absent(ticket, &waiter, now);
        let away = away(&waiter, self.worth(&waiter, now));
        self.waiters.insert(ticket, Waiter { spot: Spot::Away(away), ..waiter });
        self.news.push(Ticket(ticket));
        1
    }

    /// One who was there is not any longer.
    fn absent(&mut self, ticket: u64, waiter: &Waiter, now: u64) {
        self.ranks.remove(ticket, waiter, self.overload.order());
        self.presence.remove(waiter.tenant, waiter.class, ticket);
        self.withdraw(ticket, now);
        let Some(own) = waiter.own else { return };
        self.asides.remove(&(own, ticket));
        self.put_back_first(own, now);
    }

    /// One who waited for this limit waits for it no longer: the next who does may find room now.
    fn put_back_first(&mut self, own: u64, now: u64) {
        if let Some(&(_, next)) = self.asides.range((own, 0)..=(own, u64::MAX)).next() {
            self.put_back(next, now);
        }
    }

    fn put_back(&mut self, ticket: u64, now: u64) {
        let patience = self.patience(now);
        let Some(waiter) = self.waiters.get_mut(&ticket) else { return };
        if waiter.spot == Spot::Aside {
            waiter.spot = Spot::Line;
            (waiter.entered, waiter.patience) = (now, patience);
            let waiter = *waiter;
            self.asides.remove(&(waiter.own.unwrap_or_default(), ticket));
            self.enter(ticket, &waiter, now);
        }
    }

    fn turn(&self) -> Option<Turn> {
        match self.offer {
            Offer::Nobody => None,
            Offer::Made(turn) | Offer::Blocked { turn, .. } => Some(turn),
        }
    }

    fn turn_is(&self, ticket: u64) -> bool {
        self.turn().is_some_and(|turn| turn.ticket == ticket)
    }

    fn unblock(&mut self, now: u64) {
        if matches!(self.offer, Offer::Blocked { .. }) {
            self.offer(Offer::Nobody, now);
        }
    }

    /// If it was the turn of a ticket, it is nobody's.
    fn withdraw(&mut self, ticket: u64, now: u64) {
        if self.turn_is(ticket) {
            self.offer(Offer::Nobody, now);
        }
    }

    fn offer(&mut self, offer: Offer, now: u64) {
        self.patience = self.patience(now);
        self.offer = offer;
    }

    /// Offers the next room to whoever is first. Those who have waited too long are passed over, and told.
    pub(super) fn advance(&mut self, now: u64) {
        loop {
            let turn = match self.offer {
                Offer::Made(turn) => Some(turn),
                Offer::Nobody | Offer::Blocked { .. } => self.next(),
            };
            let first = turn.and_then(|turn| Some((turn, self.waiters.get(&turn.ticket)?.deadline)));
            let Some((turn, deadline)) = first else {
                self.offer(Offer::Nobody, now);
                self.overload.emptied(now);
                return;
            };
            if deadline > now {
                self.offer_to(turn, now);
                return;
            }
            self.time_out(turn.ticket, now);
        }
    }

    fn offer_to(&mut self, turn: Turn, now: u64) {
        if !self.turn_is(turn.ticket) {
            self.offer(Offer::Made(turn), now);
            self.news.push(Ticket(turn.ticket));
        }
    }
}
