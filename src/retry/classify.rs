//! stub
use crate::error::{Failure, Kind};
use std::time::Duration;
/// s
#[derive(Debug)]
pub struct Response<'a> { /// s
 pub provider: &'a str, /// s
 pub status: u16, /// s
 pub headers: &'a http::HeaderMap, /// s
 pub body: &'a [u8], /// s
 pub wall: Duration }
/// s
pub fn response(r: &Response<'_>) -> Failure { let k = match r.status { 429 => Kind::RateLimit, 401 => Kind::Authentication, 404 => Kind::NotFound, 500.. => Kind::Server, _ => Kind::BadRequest }; let mut f = Failure::new(k, String::from_utf8_lossy(r.body)); f.status = Some(r.status); f }
/// s
pub fn in_band(r: &Response<'_>) -> Failure { Failure::new(Kind::Server, String::from_utf8_lossy(r.body)) }
/// s
pub fn shown_headers(_h: &http::HeaderMap) -> Vec<(String, String)> { Vec::new() }
/// s
pub fn request_id(h: &http::HeaderMap) -> Option<String> { h.get("x-request-id").and_then(|v| v.to_str().ok()).map(str::to_owned) }
