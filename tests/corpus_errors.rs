//! Every error of the recorded corpus gets the class that its own judgement asks for. Skips where the corpus is
//! not at hand; `tests/classify.rs` proves the table without it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use fairlead::error::{Failure, Kind, Other, Same};
use fairlead::retry::classify::{self, Response};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// A moment after every date in the corpus.
const WALL: Duration = Duration::from_secs(1_795_000_000);

#[test]
fn every_recorded_error_is_classified_as_the_corpus_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/errors.jsonl");
    let Ok(lines) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: no corpus at ../shared/corpus/errors.jsonl");
        return;
    };
    let entries: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(entries.len() > 100, "the corpus is cut short: {} entries", entries.len());
    let faults: Vec<String> = entries.iter().flat_map(faults_of).collect();
    assert!(faults.is_empty(), "{} of {} entries:\n{}", faults.len(), entries.len(), faults.join("\n"));
}

fn faults_of(entry: &Value) -> Vec<String> {
    let expect = &entry["expect"];
    let id = entry["id"].as_str().unwrap();
    let Some(failure) = failure_of(entry) else {
        eprintln!("{id}: HTTP 200 without any error in it; the scan of replies and streams decides");
        return Vec::new();
    };
    let class = expect["class"].as_str().unwrap();
    let also = expect["also_ok"].as_array().unwrap();
    if !kinds(class).contains(&failure.kind) {
        if also.iter().any(|also| kinds(also.as_str().unwrap()).contains(&failure.kind)) {
            eprintln!("{id}: {:?}, arguable: the corpus says {class} first", failure.kind);
            return Vec::new();
        }
        return vec![format!("{id}: {:?}, not {class}: {}", failure.kind, failure.message)];
    }
    let mut faults = Vec::new();
    let wait = failure.retry_after.map(|wait| wait.as_secs_f64());
    if let Some(asked) = expect["retry_after_s"].as_f64()
        && wait.is_none_or(|wait| (wait - asked).abs() > 1e-6)
    {
        faults.push(format!("{id}: wait {wait:?}, not {asked}"));
    }
    let mid_stream = expect["phase"] == "mid_stream";
    let rule = failure.kind.rule();
    let same = rule.same != Same::Never && failure.should_retry != Some(false);
    if !mid_stream && expect["retry_same"].as_bool() != Some(same) {
        faults.push(format!("{id}: same {same}, not {}", expect["retry_same"]));
    }
    let other = match rule.other {
        Other::Never => Value::Bool(false),
        Other::Yes => Value::Bool(true),
        Other::LargerWindow => "if_larger_context".into(),
        Other::IfPolicyAllows => "if_policy_allows".into(),
    };
    if !mid_stream && expect["other_deployment"] != other {
        faults.push(format!("{id}: other {other}, not {}", expect["other_deployment"]));
    }
    if failure.message.is_empty() || failure.message.len() > 2048 {
        faults.push(format!("{id}: message {:?}", failure.message));
    }
    faults
}

fn failure_of(entry: &Value) -> Option<Failure> {
    let body = entry["response"]["body_text"].as_str().unwrap_or_default();
    let status = u16::try_from(entry["response"]["status"].as_u64().unwrap()).unwrap();
    let headers: HeaderMap = entry["response"]["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value.as_str().unwrap()).unwrap())
        })
        .collect();
    let provider = entry["provider"].as_str().unwrap();
    let response = |body| Response { provider, status, headers: &headers, body, wall: WALL };
    if status != 200 {
        return Some(classify::response(&response(body.as_bytes())));
    }
    let event = body.lines().filter_map(|line| line.strip_prefix("data:")).find(|data| holds_error(data));
    let document = event.or_else(|| holds_error(body).then_some(body))?;
    Some(classify::in_band(&response(document.as_bytes())))
}

fn holds_error(text: &str) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return false };
    ["error", "promptFeedback", "base_resp"]
        .iter()
        .any(|name| value.get(*name).is_some_and(|it| !it.is_null()))
}

fn kinds(class: &str) -> &'static [Kind] {
    match class {
        "auth" => &[Kind::Authentication],
        "permission" => &[Kind::PermissionDenied],
        "not_found" => &[Kind::NotFound],
        "bad_request" => &[Kind::BadRequest, Kind::Unprocessable, Kind::Status],
        "context_length" => &[Kind::ContextLength],
        "content_filter" => &[Kind::ContentFiltered],
        "rate_limit" => &[Kind::RateLimit],
        "quota" => &[Kind::Quota],
        "overloaded" => &[Kind::Overloaded],
        // A gateway's timeout is a server's failure: 408, 504 and 524 have no class of their own.
        "server" | "timeout" => &[Kind::Server, Kind::Conflict],
        other => panic!("unknown class {other}"),
    }
}
