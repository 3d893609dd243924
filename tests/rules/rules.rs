//! Which rule decides.

use std::time::Duration;

use fairlead::chat::facts::Wants;
use fairlead::config;
use fairlead::route::context::Context;
use fairlead::route::rules::{Rules, Warning};
use proptest::prelude::*;

use crate::call::Call;

fn rule(name: &str, when: config::Condition, weight: f64, models: &[&str]) -> config::Rule {
    let written =
        serde_json::json!({"name": name, "when": false, "model": "m", "weight": weight, "models": models});
    let mut rule: config::Rule = serde_json::from_value(written).unwrap();
    rule.when = when;
    rule
}

fn when(source: &str) -> config::Condition {
    config::Condition::Expression(source.into())
}

fn picked(rules: &Rules, call: &Call) -> Option<String> {
    rules.pick(&call.context()).rule.map(|rule| rule.name().to_owned())
}

/// The rules of a public guide to routing by configuration.
fn guide() -> Rules {
    let code =
        "contains(user_input, '代码') OR contains(user_input, 'program') OR contains(user_input, 'def ')";
    let fast = "user_metadata.get('require_fast_response') == 'true'";
    Rules::compile(&[
        rule("code_related", when(code), 0.9, &[]),
        rule("low_latency", when(fast), 1.0, &[]),
        rule("fallback_general", when("true"), 0.1, &[]),
    ])
    .unwrap()
}

#[test]
fn the_guides_queries_go_where_its_rules_send_them() {
    let rules = guide();
    let queries = ["帮我写一个Python快速排序函数", "今天天气怎么样", "需要快速回答：1+1等于几"];
    let driven = queries.map(|query| {
        let call = Call::saying(query);
        let call = if query.contains("快速") { call.with("require_fast_response", "true") } else { call };
        picked(&rules, &call).unwrap()
    });
    assert_eq!(driven, ["low_latency", "fallback_general", "low_latency"]);
    for query in queries {
        assert_eq!(picked(&rules, &Call::saying(query)).unwrap(), "fallback_general");
    }
    for query in ["写一段代码", "def f():"] {
        assert_eq!(picked(&rules, &Call::saying(query)).unwrap(), "code_related");
        // Both hold: the weight decides, not the order of the file.
        let fast = Call::saying(query).with("require_fast_response", "true");
        assert_eq!(picked(&rules, &fast).unwrap(), "low_latency");
    }
    assert!(rules.warnings().is_empty());
}

#[test]
fn heavier_rules_are_asked_first_and_the_file_breaks_ties() {
    let written = [
        rule("light", when("true"), 0.5, &[]),
        rule("first", when("contains(user_input, 'a')"), 1.0, &[]),
        rule("second", when("contains(user_input, 'b')"), 1.0, &[]),
        rule("heavy", when("contains(user_input, 'c')"), 2.0, &[]),
    ];
    let rules = Rules::compile(&written).unwrap();
    for (said, name) in [("abc", "heavy"), ("ab", "first"), ("b", "second"), ("", "light")] {
        assert_eq!(picked(&rules, &Call::saying(said)).as_deref(), Some(name));
    }
    let call = Call::saying("b");
    assert_eq!(rules.pick(&call.context()).looked_at, 3);
    assert_eq!(rules.pick(&call.context()).rule.unwrap().position, 2);
}

#[test]
fn a_named_model_is_only_redirected_by_rules_that_list_it() {
    let rules = Rules::compile(&[
        rule("open", when("stream"), 1.0, &[]),
        rule("claudes", when("true"), 0.5, &["claude-*", "opus"]),
    ])
    .unwrap();
    let named = |model: &str, stream| {
        let mut call = Call::default();
        call.facts.model = model.into();
        call.facts.stream = stream;
        picked(&rules, &call)
    };
    assert_eq!(named("", true).as_deref(), Some("open"));
    assert_eq!(named("auto", true).as_deref(), Some("open"));
    assert_eq!(named("auto", false).as_deref(), Some("claudes"));
    assert_eq!(named("claude-haiku", true).as_deref(), Some("claudes"));
    assert_eq!(named("opus", true).as_deref(), Some("claudes"));
    assert_eq!(named("gpt-4o", true), None);
}

