//! The language, rule by rule: what `docs/rules.md` says.

use fairlead::chat::facts::Wants;
use fairlead::route::expr::{Expression, Outcome};
use proptest::prelude::*;

use crate::call::Call;

pub(crate) fn outcome(source: &str, call: &Call) -> Outcome {
    Expression::compile(source).unwrap_or_else(|fault| panic!("{source}: {fault}")).holds(&call.context())
}

#[track_caller]
pub(crate) fn holds(source: &str, call: &Call) {
    assert_eq!(outcome(source, call), Outcome::Yes, "{source}");
}

#[track_caller]
pub(crate) fn fails(source: &str, call: &Call) {
    assert_eq!(outcome(source, call), Outcome::No, "{source}");
}

#[track_caller]
pub(crate) fn cannot_say(source: &str, call: &Call) {
    assert!(matches!(outcome(source, call), Outcome::Faulty(_)), "{source}: {:?}", outcome(source, call));
}

pub(crate) fn refused(source: &str) -> String {
    Expression::compile(source).expect_err(source).to_string()
}

#[test]
fn every_keyword_of_a_condition_counts() {
    let condition =
        "contains(user_input, '代码') OR contains(user_input, 'program') OR contains(user_input, 'def ')";
    for said in ["写一段代码", "a program", "def f():"] {
        holds(condition, &Call::saying(said));
    }
    for said in ["", "undefined", "PROGRAM", "帮我写一个Python快速排序函数", "代 码"] {
        fails(condition, &Call::saying(said));
    }
}

#[test]
fn upper_and_lower_case_differ_unless_asked() {
    let call = Call::saying("Write a Program in ÄÖÜ, ΣΊΣΥΦΟΣ");
    for source in
        ["contains(user_input, 'Program')", "user_input.icontains('pROGRAM')", "icontains(user_input, 'äöü')"]
    {
        holds(source, &call);
    }
    for source in
        ["contains(user_input, 'program')", "user_input.contains('PROGRAM')", "contains(user_input, 'äöü')"]
    {
        fails(source, &call);
    }
    holds("icontains(user_input, 'σίσυφο')", &call);
    holds("lower(user_input).startsWith('write a') && user_input.upper().endsWith('ΣΊΣΥΦΟΣ')", &call);
}

#[test]
fn what_is_missing_is_null_and_compares_to_nothing() {
    let call = Call::saying("x").with("lang", "py");
    for source in [
        "metadata.tier == 'free'",
        "metadata.tier != 'free'",
        "metadata.tier < 'z'",
        "metadata.tier >= ''",
        "contains(metadata.tier, '')",
        "metadata.tier.startsWith('')",
        "metadata.tier in ['free']",
        "'' in metadata.tier",
        "metadata.tier == metadata.other",
        "null",
        "user == tenant",
        "int(metadata.tier) + 1 > 0",
        "size(user) == 0",
        "-int(metadata.tier) < 1",
        "needs[0] == 'tools'",
        "priority > 0",
        "max_output < 5",
        "has(metadata.tier)",
        "headers['x-y'] == ''",
    ] {
        fails(source, &call);
    }
    for source in [
        "metadata.tier == null",
        "null == metadata['tier']",
        "metadata.lang != null",
        "!(metadata.tier == 'free')",
        "NOT has(metadata.tier)",
        "has(metadata.lang)",
        "metadata.get('tier') == None",
        "!needs[0]",
        "metadata.get('tier', 'free') == 'free'",
        "metadata.get('lang', 'free') == 'py'",
        "null == null",
        "'lang' in metadata && 'tier' not in metadata",
        "needs[0] ? false : true",
    ] {
        holds(source, &call);
    }
}

#[test]
fn texts_are_never_taken_for_other_values() {
    let call = Call::saying("").with("fast", "true").with("tries", "2");
    holds("user_metadata.get('fast') == 'true'", &call);
    fails("user_metadata.get('fast') == true", &call);
    holds("metadata.fast != true", &call);
    fails("metadata.tries == 2", &call);
    holds("int(metadata.tries) == 2 && float(metadata.tries) == 2.0", &call);
    cannot_say("metadata.tries < 3", &call);
    cannot_say("int(metadata.fast) == 1", &call);
}

#[test]
fn numbers_are_exact_and_never_wrap() {
    let call = Call::default();
    for source in [
        "1 == 1.0",
        "9223372036854775807 != 9223372036854775808.0",
        "9007199254740993 > 9007199254740992.0",
        "-7 / 2 == -3 && -7 % 3 == -1",
        "1.5e3 == 1500 && 0x1F == 31",
        "2 + 3 * 4 == 14 && (2 + 3) * 4 == 20",
        "10 - 3 - 2 == 5",
        "-9223372036854775808 < 0",
        "1 < 1.5",
        "7 / 2.0 == 3.5",
        "int(2.9) == 2",
        "-2 * -3 == 6",
    ] {
        holds(source, &call);
    }
    for source in [
        "9223372036854775807 + 1 > 0",
        "-9223372036854775808 - 1 < 0",
        "9223372036854775807 * 2 > 0",
        "-(-9223372036854775808) > 0",
        "-9223372036854775808 / -1 > 0",
        "-9223372036854775808 % -1 == 0",
        "tokens / 0 == 1",
        "tokens % 0 == 1",
        "1.0 / 0.0 > 1",
        "1e308 * 10 > 1.0",
        "int(1e300) > 1",
        "int('9223372036854775808') > 1",
        "float('nan') > 1",
        "float('inf') > 1",
        "5.5 % 2 == 1.5",
        "1 + 'a' == '1a'",
    ] {
        cannot_say(source, &call);
    }
}

