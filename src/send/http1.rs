//! HTTP/1.1 over hyper's connection API, with a pool that keeps the most recently used connections.
//!
//! A connection is driven by the call that uses it, inside that call's own task: no task of its own, no hand-over
//! per request, and dropping the call closes the socket at once. While idle nobody drives it; whether it died
//! meanwhile is seen when it is taken out again.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Request;
use http::header::{HOST, HeaderValue};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::alarm::{Alarm, Due};
use super::wire::{Gauge, Wire};
use super::{Broken, Exchange, HostOptions, Limits, Outgoing, Transport, connect, tls};
use crate::clock::{self, Instant, Rng};
use crate::error::Kind;
use crate::settle::{Gauges, Open};

/// Interim responses an answer may be preceded by.
const INFORMATIONAL: u32 = 32;

/// One host and the connections to it.
#[derive(Debug)]
pub(super) struct Host {
    options: HostOptions,
    authority: Option<HeaderValue>,
    trust: tls::Trust,
    slots: Arc<Semaphore>,
    idle: Mutex<VecDeque<Idle>>,
    gauges: Arc<Gauges>,
    rng: Rng,
    this: Weak<Self>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
    _counted: Open,
}

impl Host {
    pub(super) fn new(options: HostOptions, gauges: Arc<Gauges>) -> Arc<Self> {
        let open = options.pool.max_connections.unwrap_or_else(descriptors).clamp(1, Semaphore::MAX_PERMITS);
        Arc::new_cyclic(|this| Self {
            authority: HeaderValue::from_str(&options.target.authority()).ok(),
            trust: tls::Trust::new(options.ca.clone()),
            slots: Arc::new(Semaphore::new(open)),
            idle: Mutex::default(),
            rng: Rng::from_machine(),
            options,
            gauges,
            this: this.clone(),
        })
    }

    async fn exchange(&self, request: &Outgoing, limits: &Limits) -> Result<Exchange, Broken> {
        let first = self.connection(limits).await?;
        let connected_in = clock::now().saturating_duration_since(limits.started);
        let reused = first.served > 0;
        let outcome = match self.send_over(first, request, limits).await {
            // The server had closed the connection while it was idle; the request never reached it.
            Err(lost)
                if request.repeat
                    && reused
                    && !lost.answered
                    && lost.broken.kind == Kind::ConnectionReset =>
            {
                let slot = self.slot(limits).await?;
                let fresh = self.opened(slot, limits).await?;
                let again = self.send_over(fresh, request, limits).await;
                again.map(|sent| (sent, true)).map_err(Lost::after_repeat)
            }
            other => other.map(|sent| (sent, false)),
        };
        let ((response, connection), repeated) = outcome.map_err(|lost| lost.broken)?;
        let (head, body) = response.into_parts();
        Ok(Exchange {
            status: head.status.as_u16(),
            headers: Arc::new(head.headers),
            body: Box::new(Incomplete { connection: Some(connection), host: self.this.clone(), body }),
            reused: reused && !repeated,
            repeated,
            connected_in,
        })
    }

