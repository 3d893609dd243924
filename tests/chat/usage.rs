//! Usage in every spelling.

use fairlead::chat::json;
use fairlead::chat::reply::{self, Shape};
use fairlead::chat::usage::{self, Reading, Service, Usage};

fn read(text: &str) -> Reading {
    usage::read(json::document(text.as_bytes()).unwrap())
}

fn valid(text: &str) -> Usage {
    match read(text) {
        Reading::Valid(usage) => usage,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn the_common_form_is_read_with_its_details() {
    let usage = valid(
        r#"{"prompt_tokens":10,"completion_tokens":20.0,"total_tokens":30,"cost":0.25,
            "prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":2,"audio_tokens":375},
            "completion_tokens_details":{"reasoning_tokens":7}}"#,
    );
    let expected = Usage {
        input: 10,
        output: 20,
        total: 30,
        cached: 4,
        cache_write: 2,
        reasoning: 7,
        audio_in: 375,
        cost_usd: Some(0.25),
        ..Usage::default()
    };
    assert_eq!(usage, expected);
}

#[test]
fn f89_absent_counts_are_no_usage() {
    for text in ["null", "{}", r#"{"prompt_tokens":null}"#, r#"{"queue_time":0.1}"#] {
        assert_eq!(read(text), Reading::Absent, "{text}");
    }
}

#[test]
fn f90_implausible_counts_are_invalid() {
    for value in
        ["-1", "1e308", "1.5", "\"12\"", "100000001", "18446744073709551616", "true", "[]", "{}", "-0.5"]
    {
        for name in ["prompt_tokens", "completion_tokens", "total_tokens"] {
            let text = format!(r#"{{"prompt_tokens":1,"completion_tokens":1,"{name}":{value}}}"#);
            assert_eq!(read(&text), Reading::Invalid, "{text}");
        }
        let text = format!(r#"{{"prompt_tokens":1,"prompt_tokens_details":{{"cached_tokens":{value}}}}}"#);
        assert_eq!(read(&text), Reading::Invalid, "{text}");
    }
    for text in ["12", "\"none\"", "[]", "true"] {
        assert_eq!(read(text), Reading::Invalid, "{text}");
    }
}

#[test]
fn the_largest_plausible_count_is_read() {
    assert_eq!(valid(r#"{"prompt_tokens":100000000,"completion_tokens":1e2}"#).total, 100_000_100);
}

#[test]
fn a_total_alone_is_input() {
    assert_eq!(valid(r#"{"total_tokens":9}"#).input, 9);
    assert_eq!(valid(r#"{"total_tokens":9,"completion_tokens":2}"#).input, 7);
}

#[test]
fn reasoning_outside_of_the_output_is_billed() {
    let gemini = valid(r#"{"prompt_tokens":66,"completion_tokens":6,"total_tokens":100}"#);
    assert_eq!((gemini.output, gemini.billed_output()), (6, 34));
    let odd = valid(r#"{"prompt_tokens":66,"completion_tokens":6,"total_tokens":3}"#);
    assert_eq!(odd.billed_output(), 6);
}

#[test]
fn a_price_is_believed_only_if_it_can_be_one() {
    let cost = |value: &str| valid(&format!(r#"{{"prompt_tokens":1,"cost":{value}}}"#)).cost_usd;
    assert_eq!(cost("0"), Some(0.0));
    assert_eq!(cost(r#"{"total_cost":0.006,"input_tokens_cost":0.001}"#), Some(0.006));
    for value in ["-1", "1e308", "1e400", "\"1\"", "null", "{}"] {
        assert_eq!(cost(value), None, "{value}");
    }
}

#[test]
fn sound_pictures_and_cached_hours_are_told_apart() {
    let usage = valid(
        r#"{"prompt_tokens":900,"completion_tokens":100,
            "prompt_tokens_details":{"audio_tokens":5,"image_tokens":6},
            "completion_tokens_details":{"audio_tokens":7,"image_tokens":8},
            "cache_creation_input_tokens":20,"cache_creation":{"ephemeral_5m_input_tokens":8,"ephemeral_1h_input_tokens":12}}"#,
    );
    assert_eq!((usage.audio_in, usage.image_in, usage.audio_out, usage.image_out), (5, 6, 7, 8));
    assert_eq!((usage.cache_write, usage.cache_write_1h), (20, 12));
}

#[test]
fn the_service_level_is_read_beside_the_usage_or_within() {
    let whole = |tier: &str| {
        let body =
            format!(r#"{{"choices":[{{}}],"usage":{{"prompt_tokens":1,"service_tier":"batch"}}{tier}}}"#);
        reply::scan(Shape::Chat, body.as_bytes()).unwrap().usage.unwrap().service
    };
    assert_eq!(whole(r#","service_tier":"priority""#), Service::Priority);
    assert_eq!(whole(r#","service_tier":"flex""#), Service::Flex);
    assert_eq!(whole(r#","service_tier":"default""#), Service::Standard);
    assert_eq!(whole(r#","service_tier":"scale""#), Service::Other);
    assert_eq!(whole(r#","service_tier":null"#), Service::Batch, "nothing said beside it");
    assert_eq!(whole(r#","service_tier":7"#), Service::Batch);
}
