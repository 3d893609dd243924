//! The JSON reader against `serde_json`.

use fairlead::chat::json::{self, FaultKind, MAX_DEPTH, Raw, ValueKind};
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

/// What `serde_json` accepts when it builds nothing: the grammar alone.
fn oracle_accepts(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

fn kind(bytes: &[u8]) -> Option<FaultKind> {
    json::document(bytes).err().map(|fault| fault.kind)
}

/// Builds what iteration says a value is.
fn rebuild(raw: Raw<'_>) -> Value {
    match raw.kind() {
        ValueKind::Null => Value::Null,
        ValueKind::Bool => Value::Bool(raw.as_bool().unwrap()),
        ValueKind::Number => serde_json::from_str(raw.text()).unwrap(),
        ValueKind::String => Value::String(raw.string().unwrap().decode().into_owned()),
        ValueKind::Array => raw.items().map(rebuild).collect(),
        ValueKind::Object => {
            raw.fields().map(|(key, value)| (key.decode().into_owned(), rebuild(value))).collect()
        }
    }
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300_f64).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~\\n\"\\\\é你🇫]{0,40}".prop_map(Value::from),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    scalars().prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-c\"\\\\\\n]{0,3}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn spelled(value: &Value, pretty: bool, ascii: bool) -> String {
    let text =
        if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }.unwrap();
    if !ascii {
        return text;
    }
    let mut units = [0; 2];
    text.chars()
        .map(|character| match character.is_ascii() {
            true => character.to_string(),
            false => character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        })
        .collect()
}

