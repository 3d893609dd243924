//! Floods over HTTP/2: what they cost while they last. Alone in a process, so that its memory is theirs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "a test fails by panicking; every test file uses its own part of what is shared"
)]

#[path = "http2/frames.rs"]
mod frames;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fairlead::reply::Answer;
use fairlead::{Engine, Kind};
use frames::{CONTINUATION, END_HEADERS, HEADERS, PING, SETTINGS, encoded, field, head, host};
use support::chat;
use tokio::io::AsyncWriteExt;

const REPLY: &str =
    r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}"#;

/// The most memory this process has held so far, in bytes; zero where nobody tells.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10)
}

async fn until(condition: impl Fn() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it did not happen");
}

fn engine(base: std::net::SocketAddr, more: &str) -> Arc<Engine> {
    let text = format!(
        "retry.base = 0.001\n{more}\n[client]\napi_key = \"k\"\nbase_url = \"http://{base}/v1\"\nhttp2 = true\n"
    );
    Engine::new(toml::from_str(&text).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f54_a_flood_of_pings_or_settings_ends_with_the_attempt_and_its_connection() {
    for kind in [PING, SETTINGS] {
        let ended = Arc::<AtomicU64>::default();
        let closed = Arc::clone(&ended);
        let (address, connections) = host(move |number, peer| {
            let closed = Arc::clone(&closed);
            async move {
                let mut wire = peer.http2(&[]).await;
                let stream = wire.request().await?;
                if number > 0 {
                    wire.reply(stream, REPLY).await?;
                    return wire.drain().await;
                }
                let (mut read, mut write) = wire.socket.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut read, &mut tokio::io::sink()).await });
                let payload: &[u8] = if kind == PING { &[0; 8] } else { &[] };
                let block = encoded(kind, 0, 0, payload).repeat(100);
                while write.write_all(&block).await.is_ok() {}
                closed.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        })
        .await;
        let engine = engine(address, "timeouts = { attempt = 1.5 }");
        let held = peak();
        let Answer::Reply(reply) = engine.call(chat(false)).await.unwrap() else { panic!("a stream") };
        assert_eq!(reply.receipt.attempts.len(), 2);
        assert_eq!(reply.receipt.attempts[0].error, Some("AttemptTimeout"));
        assert_eq!(connections.load(Ordering::SeqCst), 2);
        until(|| ended.load(Ordering::SeqCst) == 1).await;
        assert!(peak() - held < 16 << 20);
        assert_eq!(engine.gauges().attempts.get(), 0);
    }
}

/// A head that goes on for so many frames of so many padding fields, and then is complete.
#[derive(Clone, Copy, Debug)]
struct Bomb {
    fields: usize,
    frames: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f55_a_head_without_end_or_measure_is_too_large() {
    let endless = usize::MAX;
    for bomb in [
        Bomb { fields: 1, frames: endless },
        Bomb { fields: 700, frames: endless },
        Bomb { fields: 140, frames: 5 },
        Bomb { fields: 300, frames: 1 },
        Bomb { fields: 140, frames: 100 },
    ] {
        let (address, _) = host(move |_, peer| async move {
            let mut wire = peer.http2(&[]).await;
            let stream = wire.request().await?;
            wire.send(HEADERS, 0, stream, &head("application/json")).await?;
            let fields = field("x-padding", &"x".repeat(if bomb.fields > 200 { 1 } else { 99 }));
            let fields = fields.repeat(bomb.fields);
            for number in 1..=bomb.frames {
                let flags = if number == bomb.frames { END_HEADERS } else { 0 };
                wire.send(CONTINUATION, flags, stream, &fields).await?;
            }
            wire.drain().await
        })
        .await;
        let engine = engine(address, "");
        let held = peak();
        let error = engine.call(chat(false)).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (Kind::TooLarge, 1), "{bomb:?}: {error}");
        assert!(!error.is_retryable(), "{bomb:?}");
        assert!(peak() - held < 16 << 20, "{bomb:?}");
        assert_eq!((engine.gauges().attempts.get(), engine.stats().attempts), (0, 1));
    }
}
