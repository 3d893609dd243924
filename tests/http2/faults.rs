//! What a host does to connections and streams, frame by frame.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fairlead::{Engine, Kind};
use tokio::sync::Notify;

use crate::calls::{CONTENT, FINISH, REPLY, ROLE, engine, quiet, rest, sick, stream, well, whole};
use crate::frames::{CANCEL, DATA, ENHANCE_YOUR_CALM, INTERNAL_ERROR, NO_ERROR, Peer, REFUSED_STREAM, host};

#[tokio::test]
async fn f46_a_stream_that_the_host_has_begun_with_outlives_a_goaway() {
    let (left, other_served) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (leaving, finish) = (Arc::clone(&left), Arc::clone(&other_served));
    let (address, connections) = host(move |number, peer| {
        let (leaving, finish) = (Arc::clone(&leaving), Arc::clone(&finish));
        async move {
            let mut wire = peer.http2(&[]).await;
            let stream = wire.request().await?;
            if number > 0 {
                wire.reply(stream, REPLY).await?;
                return wire.drain().await;
            }
            wire.head(stream, "text/event-stream").await?;
            wire.data(stream, CONTENT).await?;
            wire.go_away(stream, NO_ERROR).await?;
            leaving.notify_one();
            finish.notified().await;
            wire.data(stream, FINISH).await?;
            wire.end(stream).await?;
            wire.drain().await
        }
    })
    .await;
    let engine = engine(&[address], "");
    let mut stream = stream(&engine).await.unwrap();
    left.notified().await;
    assert_eq!(whole(&engine).await.unwrap().attempts.len(), 1);
    other_served.notify_one();
    let (payloads, broken) = rest(&mut stream).await;
    assert!(broken.is_none(), "{broken:?}");
    assert_eq!(payloads, 2);
    drop(stream);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    quiet(&engine).await;
}

#[derive(Clone, Copy, Debug)]
enum Refusal {
    GoAway,
    Reset,
}

/// A host that refuses the first `times` requests it gets.
async fn refusing(refusal: Refusal, times: usize) -> SocketAddr {
    let refused = Arc::<std::sync::atomic::AtomicUsize>::default();
    let serve = move |_, peer: Peer| {
        let refused = Arc::clone(&refused);
        async move {
            let mut wire = peer.http2(&[]).await;
            loop {
                let stream = wire.request().await?;
                if refused.fetch_add(1, Ordering::SeqCst) >= times {
                    wire.reply(stream, REPLY).await?;
                    continue;
                }
                match refusal {
                    Refusal::Reset => wire.reset(stream, REFUSED_STREAM).await?,
                    Refusal::GoAway => {
                        wire.go_away(0, NO_ERROR).await?;
                        return wire.drain().await;
                    }
                }
            }
        }
    };
    host(serve).await.0
}

#[tokio::test]
async fn f47_n2_a_request_that_the_host_has_not_begun_with_is_repeated_and_not_charged() {
    for refusal in [Refusal::GoAway, Refusal::Reset] {
        let engine = engine(&[refusing(refusal, 1).await], "retry.max_retries = 0");
        let receipt = whole(&engine).await.unwrap();
        assert_eq!((receipt.attempts.len(), receipt.transparent_retries), (1, 1), "{refusal:?}");
        let stats = engine.stats();
        assert_eq!((stats.attempts, stats.input_tokens, stats.output_tokens), (1, 3, 2), "{refusal:?}");
        quiet(&engine).await;
    }
}

#[tokio::test]
async fn f47_a_second_refusal_is_an_attempt() {
    for refusal in [Refusal::GoAway, Refusal::Reset] {
        let engine = engine(&[refusing(refusal, 2).await], "retry.max_retries = 0");
        let error = whole(&engine).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (Kind::ConnectionReset, 1), "{refusal:?}");
        assert!(error.is_retryable());
        assert_eq!(engine.stats().input_tokens, 0, "{refusal:?}");
        assert_eq!(whole(&engine).await.unwrap().attempts.len(), 1, "{refusal:?}");
        quiet(&engine).await;
    }
}

/// The call succeeds at its second attempt, over HTTP/1.1, and the next ones go there at once.
async fn calmed(address: SocketAddr) -> Arc<Engine> {
    let engine = engine(&[address], "");
    let receipt = whole(&engine).await.unwrap();
    let kinds: Vec<_> = receipt.attempts.iter().map(|attempt| attempt.error).collect();
    assert!(matches!(kinds[..], [Some(_), None]), "{kinds:?}");
    let [note] = &receipt.notes[..] else { panic!("{:?}", receipt.notes) };
    assert!(note.contains("ENHANCE_YOUR_CALM: HTTP/1.1 for 10 minutes"), "{note}");
    assert_eq!(whole(&engine).await.unwrap().attempts.len(), 1);
    engine
}

