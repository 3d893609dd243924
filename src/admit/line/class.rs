//! The waiters of one priority: tokens shared between tenants by weight, first come first served within a tenant.

use std::collections::{BTreeMap, BTreeSet};

use super::waiter::Waiter;

/// The largest cost that counts, in tokens.
const MOST_TOKENS: u64 = 1 << 40;
/// Units of virtual time in a token of weight 0.001.
const UNITS: u128 = 1 << 20;

/// Which of a tenant's waiters is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    OldestFirst,
    NewestFirst,
}

/// One of a tenant's waiters.
#[derive(Clone, Copy, Debug)]
struct Entry {
    cost: u64,
    weight: u64,
    joined: u64,
}

/// When a tenant's first is due. The smallest goes first; of equals the one whose tenant was served longer ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    finish: u128,
    turn: u64,
    tenant: u64,
}

/// What is kept of a tenant while it waits in this class.
#[derive(Debug)]
struct Account {
    waiting: BTreeMap<u64, Entry>,
    /// What was paid for so far, in virtual time.
    start: u128,
    turn: u64,
    due: Due,
    /// When one of them was last served.
    served: u64,
}

/// The waiters of one priority.
#[derive(Debug, Default)]
pub(super) struct Class {
    accounts: BTreeMap<u64, Account>,
    due: BTreeSet<Due>,
    /// The virtual time up to which shares have been paid out.
    clock: u128,
    turns: u64,
    len: usize,
}

/// The first of a tenant.
#[derive(Clone, Copy, Debug)]
pub(super) struct First {
    pub(super) ticket: u64,
    pub(super) joined: u64,
}

impl Class {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn tenants(&self) -> usize {
        self.accounts.len()
    }

    /// How many of a tenant wait.
    pub(super) fn of(&self, tenant: u64) -> usize {
        self.accounts.get(&tenant).map_or(0, |account| account.waiting.len())
    }

    pub(super) fn insert(&mut self, ticket: u64, waiter: &Waiter, order: Order) {
        let (clock, turn) = (self.clock, self.turns);
        let account = self.accounts.entry(waiter.tenant).or_insert_with(|| Account {
            waiting: BTreeMap::new(),
            start: clock,
            turn,
            due: Due::default(),
            served: 0,
        });
        let entry = Entry { cost: waiter.cost, weight: waiter.weight, joined: waiter.joined };
        if account.waiting.insert(ticket, entry).is_none() {
            self.len += 1;
        }
        self.turns += 1;
        self.file(waiter.tenant, order);
    }

    pub(super) fn remove(&mut self, ticket: u64, tenant: u64, order: Order) {
        if let Some(account) = self.accounts.get_mut(&tenant)
            && account.waiting.remove(&ticket).is_some()
        {
            self.len -= 1;
            self.file(tenant, order);
        }
    }

    /// A waiter was served at `now`, for a turn of this class: its tenant's share pays.
    pub(super) fn charge(&mut self, waiter: &Waiter, cost: u64, now: u64, order: Order) {
        if let Some(account) = self.accounts.get_mut(&waiter.tenant) {
            account.start = account.start.saturating_add(price(cost, waiter.weight));
            account.turn = self.turns;
            account.served = now;
            self.clock = self.clock.max(account.start);
            self.turns += 1;
            self.file(waiter.tenant, order);
        }
    }

    /// One of a tenant was served at `now`, for a turn of another class.
    pub(super) fn served(&mut self, tenant: u64, now: u64) {
        if let Some(account) = self.accounts.get_mut(&tenant) {
            account.served = now;
        }
    }

    /// The tenant whose turn it is, and since when it waits for one.
    pub(super) fn next(&self) -> Option<(u64, u64)> {
        let tenant = self.due.first()?.tenant;
        let account = self.accounts.get(&tenant)?;
        let oldest = account.waiting.values().next()?;
        Some((tenant, oldest.joined.max(account.served)))
    }

    /// The first of a tenant.
    pub(super) fn first(&self, tenant: u64, order: Order) -> Option<First> {
        let (ticket, entry) = self.accounts.get(&tenant)?.first(order)?;
        Some(First { ticket, joined: entry.joined })
    }

    /// From here on another of each tenant's is first.
    pub(super) fn reorder(&mut self, order: Order) {
        let tenants: Vec<u64> = self.accounts.keys().copied().collect();
        for tenant in tenants {
            self.file(tenant, order);
        }
    }

    /// Puts a tenant where its first belongs, or forgets it.
    fn file(&mut self, tenant: u64, order: Order) {
        let Some(account) = self.accounts.get_mut(&tenant) else { return };
        self.due.remove(&account.due);
        if let Some((_, first)) = account.first(order) {
            let finish = account.start.saturating_add(price(first.cost, first.weight));
            account.due = Due { finish, turn: account.turn, tenant };
            self.due.insert(account.due);
        } else {
            self.accounts.remove(&tenant);
        }
        if self.accounts.is_empty() {
            self.clock = 0;
        }
    }
}

impl Account {
    fn first(&self, order: Order) -> Option<(u64, Entry)> {
        let found = match order {
            Order::OldestFirst => self.waiting.first_key_value(),
            Order::NewestFirst => self.waiting.last_key_value(),
        };
        found.map(|(ticket, entry)| (*ticket, *entry))
    }
}

/// What a request costs a tenant, in virtual time.
fn price(cost: u64, weight: u64) -> u128 {
    u128::from(cost.clamp(1, MOST_TOKENS)) * UNITS * 1000 / u128::from(weight.max(1))
}

/// A weight in thousandths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
pub(super) fn thousandths(weight: f64) -> u64 {
    if weight.is_nan() { 1000 } else { (weight.clamp(0.001, 1000.0) * 1000.0) as u64 }
}
