//! The engine: what all calls of a client share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use crate::call::Call;
use crate::clock::{self, Instant, Rng};
use crate::config::{Config, check};
use crate::error::{Error, Kind};
use crate::live::breaker::{self, Breaker, State, Transition};
use crate::live::{KeyUsage, Live};
use crate::provider::presets;
use crate::route::{self, Decision, Hosts, Plan, Snapshot, Space};
use crate::secret::Outside;
use crate::send::{self, Connect};
use crate::settle::metrics::{self, Metrics, Statistics};
use crate::settle::{Gauges, Receipt, Stats, Totals};
use crate::store::Standing;

type Listener = Box<dyn Fn(&Arc<Receipt>) + Send + Sync>;
/// Told the name of a deployment and what its breaker did.
type Watcher = Box<dyn Fn(&str, &Transition) + Send + Sync>;

/// Configuration, connections, live records and totals behind one client.
pub struct Engine {
    snapshot: ArcSwapOption<Snapshot>,
    live: Arc<Live>,
    hosts: Arc<Hosts>,
    rng: Rng,
    gauges: Arc<Gauges>,
    totals: Arc<Totals>,
    metrics: Arc<Metrics>,
    /// Are totals and receipts shown to anybody?
    settles: AtomicBool,
    /// Held by the reload that is running; calls never look at it.
    reloading: Mutex<()>,
    listener: ArcSwapOption<Listener>,
    watcher: ArcSwapOption<Watcher>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("gauges", &self.gauges).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine for `config`. Opens nothing: connections come with the first call.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`], naming every fault with its path.
    pub fn new(config: Config) -> Result<Arc<Self>, Error> {
        Self::assembled(config, Box::new(send::transport), Rng::from_machine())
    }

    /// As [`Engine::new`], for a host with plug-ins and callables that yield keys.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`].
    pub fn hosted(config: Config, outside: Arc<dyn Outside>) -> Result<Arc<Self>, Error> {
        let live = Live::new(Some(outside));
        Self::over(config, live, Box::new(send::transport), Rng::from_machine())
    }

    /// An engine over other transports and other chance than the machine's: for tests and simulations.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`].
    pub fn assembled(config: Config, connect: Connect, rng: Rng) -> Result<Arc<Self>, Error> {
        Self::over(config, Live::default(), connect, rng)
    }

    /// An engine over these live records, other transports and other chance than the machine's.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`].
    pub fn over(config: Config, live: Live, connect: Connect, rng: Rng) -> Result<Arc<Self>, Error> {
        check::check(&config)?;
        let (gauges, live) = (Arc::<Gauges>::default(), Arc::new(live));
        let settles = AtomicBool::new(config.stages.settle);
        let hosts = Arc::new(Hosts::new(connect, Arc::clone(&gauges)));
        let snapshot = Snapshot::compile(config, &live, &hosts, None)?;
        let metrics = Arc::<Metrics>::default();
        metrics.begin(&snapshot, None);
        Ok(Arc::new(Self {
            snapshot: ArcSwapOption::from_pointee(snapshot),
            live,
            hosts,
            rng,
            gauges,
            totals: Arc::default(),
            metrics,
            settles,
            reloading: Mutex::default(),
            listener: ArcSwapOption::empty(),
            watcher: ArcSwapOption::empty(),
        }))
    }

    /// Puts `config` in the place of the configuration that holds. Calls that run finish on the one they began
    /// with; live records, limits and connections of what stays the same go on.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`], naming every fault with its path: then nothing has changed. [`Kind::ClientClosed`].
    pub fn reload(&self, config: Config) -> Result<(), Error> {
        check::check(&config)?;
        let _alone = self.reloading.lock();
        let before = self.snapshot()?;
        let settles = config.stages.settle;
        let snapshot = Arc::new(Snapshot::compile(config, &self.live, &self.hosts, Some(&before))?);
        // A close in the meantime wins.
        let found = self.snapshot.compare_and_swap(&before, Some(Arc::clone(&snapshot)));
        match found.as_ref() {
            Some(found) if Arc::ptr_eq(found, &before) => {
                self.settles.store(settles, Ordering::Relaxed);
                self.metrics.begin(&snapshot, Some(&before));
                Ok(())
            }
            _ => Err(closed()),
        }
    }

    /// Hands every receipt to `listener`, on the I/O thread: it must only pass it on.
    pub fn on_settled(&self, listener: Option<Listener>) {
        self.listener.store(listener.map(Arc::new));
    }

    /// Tells `watcher` when a breaker changes its state, on the I/O thread: it must only pass it on.
    pub fn on_change(&self, watcher: Option<Watcher>) {
        self.watcher.store(watcher.map(Arc::new));
    }

    /// What routing decides for a call, without sending anything.
    ///
    /// # Errors
    ///
    /// As the call itself would fail before anything is sent.
    pub fn route(&self, call: &Call) -> Result<Arc<Decision>, Error> {
        self.plan(call).map(|plan| plan.decision)
    }

    /// How much room the call has in the deployments of its own model, without sending anything.
    ///
    /// # Errors
    ///
    /// As [`Engine::route`].
    pub fn space(&self, call: &Call) -> Result<Space, Error> {
        self.plan(call).map(|plan| plan.space())
    }

    fn plan(&self, call: &Call) -> Result<Plan, Error> {
        let snapshot = self.snapshot()?;
        route::plan(&snapshot, call, &call.facts(snapshot.wants())?, &self.rng)
    }

    /// What exists now.
    pub fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    /// What has happened so far; nothing where the stage `settle` is off.
    pub fn stats(&self) -> Stats {
        if self.settles.load(Ordering::Relaxed) { self.totals.read() } else { Totals::default().read() }
    }

    /// The same summed up: rates, means and percentiles, in all and by deployment.
    pub fn statistics(&self) -> Statistics {
        Statistics::of(self)
    }

    /// All metrics in Prometheus' text format 0.0.4.
    pub fn metrics_text(&self) -> String {
        metrics::text(self)
    }

    /// What is counted; other sources of families are added to it.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What every key has been doing, by provider and id; never the keys.
    pub fn keys(&self) -> Vec<KeyUsage> {
        self.live.key_usage(clock::now())
    }

    /// How every limit and budget stands.
    pub fn limits(&self) -> Vec<Standing> {
        self.live.store().standings()
    }

    /// The rules of the configuration that holds, each with how often it could not say whether it applies; those of
    /// tenants are counted under their names too.
    pub fn rule_faults(&self) -> BTreeMap<String, u64> {
        let snapshot = self.snapshot.load();
        let faults = snapshot.iter().flat_map(|snapshot| snapshot.rule_faults());
        faults.fold(BTreeMap::new(), |mut counts, (name, count)| {
            *counts.entry(name.to_owned()).or_default() += count;
            counts
        })
    }

    /// Sends nothing to the deployments called `name` until [`Engine::reset`], whether breakers are on or off, nor to
    /// others of the same address and model: those have their breaker in common. Calls that run finish.
    ///
    /// # Errors
    ///
    /// There is none of that name, or the engine was closed.
    pub fn isolate(&self, name: &str) -> Result<(), Error> {
        self.by_hand(name, Breaker::isolate)
    }

    /// The deployments called `name`, and what has its breaker in common with them, are as if they had never failed.
    ///
    /// # Errors
    ///
    /// As of [`Engine::isolate`].
    pub fn reset(&self, name: &str) -> Result<(), Error> {
        self.by_hand(name, Breaker::reset)
    }

    fn by_hand(
        &self,
        name: &str,
        change: impl Fn(&Breaker, &breaker::Policy, Instant) -> Option<Transition>,
    ) -> Result<(), Error> {
        let snapshot = self.snapshot()?;
        let policy = snapshot.breaker(false).unwrap_or_default();
        let all = [snapshot.deployments(), snapshot.reached_by([name])].concat();
        let mut named = all.iter().filter(|deployment| *deployment.name == *name).peekable();
        if named.peek().is_none() {
            let near = presets::nearest(name, all.iter().map(|deployment| &*deployment.name));
            let hint = presets::did_you_mean(near);
            return Err(Error::new(Kind::Config, format!("no deployment is called `{name}`{hint}")));
        }
        for deployment in named {
            self.changed(deployment, change(&deployment.live.breaker, &policy, clock::now()));
        }
        Ok(())
    }

    /// Refuses new calls and closes idle connections; calls that run finish on what they hold.
    pub fn close(&self) {
        self.snapshot.store(None);
        self.live.keepers.close();
    }

    /// Was it closed?
    pub fn is_closed(&self) -> bool {
        self.snapshot.load().is_none()
    }

    pub(crate) fn snapshot(&self) -> Result<Arc<Snapshot>, Error> {
        self.snapshot.load_full().ok_or_else(closed)
    }

    pub(crate) fn rng(&self) -> &Rng {
        &self.rng
    }

    pub(crate) fn totals(&self) -> &Arc<Totals> {
        &self.totals
    }

    /// The metrics, where anything is written into them.
    pub(crate) fn recorded(&self) -> Option<&Arc<Metrics>> {
        self.settles.load(Ordering::Relaxed).then_some(&self.metrics)
    }

    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// The breaker of `deployment` has changed its state.
    pub(crate) fn changed(&self, deployment: &route::Deployment, change: Option<Transition>) {
        let Some(change) = change else { return };
        self.metrics.changed(&change);
        if change.to == State::Closed {
            // Who waits for a second between probes need not.
            self.live.lines.wake();
        }
        if let Some(watcher) = self.watcher.load().as_ref() {
            watcher(&deployment.name, &change);
        }
    }

    pub(crate) fn tell(&self, receipt: &Arc<Receipt>) {
        if self.settles.load(Ordering::Relaxed)
            && let Some(listener) = self.listener.load().as_ref()
        {
            listener(receipt);
        }
    }
}

fn closed() -> Error {
    Error::new(Kind::ClientClosed, "the client was closed")
}
