//! Calls over HTTP/2, and hosts that answer them.

use std::fmt::Write;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fairlead::reply::{Answer, ReplyStream};
use fairlead::{Engine, Error};

use crate::frames::{Peer, Spoken, Wire, host, http1};
use crate::support::chat;

pub const REPLY: &str = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
pub const ROLE: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"},\"finish_reason\":null}]}\n\n";
pub const CONTENT: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}\n\n";
pub const FINISH: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// An engine over hosts in order, with backoff of a millisecond and three attempts.
pub fn engine(hosts: &[SocketAddr], more: &str) -> Arc<Engine> {
    let mut text = format!("retry.base = 0.001\nretry.throttled_base = 0.001\n{more}\n");
    for host in hosts {
        let deployment =
            "[[models.m.deployments]]\nprovider = \"openai\"\nmodel = \"up\"\napi_key = \"k\"\nhttp2 = true";
        let _ = writeln!(text, "{deployment}\nbase_url = \"http://{host}/v1\"");
    }
    Engine::new(toml::from_str(&text).unwrap()).unwrap()
}

pub async fn whole(engine: &Arc<Engine>) -> Result<Arc<fairlead::settle::Receipt>, Error> {
    match engine.call(chat(false)).await? {
        Answer::Reply(reply) => Ok(reply.receipt),
        Answer::Stream(_) => panic!("a stream where a reply was asked for"),
    }
}

pub async fn stream(engine: &Arc<Engine>) -> Result<ReplyStream, Error> {
    match engine.call(chat(true)).await? {
        Answer::Stream(stream) => Ok(*stream),
        Answer::Reply(_) => panic!("a reply where a stream was asked for"),
    }
}

/// The payloads of what is left of a stream, and what broke it.
pub async fn rest(stream: &mut ReplyStream) -> (usize, Option<Error>) {
    let mut payloads = 0;
    while let Some(batch) = stream.next().await {
        match batch {
            Ok(batch) => payloads += batch.len(),
            Err(error) => return (payloads, Some(error)),
        }
    }
    (payloads, None)
}

/// Nothing is left: no call, attempt or stream, nor a socket in use.
pub async fn quiet(engine: &Engine) {
    let open = || {
        let gauges = engine.gauges();
        let busy = gauges.connections_open.get() - gauges.connections_idle.get();
        [gauges.calls.get(), gauges.attempts.get(), gauges.streams.get(), busy]
    };
    for _ in 0..2000 {
        if open() == [0; 4] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("left over: {:?}", open());
}

/// A host that spoils each request over HTTP/2 with `spoil`, and answers well over HTTP/1.1.
pub async fn sick<F, S>(spoil: F) -> SocketAddr
where
    F: Fn(Wire, u32) -> S + Clone + Send + 'static,
    S: Future<Output = io::Result<()>> + Send,
{
    let serve = move |_, peer: Peer| {
        let spoil = spoil.clone();
        async move {
            match peer.greet(&[]).await? {
                Spoken::Http1(socket) => http1(socket, REPLY).await,
                Spoken::Http2(mut wire) => {
                    let stream = wire.request().await?;
                    spoil(wire, stream).await
                }
            }
        }
    };
    host(serve).await.0
}

pub async fn well() -> SocketAddr {
    host(|_, peer| async { peer.http2(&[]).await.serve(REPLY).await }).await.0
}
