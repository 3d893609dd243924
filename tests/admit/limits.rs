//! Limits by scope, and what a caller is told.

use std::time::Duration;

use fairlead::Kind;
use fairlead::call::CallOptions;
use fairlead::config::Secret;
use fairlead::reply::Answer;

use crate::support::scripted::{Meets, World, ok, status};
use crate::{ask, ask_with, hosts, pass, used, user};

fn always() -> World {
    World::answering(|_| ok())
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_cannot_have_room_in_time_says_what_is_limited_for_whom_and_until_when() {
    let world = always();
    let engine = world.engine(&hosts(&["a"], "", "[limits.global]\nrequests_per_minute = 2"));
    for _ in 0..2 {
        ask(&engine).await.unwrap();
    }
    let error = ask(&engine).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (Kind::LimitExceeded, 0));
    let limit = error.failure().limit.as_ref().unwrap();
    assert_eq!((limit.measure, limit.scope, limit.most), ("requests", "global", Some(2.0)));
    assert_eq!(limit.window, "60 s");
    assert_eq!(error.retry_after(), Some(Duration::from_mins(1)));
    assert!(error.is_retryable());
    assert_eq!(error.to_string(), "the limit of 2 requests in 60 s (global) is reached; room in 60 s");
    assert_eq!(world.hosts().len(), 2, "nothing was sent");
    pass(60.0).await;
    ask(&engine).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_room_that_comes_in_time_and_its_receipt_says_how_long() {
    let engine = always().engine(&hosts(&["a"], "", "[limits.global]\nrequests_per_second = 1"));
    ask(&engine).await.unwrap();
    let Answer::Reply(reply) = ask(&engine).await.unwrap() else { unreachable!() };
    let waited = reply.receipt.timings.waited.unwrap();
    assert!((waited - 1.0).abs() < 1e-6, "{waited}");
}

#[tokio::test(start_paused = true)]
async fn what_one_deployment_has_no_room_for_goes_to_the_next_at_once() {
    let world = always();
    let engine = world.engine(&hosts(&["a", "b"], "requests_per_minute = 1", ""));
    for _ in 0..2 {
        ask(&engine).await.unwrap();
    }
    assert_eq!(world.hosts(), ["a.test", "b.test"]);
    assert_eq!(ask(&engine).await.unwrap_err().kind(), Kind::LimitExceeded);
}

#[tokio::test(start_paused = true)]
async fn users_have_counts_of_their_own_and_the_nameless_share_one() {
    let engine = always().engine(&hosts(&["a"], "", "[limits.user]\nrequests_per_minute = 1"));
    for name in ["ann", "bob"] {
        ask_with(&engine, user(name)).await.unwrap();
        let error = ask_with(&engine, user(name)).await.unwrap_err();
        assert_eq!(error.failure().limit.as_ref().unwrap().scope, "user");
    }
    ask(&engine).await.unwrap();
    assert!(ask(&engine).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn one_may_have_other_limits_than_each() {
    let extra = "[limits.user]\nrequests_per_minute = 1\n[limits.users.ann]\nrequests_per_minute = 3\n\
                 [limits.tenant]\nrequests_per_minute = 1\n[tenants.acme.limits]\nrequests_per_minute = 2\n";
    let engine = always().engine(&hosts(&["a"], "", extra));
    let of = |tenant: &str, user: &str| CallOptions {
        tenant: Some(tenant.to_owned()),
        user: Some(user.to_owned()),
        ..CallOptions::default()
    };
    for _ in 0..2 {
        ask_with(&engine, of("acme", "ann")).await.unwrap();
    }
    let error = ask_with(&engine, of("acme", "ann")).await.unwrap_err();
    assert_eq!(error.failure().limit.as_ref().unwrap().scope, "tenant");
    ask_with(&engine, of("other", "ann")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn l5_a_denial_in_one_scope_leaves_the_others_untouched() {
    let extra = "[limits.global]\nrequests_per_minute = 10\n[limits.user]\nrequests_per_minute = 1";
    let engine = always().engine(&hosts(&["a"], "tokens_per_minute = 100000", extra));
    ask_with(&engine, user("ann")).await.unwrap();
    let before = [used(&engine, "global"), used(&engine, "tokens/")];
    for _ in 0..5 {
        ask_with(&engine, user("ann")).await.unwrap_err();
    }
    assert_eq!([used(&engine, "global"), used(&engine, "tokens/")], before);
}

#[tokio::test(start_paused = true)]
async fn deployments_that_say_the_same_limit_of_one_key_share_it_and_others_do_not() {
    let key = |host: &str, most: u32, scope: &str| {
        format!(
            "\n[[models.m.deployments]]\nprovider = \"openai\"\nmodel = \"{host}-up\"\napi_key = \"k\"\n\
             base_url = \"http://a.test/v1\"\nrequests_per_minute = {most}\nlimit_scope = \"{scope}\"\n"
        )
    };
    for (config, served) in [
        (key("one", 2, "credential") + &key("two", 2, "credential"), 2),
        (key("one", 2, "credential") + &key("two", 3, "credential"), 5),
        (key("one", 2, "deployment") + &key("two", 2, "deployment"), 4),
    ] {
        let engine = always().engine(&config);
        let mut answered = 0;
        while answered < 9 && ask(&engine).await.is_ok() {
            answered += 1;
        }
        assert_eq!(answered, served, "{config}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_an_account_holds_for_all_deployments_that_use_its_key() {
    let config = "[providers.openai.limits]\nrequests_per_minute = 3\n".to_owned()
        + &hosts(&["a"], "id = \"one\"", "")
        + "\n[[models.n.deployments]]\nprovider = \"openai\"\nmodel = \"other\"\napi_key = \"k-a\"\n\
           base_url = \"http://a.test/v1\"\n";
    let engine = always().engine(&config);
    for model in ["m", "n", "m"] {
        engine.call(crate::support::chat_for(model)).await.unwrap();
    }
    let error = engine.call(crate::support::chat_for("n")).await.unwrap_err();
    assert_eq!(error.failure().limit.as_ref().unwrap().scope, "credential");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_counts_and_tells_but_never_refuses() {
    let engine =
        always().engine(&hosts(&["a"], "", "[limits.global]\nrequests_per_minute = 1\ndry_run = true"));
    for _ in 0..5 {
        ask(&engine).await.unwrap();
    }
    let standings = engine.limits();
    let global = standings.iter().find(|standing| standing.limit.identity.starts_with("global")).unwrap();
    assert_eq!((global.used, global.denied), (5, 4));
}

#[tokio::test(start_paused = true)]
async fn limits_change_while_calls_run_and_what_was_counted_stays() {
    let world = always();
    let with = |most: u32| hosts(&["a"], "", &format!("[limits.global]\nrequests_per_minute = {most}"));
    let engine = world.engine(&with(2));
    for _ in 0..2 {
        ask(&engine).await.unwrap();
    }
    engine.reload(toml::from_str(&with(3)).unwrap()).unwrap();
    ask(&engine).await.unwrap();
    assert!(ask(&engine).await.is_err());
    engine.reload(toml::from_str(&with(1)).unwrap()).unwrap();
    assert_eq!(used(&engine, "global"), 3);
}

#[tokio::test(start_paused = true)]
async fn windows_go_down_to_a_second_and_up_to_a_day() {
    let extra = "[limits.global]\nrequests_per_day = 5\nwindows = [{ per = 10, requests = 3 }]";
    let engine = always().engine(&hosts(&["a"], "", extra));
    for _ in 0..5 {
        ask(&engine).await.unwrap();
    }
    let error = ask(&engine).await.unwrap_err();
    assert_eq!(error.failure().limit.as_ref().unwrap().window, "86400 s");
}

#[tokio::test(start_paused = true)]
async fn with_the_stage_off_everything_is_admitted() {
    let extra = "[stages]\nadmit = false\n[limits]\nflood = 1\n[limits.global]\nrequests_per_minute = 1";
    let engine = always().engine(&hosts(&["a"], "requests_per_minute = 1", extra));
    for _ in 0..5 {
        ask(&engine).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_refused_before_anything_is_read() {
    let engine = always().engine(&hosts(&["a"], "", "[limits]\nflood = 2"));
    for _ in 0..2 {
        ask_with(&engine, user("eve")).await.unwrap();
    }
    let error = ask_with(&engine, user("eve")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::LimitExceeded);
    assert!(error.retry_after().unwrap() <= Duration::from_millis(500));
    ask_with(&engine, user("ann")).await.unwrap();
    let reloaded = hosts(&["a"], "", "[limits]\nflood = 2\n[queue]\nwait = 3");
    engine.reload(toml::from_str(&reloaded).unwrap()).unwrap();
    assert!(ask_with(&engine, user("eve")).await.is_err(), "what was counted stays");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_a_reload_takes_out_is_told_no_longer() {
    let engine =
        always().engine(&hosts(&["a"], "", "[limits.global]\nrequests_per_minute = 1\n[queue]\nwait = 0"));
    ask(&engine).await.unwrap();
    let told = r#"limit_utilisation{limit="requests/60s",scope="global"} 1"#;
    assert!(engine.metrics_text().contains(told), "{}", engine.metrics_text());
    engine.reload(toml::from_str(&hosts(&["a"], "", "[queue]\nwait = 0")).unwrap()).unwrap();
    ask(&engine).await.unwrap();
    assert!(!engine.metrics_text().contains(told));
}

#[tokio::test(start_paused = true)]
async fn keys_that_calls_bring_have_counts_of_their_own_and_the_houses_key_has_its_own() {
    let engine = always().engine(&hosts(&["a"], "requests_per_minute = 2", "[queue]\nwait = 0"));
    let with = |key: &str| CallOptions { api_key: Some(Secret::new(key)), ..CallOptions::default() };
    for key in ["one", "two"] {
        ask_with(&engine, with(key)).await.unwrap();
        ask_with(&engine, with(key)).await.unwrap();
        assert_eq!(ask_with(&engine, with(key)).await.unwrap_err().kind(), Kind::LimitExceeded, "{key}");
    }
    ask(&engine).await.unwrap();
    ask_with(&engine, with("k-a")).await.unwrap();
    assert!(ask(&engine).await.is_err(), "the house's key, whoever brings it");
}

#[tokio::test(start_paused = true)]
async fn the_limits_of_a_model_count_what_it_serves_as_a_fallback_too() {
    let world = World::answering(|seen| if seen.host.starts_with("dead") { status(500) } else { ok() });
    let models = |extra: &str| {
        hosts(&["dead"], "", "[breaker]\nenabled = false\n[models.m]\nfallbacks = ['n']\n")
            + &format!("\n[models.n]\n{extra}")
            + &hosts(&["alive"], "", "").replace("models.m", "models.n")
    };
    let engine = world.engine(&models("limits = { requests_per_minute = 2 }"));
    for _ in 0..2 {
        ask(&engine).await.unwrap();
    }
    assert_eq!(
        ask(&engine).await.unwrap_err().kind(),
        Kind::Server,
        "the failure of the model that was asked"
    );
    let direct = engine.call(crate::support::chat_for("n")).await.unwrap_err();
    assert_eq!(direct.failure().limit.as_ref().unwrap().scope, "model");
    assert_eq!(used(&engine, "model=n requests"), 2);

    let engine = world.engine(&models("limits = { concurrency = 1 }"));
    ask(&engine).await.unwrap();
    assert_eq!(used(&engine, "model=n concurrency"), 0, "a slot is given back with the call");
}

#[tokio::test(start_paused = true)]
async fn the_slot_of_a_model_that_failed_is_free_while_a_fallback_works() {
    let world = World::answering(|seen| {
        if seen.host.starts_with("dead") { status(500) } else { ok().after(Duration::from_secs(4)) }
    });
    let extra = "[breaker]\nenabled = false\n[models.m]\nfallbacks = ['n']\nlimits = { concurrency = 1 }\n";
    let engine = world
        .engine(&(hosts(&["dead"], "", extra) + &hosts(&["alive"], "", "").replace("models.m", "models.n")));
    let running = crate::start(&engine, CallOptions::default());
    pass(1.0).await;
    assert_eq!(used(&engine, "model=m concurrency"), 0);
    running.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_one_does_not_say_for_himself_is_what_holds_for_each() {
    let extra = "[limits.user]\nrequests_per_minute = 1\nconcurrency = 3\n[limits.users.nightly]\nrequests_per_minute = 9\n";
    let engine = always().engine(&hosts(&["a"], "", extra));
    for _ in 0..9 {
        ask_with(&engine, user("nightly")).await.unwrap();
    }
    let slots =
        engine.limits().into_iter().find(|standing| standing.limit.identity.contains("=nightly concurrency"));
    assert_eq!(slots.map(|standing| standing.limit.most), Some(3));
}

#[tokio::test(start_paused = true)]
async fn every_refusal_says_whether_and_when_it_is_worth_coming_back() {
    let never =
        World::answering(|_| Meets::Never).engine(&hosts(&["a"], "concurrency = 1", "[queue]\nwait = 0"));
    let _running = crate::start(&never, CallOptions::default());
    pass(0.1).await;
    let error = ask(&never).await.unwrap_err();
    assert_eq!((error.is_retryable(), error.retry_after()), (true, Some(Duration::from_secs(1))));

    let small = "tokens_per_minute = 3\noversize = 'reject'";
    let error =
        ask(&always().engine(&hosts(&["a"], "", &format!("[limits.global]\n{small}")))).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable(), error.retry_after()), (Kind::LimitExceeded, false, None));
}
