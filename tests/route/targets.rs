//! Targets that lead past a model's name: its terms hold all the same.

use std::time::Duration;

use fairlead::Kind;
use fairlead::call::CallOptions;

use crate::support::scripted::{Meets, World, ok};
use crate::*;

/// A model with terms of its own, whose second deployment has an id, and another one of the same tag without any.
fn with_terms(terms: &str) -> String {
    format!(
        "[models.m]\ncapabilities = [\"code\", \"slow\"]\n{terms}\n[models.n]\ncapabilities = [\"code\"]\n{}{}{}",
        deployment("m", "east", "region = \"eu-1\""),
        deployment("m", "west", "region = \"us-1\"\nid = \"west\""),
        deployment("n", "north", "region = \"us-1\""),
    )
}

#[tokio::test(start_paused = true)]
async fn neither_a_tag_nor_an_id_leads_past_the_regions_of_a_model() {
    let config = with_terms("regions = [\"eu-*\"]");
    let tagged = decide(&config, &named("tag:code")).unwrap();
    assert_eq!(asked(&tagged), ["openai/east-up", "openai/north-up"]);
    assert_eq!((&*tagged.rejected[0].deployment, &tagged.rejected[0].reason), ("west", &Rejection::Region));
    assert_eq!(decide(&config, &named("west")).unwrap_err().kind(), Kind::PermissionDenied);
}

#[tokio::test(start_paused = true)]
async fn a_deployment_is_asked_with_the_parameters_of_its_model_under_whatever_name() {
    let config = with_terms("params = { temperature = 0.1 }");
    for (name, expected) in [("m", Some(0.1)), ("west", Some(0.1)), ("tag:slow", Some(0.1)), ("n", None)] {
        let world = World::new([ok()]);
        receipt(&world, &config, named(name)).await;
        let sent: serde_json::Value = serde_json::from_slice(&world.seen.lock()[0].body).unwrap();
        assert_eq!(sent["temperature"].as_f64(), expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_timeout_and_the_profile_of_a_model_hold_under_every_name_that_leads_to_it() {
    for (terms, expected) in [
        ("timeout = 7", Duration::from_secs(7)),
        ("profile = \"brief\"\n[profiles.brief]\ntotal = 5", Duration::from_secs(5)),
    ] {
        for name in ["m", "west", "tag:slow"] {
            let world = World::new([Meets::Never, Meets::Never]);
            let engine = world.engine(&with_terms(terms));
            let options = CallOptions { max_retries: Some(0), ..CallOptions::default() };
            let begun = fairlead::clock::now();
            let text = format!(r#"{{"model":"{name}","messages":[]}}"#);
            engine.call(with(&text, options)).await.unwrap_err();
            assert_eq!(fairlead::clock::now() - begun, expected, "{name} {terms}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_a_model_count_what_is_asked_of_its_deployments_under_any_name() {
    for name in ["m", "west", "tag:slow"] {
        let engine = World::new([ok(), ok()]).engine(&with_terms("limits = { requests_per_minute = 1 }"));
        engine.call(named("m")).await.unwrap();
        let options = CallOptions { deadline: Some(Duration::from_secs(1)), ..CallOptions::default() };
        let text = format!(r#"{{"model":"{name}","messages":[]}}"#);
        let error = engine.call(with(&text, options)).await.unwrap_err();
        assert_eq!(error.failure().limit.as_ref().unwrap().scope, "model", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_reads_the_tags_that_all_models_behind_a_target_carry() {
    let rule =
        "[[rules]]\nname = \"r\"\nwhen = \"'slow' in capabilities\"\nmodel = \"n\"\nmodels = [\"*\"]\n";
    let config = with_terms("") + rule;
    for (name, expected) in [("west", "n"), ("tag:slow", "n"), ("tag:code", "tag:code")] {
        assert_eq!(&*decide(&config, &named(name)).unwrap().model, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deployment_that_is_named_by_its_id_is_asked_alone() {
    let config = with_terms("fallbacks = [\"n\"]\ncanary = { model = \"n\", percent = 100 }");
    assert_eq!(asked(&decide(&config, &named("west")).unwrap()), ["west"]);
}
