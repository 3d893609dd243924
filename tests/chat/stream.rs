//! The state of a stream over crafted events.

use fairlead::chat::event::{EventFault, Step, StreamState};
use fairlead::chat::usage::Service;
use fairlead::chat::warning::Warning;
use proptest::prelude::*;
use serde_json::{Value, json};

fn state() -> StreamState {
    StreamState::new(1, false)
}

fn delta(delta: Value) -> String {
    json!({"id": "c1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
        .to_string()
}

fn say(text: &str) -> String {
    delta(json!({"content": text}))
}

fn finish(reason: &str) -> String {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}).to_string()
}

fn take(state: &mut StreamState, event: &str) -> Step {
    state.event(event.as_bytes()).unwrap_or_else(|fault| panic!("{event}: {fault:?}"))
}

fn after(events: &[&str]) -> StreamState {
    let mut state = state();
    for event in events {
        take(&mut state, event);
    }
    state
}

fn fault(before: &[&str], event: &str) -> EventFault {
    after(before).event(event.as_bytes()).unwrap_err()
}

fn is_malformed(before: &[&str], event: &str) -> bool {
    matches!(fault(before, event), EventFault::Malformed(_))
}

#[test]
fn a_plain_stream_goes_through_every_step() {
    let mut state = state();
    assert_eq!(take(&mut state, &delta(json!({"role": "assistant", "content": ""}))), Step::Preamble);
    assert_eq!(take(&mut state, &say("Hé\n")), Step::Commit);
    assert_eq!(take(&mut state, &say("llo")), Step::Content);
    assert!(!state.finished());
    assert_eq!(take(&mut state, &finish("stop")), Step::Content);
    assert!(state.finished() && !state.done());
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
    assert_eq!(take(&mut state, usage), Step::Content);
    assert_eq!(take(&mut state, "[DONE]"), Step::Done);
    assert!(state.finished() && state.done());
    assert_eq!(state.partial_text(), "Hé\nllo");
    assert_eq!(state.output_bytes(), 7);
    assert_eq!(state.usage().unwrap().total, 3);
    assert_eq!((state.id(), state.model(), state.finish()), (Some("c1"), Some("m"), Some("stop")));
    assert!(state.warnings().is_empty());
}

#[test]
fn every_kind_of_content_commits() {
    for content in [
        json!({"content": "x"}),
        json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "x"}]}]}),
        json!({"reasoning": "x"}),
        json!({"reasoning_content": "x"}),
        json!({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}),
        json!({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}),
        json!({"function_call": {"name": "f"}}),
        json!({"refusal": "no"}),
        json!({"audio": {"id": "a"}}),
        json!({"images": [{"type": "image_url"}]}),
    ] {
        assert_eq!(take(&mut state(), &delta(content.clone())), Step::Commit, "{content}");
    }
}

#[test]
fn what_says_nothing_does_not_commit() {
    for nothing in [
        delta(json!({"role": "assistant"})),
        delta(
            json!({"content": "", "refusal": "", "reasoning": null, "tool_calls": [], "function_call": null}),
        ),
        delta(json!({"content": null, "reasoning_details": [], "audio": null})),
        delta(Value::Null),
        json!({"choices": [{"index": 0}]}).to_string(),
        json!({"choices": [], "id": "", "model": "", "object": ""}).to_string(),
        json!({"choices": null}).to_string(),
        json!({"type": "ping"}).to_string(),
        String::new(),
        "  ".into(),
        finish("stop"),
    ] {
        assert_eq!(take(&mut state(), &nothing), Step::Preamble, "{nothing}");
    }
}

#[test]
fn a_finish_without_content_ends_the_stream() {
    let state = after(&[&finish("content_filter")]);
    assert!(state.finished() && !state.committed());
}

