//! Budgets and purses.

use std::sync::Arc;
use std::time::Duration;

use fairlead::Kind;
use fairlead::admit::Purse;
use fairlead::call::CallOptions;
use fairlead::clock;
use fairlead::provider::price::Nano;

use crate::support::scripted::{World, ok};
use crate::{ask, ask_with, hosts, used};

/// Each answer uses a token of the prompt and one of the answer: 1 + 2 dollars.
const PRICED: &str = "price = { input = 1000000, output = 2000000 }\nmax_output = 1";

fn always() -> World {
    World::answering(|_| ok())
}

/// 29 November 2026, 10:00 UTC.
fn morning() {
    clock::pretend(Duration::from_secs(1_795_946_400));
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_refused_before_sending_and_says_when_it_begins_anew() {
    morning();
    let world = always();
    let engine = world.engine(&hosts(&["a"], PRICED, "[budgets.global]\ndaily = 60"));
    let mut answered = 0;
    let error = loop {
        match ask(&engine).await {
            Ok(_) => answered += 1,
            Err(error) => break error,
        }
        assert!(answered < 100);
    };
    assert_eq!(error.kind(), Kind::BudgetExceeded);
    assert!(!error.is_retryable());
    let limit = error.failure().limit.as_ref().unwrap();
    assert_eq!(
        (limit.measure, limit.scope, limit.most, &*limit.window),
        ("cost", "global", Some(60.0), "day")
    );
    let midnight = Duration::from_secs(1_795_946_400 + 14 * 3600);
    assert!(limit.resets_at.unwrap().abs_diff(midnight) < Duration::from_secs(1));
    assert!(used(&engine, "cost/day") <= 60_000_000_000, "a hard budget is never exceeded");
    assert_eq!(world.hosts().len(), answered);
    tokio::time::sleep(error.retry_after().unwrap()).await;
    ask(&engine).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn t8_what_was_reserved_and_not_used_comes_back_to_the_budget() {
    morning();
    let engine = always().engine(&hosts(&["a"], PRICED, "[budgets.global]\ndaily = 1000"));
    ask(&engine).await.unwrap();
    assert_eq!(used(&engine, "cost/day"), 3_000_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_soft_threshold_asks_the_cheapest_first() {
    morning();
    let dear = hosts(
        &["dear"],
        "price = { input = 1000000, output = 1000000 }",
        "[budgets.global]\ndaily = 1000000\nsoft = 0.000001\n",
    );
    let cheap = hosts(&["cheap"], "price = { input = 1, output = 1 }\npriority = 1", "");
    let world = always();
    let engine = world.engine(&(dear + &cheap));
    for _ in 0..3 {
        ask(&engine).await.unwrap();
    }
    assert_eq!(world.hosts(), ["dear.test", "cheap.test", "cheap.test"]);
}

#[tokio::test(start_paused = true)]
async fn what_costs_too_much_at_one_deployment_may_be_had_at_a_cheaper_one() {
    morning();
    let dear =
        hosts(&["dear"], "price = { input = 1000000, output = 1000000 }", "[budgets.global]\ndaily = 5\n");
    let cheap = hosts(&["cheap"], "price = { input = 1, output = 1 }", "");
    let world = always();
    let engine = world.engine(&(dear + &cheap));
    ask(&engine).await.unwrap();
    assert_eq!(world.hosts(), ["cheap.test"]);
}

#[tokio::test(start_paused = true)]
async fn an_unpriced_deployment_is_asked_under_a_budget_unless_that_is_denied() {
    morning();
    let unpriced = "provider = 'openai-compatible'";
    let config = |policy: &str| {
        format!(
            "[budgets.global]\ndaily = 5\nunpriced = '{policy}'\n[[models.m.deployments]]\n{unpriced}\nmodel = 'nobody-knows'\n\
             base_url = 'http://a.test/v1'\napi_key = 'k'\n"
        )
    };
    ask(&always().engine(&config("allow"))).await.unwrap();
    let error = ask(&always().engine(&config("deny"))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::BudgetExceeded);
    assert!(error.to_string().contains("price"), "{error}");
    let limit = error.failure().limit.as_ref().unwrap();
    assert_eq!((limit.measure, limit.scope, limit.most), ("cost", "global", Some(5.0)));
    assert!(limit.resets_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn budgets_count_for_each_tenant_and_user_apart() {
    morning();
    let extra = "[budgets.user]\ndaily = 20\n[budgets.users.rich]\ndaily = 1000\n";
    let engine = always().engine(&hosts(&["a"], PRICED, extra));
    let spend = async |name: &str| {
        let mut answered = 0;
        while answered < 30 && ask_with(&engine, crate::user(name)).await.is_ok() {
            answered += 1;
        }
        answered
    };
    let poor = spend("poor").await;
    assert!((1..=6).contains(&poor), "{poor}");
    assert_eq!(spend("other").await, poor);
    assert_eq!(spend("rich").await, 30);
}

#[tokio::test(start_paused = true)]
async fn calls_that_hold_one_purse_spend_from_it_together() {
    let engine = always().engine(&hosts(&["a"], PRICED, ""));
    let purse = Purse::new(Nano::from_usd(60.0), None);
    let with = || CallOptions { purse: Some(Arc::clone(&purse)), ..CallOptions::default() };
    let mut answered = 0;
    let error = loop {
        match ask_with(&engine, with()).await {
            Ok(_) => answered += 1,
            Err(error) => break error,
        }
        assert!(answered < 100);
    };
    assert_eq!(error.kind(), Kind::BudgetExceeded);
    assert_eq!(purse.taken(), Nano(answered * 3_000_000_000));
    ask(&engine).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn t8_racing_calls_never_overspend_a_budget() {
    morning();
    let world = World::answering(|_| ok().after(Duration::from_secs(1)));
    let engine = world.engine(&hosts(&["a"], PRICED, "[budgets.global]\ndaily = 60\n[queue]\nwait = 0"));
    let calls: Vec<_> = (0..50).map(|_| crate::start(&engine, CallOptions::default())).collect();
    let mut answered = 0;
    for call in calls {
        answered += u64::from(call.await.unwrap().is_ok());
    }
    assert!(answered >= 1);
    assert_eq!(used(&engine, "cost/day"), answered * 3_000_000_000);
    assert!(answered * 3 <= 60);
}

#[tokio::test(start_paused = true)]
async fn a_call_larger_than_the_whole_budget_is_told_when_it_begins_anew_though_that_does_not_help() {
    morning();
    let engine = always().engine(&hosts(&["a"], PRICED, "[budgets.global]\ndaily = 1"));
    let error = ask(&engine).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (Kind::BudgetExceeded, None));
    let midnight = Duration::from_secs(1_795_946_400 + 14 * 3600);
    assert_eq!(error.failure().limit.as_ref().unwrap().resets_at, Some(midnight));
}
