//! HTTP/2, which a provider opts into: whole replies and streams over few connections, and what may go wrong there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    dead_code,
    reason = "a test fails by panicking; what is shared is more than each needs"
)]

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod faults;
mod frames;
mod windows;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use fairlead::reply::Answer;
use support::chat;
use tokio::net::TcpListener;

const REPLY: &str = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}"#;
const EVENTS: [&str; 3] = [
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    "data: [DONE]\n\n",
];

/// Answers every request after as many as `together` have arrived.
async fn provider(together: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::<AtomicUsize>::default();
    let arrived = Arc::new(tokio::sync::Barrier::new(together));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let arrived = Arc::clone(&arrived);
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(answer(request, respond, Arc::clone(&arrived)));
                }
            });
        }
    });
    (address, connections)
}

async fn answer(
    mut request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    arrived: Arc<tokio::sync::Barrier>,
) {
    let mut body = Vec::new();
    while let Some(Ok(chunk)) = request.body_mut().data().await {
        body.extend_from_slice(&chunk);
    }
    arrived.wait().await;
    let stream = String::from_utf8_lossy(&body).contains("\"stream\":true");
    let content_type = if stream { "text/event-stream" } else { "application/json" };
    let head = http::Response::builder().header("content-type", content_type).body(()).unwrap();
    let mut send = respond.send_response(head, false).unwrap();
    let parts: &[&str] = if stream { &EVENTS } else { &[REPLY] };
    for part in parts {
        send.send_data(Bytes::copy_from_slice(part.as_bytes()), false).unwrap();
    }
    send.send_data(Bytes::new(), true).unwrap();
}

fn engine(address: SocketAddr) -> Arc<fairlead::Engine> {
    let text = format!("[client]\napi_key = \"k\"\nbase_url = \"http://{address}/v1\"\nhttp2 = true\n");
    fairlead::Engine::new(toml::from_str(&text).unwrap()).unwrap()
}

#[tokio::test]
async fn replies_and_streams_share_one_http2_connection() {
    let (address, connections) = provider(32).await;
    let engine = engine(address);
    let calls: Vec<_> = (0..32)
        .map(|number| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { engine.call(chat(number % 2 == 0)).await.unwrap() })
        })
        .collect();
    for call in calls {
        if let Answer::Stream(mut stream) = call.await.unwrap() {
            let mut payloads = 0;
            while let Some(batch) = stream.next().await {
                payloads += batch.unwrap().len();
            }
            assert_eq!(payloads, 2);
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    assert_eq!(engine.gauges().connections_open.get(), 0);
}

#[tokio::test]
async fn more_than_64_calls_in_flight_open_another_http2_connection() {
    let (address, connections) = provider(100).await;
    let engine = engine(address);
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { engine.call(chat(false)).await.map(drop) })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}