#[tokio::test]
async fn f48_n6_a_host_that_asks_for_calm_is_spoken_to_over_http1_for_ten_minutes() {
    let go_away = sick(|mut wire, _| async move {
        wire.go_away(0, ENHANCE_YOUR_CALM).await?;
        wire.drain().await
    });
    let reset = sick(|mut wire, stream| async move {
        wire.reset(stream, ENHANCE_YOUR_CALM).await?;
        wire.drain().await
    });
    for address in [go_away.await, reset.await] {
        let engine = calmed(address).await;
        assert_eq!(engine.stats().input_tokens, 6, "the attempt that was refused used nothing");
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(590)).await;
        tokio::time::resume();
        assert_eq!(whole(&engine).await.unwrap().attempts.len(), 1);
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(11)).await;
        tokio::time::resume();
        assert_eq!(whole(&engine).await.unwrap().attempts.len(), 2, "HTTP/2 is tried again");
        quiet(&engine).await;
    }
}

#[tokio::test]
async fn f48_another_deployment_is_asked_at_once() {
    let calm = sick(|mut wire, _| async move { wire.go_away(0, ENHANCE_YOUR_CALM).await });
    let engine = engine(&[calm.await, well().await], "");
    let receipt = whole(&engine).await.unwrap();
    assert_eq!(receipt.attempts.len(), 2);
    quiet(&engine).await;
}

#[tokio::test]
async fn f49_a_reset_stream_breaks_alone() {
    for code in [CANCEL, INTERNAL_ERROR] {
        let (address, connections) = host(move |_, peer| async move {
            let mut wire = peer.http2(&[]).await;
            let (one, other) = (wire.request().await?, wire.request().await?);
            for stream in [one, other] {
                wire.head(stream, "text/event-stream").await?;
                wire.data(stream, CONTENT).await?;
            }
            wire.reset(one, code).await?;
            wire.data(other, FINISH).await?;
            wire.end(other).await?;
            wire.drain().await
        })
        .await;
        let engine = engine(&[address], "");
        let (one, other) = tokio::join!(stream(&engine), stream(&engine));
        let mut ends = Vec::new();
        for mut stream in [one.unwrap(), other.unwrap()] {
            ends.push(rest(&mut stream).await);
        }
        ends.sort_by_key(|(_, broken)| broken.is_none());
        let [(_, Some(broken)), (2, None)] = &ends[..] else { panic!("{ends:?}") };
        assert_eq!(broken.kind(), Kind::StreamInterrupted);
        assert_eq!(broken.failure().partial, "x");
        assert_eq!((broken.attempts().len(), connections.load(Ordering::SeqCst)), (1, 1));
        assert!(engine.stats().estimated_tokens > 0, "what was received is settled");
        quiet(&engine).await;
    }
}

#[tokio::test]
async fn f49_a_stream_that_is_reset_before_it_commits_is_tried_again() {
    let (address, _) = host(|_, peer| async {
        let mut wire = peer.http2(&[]).await;
        for requests in 0.. {
            let stream = wire.request().await?;
            wire.head(stream, "text/event-stream").await?;
            wire.data(stream, ROLE).await?;
            if requests == 0 {
                wire.reset(stream, INTERNAL_ERROR).await?;
                continue;
            }
            wire.data(stream, CONTENT).await?;
            wire.data(stream, FINISH).await?;
            wire.end(stream).await?;
        }
        Ok(())
    })
    .await;
    let engine = engine(&[address], "");
    let mut stream = stream(&engine).await.unwrap();
    assert_eq!(rest(&mut stream).await.0, 3);
    let attempts: Vec<_> = stream.receipt().attempts.iter().map(|attempt| attempt.error).collect();
    assert_eq!(attempts, [Some("ResponseTruncated"), None]);
    drop(stream);
    quiet(&engine).await;
}

#[tokio::test]
async fn f50_a_flood_of_empty_frames_ends_the_connection_and_the_host_is_calmed() {
    let address = sick(|mut wire, stream| async move {
        wire.head(stream, "application/json").await?;
        for _ in 0..101 {
            wire.send(DATA, 0, stream, b"").await?;
        }
        wire.drain().await
    });
    let engine = calmed(address.await).await;
    assert!(engine.stats().estimated_tokens > 0, "the upstream had begun");
    quiet(&engine).await;
}

#[tokio::test]
async fn f50_empty_frames_before_an_answer_are_no_harm() {
    let address = sick(|mut wire, stream| async move {
        wire.head(stream, "application/json").await?;
        for _ in 0..99 {
            wire.send(DATA, 0, stream, b"").await?;
        }
        wire.data(stream, REPLY).await?;
        wire.end(stream).await?;
        wire.drain().await
    });
    let engine = engine(&[address.await], "");
    assert_eq!(whole(&engine).await.unwrap().attempts.len(), 1);
    quiet(&engine).await;
}

#[tokio::test]
async fn f50_a_stream_that_is_flooded_after_content_is_interrupted() {
    let address = sick(|mut wire, stream| async move {
        wire.head(stream, "text/event-stream").await?;
        wire.data(stream, CONTENT).await?;
        for _ in 0..101 {
            wire.send(DATA, 0, stream, b"").await?;
        }
        wire.drain().await
    });
    let engine = engine(&[address.await], "");
    let mut stream = stream(&engine).await.unwrap();
    let (_, broken) = rest(&mut stream).await;
    assert_eq!(broken.unwrap().kind(), Kind::StreamInterrupted);
    drop(stream);
    quiet(&engine).await;
}
