//! The connections of one host: taken most recently used first, kept while they are worth keeping.
//!
//! A connection is driven by the call that uses it. While idle nobody drives it; whether it died meanwhile is seen
//! when it is taken out again.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::alarm::{Alarm, later};
use super::wire::{Gauge, Wire};
use super::{Broken, HostOptions, Limits, connect, tls};
use crate::clock::{self, Instant, Rng};
use crate::error::Kind;
use crate::settle::{Gauges, Open};

/// The connections of one host.
#[derive(Debug)]
pub(super) struct Pool {
    options: HostOptions,
    trust: tls::Trust,
    slots: Arc<Semaphore>,
    parked: Mutex<Parked>,
    gauges: Arc<Gauges>,
    rng: Rng,
    this: Weak<Self>,
}

/// What waits for work, the least recently used first.
#[derive(Debug, Default)]
struct Parked {
    idle: VecDeque<Idle>,
    /// Is a reaper running?
    reaped: bool,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
    _counted: Open,
}

impl Parked {
    fn drop_expired(&mut self, now: Instant, expiry: Duration) {
        while self.idle.front().is_some_and(|oldest| now.saturating_duration_since(oldest.since) >= expiry) {
            self.idle.pop_front();
        }
    }
}

impl Pool {
    pub(super) fn new(options: HostOptions, gauges: Arc<Gauges>) -> Arc<Self> {
        let open = options.pool.max_connections.unwrap_or_else(descriptors).clamp(1, Semaphore::MAX_PERMITS);
        Arc::new_cyclic(|this| Self {
            trust: tls::Trust::new(options.ca.clone()),
            slots: Arc::new(Semaphore::new(open)),
            parked: Mutex::default(),
            rng: Rng::from_machine(),
            options,
            gauges,
            this: this.clone(),
        })
    }

    /// An idle connection that still lives, else a new one. Calls take turns where all slots are in use.
    pub(super) async fn connection(&self, limits: &Limits) -> Result<Connection, Broken> {
        let slot = self.slot(limits).await?;
        while let Some((mut connection, _)) = self.take_idle() {
            if connection.is_usable().await {
                connection.slot = Some(slot);
                return Ok(connection);
            }
        }
        self.opened(slot, limits).await
    }

    /// A connection that nobody has used.
    pub(super) async fn fresh(&self, limits: &Limits) -> Result<Connection, Broken> {
        let slot = self.slot(limits).await?;
        self.opened(slot, limits).await
    }

    /// Sees to it that a connection waits. One that does and lives is left as it is; a new one is opened else.
    pub(super) async fn warm(&self, limits: &Limits) -> Result<(), Broken> {
        if self.options.pool.max_keepalive_connections == Some(0) {
            let message = "no connection is kept idle (pool.max_keepalive_connections = 0)";
            return Err(Broken::new(Kind::Config, message));
        }
        let slot = self.slot(limits).await?;
        while let Some((mut connection, since)) = self.take_idle() {
            if connection.is_usable().await {
                connection.slot = Some(slot);
                self.park(connection, since);
                return Ok(());
            }
        }
        let connection = self.opened(slot, limits).await?;
        self.keep(connection);
        Ok(())
    }

