//! What an upstream does, played in time: the transport's side of a simulation.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::clock;
use crate::error::Kind;
use crate::send::{Body, Broken, Exchange, Limits};

/// What becomes of a request.
#[derive(Clone, Debug)]
pub struct Conduct {
    /// So long after it came.
    pub after: Duration,
    /// This.
    pub then: Then,
}

/// What happens at the end of the wait.
#[derive(Clone, Debug)]
pub enum Then {
    /// Nothing, for ever.
    Never,
    /// The connection breaks, or there is none.
    Break(Kind),
    /// The head of a response, and its body in its time.
    Answer {
        /// The status.
        status: u16,
        /// The headers.
        headers: Vec<(&'static str, String)>,
        /// The body. What has no [`Piece::End`] never ends.
        lines: Vec<Line>,
    },
}

/// One part of a body.
#[derive(Clone, Debug)]
pub struct Line {
    /// So long after the one before.
    pub after: Duration,
    /// What comes.
    pub piece: Piece,
}

/// What comes of a body.
#[derive(Clone, Debug)]
pub enum Piece {
    /// These bytes.
    Bytes(Bytes),
    /// The proper end.
    End,
    /// The end of the connection, where more was to come.
    Broken,
}

impl Line {
    /// All of a body at once.
    pub fn once(body: impl Into<Bytes>) -> Vec<Self> {
        vec![Self::now(body), Self { after: Duration::ZERO, piece: Piece::End }]
    }

    /// These bytes, at once.
    pub fn now(bytes: impl Into<Bytes>) -> Self {
        Self { after: Duration::ZERO, piece: Piece::Bytes(bytes.into()) }
    }

    /// A broken connection, at once.
    pub fn broken() -> Self {
        Self { after: Duration::ZERO, piece: Piece::Broken }
    }
}

/// Plays it to its head, within the limits of the attempt.
///
/// # Errors
///
/// What broke, or the limit that ended first.
pub async fn play(conduct: Conduct, limits: &Limits, held: impl Send + 'static) -> Result<Exchange, Broken> {
    let due = limits.answer.or_sooner(Some(limits.deadline));
    let ready = clock::now() + conduct.after;
    let Conduct { then, .. } = conduct;
    if ready > due.at || matches!(then, Then::Never) {
        clock::sleep_until(due.at).await;
        return Err(Broken::timeout(due));
    }
    clock::sleep_until(ready).await;
    match then {
        Then::Never => Err(Broken::timeout(due)),
        Then::Break(kind) => Err(Broken::new(kind, "by the scenario")),
        Then::Answer { status, headers, lines } => Ok(Exchange {
            status,
            headers: Arc::new(header_map(&headers)),
            body: Box::new(Script { lines: lines.into(), waiting: None, _held: Box::new(held) }),
            reused: false,
            repeated: false,
            connected_in: Duration::ZERO,
        }),
    }
}

fn header_map(headers: &[(&'static str, String)]) -> HeaderMap {
    let pairs = headers.iter().filter_map(|(name, value)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
    });
    pairs.collect()
}

/// A body in its time.
struct Script {
    lines: VecDeque<Line>,
    waiting: Option<BoxFuture<'static, ()>>,
    /// Given back with the body.
    _held: Box<dyn Send>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script").field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}

impl Body for Script {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let Some(next) = self.lines.front() else { return Poll::Pending };
        if !next.after.is_zero() {
            let ready = clock::now() + next.after;
            let waiting = self.waiting.get_or_insert_with(|| Box::pin(clock::sleep_until(ready)));
            if Pin::new(waiting).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.waiting = None;
        }
        match self.lines.pop_front().map(|line| line.piece) {
            Some(Piece::Bytes(bytes)) => Poll::Ready(Some(Ok(bytes))),
            Some(Piece::End) => Poll::Ready(None),
            Some(Piece::Broken) | None => {
                let message = "the connection ended in the middle of the response";
                Poll::Ready(Some(Err(Broken::new(Kind::Truncated, message))))
            }
        }
    }
}
