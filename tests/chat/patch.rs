//! Edits change what they name and no other byte.

use bytes::Bytes;
use fairlead::chat::json;
use fairlead::chat::patch::{Edit, apply, stream_options};
use proptest::prelude::*;
use serde_json::Value;

fn patched(body: &str, edits: &[Edit<'_>]) -> String {
    let bytes = apply(&Bytes::copy_from_slice(body.as_bytes()), edits).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_set_replaces_the_value_alone() {
    let body = "\u{feff} { \"model\" : \"a\" ,\n\t\"n\":1.50 } \n";
    assert_eq!(patched(body, &[Edit::Set("model", "\"b\"")]), body.replace("\"a\"", "\"b\""));
    assert_eq!(patched(body, &[Edit::Set("x", "[]")]), body.replace("1.50", "1.50,\"x\":[]"));
    assert_eq!(patched("{ }", &[Edit::Set("x", "1")]), "{\"x\":1 }");
}

#[test]
fn every_occurrence_is_changed_however_it_is_escaped() {
    let body = r#"{"model":"a","mod\u0065l":"b","z":{"model":"kept"},"\u006dodel":"c"}"#;
    let set = r#"{"model":"X","mod\u0065l":"X","z":{"model":"kept"},"\u006dodel":"X"}"#;
    assert_eq!(patched(body, &[Edit::Set("model", "\"X\"")]), set);
    assert_eq!(patched(body, &[Edit::Remove("model")]), r#"{"z":{"model":"kept"}}"#);
    assert_eq!(patched(body, &[Edit::SetIfAbsent("model", "\"X\"")]), body);
    let renamed = r#"{"name":"a","name":"b","z":{"model":"kept"},"name":"c"}"#;
    assert_eq!(patched(body, &[Edit::Rename("model", "name")]), renamed);
}

#[test]
fn a_removal_takes_one_comma() {
    let body = "{ \"a\": 1 , \"b\": 2 , \"c\": 3 }";
    assert_eq!(patched(body, &[Edit::Remove("a")]), "{ \"b\": 2 , \"c\": 3 }");
    assert_eq!(patched(body, &[Edit::Remove("b")]), "{ \"a\": 1 , \"c\": 3 }");
    assert_eq!(patched(body, &[Edit::Remove("c")]), "{ \"a\": 1 , \"b\": 2 }");
    let all = [Edit::Remove("a"), Edit::Remove("b"), Edit::Remove("c")];
    assert_eq!(patched(body, &all), "{  }");
}

#[test]
fn a_rename_gives_way_to_a_member_of_that_name() {
    let body = r#"{"max_tokens":1,"max_completion_tokens":2}"#;
    let edit = [Edit::Rename("max_tokens", "max_completion_tokens")];
    assert_eq!(patched(body, &edit), r#"{"max_completion_tokens":2}"#);
    assert_eq!(patched(r#"{"max_tokens":1}"#, &edit), r#"{"max_completion_tokens":1}"#);
    assert_eq!(
        patched(r#"{"max_tokens":1}"#, &[Edit::Rename("max_tokens", "max_tokens")]),
        r#"{"max_tokens":1}"#
    );
}

#[test]
fn without_an_effect_the_body_is_the_same_memory() {
    let body = Bytes::from_static(br#" {"model":"a","n":1}"#);
    for edits in [
        &[][..],
        &[Edit::Set("model", "\"a\"")],
        &[Edit::Remove("x"), Edit::SetIfAbsent("n", "2"), Edit::Rename("y", "z")],
    ] {
        assert_eq!(apply(&body, edits).unwrap().as_ptr(), body.as_ptr());
    }
}

#[test]
fn what_is_no_object_cannot_be_edited() {
    for body in ["", "[1]", "1", "{", "{} x"] {
        assert!(apply(&Bytes::from_static(body.as_bytes()), &[Edit::Remove("a")]).is_err(), "{body}");
    }
}

#[test]
fn stream_options_keep_their_other_members() {
    let options = |written: &str| stream_options(Some(written.as_bytes()), true).unwrap();
    let fresh = Some(r#"{"include_usage":true}"#.to_owned());
    assert_eq!(stream_options(None, true).unwrap(), fresh);
    assert_eq!(options("null"), fresh);
    assert_eq!(options(r#"{ "include_usage" : true}"#), None);
    let kept = Some(r#"{"x": 1,"include_usage":true}"#.to_owned());
    assert_eq!(options(r#"{"x": 1,"include_usage":false}"#), kept);
    assert_eq!(options(r#"{"x": 1}"#), kept);
    let off = stream_options(Some(br#"{"include_usage":true}"#), false).unwrap();
    assert_eq!(off, Some(r#"{"include_usage":false}"#.to_owned()));
}

/// A member as it may be spelled: key text, key spelling, value, and whitespace around them.
type Spelled = (usize, bool, String, [String; 4]);

const KEYS: [&str; 4] = ["model", "n", "é", "a\"b"];

fn spell(key: &str, escaped: bool) -> String {
    if escaped {
        let units: String = key.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
        return format!("\"{units}\"");
    }
    Value::from(key).to_string()
}

fn members() -> impl Strategy<Value = Vec<Spelled>> {
    let value = prop::sample::select(vec!["1", "\"a,}\"", "[ {\"model\": 1}, 2 ]", "{\"n\":\"]\"}", "null"]);
    let space = || "[ \\n\\t]{0,2}";
    let member =
        (0..KEYS.len(), any::<bool>(), value.prop_map(str::to_owned), [space(), space(), space(), space()]);
    prop::collection::vec(member, 0..6)
}

fn edits() -> impl Strategy<Value = Vec<(u8, usize, usize)>> {
    prop::collection::vec((0..4_u8, 0..KEYS.len(), 0..KEYS.len()), 0..5)
}

/// The same edits on a list of members.
fn reference(mut members: Vec<(String, Value)>, edits: &[Edit<'_>]) -> Vec<(String, Value)> {
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for edit in edits {
        match *edit {
            Edit::Set(key, text) => {
                let mut found = false;
                for (_, old) in members.iter_mut().filter(|(name, _)| name == key) {
                    *old = value(text);
                    found = true;
                }
                if !found {
                    members.push((key.to_owned(), value(text)));
                }
            }
            Edit::SetIfAbsent(key, text) => {
                if !members.iter().any(|(name, _)| name == key) {
                    members.push((key.to_owned(), value(text)));
                }
            }
            Edit::Remove(key) => members.retain(|(name, _)| name != key),
            Edit::Rename(from, to) if from == to => {}
            Edit::Rename(from, to) if members.iter().any(|(name, _)| name == to) => {
                members.retain(|(name, _)| name != from);
            }
            Edit::Rename(from, to) => {
                members
                    .iter_mut()
                    .filter(|(name, _)| name == from)
                    .for_each(|(name, _)| *name = to.to_owned());
            }
        }
    }
    members
}

fn listed(body: &[u8]) -> Vec<(String, Value)> {
    json::document(body)
        .unwrap()
        .fields()
        .map(|(key, value)| (key.decode().into_owned(), serde_json::from_str(value.text()).unwrap()))
        .collect()
}

proptest! {
    #[test]
    fn edits_agree_with_edits_of_a_list(members in members(), edits in edits()) {
        let inner: Vec<String> = members
            .iter()
            .map(|(key, escaped, value, [a, b, c, d])| format!("{a}{}{b}:{c}{value}{d}", spell(KEYS[*key], *escaped)))
            .collect();
        let body = Bytes::from(format!(" {{{}}}\n", inner.join(",")));
        let edits: Vec<Edit<'_>> = edits
            .iter()
            .map(|(kind, one, two)| match kind {
                0 => Edit::Set(KEYS[*one], "[7]"),
                1 => Edit::SetIfAbsent(KEYS[*one], "\"new\""),
                2 => Edit::Remove(KEYS[*one]),
                _ => Edit::Rename(KEYS[*one], KEYS[*two]),
            })
            .collect();
        let patched = apply(&body, &edits).unwrap();
        prop_assert_eq!(listed(&patched), reference(listed(&body), &edits));
        // Members that no edit names keep their very spelling.
        let text = std::str::from_utf8(&patched).unwrap();
        let named = |key: &str| edits.iter().any(|edit| match *edit {
            Edit::Set(one, _) | Edit::SetIfAbsent(one, _) | Edit::Remove(one) => one == key,
            Edit::Rename(one, two) => one == key || two == key,
        });
        for (key, escaped, value, [_, b, c, _]) in members.iter().filter(|(key, ..)| !named(KEYS[*key])) {
            let spelling = format!("{}{b}:{c}{value}", spell(KEYS[*key], *escaped));
            prop_assert!(text.contains(&spelling));
        }
    }
}
