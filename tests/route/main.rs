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

mod canary;
mod rules;
#[path = "../support/mod.rs"]
mod support;
mod targets;
mod tenants;

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
pub(crate) fn deployment(model: &str, host: &str, more: &str) -> String {
    format!(
        "[[models.{model}.deployments]]\nprovider = \"openai\"\nmodel = \"{host}-up\"\napi_key = \"k\"\n\
         base_url = \"http://{host}.test/v1\"\n{more}\n"
    )
}

pub(crate) fn body(json: &str) -> Call {
    with(json, CallOptions::default())
}

pub(crate) fn with(json: &str, options: CallOptions) -> Call {
    Call { operation: Operation::Chat, body: Bytes::from(json.to_owned()), options }
}

pub(crate) fn named(model: &str) -> Call {
    body(&format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#))
}

pub(crate) fn open() -> Call {
    body(r#"{"messages":[{"role":"user","content":"hi"}]}"#)
}

pub(crate) fn decide(config: &str, call: &Call) -> Result<Arc<Decision>, Error> {
    World::new([]).engine(config).route(call)
}

pub(crate) fn asked(decision: &Decision) -> Vec<&str> {
    decision.candidates.iter().map(|choice| &*choice.deployment).collect()
}

pub(crate) async fn receipt(world: &World, config: &str, call: Call) -> Arc<Receipt> {
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
        ("tag:chat", vec!["openai/h3-up"]),
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
async fn the_space_of_a_call_is_the_least_that_its_own_deployments_have() {
    let config = format!(
        "[models.a]\nfallbacks = [\"b\"]\n{}{}{}{}",
        deployment("a", "one", "context_window = 8000\nmax_output = 4000"),
        deployment("a", "two", "context_window = 9000\nmax_output = 1000"),
        deployment("a", "unknown", ""),
        deployment("b", "small", "context_window = 500"),
    );
    let engine = World::new([]).engine(&config);
    let space = engine.space(&named("a")).unwrap();
    assert_eq!((space.context_window, space.max_output), (Some(8000), Some(1000)));
    assert_eq!(space.model, "one-up");
    assert_eq!(engine.space(&named("b")).unwrap().max_output, None);
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
    let (chosen, receipt) =
        sent(r#"{"model":"a","messages":[],"max_completion_tokens":9,"temperature":1,"seed":null}"#).await;
    let expected = serde_json::json!(
        {"model": "ha-up", "messages": [], "max_tokens": 9, "temperature": 1, "seed": null, "top_p": 0.9}
    );
    assert_eq!(chosen, expected);
    assert!(receipt.notes.is_empty(), "{:?}", receipt.notes);
}

#[tokio::test(start_paused = true)]
async fn a_default_bound_on_the_output_is_sent_once_and_under_the_name_that_its_deployment_takes() {
    let (old, new) = ("max_tokens", "max_completion_tokens");
    let refusing =
        deployment("a", "ha", "params = { max_completion_tokens = 9 }\ndrop_params = [\"max_tokens\"]");
    let world = World::new([ok()]);
    let receipt = receipt(&world, &refusing, named("a")).await;
    assert!(!String::from_utf8_lossy(&world.seen.lock()[0].body).contains("max_"));
    assert_eq!(receipt.notes, ["the default `max_tokens` was not sent: openai/ha-up refuses it"]);
    for (provider, model, rule, models, deployments, expected) in [
        ("openai", "gpt-5", None, Some((old, 500)), None, (new, 500)),
        ("mistral", "m", None, Some((new, 500)), None, (old, 500)),
        ("openai", "gpt-5", Some((new, 100)), Some((old, 500)), None, (new, 100)),
        ("openai", "gpt-5", Some((old, 100)), Some((new, 500)), Some((old, 9)), (new, 100)),
        ("openai", "gpt-4o", None, Some(("max_output_tokens", 500)), Some((old, 9)), (old, 500)),
        ("openai", "gpt-4o", None, None, Some((new, 9)), (old, 9)),
    ] {
        let params = |bound: Option<(&str, u64)>| {
            bound.map_or_else(
                || "params = {}".to_owned(),
                |(name, most)| format!("params = {{ {name} = {most} }}"),
            )
        };
        let config = format!(
            "[[rules]]\nname = \"r\"\nwhen = true\nmodel = \"a\"\n{}\n[models.a]\n{}\n\
             [[models.a.deployments]]\nprovider = \"{provider}\"\nmodel = \"{model}\"\napi_key = \"k\"\n{}\n",
            params(rule),
            params(models),
            params(deployments),
        );
        let world = World::new([ok()]);
        crate::receipt(&world, &config, open()).await;
        let mut sent: serde_json::Map<_, _> = serde_json::from_slice(&world.seen.lock()[0].body).unwrap();
        sent.retain(|name, _| name != "model" && name != "messages");
        let (name, most) = expected;
        assert_eq!(serde_json::Value::from(sent), serde_json::json!({ name: most }), "{config}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_with_reasoning_can_move_to_a_provider_that_refuses_it() {
    let turns = r#"{"model":"a","messages":[{"role":"assistant","reasoning_content":"hm","content":"1"}]}"#;
    let said = |more: serde_json::Value| {
        let mut turn = serde_json::json!({"role": "assistant", "content": "1"});
        turn.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        turn
    };
    let as_written = said(serde_json::json!({"reasoning_content": "hm"}));
    let renamed = said(serde_json::json!({"reasoning": "hm"}));
    let left_out = said(serde_json::json!({}));
    let note = |provider| format!("the reasoning of earlier turns was not sent: {provider}/ha-up refuses it");
    for (provider, expected, notes) in [
        ("openai", &as_written, vec![]),
        ("deepseek", &as_written, vec![]),
        ("fireworks", &as_written, vec![]),
        ("cerebras", &renamed, vec![]),
        ("groq", &left_out, vec![note("groq")]),
        ("mistral", &left_out, vec![note("mistral")]),
    ] {
        let config = deployment("a", "ha", "").replace("openai", provider);
        let world = World::new([ok()]);
        let receipt = receipt(&world, &config, body(turns)).await;
        let sent: serde_json::Value = serde_json::from_slice(&world.seen.lock()[0].body).unwrap();
        assert_eq!(&sent["messages"][0], expected, "{provider}");
        assert_eq!(receipt.notes, notes, "{provider}");
    }
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

#[tokio::test(start_paused = true)]
async fn a_retired_model_is_answered_by_its_heir_and_the_record_says_so() {
    let config = "[providers.openai]\napi_key = \"k\"\n";
    let world = World::new([ok()]);
    let receipt = receipt(&world, config, named("openai/gpt-4-vision-preview")).await;
    let note = &receipt.notes[0];
    assert_eq!(receipt.route.as_ref().unwrap().notes, receipt.notes);
    assert!(note.starts_with("`gpt-4-vision-preview` is retired: gpt-4o"), "{note}");
    let sent: serde_json::Value = serde_json::from_slice(&world.seen.lock()[0].body).unwrap();
    assert_ne!(sent["model"], "gpt-4-vision-preview");

    // At an address of one's own, somebody may still answer to the old name.
    let config = "[providers.openai]\napi_key = \"k\"\nbase_url = \"http://own.test/v1\"\n";
    let decision = decide(config, &named("openai/gpt-4-vision-preview")).unwrap();
    assert_eq!(decision.notes, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_no_name_is_not_taken_for_an_open_choice() {
    let config = format!("default_model = \"a\"\n{}", deployment("a", "ha", ""));
    for odd in ["5", "[\"a\"]", "{}", "false"] {
        let error = decide(&config, &body(&format!(r#"{{"model":{odd},"messages":[]}}"#))).unwrap_err();
        assert_eq!(error.kind(), Kind::BadRequest, "{odd}");
    }
    assert_eq!(&*decide(&config, &body(r#"{"model":null,"messages":[]}"#)).unwrap().model, "a");
}

#[test]
fn of_two_deployments_with_one_name_the_second_is_numbered() {
    let config = format!("{}{}", deployment("a", "h1", ""), deployment("a", "h1", "weight = 2"));
    assert_eq!(asked(&decide(&config, &named("a")).unwrap()), ["openai/h1-up", "openai/h1-up#2"]);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_for_one_cause_is_not_asked_where_nobody_else_may_serve() {
    let config = format!("[tenants.acme]\ndeny = [\"a\", \"any\"]\n{}", by_cause());
    let options = CallOptions { tenant: Some("acme".into()), ..CallOptions::default() };
    let error = decide(&config, &with(r#"{"model":"a","messages":[]}"#, options)).unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_is_too_long_for_all_goes_where_such_prompts_go() {
    let config = format!(
        "[models.a]\nfallbacks = {{ context_window = [\"long\"], quota = [\"paid\"] }}\n{}{}{}",
        deployment("a", "own", "context_window = 1000"),
        deployment("long", "long", ""),
        deployment("paid", "paid", ""),
    );
    let prompt =
        format!(r#"{{"model":"a","messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(20_000));
    let world = World::new([ok()]);
    receipt(&world, &config, body(&prompt)).await;
    assert_eq!(world.hosts(), ["long.test"]);
}

/// Azure's deployment `ours`, which is a `base_model`.
fn at_azure(base_model: &str) -> String {
    format!(
        "[[models.m.deployments]]\nprovider = \"azure\"\nmodel = \"ours\"\n{base_model}\napi_key = \"k\"\n\
         base_url = \"http://a.test/v1\"\n"
    )
}

#[tokio::test(start_paused = true)]
async fn a_base_model_lends_a_name_of_ones_own_its_prices_its_window_and_what_it_takes() {
    for (base, known) in [
        ("", None),
        ("base_model = \"gpt-5\"", Some("max_completion_tokens")),
        ("base_model = \"azure/gpt-5\"", Some("max_completion_tokens")),
        ("base_model = \"openai/gpt-5\"", Some("max_completion_tokens")),
        ("base_model = \"openai/gpt-4o\"", Some("max_tokens")),
    ] {
        let world = World::new([ok()]);
        let call = body(r#"{"model":"m","messages":[],"max_tokens":5}"#);
        let receipt = receipt(&world, &at_azure(base), call).await;
        let sent: serde_json::Value = serde_json::from_slice(&world.seen.lock()[0].body).unwrap();
        assert_eq!(
            (&sent["model"], &sent[known.unwrap_or("max_tokens")]),
            (&"ours".into(), &5.into()),
            "{base}"
        );
        assert_eq!(receipt.cost_usd.is_some(), known.is_some(), "{base}");
    }
}
