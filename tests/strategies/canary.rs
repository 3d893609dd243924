//! A share of the calls goes to another model.

use fairlead::call::CallOptions;
use fairlead::route::{Decision, Why};

use super::support::scripted::{World, ok, status};
use super::{config, of, receipt};

fn canary(percent: u32, more: &str) -> String {
    let next = "[[models.next.deployments]]\nid = \"new\"\nprovider = \"openai\"\nmodel = \"up\"\napi_key = \"k\"\n\
                base_url = \"http://new.test/v1\"\n";
    let canary = format!("models.m.canary = {{ model = \"next\", percent = {percent} }}\n");
    format!(
        "{canary}{more}\n{next}{}",
        config("weighted", &[("old", "")], "").replace("[models.m]\nstrategy = \"weighted\"\n", "")
    )
}

fn of_user(user: usize) -> fairlead::call::Call {
    of(CallOptions { user: Some(format!("user-{user}")), ..CallOptions::default() })
}

fn is_inside(decision: &Decision) -> bool {
    matches!(decision.why, Why::Canary(_))
}

#[tokio::test(start_paused = true)]
async fn users_stay_on_their_side_and_nobody_leaves_as_the_share_grows() {
    let engines = [5, 25, 100].map(|percent| World::new([]).engine(&canary(percent, "")));
    let mut inside = [0; 3];
    for user in 0..1000 {
        let sides = engines.each_ref().map(|engine| {
            let one = is_inside(&engine.route(&of_user(user)).unwrap());
            assert_eq!(one, is_inside(&engine.route(&of_user(user)).unwrap()));
            one
        });
        assert!(sides.is_sorted(), "user {user}: {sides:?}");
        for (count, side) in inside.iter_mut().zip(sides) {
            *count += usize::from(side);
        }
    }
    assert!((30..70).contains(&inside[0]) && (200..300).contains(&inside[1]), "{inside:?}");
    assert_eq!(inside[2], 1000);
}

#[tokio::test(start_paused = true)]
async fn a_canary_says_so_and_its_model_follows_when_it_fails() {
    let world = World::new([status(500), ok()]);
    let receipt = receipt(&world.engine(&canary(100, "")), of_user(1)).await.unwrap();
    let route = receipt.route.as_ref().unwrap();
    assert_eq!((&*route.model, route.why.to_string().as_str()), ("next", "canary of m"));
    assert_eq!(route.notes, ["100 % of the calls for `m` go to its canary `next`"]);
    assert_eq!(world.hosts(), ["new.test", "old.test"]);
    assert_eq!(&*receipt.deployment, "old");
}
