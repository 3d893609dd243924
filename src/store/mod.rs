//! Where limits and budgets are counted: reserve before, settle after, exactly once.
//!
//! ```text
//! reserve(charges) ─► Granted(hold) ─► settle(hold, used)     what was used less comes back, what was used more is a debt
//!                  │                └► drop                   nothing was sent: everything comes back
//!                  └► Denied(which charge, when to ask again)
//! ```
//!
//! A reservation covers all charges or none. The store owns time: whoever shares it agrees on it. [`Memory`] is the
//! store of one process; others stand behind the same door.

mod books;
pub mod keyed;
mod limit;
mod memory;
pub mod meter;
mod zone;

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use limit::{Every, Limit, Measure, Oversize, Scope, Window};
pub use memory::{Hold, Memory};
pub use zone::Zone;

/// A limit that a store knows. The same identity finds the same counts again.
#[derive(Clone, Debug)]
pub struct Account {
    number: usize,
    limit: Arc<Limit>,
    /// As long as there is one, the limit is in force.
    _held: Arc<()>,
}

impl Account {
    /// The limit as it was when the account was opened.
    pub fn limit(&self) -> &Limit {
        &self.limit
    }
}

/// So much is to be counted.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// Against this limit.
    pub account: &'a Account,
    /// For this one of many users, tenants or keys; 0 where there is one count for all.
    pub subject: u64,
    /// How much.
    pub amount: u64,
}

/// The answer to a reservation: there at once, or on its way.
#[expect(missing_debug_implementations, reason = "a future has none")]
pub enum Reserving {
    /// Known now.
    Ready(Reserved),
    /// Asked of somebody else.
    Pending(Pin<Box<dyn Future<Output = Reserved> + Send>>),
}

/// The answer to a reservation.
#[derive(Debug)]
pub enum Reserved {
    /// All of it.
    Granted(Hold),
    /// None of it.
    Denied(Denial),
}

/// Why a reservation was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The position of the charge that did not fit; of several, the one that will not for the longest.
    pub charge: usize,
    /// When all of them will.
    pub when: When,
}

/// When it is worth asking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// After exactly this time, not earlier, if nobody else comes first and slots are free by then.
    After(Duration),
    /// When a slot is given back.
    GivenBack,
    /// Never: the amount is larger than the limit.
    Never,
}

/// How an account stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The limit as it is now.
    pub limit: Arc<Limit>,
    /// What is in use; of many subjects, of the one that uses most.
    pub used: u64,
    /// Subjects that are counted.
    pub subjects: usize,
    /// Charges that fitted and were taken.
    pub granted: u64,
    /// Charges that made a reservation fail; of a limit that only watches, those that did not fit and were taken.
    pub denied: u64,
}

/// Somewhere limits are counted.
pub trait Store: Send + Sync + Debug {
    /// Opens an account, or gives the one with this identity new numbers, which hold at once. Counts stay, unless the
    /// window is of another kind: then they begin anew, and what is still held of the old ones is forgotten.
    fn account(&self, limit: Limit) -> Account;

    /// Reserves all of `charges` or none. Two against the same account and subject count as both together; an account
    /// does not stand in one reservation for several subjects.
    fn reserve(&self, charges: &[Charge<'_>]) -> Reserving;

    /// What was held is over: `used` says how much of each limit it came to, given what was reserved; it may use the
    /// store itself. Slots are given back whatever it says.
    fn settle(&self, hold: Hold, used: &mut dyn FnMut(&Limit, u64) -> u64);

    /// Calls `tell` whenever something was given back or a limit has new numbers, while nothing is locked.
    fn on_room(&self, tell: Option<Box<dyn Fn() + Send + Sync>>);

    /// From now on the counts of users, tenants and keys may take so many bytes.
    fn allow(&self, most_bytes: usize);

    /// What is in use of an account by a subject.
    fn used(&self, account: &Account, subject: u64) -> u64;

    /// How all accounts stand.
    fn standings(&self) -> Vec<Standing>;
}
