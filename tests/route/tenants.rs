//! Policies and keys of tenants, and keys of single calls.

use fairlead::Kind;
use fairlead::call::{Call, CallOptions, Operation};
use fairlead::route::Role;

use crate::support::scripted::{World, ok, status};
use crate::*;

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
    // What another model holds as well is allowed under that one, not as a part of this one.
    let both = format!("{config}{}", deployment("both", "h1", ""));
    assert!(under(&both, "acme", "both").is_ok() && under(&both, "acme", "big").is_err());
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

#[test]
fn all_keys_of_tenants_that_are_not_set_are_told_at_once() {
    let unset = |name: &str| format!("{{ env = \"FAIRLEAD_TEST_NO_{name}\" }}");
    let config = format!(
        "[[models.m.deployments]]\nprovider = \"groq\"\nmodel = \"x\"\napi_key = \"k\"\n{}\
         [tenants.acme.api_keys]\nopenai = {}\ngroq = [\"k\", {}]\n[tenants.zeta.api_keys]\nopenai = {}\n",
        deployment("a", "ha", "") + &deployment("b", "hb", ""),
        unset("ONE"),
        unset("TWO"),
        unset("THREE"),
    );
    let error = fairlead::Engine::new(toml::from_str(&config).unwrap()).unwrap_err();
    let paths: Vec<&str> = error.problems().iter().map(|problem| problem.path.as_str()).collect();
    let expected =
        ["tenants.acme.api_keys.groq[1]", "tenants.acme.api_keys.openai", "tenants.zeta.api_keys.openai"];
    assert_eq!(paths, expected, "{error}");
}