    /// An idle connection that still lives, else a new one. Calls take turns where all slots are in use.
    async fn connection(&self, limits: &Limits) -> Result<Connection, Broken> {
        let slot = self.slot(limits).await?;
        while let Some(mut connection) = self.take_idle() {
            if connection.is_usable().await {
                connection.slot = Some(slot);
                return Ok(connection);
            }
        }
        self.opened(slot, limits).await
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

    fn take_idle(&self) -> Option<Connection> {
        let now = clock::now();
        let mut idle = self.idle.lock();
        self.drop_expired(&mut idle, now);
        idle.pop_back().map(|idle| idle.connection)
    }

    fn drop_expired(&self, idle: &mut VecDeque<Idle>, now: Instant) {
        let expiry = self.options.pool.keepalive_expiry;
        while idle.front().is_some_and(|oldest| now.saturating_duration_since(oldest.since) >= expiry) {
            idle.pop_front();
        }
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
            retires: super::alarm::later(clock::now(), lifetime),
            served: 0,
            slot: Some(slot),
            _open: self.gauges.connections_open.enter(),
        })
    }

    async fn send_over(
        &self,
        mut connection: Connection,
        request: &Outgoing,
        limits: &Limits,
    ) -> Result<(http::Response<Incoming>, Connection), Lost> {
        let read_before = connection.gauge.read();
        let request =
            self.request(request, &connection.gauge).map_err(|broken| Lost { broken, answered: false })?;
        let response = connection.sender.send_request(request);
        let mut watch = Watch::new(limits, &connection.gauge, read_before);
        let first_due = watch.due();
        let outcome = {
            let (driver, gauge) = (&mut connection.driver, &connection.gauge);
            let mut response = Box::pin(response);
            let head = poll_fn(|cx| {
                poll_driver(driver, cx);
                if gauge.informational() > INFORMATIONAL {
                    let message = format!("more than {INFORMATIONAL} interim responses");
                    return Poll::Ready(Err(Broken::new(Kind::Protocol, message)));
                }
                response.as_mut().poll(cx).map_err(|cause| explain(&cause, gauge.read() > read_before))
            });
            Alarm::new(first_due).guard(head, || watch.due()).await
        };
        let answered = connection.gauge.read() > read_before;
        match outcome.unwrap_or_else(|due| Err(Broken::timeout(due))) {
            Ok(response) => Ok((response, connection)),
            Err(broken) => Err(Lost { broken, answered }),
        }
    }

    fn request(&self, outgoing: &Outgoing, gauge: &Arc<Gauge>) -> Result<Request<Full<Bytes>>, Broken> {
        let mut request = Request::new(Full::new(outgoing.body.clone()));
        *request.method_mut() = outgoing.method.clone();
        *request.uri_mut() = outgoing.path.parse().map_err(|cause| {
            Broken::new(Kind::Config, format!("`{}` is not a path: {cause}", outgoing.path))
        })?;
        *request.headers_mut() = outgoing.headers.clone();
        if let Some(authority) = &self.authority {
            request.headers_mut().entry(HOST).or_insert_with(|| authority.clone());
        }
        let gauge = Arc::clone(gauge);
        hyper::ext::on_informational(&mut request, move |_| gauge.count_informational());
        Ok(request)
    }

    /// Takes a connection back whose response was read to the end.
    fn keep(&self, mut connection: Connection) {
        let now = clock::now();
        connection.served += 1;
        let most = self.options.pool.max_keepalive_connections.unwrap_or(usize::MAX);
        let mut idle = self.idle.lock();
        self.drop_expired(&mut idle, now);
        if now >= connection.retires || idle.len() >= most {
            return;
        }
        let was_empty = idle.is_empty();
        let slot = connection.slot.take();
        idle.push_back(Idle { connection, since: now, _counted: self.gauges.connections_idle.enter() });
        drop(idle);
        // Only now: whoever waits for the slot must find the connection.
        drop(slot);
        if was_empty {
            self.spawn_reaper();
        }
    }

    /// Closes connections when they expire, also if no call comes to notice; ends when none is left.
    fn spawn_reaper(&self) {
        let (host, expiry) = (self.this.clone(), self.options.pool.keepalive_expiry);
        tokio::spawn(async move {
            loop {
                clock::sleep_until(clock::now() + expiry.max(Duration::from_millis(10))).await;
                let Some(host) = host.upgrade() else { return };
                let mut idle = host.idle.lock();
                host.drop_expired(&mut idle, clock::now());
                if idle.is_empty() {
                    return;
                }
            }
        });
    }
}

impl Transport for Host {
    fn send<'a>(
        &'a self,
        request: &'a Outgoing,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Exchange, Broken>> {
        Box::pin(self.exchange(request, limits))
    }
}

/// A request that got no response.
struct Lost {
    broken: Broken,
    answered: bool,
}

impl Lost {
    fn after_repeat(mut self) -> Self {
        self.broken.repeated = true;
        self
    }
}

type Driver = Pin<Box<http1::Connection<TokioIo<Wire>, Full<Bytes>>>>;

/// A connection and what belongs to it.
#[derive(Debug)]
struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Option<Driver>,
    gauge: Arc<Gauge>,
    retires: Instant,
    served: u32,
    /// Held while in use.
    slot: Option<OwnedSemaphorePermit>,
    _open: Open,
}

