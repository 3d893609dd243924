//! What a call is answered with.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use crate::admit::AttemptPermit;
use crate::call::Landing;
use crate::error::{Attempt, Error};
use crate::send::attempt::Landed;
use crate::send::stream::Opening;
use crate::settle::{Open, Receipt, Story};

/// A reply or a stream.
#[derive(Debug)]
pub enum Answer {
    /// A complete reply.
    Reply(Reply),
    /// A stream that has committed.
    Stream(Box<ReplyStream>),
}

/// A complete reply; its JSON has been checked.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Arc<HeaderMap>,
    /// The body as the upstream sent it.
    pub body: Bytes,
    /// Why and how.
    pub receipt: Arc<Receipt>,
}

impl Answer {
    pub(crate) fn new(landing: Landing, mut story: Story) -> Self {
        let Landing { landed, history, mut attempt_permit } = landing;
        match landed {
            Landed::Whole { status, headers, body, facts } => {
                let receipt = story.answered(&history, &facts, &mut attempt_permit);
                Self::Reply(Reply { status, headers, body, receipt })
            }
            Landed::Stream(opening) => {
                story.streaming(&history, &opening);
                let held = Some(Held { permit: attempt_permit, _open: story.open_stream() });
                Self::Stream(Box::new(ReplyStream { opening: *opening, story, history, held }))
            }
        }
    }
}

/// A streamed reply. Dropping it before its end closes the upstream connection and settles what was received.
#[derive(Debug)]
pub struct ReplyStream {
    opening: Opening,
    story: Story,
    history: Vec<Attempt>,
    /// Until its end, or until it broke.
    held: Option<Held>,
}

/// What a stream that is read holds.
#[derive(Debug)]
struct Held {
    permit: AttemptPermit,
    _open: Open,
}

impl ReplyStream {
    /// The status of the winning attempt.
    pub fn status(&self) -> u16 {
        self.opening.status
    }

    /// The headers of the winning attempt.
    pub fn headers(&self) -> &Arc<HeaderMap> {
        &self.opening.headers
    }

    /// Why and how; complete only after the end.
    pub fn receipt(&self) -> Arc<Receipt> {
        self.story.receipt()
    }

    /// The payloads of the next network read, each checked; `None` at the proper end, after which only
    /// [`ReplyStream::finish`] is worth calling.
    ///
    /// # Errors
    ///
    /// What broke the stream, with what had been received; nothing follows it.
    pub async fn next(&mut self) -> Option<Result<Vec<Bytes>, Error>> {
        match self.opening.next().await {
            Some(Ok(payloads)) => {
                self.story.piece();
                Some(Ok(payloads))
            }
            Some(Err(failure)) => {
                if let Some(last) = self.history.last_mut() {
                    last.kind = Some(failure.kind);
                }
                let error = Error::from_failure(failure)
                    .with_attempts(std::mem::take(&mut self.history))
                    .about(self.story.subject())
                    .denied("commit");
                if let Some(mut held) = self.held.take() {
                    self.story.stream_failed(&error, self.opening.state(), &mut held.permit);
                }
                Some(Err(error))
            }
            None => {
                if let Some(mut held) = self.held.take() {
                    self.story.stream_ended(self.opening.state(), &mut held.permit);
                }
                None
            }
        }
    }

    /// Reads the tail, so that the connection can serve again; at most `timeouts.tail` and `bounds.tail`.
    pub async fn finish(&mut self) {
        self.opening.finish().await;
    }
}

impl Drop for ReplyStream {
    fn drop(&mut self) {
        if let Some(mut held) = self.held.take() {
            self.story.stream_dropped(self.opening.state(), &mut held.permit);
        }
    }
}
