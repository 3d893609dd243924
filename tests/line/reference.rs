//! The rules of the line once more, as plainly as they can be put: one list, looked through every time.

use std::collections::BTreeMap;

use fairlead::admit::line::{Crowd, Newcomer, Settings};

/// Where somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Line,
    Aside,
    Shed,
    TimedOut,
}

#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub number: u64,
    pub who: Newcomer,
    pub place: Place,
    pub joined: u64,
    pub entered: u64,
    /// How long the head had waited for known moments then.
    pub known: u64,
    pub own: Option<u64>,
}

/// What a tenant of a priority has paid for, while it waits.
#[derive(Clone, Copy, Debug)]
struct Share {
    paid: u128,
    since: u64,
    served: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Pot {
    clock: u128,
    turns: u64,
}

/// The reference.
#[derive(Debug)]
pub struct Reference {
    settings: Settings,
    pub callers: Vec<Caller>,
    shares: BTreeMap<(u8, u64), Share>,
    pots: [Pot; 10],
    /// Whose turn it is, which priority pays, and whether it is blocked.
    pub turn: Option<(u64, u8, bool)>,
    /// Blocked, does it know until when?
    known: bool,
    /// How long the head has waited for known moments, until when.
    waited: (u64, u64),
    pub overloaded: bool,
    calm: u64,
    missed: bool,
}

impl Reference {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            callers: Vec::new(),
            shares: BTreeMap::new(),
            pots: [Pot::default(); 10],
            turn: None,
            known: false,
            waited: (0, 0),
            overloaded: false,
            calm: 0,
            missed: false,
        }
    }

    pub fn offered(&self) -> Option<u64> {
        self.turn.filter(|(_, _, blocked)| !blocked).map(|(number, ..)| number)
    }

    pub fn present(&self) -> impl Iterator<Item = &Caller> + Clone {
        self.callers.iter().filter(|caller| matches!(caller.place, Place::Line | Place::Aside))
    }

    fn line(&self) -> impl Iterator<Item = &Caller> + Clone {
        self.callers.iter().filter(|caller| caller.place == Place::Line)
    }

    fn of(&self, class: u8, tenant: u64) -> impl Iterator<Item = &Caller> + Clone {
        self.line().filter(move |caller| (caller.who.priority, caller.who.tenant) == (class, tenant))
    }

    fn find(&mut self, number: u64) -> Option<&mut Caller> {
        self.callers.iter_mut().find(|caller| caller.number == number)
    }

    /// Is there somebody who has to give way, or no room?
    pub fn crowd(&self, who: &Newcomer) -> Option<(Crowd, Option<u64>)> {
        let own = self.present().filter(|caller| caller.who.tenant == who.tenant);
        let crowd = if own.clone().count() >= self.settings.most_per_tenant {
            Crowd::Tenant
        } else if self.present().count() >= self.settings.most {
            Crowd::Line
        } else {
            return None;
        };
        let loser = self
            .present()
            .filter(|caller| crowd == Crowd::Line || caller.who.tenant == who.tenant)
            .filter(|caller| caller.who.priority < who.priority && Some(caller.number) != self.offered())
            .min_by_key(|caller| (caller.who.priority, u64::MAX - caller.number));
        Some((crowd, loser.map(|caller| caller.number)))
    }

    /// Somebody comes; the line may become overloaded by that.
    pub fn receive(&mut self, mut who: Newcomer, now: u64) -> Newcomer {
        if let Some((number, _)) = self.first() {
            let first = *self.find(number).unwrap();
            self.wait(self.sojourn(&first, now), now);
        }
        if self.overloaded {
            who.deadline = who.deadline.min(now + self.settings.overload_patience.as_nanos() as u64);
        }
        who
    }

    pub fn join(&mut self, number: u64, who: Newcomer, now: u64) {
        let loser = self.crowd(&who).and_then(|(_, loser)| loser);
        let (place, known) = (Place::Line, self.waited.0);
        self.callers.push(Caller { number, who, place, joined: now, entered: now, known, own: None });
        self.enter(number, now);
        if let Some(loser) = loser {
            self.away(loser, Place::Shed, now);
        }
        self.next(now);
    }

    fn enter(&mut self, number: u64, now: u64) {
        if self.line().count() == 1 {
            (self.overloaded, self.calm) = (false, now);
        }
        let who = self.find(number).unwrap().who;
        let pot = &mut self.pots[usize::from(who.priority)];
        let new = Share { paid: pot.clock, since: pot.turns, served: 0 };
        self.shares.entry((who.priority, who.tenant)).or_insert(new);
        pot.turns += 1;
    }

    /// Shares are kept for those who wait.
    fn forget(&mut self) {
        let kept: Vec<_> = self.line().map(|caller| (caller.who.priority, caller.who.tenant)).collect();
        self.shares.retain(|key, _| kept.contains(key));
        for class in 0..10 {
            if !kept.iter().any(|(kept, _)| *kept == class) {
                self.pots[usize::from(class)].clock = 0;
            }
        }
    }

    /// Time passes: is it one in which the head waits for a known moment?
    pub fn pass_time(&mut self, now: u64) {
        let (known, until) = self.waited;
        let waits = self.known && self.turn.is_some_and(|(_, _, blocked)| blocked);
        self.waited = (if waits { known + (now - until) } else { known }, now);
    }

    fn sojourn(&self, caller: &Caller, now: u64) -> u64 {
        now - caller.entered - (self.waited.0 - caller.known)
    }

    fn wait(&mut self, sojourn: u64, now: u64) {
        let (target, interval) = (self.settings.overload_target, self.settings.overload_interval);
        if u128::from(sojourn) > target.as_nanos() && u128::from(now - self.calm) >= interval.as_nanos() {
            self.overloaded = true;
        }
    }

    fn key(&self, class: u8, since: u64) -> (i128, u8) {
        let aging = self.settings.aging.as_nanos().cast_signed();
        (i128::from(since) - i128::from(class) * aging, 9 - class)
    }

    /// Who is first, and which priority pays.
    fn first(&self) -> Option<(u64, u8)> {
        let claims = (0..10).filter_map(|class| {
            let dues = self.shares.iter().filter(|((of, _), _)| *of == class).map(|((_, tenant), share)| {
                let own = self.of(class, *tenant);
                let oldest = own.clone().min_by_key(|caller| caller.number).unwrap();
                let newest = own.max_by_key(|caller| caller.number).unwrap();
                let head = if self.overloaded { newest } else { oldest };
                let price = price(head.who.cost, head.who.weight);
                let oldest = oldest.joined.max(share.served);
                ((share.paid + price, share.since, *tenant), oldest)
            });
            let ((_, _, tenant), since) = dues.min_by_key(|(due, _)| *due)?;
            Some((self.key(class, since), class, tenant))
        });
        let (_, class, tenant) = claims.min_by_key(|(key, ..)| *key)?;
        let number = if self.overloaded {
            self.of(class, tenant).map(|caller| caller.number).max()?
        } else {
            let firsts = (0..10).filter_map(|of| self.of(of, tenant).min_by_key(|caller| caller.number));
            firsts.min_by_key(|caller| self.key(caller.who.priority, caller.joined))?.number
        };
        Some((number, class))
    }

    /// Offers the next room.
    fn next(&mut self, now: u64) {
        self.forget();
        loop {
            let held = self.turn.filter(|(_, _, blocked)| !blocked).map(|(number, class, _)| (number, class));
            let Some((number, class)) = held.or_else(|| self.first()) else {
                (self.turn, self.overloaded, self.calm) = (None, false, now);
                return;
            };
            if self.find(number).unwrap().who.deadline > now {
                if self.turn.is_none_or(|(turn, ..)| turn != number) {
                    self.turn = Some((number, class, false));
                }
                return;
            }
            self.away(number, Place::TimedOut, now);
            self.forget();
        }
    }

    fn away(&mut self, number: u64, place: Place, now: u64) {
        let caller = self.find(number).unwrap();
        caller.place = place;
        let own = caller.own;
        self.pass(number, own, now);
    }

    /// Somebody is gone: its turn, and the way to a limit of its own, pass on.
    fn pass(&mut self, number: u64, own: Option<u64>, now: u64) {
        self.forget();
        if self.turn.is_some_and(|(turn, ..)| turn == number) {
            self.turn = None;
        }
        let waiting = self.callers.iter().filter(|caller| caller.place == Place::Aside);
        let same = waiting.filter(|caller| own.is_some() && caller.own == own);
        if let Some(next) = same.map(|caller| caller.number).min() {
            self.back(next, now);
        }
    }

    fn back(&mut self, number: u64, now: u64) {
        let known = self.waited.0;
        if let Some(caller) = self.find(number).filter(|caller| caller.place == Place::Aside) {
            (caller.place, caller.entered, caller.known) = (Place::Line, now, known);
            self.enter(number, now);
        }
    }

    pub fn serve(&mut self, number: u64, cost: u64, now: u64) {
        let Some(at) = self.callers.iter().position(|caller| caller.number == number) else { return };
        let caller = self.callers[at];
        if caller.place == Place::Line {
            let turn = self.turn.filter(|(turn, ..)| *turn == number);
            let paying = turn.map_or(caller.who.priority, |(_, class, _)| class);
            let pot = &mut self.pots[usize::from(paying)];
            if let Some(share) = self.shares.get_mut(&(paying, caller.who.tenant)) {
                share.paid += price(cost, caller.who.weight);
                (share.since, share.served) = (pot.turns, now);
                pot.clock = pot.clock.max(share.paid);
                pot.turns += 1;
            }
            if let Some(share) = self.shares.get_mut(&(caller.who.priority, caller.who.tenant)) {
                share.served = now;
            }
            let sojourn = self.sojourn(&caller, now);
            if u128::from(sojourn) <= self.settings.overload_target.as_nanos() {
                self.calm = now;
            }
            self.wait(sojourn, now);
        }
        self.callers.remove(at);
        if matches!(caller.place, Place::Line | Place::Aside) {
            self.pass(number, caller.own, now);
        }
        self.next(now);
    }

    pub fn leave(&mut self, number: u64, now: u64) {
        let Some(at) = self.callers.iter().position(|caller| caller.number == number) else { return };
        let caller = self.callers.remove(at);
        if matches!(caller.place, Place::Line | Place::Aside) {
            self.pass(number, caller.own, now);
        }
        self.next(now);
    }

    pub fn expire(&mut self, number: u64, now: u64) {
        let there = self.present().any(|caller| caller.number == number);
        if there {
            self.away(number, Place::TimedOut, now);
        }
        self.next(now);
    }

    pub fn tries(&mut self) {
        self.missed = false;
    }

    pub fn blocked(&mut self, number: u64, known: bool, now: u64) {
        if let Some((turn, _, blocked)) = &mut self.turn
            && *turn == number
            && !self.missed
        {
            *blocked = true;
            self.known = known;
        }
        self.next(now);
    }

    pub fn step_aside(&mut self, number: u64, own: u64, now: u64) {
        let missed = self.offered() == Some(number) && self.missed;
        if let Some(caller) = self.find(number)
            && caller.place == Place::Line
            && !missed
        {
            let before = caller.own.filter(|before| *before != own);
            (caller.place, caller.own) = (Place::Aside, Some(own));
            self.pass(number, before, now);
        }
        self.next(now);
    }

    pub fn freed(&mut self, now: u64) {
        self.missed = true;
        let mut firsts: BTreeMap<u64, u64> = BTreeMap::new();
        for caller in self.callers.iter().rev().filter(|caller| caller.place == Place::Aside) {
            firsts.insert(caller.own.unwrap(), caller.number);
        }
        for number in firsts.into_values() {
            self.back(number, now);
        }
        self.turn = self.turn.filter(|(_, _, blocked)| !blocked);
        self.next(now);
    }

    pub fn again(&mut self, number: u64, now: u64) {
        if self.turn.is_some_and(|(turn, ..)| turn == number) {
            self.turn = self.turn.filter(|(_, _, blocked)| !blocked);
        }
        self.back(number, now);
        self.next(now);
    }
}

fn price(cost: u64, weight: f64) -> u128 {
    u128::from(cost.max(1)) * (1 << 20) * 1000 / (weight * 1000.0) as u128
}
