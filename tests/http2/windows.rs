//! Room for uploads and streams, slow readers, and what comes after a body.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use fairlead::Kind;
use fairlead::call::{Call, CallOptions, Operation};
use fairlead::reply::Answer;

use crate::calls::{CONTENT, FINISH, REPLY, engine, quiet, rest, stream, well, whole};
use crate::frames::{DATA, MAX_CONCURRENT_STREAMS, Wire, host};

fn large() -> Call {
    let content = "x".repeat(1 << 20);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{content}"}}]}}"#);
    Call { operation: Operation::Chat, body: Bytes::from(body), options: CallOptions::default() }
}

#[tokio::test]
async fn f52_an_upload_that_gets_no_window_ends_at_the_write_limit() {
    let (address, _) = host(|_, peer| async { peer.http2(&[]).await.drain().await }).await;
    let limits = "timeouts = { write = 0.3, connect = 0.3 }";
    let lone = engine(&[address], limits);
    let error = lone.call(large()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (Kind::WriteTimeout, 3), "{error}");
    assert!(error.is_retryable() && error.to_string().contains("timeouts.write"));
    assert_eq!(lone.stats().input_tokens, 0, "it was never read");
    quiet(&lone).await;
}

/// Gives back the window of all it reads.
async fn reading(mut wire: Wire) -> io::Result<()> {
    loop {
        let frame = wire.frame().await?;
        let size = u32::try_from(frame.payload.len()).unwrap();
        if frame.kind == DATA && size > 0 {
            for stream in [0, frame.stream] {
                wire.send(8, 0, stream, &size.to_be_bytes()).await?;
            }
        }
        if frame.kind <= 1 && frame.flags & 1 != 0 {
            wire.reply(frame.stream, REPLY).await?;
        }
    }
}

#[tokio::test]
async fn f52_another_deployment_takes_the_upload() {
    let (blocked, _) = host(|_, peer| async { peer.http2(&[]).await.drain().await }).await;
    let (open, _) = host(|_, peer| async { reading(peer.http2(&[]).await).await }).await;
    let engine = engine(&[blocked, open], "timeouts = { write = 0.3 }");
    let Answer::Reply(reply) = engine.call(large()).await.unwrap() else { panic!("a stream") };
    assert_eq!(reply.receipt.attempts.len(), 2);
    quiet(&engine).await;
}

#[tokio::test]
async fn f53_calls_wait_for_the_one_stream_a_host_allows_and_move_on_when_it_allows_none() {
    let (address, connections) = host(|number, peer| async move {
        let mut wire = peer.http2(&[(MAX_CONCURRENT_STREAMS, 1)]).await;
        for requests in 0.. {
            let stream = wire.request().await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
            wire.reply(stream, REPLY).await?;
            if number == 0 && requests == 3 {
                wire.settings(&[(MAX_CONCURRENT_STREAMS, 0)]).await?;
            }
        }
        Ok(())
    })
    .await;
    let engine = engine(&[address], "timeouts = { connect = 2.0 }");
    whole(&engine).await.unwrap();
    let calls = tokio::join!(whole(&engine), whole(&engine), whole(&engine));
    for receipt in [calls.0, calls.1, calls.2] {
        assert_eq!(receipt.unwrap().attempts.len(), 1);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1, "they took turns");
    tokio::time::sleep(Duration::from_millis(50)).await;
    for _ in 0..2 {
        assert_eq!(whole(&engine).await.unwrap().attempts.len(), 1);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2, "a connection that allows none is left alone");
    quiet(&engine).await;
}

