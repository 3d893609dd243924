//! HTTP/2 and proxies, over reqwest: the hosts that need more than one plain connection per request.

use std::error::Error;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::StatusCode;
use http_body::Body as _;
use parking_lot::Mutex;

use super::alarm::{Alarm, Due};
use super::frames::{self, Lost};
use super::lane::{Lanes, Place};
use super::upload::{Progress, Stage, Upload};
use super::{Broken, Exchange, HostOptions, Limits, Outgoing, Transport, connect, http1, tls};
use crate::clock::{self, Instant};
use crate::error::Kind;
use crate::provider::endpoint::Scheme;
use crate::settle::{Gauges, Open};

/// Above h2's guard against small frames, which closes a whole connection when more than half of the window is
/// taken by frames nobody has read yet.
const CONNECTION_WINDOW: u32 = 64 << 20;
/// What one stream may have in flight.
const STREAM_WINDOW: u32 = 4 << 20;
/// Pings on an HTTP/2 connection, and how long their answer may take.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// What a header field counts beside its name and value (RFC 9113, section 6.5.2).
const FIELD: usize = 32;

/// One host over reqwest.
#[derive(Debug)]
pub(super) struct Host {
    options: HostOptions,
    gauges: Arc<Gauges>,
    lanes: Lanes,
    calm: Arc<Calm>,
}

/// A host that was flooded over HTTP/2, or floods, is spoken to over HTTP/1.1 for a while.
#[derive(Debug, Default)]
struct Calm {
    until: Mutex<Option<Instant>>,
    instead: OnceLock<Arc<dyn Transport>>,
}

impl Calm {
    fn begin(&self) {
        *self.until.lock() = Some(clock::now() + frames::CALM);
    }

    fn holds(&self) -> bool {
        self.until.lock().is_some_and(|until| clock::now() < until)
    }
}

impl Host {
    pub(super) fn new(options: HostOptions, gauges: Arc<Gauges>) -> Self {
        Self { options, gauges, lanes: Lanes::default(), calm: Arc::default() }
    }

    /// The same host over HTTP/1.1.
    fn instead(&self) -> &Arc<dyn Transport> {
        let options = || HostOptions { http2: false, ..self.options.clone() };
        self.calm.instead.get_or_init(|| super::transport(options(), &self.gauges))
    }

    fn place(&self) -> Result<Place, Broken> {
        self.lanes.place(self.options.http2, || self.build())
    }

    fn build(&self) -> Result<reqwest::Client, Broken> {
        let wrong = |message| Broken::new(Kind::Config, message);
        let tls = tls::client_config(self.options.ca.as_deref()).map_err(|broken| match broken.kind {
            Kind::Tls => wrong(broken.message),
            _ => broken,
        })?;
        let pool = &self.options.pool;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured((*tls).clone())
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
                // What is over our own bound is told apart from what h2 refuses.
                .http2_max_header_list_size(u32::try_from(self.options.bounds.head * 8).unwrap_or(u32::MAX))
        } else {
            builder.http1_only()
        };
        if self.options.http2 && self.options.target.scheme == Scheme::Http {
            builder = builder.http2_prior_knowledge();
        }
        if let Some(proxy) = &*self.options.proxy {
            let proxy = reqwest::Proxy::all(proxy.as_str());
            let proxy = proxy.map_err(|cause| wrong(format!("`proxy`: {cause}")))?;
            builder = builder.proxy(proxy);
        }
        builder.build().map_err(|cause| {
            find::<io::Error>(&cause).and_then(connect::local).unwrap_or_else(|| wrong(cause.to_string()))
        })
    }

    /// Sends the request, and once more where the upstream had not begun with it; where there is no place for it on
    /// a connection, over another one.
    async fn exchange(&self, outgoing: &Outgoing, limits: &Limits) -> Result<Exchange, Broken> {
        let (mut repeated, mut moved) = (false, false);
        loop {
            let place = self.place()?;
            match self.send_over(&place, outgoing, limits, moved).await {
                Ok(response) => return self.exchanged(response, place, limits, repeated),
                Err(Lost::Queued) => {
                    moved = true;
                    self.lanes.is_full(place);
                }
                Err(Lost::Silent(due)) => {
                    if self.options.http2 {
                        self.lanes.leave(&place);
                    }
                    return Err(Broken { repeated, ..Broken::timeout(due) });
                }
                Err(Lost::Unprocessed(_)) if outgoing.repeat && !repeated => repeated = true,
                Err(Lost::Calm(broken)) => {
                    self.calm.begin();
                    return Err(Broken { repeated, ..broken });
                }
                Err(Lost::Unprocessed(broken) | Lost::Broken(broken)) => {
                    return Err(Broken { repeated, ..broken });
                }
            }
        }
    }

    async fn send_over(
        &self,
        place: &Place,
        outgoing: &Outgoing,
        limits: &Limits,
        moved: bool,
    ) -> Result<reqwest::Response, Lost> {
        let url = format!("{}{}", self.options.target.origin(), outgoing.path);
        let upload = Upload::new(outgoing.body.clone());
        let watch = Watch { limits, progress: upload.progress() };
        let request = place.client().request(outgoing.method.clone(), url);
        let request = request.headers(outgoing.headers.clone()).body(reqwest::Body::wrap(upload));
        let mut sent = pin!(request.send());
        if self.options.http2 && !moved {
            let opening = limits.due(clock::now(), limits.connect, Kind::ConnectTimeout);
            match Alarm::new(opening).guard(sent.as_mut(), || opening).await {
                Ok(sent) => return sent.map_err(|cause| explain(&cause, &self.options)),
                Err(due) if due.kind == Kind::ConnectTimeout => {
                    if watch.is_queued(place) {
                        return Err(Lost::Queued);
                    }
                }
                Err(due) => return Err(Lost::Silent(due)),
            }
        }
        let sent = Alarm::new(watch.due()).guard(sent, || watch.due()).await;
        let sent = sent.map_err(Lost::Silent)?;
        sent.map_err(|cause| explain(&cause, &self.options))
    }

    fn exchanged(
        &self,
        response: reqwest::Response,
        place: Place,
        limits: &Limits,
        repeated: bool,
    ) -> Result<Exchange, Broken> {
        place.connected();
        let (head, body) = http::Response::from(response).into_parts();
        if self.options.proxy.is_some() && head.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Err(Broken::new(Kind::Proxy, "the proxy wants credentials: 407"));
        }
        within_bounds(&head.headers, &self.options)?;
        Ok(Exchange {
            status: head.status.as_u16(),
            headers: Arc::new(head.headers),
            body: Box::new(Incomplete {
                body,
                calm: Arc::clone(&self.calm),
                _place: place,
                _open: self.gauges.connections_open.enter(),
            }),
            reused: false,
            repeated,
            connected_in: clock::now().saturating_duration_since(limits.started),
        })
    }
}

