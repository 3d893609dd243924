//! A share of the calls goes elsewhere.

use fairlead::call::CallOptions;
use fairlead::route::{Role, Why};

use crate::support::scripted::{World, ok, status};
use crate::*;

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
async fn the_model_that_answers_for_its_canary_is_not_below_it() {
    let config = format!(
        "[models.a]\nfallbacks = [\"b\"]\n[models.a.canary]\nmodel = \"next\"\npercent = 100\n{}{}{}",
        deployment("a", "ha", ""),
        deployment("b", "hb", ""),
        deployment("next", "hn", ""),
    );
    let world = World::new([status(500), ok()]);
    let receipt = receipt(&world, &config, named("a")).await;
    assert_eq!(world.hosts(), ["hn.test", "ha.test"]);
    assert!(!receipt.degraded);
    let roles: Vec<_> = decide(&config, &named("a")).unwrap().candidates.iter().map(|one| one.role).collect();
    assert_eq!(roles, [Role::Own, Role::Own, Role::Fallback]);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_is_not_diverted_to_or_from_what_it_may_not_use() {
    let config = format!(
        "[models.a.canary]\nmodel = \"next\"\npercent = 100\n[tenants.stable]\ndeny = [\"next\"]\n\
         [tenants.new]\ndeny = [\"a\"]\n[tenants.both]\nallow = [\"a\", \"next\"]\n{}{}",
        deployment("a", "ha", ""),
        deployment("next", "hn", ""),
    );
    let of = |tenant: &str| {
        let options = CallOptions { tenant: Some(tenant.into()), ..CallOptions::default() };
        decide(&config, &with(r#"{"model":"a","messages":[]}"#, options))
    };
    assert_eq!(&*of("stable").unwrap().model, "a");
    assert!(of("stable").unwrap().rejected.is_empty());
    assert_eq!(of("new").unwrap_err().kind(), fairlead::Kind::PermissionDenied);
    assert_eq!(&*of("both").unwrap().model, "next");
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

#[tokio::test(start_paused = true)]
async fn a_conversation_keeps_its_side_though_each_turn_names_the_response_before_it() {
    let sides = |by: &str, options: &CallOptions| {
        let config = format!(
            "[models.a.canary]\nmodel = \"next\"\npercent = 50\nby = \"{by}\"\n{}{}",
            deployment("a", "ha", ""),
            deployment("next", "hn", ""),
        );
        let engine = World::new([]).engine(&config);
        let turn = |turn: u32| {
            let body = format!(r#"{{"model":"a","messages":[],"previous_response_id":"resp_{turn}"}}"#);
            engine.route(&with(&body, options.clone())).unwrap().model.to_string()
        };
        (0..60).map(turn).collect::<std::collections::BTreeSet<_>>().len()
    };
    let user = CallOptions { user: Some("u1".into()), ..CallOptions::default() };
    let session = CallOptions { session: Some("s1".into()), ..CallOptions::default() };
    assert_eq!(sides("session", &user), 1);
    assert_eq!(sides("session", &session), 1);
    assert_eq!(sides("user", &session), 1);
    assert_eq!(sides("session", &CallOptions::default()), 2, "nothing but a turn is named");
}