#[tokio::test]
async fn f53_where_a_stream_lasts_the_others_take_further_connections() {
    let (address, connections) = host(|_, peer| async {
        let mut wire = peer.http2(&[(MAX_CONCURRENT_STREAMS, 1)]).await;
        let stream = wire.request().await?;
        wire.reply(stream, REPLY).await?;
        let stream = wire.request().await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        wire.reply(stream, REPLY).await?;
        wire.serve(REPLY).await
    })
    .await;
    let engine = engine(&[address], "timeouts = { connect = 0.2 }");
    whole(&engine).await.unwrap();
    let calls = tokio::join!(whole(&engine), whole(&engine));
    for receipt in [calls.0, calls.1] {
        assert_eq!(receipt.unwrap().attempts.len(), 1);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    quiet(&engine).await;
}

/// HTTP/2 with bodies, by a server that keeps its windows.
async fn answering(body: &'static str, trailers: http::HeaderMap) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let trailers = trailers.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let content_type =
                        if body.starts_with('{') { "application/json" } else { "text/event-stream" };
                    let head = http::Response::builder().header("content-type", content_type);
                    let mut send = respond.send_response(head.body(()).unwrap(), false).unwrap();
                    send.send_data(Bytes::from_static(body.as_bytes()), false).unwrap();
                    send.send_trailers(trailers.clone()).unwrap();
                }
            });
        }
    });
    address
}

fn status(code: &'static str) -> http::HeaderMap {
    let fields = [("grpc-status", code), ("grpc-message", "no%20capacity")];
    fields.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

#[tokio::test]
async fn f56_an_error_in_the_trailers_is_the_error() {
    for (code, kind, http, attempts) in
        [("14", Kind::Server, 503, 3), ("8", Kind::RateLimit, 429, 3), ("16", Kind::Authentication, 401, 1)]
    {
        let address = answering(REPLY, status(code)).await;
        let lone = engine(&[address], "");
        let error = whole(&lone).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.failure().status, error.attempts().len()),
            (kind, Some(http), attempts)
        );
        assert!(error.to_string().contains("no capacity"), "{error}");
        let both = engine(&[address, well().await], "");
        assert_eq!(whole(&both).await.unwrap().attempts.len(), 2);
        quiet(&lone).await;
    }
    let fine = engine(&[answering(REPLY, status("0")).await], "");
    assert_eq!(whole(&fine).await.unwrap().attempts.len(), 1);
}

#[tokio::test]
async fn f56_an_error_in_the_trailers_of_a_stream_interrupts_it_unless_it_had_finished() {
    let engine_of = |address| engine(&[address], "");
    let engine = engine_of(answering(CONTENT, status("13")).await);
    let mut broken = stream(&engine).await.unwrap();
    let (_, error) = rest(&mut broken).await;
    let error = error.unwrap();
    assert_eq!((error.kind(), error.failure().status), (Kind::StreamInterrupted, Some(500)));
    drop(broken);
    quiet(&engine).await;
    let engine = engine_of(answering(FINISH, status("13")).await);
    let mut finished = stream(&engine).await.unwrap();
    assert!(rest(&mut finished).await.1.is_none());
    drop(finished);
    quiet(&engine).await;
}

/// Small frames to 32 streams at once; whoever reads them all has got it all.
async fn abundant(frames: usize) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let head = http::Response::builder().header("content-type", "text/event-stream");
                    let mut send = respond.send_response(head.body(()).unwrap(), false).unwrap();
                    tokio::spawn(async move {
                        send.send_data(Bytes::from_static(CONTENT.as_bytes()), false).unwrap();
                        let comment = Bytes::from(format!(": {}\n", "x".repeat(57)));
                        for _ in 0..frames {
                            send.reserve_capacity(comment.len());
                            let room = std::future::poll_fn(|cx| send.poll_capacity(cx)).await;
                            if room.is_none_or(|room| room.is_err()) {
                                return;
                            }
                            send.send_data(comment.clone(), false).unwrap();
                        }
                        send.send_data(Bytes::from_static(FINISH.as_bytes()), true).unwrap();
                    });
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f51_s8_a_reader_that_stalls_holds_up_no_other_stream_of_its_connection() {
    let engine = engine(&[abundant(20_000).await], "");
    let mut stalled = stream(&engine).await.unwrap();
    let others: Vec<_> = (1..32)
        .map(|_| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { rest(&mut stream(&engine).await.unwrap()).await })
        })
        .collect();
    for other in others {
        let (payloads, broken) = other.await.unwrap();
        assert!(broken.is_none(), "{broken:?}");
        assert_eq!(payloads, 2);
    }
    let (_, broken) = rest(&mut stalled).await;
    assert!(broken.is_none(), "{broken:?}");
    drop(stalled);
    quiet(&engine).await;
}
