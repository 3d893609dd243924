//! The classification table: every row has a reply that lands on it, and no bytes make it panic.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::time::Duration;

use fairlead::error::{Failure, Kind};
use fairlead::retry::classify::{self, Response};
use fairlead::retry::table::{ROWS, Seen};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

const WALL: Duration = Duration::from_secs(1_795_000_000);

/// Row, provider, status, body: made up, in the providers' shapes.
const REPLIES: &[(&str, &str, u16, &str)] = &[
    ("groq tool call sampling", "groq", 400, r#"{"error":{"message":"no","code":"tool_use_failed"}}"#),
    ("zhipu account", "zhipu", 429, r#"{"error":{"code":"1113","message":"recharge"}}"#),
    ("zhipu content", "zhipu", 400, r#"{"error":{"code":"1301","message":"unsafe"}}"#),
    ("zhipu model", "zai", 400, r#"{"error":{"code":"1211","message":"model"}}"#),
    ("minimax balance", "minimax", 500, r#"{"base_resp":{"status_code":1008,"status_msg":"low"}}"#),
    ("minimax rate", "minimax", 500, r#"{"base_resp":{"status_code":1002,"status_msg":"slow"}}"#),
    (
        "dashscope throttle",
        "dashscope",
        429,
        r#"{"error":{"code":"insufficient_quota","message":"Allocated quota exceeded, wait"}}"#,
    ),
    (
        "openrouter daily limit",
        "openrouter",
        429,
        r#"{"error":{"code":429,"message":"no","metadata":{"limit_source":"openrouter_free_daily"}}}"#,
    ),
    (
        "openrouter free daily limit",
        "openrouter",
        429,
        r#"{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-day."}}"#,
    ),
    (
        "gemini limit of zero",
        "gemini",
        429,
        r#"[{"error":{"code":429,"message":"quota, limit: 0, model: x"}}]"#,
    ),
    (
        "gemini limit per day",
        "gemini",
        429,
        r#"{"error":{"code":429,"message":"quota","details":[{"violations":[{"quotaId":"RequestsPerDay-Free"}]}]}}"#,
    ),
    (
        "larger than the limit per minute",
        "openai",
        429,
        r#"{"error":{"message":"Request too large for x on tokens per min","code":"rate_limit_exceeded"}}"#,
    ),
    ("quota code", "openai", 429, r#"{"error":{"message":"quota","type":"insufficient_quota","code":null}}"#),
    ("context code", "openai", 400, r#"{"error":{"message":"long","code":"context_length_exceeded"}}"#),
    ("content code", "azure", 400, r#"{"error":{"message":"no","code":"content_filter"}}"#),
    ("model code", "openai", 400, r#"{"error":{"message":"gone","code":"model_not_found"}}"#),
    ("key code", "gemini", 400, r#"{"error":{"message":"no","details":[{"reason":"API_KEY_INVALID"}]}}"#),
    (
        "permission code",
        "openai",
        400,
        r#"{"error":{"message":"no","code":"unsupported_country_region_territory"}}"#,
    ),
    (
        "overload code",
        "anthropic",
        500,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#,
    ),
    (
        "throttle code",
        "ark",
        403,
        r#"{"error":{"code":"RateLimitExceeded.EndpointTPMExceeded","message":"x"}}"#,
    ),
    ("quota wording", "anthropic", 400, r#"{"error":{"message":"Your credit balance is too low"}}"#),
    ("key wording", "xai", 400, r#"{"code":"invalid-argument","error":"Incorrect API key provided."}"#),
    ("context wording", "cohere", 400, r#"{"message":"prompt is too long"}"#),
    (
        "context wording of a server",
        "vllm",
        500,
        r#"{"message":"maximum context length is 10","object":"error"}"#,
    ),
    ("content wording", "openrouter", 403, r#"{"error":{"message":"x requires moderation"}}"#),
    ("region wording", "gemini", 400, r#"{"error":{"message":"User location is not supported"}}"#),
    ("model wording", "voyage", 400, r#"{"detail":"Model x is not supported. Supported models are []"}"#),
    ("missing model", "openai", 400, r#"{"error":{"message":"The requested model 'x' does not exist."}}"#),
    ("no channel for the model", "new-api", 503, r#"{"error":{"message":"模型 x 无可用渠道"}}"#),
    ("overload wording of a relay", "one-api", 429, r#"{"error":{"message":"当前分组上游负载已饱和"}}"#),
    ("overload wording", "gemini", 503, r#"{"error":{"message":"The model is overloaded."}}"#),
    ("throttle wording", "groq", 413, r#"{"error":{"message":"over the rate limit"}}"#),
    ("redirect", "openai", 307, ""),
    ("400", "openai", 400, "{}"),
    ("401", "openai", 401, ""),
    ("402", "openai", 402, ""),
    ("403", "openai", 403, "<html><title>Forbidden</title></html>"),
    ("404", "openai", 404, ""),
    ("408", "openai", 408, ""),
    ("409", "openai", 409, ""),
    ("422", "openai", 422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#),
    ("429", "openai", 429, ""),
    ("groq flex capacity", "groq", 498, ""),
    ("other 4xx", "openai", 413, "too large"),
    ("529", "anthropic", 529, ""),
];

fn failure(provider: &str, status: u16, pairs: &[(&'static str, &str)], body: &[u8]) -> Failure {
    let headers: HeaderMap = pairs
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    classify::response(&Response { provider, status, headers: &headers, body, wall: WALL })
}

fn in_band(body: &str) -> Failure {
    let headers = HeaderMap::new();
    classify::in_band(&Response {
        provider: "openai",
        status: 200,
        headers: &headers,
        body: body.as_bytes(),
        wall: WALL,
    })
}

#[test]
fn every_row_is_reached_by_a_reply_of_its_own() {
    let mut reached = HashSet::new();
    for (name, provider, status, body) in REPLIES {
        let headers = HeaderMap::new();
        let (provider, status, body) = (*provider, *status, body.as_bytes());
        let row = classify::row(&Response { provider, status, headers: &headers, body, wall: WALL });
        assert_eq!(row.name, *name);
        reached.insert(*name);
    }
    let missed: Vec<_> = ROWS.iter().map(|row| row.name).filter(|name| !reached.contains(name)).collect();
    assert!(missed.is_empty(), "rows without a reply: {missed:?}");
}

#[test]
fn every_row_has_a_name_of_its_own_and_lower_case_words() {
    let names: HashSet<_> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), ROWS.len());
    for word in ROWS.iter().flat_map(|row| [row.codes, row.says, row.also_says].concat()) {
        assert_eq!(word, word.to_lowercase(), "the table compares in lower case");
    }
}

#[test]
fn c1_any_status_has_a_class() {
    for status in 0..=1100 {
        let kind = failure("openai", status, &[], b"").kind;
        match status {
            300..=399 => assert_eq!(kind, Kind::Redirect, "{status}"),
            408 | 500..=528 | 530..=1100 => assert_eq!(kind, Kind::Server, "{status}"),
            400..=499 => assert!(!matches!(kind, Kind::Server | Kind::Overloaded), "{status}: {kind:?}"),
            529 => assert_eq!(kind, Kind::Overloaded),
            _ => assert_eq!(kind, Kind::Server, "{status}"),
        }
    }
    assert_eq!(failure("openai", 418, &[], b"").kind, Kind::Status);
    assert_eq!(failure("openai", 413, &[], b"").kind, Kind::Status);
}

#[test]
fn c2_in_band_errors_get_the_class_and_status_of_their_http_form() {
    for (name, kind, status) in [
        ("overloaded_error", Kind::Overloaded, 529),
        ("rate_limit_error", Kind::RateLimit, 429),
        ("api_error", Kind::Server, 500),
        ("timeout_error", Kind::Server, 504),
        ("authentication_error", Kind::Authentication, 401),
        ("permission_error", Kind::PermissionDenied, 403),
        ("not_found_error", Kind::NotFound, 404),
        ("billing_error", Kind::Quota, 402),
        ("invalid_request_error", Kind::BadRequest, 400),
        ("who_knows", Kind::Server, 500),
    ] {
        let seen = in_band(&format!(r#"{{"type":"error","error":{{"type":"{name}","message":"x"}}}}"#));
        assert_eq!((seen.kind, seen.status, seen.in_band), (kind, Some(status), true), "{name}");
    }
    let numbered =
        in_band(r#"{"id":"x","choices":[],"error":{"code":502,"message":"Provider returned error"}}"#);
    assert_eq!((numbered.kind, numbered.status), (Kind::Server, Some(502)));
    assert_eq!(in_band(r#"{"error":"it broke"}"#).message, "it broke");
}

#[test]
fn c6_what_the_upstream_says_about_retrying_is_kept() {
    assert_eq!(failure("x", 500, &[("x-should-retry", "false")], b"").should_retry, Some(false));
    assert_eq!(failure("x", 400, &[("x-should-retry", "true")], b"").should_retry, Some(true));
    assert_eq!(failure("x", 500, &[], b"").should_retry, None);
}

#[test]
fn a_request_larger_than_a_minute_allows_is_not_sent_there_again() {
    let body = br#"{"error":{"message":"Request too large for x on tokens per minute (TPM): Limit 1","code":"rate_limit_exceeded"}}"#;
    let seen = failure("groq", 413, &[], body);
    assert_eq!((seen.kind, seen.should_retry), (Kind::RateLimit, Some(false)));
}

#[test]
fn the_providers_own_words_are_kept() {
    let body = br#"{"error":{"message":"No such thing","type":"t","param":"p","code":7}}"#;
    let seen = failure("openai", 400, &[("x-request-id", "req_1"), ("set-cookie", "a=b")], body);
    assert_eq!(seen.message, "No such thing");
    assert_eq!(seen.error_type.as_deref(), Some("t"));
    assert_eq!((seen.param.as_deref(), seen.code.as_deref()), (Some("p"), Some("7")));
    assert_eq!(seen.request_id.as_deref(), Some("req_1"));
    assert_eq!(seen.headers, [("x-request-id".to_owned(), "req_1".to_owned())]);
    assert_eq!(&seen.body[..], body);
}

#[test]
fn the_cause_inside_openrouters_wrapper_counts() {
    let body = r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"prompt is too long\"}}"}}}"#;
    let seen = failure("openrouter", 400, &[], body.as_bytes());
    assert_eq!(seen.kind, Kind::ContextLength);
    assert_eq!(seen.message, "Provider returned error: prompt is too long");
}

#[test]
fn bodies_that_are_not_json_still_make_a_sentence() {
    let html = failure("openai", 502, &[], b"<html><head><title>502 Bad Gateway</title></head></html>");
    assert_eq!(html.message, "502 Bad Gateway");
    assert_eq!(failure("vllm", 503, &[], b"upstream connect error").message, "upstream connect error");
    assert_eq!(failure("vllm", 503, &[], b"").message, "the upstream answered 503 without saying why");
    let event = failure("openai", 500, &[], b"event: error\ndata: {\"error\":{\"message\":\"late\"}}\n\n");
    assert_eq!(event.message, "late");
}

#[test]
fn k7_a_key_that_the_upstream_echoes_is_scrubbed_everywhere() {
    let key = "sk-proj-abcdefghijklmnopqrstuvwxyz";
    let body = format!(r#"{{"error":{{"message":"bad key {key}","code":"{key}","param":"{key}"}}}}"#);
    let seen = failure("openai", 401, &[("x-ratelimit-key", key)], body.as_bytes());
    assert!(!format!("{seen:?}").contains("abcdefghijklmnop"), "{seen:?}");
}

#[test]
fn sizes_are_bounded() {
    let body = format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(10_000));
    assert_eq!(failure("openai", 400, &[], body.as_bytes()).message.len(), 2048);
    assert_eq!(failure("openai", 400, &[], &vec![b'x'; 1 << 20]).body.len(), 64 * 1024);
}

#[test]
fn a_row_reads_no_case_and_no_echoed_input() {
    let body = r#"{"error":{"message":"bad tool","failed_generation":"insufficient balance"}}"#;
    assert_eq!(failure("openai", 400, &[], body.as_bytes()).kind, Kind::BadRequest);
    let seen = Seen { provider: "openai", status: 400, marks: &[], said: "insufficient balance" };
    assert_eq!(fairlead::retry::table::find(&seen).kind, Kind::Quota);
}

proptest! {
    #[test]
    fn no_response_makes_it_panic(
        status in any::<u16>(),
        body in proptest::collection::vec(any::<u8>(), 0..2000),
        json in "[\\[{]{1,5}\"(error|detail|message|code)\":[\\[{\"a-z0-9:,}\\]]{0,60}",
    ) {
        for bytes in [body.as_slice(), json.as_bytes()] {
            let seen = failure("openrouter", status, &[], bytes);
            prop_assert!(!seen.message.is_empty() || !bytes.is_empty());
            let headers = HeaderMap::new();
            let _ = classify::in_band(&Response { provider: "", status, headers: &headers, body: bytes, wall: WALL });
        }
    }
}
