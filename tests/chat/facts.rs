//! What a scan of a request finds.

use fairlead::chat::estimate::Prompt;
use fairlead::chat::facts::{Facts, Needs, Session, SessionKind, Wants};
use fairlead::chat::json;
use proptest::prelude::*;
use serde_json::json;

fn scan(body: &[u8]) -> Result<Facts, json::Fault> {
    fairlead::chat::facts::scan(body, Wants::NOTHING)
}

fn facts(body: &serde_json::Value) -> Facts {
    scan(body.to_string().as_bytes()).unwrap()
}

fn wanted(body: &serde_json::Value, wants: Wants) -> Facts {
    fairlead::chat::facts::scan(body.to_string().as_bytes(), wants).unwrap()
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
        prompt: Prompt {
            text: 167,
            schema: 56,
            beyond_ascii: 2,
            messages: 3,
            images: 1,
            ..Prompt::default()
        },
        model: "smärt".into(),
        stream: true,
        include_usage: true,
        last_user_text: "what is \"this\"?".into(),
        messages: 3,
        has_tools: true,
        has_images: true,
        images: 1,
        needs_json_schema: true,
        max_output: Some(7),
        user: Some("u1".into()),
        metadata: vec![("lang".into(), "py".into()), ("tries".into(), "2".into())],
        body_bytes: body.to_string().len(),
        choices: 3,
        models: 1,
        own_options: false,
        output_limits: 0b011,
        stream_options: found.stream_options.clone(),
        ..Facts::default()
    };
    let options = found.stream_options.clone().unwrap();
    assert_eq!(body.to_string().get(options), Some(r#"{"include_usage":true}"#));
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
    let stream_options = found.stream_options.clone();
    assert_eq!(body.to_string().get(stream_options.clone().unwrap()), Some("null"));
    let body_bytes = body.to_string().len();
    let expected = Facts {
        prompt: Prompt { schema: 4, ..Prompt::default() },
        body_bytes,
        models: 1,
        odd_model: true,
        output_limits: 0b001,
        stream_options,
        ..Facts::default()
    };
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

#[test]
fn all_text_and_the_systems_are_there_for_who_wants_them() {
    let body = json!({
        "system": [{"type": "text", "text": "top"}], "instructions": "also",
        "messages": [
            {"role": "system", "content": "be \u{e9}"},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": null},
            {"content": "no role", "role": 1},
            {"role": "developer", "content": "short"},
            {"role": "tool", "content": "42"},
        ],
    });
    let found = wanted(&body, Wants::TEXT | Wants::SYSTEM);
    assert_eq!(found.text, "be \u{e9}\nab\nno role\nshort\n42");
    assert_eq!(found.system, "top\nalso\nbe \u{e9}\nshort");
    assert_eq!((found.last_user_text.as_str(), found.messages), ("ab", 6));
    let unasked = facts(&body);
    assert_eq!((unasked.text.as_str(), unasked.system.as_str()), ("", ""));
}

#[test]
fn long_texts_are_cut_at_64_kib_where_a_character_ends() {
    let message = json!({"role": "system", "content": "\u{4ee3}".repeat(15_000)});
    let found = wanted(&json!({"messages": [message, message, message]}), Wants::ALL);
    // 45,000 bytes, a line feed, and as many whole characters as fit.
    assert_eq!(found.text.len(), 45_001 + (65_536 - 45_001) / 3 * 3);
    assert_eq!(found.text, found.system);
}

#[test]
fn an_input_without_messages_is_what_the_user_says() {
    let said = |input: serde_json::Value| wanted(&json!({"input": input}), Wants::ALL);
    assert_eq!(said(json!("embed me")).last_user_text, "embed me");
    assert_eq!(said(json!("embed me")).text, "embed me");
    assert_eq!(said(json!(["one", "two", 3])).last_user_text, "one\ntwo");
    assert_eq!(said(json!([[1, 2], [3]])).last_user_text, "");
    let found = said(json!([
        {"role": "developer", "content": "rules"},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image"}]},
        {"type": "function_call_output", "output": "x"},
    ]));
    assert_eq!((found.last_user_text.as_str(), found.text.as_str()), ("hi", "rules\nhi"));
    assert_eq!((found.system.as_str(), found.has_images, found.messages), ("rules", true, 0));
    let both = json!({"input": "no", "messages": [{"role": "user", "content": "yes"}]});
    assert_eq!(facts(&both).last_user_text, "yes");
}

#[test]
fn needs_are_read_from_what_is_asked_for() {
    let needs = |body: serde_json::Value| facts(&body).needs().iter().collect::<Vec<_>>();
    assert!(needs(json!({})).is_empty());
    assert_eq!(needs(json!({"response_format": {"type": "json_object"}})), ["json_object"]);
    assert_eq!(needs(json!({"text": {"format": {"type": "json_schema"}}})), ["json_schema"]);
    let everything = json!({
        "response_format": {"type": "json_schema"}, "tools": [{}], "reasoning_effort": "low",
        "messages": [{"role": "user", "content": [{"type": "image_url"}]}],
    });
    assert_eq!(needs(everything.clone()), ["json_schema", "tools", "vision", "reasoning"]);
    assert!(
        facts(&everything).needs().has(Needs::TOOLS) && !facts(&everything).needs().has(Needs::JSON_OBJECT)
    );
    for reasoning in [
        json!({"reasoning": {"max_tokens": 5}}),
        json!({"reasoning": {"effort": "high"}}),
        json!({"thinking": {"type": "enabled", "budget_tokens": 1}}),
    ] {
        assert_eq!(needs(reasoning), ["reasoning"]);
    }
    for none in [
        json!({"reasoning": {}}),
        json!({"reasoning": {"enabled": false}}),
        json!({"reasoning": {"effort": "none"}}),
        json!({"reasoning_effort": null}),
        json!({"reasoning_effort": "none"}),
        json!({"thinking": {"type": "disabled"}}),
        json!({"reasoning": null, "thinking": null, "text": "x"}),
    ] {
        assert!(needs(none.clone()).is_empty(), "{none}");
    }
}

#[test]
fn the_most_telling_name_of_the_conversation_counts() {
    let session = |body: serde_json::Value| facts(&body).session.map(|session| (session.kind, session.value));
    let all =
        json!({"thread_id": "t", "previous_response_id": "r", "prompt_cache_key": "c", "session_id": "s"});
    assert_eq!(session(all), Some((SessionKind::Session, "s".into())));
    let fewer =
        json!({"thread_id": "t", "previous_response_id": "r", "prompt_cache_key": "", "session_id": 5});
    assert_eq!(session(fewer), Some((SessionKind::Response, "r".into())));
    assert_eq!(session(json!({"thread_id": "t\n"})), Some((SessionKind::Thread, "t\n".into())));
    assert_eq!(facts(&json!({"user": "u"})).session, None::<Session>);
}

#[test]
fn the_prefix_tells_the_first_4_kib_of_the_messages_and_nothing_else() {
    let prefix = |start: &str, end: &str, model: &str| {
        let content = format!("{start}{}{end}", "x".repeat(5000));
        wanted(&json!({"model": model, "messages": [{"content": content}]}), Wants::PREFIX).prefix
    };
    let first = prefix("a", "", "m").unwrap();
    assert_eq!(prefix("a", " and more", "other"), Some(first));
    assert_ne!(prefix("b", "", "m"), Some(first));
    // Affinity survives restarts and releases: this number never changes.
    assert_eq!(first, PREFIX);
    assert_eq!(wanted(&json!({"messages": [{"content": "short"}]}), Wants::ALL).prefix, None);
    assert_eq!(facts(&json!({"messages": [{"content": "x".repeat(5000)}]})).prefix, None);
}

const PREFIX: u64 = 14_503_028_211_894_882_831;

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

#[test]
fn pictures_sounds_and_files_are_weighed_apart_from_text() {
    let part = |kind: &str| json!({"type": kind, "data": "A".repeat(3000)});
    let with = |kind: &str| {
        let content = json!([{"type": "text", "text": "hear"}, part(kind)]);
        facts(&json!({"messages": [{"role": "user", "content": content}]})).prompt
    };
    let bytes = part("file").to_string().len();
    let plain =
        facts(&json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hear"}]}]})).prompt;
    for kind in ["input_audio", "file", "document"] {
        let found = with(kind);
        assert_eq!((found.attachments, found.images), (1, 0), "{kind}");
        assert_eq!(found.attached, bytes + kind.len() - "file".len());
        assert_eq!(found.text, plain.text + 1, "no more than the comma");
    }
    let found = with("image_url");
    assert_eq!((found.attachments, found.images, found.text), (0, 1, plain.text + 1));
    let found = facts(&json!({"model": "m", "input": ["one", "two"], "instructions": "be brief"})).prompt;
    assert_eq!((found.text, found.messages), (r#""one","two""#.len() + "be brief".len(), 0));
}
