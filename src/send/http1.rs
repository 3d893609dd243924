//! HTTP/1.1 over hyper's connection API and a [`Pool`] of our own.
//!
//! A connection is driven by the call that uses it, inside that call's own task: no task of its own, no hand-over
//! per request, and dropping the call closes the socket at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Request;
use http::header::{HOST, HeaderValue};
use http_body::{Body as _, Frame};
use http_body_util::Full;
use hyper::body::Incoming;

use super::alarm::{Alarm, Due};
use super::pool::{Connection, Pool};
use super::wire::Gauge;
use super::{Broken, Exchange, HostOptions, Limits, Outgoing, Transport, Warmth, trailers};
use crate::clock::{self, Instant};
use crate::error::Kind;
use crate::settle::Gauges;

/// Interim responses an answer may be preceded by.
const INFORMATIONAL: u32 = 32;

/// One host.
#[derive(Debug)]
pub(super) struct Host {
    authority: Option<HeaderValue>,
    pool: Arc<Pool>,
}

impl Host {
    pub(super) fn new(options: HostOptions, gauges: Arc<Gauges>) -> Arc<Self> {
        let authority = HeaderValue::from_str(&options.target.authority()).ok();
        Arc::new(Self { authority, pool: Pool::new(options, gauges) })
    }

    async fn exchange(&self, request: &Outgoing, limits: &Limits) -> Result<Exchange, Broken> {
        let first = self.pool.connection(limits).await?;
        let connected_in = clock::now().saturating_duration_since(limits.started);
        let reused = first.kept > 0;
        let outcome = match self.send_over(first, request, limits).await {
            // The server had closed the connection while it was idle; the request never reached it.
            Err(lost)
                if request.repeat
                    && reused
                    && !lost.answered
                    && lost.broken.kind == Kind::ConnectionReset =>
            {
                let fresh = self.pool.fresh(limits).await?;
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
            body: Box::new(Incomplete {
                connection: Some(connection),
                pool: Arc::downgrade(&self.pool),
                body,
            }),
            reused: reused && !repeated,
            repeated,
            connected_in,
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
            let mut response = Box::pin(response);
            let head = poll_fn(|cx| {
                connection.drive(cx);
                let gauge = &connection.gauge;
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
}

impl Transport for Host {
    fn send<'a>(
        &'a self,
        request: &'a Outgoing,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Exchange, Broken>> {
        Box::pin(self.exchange(request, limits))
    }

    fn warm<'a>(&'a self, limits: &'a Limits) -> BoxFuture<'a, Result<Warmth, Broken>> {
        Box::pin(async { self.pool.warm(limits).await.map(|()| Warmth::Ready) })
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
    pool: Weak<Pool>,
    body: Incoming,
}

impl super::Body for Incomplete {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            // Asking first tells hyper that the bytes are wanted; driving then fetches them.
            let mut frame = Pin::new(&mut self.body).poll_frame(cx);
            if frame.is_pending() {
                if let Some(connection) = &mut self.connection {
                    connection.drive(cx);
                }
                frame = Pin::new(&mut self.body).poll_frame(cx);
            }
            match frame {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(part) = part(frame) {
                        return Poll::Ready(Some(part));
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
        connection.drive(cx);
        if let Some(pool) = self.pool.upgrade()
            && connection.is_ready()
        {
            pool.keep(connection);
        }
    }
}

/// What a frame of a body brings: bytes, or the failure that its trailers tell.
pub(super) fn part(frame: Frame<Bytes>) -> Option<Result<Bytes, Broken>> {
    match frame.into_data() {
        Ok(data) => Some(Ok(data)),
        Err(other) => trailers::failure(other.trailers_ref()?).map(Err),
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
