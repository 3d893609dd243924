//! The running state of every deployment and credential, keyed by identity and kept outside the snapshot.
//!
//! Stages write outcomes here and `route` reads them; a reload of the configuration binds the same records again.

pub mod aside;
pub mod breaker;
pub mod calibration;
mod deployment;
mod guard;
pub mod hash;
mod histogram;
pub mod learned;
pub mod pace;
mod published;
mod records;
mod relation;
mod rest;
pub mod room;
mod silence;
pub mod surge;
pub mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use serde::Serialize;

use crate::admit::Lines;
use crate::clock::{self, Instant};
use crate::provider::presets::LimitProfile;
use crate::retry::hedge::Credit;
use crate::secret::{Keepers, Outside};
use crate::store::{Memory, Store};
pub use aside::Offence;
pub use deployment::{Deployment, Form};
pub use histogram::Histogram;
pub use pace::Pace;
use records::Records;
pub use relation::Relation;
pub use rest::{Leave, Rest};
pub use room::Room;
pub use surge::Surge;
pub use tally::Tally;

/// The records of one engine.
#[derive(Debug)]
pub struct Live {
    origin: Instant,
    deployments: Mutex<Records<Deployment>>,
    credentials: Mutex<Records<Credential>>,
    /// Keys that are fetched.
    pub keepers: Keepers,
    /// Second attempts that calls have earned.
    pub hedges: Credit,
    /// The lines in which calls wait.
    pub lines: Arc<Lines>,
    store: Arc<dyn Store>,
    /// What providers told of their accounts, by host: it outlives a reload.
    profiles: Mutex<BTreeMap<String, &'static LimitProfile>>,
}

impl Default for Live {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Live {
    /// No records yet; plug-ins and callables that yield keys are those of `outside`.
    pub fn new(outside: Option<Arc<dyn Outside>>) -> Self {
        let (lines, store) = (Arc::<Lines>::default(), Arc::new(Memory::default()));
        let woken = Arc::clone(&lines);
        store.on_room(Some(Box::new(move || woken.wake())));
        Self {
            lines,
            hedges: Credit::default(),
            store,
            origin: clock::now(),
            deployments: Mutex::default(),
            credentials: Mutex::default(),
            keepers: Keepers::new(outside),
            profiles: Mutex::default(),
        }
    }

    /// The limits that the account at `host` was told to have.
    pub fn profile(&self, host: &str) -> Option<&'static LimitProfile> {
        self.profiles.lock().get(host).copied()
    }

    /// The account at `host` has these limits.
    pub fn remember_profile(&self, host: &str, profile: &'static LimitProfile) {
        self.profiles.lock().insert(host.to_owned(), profile);
    }

    /// Where limits and budgets are counted.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The record of the deployment with this identity (provider, base URL, model).
    pub fn deployment(&self, identity: &str) -> Arc<Deployment> {
        self.deployments.lock().record(identity, || Deployment::new(identity, self.origin))
    }

    /// A record of a deployment that nobody else will find again.
    pub fn unlisted_deployment(&self) -> Arc<Deployment> {
        Arc::new(Deployment::new("", self.origin))
    }

    /// The record of the credential with this identity (provider, base URL, key fingerprint); every deployment
    /// that uses the key shares it. It is listed under the `provider` and `id` it was asked for last.
    pub fn credential(&self, identity: &str, provider: &str, id: &str) -> Arc<Credential> {
        let fresh = || self.fresh_credential(hash::hash([identity]));
        let known = self.credentials.lock().record(identity, fresh);
        known.listed.store(Some(Arc::new((provider.to_owned(), id.to_owned()))));
        known
    }

    /// A record of a key that nobody else will find again, with the counts of this `seat`.
    pub fn unlisted_credential(&self, seat: u64) -> Arc<Credential> {
        Arc::new(self.fresh_credential(seat))
    }

    fn fresh_credential(&self, seat: u64) -> Credential {
        Credential { seat, disabled_until: Until::new(self.origin), ..Credential::default() }
    }

    /// What every key that is in use has been doing at `now`, by provider and id; namesakes by address.
    pub fn key_usage(&self, now: Instant) -> Vec<KeyUsage> {
        let mut usage: Vec<KeyUsage> =
            self.credentials.lock().held().filter_map(|credential| credential.usage(now)).collect();
        usage.sort_by(|one, other| (&one.provider, &one.id).cmp(&(&other.provider, &other.id)));
        usage
    }
}

/// What a key has been doing.
#[derive(Debug, Default)]
pub struct Credential {
    /// Whose counts its limits have.
    pub seat: u64,
    /// Provider and id.
    listed: ArcSwapOption<(String, String)>,
    requests: AtomicU64,
    failures: AtomicU64,
    strikes: AtomicU32,
    disabled_until: Until,
}

/// What a key has been doing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyUsage {
    /// Its name; never the key.
    pub id: String,
    /// Whom it is for.
    pub provider: String,
    /// Attempts made with it.
    pub requests: u64,
    /// Those that failed, for whatever reason.
    pub failures: u64,
    /// Seconds for which it is left alone after it was refused.
    pub disabled_for: f64,
}

impl Credential {
    /// An attempt is made with it.
    pub fn asked(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// An attempt with it failed.
    pub fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    fn usage(&self, now: Instant) -> Option<KeyUsage> {
        let listed = self.listed.load_full()?;
        let (provider, id) = (*listed).clone();
        Some(KeyUsage {
            id,
            provider,
            requests: self.requests.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            disabled_for: self.disabled_until.after(now).as_secs_f64(),
        })
    }

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

    fn nanos(&self) -> u64 {
        self.nanos.load(Ordering::Relaxed)
    }

    fn clear(&self) {
        self.nanos.store(0, Ordering::Relaxed);
    }

    fn is_after(&self, now: Instant) -> bool {
        // Most were never set: the clocks are not compared for them.
        let nanos = self.nanos.load(Ordering::Relaxed);
        nanos != 0 && nanos > self.since_origin(now)
    }

    /// Moves to `by` after `now` where it does not lie after that. Of several at once, one is told that it did.
    fn pass(&self, now: Instant, by: Duration) -> bool {
        let (at, next) = (self.since_origin(now), self.since_origin(now + by));
        let passed = |nanos: u64| (nanos <= at).then_some(next);
        self.nanos.fetch_update(Ordering::Relaxed, Ordering::Relaxed, passed).is_ok()
    }

    /// How long after `now` it lies.
    fn after(&self, now: Instant) -> Duration {
        let nanos = self.nanos.load(Ordering::Relaxed);
        Duration::from_nanos(nanos.saturating_sub(self.since_origin(now)))
    }
}
