//! Reading a response body: decoded, bounded, and never silent for longer than its limits allow.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::alarm::{Alarm, Due, later};
use super::inflate::Inflate;
use super::{Body, Broken, Limits};
use crate::clock::{self, Instant};
use crate::defect;
use crate::error::Kind;

/// A body being read. Its idle timers run only while somebody reads.
#[derive(Debug)]
pub(super) struct Reader {
    body: Box<dyn Body>,
    inflate: Inflate,
    alarm: Alarm,
    limits: Limits,
    /// Until then content must have come; moves along while nobody reads.
    content_due: Instant,
    paused_at: Instant,
    awaiting_answer: bool,
    ended: bool,
}

impl Reader {
    pub(super) fn new(
        body: Box<dyn Body>,
        headers: &HeaderMap,
        limits: Limits,
        bound: usize,
    ) -> Result<Self, Broken> {
        let now = clock::now();
        Ok(Self {
            body,
            inflate: Inflate::new(headers, bound)?,
            alarm: Alarm::new(limits.answer.or_sooner(Some(limits.deadline))),
            content_due: later(now, limits.content_idle),
            limits,
            paused_at: now,
            awaiting_answer: true,
            ended: false,
        })
    }

    /// The limit for the answer no longer applies: it has begun.
    pub(super) fn answer_began(&mut self) {
        self.awaiting_answer = false;
    }

    /// Content came: the limit on pings without content starts anew.
    pub(super) fn content_came(&mut self) {
        self.content_due = later(clock::now(), self.limits.content_idle);
    }

    /// The next decoded bytes; `None` at the proper end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Broken> {
        defect::at(defect::Stage::Read);
        let now = clock::now();
        self.content_due += now.saturating_duration_since(self.paused_at);
        let due = self.due(now);
        let chunk = self.chunk_by(due).await;
        self.paused_at = clock::now();
        match chunk {
            Err(broken) if broken.kind == Kind::StreamIdleTimeout && due.at == self.content_due => {
                Err(without_content(due))
            }
            chunk => chunk,
        }
    }

    fn due(&self, now: Instant) -> Due {
        let limits = &self.limits;
        let content = Due { at: self.content_due, kind: Kind::StreamIdleTimeout, limit: limits.content_idle };
        Due::after(now, limits.idle, Kind::StreamIdleTimeout)
            .or_sooner(Some(content))
            .or_sooner(self.awaiting_answer.then_some(limits.answer))
            .or_sooner(Some(limits.deadline))
    }

    /// As [`Reader::chunk`], under `due` instead of the body's own limits.
    pub(super) async fn chunk_by(&mut self, due: Due) -> Result<Option<Bytes>, Broken> {
        if self.ended {
            return Ok(None);
        }
        let body = &mut self.body;
        let next = self.alarm.guard(poll_fn(|cx| body.poll_chunk(cx)), || due).await;
        if let Some(chunk) = next.map_err(Broken::timeout)? {
            return self.inflate.push(chunk?).map(Some);
        }
        self.ended = true;
        self.inflate.finish().map(|last| (!last.is_empty()).then_some(last))
    }

    /// The whole body, at most `bound` bytes.
    pub(super) async fn whole(&mut self, bound: usize) -> Result<Bytes, Broken> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await? else { return bounded(first, bound) };
        let mut all = BytesMut::with_capacity(first.len() + second.len());
        all.extend_from_slice(&bounded(first, bound)?);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if all.len() + chunk.len() > bound {
                return Err(too_large(bound));
            }
            all.extend_from_slice(&chunk);
            next = self.chunk().await?;
        }
        Ok(all.freeze())
    }

    /// As much of the body as arrives, at most `bound` bytes: an error body is worth reading, not waiting for.
    pub(super) async fn prefix(&mut self, bound: usize) -> Bytes {
        let mut all = BytesMut::new();
        while let Ok(Some(chunk)) = self.chunk().await {
            let room = bound - all.len();
            all.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
            if all.len() >= bound {
                break;
            }
        }
        all.freeze()
    }
}

fn bounded(chunk: Bytes, bound: usize) -> Result<Bytes, Broken> {
    if chunk.len() > bound { Err(too_large(bound)) } else { Ok(chunk) }
}

fn without_content(due: Due) -> Broken {
    let limit = due.limit.as_secs_f64();
    let message = format!("the response brought no content for {limit:.3} s (timeouts.content_idle)");
    Broken::new(Kind::StreamIdleTimeout, message)
}

fn too_large(bound: usize) -> Broken {
    Broken::new(Kind::TooLarge, format!("the body is over its bound of {bound} bytes (bounds.body)"))
}
