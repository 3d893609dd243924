//! A streamed reply: held back until it commits, then handed out as it arrives, and only called complete when it
//! says so itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::Limits;
use super::alarm::Due;
use super::attempt::Job;
use super::mask::Mask;
use super::reader::Reader;
use super::sse::{Decoder, Event, SseFault};
use crate::chat::event::{EventFault, Step, StreamState};
use crate::clock;
use crate::error::{Failure, Kind};
use crate::retry::classify;

/// After every choice has finished, `[DONE]` and a usage event may still come; this long they are waited for.
const AFTER_FINISH: Duration = Duration::from_secs(5);

/// A stream from its response head on.
#[derive(Debug)]
pub struct Opening {
    /// The status.
    pub status: u16,
    /// The headers of the winning attempt.
    pub headers: Arc<HeaderMap>,
    /// From the start of the attempt to the first content.
    pub first_token: Option<Duration>,
    reader: Reader,
    decoder: Decoder,
    state: StreamState,
    limits: Limits,
    provider: &'static str,
    /// What no failure may tell.
    mask: Mask,
    /// Did the caller ask for usage, or only we?
    wants_usage: bool,
    /// Payloads ready to be handed out.
    held: Vec<Bytes>,
    events: Vec<Event>,
    handed_out: u64,
    tail_bound: usize,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Reading,
    /// What is held is still good; this comes after it.
    Failing(Box<Failure>),
    Ended,
}

impl Opening {
    /// Reads until the stream commits, or ends properly without content.
    pub(super) async fn open(
        job: &Job<'_>,
        status: u16,
        headers: Arc<HeaderMap>,
        reader: Reader,
    ) -> Result<Self, Failure> {
        let deployment = &job.candidate.deployment;
        let mut opening = Self {
            status,
            headers,
            first_token: None,
            reader,
            decoder: Decoder::new(job.bounds.event, job.bounds.line),
            state: StreamState::new(job.choices, deployment.finish_optional),
            limits: job.limits,
            provider: deployment.preset.id,
            mask: Mask::of(&job.outgoing.headers),
            wants_usage: job.wants_usage,
            held: Vec::new(),
            events: Vec::new(),
            handed_out: 0,
            tail_bound: job.bounds.tail,
            phase: Phase::Reading,
        };
        while !opening.committed(job.bounds.preamble) {
            opening.read().await?;
        }
        opening.first_token = Some(clock::now().saturating_duration_since(job.limits.started));
        opening.reader.answer_began();
        Ok(opening)
    }

    fn committed(&self, preamble: usize) -> bool {
        self.state.committed()
            || matches!(self.phase, Phase::Ended | Phase::Failing(_))
            || self.held.iter().map(Bytes::len).sum::<usize>() > preamble
    }

    /// The payloads of the next network read; `None` once the stream has ended properly.
    ///
    /// # Errors
    ///
    /// The failure, in the words that hold after commit; nothing follows it.
    pub async fn next(&mut self) -> Option<Result<Vec<Bytes>, Failure>> {
        loop {
            if !self.held.is_empty() {
                self.handed_out += self.held.len() as u64;
                return Some(Ok(std::mem::take(&mut self.held)));
            }
            match std::mem::replace(&mut self.phase, Phase::Ended) {
                Phase::Ended => return None,
                Phase::Failing(failure) => return Some(Err(self.after_commit(self.mask.hide(*failure)))),
                Phase::Reading => self.phase = Phase::Reading,
            }
            if let Err(failure) = self.read().await {
                self.phase = Phase::Failing(Box::new(failure));
            }
        }
    }

    /// What the events so far amount to.
    pub fn state(&self) -> &StreamState {
        &self.state
    }

