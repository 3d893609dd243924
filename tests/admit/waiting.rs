//! Standing in line: who goes first, how long, and what becomes of those who cannot wait.

use std::sync::Arc;
use std::time::Duration;

use fairlead::Kind;
use fairlead::call::CallOptions;
use fairlead::clock::now;
use parking_lot::Mutex;

use crate::support::scripted::{World, ok, status};
use crate::{hosts, pass, start, used};

const SLOT: &str = "concurrency = 1";

fn slow(seconds: f64) -> World {
    World::answering(move |_| ok().after(Duration::from_secs_f64(seconds)))
}

fn urgency(priority: u8) -> CallOptions {
    CallOptions { priority: Some(priority), ..CallOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn q1_a_slot_that_is_given_back_is_used_at_once() {
    let engine = slow(1.0).engine(&hosts(&["a"], SLOT, ""));
    let began = now();
    let calls: Vec<_> = (0..10).map(|_| start(&engine, CallOptions::default())).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!(((now() - began).as_secs_f64() - 10.0).abs() < 0.05, "{:?}", (now() - began));
    assert_eq!(used(&engine, "all concurrency"), 0);
}

#[tokio::test(start_paused = true)]
async fn q1_room_that_comes_first_is_used_wherever_it_comes() {
    let world = World::answering(|seen| {
        if seen.host.starts_with("slow") { ok().after(Duration::from_secs(20)) } else { ok() }
    });
    let config = hosts(&["slow"], SLOT, "") + &hosts(&["quick"], "limits = { requests_per_second = 1 }", "");
    let engine = world.engine(&config);
    let calls: Vec<_> = (0..3).map(|_| start(&engine, CallOptions::default())).collect();
    let began = now();
    for call in calls.into_iter().skip(1) {
        call.await.unwrap().unwrap();
    }
    assert!((now() - began).as_secs_f64() < 1.1, "{:?}", now() - began);
}

/// Those who ask one after the other for one slot, in the order in which they were answered.
async fn served(asking: &[(&'static str, CallOptions)]) -> Vec<&'static str> {
    let engine = slow(1.0).engine(&hosts(&["a"], SLOT, ""));
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut calls = Vec::new();
    for (name, options) in asking.iter().cloned() {
        let (engine, order) = (Arc::clone(&engine), Arc::clone(&order));
        calls.push(tokio::spawn(async move {
            crate::ask_with(&engine, options).await.unwrap();
            order.lock().push(name);
        }));
        pass(0.01).await;
    }
    for call in calls {
        call.await.unwrap();
    }
    let order = order.lock();
    order.clone()
}

#[tokio::test(start_paused = true)]
async fn higher_priority_goes_first_and_equals_in_their_order() {
    let asking = [("first", 5), ("low", 1), ("one", 5), ("two", 5), ("high", 9)];
    let order = served(&asking.map(|(name, priority)| (name, urgency(priority)))).await;
    assert_eq!(order, ["first", "high", "one", "two", "low"]);
}

#[tokio::test(start_paused = true)]
async fn a_profile_sets_the_priority_and_the_calls_own_wins() {
    let of = |name: &str| CallOptions { profile: Some(name.to_owned()), ..CallOptions::default() };
    let urgent = CallOptions { priority: Some(9), ..of("batch") };
    let asking = [("first", of("chat")), ("batch", of("batch")), ("chat", of("chat")), ("urgent", urgent)];
    assert_eq!(served(&asking).await, ["first", "urgent", "chat", "batch"]);
}

#[tokio::test(start_paused = true)]
async fn q4_a_call_that_is_cancelled_while_it_waits_takes_no_turn() {
    let world = slow(1.0);
    let engine = world.engine(&hosts(&["a"], SLOT, ""));
    let calls: Vec<_> = (0..6).map(|_| start(&engine, CallOptions::default())).collect();
    pass(0.5).await;
    for call in &calls[1..5] {
        call.abort();
    }
    pass(2.0).await;
    assert_eq!(world.hosts().len(), 2);
    assert_eq!(used(&engine, "all concurrency"), 0);
    assert_eq!((engine.gauges().calls.get(), engine.gauges().attempts.get()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn d2_the_wait_in_line_ends_before_the_deadline_with_a_typed_error() {
    let engine = slow(100.0).engine(&hosts(&["a"], SLOT, ""));
    let _running = start(&engine, CallOptions::default());
    pass(0.1).await;
    let began = now();
    let hasty = CallOptions { deadline: Some(Duration::from_secs(3)), ..CallOptions::default() };
    let error = crate::ask_with(&engine, hasty).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::QueueTimeout | Kind::LimitExceeded), "{error:?}");
    assert!((now() - began) <= Duration::from_secs(3));
    assert!(error.retry_after().is_some());
    assert_eq!(error.failure().limit.as_ref().unwrap().measure, "concurrency");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_where_the_queue_is_off() {
    let engine = slow(1.0).engine(&hosts(&["a"], SLOT, "[queue]\nwait = 0"));
    let _running = start(&engine, CallOptions::default());
    pass(0.1).await;
    assert_eq!(crate::ask(&engine).await.unwrap_err().kind(), Kind::LimitExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_user_at_the_limit_does_not_hold_up_the_others() {
    let engine = slow(0.01).engine(&hosts(&["a"], SLOT, "[limits.user]\nrequests_per_second = 1"));
    let calls: Vec<_> = (0..5).map(|_| start(&engine, crate::user("eve"))).collect();
    pass(0.05).await;
    let began = now();
    crate::ask_with(&engine, crate::user("ann")).await.unwrap();
    assert!((now() - began) < Duration::from_millis(100), "{:?}", (now() - began));
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn one_hanging_model_leaves_the_slots_of_the_others_untouched() {
    let world = World::answering(|seen| {
        if seen.host.starts_with("hangs") { crate::support::scripted::Meets::Never } else { ok() }
    });
    let config = hosts(&["a"], SLOT, "")
        + "\n[[models.n.deployments]]\nprovider = 'openai'\nmodel = 'n'\napi_key = 'k'\n\
           base_url = 'http://hangs.test/v1'\nconcurrency = 2\n";
    let engine = world.engine(&config);
    let hanging: Vec<_> = (0..20)
        .map(|_| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move { engine.call(crate::support::chat_for("n")).await })
        })
        .collect();
    pass(0.5).await;
    let began = now();
    for _ in 0..10 {
        crate::ask(&engine).await.unwrap();
    }
    assert!((now() - began) < Duration::from_millis(10));
    for call in hanging {
        call.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn q7_f130_one_tenant_that_floods_a_hundredfold_leaves_the_others_wait_at_twice_their_own() {
    let wait_of_victims = async |flood: usize| {
        let world = slow(0.1);
        let engine =
            world.engine(&hosts(&["a"], "concurrency = 4", "[queue]\nmost = 10000\nmost_per_tenant = 5000"));
        let of = |tenant: &str| CallOptions { tenant: Some(tenant.to_owned()), ..CallOptions::default() };
        for _ in 0..flood {
            drop(start(&engine, of("flood")));
        }
        let mut waits = Vec::new();
        for _ in 0..40 {
            let victims: Vec<_> = (0..4)
                .map(|number| {
                    let (engine, options) = (Arc::clone(&engine), of(&format!("victim {number}")));
                    tokio::spawn(async move {
                        let began = now();
                        crate::ask_with(&engine, options).await.map(|_| now() - began)
                    })
                })
                .collect();
            for victim in victims {
                waits.push(victim.await.unwrap().unwrap());
            }
        }
        waits.sort_unstable();
        waits[waits.len() * 99 / 100]
    };
    let (solo, flooded) = (wait_of_victims(0).await, wait_of_victims(400).await);
    assert!(flooded <= solo * 2 + Duration::from_millis(100), "{solo:?} alone, {flooded:?} beside a flood");
}

/// A deployment whose window takes one call in five seconds, and tenants with keys of their own.
const OWN_KEYS: &str = "limits = { windows = [{ per = 5, requests = 1 }] }";
const TENANTS: &str =
    "[tenants.ta]\napi_keys = { openai = \"ka\" }\n[tenants.tb]\napi_keys = { openai = \"kb\" }\n";

fn tenant(name: &str) -> CallOptions {
    CallOptions { tenant: Some(name.to_owned()), ..CallOptions::default() }
}

#[tokio::test(start_paused = true)]
async fn q1_q7_whose_own_key_is_used_up_holds_up_nobody_with_another() {
    let configured = slow(0.01).engine(&hosts(&["a"], OWN_KEYS, TENANTS));
    let told = World::answering(|seen| {
        if seen.key.ends_with("ka") {
            return ok()
                .with_header("x-ratelimit-limit-requests", "100")
                .with_header("x-ratelimit-remaining-requests", "0")
                .with_header("x-ratelimit-reset-requests", "6s");
        }
        ok()
    });
    for engine in [configured, told.engine(&hosts(&["a"], "", TENANTS))] {
        crate::ask_with(&engine, tenant("ta")).await.unwrap();
        let began = now();
        let waits = start(&engine, tenant("ta"));
        pass(0.1).await;
        crate::ask_with(&engine, tenant("tb")).await.unwrap();
        crate::ask(&engine).await.unwrap();
        assert!(now() - began < Duration::from_secs(1), "{:?}", now() - began);
        waits.await.unwrap().unwrap();
        assert!(now() - began > Duration::from_secs(4));
    }
}

#[tokio::test(start_paused = true)]
async fn q1_who_waits_for_what_is_left_to_it_does_not_hold_up_those_who_may_ask_others() {
    let failed = Mutex::new(Vec::new());
    let world = World::answering(move |seen| {
        let mut failed = failed.lock();
        if failed.contains(&seen.host) {
            return ok();
        }
        failed.push(seen.host.clone());
        status(500)
    });
    let config = hosts(&["x"], OWN_KEYS, "") + &hosts(&["y"], "", "");
    let engine = world.engine(&config);
    let began = now();
    let first = start(&engine, CallOptions::default());
    pass(1.0).await;
    crate::ask(&engine).await.unwrap();
    assert!(now() - began < Duration::from_millis(1100), "{:?}", now() - began);
    first.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn q3_lines_that_wait_for_the_same_slot_take_turns() {
    let world = slow(1.0);
    let config = hosts(&["a"], SLOT, "") + &hosts(&["a"], SLOT, "").replace("models.m", "models.n");
    let engine = world.engine(&config);
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut calls = Vec::new();
    for name in ["m", "n"].repeat(6) {
        let (engine, served) = (Arc::clone(&engine), Arc::clone(&served));
        calls.push(tokio::spawn(async move {
            engine.call(crate::support::chat_for(name)).await.unwrap();
            served.lock().push(name);
        }));
    }
    for call in calls {
        call.await.unwrap();
    }
    let first_half = served.lock()[..6].iter().filter(|name| **name == "m").count();
    assert!((2..=4).contains(&first_half), "{:?}", served.lock());
}

#[tokio::test(start_paused = true)]
async fn a_line_holds_as_many_calls_as_come_unless_it_is_told_otherwise() {
    let engine = slow(0.01).engine(&hosts(&["a"], "concurrency = 10", ""));
    let calls: Vec<_> = (0..2000).map(|_| start(&engine, CallOptions::default())).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let bounded = slow(0.01).engine(&hosts(&["a"], "concurrency = 10", "[queue]\nmost = 50"));
    let calls: Vec<_> = (0..100).map(|_| start(&bounded, CallOptions::default())).collect();
    let mut refused = 0;
    for call in calls {
        if let Err(error) = call.await.unwrap() {
            assert_eq!(error.kind(), Kind::LimitExceeded);
            assert!(error.retry_after().is_some());
            let limit = error.failure().limit.as_ref().unwrap();
            assert_eq!((limit.measure, limit.scope, limit.most), ("concurrency", "deployment", Some(10.0)));
            refused += 1;
        }
    }
    assert_eq!(refused, 40);
}

/// Hosts that refuse everything for the first two seconds, and say how long that lasts.
fn throttling() -> World {
    let began = now();
    World::answering(move |_| {
        let left = Duration::from_secs(2).saturating_sub(now() - began);
        if left.is_zero() {
            return ok();
        }
        status(429).with_header("retry-after-ms", &left.as_millis().to_string())
    })
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_a_provider_asks_for_is_kept_by_all_calls() {
    for names in [&["a"][..], &["a", "b"]] {
        for gap in [0.1, 0.0] {
            let world = throttling();
            let engine = world.engine(&hosts(names, "", ""));
            let began = now();
            let mut calls = Vec::new();
            for _ in 0..12 {
                calls.push(start(&engine, CallOptions::default()));
                pass(gap).await;
            }
            for call in calls {
                call.await.unwrap().unwrap();
            }
            let early =
                world.seen.lock().iter().filter(|seen| seen.at - began < Duration::from_secs(2)).count();
            let most = if gap > 0.0 { names.len() } else { 12 * names.len() };
            assert!(early <= most, "{early} requests to {names:?} while they asked for none");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_an_hour_is_probed_and_what_the_probe_finds_holds() {
    let hint = status(429).with_header("retry-after", "3600");
    let world = World::new([hint.clone(), hint, ok(), ok(), ok()]);
    let engine =
        world.engine(&hosts(&["a"], "", "[limits.user]\nrequests_per_minute = 1\n[queue]\nwait = 0"));
    let call = |name: &str| CallOptions { max_retries: Some(0), ..crate::user(name) };
    let kind = async |name: &str| crate::ask_with(&engine, call(name)).await.map_err(|error| error.kind());
    assert_eq!(kind("ann").await.unwrap_err(), Kind::RateLimit);
    let refused = crate::ask_with(&engine, call("bob")).await.unwrap_err();
    let told = (refused.kind(), refused.retry_after());
    assert_eq!(told, (Kind::LimitExceeded, Some(Duration::from_mins(10))), "nobody waits for that long");
    pass(20.0).await;
    assert_eq!(kind("ann").await.unwrap_err(), Kind::LimitExceeded, "her own limit");
    assert_eq!(kind("bob").await.unwrap_err(), Kind::RateLimit, "she has not used the probe up");
    assert_eq!(kind("cid").await.unwrap_err(), Kind::LimitExceeded);
    pass(20.0).await;
    kind("cid").await.unwrap();
    kind("dan").await.unwrap();
    assert_eq!(world.hosts().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_line_is_the_probe_when_one_is_due_and_its_answer_lets_all_go() {
    let world = World::new([status(429).with_header("retry-after", "45"), ok(), ok(), ok()]);
    let engine = world.engine(&hosts(&["a"], "", "[queue]\nwait = 60"));
    let once = CallOptions { max_retries: Some(0), ..CallOptions::default() };
    crate::ask_with(&engine, once.clone()).await.unwrap_err();
    let began = now();
    pass(1.0).await;
    let calls: Vec<_> = (0..3).map(|_| start(&engine, once.clone())).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let waited = now() - began;
    assert!((20..22).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_request_is_refused_for_shuts_the_host_for_nobody() {
    for code in [400, 404, 409, 413, 422] {
        let world = World::new([status(code).with_header("retry-after", "600"), ok()]);
        let engine = world.engine(&hosts(&["a"], "", ""));
        let once = CallOptions { max_retries: Some(0), ..CallOptions::default() };
        crate::ask_with(&engine, once).await.unwrap_err();
        let began = now();
        crate::ask(&engine).await.unwrap();
        assert_eq!(now() - began, Duration::ZERO, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_waits_for_a_moment_that_is_known_is_not_overloaded() {
    let is_first = Mutex::new(true);
    let world = World::answering(move |_| {
        if std::mem::take(&mut *is_first.lock()) {
            status(429).with_header("retry-after", "15")
        } else {
            ok()
        }
    });
    let engine = world.engine(&hosts(&["a"], "", ""));
    let mut calls = Vec::new();
    for _ in 0..14 {
        calls.push(start(&engine, CallOptions::default()));
        pass(1.0).await;
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn q7_who_is_at_its_own_limit_waits_aside_though_a_deployment_rests_as_well() {
    let world = World::answering(|seen| {
        if seen.host.starts_with("rests") { status(429).with_header("retry-after", "8") } else { ok() }
    });
    let extra = "[limits.users.ann]\nwindows = [{ per = 20, requests = 1 }]\n";
    let engine = world.engine(&hosts(&["rests", "free"], "concurrency = 5", extra));
    crate::ask_with(&engine, crate::user("ann")).await.unwrap();
    let waits = start(&engine, crate::user("ann"));
    pass(0.1).await;
    let began = now();
    for _ in 0..3 {
        crate::ask_with(&engine, crate::user("bob")).await.unwrap();
        pass(0.1).await;
    }
    assert!(now() - began < Duration::from_secs(1), "{:?}", now() - began);
    waits.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn q1_who_is_woken_for_one_limit_and_waits_for_another_wakes_the_next() {
    let world = World::answering(|seen| {
        let seconds = if seen.host.starts_with("long") { 8 } else { 1 };
        ok().after(Duration::from_secs(seconds))
    });
    let extra = "[limits.users.ann]\nconcurrency = 1\n[tenants.acme]\nlimits = { concurrency = 1 }\n";
    let other = hosts(&["long"], "", "").replace("models.m", "models.n");
    let engine = world.engine(&(hosts(&["a"], "", extra) + &other));
    let both = || CallOptions { tenant: Some("acme".into()), ..crate::user("ann") };
    let acme = CallOptions { tenant: Some("acme".into()), ..crate::user("bob") };
    let _first = start(&engine, crate::user("ann"));
    pass(0.1).await;
    let held_twice = start(&engine, both());
    pass(0.1).await;
    let free_soon = start(&engine, crate::user("ann"));
    pass(0.1).await;
    let _long = {
        let (engine, call) = (Arc::clone(&engine), crate::support::chat_for("n"));
        tokio::spawn(async move { engine.call(fairlead::call::Call { options: acme, ..call }).await })
    };
    let began = now();
    free_soon.await.unwrap().unwrap();
    assert!(now() - began < Duration::from_secs(2), "{:?}", now() - began);
    held_twice.await.unwrap().unwrap();
}
