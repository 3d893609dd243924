//! Who is next: between priorities, between the tenants of one, and within a tenant.

use std::array;
use std::cmp::Reverse;

use super::class::{Class, Order};
use super::settings::PRIORITIES;
use super::waiter::Waiter;

/// Whose turn it is, and to which priority's account it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) ticket: u64,
    pub(super) class: u8,
}

/// All who are in the line.
#[derive(Debug)]
pub(super) struct Ranks {
    classes: [Class; PRIORITIES],
    /// What a priority is worth, in nanoseconds of waiting.
    aging: i128,
}

impl Ranks {
    pub(super) fn new(aging: u64) -> Self {
        let mut ranks = Self { classes: array::from_fn(|_| Class::default()), aging: 0 };
        ranks.set(aging);
        ranks
    }

    /// Zero: calls do not age.
    pub(super) fn set(&mut self, aging: u64) {
        self.aging = i128::from(if aging == 0 { u64::MAX } else { aging });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(|class| class.len() == 0)
    }

    pub(super) fn depth(&self) -> [usize; PRIORITIES] {
        self.classes.each_ref().map(Class::len)
    }

    pub(super) fn insert(&mut self, ticket: u64, waiter: &Waiter, order: Order) {
        if let Some(class) = self.class(waiter.class) {
            class.insert(ticket, waiter, order);
        }
    }

    pub(super) fn remove(&mut self, ticket: u64, waiter: &Waiter, order: Order) {
        if let Some(class) = self.class(waiter.class) {
            class.remove(ticket, waiter.tenant, order);
        }
    }

    /// A waiter is served at `now` for a turn of the priority `paying`, and gone.
    pub(super) fn serve(&mut self, turn: Turn, waiter: &Waiter, cost: u64, now: u64, order: Order) {
        if let Some(paying) = self.class(turn.class) {
            paying.charge(waiter, cost, now, order);
        }
        if let Some(own) = self.class(waiter.class) {
            own.served(waiter.tenant, now);
        }
        self.remove(turn.ticket, waiter, order);
    }

    /// From here on another of each tenant's is first.
    pub(super) fn reorder(&mut self, order: Order) {
        self.classes.iter_mut().for_each(|class| class.reorder(order));
    }

    fn class(&mut self, class: u8) -> Option<&mut Class> {
        self.classes.get_mut(usize::from(class))
    }

    /// The classes with their numbers.
    fn numbered(&self) -> impl Iterator<Item = (u8, &Class)> {
        (0..).zip(&self.classes)
    }

    /// Whose turn it is.
    pub(super) fn next(&self, order: Order) -> Option<Turn> {
        let claims = self.numbered().filter_map(|(number, class)| {
            let (tenant, since) = class.next()?;
            Some((self.rank(number, since), number, tenant))
        });
        let (_, class, tenant) = claims.min_by_key(|(rank, ..)| *rank)?;
        let ticket = match order {
            Order::OldestFirst => self.eldest(tenant)?,
            Order::NewestFirst => self.classes.get(usize::from(class))?.first(tenant, order)?.ticket,
        };
        Some(Turn { ticket, class })
    }

    /// Which of a tenant's waiters is first by priority and age.
    fn eldest(&self, tenant: u64) -> Option<u64> {
        let firsts = self.numbered().filter_map(|(number, class)| {
            let first = class.first(tenant, Order::OldestFirst)?;
            Some((self.rank(number, first.joined), first.ticket))
        });
        firsts.min_by_key(|(rank, _)| *rank).map(|(_, ticket)| ticket)
    }

    /// The smaller goes first: every priority is worth some waiting; of equals the higher priority.
    fn rank(&self, class: u8, since: u64) -> (i128, Reverse<u8>) {
        (i128::from(since) - i128::from(class) * self.aging, Reverse(class))
    }

    /// How many would be served before a newcomer of a tenant and priority, as things stand.
    pub(super) fn ahead(&self, tenant: u64, class: u8, order: Order) -> usize {
        let above = self.classes.iter().skip(usize::from(class) + 1).map(Class::len).sum::<usize>();
        let Some(beside) = self.classes.get(usize::from(class)) else { return above };
        let own = beside.of(tenant);
        // The tenants take turns: each has as many as it waits, or as many as there are of ours.
        let (own_turns, others) = match order {
            Order::OldestFirst => (own, beside.tenants() - usize::from(own > 0)),
            Order::NewestFirst => (0, beside.tenants() - usize::from(own > 0)),
        };
        let turns = own_turns.saturating_add(1).saturating_mul(others).saturating_add(own_turns);
        above + turns.min(beside.len())
    }
}
