//! The running state of every deployment and credential, keyed by identity and kept outside the snapshot.
//!
//! Stages write outcomes here and `route` reads them; a reload of the configuration binds the same records again.

mod histogram;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{self, Instant};
pub use histogram::Histogram;

/// The records of one engine.
#[derive(Debug)]
pub struct Live {
    origin: Instant,
    deployments: Mutex<HashMap<String, Arc<Deployment>>>,
    credentials: Mutex<HashMap<String, Arc<Credential>>>,
}

impl Default for Live {
    fn default() -> Self {
        Self { origin: clock::now(), deployments: Mutex::default(), credentials: Mutex::default() }
    }
}

impl Live {
    /// The record of the deployment with this identity (provider, base URL, model).
    pub fn deployment(&self, identity: &str) -> Arc<Deployment> {
        let mut records = self.deployments.lock();
        if let Some(record) = records.get(identity) {
            return Arc::clone(record);
        }
        let record = Arc::new(Deployment { cooled_until: Until::new(self.origin), ..Deployment::default() });
        records.insert(identity.to_owned(), Arc::clone(&record));
        record
    }

    /// The record of the credential with this identity (provider, base URL, key fingerprint); every deployment
    /// that uses the key shares it.
    pub fn credential(&self, identity: &str) -> Arc<Credential> {
        let mut records = self.credentials.lock();
        if let Some(record) = records.get(identity) {
            return Arc::clone(record);
        }
        let record =
            Arc::new(Credential { disabled_until: Until::new(self.origin), ..Credential::default() });
        records.insert(identity.to_owned(), Arc::clone(&record));
        record
    }
}

/// What a deployment has been doing.
#[derive(Debug, Default)]
pub struct Deployment {
    /// Attempts that are running.
    pub in_flight: AtomicU64,
    /// Attempts that answered.
    pub successes: AtomicU64,
    /// Attempts that failed in a way a breaker sees.
    pub failures: AtomicU64,
    /// How long whole replies took.
    pub durations: Histogram,
    cooled_until: Until,
}

impl Deployment {
    /// An attempt answered.
    pub fn succeeded(&self) {
        self.successes.fetch_add(1, Ordering::Relaxed);
    }

    /// An attempt failed in a way a breaker sees.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps the deployment at the end of the order for `wait` (bounded to 600 s: hints lie).
    pub fn cool_down(&self, wait: Duration) {
        self.cooled_until.extend(clock::now() + wait.min(Duration::from_secs(600)));
    }

    /// Is it cooling down at `now`?
    pub fn is_cooling(&self, now: Instant) -> bool {
        self.cooled_until.is_after(now)
    }
}

/// What a key has been doing.
#[derive(Debug, Default)]
pub struct Credential {
    strikes: AtomicU32,
    disabled_until: Until,
}

impl Credential {
    /// Takes the key out of use: 60 s at first, doubling to 15 min while it keeps being refused.
    pub fn disable(&self) {
        let strikes = self.strikes.fetch_add(1, Ordering::Relaxed).min(4);
        let pause = Duration::from_secs((60_u64 << strikes).min(900));
        self.disabled_until.extend(clock::now() + pause);
    }

    /// The key worked.
    pub fn accepted(&self) {
        if self.strikes.load(Ordering::Relaxed) != 0 {
            self.strikes.store(0, Ordering::Relaxed);
            self.disabled_until.clear();
        }
    }

    /// Is it out of use at `now`?
    pub fn is_disabled(&self, now: Instant) -> bool {
        self.disabled_until.is_after(now)
    }
}

/// An instant that only moves forward until it is cleared, without a lock.
#[derive(Debug)]
struct Until {
    origin: Instant,
    nanos: AtomicU64,
}

impl Default for Until {
    fn default() -> Self {
        Self::new(clock::now())
    }
}

impl Until {
    fn new(origin: Instant) -> Self {
        Self { origin, nanos: AtomicU64::new(0) }
    }

    fn since_origin(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    fn extend(&self, at: Instant) {
        self.nanos.fetch_max(self.since_origin(at), Ordering::Relaxed);
    }

    fn clear(&self) {
        self.nanos.store(0, Ordering::Relaxed);
    }

    fn is_after(&self, now: Instant) -> bool {
        self.nanos.load(Ordering::Relaxed) > self.since_origin(now)
    }
}
