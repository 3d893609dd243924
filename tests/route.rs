//! Where a call goes: targets, fallbacks by cause, filters, tenants, profiles, defaults, and the record of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fairlead::call::{Call, CallOptions, Operation};
use fairlead::reply::Answer;
use fairlead::route::{Decision, Rejection, Role, Why};
use fairlead::settle::Receipt;
use fairlead::{Error, Kind};
use support::scripted::{Meets, World, ok, status};

/// One deployment as TOML, at a host of its own.
fn deployment(model: &str, host: &str, more: &str) -> String {
    format!(
        "[[models.{model}.deployments]]\nprovider = \"openai\"\nmodel = \"{host}-up\"\napi_key = \"k\"\n\
         base_url = \"http://{host}.test/v1\"\n{more}\n"
    )
}

fn body(json: &str) -> Call {
    with(json, CallOptions::default())
}

fn with(json: &str, options: CallOptions) -> Call {
    Call { operation: Operation::Chat, body: Bytes::from(json.to_owned()), options }
}

fn named(model: &str) -> Call {
    body(&format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#))
}

fn open() -> Call {
    body(r#"{"messages":[{"role":"user","content":"hi"}]}"#)
}

fn decide(config: &str, call: &Call) -> Result<Arc<Decision>, Error> {
    World::new([]).engine(config).route(call)
}

fn asked(decision: &Decision) -> Vec<&str> {
    decision.candidates.iter().map(|choice| &*choice.deployment).collect()
}

async fn receipt(world: &World, config: &str, call: Call) -> Arc<Receipt> {
    match world.engine(config).call(call).await {
        Ok(Answer::Reply(reply)) => reply.receipt,
        other => panic!("{other:?}"),
    }
}

fn refused(code: &str) -> Meets {
    status(400).with_body(&format!(r#"{{"error":{{"message":"no","code":"{code}","type":"x"}}}}"#))
}

#[tokio::test(start_paused = true)]
async fn the_callers_word_wins_and_an_open_call_goes_to_the_default() {
    let config = format!("default_model = \"b\"\n{}{}", deployment("a", "ha", ""), deployment("b", "hb", ""));
    let decision = decide(&config, &named("a")).unwrap();
    assert_eq!((&*decision.model, &decision.why, asked(&decision)), ("a", &Why::Named, vec!["openai/ha-up"]));
    for call in [open(), named("auto")] {
        let decision = decide(&config, &call).unwrap();
        assert_eq!((&*decision.model, &decision.why), ("b", &Why::Default));
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_is_a_model_an_alias_a_deployment_a_tag_or_a_providers_model() {
    let config = format!(
        "models.short = \"long\"\nmodels.shorter = \"short\"\nmodels.one = \"east\"\nmodels.any = \"tag:code\"\n\
         models.theirs = \"openrouter/a/b\"\nproviders.openrouter.api_key = \"k\"\n\
         [models.long]\ncapabilities = [\"code\"]\n[models.other]\ncapabilities = [\"chat\", \"code\"]\n{}{}{}",
        deployment("long", "h1", "id = \"east\""),
        deployment("long", "h2", "id = \"west\""),
        deployment("other", "h3", ""),
    );
    for (name, expected) in [
        ("long", vec!["east", "west"]),
        ("shorter", vec!["east", "west"]),
        ("one", vec!["east"]),
        ("west", vec!["west"]),
        ("any", vec!["east", "west", "openai/h3-up"]),
        ("theirs", vec!["openrouter/a/b"]),
    ] {
        assert_eq!(asked(&decide(&config, &named(name)).unwrap()), expected, "{name}");
    }
}

#[test]
fn aliases_in_a_circle_are_refused() {
    let config = "models.a = \"b\"\nmodels.b = \"a\"\n";
    let error = fairlead::Engine::new(toml::from_str(config).unwrap()).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains("circle"), "{error}");
}

/// `a` with a fallback for every cause.
fn by_cause() -> String {
    format!(
        "[models.a]\nfallbacks = {{ any = [\"any\"], context_window = [\"long\"], content_filter = [\"free\"], \
         quota = [\"paid\"] }}\n{}{}{}{}{}",
        deployment("a", "own", ""),
        deployment("any", "any", ""),
        deployment("long", "long", ""),
        deployment("free", "free", ""),
        deployment("paid", "paid", ""),
    )
}

#[tokio::test(start_paused = true)]
async fn each_cause_of_failure_has_its_own_fallback() {
    for (meets, then, degraded) in [
        (status(500), "any.test", true),
        (refused("context_length_exceeded"), "long.test", false),
        (refused("content_filter"), "free.test", true),
        (status(402), "paid.test", true),
        (status(404), "any.test", true),
    ] {
        let world = World::new([meets.clone(), ok()]);
        let receipt = receipt(&world, &by_cause(), named("a")).await;
        assert_eq!(world.hosts(), ["own.test", then], "{meets:?}");
        assert_eq!(receipt.degraded, degraded, "{meets:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_fallback_for_its_cause_a_failure_is_raised_at_once() {
    let config = format!(
        "[models.a]\nfallbacks = [\"b\"]\n{}{}",
        deployment("a", "own", ""),
        deployment("b", "other", "")
    );
    for code in ["context_length_exceeded", "content_filter"] {
        let world = World::new([refused(code), ok()]);
        world.engine(&config).call(named("a")).await.unwrap_err();
        assert_eq!(world.hosts(), ["own.test"], "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_did_not_fit_goes_to_a_peer_with_a_larger_window_only() {
    let config = format!(
        "{}{}{}",
        deployment("a", "small", "context_window = 8000"),
        deployment("a", "smaller", "context_window = 4000"),
        deployment("a", "large", "context_window = 200000"),
    );
    let world = World::new([refused("context_length_exceeded"), ok()]);
    receipt(&world, &config, named("a")).await;
    assert_eq!(world.hosts(), ["small.test", "large.test"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_call_needs_decides_who_may_serve_it() {
    let image = r#"{"model":"a","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#;
    let tools = r#"{"model":"a","messages":[],"tools":[{"type":"function","function":{"name":"f"}}]}"#;
    let config = format!(
        "{}{}{}",
        deployment("a", "blind", "supports = { vision = false, tools = true }"),
        deployment("a", "seeing", "supports = { vision = true, tools = false }"),
        deployment("a", "unknown", ""),
    );
    let seen = decide(&config, &body(image)).unwrap();
    assert_eq!(asked(&seen), ["openai/seeing-up", "openai/unknown-up"]);
    assert_eq!(seen.rejected[0].reason.to_string(), "cannot do images");
    assert_eq!(asked(&decide(&config, &body(tools)).unwrap()), ["openai/blind-up", "openai/unknown-up"]);

    let blind = deployment("a", "blind", "supports = { vision = false }");
    let error = decide(&blind, &body(image)).unwrap_err();
    assert_eq!(error.kind(), Kind::BadRequest);
    assert!(error.to_string().contains("openai/blind-up: cannot do images"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_local_fallback_is_taken_only_if_it_is_known_to_be_capable() {
    let tools = r#"{"model":"a","messages":[],"tools":[{"type":"function","function":{"name":"f"}}]}"#;
    let local = |supports: &str| {
        let model = "[[models.local.deployments]]\nprovider = \"ollama\"\nmodel = \"own-finetune\"\n";
        format!(
            "[models.a]\nfallbacks = [\"local\"]\n{}{model}{supports}",
            deployment("a", "hosted", "supports = { tools = true }")
        )
    };
    let unknown = decide(&local(""), &body(tools)).unwrap();
    assert_eq!(asked(&unknown), ["openai/hosted-up"]);
    let plain = decide(&local(""), &named("a")).unwrap();
    assert_eq!(asked(&plain), ["openai/hosted-up", "ollama/own-finetune"]);
    let capable = decide(&local("supports = { tools = true }"), &body(tools)).unwrap();
    assert_eq!(asked(&capable), ["openai/hosted-up", "ollama/own-finetune"]);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_far_too_long_is_refused_before_anything_is_sent_and_a_doubtful_one_is_sent_elsewhere_first()
{
    let config = format!(
        "{}{}",
        deployment("a", "small", "context_window = 1000"),
        deployment("a", "large", "context_window = 100000"),
    );
    let prompt = |bytes: usize| {
        body(&format!(r#"{{"model":"a","messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(bytes)))
    };
    let doubtful = decide(&config, &prompt(6000)).unwrap();
    assert_eq!(asked(&doubtful), ["openai/large-up", "openai/small-up"]);
    let hopeless = decide(&config, &prompt(12000)).unwrap();
    assert_eq!(asked(&hopeless), ["openai/large-up"]);
    assert!(matches!(hopeless.rejected[0].reason, Rejection::Window { window: 1000, .. }));
    let world = World::new([ok()]);
    let engine = world.engine(&deployment("a", "small", "context_window = 1000"));
    let error = engine.call(prompt(12000)).await.unwrap_err();
    assert_eq!((error.kind(), world.hosts().len()), (Kind::ContextLength, 0));
}

#[tokio::test(start_paused = true)]
async fn residency_is_kept_whoever_asks_for_it_and_an_unknown_region_does_not_keep_it() {
    let config = format!(
        "[tenants.acme]\nregions = [\"eu-*\"]\n{}{}{}",
        deployment("a", "us", "region = \"us-east-1\""),
        deployment("a", "eu", "region = \"eu-west-1\""),
        deployment("a", "somewhere", ""),
    );
    let acme = CallOptions { tenant: Some("acme".into()), ..CallOptions::default() };
    let text = r#"{"model":"a","messages":[]}"#;
    assert_eq!(asked(&decide(&config, &with(text, acme.clone())).unwrap()), ["openai/eu-up"]);
    let regions = CallOptions { regions: vec!["us-*".into()], ..CallOptions::default() };
    assert_eq!(asked(&decide(&config, &with(text, regions.clone())).unwrap()), ["openai/us-up"]);
    let both = CallOptions { regions: regions.regions, ..acme };
    assert_eq!(decide(&config, &with(text, both)).unwrap_err().kind(), Kind::PermissionDenied);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_uses_what_it_may_and_has_a_default_of_its_own() {
    let config = format!(
        "default_model = \"a\"\n[tenants.acme]\ndefault_model = \"b\"\ndeny = [\"a*\"]\n{}{}",
        deployment("a", "ha", ""),
        deployment("b", "hb", ""),
    );
    let acme = CallOptions { tenant: Some("acme".into()), ..CallOptions::default() };
    let decision = decide(&config, &with(r#"{"messages":[]}"#, acme.clone())).unwrap();
    assert_eq!((&*decision.model, &decision.why), ("b", &Why::TenantDefault));
    let error = decide(&config, &with(r#"{"model":"a","messages":[]}"#, acme)).unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied);
    assert_eq!(&*decide(&config, &open()).unwrap().model, "a");
}

#[tokio::test(start_paused = true)]
async fn a_calls_own_fallbacks_replace_the_models() {
    let config = format!(
        "[models.a]\nfallbacks = [\"b\"]\n{}{}{}",
        deployment("a", "ha", ""),
        deployment("b", "hb", ""),
        deployment("c", "hc", ""),
    );
    let options = CallOptions { fallbacks: Some(vec!["c".into()]), ..CallOptions::default() };
    let decision = decide(&config, &with(r#"{"model":"a","messages":[]}"#, options)).unwrap();
    assert_eq!(asked(&decision), ["openai/ha-up", "openai/hc-up"]);
    assert_eq!(decision.candidates[1].role, Role::Fallback);
}

#[tokio::test(start_paused = true)]
async fn defaults_are_sent_where_the_caller_set_nothing_and_what_is_refused_is_left_out_and_noted() {
    let config = format!(
        "[models.a]\nparams = {{ temperature = 0.3, max_tokens = 50, seed = 7 }}\n{}",
        deployment("a", "ha", "params = { top_p = 0.9, seed = 8 }\ndrop_params = [\"temperature\"]"),
    );
    let sent = async |text: &str| {
        let world = World::new([ok()]);
        let receipt = receipt(&world, &config, body(text)).await;
        let sent: serde_json::Value = serde_json::from_slice(&world.seen.lock()[0].body).unwrap();
        (sent, receipt)
    };
    let (plain, receipt) = sent(r#"{"model":"a","messages":[]}"#).await;
    let expected =
        serde_json::json!({"model": "ha-up", "messages": [], "max_tokens": 50, "seed": 7, "top_p": 0.9});
    assert_eq!(plain, expected);
    assert_eq!(receipt.notes, ["the default `temperature` was not sent: openai/ha-up refuses it"]);

    // The caller wins, under whatever name it bounds the output, and what it sets itself is never dropped.
    let (chosen, _) =
        sent(r#"{"model":"a","messages":[],"max_completion_tokens":9,"temperature":1,"seed":null}"#).await;
    let expected = serde_json::json!(
        {"model": "ha-up", "messages": [], "max_tokens": 9, "temperature": 1, "seed": null, "top_p": 0.9}
    );
    assert_eq!(chosen, expected);
}

#[tokio::test(start_paused = true)]
async fn a_profile_sets_timeouts_and_retries_and_the_call_still_wins() {
    let config = format!(
        "[models.a]\nprofile = \"batch\"\n[profiles.batch]\nmax_retries = 4\n{}",
        deployment("a", "ha", "")
    );
    let world = World::new((0..9).map(|_| status(500)));
    let error = world.engine(&config).call(named("a")).await.unwrap_err();
    assert_eq!(error.attempts().len(), 5);
    let options =
        CallOptions { profile: Some("chat".into()), max_retries: Some(0), ..CallOptions::default() };
    let world = World::new([status(500)]);
    world.engine(&config).call(with(r#"{"model":"a","messages":[]}"#, options)).await.unwrap_err();
    assert_eq!(world.hosts().len(), 1);

    let begun = fairlead::clock::now();
    let options =
        CallOptions { profile: Some("chat".into()), max_retries: Some(0), ..CallOptions::default() };
    let world = World::new([Meets::Never]);
    world.engine(&config).call(with(r#"{"model":"a","messages":[]}"#, options)).await.unwrap_err();
    assert_eq!(fairlead::clock::now() - begun, Duration::from_secs(120), "the chat profile's total");

    let options = CallOptions { profile: Some("chatt".into()), ..CallOptions::default() };
    let error = decide(&config, &with(r#"{"model":"a","messages":[]}"#, options)).unwrap_err();
    assert!(error.to_string().contains("did you mean `chat`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_decision_goes_with_the_reply() {
    let world = World::new([status(500), ok()]);
    let receipt = receipt(&world, &by_cause(), named("a")).await;
    let route = receipt.route.as_ref().unwrap();
    assert_eq!(asked(route)[..2], ["openai/own-up", "openai/any-up"]);
    assert_eq!((&*receipt.model, &*receipt.deployment), ("a", "openai/any-up"));
}

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
    let decision = decide(&config, &saying("def f():")).unwrap();
    assert_eq!(&*decision.model, "code");
    assert!(decision.notes[0].starts_with("the rule `odd` could not say"), "{:?}", decision.notes);
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

#[tokio::test(start_paused = true)]
async fn the_catalogue_alone_never_refuses_the_last_deployment() {
    let image = r#"{"model":"a","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}]}"#;
    // A model that the catalogue knows to be blind.
    let blind =
        "[[models.a.deployments]]\nprovider = \"groq\"\nmodel = \"llama-3.1-8b-instant\"\napi_key = \"k\"\n";
    assert_eq!(asked(&decide(blind, &body(image)).unwrap()), ["groq/llama-3.1-8b-instant"]);
    let both = format!("{blind}{}", deployment("a", "unknown", ""));
    let decision = decide(&both, &body(image)).unwrap();
    assert_eq!((asked(&decision), decision.rejected.len()), (vec!["openai/unknown-up"], 1));
}

#[tokio::test(start_paused = true)]
async fn an_at_sign_at_openrouter_names_who_serves_and_the_caller_may_say_otherwise() {
    let config = "[providers.openrouter]\napi_key = 'k'\nbase_url = 'http://r.test/v1'\n\
                  [providers.other]\napi_key = 'k'\nbase_url = 'http://o.test/v1'\n";
    let ordered = |order: &[&str]| Some(serde_json::json!({ "order": order, "allow_fallbacks": false }));
    let only = serde_json::json!({ "only": ["z"] });
    let cases = [
        ("openrouter/a/m:nitro@x", "", "a/m:nitro", ordered(&["x"])),
        ("openrouter/a/m@x, y", "", "a/m", ordered(&["x", "y"])),
        ("openrouter/a/m@x", r#","provider":{"only":["z"]}"#, "a/m", Some(only)),
        ("openrouter/a/m:free", "", "a/m:free", None),
        ("other/m@2024", "", "m@2024", None),
    ];
    for (model, more, name, provider) in cases {
        let world = World::new([ok()]);
        let call = body(&format!(r#"{{"model":"{model}","messages":[]{more}}}"#));
        receipt(&world, config, call).await;
        let sent: serde_json::Value = serde_json::from_slice(&world.seen.lock()[0].body).unwrap();
        assert_eq!((&sent["model"], sent.get("provider")), (&name.into(), provider.as_ref()), "{model}");
    }
}

fn keys(world: &World) -> Vec<String> {
    world.seen.lock().iter().map(|seen| seen.key.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_tenants_own_keys_are_used_for_its_calls_and_for_nobody_elses() {
    let config =
        format!("[tenants.acme]\napi_keys = {{ openai = \"theirs\" }}\n{}", deployment("a", "ha", ""));
    let text = r#"{"model":"a","messages":[]}"#;
    let acme = CallOptions { tenant: Some("acme".into()), ..CallOptions::default() };
    let world = World::new([ok(), ok(), ok()]);
    let engine = world.engine(&config);
    for options in [acme.clone(), CallOptions::default(), acme] {
        engine.call(with(text, options)).await.unwrap();
    }
    assert_eq!(keys(&world), ["Bearer theirs", "Bearer k", "Bearer theirs"]);
}

#[tokio::test(start_paused = true)]
async fn where_tenants_bring_their_keys_the_house_needs_none_and_serves_nobody_else() {
    let config = "[tenants.acme]\napi_keys = { groq = \"theirs\" }\n\
                  [[models.a.deployments]]\nprovider = \"groq\"\nmodel = \"m\"\n";
    let text = r#"{"model":"a","messages":[]}"#;
    let acme = CallOptions { tenant: Some("acme".into()), ..CallOptions::default() };
    let world = World::new([ok()]);
    let engine = world.engine(config);
    engine.call(with(text, acme)).await.unwrap();
    assert_eq!(keys(&world), ["Bearer theirs"]);
    let error = engine.call(body(text)).await.unwrap_err();
    assert!(error.to_string().contains("no usable key"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_calls_own_key_and_address_are_for_its_model_alone() {
    let config = format!(
        "[models.a]\nfallbacks = [\"b\"]\n{}{}",
        deployment("a", "ha", ""),
        deployment("b", "hb", "")
    );
    let options = CallOptions {
        base_url: Some("http://elsewhere.test/v1".into()),
        api_key: Some(fairlead::config::Secret::new("once")),
        ..CallOptions::default()
    };
    let world = World::new([status(401), ok(), ok()]);
    let engine = world.engine(&config);
    engine.call(with(r#"{"model":"a","messages":[]}"#, options)).await.unwrap_err();
    assert_eq!((world.hosts(), keys(&world)), (vec!["elsewhere.test".into()], vec!["Bearer once".into()]));
    engine.call(named("a")).await.unwrap();
    assert_eq!(keys(&world)[1], "Bearer k", "the deployment's own key did not suffer");
    let unsendable = fairlead::config::Secret::new("hu\nsh");
    let options = CallOptions { api_key: Some(unsendable), ..CallOptions::default() };
    let error = engine.call(with(r#"{"model":"a","messages":[]}"#, options)).await.unwrap_err();
    assert!(error.to_string().contains("`api_key`") && !error.to_string().contains("hu\nsh"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_retired_model_is_answered_by_its_heir_and_the_record_says_so() {
    let config = "[providers.openai]\napi_key = \"k\"\n";
    let world = World::new([ok()]);
    let receipt = receipt(&world, config, named("openai/gpt-4-vision-preview")).await;
    let note = &receipt.route.as_ref().unwrap().notes[0];
    assert!(note.starts_with("`gpt-4-vision-preview` is retired: gpt-4o"), "{note}");
    let sent: serde_json::Value = serde_json::from_slice(&world.seen.lock()[0].body).unwrap();
    assert_ne!(sent["model"], "gpt-4-vision-preview");

    // At an address of one's own, somebody may still answer to the old name.
    let config = "[providers.openai]\napi_key = \"k\"\nbase_url = \"http://own.test/v1\"\n";
    let decision = decide(config, &named("openai/gpt-4-vision-preview")).unwrap();
    assert_eq!(decision.notes, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_canary_takes_its_share_of_users_and_keeps_them() {
    let config = format!(
        "[models.a.canary]\nmodel = \"next\"\npercent = 20\n{}{}",
        deployment("a", "ha", ""),
        deployment("next", "hn", ""),
    );
    let engine = World::new([]).engine(&config);
    let side = |user: u32| {
        let options = CallOptions { user: Some(format!("u{user}")), ..CallOptions::default() };
        let decision = engine.route(&with(r#"{"model":"a","messages":[]}"#, options)).unwrap();
        let is_canary = decision.why == Why::Canary("a".into());
        assert_eq!(&*decision.model, if is_canary { "next" } else { "a" });
        is_canary
    };
    let sides: Vec<bool> = (0..2_000).map(side).collect();
    let inside = sides.iter().filter(|is_canary| **is_canary).count();
    assert!((340..460).contains(&inside), "{inside}");
    assert!((0..2_000).all(|user| side(user) == sides[user as usize]), "a user never changes sides");
}

#[tokio::test(start_paused = true)]
async fn a_rules_name_stays_on_the_record_when_its_models_canary_answers() {
    let config = format!(
        "[[rules]]\nname = \"all\"\nwhen = true\nmodel = \"a\"\n[models.a.canary]\nmodel = \"next\"\npercent = 100\n{}{}",
        deployment("a", "ha", ""),
        deployment("next", "hn", ""),
    );
    let decision = decide(&config, &open()).unwrap();
    assert_eq!((decision.rule.as_deref(), &*decision.model), (Some("all"), "next"));
}

fn acme() -> CallOptions {
    CallOptions { tenant: Some("acme".into()), ..CallOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn no_name_leads_to_another_tenants_keys() {
    let config =
        format!("[tenants.acme]\napi_keys = {{ openai = \"theirs\" }}\n{}", deployment("a", "ha", ""));
    let world = World::new([ok(), ok()]);
    let engine = world.engine(&config);
    engine.call(with(r#"{"model":"a","messages":[]}"#, acme())).await.unwrap();
    engine.call(with(r#"{"model":"openai/x","messages":[]}"#, acme())).await.unwrap();
    for name in ["acme\\u0000a", "acme\\u0000openai/x"] {
        let error = engine.call(body(&format!(r#"{{"model":"{name}","messages":[]}}"#))).await.unwrap_err();
        assert_eq!(error.kind(), Kind::ModelNotFound, "{name}");
    }
    assert_eq!(keys(&world), ["Bearer theirs", "Bearer theirs"]);
}

#[test]
fn a_tenants_key_that_cannot_be_sent_is_told_when_it_is_loaded() {
    let config =
        format!("[tenants.acme]\napi_keys = {{ openai = \"hu sh \" }}\n{}", deployment("a", "ha", ""));
    let error = fairlead::Engine::new(toml::from_str(&config).unwrap()).unwrap_err().to_string();
    assert!(error.contains("tenants.acme.api_keys.openai") && !error.contains("hu sh"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_names_no_model_goes_with_the_tenants_key_or_the_calls_own() {
    let config =
        format!("[tenants.acme]\napi_keys = {{ openai = \"theirs\" }}\n{}", deployment("a", "ha", ""));
    let world = World::new([ok(), ok()]);
    let engine = world.engine(&config);
    let raw = |options: CallOptions| Call {
        operation: Operation::Raw { method: http::Method::GET, path: "/files".into() },
        body: Bytes::new(),
        options,
    };
    engine.call(raw(acme())).await.unwrap();
    let own = CallOptions { api_key: Some(fairlead::config::Secret::new("once")), ..CallOptions::default() };
    engine.call(raw(own)).await.unwrap();
    assert_eq!(keys(&world), ["Bearer theirs", "Bearer once"]);
}

#[tokio::test(start_paused = true)]
async fn a_denied_model_is_denied_under_every_name_that_leads_to_it() {
    let config = format!(
        "models.tagged = \"tag:t\"\n[tenants.acme]\ndeny = [\"long\"]\n[tenants.picky]\nallow = [\"short\"]\n\
         [models.long]\ncapabilities = [\"t\"]\n{}{}",
        deployment("long", "h1", "id = \"big\""),
        deployment("short", "h2", ""),
    );
    let under = |config: &str, tenant: &str, name: &str| {
        let options = CallOptions { tenant: Some(tenant.into()), ..CallOptions::default() };
        decide(config, &with(&format!(r#"{{"model":"{name}","messages":[]}}"#), options))
    };
    for name in ["long", "big", "tagged"] {
        for tenant in ["acme", "picky"] {
            assert_eq!(under(&config, tenant, name).unwrap_err().kind(), Kind::PermissionDenied, "{name}");
        }
        assert!(under(&config, "somebody", name).is_ok());
    }
    assert!(under(&config, "acme", "short").is_ok() && under(&config, "picky", "short").is_ok());
    // What another model holds as well is allowed under that one.
    let both = format!("{config}{}", deployment("both", "h1", ""));
    assert!(under(&both, "acme", "both").is_ok() && under(&both, "acme", "big").is_ok());
    assert!(under(&both, "acme", "long").is_err() && under(&both, "picky", "both").is_err());
}

#[tokio::test(start_paused = true)]
async fn neither_rule_nor_canary_diverts_a_call_that_brings_its_key_and_no_other_provider_sees_it() {
    let config = format!(
        "[[rules]]\nname = \"r\"\nwhen = true\nmodel = \"b\"\nmodels = [\"a\"]\n\
         [models.a.canary]\nmodel = \"b\"\npercent = 100\n{}\
         [[models.a.deployments]]\nprovider = \"groq\"\nmodel = \"m\"\napi_key = \"g\"\nbase_url = \"http://hg.test/v1\"\n{}",
        deployment("a", "ha", ""),
        deployment("b", "hb", ""),
    );
    let own = CallOptions { api_key: Some(fairlead::config::Secret::new("once")), ..CallOptions::default() };
    let decision = decide(&config, &with(r#"{"model":"a","messages":[]}"#, own.clone())).unwrap();
    assert_eq!((&*decision.model, asked(&decision)), ("a", vec!["openai/ha-up"]));
    let error = decide(&config, &with(r#"{"messages":[]}"#, own)).unwrap_err();
    assert!(error.to_string().contains("must name its model"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_canarys_call_falls_back_to_its_model_whatever_fallbacks_it_brings() {
    let config = format!(
        "[models.a]\nfallbacks = {{ context_window = [\"long\"] }}\n[models.a.canary]\nmodel = \"next\"\npercent = 100\n{}{}{}{}",
        deployment("a", "ha", ""),
        deployment("next", "hn", ""),
        deployment("long", "hl", ""),
        deployment("c", "hc", ""),
    );
    let options = CallOptions { fallbacks: Some(vec!["c".into()]), ..CallOptions::default() };
    let decision = decide(&config, &with(r#"{"model":"a","messages":[]}"#, options)).unwrap();
    assert_eq!(asked(&decision), ["openai/hn-up", "openai/ha-up", "openai/hc-up"]);
    let decision = decide(&config, &named("a")).unwrap();
    assert_eq!(asked(&decision), ["openai/hn-up", "openai/ha-up", "openai/hl-up"]);
    assert_eq!(decision.candidates[2].role, Role::ContextWindow);
}

#[tokio::test(start_paused = true)]
async fn for_a_tenant_too_a_deployment_is_asked_once_though_it_stands_in_two_models() {
    let config = format!(
        "[tenants.acme]\napi_keys = {{ openai = \"theirs\" }}\n[models.a]\nfallbacks = [\"b\"]\n{}{}{}",
        deployment("a", "ha", ""),
        deployment("b", "ha", ""),
        deployment("b", "hb", ""),
    );
    let world = World::new([status(500), ok()]);
    world.engine(&config).call(with(r#"{"model":"a","messages":[]}"#, acme())).await.unwrap();
    assert_eq!(world.hosts(), ["ha.test", "hb.test"]);
}