#[test]
fn a_rule_that_cannot_say_is_counted_and_passed_over() {
    let rules = Rules::compile(&[
        rule("odd", when("metadata.tries < 3"), 1.0, &[]),
        rule("sound", when("true"), 0.5, &[]),
    ])
    .unwrap();
    let call = Call::default().with("tries", "2");
    for _ in 0..3 {
        let context = call.context();
        let picked = rules.pick(&context);
        assert_eq!(picked.rule.unwrap().name(), "sound");
        assert_eq!(picked.faulty.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [0]);
        assert_eq!(picked.faulty[0].1, "at byte 15: only two numbers or two texts have an order");
    }
    assert_eq!(rules.faults().collect::<Vec<_>>(), [("odd", 3), ("sound", 0)]);
}

#[test]
fn a_callable_says_what_it_said_before_the_call() {
    let callable = |position| config::Condition::Callable { callable: position };
    let rules =
        Rules::compile(&[rule("zero", callable(0), 1.0, &[]), rule("one", callable(1), 1.0, &[])]).unwrap();
    let mut call = Call::default();
    assert_eq!(picked(&rules, &call), None);
    call.options.verdicts = vec![Ok(false), Ok(true)];
    assert_eq!(picked(&rules, &call).as_deref(), Some("one"));
}

#[test]
fn a_callable_that_could_not_say_is_counted_and_passed_over() {
    let callable = |position| config::Condition::Callable { callable: position };
    let rules =
        Rules::compile(&[rule("zero", callable(0), 1.0, &[]), rule("one", callable(1), 1.0, &[])]).unwrap();
    let mut call = Call::default();
    call.options.verdicts = vec![Err("KeyError: 'x'".to_owned()), Ok(true)];
    assert_eq!(picked(&rules, &call).as_deref(), Some("one"));
    assert_eq!(rules.faults().collect::<Vec<_>>(), [("zero", 1), ("one", 0)]);
}

#[test]
fn all_broken_conditions_are_reported_with_their_places() {
    let written = [
        rule("a", when("contains(user_input"), 1.0, &[]),
        rule("b", when("true"), 1.0, &[]),
        rule("c", when("usr == 'x'"), 2.0, &[]),
    ];
    let faults = Rules::compile(&written).unwrap_err();
    assert_eq!(faults.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn rules_that_never_decide_are_warned_about() {
    let rules = Rules::compile(&[
        rule("narrow", when("stream"), 0.1, &[]),
        rule("never", when("stream && false"), 3.0, &[]),
        rule("all", config::Condition::Always(true), 1.0, &["gpt-*"]),
        rule("covered", when("has_tools"), 0.9, &["gpt-4*"]),
        rule("others", when("has_tools"), 0.9, &["claude-*"]),
        rule("off", config::Condition::Always(false), 1.0, &[]),
    ])
    .unwrap();
    let expected = [
        Warning::Unreachable { position: 0, behind: 2 },
        Warning::NeverHolds { position: 1 },
        Warning::Unreachable { position: 3, behind: 2 },
        Warning::NeverHolds { position: 5 },
    ];
    assert_eq!(rules.warnings(), expected);
}

#[test]
fn rules_want_what_any_of_them_reads() {
    let rules =
        Rules::compile(&[rule("a", when("hour > 5"), 1.0, &[]), rule("b", when("text == ''"), 1.0, &[])]);
    assert_eq!(rules.unwrap().wants(), Wants::CLOCK | Wants::TEXT);
    assert_eq!(Rules::compile(&[]).unwrap().wants(), Wants::NOTHING);
}

#[test]
fn the_clock_is_read_where_the_offset_says() {
    let call = Call::default();
    let at = |seconds: u64, offset: i64| {
        let context = Context::new(&call.facts, &call.options).at(Duration::from_secs(seconds), offset);
        (context.hour, context.weekday)
    };
    assert_eq!(at(0, 0), (0, 4));
    assert_eq!(at(0, -3600), (23, 3));
    // Friday, 20 November 2026, 23:30 UTC; in Shanghai it is Saturday.
    assert_eq!(at(1_795_217_400, 0), (23, 5));
    assert_eq!(at(1_795_217_400, 8 * 3600), (7, 6));
}

proptest! {
    /// Many rules over one text take a quick no for most searches; it must be the same no.
    #[test]
    fn many_rules_pick_what_each_would(
        text in "[a-d代码 ]{0,60}",
        parts in prop::collection::vec("[a-d代码 ]{1,8}", 20..40),
    ) {
        let one = |part: &String| rule(part, when(&format!("contains(user_input, '{part}')")), 1.0, &[]);
        let rules = Rules::compile(&parts.iter().map(one).collect::<Vec<_>>()).unwrap();
        let expected = parts.iter().find(|part| text.contains(*part)).cloned();
        prop_assert_eq!(picked(&rules, &Call::saying(&text)), expected);
    }
}