/// Which limit is in force while the head is awaited.
struct Watch<'a> {
    limits: &'a Limits,
    progress: Progress,
}

impl Watch<'_> {
    fn due(&self) -> Due {
        let write = |since| self.limits.due(since, self.limits.write, Kind::WriteTimeout);
        match self.progress.stage() {
            Stage::Gone => self.limits.answer.or_sooner(Some(self.limits.deadline)),
            Stage::Moving { since, .. } => write(since),
            // Opening a connection has a limit of its own; what comes after it is looked at again.
            Stage::Waiting => write(clock::now()),
        }
    }

    /// Is there a connection, and no place on it?
    fn is_queued(&self, place: &Place) -> bool {
        match self.progress.stage() {
            Stage::Moving { begun: false, .. } => {
                place.connected();
                true
            }
            Stage::Waiting => place.is_connected(),
            Stage::Moving { .. } | Stage::Gone => false,
        }
    }
}

impl Transport for Host {
    fn send<'a>(
        &'a self,
        request: &'a Outgoing,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Exchange, Broken>> {
        if self.options.http2 && self.calm.holds() {
            return self.instead().send(request, limits);
        }
        Box::pin(self.exchange(request, limits))
    }

    fn note(&self) -> Option<String> {
        let minutes = frames::CALM.as_secs() / 60;
        let host = self.options.target.authority();
        self.calm.holds().then(|| {
            format!(
                "{host} ended an HTTP/2 connection with ENHANCE_YOUR_CALM: HTTP/1.1 for {minutes} minutes"
            )
        })
    }
}

struct Incomplete {
    body: reqwest::Body,
    calm: Arc<Calm>,
    _place: Place,
    _open: Open,
}

impl std::fmt::Debug for Incomplete {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Incomplete")
    }
}

impl super::Body for Incomplete {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(cause))) => return Poll::Ready(Some(Err(self.explain(&cause)))),
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(part) = http1::part(frame) {
                        return Poll::Ready(Some(part));
                    }
                }
            }
        }
    }
}

impl Incomplete {
    fn explain(&self, cause: &reqwest::Error) -> Broken {
        match find::<h2::Error>(cause).and_then(|inner| frames::meaning(inner, false)) {
            Some(Lost::Calm(broken)) => {
                self.calm.begin();
                broken
            }
            Some(Lost::Broken(broken) | Lost::Unprocessed(broken)) => broken,
            Some(Lost::Queued | Lost::Silent(_)) | None => match find::<hyper::Error>(cause) {
                Some(inner) => http1::explain_body(inner),
                None => Broken::new(Kind::Truncated, format!("the body ended early: {}", chain(cause))),
            },
        }
    }
}

/// reqwest lets through what h2 lets through; our own bounds are smaller.
fn within_bounds(headers: &http::HeaderMap, options: &HostOptions) -> Result<(), Broken> {
    let size = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD).sum::<usize>();
    let bounds = &options.bounds;
    if size <= bounds.head.max(8192) && headers.len() <= bounds.headers {
        return Ok(());
    }
    let message = format!("the response head is over its bound: {} fields, {size} bytes", headers.len());
    Err(Broken::new(Kind::TooLarge, message))
}

fn explain(cause: &reqwest::Error, options: &HostOptions) -> Lost {
    if let Some(lost) = find::<h2::Error>(cause).and_then(|inner| frames::meaning(inner, true)) {
        return lost;
    }
    Lost::Broken(explain_connection(cause, options))
}

fn explain_connection(cause: &reqwest::Error, options: &HostOptions) -> Broken {
    if let Some(broken) = find::<hyper::Error>(cause).filter(|inner| inner.is_parse()) {
        return http1::explain(broken, true);
    }
    if let Some(refused) = find::<rustls::Error>(cause) {
        return tls::refused(refused, &options.target.host, options.ca.as_deref());
    }
    if let Some(broken) = find::<io::Error>(cause).and_then(connect::local) {
        return broken;
    }
    let text = chain(cause);
    let kind = if cause.is_builder() {
        Kind::Config
    } else if cause.is_connect() && cause.is_timeout() {
        Kind::ConnectTimeout
    } else if text.contains("dns error") {
        Kind::Dns
    } else if text.contains("proxy authorization required") {
        Kind::Proxy
    } else if cause.is_connect() {
        Kind::Connect
    } else {
        Kind::ConnectionReset
    };
    Broken::new(kind, format!("the request failed: {text}"))
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
