//! What rules decide.

use fairlead::call::{Call, CallOptions};
use fairlead::route::Why;

use crate::support::scripted::{World, ok};
use crate::*;

/// Two models, a default and rules.
fn with_rules(rules: &str) -> String {
    format!(
        "default_model = \"general\"\n{rules}\n{}{}{}",
        deployment("general", "hg", ""),
        deployment("code", "hc", ""),
        deployment("fast", "hf", ""),
    )
}

fn saying(text: &str) -> Call {
    body(&format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#))
}

const RULES: &str = r#"
[[rules]]
name = "code"
when = "contains(user_input, 'def ')"
model = "code"
weight = 0.9
[[rules]]
name = "fast"
when = "metadata.hurry == 'yes'"
model = "fast"
params = { temperature = 0.1 }
"#;

#[tokio::test(start_paused = true)]
async fn a_rule_decides_where_an_open_call_goes_and_says_so() {
    let config = with_rules(RULES);
    let decision = decide(&config, &saying("def f():")).unwrap();
    assert_eq!(
        (&*decision.model, decision.rule.as_deref(), &decision.why),
        ("code", Some("code"), &Why::Rule)
    );
    let decision = decide(&config, &saying("hello")).unwrap();
    assert_eq!((&*decision.model, decision.rule.as_deref(), &decision.why), ("general", None, &Why::Default));

    let hurried = Call {
        options: CallOptions { metadata: vec![("hurry".into(), "yes".into())], ..CallOptions::default() },
        ..saying("def f():")
    };
    let world = World::new([ok()]);
    let receipt = receipt(&world, &config, hurried).await;
    assert_eq!((&*receipt.model, receipt.rule.as_deref()), ("fast", Some("fast")), "the higher weight wins");
    assert!(world.seen.lock()[0].body.ends_with(b"\"temperature\":0.1}"), "{:?}", world.seen.lock()[0].body);
}

#[tokio::test(start_paused = true)]
async fn a_rule_does_not_overrule_the_caller_unless_it_names_what_it_may_redirect() {
    let named = body(r#"{"model":"general","messages":[{"role":"user","content":"def f():"}]}"#);
    assert_eq!(&*decide(&with_rules(RULES), &named).unwrap().model, "general");
    let redirecting = "[[rules]]\nname = \"r\"\nwhen = true\nmodel = \"code\"\nmodels = [\"gen*\"]\n";
    let decision = decide(&with_rules(redirecting), &named).unwrap();
    assert_eq!((&*decision.model, &*decision.requested), ("code", "general"));
}

#[tokio::test(start_paused = true)]
async fn a_tenants_rules_are_asked_before_the_general_ones() {
    let config = with_rules(&format!(
        "{RULES}\n[[tenants.acme.rules]]\nname = \"theirs\"\nwhen = \"user == 'u1'\"\nmodel = \"general\"\n"
    ));
    let call = |user: &str| Call {
        options: CallOptions {
            tenant: Some("acme".into()),
            user: Some(user.into()),
            ..CallOptions::default()
        },
        ..saying("def f():")
    };
    assert_eq!(decide(&config, &call("u1")).unwrap().rule.as_deref(), Some("theirs"));
    assert_eq!(decide(&config, &call("u2")).unwrap().rule.as_deref(), Some("code"));
}

#[tokio::test(start_paused = true)]
async fn a_weighted_target_is_drawn_in_proportion() {
    let config = with_rules(
        "[[rules]]\nname = \"split\"\nwhen = true\nmodel = [{ model = \"code\", weight = 3 }, { model = \"fast\" }]\n",
    );
    let engine = World::new([]).engine(&config);
    let fast = (0..10_000).filter(|_| &*engine.route(&open()).unwrap().model == "fast").count();
    assert!((2_350..2_650).contains(&fast), "{fast}");
}

#[tokio::test(start_paused = true)]
async fn without_a_match_an_error_can_be_asked_for() {
    let config = with_rules(&format!("{RULES}\n[routing]\nno_match = \"error\"\n"));
    let error = decide(&config, &saying("hello")).unwrap_err();
    assert!(error.to_string().contains("no rule takes this call"), "{error}");
    assert!(decide(&config, &saying("def f():")).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_cannot_say_is_passed_over_counted_and_noted() {
    let config = with_rules(&format!(
        "[[rules]]\nname = \"odd\"\nwhen = \"tokens / (tokens - tokens) == 1\"\nmodel = \"fast\"\nweight = 9\n{RULES}"
    ));
    let engine = World::new([]).engine(&config);
    let decision = engine.route(&saying("def f():")).unwrap();
    assert_eq!(&*decision.model, "code");
    assert_eq!((engine.rule_faults()["odd"], engine.rule_faults()["code"]), (1, 0));
    assert!(decision.notes[0].starts_with("the rule `odd` could not say"), "{:?}", decision.notes);
}

#[tokio::test(start_paused = true)]
async fn rules_of_one_name_are_counted_together_whoevers_they_are() {
    let odd = "name = \"odd\"\nwhen = \"tokens / (tokens - tokens) == 1\"\nmodel = \"fast\"\n";
    let tenants = ["one", "two", "three"];
    let theirs = tenants.map(|tenant| format!("[[tenants.{tenant}.rules]]\n{odd}")).concat();
    let engine = World::new([]).engine(&with_rules(&format!("[[rules]]\n{odd}{theirs}")));
    for tenant in tenants {
        let options = CallOptions { tenant: Some(tenant.into()), ..CallOptions::default() };
        engine.route(&Call { options, ..open() }).unwrap();
    }
    assert_eq!(engine.rule_faults()["odd"], 6, "each tenant's own, and then the general one");
}

#[tokio::test(start_paused = true)]
async fn a_rule_may_ask_for_the_tags_of_the_model_that_was_named() {
    let config = format!(
        "default_model = \"plain\"\n[models.special]\ncapabilities = [\"debugging\"]\n\
         [[rules]]\nname = \"r\"\nwhen = \"'debugging' in capabilities\"\nmodel = \"plain\"\nmodels = [\"*\"]\n{}{}",
        deployment("plain", "h1", ""),
        deployment("special", "h2", ""),
    );
    assert_eq!(decide(&config, &named("special")).unwrap().rule.as_deref(), Some("r"));
    assert_eq!(decide(&config, &named("plain")).unwrap().rule, None);
}

#[test]
fn every_condition_that_is_no_expression_is_told_at_once() {
    let config = with_rules(
        "[[rules]]\nname = \"a\"\nwhen = \"contains(\"\nmodel = \"code\"\n[[rules]]\nname = \"b\"\nwhen = \"usr == 1\"\nmodel = \"code\"\n",
    );
    let error = fairlead::Engine::new(toml::from_str(&config).unwrap()).unwrap_err().to_string();
    assert!(error.contains("rules[0].when") && error.contains("rules[1].when"), "{error}");
}

#[test]
fn rules_that_many_threads_evaluate_at_once_answer_each_for_its_own_call() {
    let engine = World::new([]).engine(&with_rules(RULES));
    std::thread::scope(|threads| {
        for thread in 0..8 {
            let engine = &engine;
            threads.spawn(move || {
                for round in 0..500 {
                    let (said, goes_to) = match (thread + round) % 2 {
                        0 => (format!("def f{thread}_{round}():"), "code"),
                        _ => (format!("define {thread} {round}"), "general"),
                    };
                    assert_eq!(&*engine.route(&saying(&said)).unwrap().model, goes_to, "{said}");
                }
            });
        }
    });
}

#[tokio::test(start_paused = true)]
async fn the_tags_of_an_open_call_are_those_of_the_model_that_it_would_go_to() {
    let config = format!(
        "default_model = \"m\"\n[tenants.acme]\ndefault_model = \"n\"\n[tenants.other]\n[models.m]\ncapabilities = [\"a\"]\n\
         [models.n]\ncapabilities = [\"b\"]\n[[rules]]\nname = \"r\"\nwhen = \"'b' in capabilities\"\nmodel = \"z\"\n{}{}{}",
        deployment("m", "hm", ""),
        deployment("n", "hn", ""),
        deployment("z", "hz", ""),
    );
    for (tenant, expected) in [("acme", "z"), ("other", "m"), ("nobody", "m")] {
        let options = CallOptions { tenant: Some(tenant.into()), ..CallOptions::default() };
        assert_eq!(
            &*decide(&config, &with(r#"{"messages":[]}"#, options)).unwrap().model,
            expected,
            "{tenant}"
        );
    }
}