#[tokio::test(start_paused = true)]
async fn no_other_host_of_a_model_sees_a_calls_own_key_though_its_provider_has_the_same_name() {
    let own = |host: &str| deployment("a", host, "").replace("\"openai\"", "\"openai-compatible\"");
    let config = own("ha") + &own("hb");
    let options =
        CallOptions { api_key: Some(fairlead::config::Secret::new("once")), ..CallOptions::default() };
    let world = World::new([status(500), status(500), status(500), status(500)]);
    world.engine(&config).call(with(r#"{"model":"a","messages":[]}"#, options)).await.unwrap_err();
    assert!(world.hosts().iter().all(|host| host == "ha.test"), "{:?}", world.hosts());
    // At one host it goes on, whatever the deployments there are called.
    let near = own("ha") + &deployment("a", "hb", "").replace("hb.test", "ha.test");
    let options =
        CallOptions { api_key: Some(fairlead::config::Secret::new("once")), ..CallOptions::default() };
    let decision = decide(&near, &with(r#"{"model":"a","messages":[]}"#, options)).unwrap();
    assert_eq!(asked(&decision), ["openai-compatible/ha-up", "openai/hb-up"]);
}

#[tokio::test(start_paused = true)]
async fn a_tenants_keys_serve_its_calls_under_every_name_of_their_provider() {
    let text = r#"{"model":"a","messages":[]}"#;
    for (named, at) in [("google", "gemini"), ("gemini", "google"), ("Gemini", "gemini")] {
        for providers in ["", "[providers.google]\nhttp2 = false\n"] {
            let config = deployment("a", "ha", "").replace("\"openai\"", &format!("\"{at}\""))
                + providers
                + &format!("[tenants.acme]\napi_keys = {{ {named} = \"theirs\" }}\n");
            let world = World::new([ok(), ok()]);
            world.engine(&config).call(with(text, acme())).await.unwrap();
            assert_eq!(keys(&world), ["Bearer theirs"], "{config}");
        }
    }
    let twice =
        deployment("a", "ha", "") + "[tenants.acme]\napi_keys = { google = \"one\", gemini = \"other\" }\n";
    let error = fairlead::config::check::check(&toml::from_str(&twice).unwrap()).unwrap_err().to_string();
    assert!(error.contains("`tenants.acme.api_keys.google`: `gemini` is another name"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_provider_holds_under_all_its_names_unless_they_are_told_apart() {
    let model =
        |provider: &str| format!("[[models.a.deployments]]\nprovider = \"{provider}\"\nmodel = \"m\"\n");
    let own =
        |id: &str| format!("[providers.{id}]\nbase_url = \"http://{id}.test/v1\"\napi_key = \"k-{id}\"\n");
    for (config, expected) in [
        (own("google") + &model("gemini"), "google"),
        (own("gemini") + &model("google"), "gemini"),
        (own("gemini") + &own("google") + &model("google"), "google"),
        (own("gemini") + &own("google") + &model("gemini"), "gemini"),
        (own("openai-compatible") + &own("custom") + &model("custom"), "custom"),
    ] {
        let world = World::new([ok()]);
        world.engine(&config).call(named("a")).await.unwrap();
        assert_eq!(
            (world.hosts(), keys(&world)),
            (vec![format!("{expected}.test")], vec![format!("Bearer k-{expected}")])
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_denied_model_is_denied_under_every_name_of_its_provider() {
    let config = "[tenants.acme]\ndeny = [\"a\"]\n[[models.a.deployments]]\nprovider = \"google\"\nmodel = \"m\"\n\
                  api_key = \"k\"\n[providers.gemini]\napi_key = \"k\"\n";
    for name in ["a", "google/m", "gemini/m"] {
        let text = format!(r#"{{"model":"{name}","messages":[]}}"#);
        assert_eq!(
            decide(config, &with(&text, acme())).unwrap_err().kind(),
            Kind::PermissionDenied,
            "{name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_alias_among_what_a_tenant_may_use_means_what_it_stands_for() {
    let config = format!(
        "models.short = \"long\"\nmodels.shorter = \"short\"\nmodels.any = \"tag:t\"\n\
         [tenants.acme]\ndeny = [\"shorter\"]\n[tenants.picky]\nallow = [\"short\"]\n[tenants.tagless]\ndeny = [\"any\"]\n\
         [tenants.wild]\ndeny = [\"shor*\"]\n\
         [models.long]\n[models.other]\ncapabilities = [\"t\"]\n{}{}",
        deployment("long", "h1", ""),
        deployment("other", "h2", ""),
    );
    for (tenant, name, may) in [
        ("acme", "shorter", false),
        ("acme", "short", false),
        ("acme", "long", false),
        ("acme", "other", true),
        ("picky", "shorter", true),
        ("picky", "long", true),
        ("picky", "other", false),
        ("wild", "short", false),
        ("wild", "long", false),
        ("wild", "other", true),
        ("tagless", "any", false),
        ("tagless", "tag:t", false),
        ("tagless", "other", true),
    ] {
        let options = CallOptions { tenant: Some(tenant.into()), ..CallOptions::default() };
        let decision = decide(&config, &with(&format!(r#"{{"model":"{name}","messages":[]}}"#), options));
        assert_eq!(decision.is_ok(), may, "{tenant} {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_providers_model_that_is_denied_is_so_under_every_name_of_its_provider() {
    let providers = "[providers.gemini]\napi_key = \"k\"\n";
    for denied in ["google/m", "gemini/m", "google:m", "google/*"] {
        let config = format!("[tenants.acme]\ndeny = [\"{denied}\"]\n{providers}");
        for name in ["google/m", "gemini/m", "gemini:m"] {
            let decision = decide(&config, &with(&format!(r#"{{"model":"{name}","messages":[]}}"#), acme()));
            assert_eq!(decision.unwrap_err().kind(), Kind::PermissionDenied, "{denied} {name}");
        }
        assert!(
            decide(&config, &with(r#"{"model":"gemini/n","messages":[]}"#, acme())).is_ok()
                != denied.contains('*')
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_names_of_any_host_share_no_keys() {
    let config = "[providers.custom]\nbase_url = \"http://custom.test/v1\"\napi_key = \"of-custom\"\n\
                  [tenants.acme]\napi_keys = { compatible = \"theirs\" }\n\
                  [[models.a.deployments]]\nprovider = \"openai-compatible\"\nmodel = \"m\"\n\
                  base_url = \"http://other.test/v1\"\n";
    let world = World::new([ok(), ok()]);
    let engine = world.engine(config);
    engine.call(named("a")).await.unwrap();
    engine.call(with(r#"{"model":"a","messages":[]}"#, acme())).await.unwrap();
    assert_eq!((world.hosts(), keys(&world)), (vec!["other.test".into(); 2], vec![String::new(); 2]));
}
