//! A share of the calls goes elsewhere.

use fairlead::call::CallOptions;
use fairlead::route::Why;

use crate::support::scripted::World;
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
async fn a_rules_name_stays_on_the_record_when_its_models_canary_answers() {
    let config = format!(
        "[[rules]]\nname = \"all\"\nwhen = true\nmodel = \"a\"\n[models.a.canary]\nmodel = \"next\"\npercent = 100\n{}{}",
        deployment("a", "ha", ""),
        deployment("next", "hn", ""),
    );
    let decision = decide(&config, &open()).unwrap();
    assert_eq!((decision.rule.as_deref(), &*decision.model), (Some("all"), "next"));
}