proptest! {
    #[test]
    fn iteration_gives_what_serde_json_gives(value in values(), pretty: bool, ascii: bool) {
        let text = spelled(&value, pretty, ascii);
        let raw = json::document(text.as_bytes()).unwrap();
        prop_assert_eq!(rebuild(raw), serde_json::from_str::<Value>(&text).unwrap());
    }

    #[test]
    fn accepts_what_the_grammar_accepts(text in "[\\[\\]{}:,\"\\\\ \\n\\t0-9eE+.a-fnrtu\\-]{0,24}") {
        prop_assert_eq!(json::document(text.as_bytes()).is_ok(), oracle_accepts(text.as_bytes()), "{}", text);
    }

    #[test]
    fn accepts_the_same_numbers(text in "-?[0-9]{0,3}(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,3})?") {
        prop_assert_eq!(json::document(text.as_bytes()).is_ok(), oracle_accepts(text.as_bytes()), "{}", text);
    }

    #[test]
    fn accepts_the_same_mutations(
        value in values(),
        pretty: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut bytes = spelled(&value, pretty, false).into_bytes();
        for (place, byte, how) in changes {
            let at = place.index(bytes.len() + 1);
            match how {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        prop_assert_eq!(json::document(&bytes).is_ok(), oracle_accepts(&bytes), "{:?}", bytes);
    }

    #[test]
    fn every_prefix_of_a_container_is_refused(value in values()) {
        let text = serde_json::to_string(&serde_json::json!([value])).unwrap();
        for end in 0..text.len() {
            prop_assert!(json::document(&text.as_bytes()[..end]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(json::document(&bytes).is_ok(), oracle_accepts(&bytes));
    }

    #[test]
    fn the_decoded_length_is_the_length_decoded(text in any::<String>()) {
        for ascii in [false, true] {
            let document = spelled(&Value::from(text.clone()), false, ascii);
            let string = json::document(document.as_bytes()).unwrap().string().unwrap();
            prop_assert_eq!(string.decoded_len(), text.len());
        }
    }
}

#[test]
fn special_bytes_are_found_at_every_place_of_a_long_string() {
    for length in 0..40 {
        for place in 0..=length {
            for special in ["\\n", "\\\"", "\\\\", "\\u0041", "é"] {
                let text = format!("\"{}{special}{}\"", "x".repeat(place), "y".repeat(length - place));
                let raw = json::document(text.as_bytes()).unwrap();
                assert_eq!(raw.string().unwrap().decode(), serde_json::from_str::<String>(&text).unwrap());
            }
            for control in ['\u{0}', '\u{1f}', '\n'] {
                let text = format!("\"{}{control}{}\"", "x".repeat(place), "y".repeat(length - place));
                assert_eq!(kind(text.as_bytes()), Some(FaultKind::Syntax));
            }
        }
    }
}

#[test]
fn depth_is_bounded_and_exact() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}0{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(kind(nested(MAX_DEPTH).as_bytes()), None);
        assert_eq!(kind(nested(MAX_DEPTH + 1).as_bytes()), Some(FaultKind::Depth));
        assert_eq!(kind(nested(100_000).as_bytes()), Some(FaultKind::Depth));
    }
}

#[test]
fn brackets_must_match_at_every_depth() {
    for depth in 0..20 {
        let before = "[{\"a\":".repeat(depth);
        let after = "}]".repeat(depth);
        assert_eq!(kind(format!("{before}[1}}{after}").as_bytes()), Some(FaultKind::Syntax));
        assert_eq!(kind(format!("{before}{{\"a\":1]{after}").as_bytes()), Some(FaultKind::Syntax));
        assert_eq!(kind(format!("{before}{{\"a\":[]}}{after}").as_bytes()), None);
    }
}

#[test]
fn f58_literals_that_are_not_json_are_refused() {
    for text in
        ["NaN", "Infinity", "-Infinity", "[NaN]", "{\"a\":-Infinity}", "nul", "True", "01", "1.", ".5", "+1"]
    {
        assert!(json::document(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn faults_say_what_and_where() {
    assert_eq!(kind(b""), Some(FaultKind::Empty));
    assert_eq!(kind(b"\xef\xbb\xbf \r\n\t"), Some(FaultKind::Empty));
    assert_eq!(kind(b"{} {}"), Some(FaultKind::Trailing));
    assert_eq!(kind(b"\"\xff\""), Some(FaultKind::Utf8));
    let fault = json::document(b"{\"a\": nope}").unwrap_err();
    assert_eq!((fault.offset, fault.kind), (6, FaultKind::Syntax));
    assert_eq!(fault.to_string(), "the JSON document is broken at byte 6");
}

#[test]
fn f59_the_last_duplicate_wins() {
    let raw = json::document(br#"{"a":1,"b":2,"\u0061":3}"#).unwrap();
    assert_eq!(raw.get("a").and_then(Raw::as_u64), Some(3));
    assert_eq!(raw.fields().count(), 3);
}

#[test]
fn f68_a_byte_order_mark_is_not_content() {
    assert_eq!(json::document(b"\xef\xbb\xbf{}").unwrap().text(), "{}");
    assert!(json::document(b" \xef\xbb\xbf{}").is_err());
}

#[test]
fn f69_lone_surrogates_are_accepted_and_replaced() {
    let decode =
        |text: &str| json::document(text.as_bytes()).unwrap().string().unwrap().decode().into_owned();
    assert_eq!(decode(r#""a\ud800b""#), "a\u{fffd}b");
    assert_eq!(decode(r#""\udc00\ud800""#), "\u{fffd}\u{fffd}");
    assert_eq!(decode(r#""\ud83d\ude00""#), "😀");
    assert_eq!(decode(r#""\ud83d\ud83d\ude00""#), "\u{fffd}😀");
    assert_eq!(decode(r#""\ud83d\u0041""#), "\u{fffd}A");
}

#[test]
fn numbers_keep_what_they_say() {
    let number = |text: &'static str| json::document(text.as_bytes()).unwrap();
    assert_eq!(number("18446744073709551615").as_u64(), Some(u64::MAX));
    assert_eq!(number("18446744073709551616").as_u64(), None);
    assert_eq!(number("18446744073709551616").text(), "18446744073709551616");
    assert_eq!(number("-9223372036854775808").as_i64(), Some(i64::MIN));
    assert_eq!(number("12.0").as_u64(), None);
    assert_eq!(number("12.5e1").as_f64(), Some(125.0));
    assert_eq!(number("1e400").as_f64(), None);
    assert_eq!(json::document(b"\"1\"").unwrap().as_f64(), None);
    assert_eq!(json::document(b"null").unwrap().as_f64(), None);
}
