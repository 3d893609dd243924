//! What the fields after a body say: gRPC tells there how it ended (its protocol over HTTP/2, "Trailers").

use http::HeaderMap;

use super::Broken;
use crate::error::Kind;
use crate::retry::hint::scrub;

/// Of the message so many characters are shown.
const LONGEST_MESSAGE: usize = 512;

/// The failure that the trailers of a response tell; none where they tell success, or nothing.
pub(super) fn failure(trailers: &HeaderMap) -> Option<Broken> {
    let field = |name| trailers.get(name).and_then(|value| value.to_str().ok());
    let code = field("grpc-status")?.trim().parse::<u32>().ok().filter(|code| *code != 0)?;
    let (name, status, kind) = meaning(code);
    let said = field("grpc-message").map(percent_decoded).unwrap_or_default();
    let said = if said.is_empty() { said } else { format!(": {said}") };
    let message = format!("the answer ended in an error: {name} (grpc-status {code}){said}");
    Some(Broken { status: Some(status), ..Broken::new(kind, message) })
}

/// Name, HTTP status and kind of a code (google/rpc/code.proto names the statuses).
fn meaning(code: u32) -> (&'static str, u16, Kind) {
    match code {
        1 => ("CANCELLED", 499, Kind::Truncated),
        3 => ("INVALID_ARGUMENT", 400, Kind::BadRequest),
        4 => ("DEADLINE_EXCEEDED", 504, Kind::Server),
        5 => ("NOT_FOUND", 404, Kind::NotFound),
        6 => ("ALREADY_EXISTS", 409, Kind::Conflict),
        7 => ("PERMISSION_DENIED", 403, Kind::PermissionDenied),
        8 => ("RESOURCE_EXHAUSTED", 429, Kind::RateLimit),
        9 => ("FAILED_PRECONDITION", 400, Kind::BadRequest),
        10 => ("ABORTED", 409, Kind::Conflict),
        11 => ("OUT_OF_RANGE", 400, Kind::BadRequest),
        12 => ("UNIMPLEMENTED", 501, Kind::Server),
        13 => ("INTERNAL", 500, Kind::Server),
        14 => ("UNAVAILABLE", 503, Kind::Server),
        15 => ("DATA_LOSS", 500, Kind::Server),
        16 => ("UNAUTHENTICATED", 401, Kind::Authentication),
        _ => ("UNKNOWN", 500, Kind::Server),
    }
}

/// gRPC percent-encodes what is not printable ASCII.
fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let escaped = (*byte == b'%').then(|| after.get(..2)).flatten();
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    let text = String::from_utf8_lossy(&decoded);
    scrub(&text.chars().take(LONGEST_MESSAGE).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trailers(status: &'static str, message: &'static str) -> HeaderMap {
        let fields = [("grpc-status", status), ("grpc-message", message)];
        fields
            .into_iter()
            .map(|(name, value)| (name.parse().unwrap(), http::HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn f56_success_nothing_and_nonsense_are_no_failure() {
        for status in ["0", " 0", "", "-1", "ok", "99999999999"] {
            assert!(failure(&trailers(status, "x")).is_none(), "{status}");
        }
        assert!(failure(&HeaderMap::new()).is_none());
    }

    #[test]
    fn f56_a_code_has_the_status_and_the_kind_of_its_http_form() {
        let broken = failure(&trailers("14", "try%20again%2C%20%E4%BB%A3%zz%4")).unwrap();
        assert_eq!((broken.kind, broken.status), (Kind::Server, Some(503)));
        assert!(broken.message.ends_with("UNAVAILABLE (grpc-status 14): try again, 代%zz%4"), "{broken:?}");
        assert_eq!(failure(&trailers("77", "")).unwrap().status, Some(500));
    }
}