#[test]
fn a_part_that_decides_makes_faults_elsewhere_harmless() {
    let call = Call::default();
    for source in
        ["1 / 0 == 1 || true", "true || 1 / 0 == 1", "!(1 / 0 == 1 && false)", "!(false && 1 / 0 == 1)"]
    {
        holds(source, &call);
    }
    for source in [
        "1 / 0 == 1 || false",
        "true && 1 / 0 == 1",
        "!(1 / 0 == 1)",
        "1 / 0 == 1 ? true : true",
        "has(1 / 0)",
    ] {
        cannot_say(source, &call);
    }
    holds("true ? true : 1 / 0 == 1", &call);
}

#[test]
fn operators_bind_as_in_cel_and_words_as_in_python() {
    let call = Call::saying("a");
    for source in [
        "true || false && false",
        "!false && true",
        "NOT false AND true",
        "NOT user_input == 'b'",
        "not user_input in ['b']",
        "user_input not in ['b', 'c']",
        "NOT NOT true",
        "true AnD TRUE oR FALSE",
        "false ? true : false ? false : true",
        "user_input + 'b' == 'ab'",
        "size('é') + len(['a', 1]) == 3",
        "'b' in 'abc' and 'x' not in 'abc'",
        "contains(['a', 'b'], user_input)",
        "[1, 2.0, 'a'][1] == 2",
        "[[1], ['a']] == [[1.0], [user_input]]",
        "( (true) )",
    ] {
        holds(source, &call);
    }
    assert_eq!(refused("1 < 2 < 3"), "at column 7: comparisons do not chain: join two of them with `&&`");
    assert_eq!(
        refused("1 == NOT 2"),
        "at column 6: `NOT` cannot stand here: a value is missing, or parentheses"
    );
}

#[test]
fn escapes_say_what_json_and_cel_say() {
    let call = Call::saying("a\n\t\"'\\代🦀é");
    for source in [
        r#"user_input == "a\n\t\"'\\代🦀é""#,
        r"user_input == 'a\n\t\u0022\'\\\u4ee3\ud83e\udd80\xe9'",
        r#"user_input == "a\x0a\u0009\"\'\\\U00004ee3\U0001f980é""#,
    ] {
        holds(source, &call);
    }
    for source in [
        r"'\ud83e' == ''",
        r"'\ud83e\u0041' == ''",
        r"'\q' == ''",
        r"'\u12' == ''",
        r"'\U00110000' == ''",
        "'abc",
        "'abc\\",
    ] {
        refused(source);
    }
}

#[test]
fn every_variable_is_read_from_the_call() {
    let body = br#"{"model": "gpt-4o", "stream": true, "max_tokens": 7, "user": "body", "thread_id": "t1", "tools": [{}],
        "reasoning_effort": "low", "metadata": {"a": "1", "b": "2", "n": 5},
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": [
            {"type": "text", "text": "hello"}, {"type": "image_url", "image_url": {}}]}]}"#;
    let mut call = Call { facts: fairlead::chat::facts::scan(body, Wants::ALL).unwrap(), ..Call::default() };
    call.options.metadata.push(("b".into(), "3".into()));
    call.options.headers.push(("X-Team".into(), Some("red".into())));
    call.options.headers.push(("X-Gone".into(), None));
    (call.options.tenant, call.options.key) = (Some("acme".into()), Some("k1".into()));
    call.options.priority = Some(7);
    call.capabilities = vec!["code_generation".into()];
    (call.hour, call.weekday) = (13, 6);
    for source in [
        "user_input == 'hello' && last_user_text == user_input",
        "text == 'be brief\nhello'",
        "system == 'be brief'",
        "tokens > 50 && tokens < 200",
        "has_tools && has_images && stream",
        "needs == ['tools', 'vision', 'reasoning']",
        "'vision' in needs and needs.contains('tools') and size(needs) == 3",
        "messages == 2",
        "max_output == 7",
        "metadata.a == '1' && user_metadata.b == '3' && metadata['n'] == '5'",
        "user == 'body'",
        "tenant == 'acme'",
        "key == 'k1'",
        "session == 't1'",
        "headers['x-team'] == 'red' && headers['X-TEAM'] == 'red'",
        "headers['x-gone'] == null && 'x-gone' not in headers",
        "model == 'gpt-4o' && model.startsWith('gpt-')",
        "'code_generation' in capabilities",
        "priority == 7",
        "path == '/chat/completions'",
        "hour >= 9 and hour < 18 and weekday == 6",
    ] {
        holds(source, &call);
    }
    call.options.user = Some("caller".into());
    call.options.session = Some("s1".into());
    holds("user == 'caller' && session == 's1'", &call);
}

