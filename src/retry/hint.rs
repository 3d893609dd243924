//! The wait that a failed response asks for, wherever it says so.
//!
//! In order: `retry-after-ms`, `retry-after` (seconds, a Go duration or a date), a delay in the body
//! (`google.rpc.RetryInfo`, `estimated_time`), a sentence in the message ("Please try again in 35.883s"), the reset
//! that OpenRouter passes on in the body. Only failures are asked: some providers send `retry-after` with success.

use std::time::Duration;

use http::HeaderMap;

use super::evidence::Evidence;
pub use super::scrub::{is_key, scrub};
use crate::provider::moment;

/// What stands before a wait in the providers' sentences, lower-case.
const SENTENCES: &[&str] =
    &["try again in ", "try again after ", "retry in ", "retry after ", "retry your request after "];

/// The wait that a failed response asks for; `wall` is our clock, used where the response has no `Date`.
///
/// Negative numbers, NaN and junk are no hint; a date in the past is a wait of zero; `inf` and other huge numbers
/// are kept, capped at 100 days, so that a call gives up at once instead of guessing.
pub fn retry_after(headers: &HeaderMap, body: &[u8], wall: Duration) -> Option<Duration> {
    of(headers, &Evidence::read(body), wall)
}

/// As [`retry_after`], from a body that has been read already.
pub(super) fn of(headers: &HeaderMap, evidence: &Evidence, wall: Duration) -> Option<Duration> {
    let sentence = from_sentence(&evidence.said);
    let header = from_headers(headers, wall);
    match (header, sentence) {
        // Whole-second headers round the sentence's wait up; the precise one is what the upstream means.
        (Some(header), Some(sentence)) if rounds_up_to(sentence, header) => Some(sentence),
        (Some(header), _) => Some(header),
        (None, _) => evidence.delay.or(sentence).or_else(|| {
            let now = moment::sender_now(headers, wall);
            evidence.reset.as_deref().and_then(|text| moment::reset(text, now))
        }),
    }
}

fn rounds_up_to(precise: Duration, whole: Duration) -> bool {
    whole.checked_sub(precise).is_some_and(|rounding| rounding < Duration::from_secs(1))
}

fn from_headers(headers: &HeaderMap, wall: Duration) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let exact = text("retry-after-ms").and_then(moment::milliseconds);
    // Azure sends `retry-after-ms: 0` beside `retry-after: 1`: the zero says nothing.
    exact
        .filter(|wait| !wait.is_zero())
        .or_else(|| text("retry-after").and_then(|text| header_wait(text, headers, wall)))
        .or(exact)
}

fn header_wait(text: &str, headers: &HeaderMap, wall: Duration) -> Option<Duration> {
    moment::seconds(text).or_else(|| moment::span(text)).or_else(|| {
        let date = moment::date(text)?;
        Some(date.saturating_sub(moment::sender_now(headers, wall)).min(moment::LONGEST))
    })
}

fn from_sentence(said: &str) -> Option<Duration> {
    SENTENCES.iter().find_map(|sentence| {
        let (_, wait) = said.split_once(sentence)?;
        moment::leading_span(wait)
    })
}

