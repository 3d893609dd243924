//! What becomes of a long outage: how many requests go into it, and how often a breaker changes its mind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fairlead::Kind;
use fairlead::call::CallOptions;
use fairlead::clock::now;

use crate::support::scripted::{Meets, World, ok, status};
use crate::{ask, ask_with, hosts, pass};

#[tokio::test(start_paused = true)]
async fn f98_a_storm_of_overload_is_amplified_by_a_fifth_at_most() {
    let world = World::answering(|_| status(529));
    // The bound is the allowance's: breakers would keep even more away.
    let engine = world.engine(&hosts(&["a"], "", "[breaker]\nenabled = false"));
    let calls = 1000;
    let storm: Vec<_> = (0..calls)
        .map(|number| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move {
                pass(f64::from(number) * 0.01).await;
                ask(&engine).await.unwrap_err().kind()
            })
        })
        .collect();
    for call in storm {
        assert_eq!(call.await.unwrap(), Kind::Overloaded);
    }
    let sent = world.hosts().len();
    assert!(sent as f64 <= f64::from(calls) * 1.2 + 10.0, "{sent} requests for {calls} calls");
    assert!(sent > 1000);
}

#[tokio::test(start_paused = true)]
async fn f99_an_outage_of_ten_minutes_opens_the_breaker_after_five_failures_and_fails_fast() {
    let world = World::answering(|_| status(500).after(Duration::from_millis(200)));
    let engine = world.engine(&hosts(&["a", "b"], "", "[routing.ejection]\nenabled = false"));
    let (mut fast, mut asked) = (0, 0);
    let end = now() + Duration::from_mins(10);
    while now() < end {
        let began = now();
        let error = ask(&engine).await.unwrap_err();
        asked += 1;
        if error.kind() == Kind::NoHealthyDeployment {
            assert!(now() - began < Duration::from_millis(1));
            assert!(error.retry_after().is_some());
            fast += 1;
        }
        pass(1.0).await;
    }
    assert!(fast * 10 > asked * 8, "{fast} of {asked} failed fast");
    let sent = world.hosts().len();
    assert!(sent < 60, "{sent} requests into an outage of ten minutes");
}

#[tokio::test(start_paused = true)]
async fn f100_who_flaps_every_second_changes_its_breaker_at_most_twelve_times_a_minute_and_nobody_is_hurt() {
    let began = now();
    let world = World::answering(move |seen| {
        let up = (now() - began).as_secs().is_multiple_of(2);
        if seen.host.starts_with('b') || up { ok() } else { status(500) }
    });
    let engine = world.engine(&hosts(&["a", "b"], "", ""));
    let changes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&changes);
    engine.on_change(Some(Box::new(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
    })));
    for _ in 0..6000 {
        ask(&engine).await.unwrap();
        pass(0.1).await;
    }
    let changes = changes.load(Ordering::Relaxed);
    assert!(changes <= 120, "{changes} in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn d6_attempts_that_time_out_feed_the_breaker() {
    let world = World::answering(|seen| if seen.host.starts_with('a') { Meets::Never } else { ok() });
    let config = hosts(&["a", "b"], "", "[timeouts]\nattempt = 1\n[routing.ejection]\nenabled = false\n");
    let engine = world.engine(&config);
    for _ in 0..20 {
        ask_with(&engine, CallOptions::default()).await.unwrap();
    }
    assert_eq!(world.hosts().iter().filter(|host| *host == "a.test").count(), 5);
}
