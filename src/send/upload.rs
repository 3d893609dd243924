//! A request body that tells how far it has gone: no client library says whether an upload moves.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;

use crate::clock::{self, Instant};

/// Handed over at once. The next piece is only asked for when there was room to send of the last one.
const PIECE: usize = 64 << 10;

/// How far an upload has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nobody has asked for it: there is no connection yet, or no place on it.
    Waiting,
    /// Of all that was handed over, something may have been sent; the last piece was taken at this time.
    Moving {
        /// Since then nothing more was taken.
        since: Instant,
        /// Was there more than one piece? Then of the first one something has been sent.
        begun: bool,
    },
    /// All of it was sent, as far as the connection lets it.
    Gone,
}

/// The view of whoever waits for the response.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<Mutex<Stage>>);

impl Progress {
    /// How far the upload is now.
    pub(super) fn stage(&self) -> Stage {
        *self.0.lock()
    }
}

/// The body.
#[derive(Debug)]
pub(super) struct Upload {
    rest: Bytes,
    progress: Progress,
}

impl Upload {
    /// A body of these bytes.
    pub(super) fn new(body: Bytes) -> Self {
        Self { rest: body, progress: Progress(Arc::new(Mutex::new(Stage::Waiting))) }
    }

    /// What may be watched while it is sent.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let most = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(most);
        let mut stage = self.progress.0.lock();
        *stage = Stage::Moving { since: clock::now(), begun: *stage != Stage::Waiting };
        drop(stage);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Whoever sends it lets go of it when the last piece has found room.
        *self.progress.0.lock() = Stage::Gone;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_upload_tells_when_a_piece_was_taken_last_and_when_all_are_gone() {
        let body = Bytes::from(vec![7; 2 * PIECE + 1]);
        let mut upload = Upload::new(body.clone());
        let progress = upload.progress();
        assert_eq!(progress.stage(), Stage::Waiting);
        let mut all = Vec::new();
        for begun in [false, true, true] {
            tokio::time::advance(std::time::Duration::from_secs(1)).await;
            let frame = poll_fn(|cx| Pin::new(&mut upload).poll_frame(cx)).await.unwrap().unwrap();
            all.extend_from_slice(frame.data_ref().unwrap());
            assert_eq!(progress.stage(), Stage::Moving { since: clock::now(), begun });
        }
        assert!(upload.is_end_stream() && all == body);
        drop(upload);
        assert_eq!(progress.stage(), Stage::Gone);
    }
}