#[test]
fn content_and_finish_may_share_an_event() {
    let event =
        json!({"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}).to_string();
    let mut state = state();
    assert_eq!(take(&mut state, &event), Step::Commit);
    assert!(state.finished());
}

#[test]
fn f70_usage_alone_is_legal_but_broken_choices_are_not() {
    assert_eq!(after(&[r#"{"usage":{"prompt_tokens":1}}"#]).usage().unwrap().input, 1);
    for event in
        [r#"{"choices":{}}"#, r#"{"choices":[1]}"#, r#"{"choices":[null]}"#, "[]", "1", "\"x\"", "null"]
    {
        assert!(is_malformed(&[], event), "{event}");
    }
}

#[test]
fn an_event_with_usage_alone_is_told_apart() {
    let usage = r#""usage":{"prompt_tokens":1,"completion_tokens":1}"#;
    for (event, alone) in [
        (format!(r#"{{"choices":[],{usage}}}"#), true),
        (format!(r#"{{"choices":[{{"index":0,"delta":{{}}}}],{usage}}}"#), false),
        (r#"{"choices":[],"usage":null}"#.to_owned(), false),
        (r#"{"choices":[]}"#.to_owned(), false),
    ] {
        assert_eq!(after(&[&say("x"), &event]).only_usage(), alone, "{event}");
    }
}

#[test]
fn f72_without_a_finish_it_is_not_finished() {
    assert!(!after(&[&say("x")]).finished());
    assert!(!after(&[]).finished());
}

#[test]
fn f73_a_finish_is_enough() {
    let state = after(&[&say("x"), &finish("stop")]);
    assert!(state.finished() && state.warnings().has(Warning::MissingDone));
}

#[test]
fn f74_done_without_a_finish_is_truncation_unless_the_host_never_finishes() {
    let empty = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": ""}]}).to_string();
    assert!(!after(&[&say("x"), &empty, "[DONE]"]).finished());
    assert!(!after(&["[DONE]"]).finished());
    let mut lenient = StreamState::new(1, true);
    take(&mut lenient, &say("x"));
    assert!(!lenient.finished());
    take(&mut lenient, " [DONE] ");
    assert!(lenient.finished());
    let mut nothing = StreamState::new(1, true);
    take(&mut nothing, "[DONE]");
    assert!(!nothing.finished());
}

#[test]
fn f75_whatever_follows_done_is_ignored() {
    let mut state = after(&[&say("x"), &finish("stop"), "[DONE]"]);
    for event in ["[DONE]", "{broken", &say("more"), r#"{"error":{"code":1}}"#, ""] {
        assert_eq!(take(&mut state, event), Step::AfterEnd);
    }
    assert_eq!(state.partial_text(), "x");
    assert!(state.finished() && state.warnings().has(Warning::DataAfterDone));
}

#[test]
fn f81_f82_errors_are_handed_on_whole() {
    let said = say("x");
    for event in [
        r#"{"error":{"code":529,"message":"Overloaded"}}"#,
        r#"{"error":"bad"}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"error"}],"error":{"code":"server_error"}}"#,
        r#"{"detail":"x"}"#,
        r#"{"message":"x","code":1}"#,
    ] {
        for before in [&[][..], &[said.as_str(), &said, &said]] {
            assert_eq!(fault(before, event), EventFault::InBand(event.to_owned()));
        }
    }
    let alone = EventFault::InBand(r#"{"error":{"code":1}}"#.to_owned());
    assert_eq!(fault(&[], r#"[{"error":{"code":1}}]"#), alone);
    assert_eq!(fault(&[], r#"{"choices":[{"index":0,"error":{"code":1}}]}"#), alone);
    assert_eq!(fault(&[], r#"{"choices":[],"x_groq":{"error":{"code":1}}}"#), alone);
    let mute = fault(&[], r#"{"choices":[{"index":0,"finish_reason":"error"}]}"#);
    assert!(matches!(mute, EventFault::InBand(text) if text.contains("finish_reason")));
}

#[test]
fn an_error_that_is_empty_is_none() {
    for error in [json!(null), json!({}), json!(""), json!(false)] {
        let event = json!({"error": error, "choices": [{"index": 0, "delta": {"content": "x"}}]}).to_string();
        assert_eq!(take(&mut state(), &event), Step::Commit);
    }
}

#[test]
fn f83_an_error_after_the_answer_is_a_warning() {
    let mut state = after(&[&say("x"), &finish("stop")]);
    let event = r#"{"error":{"code":400},"choices":[{"index":0,"delta":{"content":""}}],"usage":{"prompt_tokens":43}}"#;
    assert_eq!(take(&mut state, event), Step::AfterEnd);
    assert_eq!(take(&mut state, "{broken"), Step::AfterEnd);
    assert!(state.finished());
    assert_eq!(state.usage().unwrap().input, 43);
    assert!(state.warnings().has(Warning::ErrorAfterFinish));
    assert!(state.warnings().has(Warning::MalformedAfterFinish));
}

#[test]
fn an_error_after_an_answer_that_was_cut_off_says_why_and_is_an_error() {
    assert!(matches!(
        fault(&[&say("x"), &finish("length")], r#"{"error":{"code":400}}"#),
        EventFault::InBand(_)
    ));
}

#[test]
fn an_error_after_a_finish_without_content_is_still_an_error() {
    assert!(matches!(fault(&[&finish("length")], r#"{"error":{"code":400}}"#), EventFault::InBand(_)));
}

#[test]
fn broken_events_are_malformed() {
    for event in ["{", "{\"choices\":[NaN]}", "data", "{} {}"] {
        assert!(is_malformed(&[], event), "{event}");
        assert!(is_malformed(&[&say("x")], event), "{event}");
    }
    assert!(matches!(state().event(b"{\"a\":\"\xff\"}"), Err(EventFault::Malformed(_))));
    let deep = "[".repeat(10_000);
    assert!(is_malformed(&[], &deep));
}

fn call(index: Value) -> String {
    delta(json!({"tool_calls": [{"index": index, "function": {"arguments": "{}"}}]}))
}

#[test]
fn f85_tool_calls_may_arrive_in_any_order() {
    let calls: Vec<String> = [1, 0, 2, 1, 0].into_iter().map(|index| call(json!(index))).collect();
    let mut events: Vec<&str> = calls.iter().map(String::as_str).collect();
    let end = finish("tool_calls");
    events.push(&end);
    assert!(after(&events).finished());
    let whole = delta(json!({"tool_calls": [{"function": {}}, {"function": {}}]}));
    assert!(after(&[&whole, &end]).finished());
    assert!(after(&[&call(Value::Null), &end]).finished());
}

#[test]
fn f86_impossible_tool_indexes_and_gaps_are_malformed() {
    for index in [json!(-1), json!(1_000_000), json!(128), json!(0.5), json!("0"), json!(1e30)] {
        assert!(is_malformed(&[], &call(index.clone())), "{index}");
    }
    assert!(is_malformed(&[&call(json!(0)), &call(json!(2))], &finish("tool_calls")));
    assert!(is_malformed(&[&call(json!(1))], &finish("tool_calls")));
    assert!(is_malformed(&[], &delta(json!({"tool_calls": [1]}))));
    let full: Vec<String> = (0..128).map(|index| call(json!(index))).collect();
    let mut events: Vec<&str> = full.iter().map(String::as_str).collect();
    let end = finish("tool_calls");
    events.push(&end);
    assert!(after(&events).finished());
}

#[test]
fn impossible_choice_indexes_are_malformed() {
    for index in [json!(-1), json!(128), json!("0"), json!(1.5)] {
        assert!(is_malformed(&[], &json!({"choices": [{"index": index}]}).to_string()), "{index}");
    }
    take(&mut state(), &json!({"choices": [{"index": 127, "delta": {"content": "x"}}]}).to_string());
}

#[test]
fn f87_the_first_finish_counts() {
    let state = after(&[&say("x"), &finish("stop"), &finish("length")]);
    assert_eq!(state.finish(), Some("stop"));
    assert!(state.warnings().has(Warning::FinishTwice));
}

#[test]
fn f88_the_last_usage_counts() {
    let usage = |count: i64| json!({"choices": [], "usage": {"prompt_tokens": count}}).to_string();
    assert_eq!(after(&[&usage(1), &usage(5)]).usage().unwrap().input, 5);
    let groq = r#"{"choices":[],"x_groq":{"id":"r","usage":{"prompt_tokens":7}}}"#;
    assert_eq!(after(&[groq]).usage().unwrap().input, 7);
    let moonshot = r#"{"choices":[{"index":0,"delta":{},"usage":{"prompt_tokens":8}}]}"#;
    assert_eq!(after(&[moonshot]).usage().unwrap().input, 8);
}

#[test]
fn f89_f90_usage_is_absent_or_invalid() {
    assert_eq!(after(&[r#"{"choices":[],"usage":null}"#]).usage(), None);
    let invalid = r#"{"choices":[],"usage":{"prompt_tokens":1e308}}"#;
    let valid = r#"{"choices":[],"usage":{"prompt_tokens":2}}"#;
    let state = after(&[valid, invalid]);
    assert_eq!((state.usage(), state.usage_invalid()), (None, true));
    assert!(state.warnings().has(Warning::UsageInvalid));
    let mended = after(&[invalid, valid]);
    assert!(mended.usage().is_some() && !mended.usage_invalid() && mended.warnings().is_empty());
}

#[test]
fn f91_a_change_of_model_is_a_warning() {
    let named = |model: &str| json!({"model": model, "id": model, "choices": []}).to_string();
    let azure = after(&[&named(""), &named("gpt"), &named(""), &named("gpt")]);
    assert_eq!((azure.model(), azure.warnings().is_empty()), (Some("gpt"), true));
    let changed = after(&[&named("gpt"), &named("claude")]);
    assert_eq!((changed.model(), changed.id()), (Some("gpt"), Some("gpt")));
    assert!(changed.warnings().has(Warning::ModelChanged));
}

#[test]
fn s3_every_choice_must_finish() {
    let part = |index: u64, reason: Value| {
        json!({"choices": [{"index": index, "delta": {"content": "x"}, "finish_reason": reason}]}).to_string()
    };
    let mut both = StreamState::new(2, false);
    take(&mut both, &part(0, json!("stop")));
    assert!(!both.finished(), "the second choice has not begun");
    take(&mut both, &part(1, json!(null)));
    assert!(!both.finished(), "the second choice has not ended");
    take(&mut both, &part(1, json!("stop")));
    assert!(both.finished());
    assert_eq!(both.partial_text(), "x");

    let mut ignored = StreamState::new(2, false);
    take(&mut ignored, &part(0, json!("stop")));
    take(&mut ignored, "[DONE]");
    assert!(ignored.finished(), "the upstream knows no second choice");
    assert!(!after(&[&part(0, json!("stop")), &part(1, json!(null))]).finished());
}

#[test]
fn the_text_kept_is_bounded() {
    let mut state = state();
    let event = say(&"x".repeat(300_000));
    for _ in 0..10 {
        take(&mut state, &event);
    }
    assert_eq!(state.partial_text().len(), 900_000);
    assert_eq!(state.output_bytes(), 3_000_000);
}

#[test]
fn a_message_stands_in_for_a_missing_delta() {
    let event =
        json!({"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]}).to_string();
    let mut state = state();
    assert_eq!(take(&mut state, &event), Step::Commit);
    assert_eq!(state.partial_text(), "x");
    let both = json!({"choices": [{"index": 0, "message": {"content": "all"}, "delta": {"content": "a"}}]});
    assert_eq!(after(&[&both.to_string()]).partial_text(), "a");
}

proptest! {
    #[test]
    fn text_survives_its_pieces(pieces in prop::collection::vec(any::<String>(), 0..8)) {
        let mut state = state();
        for piece in &pieces {
            take(&mut state, &say(piece));
        }
        prop_assert_eq!(state.partial_text(), pieces.concat());
        prop_assert_eq!(state.output_bytes(), pieces.concat().len());
    }

    #[test]
    fn surrogate_pairs_survive_being_split_over_events(text in "[a🇫😀]{0,8}") {
        let mut state = state();
        for unit in text.encode_utf16() {
            let event = format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"\u{unit:04x}"}}}}]}}"#);
            take(&mut state, &event);
        }
        prop_assert_eq!(state.partial_text(), text);
    }

    #[test]
    fn any_bytes_are_answered(events in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6)) {
        let mut state = state();
        for event in events {
            let _ = state.event(&event);
        }
        let _ = (state.finished(), state.partial_text(), state.warnings());
    }

    #[test]
    fn chunks_of_any_kind_of_member_are_answered(
        index in prop::sample::select(vec!["0", "-1", "null", "\"\"", "[]", "{}", "1e9", "127"]),
        delta in prop::sample::select(vec!["{}", "null", "1", "[]", "\"\"", r#"{"content":1}"#, r#"{"content":{}}"#]),
        calls in prop::sample::select(vec!["[]", "null", "1", "{}", "[{}]", "[[]]", r#"[{"index":{}}]"#]),
        finish in prop::sample::select(vec!["null", "\"\"", "\"stop\"", "1", "[]"]),
    ) {
        let event = format!(
            r#"{{"choices":[{{"index":{index},"delta":{delta},"finish_reason":{finish}}},{{"delta":{{"tool_calls":{calls}}}}}]}}"#
        );
        let _ = state().event(event.as_bytes());
    }
}

/// The event with `count` spaces that mean nothing, so that it never looks like another.
fn spaced(event: &str, count: usize) -> String {
    match event.strip_prefix('{') {
        Some(rest) => format!("{{{}{rest}", " ".repeat(count)),
        None => event.to_owned(),
    }
}

fn any_event() -> impl Strategy<Value = String> {
    let text = prop_oneof!["[a-c ]{0,3}", "\\PC{0,4}", Just("\"".to_owned()), Just("\\".to_owned())];
    prop_oneof![
        8 => (text.clone(), 0..3).prop_map(|(text, index)| {
            json!({"id": "c1", "model": "m", "choices": [{"index": index, "delta": {"content": text}}]}).to_string()
        }),
        4 => text.clone().prop_map(|text| say(&text)),
        1 => text.clone().prop_map(|text| delta(json!({"content": text, "reasoning": "r"}))),
        1 => text.clone().prop_map(|text| delta(json!({"content": text, "tool_calls": [{"index": 0}]}))),
        1 => text.clone().prop_map(|text| {
            json!({"choices": [{"index": 0, "delta": {"content": text}}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}).to_string()
        }),
        1 => text.prop_map(|text| {
            json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]}).to_string()
        }),
        1 => Just(finish("stop")),
        1 => Just(r#"{"error":{"code":500}}"#.to_owned()),
        1 => Just("{\"choices\":[{\"delta\":{\"content\":\"a\u{1}b\"}}]}".to_owned()),
        1 => Just("[DONE]".to_owned()),
    ]
}

proptest! {
    /// Events that look alike are read by comparison; that must never show.
    #[test]
    fn an_event_means_the_same_whatever_came_before_it(events in proptest::collection::vec(any_event(), 0..24)) {
        let (mut compared, mut read) = (state(), state());
        for (position, event) in events.iter().enumerate() {
            let outcome = compared.event(event.as_bytes());
            let alone = read.event(spaced(event, position + 1).as_bytes());
            match (&outcome, &alone) {
                (Ok(step), Ok(other)) => prop_assert_eq!(step, other),
                (Err(_), Err(_)) => return Ok(()),
                _ => prop_assert!(false, "{:?} / {:?}", outcome, alone),
            }
        }
        prop_assert_eq!(compared.partial_text(), read.partial_text());
        prop_assert_eq!(compared.output_bytes(), read.output_bytes());
        prop_assert_eq!(compared.usage(), read.usage());
        prop_assert_eq!(compared.finished(), read.finished());
        prop_assert_eq!(compared.warnings().names().collect::<Vec<_>>(), read.warnings().names().collect::<Vec<_>>());
    }
}

#[test]
fn the_service_level_of_a_stream_goes_with_its_usage() {
    let mut state = StreamState::new(1, false);
    let events = [
        r#"{"service_tier":"flex","choices":[{"index":0,"delta":{"content":"a"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"service_tier":null,"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    ];
    for event in events {
        state.event(event.as_bytes()).unwrap();
    }
    assert_eq!(state.usage().unwrap().service, Service::Flex);
}