    /// The right to use one connection. Idle ones hold none: what is in use and what is idle never exceed the
    /// slots together, because a new one is only opened when nothing is idle.
    async fn slot(&self, limits: &Limits) -> Result<OwnedSemaphorePermit, Broken> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(slot);
        }
        let waiting = limits.due(clock::now(), limits.pool, Kind::PoolTimeout);
        let acquired = Alarm::new(waiting).guard(Arc::clone(&self.slots).acquire_owned(), || waiting).await;
        let slot = acquired.map_err(Broken::timeout)?;
        slot.map_err(|_| Broken::new(Kind::ClientClosed, "the client was closed"))
    }

    /// The connection that has waited least, and since when.
    fn take_idle(&self) -> Option<(Connection, Instant)> {
        let mut parked = self.parked.lock();
        parked.drop_expired(clock::now(), self.options.pool.keepalive_expiry);
        parked.idle.pop_back().map(|idle| (idle.connection, idle.since))
    }

    async fn opened(&self, slot: OwnedSemaphorePermit, limits: &Limits) -> Result<Connection, Broken> {
        let opening = limits.due(clock::now(), limits.connect, Kind::ConnectTimeout);
        let opened = Alarm::new(opening).guard(self.open(slot), || opening).await;
        opened.map_err(Broken::timeout)?
    }

    async fn open(&self, slot: OwnedSemaphorePermit) -> Result<Connection, Broken> {
        let wire = connect::connect(&self.options.target, &self.trust).await?;
        let gauge = wire.gauge();
        let bounds = &self.options.bounds;
        let (sender, driver) = http1::Builder::new()
            .max_headers(bounds.headers)
            .max_buf_size(bounds.head.max(8192))
            .handshake(TokioIo::new(wire))
            .await
            .map_err(|cause| Broken::new(Kind::Connect, cause.to_string()))?;
        // A tenth either way, so that connections opened together are not retired together.
        let lifetime = self.options.pool.max_age.mul_f64(0.9 + 0.2 * self.rng.unit());
        Ok(Connection {
            sender,
            driver: Some(Box::pin(driver)),
            gauge,
            retires: later(clock::now(), lifetime),
            kept: 0,
            slot: Some(slot),
            _open: self.gauges.connections_open.enter(),
        })
    }

    /// Takes a connection back whose response was read to the end, or that was opened ahead.
    pub(super) fn keep(&self, mut connection: Connection) {
        connection.kept += 1;
        self.park(connection, clock::now());
    }

    fn park(&self, mut connection: Connection, since: Instant) {
        let now = clock::now();
        let pool = &self.options.pool;
        let mut parked = self.parked.lock();
        parked.drop_expired(now, pool.keepalive_expiry);
        let most = pool.max_keepalive_connections.unwrap_or(usize::MAX);
        if now >= connection.retires || parked.idle.len() >= most {
            return;
        }
        let slot = connection.slot.take();
        let counted = self.gauges.connections_idle.enter();
        parked.idle.push_back(Idle { connection, since, _counted: counted });
        let is_reaped = std::mem::replace(&mut parked.reaped, true);
        drop(parked);
        // Only now: whoever waits for the slot must find the connection.
        drop(slot);
        if !is_reaped {
            self.spawn_reaper();
        }
    }

    /// Closes connections when they expire, also if no call comes to notice; ends when none is left.
    fn spawn_reaper(&self) {
        let (pool, expiry) = (self.this.clone(), self.options.pool.keepalive_expiry);
        tokio::spawn(async move {
            loop {
                clock::sleep_until(clock::now() + expiry.max(Duration::from_millis(10))).await;
                let Some(pool) = pool.upgrade() else { return };
                let mut parked = pool.parked.lock();
                parked.drop_expired(clock::now(), expiry);
                if parked.idle.is_empty() {
                    parked.reaped = false;
                    return;
                }
            }
        });
    }
}

type Driver = Pin<Box<http1::Connection<TokioIo<Wire>, Full<Bytes>>>>;

/// A connection and what belongs to it.
#[derive(Debug)]
pub(super) struct Connection {
    /// Where requests go in.
    pub(super) sender: http1::SendRequest<Full<Bytes>>,
    /// What is seen under HTTP.
    pub(super) gauge: Arc<Gauge>,
    /// How often it was put by; what has waited may have died meanwhile.
    pub(super) kept: u32,
    driver: Option<Driver>,
    retires: Instant,
    /// Held while in use.
    slot: Option<OwnedSemaphorePermit>,
    _open: Open,
}

impl Connection {
    /// Moves bytes as far as they go. What goes wrong reaches the response or its body.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if self.driver.as_mut().is_some_and(|driver| driver.as_mut().poll(cx).is_ready()) {
            self.driver = None;
        }
    }

    /// Could it take a request?
    pub(super) fn is_ready(&self) -> bool {
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Is it alive, as far as can be known without sending?
    async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(self.is_ready() && clock::now() < self.retires)
        })
        .await
    }
}

/// How many sockets the process may open, with room left for the application's own.
fn descriptors() -> usize {
    const FALLBACK: usize = 1024;
    let limit = std::fs::read_to_string("/proc/self/limits").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("Max open files"))?;
        line.split_whitespace().nth(3)?.parse::<usize>().ok()
    });
    let limit = limit.unwrap_or(FALLBACK);
    limit.saturating_sub(128).max(limit / 2)
}