#[cfg(test)]
#[allow(clippy::duration_suboptimal_units, reason = "the numbers are those on the wire")]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const WALL: Duration = Duration::from_secs(1_792_567_680); // Wed, 21 Oct 2026 07:28:00 GMT

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        map
    }

    fn by_header(pairs: &[(&'static str, &str)]) -> Option<f64> {
        retry_after(&headers(pairs), b"", WALL).map(|wait| wait.as_secs_f64())
    }

    fn by_body(body: &str) -> Option<f64> {
        retry_after(&HeaderMap::new(), body.as_bytes(), WALL).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn f94_huge_waits_are_kept_and_capped() {
        let longest = Some(moment::LONGEST.as_secs_f64());
        assert_eq!(by_header(&[("retry-after", "100000")]), Some(100_000.0));
        assert_eq!(by_header(&[("retry-after", "inf")]), longest);
        assert_eq!(by_header(&[("retry-after", "1e9")]), longest);
        assert_eq!(by_header(&[("retry-after", "10h17m")]), Some(37_020.0));
    }

    #[test]
    fn f95_negative_nan_empty_and_junk_are_no_hint() {
        let junk = "x".repeat(400);
        for value in ["-5", "nan", "", "soon", "1 2", junk.as_str()] {
            assert_eq!(by_header(&[("retry-after", value)]), None, "{value}");
        }
        assert_eq!(by_header(&[("retry-after", "\u{fffd}")]), None);
    }

    #[test]
    fn f96_dates_past_future_and_skewed() {
        assert_eq!(by_header(&[("retry-after", "Wed, 21 Oct 2026 07:27:00 GMT")]), Some(0.0));
        assert_eq!(by_header(&[("retry-after", "Wed, 21 Oct 2026 07:28:30 GMT")]), Some(30.0));
        // The sender's clock is an hour ahead of ours; its wait is ten seconds all the same.
        let skewed =
            [("retry-after", "Wed, 21 Oct 2026 08:28:10 GMT"), ("date", "Wed, 21 Oct 2026 08:28:00 GMT")];
        assert_eq!(by_header(&skewed), Some(10.0));
    }

    #[test]
    fn milliseconds_come_first_unless_they_say_nothing() {
        assert_eq!(by_header(&[("retry-after", "3"), ("retry-after-ms", "250")]), Some(0.25));
        assert_eq!(by_header(&[("retry-after", "1"), ("retry-after-ms", "0")]), Some(1.0));
        assert_eq!(by_header(&[("retry-after-ms", "0")]), Some(0.0));
        assert_eq!(by_header(&[("retry-after", "0.5"), ("retry-after-ms", "-1")]), Some(0.5));
    }

    #[test]
    fn of_two_headers_the_first_wins() {
        assert_eq!(by_header(&[("retry-after", "3"), ("retry-after", "9")]), Some(3.0));
    }

    #[test]
    fn sentences_are_read() {
        for (message, wait) in [
            ("Rate limit reached. Please try again in 35.883s. Visit", 35.883),
            ("Please try again in 644ms.", 0.644),
            ("Rate limit is exceeded. Try again in 2 seconds.", 2.0),
            ("Please retry after 86400 seconds. Please go here", 86_400.0),
            ("max RPM: 3, please try again after 1 seconds", 1.0),
            ("Please try again in 1m30.002s.", 90.002),
            ("Please retry in 10h17m5.5s.", 37_025.5),
        ] {
            let body = format!(r#"{{"error":{{"message":"{message}"}}}}"#);
            let seen = by_body(&body).unwrap();
            assert!((seen - wait).abs() < 1e-6, "{message}: {seen}");
        }
        assert_eq!(by_body(r#"{"error":{"message":"Please try again in a moment."}}"#), None);
    }

    #[test]
    fn a_header_rounded_up_yields_to_the_precise_sentence() {
        let body = br#"{"error":{"message":"Please try again in 1m30.002s."}}"#;
        let wait =
            |value| retry_after(&headers(&[("retry-after", value)]), body, WALL).unwrap().as_secs_f64();
        assert!((wait("91") - 90.002).abs() < 1e-6);
        assert!((wait("120") - 120.0).abs() < 1e-6);
        assert!((wait("5") - 5.0).abs() < 1e-6);
    }

    #[test]
    fn bodies_carry_delays_in_their_own_forms() {
        let info = r#"[{"error":{"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"46s"}]}}]"#;
        assert_eq!(by_body(info), Some(46.0));
        assert_eq!(by_body(r#"{"error":"Model x is currently loading","estimated_time":20.5}"#), Some(20.5));
        let reset = r#"{"error":{"code":429,"metadata":{"headers":{"X-RateLimit-Reset":"1792567690000"}}}}"#;
        assert_eq!(by_body(reset), Some(10.0));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            header in proptest::collection::vec(any::<u8>(), 0..80),
            body in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let mut map = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&header) {
                map.append("retry-after", value.clone());
                map.append("date", value);
            }
            prop_assert!(retry_after(&map, &body, WALL).is_none_or(|wait| wait <= moment::LONGEST));
        }
    }
}
