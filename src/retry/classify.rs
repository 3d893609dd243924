//! From a response that is not an answer to a [`Failure`]: what it says is read by `evidence`, what it means is
//! looked up in [`table`](super::table), the wait it asks for is found by [`hint`](super::hint).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};

use super::evidence::{Evidence, shorten};
use super::hint;
use super::scrub::scrub;
use super::table::{self, Row, Seen};
use crate::error::Failure;

/// The provider's sentence is kept up to this many bytes.
const LONGEST_MESSAGE: usize = 2 * 1024;

/// The error body is kept up to this many bytes.
const LONGEST_BODY: usize = 64 * 1024;

/// A response header value is kept up to this many bytes.
const LONGEST_HEADER: usize = 512;

/// A response that is not an answer.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The preset's id, for the rows of one provider.
    pub provider: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// All response headers.
    pub headers: &'a HeaderMap,
    /// As much of the body as was read.
    pub body: &'a [u8],
    /// Our clock, as time since the Unix epoch.
    pub wall: Duration,
}

/// What a response with a status other than 2xx means. Total: no status, header or body makes it panic.
pub fn response(response: &Response<'_>) -> Failure {
    failure(response, &evidence_of(response), response.status)
}

/// The row of the table that decides about a response with a status other than 2xx.
pub fn row(response: &Response<'_>) -> &'static Row {
    decide(response, &evidence_of(response), response.status)
}

fn evidence_of(response: &Response<'_>) -> Evidence {
    let mut evidence = Evidence::read(response.body);
    if let Some(mark) = text(response.headers, "x-amzn-errortype") {
        evidence.marks.push(mark.split(':').next().unwrap_or(mark).to_lowercase());
    }
    evidence
}

fn decide(response: &Response<'_>, evidence: &Evidence, status: u16) -> &'static Row {
    table::find(&Seen { provider: response.provider, status, marks: &evidence.marks, said: &evidence.said })
}

/// What an error inside an HTTP 200 means; `body` is the JSON text that carried it. It gets the class and the status
/// of its HTTP form; an error that names neither counts as the server's own (500).
pub fn in_band(response: &Response<'_>) -> Failure {
    let evidence = Evidence::read(response.body);
    let status = evidence.status.or_else(|| named_status(&evidence.marks)).unwrap_or(500);
    Failure { in_band: true, ..failure(response, &evidence, status) }
}

/// The HTTP form of error names that are used inside streams (Anthropic's and OpenAI's error pages).
const HTTP_FORMS: &[(&str, u16)] = &[
    ("overloaded_error", 529),
    ("rate_limit_error", 429),
    ("rate_limit_exceeded", 429),
    ("insufficient_quota", 429),
    ("timeout_error", 504),
    ("authentication_error", 401),
    ("invalid_api_key", 401),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("model_not_found", 404),
    ("request_too_large", 413),
    ("billing_error", 402),
    ("prompt_blocked", 400),
    ("invalid_request_error", 400),
    ("invalid_prompt", 400),
    ("api_error", 500),
    ("server_error", 500),
];

fn named_status(marks: &[String]) -> Option<u16> {
    HTTP_FORMS.iter().find(|(name, _)| marks.iter().any(|mark| mark == name)).map(|(_, status)| *status)
}

fn failure(response: &Response<'_>, evidence: &Evidence, status: u16) -> Failure {
    let headers = response.headers;
    let row = decide(response, evidence, status);
    Failure {
        status: Some(status),
        headers: shown_headers(headers),
        body: shown_body(response.body),
        request_id: request_id(headers).or_else(|| evidence.request_id.clone()),
        retry_after: hint::of(headers, evidence, response.wall),
        should_retry: should_retry(headers, row),
        code: evidence.code.as_deref().map(scrub),
        error_type: evidence.error_type.as_deref().map(scrub),
        param: evidence.param.as_deref().map(scrub),
        ..Failure::new(row.kind, message(evidence, status))
    }
}

fn message(evidence: &Evidence, status: u16) -> String {
    match &evidence.message {
        Some(message) => scrub(shorten(message, LONGEST_MESSAGE)),
        None => format!("the upstream answered {status} without saying why"),
    }
}

/// `x-should-retry` wins; a request that can never fit says no by itself.
fn should_retry(headers: &HeaderMap, row: &Row) -> Option<bool> {
    match text(headers, "x-should-retry") {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ if row.hopeless => Some(false),
        _ => None,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Where providers put the request id.
static REQUEST_IDS: [HeaderName; 6] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("apim-request-id"),
    HeaderName::from_static("x-ms-request-id"),
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("x-debug-trace-id"),
];

/// The provider's request id.
pub fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = REQUEST_IDS.iter().find_map(|name| headers.get(name)?.to_str().ok())?;
    Some(shorten(id, LONGEST_HEADER).to_owned())
}

/// Headers that are shown on an error.
const SHOWN: &[&str] =
    &["content-type", "date", "cf-ray", "x-should-retry", "openai-processing-ms", "openai-version"];

/// Beginnings of the names of further headers that are shown.
const SHOWN_FAMILIES: &[&str] = &["retry-after", "x-ratelimit-", "anthropic-ratelimit-"];

/// The response headers worth showing, keys of known patterns scrubbed; whatever else was sent stays out of logs.
pub fn shown_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = |name: &str| {
        SHOWN.contains(&name)
            || REQUEST_IDS.iter().any(|id| id == name)
            || SHOWN_FAMILIES.iter().any(|family| name.starts_with(family))
    };
    let pairs = headers.iter().filter(|(name, _)| shown(name.as_str()));
    pairs
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?)))
        .map(|(name, value)| (name, scrub(shorten(value, LONGEST_HEADER))))
        .collect()
}

fn shown_body(body: &[u8]) -> Bytes {
    let body = body.get(..LONGEST_BODY).unwrap_or(body);
    Bytes::from(scrub(&String::from_utf8_lossy(body)))
}