    /// Reads on after the end, briefly and little, so that the connection can be used again.
    pub async fn finish(&mut self) {
        let due = Due::after(clock::now(), self.limits.tail, Kind::StreamIdleTimeout);
        let mut read = 0;
        while let Ok(Some(chunk)) = self.reader.chunk_by(due).await {
            read += chunk.len();
            // More than line ends after the end: whatever that is, the connection is not trusted with more.
            if read > self.tail_bound || chunk.iter().any(|byte| !byte.is_ascii_whitespace()) {
                return;
            }
        }
    }

    /// One network read, decoded into what is held.
    async fn read(&mut self) -> Result<(), Failure> {
        let chunk = if self.state.finished() {
            let due = Due::after(clock::now(), AFTER_FINISH.min(self.limits.idle), Kind::StreamIdleTimeout);
            self.reader.chunk_by(due).await
        } else {
            self.reader.chunk().await
        };
        match chunk {
            Ok(Some(chunk)) => {
                let pushed = self.decoder.push(chunk, &mut self.events);
                self.take_events()?;
                pushed.map_err(|fault| oversized(&fault))
            }
            Ok(None) => {
                self.decoder.finish(&mut self.events);
                self.take_events()?;
                self.at_end()
            }
            // All choices have finished: what breaks now breaks nothing.
            Err(_) if self.state.finished() => self.at_end(),
            // The connection was closed between two events: as far as anybody can tell, the stream is over.
            Err(broken) if broken.closed && self.decoder.is_between_events() => self.at_end(),
            Err(broken) => Err(broken.into()),
        }
    }

    fn take_events(&mut self) -> Result<(), Failure> {
        let mut events = std::mem::take(&mut self.events);
        let mut outcome = Ok(());
        for event in events.drain(..) {
            outcome = self.take_event(event);
            if outcome.is_err() {
                break;
            }
        }
        // The allocation is kept for the next read.
        self.events = events;
        outcome
    }

    fn take_event(&mut self, event: Event) -> Result<(), Failure> {
        match self.state.event(&event.data) {
            Ok(Step::Done) => self.at_end(),
            Ok(Step::AfterEnd) => Ok(()),
            Ok(_) if self.state.only_usage() && !self.wants_usage => Ok(()),
            Ok(Step::Preamble) => {
                self.held.push(event.data);
                Ok(())
            }
            Ok(Step::Commit | Step::Content) => {
                self.reader.content_came();
                self.held.push(event.data);
                Ok(())
            }
            Err(EventFault::Malformed(what)) => Err(Failure::new(Kind::MalformedStream, what)),
            Err(EventFault::InBand(error)) => Err(self.in_band(&error)),
        }
    }

    fn in_band(&self, error: &str) -> Failure {
        classify::in_band(&classify::Response {
            provider: self.provider,
            status: self.status,
            headers: &self.headers,
            body: error.as_bytes(),
            wall: clock::wall(),
        })
    }

    /// The body or the events are over: was that the end of the answer?
    fn at_end(&mut self) -> Result<(), Failure> {
        if self.state.finished() {
            self.phase = Phase::Ended;
            return Ok(());
        }
        let said = if self.state.done() {
            "[DONE] without a finish reason"
        } else {
            "no finish reason and no [DONE]"
        };
        let message = format!("the stream ended without saying that the answer is complete: {said}");
        Err(Failure::new(Kind::StreamTruncated, message))
    }

    /// A failure in the words that hold after content was handed out.
    fn after_commit(&self, mut failure: Failure) -> Failure {
        let kind = match failure.kind {
            kept @ (Kind::StreamTruncated
            | Kind::MalformedStream
            | Kind::StreamIdleTimeout
            | Kind::TooLarge
            | Kind::Deadline) => kept,
            _ => Kind::StreamInterrupted,
        };
        if kind == Kind::StreamInterrupted {
            failure.message =
                format!("the stream broke after event {}: {}", self.handed_out, failure.message);
        }
        failure.cause = Some(failure.kind);
        failure.kind = kind;
        failure.partial = self.state.partial_text();
        failure
    }
}

fn oversized(fault: &SseFault) -> Failure {
    Failure::new(Kind::TooLarge, fault.to_string())
}
