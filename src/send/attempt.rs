//! One attempt: one upstream request, and what its response amounts to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::mask::Mask;
use super::reader::Reader;
use super::stream::Opening;
use super::{Exchange, Limits, Outgoing};
use crate::chat::reply::{self, ReplyFacts, ReplyFault, Shape};
use crate::clock;
use crate::config::Bounds;
use crate::defect;
use crate::error::{Failure, Kind};
use crate::provider::limit_headers::{self, LimitView};
use crate::retry::classify;
use crate::route::Candidate;

/// An error body is read up to here.
const ERROR_BODY: usize = 64 << 10;
/// Larger replies are scanned on the blocking pool, so that one does not hold up everybody's sockets.
const SCAN_INLINE: usize = 256 << 10;

/// What is asked of one candidate.
#[derive(Debug)]
pub struct Job<'a> {
    /// The request.
    pub outgoing: Outgoing,
    /// Who is asked.
    pub candidate: &'a Candidate,
    /// What a proper reply looks like.
    pub shape: Shape,
    /// Was a stream asked for?
    pub stream: bool,
    /// Choices asked for.
    pub choices: u64,
    /// Does the caller want the event that holds nothing but usage?
    pub wants_usage: bool,
    /// How long everything may take.
    pub limits: Limits,
    /// How much of everything there may be.
    pub bounds: &'a Bounds,
}

/// What an attempt found out beside its answer, answered or not.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Waiting for the connection.
    pub connected_in: Option<Duration>,
    /// From the start of the attempt to the response head.
    pub first_byte: Option<Duration>,
    /// Was the request repeated because a reused connection had died?
    pub repeated: bool,
    /// What the response's headers tell of the provider's limits.
    pub told: Vec<LimitView>,
}

/// A response that is an answer.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the common case is the large one: a box would cost it an allocation"
)]
pub enum Landed {
    /// A complete reply, scanned.
    Whole {
        /// The status.
        status: u16,
        /// The headers.
        headers: Arc<HeaderMap>,
        /// The body.
        body: Bytes,
        /// What the scan found.
        facts: ReplyFacts,
    },
    /// A stream that has committed.
    Stream(Box<Opening>),
}

impl Landed {
    /// Status and headers.
    pub fn head(&self) -> (u16, &Arc<HeaderMap>) {
        match self {
            Self::Whole { status, headers, .. } => (*status, headers),
            Self::Stream(opening) => (opening.status, &opening.headers),
        }
    }
}

/// Runs the attempt; `trace` is filled as far as it got.
///
/// # Errors
///
/// The failure, classified, with status, request id and headers where a response had begun, and without any key.
pub async fn run(job: &Job<'_>, trace: &mut Trace) -> Result<Landed, Failure> {
    defect::at(defect::Stage::Send);
    let landed = exchange(job, trace).await;
    landed.map_err(|failure| Mask::of(&job.outgoing.headers).hide(failure))
}

async fn exchange(job: &Job<'_>, trace: &mut Trace) -> Result<Landed, Failure> {
    let sent = job.candidate.deployment.transport.send(&job.outgoing, &job.limits).await;
    let exchange = sent.inspect_err(|broken| trace.repeated = broken.repeated)?;
    trace.connected_in = Some(exchange.connected_in);
    trace.first_byte = Some(clock::now().saturating_duration_since(job.limits.started));
    trace.repeated = exchange.repeated;
    let (status, headers) = (exchange.status, Arc::clone(&exchange.headers));
    trace.told = limits_told(&headers);
    let landed = land(job, exchange).await;
    landed.map_err(|failure| with_head(failure, status, &headers))
}

/// Few hosts tell their limits: the headers are read for them only where one has such a name.
fn limits_told(headers: &HeaderMap) -> Vec<LimitView> {
    if headers.keys().any(|name| name.as_str().contains("ratelimit")) {
        limit_headers::read(headers, clock::wall())
    } else {
        Vec::new()
    }
}

async fn land(job: &Job<'_>, exchange: Exchange) -> Result<Landed, Failure> {
    let (status, headers) = (exchange.status, exchange.headers);
    // Some statuses forbid a body, so there is nothing to wait for.
    if matches!(status, 204 | 205 | 304) {
        if job.shape == Shape::Any && status != 304 {
            let (body, facts) = (Bytes::new(), ReplyFacts::default());
            return Ok(Landed::Whole { status, headers, body, facts });
        }
        return Err(Failure::new(Kind::Malformed, format!("status {status} where a reply was expected")));
    }
    let mut reader = Reader::new(exchange.body, &headers, job.limits, job.bounds.body)?;
    if !(200..300).contains(&status) {
        let body = reader.prefix(ERROR_BODY).await;
        return Err(classify::response(&response(job, status, &headers, &body)));
    }
    if job.stream && !is(&headers, "application/json") {
        if is(&headers, "text/html") {
            let body = reader.prefix(200).await;
            return Err(not_an_answer("text/html instead of a stream", &body));
        }
        return Opening::open(job, status, headers, reader).await.map(|open| Landed::Stream(Box::new(open)));
    }
    let body = reader.whole(job.bounds.body).await?;
    let facts = scan(job, status, &headers, &body).await?;
    if job.stream {
        return Err(not_an_answer("a whole reply instead of a stream", &body));
    }
    Ok(Landed::Whole { status, headers, body, facts })
}

async fn scan(
    job: &Job<'_>,
    status: u16,
    headers: &Arc<HeaderMap>,
    body: &Bytes,
) -> Result<ReplyFacts, Failure> {
    let shape = job.shape;
    let scanned = if body.len() > SCAN_INLINE {
        let body = body.clone();
        let scan = tokio::task::spawn_blocking(move || reply::scan(shape, &body)).await;
        scan.map_err(|_| Failure::new(Kind::Internal, "scanning the reply did not finish"))?
    } else {
        reply::scan(shape, body)
    };
    scanned.map_err(|fault| match fault {
        ReplyFault::InBand(error) => classify::in_band(&response(job, status, headers, error.as_bytes())),
        ReplyFault::Malformed(what) => not_an_answer(&what, body),
        ReplyFault::TooDeep => not_an_answer("JSON nested deeper than 128 levels", body),
    })
}

/// The response as the classifier wants it.
fn response<'a>(
    job: &Job<'a>,
    status: u16,
    headers: &'a HeaderMap,
    body: &'a [u8],
) -> classify::Response<'a> {
    let provider = job.candidate.deployment.preset.id;
    classify::Response { provider, status, headers, body, wall: clock::wall() }
}

fn is(headers: &HeaderMap, content_type: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.get(..content_type.len()).is_some_and(|start| start.eq_ignore_ascii_case(content_type))
}

fn not_an_answer(what: &str, body: &[u8]) -> Failure {
    let shown = crate::retry::hint::scrub(&reply::snippet(body));
    let message = if shown.trim().is_empty() {
        format!("HTTP 200 that is not an answer: {what}")
    } else {
        format!("HTTP 200 that is not an answer: {what}: {}", shown.trim())
    };
    Failure::new(Kind::Malformed, message)
}

/// Every failure after the head tells the status, the request id and the headers worth showing.
fn with_head(mut failure: Failure, status: u16, headers: &HeaderMap) -> Failure {
    failure.status = failure.status.or(Some(status));
    if failure.headers.is_empty() {
        failure.headers = classify::shown_headers(headers);
    }
    if failure.request_id.is_none() {
        failure.request_id = classify::request_id(headers);
    }
    failure
}
