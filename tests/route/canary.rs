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
