//! What a scan of a request finds.

use fairlead::chat::facts::{Facts, scan};
use proptest::prelude::*;
use serde_json::json;

fn facts(body: &serde_json::Value) -> Facts {
    scan(body.to_string().as_bytes()).unwrap()
}

#[test]
fn a_full_request_is_read() {
    let body = json!({
        "model": "smärt", "stream": true, "stream_options": {"include_usage": true}, "n": 3,
        "messages": [
            {"role": "user", "content": "first"},
            {"role": "user", "content": [
                {"type": "text", "text": "what is "},
                {"type": "image_url", "image_url": {"url": "data:,"}},
                {"type": "text", "text": "\"this\"?"},
            ]},
            {"role": "assistant", "content": "hm"},
        ],
        "tools": [{"type": "function"}], "response_format": {"type": "json_schema", "json_schema": {}},
        "max_tokens": 5, "max_completion_tokens": 7, "user": "u1", "metadata": {"lang": "py", "tries": 2},
    });
    let found = facts(&body);
    let expected = Facts {
        model: "smärt".into(),
        stream: true,
        include_usage: true,
        last_user_text: "what is \"this\"?".into(),
        messages: 3,
        has_tools: true,
        has_images: true,
        needs_json_schema: true,
        max_output: Some(7),
        user: Some("u1".into()),
        metadata: vec![("lang".into(), "py".into()), ("tries".into(), "2".into())],
        body_bytes: body.to_string().len(),
        choices: 3,
        models: 1,
        own_options: false,
        output_limits: 0b011,
    };
    assert_eq!(found, expected);
}

#[test]
fn no_body_has_no_facts() {
    assert_eq!(scan(b"").unwrap(), Facts::default());
    assert_eq!(Facts::default().choices, 1);
    assert!(scan(b"{").is_err());
}

#[test]
fn members_of_the_wrong_kind_are_as_good_as_absent() {
    let body = json!({"model": 1, "stream": "yes", "n": -1, "messages": {}, "tools": {}, "user": [], "metadata": [],
        "max_tokens": "many", "stream_options": null, "response_format": "text"});
    let found = facts(&body);
    let expected =
        Facts { body_bytes: body.to_string().len(), models: 1, output_limits: 0b001, ..Facts::default() };
    assert_eq!(found, expected);
    assert!(found.bounds_output_other_than("max_completion_tokens"));
    assert!(!found.bounds_output_other_than("max_tokens"));
    assert_eq!(scan(b"[1]").unwrap(), Facts { body_bytes: 3, ..Facts::default() });
}

#[test]
fn f59_the_last_duplicate_wins_however_it_is_escaped() {
    let found = scan(br#"{"model":"a","mod\u0065l":"b","n":2,"n":4}"#).unwrap();
    assert_eq!((found.model.as_str(), found.choices), ("b", 4));
}

proptest! {
    #[test]
    fn the_text_is_a_prefix_of_at_most_4_kib(text in any::<String>(), times in 0..400_usize, ascii: bool) {
        let text = text.repeat(times);
        let mut body = json!({"messages": [{"role": "user", "content": text}]}).to_string();
        if ascii {
            body = body.chars().map(|character| match character as u32 {
                code @ 0x80..0x1_0000 => format!("\\u{code:04x}"),
                _ => character.to_string(),
            }).collect();
        }
        let found = scan(body.as_bytes()).unwrap().last_user_text;
        prop_assert!(text.starts_with(&found));
        prop_assert_eq!(found.len(), text.floor_char_boundary(4096));
    }
}
