//! What an HTTP/2 error means: whose it was, and whether the upstream had begun with the request.

use std::time::Duration;

use h2::Reason;

use super::Broken;
use super::alarm::Due;
use crate::error::Kind;

/// So long a host that asked for calm is spoken to over HTTP/1.1.
pub(super) const CALM: Duration = Duration::from_secs(600);

/// What h2 names in its own GOAWAY where a header block was too large.
const OVERSIZED: [&str; 2] = ["header_list_way_too_large", "too_many_continuations"];

/// What became of a request.
#[derive(Debug)]
pub(super) enum Lost {
    /// There was no place for its stream.
    Queued,
    /// No head came within this limit.
    Silent(Due),
    /// The upstream had not begun with it (RFC 9113, section 8.7).
    Unprocessed(Broken),
    /// One of the two sides was flooded, and ended the connection.
    Calm(Broken),
    /// It failed.
    Broken(Broken),
}

/// What `cause` means for a request that waits for the head of its response, or for the rest of its body.
pub(super) fn meaning(cause: &h2::Error, before_head: bool) -> Option<Lost> {
    let reason = cause.reason()?;
    let text = cause.to_string();
    let broken = |kind| Broken::new(kind, format!("the upstream broke off over HTTP/2: {text}"));
    // So long as no head has come, a connection that shuts down in order has not begun with the request: what it
    // had begun with, it would have finished.
    let refused = cause.is_reset() && reason == Reason::REFUSED_STREAM;
    let leaving = cause.is_go_away() && reason == Reason::NO_ERROR;
    if before_head && cause.is_remote() && (refused || leaving) {
        return Some(Lost::Unprocessed(broken(Kind::ConnectionReset)));
    }
    let lost = if before_head { Kind::ConnectionReset } else { Kind::Truncated };
    if cause.is_library() {
        if OVERSIZED.iter().any(|mark| text.contains(mark)) {
            let message = format!("the response head is over its bound: {text}");
            return Some(Lost::Broken(Broken::new(Kind::TooLarge, message)));
        }
        if reason == Reason::ENHANCE_YOUR_CALM {
            return Some(Lost::Calm(broken(lost)));
        }
        return Some(Lost::Broken(broken(Kind::Protocol)));
    }
    match reason {
        Reason::ENHANCE_YOUR_CALM => Some(Lost::Calm(broken(lost))),
        _ => Some(Lost::Broken(broken(lost))),
    }
}