impl Connection {
    /// Is it alive, as far as can be known without sending?
    async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| {
            poll_driver(&mut self.driver, cx);
            Poll::Ready(self.driver.is_some() && self.sender.is_ready() && clock::now() < self.retires)
        })
        .await
    }
}

fn poll_driver(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    if driver.as_mut().is_some_and(|driving| driving.as_mut().poll(cx).is_ready()) {
        // What went wrong reaches the response or its body; the connection itself is over.
        *driver = None;
    }
}

/// Which limit is in force while the head is awaited.
struct Watch<'a> {
    limits: &'a Limits,
    gauge: Arc<Gauge>,
    read_before: u64,
    first_byte: Option<Instant>,
    /// Since when, and at how many bytes, nothing more could be written.
    blocked: Option<(Instant, u64)>,
}

impl<'a> Watch<'a> {
    fn new(limits: &'a Limits, gauge: &Arc<Gauge>, read_before: u64) -> Self {
        Self { limits, gauge: Arc::clone(gauge), read_before, first_byte: None, blocked: None }
    }

    fn due(&mut self) -> Due {
        let limits = self.limits;
        if self.gauge.read() > self.read_before {
            let first = *self.first_byte.get_or_insert_with(clock::now);
            return limits.due(first, limits.headers, Kind::HeadersTimeout);
        }
        if self.gauge.write_blocked() {
            let written = self.gauge.written();
            let (since, _) = *match &mut self.blocked {
                Some(blocked) if blocked.1 == written => blocked,
                blocked => blocked.insert((clock::now(), written)),
            };
            return limits.due(since, limits.write, Kind::WriteTimeout);
        }
        self.blocked = None;
        limits.answer.or_sooner(Some(limits.deadline))
    }
}

/// A response body and the connection it comes over.
#[derive(Debug)]
struct Incomplete {
    connection: Option<Connection>,
    host: Weak<Host>,
    body: Incoming,
}

impl super::Body for Incomplete {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            // Asking first tells hyper that the bytes are wanted; driving then fetches them.
            let mut frame = Pin::new(&mut self.body).poll_frame(cx);
            if frame.is_pending() {
                if let Some(connection) = &mut self.connection {
                    poll_driver(&mut connection.driver, cx);
                }
                frame = Pin::new(&mut self.body).poll_frame(cx);
            }
            match frame {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(cause))) => {
                    self.connection = None;
                    return Poll::Ready(Some(Err(explain_body(&cause))));
                }
                Poll::Ready(None) => {
                    self.give_back(cx);
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Incomplete {
    fn give_back(&mut self, cx: &mut Context<'_>) {
        let Some(mut connection) = self.connection.take() else { return };
        poll_driver(&mut connection.driver, cx);
        if let Some(host) = self.host.upgrade()
            && connection.driver.is_some()
            && connection.sender.is_ready()
        {
            host.keep(connection);
        }
    }
}

/// What hyper's error means before the head was complete.
pub(super) fn explain(cause: &hyper::Error, answered: bool) -> Broken {
    let text = Chain(cause).to_string();
    // hyper keeps the predicate for this one to its server half.
    if cause.is_parse() && text.contains("too large") {
        return Broken::new(Kind::TooLarge, format!("the response head is over its bound: {text}"));
    }
    if cause.is_parse() {
        return Broken::new(Kind::Protocol, format!("the upstream broke HTTP: {text}"));
    }
    let when = if answered { "inside the response head" } else { "before a byte of the response" };
    Broken::new(Kind::ConnectionReset, format!("the connection broke {when}: {text}"))
}

/// What hyper's error means inside the body.
pub(super) fn explain_body(cause: &hyper::Error) -> Broken {
    let text = Chain(cause).to_string();
    let inner = std::error::Error::source(cause).and_then(|source| source.downcast_ref::<std::io::Error>());
    let framing = inner.is_some_and(|io| {
        matches!(io.kind(), std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData)
    });
    if framing || cause.is_parse() {
        return Broken::new(Kind::Protocol, format!("the upstream broke HTTP inside the body: {text}"));
    }
    let closed = inner.is_some_and(|io| io.kind() == std::io::ErrorKind::UnexpectedEof);
    Broken { closed, ..Broken::new(Kind::Truncated, format!("the body ended early: {text}")) }
}

/// An error with its causes.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
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
