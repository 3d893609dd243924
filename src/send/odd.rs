//! HTTP/2 and proxies, over reqwest: the hosts that need more than one plain connection per request.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};
use parking_lot::Mutex;

use super::alarm::Alarm;
use super::{Broken, Exchange, HostOptions, Limits, Outgoing, Transport, http1, tls};
use crate::clock;
use crate::error::Kind;
use crate::provider::endpoint::Scheme;
use crate::settle::{Count, Gauges, Open};

/// Above h2's guard against small frames, which closes a whole connection when more than half of the window is
/// taken by frames nobody has read yet.
const CONNECTION_WINDOW: u32 = 64 << 20;
/// What one stream may have in flight.
const STREAM_WINDOW: u32 = 4 << 20;
/// Pings on an HTTP/2 connection, and how long their answer may take.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// Streams of one HTTP/2 connection; more open another.
const STREAMS: u64 = 64;

/// One host over reqwest.
#[derive(Debug)]
pub(super) struct Host {
    options: HostOptions,
    gauges: Arc<Gauges>,
    lanes: Mutex<Vec<Lane>>,
}

/// A client of its own, and so a connection of its own where that carries many streams.
#[derive(Clone, Debug)]
struct Lane {
    client: reqwest::Client,
    in_flight: Count,
}

impl Host {
    pub(super) fn new(options: HostOptions, gauges: Arc<Gauges>) -> Self {
        Self { options, gauges, lanes: Mutex::default() }
    }

    /// The first lane with room, else a new one.
    fn lane(&self) -> Result<(reqwest::Client, Open), Broken> {
        let mut lanes = self.lanes.lock();
        let room = |lane: &&Lane| !self.options.http2 || lane.in_flight.get() < STREAMS;
        if let Some(lane) = lanes.iter().find(room) {
            return Ok((lane.client.clone(), lane.in_flight.enter()));
        }
        let client = self.build().map_err(|message| Broken::new(Kind::Config, message))?;
        let lane = Lane { client: client.clone(), in_flight: Count::default() };
        let open = lane.in_flight.enter();
        lanes.push(lane);
        Ok((client, open))
    }

    fn build(&self) -> Result<reqwest::Client, String> {
        let pool = &self.options.pool;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured((*tls::client_config(self.options.ca.as_deref())?).clone())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .tcp_nodelay(true)
            .connect_timeout(self.options.connect)
            .pool_idle_timeout(pool.keepalive_expiry)
            .pool_max_idle_per_host(pool.max_keepalive_connections.unwrap_or(usize::MAX));
        builder = if self.options.http2 {
            builder
                .http2_initial_connection_window_size(CONNECTION_WINDOW)
                .http2_initial_stream_window_size(STREAM_WINDOW)
                .http2_keep_alive_interval(PING.0)
                .http2_keep_alive_timeout(PING.1)
        } else {
            builder.http1_only()
        };
        if self.options.http2 && self.options.target.scheme == Scheme::Http {
            builder = builder.http2_prior_knowledge();
        }
        if let Some(proxy) = &*self.options.proxy {
            let proxy = reqwest::Proxy::all(proxy.as_str()).map_err(|cause| format!("`proxy`: {cause}"))?;
            builder = builder.proxy(proxy);
        }
        builder.build().map_err(|cause| cause.to_string())
    }

    async fn exchange(&self, outgoing: &Outgoing, limits: &Limits) -> Result<Exchange, Broken> {
        let (client, open) = self.lane()?;
        let url = format!("{}{}", self.options.target.origin(), outgoing.path);
        let request = client
            .request(outgoing.method.clone(), url)
            .headers(outgoing.headers.clone())
            .body(outgoing.body.clone());
        let due = limits.answer.or_sooner(Some(limits.deadline));
        let sent = Alarm::new(due).guard(request.send(), || due).await.map_err(Broken::timeout)?;
        let response = sent.map_err(|cause| explain(&cause, &self.options))?;
        Ok(Exchange {
            status: response.status().as_u16(),
            headers: Arc::new(response.headers().clone()),
            body: Box::new(Incomplete {
                chunks: response.bytes_stream().boxed(),
                _lane: open,
                _open: self.gauges.connections_open.enter(),
            }),
            reused: false,
            repeated: false,
            connected_in: clock::now().saturating_duration_since(limits.started),
        })
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

struct Incomplete {
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
    _lane: Open,
    _open: Open,
}

impl std::fmt::Debug for Incomplete {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Incomplete")
    }
}

impl super::Body for Incomplete {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        self.chunks
            .as_mut()
            .poll_next(cx)
            .map(|chunk| chunk.map(|chunk| chunk.map_err(|cause| explain_body(&cause))))
    }
}

fn explain(cause: &reqwest::Error, options: &HostOptions) -> Broken {
    if let Some(broken) = find::<hyper::Error>(cause).filter(|inner| inner.is_parse()) {
        return http1::explain(broken, true);
    }
    if let Some(refused) = find::<rustls::Error>(cause) {
        return tls::refused(refused, &options.target.host, options.ca.as_deref());
    }
    let text = chain(cause);
    let kind = if cause.is_builder() {
        Kind::Config
    } else if cause.is_connect() && cause.is_timeout() {
        Kind::ConnectTimeout
    } else if text.contains("dns error") {
        Kind::Dns
    } else if cause.is_connect() {
        Kind::Connect
    } else {
        Kind::ConnectionReset
    };
    Broken::new(kind, format!("the request failed: {text}"))
}

fn explain_body(cause: &reqwest::Error) -> Broken {
    match find::<hyper::Error>(cause) {
        Some(inner) => http1::explain_body(inner),
        None => Broken::new(Kind::Truncated, format!("the body ended early: {}", chain(cause))),
    }
}

/// The first `E` among the causes; an I/O error hides its own from `source`.
fn find<E: Error + 'static>(cause: &reqwest::Error) -> Option<&E> {
    let mut next: Option<&(dyn Error + 'static)> = Some(cause);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The causes of an error without its URL, which may carry a key in its query.
fn chain(cause: &dyn Error) -> String {
    let mut texts = Vec::new();
    let mut source = cause.source();
    while let Some(inner) = source {
        texts.push(inner.to_string());
        source = inner.source();
    }
    if texts.is_empty() { "no cause given".to_owned() } else { texts.join(": ") }
}
