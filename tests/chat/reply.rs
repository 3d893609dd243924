//! What is an answer and what is not.

use fairlead::chat::reply::{ReplyFacts, ReplyFault, Shape, scan, snippet};
use fairlead::chat::warning::Warning;

fn chat(body: &str) -> Result<ReplyFacts, ReplyFault> {
    scan(Shape::Chat, body.as_bytes())
}

fn is_malformed(body: &[u8]) -> bool {
    matches!(scan(Shape::Chat, body), Err(ReplyFault::Malformed(_)))
}

fn in_band(body: &str) -> String {
    match chat(body) {
        Err(ReplyFault::InBand(text)) => text,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn an_answer_is_read() {
    let facts = chat(
        r#"{"id":"c1","model":"m\u0031","choices":[
            {"index":0,"finish_reason":"stop","message":{"content":"h\u00e9\n","reasoning":"abc"}},
            {"index":1,"finish_reason":"length","message":{"content":null,
             "tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}],
            "usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#,
    )
    .unwrap();
    assert_eq!((facts.id.as_deref(), facts.model.as_deref()), (Some("c1"), Some("m1")));
    assert_eq!(facts.finish.as_deref(), Some("stop"));
    assert_eq!(facts.usage.unwrap().total, 3);
    assert_eq!(facts.output_bytes, 4 + 3 + 1 + 2);
    assert!(facts.warnings.is_empty());
}

#[test]
fn f57_f65_f66_f67_what_is_not_json_is_malformed() {
    for body in [&b"{\"choices\":[{"[..], b"<html></html>", b"", b" \n ", b"{\"choices\":[{\"a\":\"\xff\"}]}"]
    {
        assert!(is_malformed(body), "{body:?}");
    }
}

#[test]
fn f60_deep_nesting_has_its_own_answer() {
    let body = format!("{{\"choices\":{}", "[".repeat(10_000));
    assert_eq!(chat(&body), Err(ReplyFault::TooDeep));
}

#[test]
fn f70_without_choices_there_is_no_answer() {
    for body in [
        "{}",
        r#"{"choices":null}"#,
        r#"{"choices":[]}"#,
        r#"{"choices":{}}"#,
        r#"{"choices":[1]}"#,
        r#"{"choices":[{},null]}"#,
        "[]",
        "1",
        "\"x\"",
    ] {
        assert!(is_malformed(body.as_bytes()), "{body}");
    }
}

#[test]
fn f68_f71_oddities_are_answers() {
    assert!(chat("\u{feff} \n{\"choices\":[{\"message\":{\"content\":null}}]}").is_ok());
    assert!(chat(r#"{"choices":[{}],"error":null}"#).is_ok());
    assert!(chat(r#"{"choices":[{"finish_reason":""}],"error":""}"#).unwrap().finish.is_none());
    assert!(chat(r#"{"choices":[{}],"error":{},"id":""}"#).unwrap().id.is_none());
}

#[test]
fn f84_errors_are_handed_on_to_be_classified() {
    for body in [
        r#"{"error":{"code":524}}"#,
        r#"{"error":"no"}"#,
        r#"{"error":{"code":1},"choices":[{}]}"#,
        r#"{"detail":[{"msg":"x"}]}"#,
        r#"{"message":"x"}"#,
        r#"{"object":"error","code":1}"#,
        r#"{"choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#,
    ] {
        assert_eq!(in_band(body), body);
    }
    assert_eq!(in_band(r#"{"choices":[{"error":{"code":502}}]}"#), r#"{"error":{"code":502}}"#);
    assert!(in_band(r#"{"choices":[{"finish_reason":"error"}]}"#).contains("finish_reason"));
    let padded = format!(r#"{{"pad":"{}","error":{{"code":1}}}}"#, "x".repeat(100_000));
    assert_eq!(in_band(&padded), r#"{"error":{"code":1}}"#);
}

#[test]
fn f89_f90_usage_is_absent_or_invalid() {
    let absent = chat(r#"{"choices":[{}],"usage":null}"#).unwrap();
    assert_eq!((absent.usage, absent.usage_invalid), (None, false));
    let invalid = chat(r#"{"choices":[{}],"usage":{"prompt_tokens":-1}}"#).unwrap();
    assert_eq!((invalid.usage, invalid.usage_invalid), (None, true));
    assert!(invalid.warnings.has(Warning::UsageInvalid));
}

#[test]
fn other_shapes_have_their_own_rule() {
    let ok = |shape, body: &str| scan(shape, body.as_bytes()).is_ok();
    assert!(ok(Shape::Embeddings, r#"{"data":[{"embedding":[1]}],"usage":{"total_tokens":1}}"#));
    assert!(!ok(Shape::Embeddings, r#"{"data":[]}"#));
    assert!(ok(Shape::Models, r#"{"data":[]}"#));
    assert!(ok(Shape::Models, r#"[{"id":"m"}]"#));
    assert!(!ok(Shape::Models, r#"{"models":[]}"#));
    assert!(ok(Shape::Any, r#"{"error":{"code":1}}"#));
    assert!(!ok(Shape::Any, "<html>"));
    assert!(ok(Shape::Any, " ") && !ok(Shape::Models, ""));
}

#[test]
fn a_snippet_is_short_and_printable() {
    assert_eq!(snippet(b"<html>\n\x00</html>"), "<html>  </html>");
    assert_eq!(snippet("é".repeat(300).as_bytes()).chars().count(), 100);
    assert_eq!(snippet(b"\xff"), "\u{fffd}");
}
