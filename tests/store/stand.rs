//! A store on the stand: with a clock that moves when told to.

use std::sync::Arc;
use std::time::Duration;

use fairlead::clock;
use fairlead::store::{
    Account, Charge, Denial, Every, Hold, Limit, Measure, Memory, Oversize, Reserved, Reserving, Scope,
    Store, When, Window, Zone,
};
use tokio::runtime::{Builder, Runtime};

/// The first of January 2026 in UTC, a Thursday: when every test begins.
pub(crate) const NEW_YEAR: Duration = Duration::from_secs(1_767_225_600);
pub(crate) const NANO: Duration = Duration::from_nanos(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Any store, and how its clock is moved.
#[derive(Clone, Copy)]
pub(crate) struct Stand<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) advance: &'a dyn Fn(Duration),
    /// The shortest time that its clock knows.
    pub(crate) grain: Duration,
}

impl Stand<'_> {
    pub(crate) fn open(&self, limit: Limit) -> Account {
        self.store.account(limit)
    }

    pub(crate) fn advance(&self, time: Duration) {
        (self.advance)(time);
    }

    /// Reserves all of `charges`: accounts, subjects, amounts.
    pub(crate) fn try_all(&self, charges: &[(&Account, u64, u64)]) -> Result<Hold, Denial> {
        let charges: Vec<Charge<'_>> =
            charges.iter().map(|&(account, subject, amount)| Charge { account, subject, amount }).collect();
        match self.store.reserve(&charges) {
            Reserving::Ready(Reserved::Granted(hold)) => Ok(hold),
            Reserving::Ready(Reserved::Denied(denial)) => Err(denial),
            Reserving::Pending(_) => panic!("the stores on the stand answer at once"),
        }
    }

    pub(crate) fn try_one(&self, account: &Account, amount: u64) -> Result<Hold, When> {
        self.try_all(&[(account, 0, amount)]).map_err(|denial| denial.when)
    }

    /// Reserves what counts as used whatever comes.
    pub(crate) fn spend(&self, account: &Account, amount: u64) -> Result<(), When> {
        self.try_one(account, amount).map(|hold| self.keep(hold))
    }

    pub(crate) fn spend_for(&self, account: &Account, subject: u64, amount: u64) -> Result<(), When> {
        let hold = self.try_all(&[(account, subject, amount)]);
        hold.map(|hold| self.keep(hold)).map_err(|denial| denial.when)
    }

    /// All that was reserved was used.
    pub(crate) fn keep(&self, hold: Hold) {
        self.store.settle(hold, &mut |_, reserved| reserved);
    }

    pub(crate) fn settle(&self, hold: Hold, used: u64) {
        self.store.settle(hold, &mut |_, _| used);
    }

    pub(crate) fn used(&self, account: &Account) -> u64 {
        self.store.used(account, 0)
    }
}

/// Puts a memory store with room for `bytes` on the stand, in virtual time.
pub(crate) fn with_bytes<T>(bytes: usize, test: impl FnOnce(Stand<'_>, &Memory) -> T) -> T {
    let runtime = virtual_time();
    let _inside = runtime.enter();
    clock::pretend(NEW_YEAR);
    let store = Memory::new(bytes);
    let advance = |time| runtime.block_on(tokio::time::advance(time));
    test(Stand { store: &store, advance: &advance, grain: NANO }, &store)
}

/// Puts a memory store on the stand, in virtual time.
pub(crate) fn memory<T>(test: impl FnOnce(Stand<'_>) -> T) -> T {
    with_bytes(64 << 20, |stand, _| test(stand))
}

pub(crate) fn virtual_time() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// A limit on tokens.
pub(crate) fn limit(name: &str, most: u64, window: Window) -> Limit {
    Limit {
        scope: Scope::Global,
        measure: Measure::Tokens,
        identity: Arc::from(name),
        most,
        window,
        oversize: Oversize::Debt,
        shadow: false,
    }
}

pub(crate) fn reject(limit: Limit) -> Limit {
    Limit { oversize: Oversize::Reject, ..limit }
}

pub(crate) fn log(length: Duration) -> Window {
    Window::Log { length }
}

pub(crate) fn sliding(length: Duration) -> Window {
    Window::Sliding { length }
}

pub(crate) fn bucket(per: Duration, burst: u64) -> Window {
    Window::Bucket { per, burst }
}

pub(crate) fn calendar(every: Every, zone: &str) -> Window {
    Window::Calendar { every, zone: Zone::parse(zone).unwrap() }
}

/// How many cases a property is tried with: few, unless more are asked for.
pub(crate) fn cases() -> proptest::test_runner::Config {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    proptest::test_runner::Config {
        cases: asked.unwrap_or(200),
        failure_persistence: None,
        ..Default::default()
    }
}
