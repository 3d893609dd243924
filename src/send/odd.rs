//! HTTP/2 and proxies, over reqwest: the hosts that need more than one plain connection per request.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};
use tokio::sync::OnceCell;

use super::alarm::Alarm;
use super::{Broken, Exchange, HostOptions, Limits, Outgoing, Transport, tls};
use crate::clock;
use crate::error::Kind;
use crate::provider::endpoint::Scheme;

/// Above h2's guard against small frames, which closes a whole connection when more than half of the window is
/// taken by frames nobody has read yet.
const CONNECTION_WINDOW: u32 = 64 << 20;
/// What one stream may have in flight.
const STREAM_WINDOW: u32 = 4 << 20;
/// Pings on an HTTP/2 connection, and how long their answer may take.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// One host over reqwest.
#[derive(Debug)]
pub(super) struct Host {
    options: HostOptions,
    client: OnceCell<reqwest::Client>,
}

impl Host {
    pub(super) fn new(options: HostOptions) -> Self {
        Self { options, client: OnceCell::new() }
    }

    async fn client(&self) -> Result<&reqwest::Client, Broken> {
        let made = self.client.get_or_try_init(|| async { self.build() });
        made.await.map_err(|message: String| Broken::new(Kind::Config, message))
    }

    fn build(&self) -> Result<reqwest::Client, String> {
        let pool = &self.options.pool;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured((*tls::client_config(self.options.ca.as_deref())?).clone())
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .tcp_nodelay(true)
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
        if let Some(proxy) = &self.options.proxy {
            let proxy = reqwest::Proxy::all(proxy.as_str()).map_err(|cause| format!("`proxy`: {cause}"))?;
            builder = builder.proxy(proxy);
        }
        builder.build().map_err(|cause| cause.to_string())
    }

    async fn exchange(&self, outgoing: &Outgoing, limits: &Limits) -> Result<Exchange, Broken> {
        let client = self.client().await?;
        let url = format!("{}{}", self.options.target.origin(), outgoing.path);
        let request = client
            .request(outgoing.method.clone(), url)
            .headers(outgoing.headers.clone())
            .body(outgoing.body.clone());
        let due = limits.answer.or_sooner(Some(limits.deadline));
        let sent = Alarm::new(due).guard(request.send(), || due).await.map_err(Broken::timeout)?;
        let response = sent.map_err(|cause| explain(&cause))?;
        Ok(Exchange {
            status: response.status().as_u16(),
            headers: Arc::new(response.headers().clone()),
            body: Box::new(Incomplete(response.bytes_stream().boxed())),
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

struct Incomplete(BoxStream<'static, reqwest::Result<Bytes>>);

impl std::fmt::Debug for Incomplete {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Incomplete")
    }
}

impl super::Body for Incomplete {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        self.0.as_mut().poll_next(cx).map(|chunk| {
            chunk.map(|chunk| {
                chunk.map_err(|cause| {
                    Broken::new(Kind::Truncated, format!("the body ended early: {}", chain(&cause)))
                })
            })
        })
    }
}

fn explain(cause: &reqwest::Error) -> Broken {
    let kind = if cause.is_builder() {
        Kind::Config
    } else if cause.is_connect() {
        Kind::Connect
    } else if cause.is_timeout() {
        Kind::ConnectTimeout
    } else {
        Kind::ConnectionReset
    };
    Broken::new(kind, format!("the request failed: {}", chain(cause)))
}

/// The causes of an error without its URL, which may carry a key in its query.
fn chain(cause: &dyn std::error::Error) -> String {
    let mut texts = Vec::new();
    let mut source = cause.source();
    while let Some(inner) = source {
        texts.push(inner.to_string());
        source = inner.source();
    }
    if texts.is_empty() { "no cause given".to_owned() } else { texts.join(": ") }
}