#[test]
fn only_costly_facts_are_wanted() {
    let wants = |source: &str| Expression::compile(source).unwrap().wants();
    assert_eq!(wants("contains(user_input, 'a') && tokens > 5"), Wants::NOTHING);
    assert_eq!(wants("icontains(text, 'a') || system == ''"), Wants::TEXT | Wants::SYSTEM);
    assert_eq!(wants("hour > 5 || weekday == 1"), Wants::CLOCK);
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (source, message) in [
        ("contains(usr_input, 'a')", "at column 10: unknown name `usr_input`; did you mean `user_input`?"),
        (
            "lang == 'py'",
            "at column 1: unknown name `lang`; what the caller passes is `metadata.lang`, a text has quotes",
        ),
        ("contain(user_input, 'a')", "at column 1: unknown function `contain`; did you mean `contains`?"),
        ("contains(user_input)", "at column 1: `contains` takes 2 arguments, not 1"),
        ("metadata.get()", "at column 9: `get` takes 2 or 3 arguments, not 1"),
        ("user_input = 'a'", "at column 12: `=` has no meaning here; to compare, write `==`"),
        ("true & false", "at column 6: `&` has no meaning here; write `&&`"),
        (
            "user_input == 'a' or 'b'",
            "at column 22: this is a text, where a condition is needed: compare it with something",
        ),
        (
            "metadata.vip",
            "at column 9: this is a text, where a condition is needed: compare it with something",
        ),
        ("tokens", "at column 1: this is a number, where a condition is needed: compare it with something"),
        ("user_input.lang == 'a'", "at column 11: only `metadata` and `headers` have members"),
        ("'代码' == 代码", "at column 9: `代` has no meaning here"),
        ("true true", "at column 6: expected an operator or the end, found `true`"),
        ("(true", "at column 6: expected `)`, found the end"),
        ("", "at column 1: expected a value, found the end"),
        ("contains == 1", "at column 1: `contains` is a function: call it, `contains(...)`"),
        (
            "99999999999999999999 > 1",
            "at column 1: `99999999999999999999` is not a number, or too large for one",
        ),
        ("9223372036854775808 > 1", "at column 1: an integer beyond 64 bits"),
        ("1e999 > 1", "at column 1: `1e999` is not a number, or too large for one"),
    ] {
        assert_eq!(refused(source), message);
    }
    let matches = refused("matches(user_input, 'a.*')");
    assert!(matches.contains("Python callable"), "{matches}");
}

#[test]
fn a_condition_that_reads_nothing_is_constant() {
    let constant = |source: &str| Expression::compile(source).unwrap().constant();
    for source in
        ["true", "True", "1 == 1", "true || metadata.x == 'a'", "metadata.x == 'a' || !false", "2 in [1, 2]"]
    {
        assert_eq!(constant(source), Some(true), "{source}");
    }
    for source in ["false", "null", "stream && false", "true ? false : stream", "size('a') > 1"] {
        assert_eq!(constant(source), Some(false), "{source}");
    }
    for source in ["stream", "true && stream", "1 / 0 == 1", "stream ? true : true", "!stream"] {
        assert_eq!(constant(source), None, "{source}");
    }
}

proptest! {
    /// Searches agree with the standard library's, whatever is looked for and however short the text.
    #[test]
    fn contains_is_what_str_contains_says(text in "[ab代码]{0,40}", part in "[ab代码]{0,6}") {
        let call = Call::saying(&text);
        let expected = if text.contains(&part) { Outcome::Yes } else { Outcome::No };
        prop_assert_eq!(outcome(&format!("contains(user_input, '{part}')"), &call), expected);
        prop_assert_eq!(outcome(&format!("icontains(user_input, '{}')", part.to_uppercase()), &call), expected);
        let call = call.with("part", &part);
        prop_assert_eq!(outcome("user_input.contains(metadata.part)", &call), expected);
    }
}

/// The page's examples say what it says they do.
#[test]
fn the_documented_examples_hold() {
    let page = include_str!("../../docs/rules.md");
    let block = |kind: &str| page.split(&format!("```{kind}\n")).nth(1).unwrap().split("```").next().unwrap();
    let facts = fairlead::chat::facts::scan(block("jsonc").as_bytes(), Wants::ALL).unwrap();
    let call = Call { facts, ..Call::default() };
    let examples: Vec<_> = block("cel").lines().map(|line| line.split_once("//").unwrap()).collect();
    assert!(examples.len() > 15);
    for (source, says) in examples {
        let found = match outcome(source.trim(), &call) {
            Outcome::Yes => "true",
            Outcome::No => "false",
            Outcome::Faulty(_) => "undecided",
        };
        assert_eq!(found, says.trim(), "{source}");
    }
}
