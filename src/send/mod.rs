//! Moving bytes: one request out, one response in, with a limit on every phase and a bound on everything.
//!
//! [`Transport`] is the seam: HTTP/1.1 goes over hyper's connection API with a pool of our own ([`http1`]), because
//! what the engine must know about a connection (was it reused, did a byte arrive, does the peer take what we
//! write) no client library shows; HTTP/2 and proxies go over reqwest ([`odd`]). An [`attempt`] drives either.

pub mod alarm;
pub mod attempt;
mod connect;
pub mod errand;
mod frames;
mod http1;
mod inflate;
mod lane;
mod mask;
mod odd;
mod pool;
pub mod prepare;
mod reader;
pub mod sse;
pub mod stream;
mod tls;
mod trailers;
mod upload;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};

use crate::clock::Instant;
use crate::config::{Bounds, Pool, Veiled};
use crate::error::{Failure, Kind};
use crate::provider::endpoint::Target;
use crate::settle::Gauges;

/// A request, ready for the wire.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// All headers but `host` and `content-length`.
    pub headers: HeaderMap,
    /// The body; replayed byte for byte.
    pub body: Bytes,
    /// May it be repeated once on a fresh connection, where a reused one turns out to be dead?
    pub repeat: bool,
}

/// The limits of one attempt, counted from its start.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// When the attempt began.
    pub started: Instant,
    /// Waiting for a free connection.
    pub pool: Duration,
    /// Opening a connection.
    pub connect: Duration,
    /// The upstream does not read.
    pub write: Duration,
    /// The head, from its first byte.
    pub headers: Duration,
    /// The answer: the first content of a stream, all of a whole reply.
    pub answer: alarm::Due,
    /// Silence between two reads of a body.
    pub idle: Duration,
    /// Pings without content.
    pub content_idle: Duration,
    /// The end of the call.
    pub deadline: alarm::Due,
    /// After a stream's end.
    pub tail: Duration,
}

impl Limits {
    /// The limit of a phase that must end by `limit` from `now`, the answer's and the deadline.
    fn due(&self, now: Instant, limit: Duration, kind: Kind) -> alarm::Due {
        alarm::Due::after(now, limit, kind).or_sooner(Some(self.answer)).or_sooner(Some(self.deadline))
    }
}

/// A response whose head has arrived.
#[derive(Debug)]
pub struct Exchange {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Arc<HeaderMap>,
    /// The body, not yet read.
    pub body: Box<dyn Body>,
    /// Did the request go over a connection that had served or waited before?
    pub reused: bool,
    /// Was it repeated because that connection had died, or the upstream had not begun with it?
    pub repeated: bool,
    /// Waiting for the connection, new or free.
    pub connected_in: Duration,
}

/// A response body. Dropping it closes the connection, unless it was read to its end: then the connection goes
/// back to its pool.
pub trait Body: Send + fmt::Debug {
    /// The next bytes as they came; `None` at the proper end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>>;
}

/// How requests reach an upstream. One per host.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends `request` and waits for the head of its response.
    fn send<'a>(
        &'a self,
        request: &'a Outgoing,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Exchange, Broken>>;

    /// What whoever operates the client should know of it now.
    fn note(&self) -> Option<String> {
        None
    }

    /// Sees to it that the next request finds a connection that stands, without sending anything.
    fn warm<'a>(&'a self, _limits: &'a Limits) -> BoxFuture<'a, Result<Warmth, Broken>> {
        Box::pin(std::future::ready(Ok(Warmth::ByRequestsOnly)))
    }
}

/// What came of a connection that nobody has asked anything over yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warmth {
    /// It waits for the next request.
    Ready,
    /// This transport opens connections together with requests only.
    ByRequestsOnly,
}

/// A failure below HTTP.
#[derive(Clone, Debug)]
pub struct Broken {
    /// What failed.
    pub kind: Kind,
    /// One sentence.
    pub message: String,
    /// Did the peer close the connection in order, where a reset or bad framing would have broken it?
    pub closed: bool,
    /// Had the request been repeated once, because a reused connection had died?
    pub repeated: bool,
    /// The status that the failure stands for, where it was told after the head.
    pub status: Option<u16>,
}

impl Broken {
    /// A failure of `kind`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), closed: false, repeated: false, status: None }
    }

    /// The limit that ended.
    pub fn timeout(due: alarm::Due) -> Self {
        let limit = due.limit.as_secs_f64();
        let message = match due.kind {
            Kind::ConnectTimeout => format!("no connection within {limit:.3} s (timeouts.connect)"),
            Kind::PoolTimeout => format!("no free connection within {limit:.3} s (timeouts.pool)"),
            Kind::WriteTimeout => format!("the upstream read nothing for {limit:.3} s (timeouts.write)"),
            Kind::HeadersTimeout => {
                format!(
                    "the response head was not complete {limit:.3} s after its first byte (timeouts.headers)"
                )
            }
            Kind::FirstTokenTimeout => format!("no content within {limit:.3} s (timeouts.first_token)"),
            Kind::StreamIdleTimeout => format!("the response was silent for {limit:.3} s (timeouts.idle)"),
            Kind::AttemptTimeout => format!("no complete reply within {limit:.3} s (timeouts.attempt)"),
            _ => format!("the deadline of {limit:.3} s passed"),
        };
        Self::new(due.kind, message)
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self { status: broken.status, ..Self::new(broken.kind, broken.message) }
    }
}

/// What a host's transport is made from.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Where it listens.
    pub target: Target,
    /// HTTP/2 instead of HTTP/1.1.
    pub http2: bool,
    /// A proxy URL.
    pub proxy: Veiled<Option<String>>,
    /// A PEM file of trusted authorities.
    pub ca: Option<String>,
    /// Opening a connection, where a call says nothing else.
    pub connect: Duration,
    /// Connections.
    pub pool: Pool,
    /// Caps of the response head.
    pub bounds: Bounds,
}

/// What makes a host's transport.
pub type Connect = Box<dyn Fn(HostOptions, &Arc<Gauges>) -> Arc<dyn Transport> + Send + Sync>;

/// The transport for a host: HTTP/1.1 over a pool of our own, or reqwest where HTTP/2 or a proxy is asked for.
pub fn transport(options: HostOptions, gauges: &Arc<Gauges>) -> Arc<dyn Transport> {
    if options.http2 || options.proxy.is_some() {
        Arc::new(odd::Host::new(options, Arc::clone(gauges)))
    } else {
        http1::Host::new(options, Arc::clone(gauges))
    }
}
