//! Deployments that do worse than their peers are set aside, and come back.

use fairlead::Kind;
use fairlead::route::Standing;

use super::support::scripted::{Meets, status};
use super::support::simulated::{Behaviour, Fleet, Scene, jitter, wrote};
use super::support::{Act, Provider, chat, chunk, engine, stream_head};
use super::{call, config, first, of, receipt, seconds, standing};
use fairlead::call::CallOptions;
use fairlead::reply::Answer;

fn works() -> Behaviour {
    Box::new(|scene: &Scene| (seconds(0.5 * jitter(scene.luck)), wrote(100)))
}

fn refuses() -> Behaviour {
    Box::new(|_| (seconds(0.001), Meets::Breaks(Kind::Connect)))
}

#[tokio::test(start_paused = true)]
async fn who_refuses_connections_rests_for_a_growing_time_where_there_are_peers() {
    let fleet = Fleet::new(vec![("a", refuses()), ("b", works())], 1);
    let engine = fleet.engine(&config("ordered", &[("a", ""), ("b", "")], ""));
    for _ in 0..600 {
        receipt(&engine, call()).await.unwrap();
        tokio::time::sleep(seconds(0.5)).await;
    }
    let asked = fleet.asked("a", seconds(0.0), seconds(100_000.0));
    // Three at first, then one after 30, 60, 90, 120, 150 seconds.
    assert!((6..=9).contains(&asked), "asked {asked} times in ten minutes");
    let first_half_minute = fleet.asked("a", seconds(0.0), seconds(29.0));
    assert_eq!(first_half_minute, 3);
}

#[tokio::test(start_paused = true)]
async fn a_lone_deployment_is_never_set_aside_nor_all_of_a_group() {
    let fleet = Fleet::new(vec![("a", refuses())], 1);
    let engine = fleet.engine(&config("ordered", &[("a", "")], ""));
    for _ in 0..20 {
        receipt(&engine, call()).await.unwrap_err();
    }
    assert_eq!(standing(&engine.route(&call()).unwrap(), "a"), Standing::AsWritten);

    let hosts = ["a", "b", "c", "d"];
    let fleet = Fleet::new(hosts.map(|host| (host, refuses())).into(), 1);
    let engine = fleet.engine(&config("weighted", &hosts.map(|host| (host, "")), ""));
    for _ in 0..50 {
        receipt(&engine, call()).await.unwrap_err();
    }
    let decision = engine.route(&call()).unwrap();
    let aside = decision.candidates.iter().filter(|choice| choice.reason.is_resting()).count();
    assert_eq!(aside, 2, "at most half: {decision:?}");
    assert_eq!(decision.candidates.len(), 4, "nobody is lost");
}

#[tokio::test(start_paused = true)]
async fn who_fails_far_more_often_than_its_peers_is_set_aside_and_says_why() {
    let flaky = |scene: &Scene| match scene.luck[2] {
        luck if luck < 0.75 => (seconds(0.2), status(500)),
        _ => (seconds(0.2), wrote(100)),
    };
    let fleet = Fleet::new(vec![("a", works()), ("b", works()), ("flaky", Box::new(flaky))], 3);
    let engine = fleet.engine(&config("weighted", &[("a", ""), ("b", ""), ("flaky", "")], ""));
    let mut calls = 0;
    while !standing(&engine.route(&call()).unwrap(), "flaky").is_resting() {
        receipt(&engine, call()).await.unwrap();
        calls += 1;
        assert!(calls < 200, "never set aside");
    }
    let decision = engine.route(&call()).unwrap();
    assert!(standing(&decision, "flaky").to_string().contains("failures in"), "{decision:?}");
    assert_eq!(&*decision.candidates[2].deployment, "flaky", "asked last");
    tokio::time::sleep(seconds(30.0)).await;
    assert!(!standing(&engine.route(&call()).unwrap(), "flaky").is_resting(), "back by time");
}

#[tokio::test(start_paused = true)]
async fn who_becomes_slow_alone_is_set_aside_and_who_is_slow_by_nature_is_not() {
    let slows = |scene: &Scene| {
        let times = if scene.at > seconds(300.0) { 10.0 } else { 1.0 };
        (seconds(0.5 * times * jitter(scene.luck)), wrote(100))
    };
    let slow = |scene: &Scene| (seconds(6.0 * jitter(scene.luck)), wrote(100));
    let fleet = Fleet::new(vec![("slows", Box::new(slows)), ("slow", Box::new(slow)), ("b", works())], 1);
    let engine = fleet.engine(&config("weighted", &[("slows", ""), ("slow", ""), ("b", "")], ""));
    let mut aside = 0;
    for second in 0..600 {
        receipt(&engine, call()).await.unwrap();
        let decision = engine.route(&call()).unwrap();
        assert!(!standing(&decision, "slow").is_resting(), "{second}: {decision:?}");
        assert!(!standing(&decision, "b").is_resting(), "{second}: {decision:?}");
        if let Standing::SetAside(offence) = standing(&decision, "slows") {
            assert!(offence.to_string().contains("as slow as usual"), "{offence}");
            aside += 1;
        }
    }
    assert!(aside > 20, "{aside}");
}

#[tokio::test(start_paused = true)]
async fn who_takes_requests_and_answers_none_is_passed_over_before_the_first_limit_ends() {
    // Well for a minute, then a black hole for a minute; what it has begun with it answers.
    let hole = |scene: &Scene| match scene.minute() {
        1 => (seconds(0.0), Meets::Never),
        _ => (seconds(0.5 * jitter(scene.luck)), wrote(100)),
    };
    let fleet = Fleet::new(vec![("hole", Box::new(hole)), ("b", works())], 1);
    let hosts = [("hole", ""), ("b", "")];
    // Neither failures nor breakers: no attempt fails before its limit of 40 s.
    let engine = fleet.engine(&config("ordered", &hosts, "timeouts = { attempt = 40 }"));
    for _ in 0..1800 {
        let engine = engine.clone();
        tokio::spawn(async move { receipt(&engine, call()).await.unwrap() });
        tokio::time::sleep(seconds(0.1)).await;
    }
    let lost = fleet.asked("hole", seconds(60.0), seconds(100.0));
    assert!((5..60).contains(&lost), "{lost} of 400 fell into it before the first limit ended");
    let back = fleet.asked("hole", seconds(170.0), seconds(180.0));
    assert!(back > 60, "{back} of 100");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_with_the_first_answer() {
    // For five seconds nothing comes, then everything at once: a stutter, not a failure.
    let stutters = |scene: &Scene| {
        let at = scene.at.as_secs_f64();
        let until = if (60.0..65.0).contains(&at) { 65.0 - at } else { 0.0 };
        (seconds(until + 0.5), wrote(100))
    };
    let fleet = Fleet::new(vec![("a", Box::new(stutters)), ("b", works())], 1);
    let engine = fleet.engine(&config("ordered", &[("a", ""), ("b", "")], ""));
    let mut silent = Vec::new();
    for tick in 0..900 {
        let call_engine = engine.clone();
        tokio::spawn(async move { receipt(&call_engine, call()).await.unwrap() });
        if standing(&engine.route(&call()).unwrap(), "a") == Standing::Silent {
            silent.push(tick);
        }
        tokio::time::sleep(seconds(0.1)).await;
    }
    let (first, last) = (silent[0], silent[silent.len() - 1]);
    assert!((610..640).contains(&first) && last <= 657, "silent from {first} to {last} tenths of a second");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_deployment_is_passed_over_at_the_load_it_was_refused_at() {
    let four = |scene: &Scene| match scene.in_flight {
        5.. => (seconds(0.05), status(429)),
        _ => (seconds(2.0), wrote(100)),
    };
    let hosts = [("four", ""), ("spare", "priority = 1")];
    let fleet = Fleet::new(vec![("four", Box::new(four)), ("spare", works())], 1);
    let engine = fleet.engine(&config("ordered", &hosts, ""));
    let mut refused = 0;
    for number in 0..1200 {
        let engine = engine.clone();
        let call = tokio::spawn(async move { receipt(&engine, call()).await.unwrap().attempts.len() });
        tokio::time::sleep(seconds(0.25)).await;
        if number >= 200 && call.is_finished() {
            refused += usize::from(call.await.unwrap() > 1);
        }
    }
    let served = fleet.asked("four", seconds(50.0), seconds(300.0));
    assert!(served > 350, "{served}: it is used for what it takes, about 1.7 a second");
    assert!(refused < 60, "{refused} of 1000 calls met a refusal");
}

#[tokio::test(start_paused = true)]
async fn no_call_goes_to_a_resting_deployment_while_another_can_be_asked() {
    for strategy in ["ordered", "weighted", "latency", "cost", "least_busy", "adaptive"] {
        let waits = |_: &Scene| (seconds(0.01), status(429).with_header("retry-after", "40"));
        let fleet = Fleet::new(vec![("a", Box::new(waits)), ("b", works()), ("c", works())], 1);
        let engine = fleet.engine(&config(strategy, &[("a", ""), ("b", ""), ("c", "")], ""));
        for number in 0..200 {
            let options = CallOptions { session: Some(format!("s{number}")), ..CallOptions::default() };
            receipt(&engine, of(options)).await.unwrap();
            tokio::time::sleep(seconds(0.1)).await;
        }
        let seen = fleet.seen.lock();
        let asked = seen.iter().filter(|seen| seen.host == "a.test").count();
        let span = seen[seen.len() - 1].at - seen[0].at;
        let most = 1 + usize::try_from(span.as_secs() / 40).unwrap();
        assert!(asked <= most, "{strategy}: {asked} times in {span:?}, each time it asked for 40 s of rest");
    }
}

#[tokio::test(start_paused = true)]
async fn a2_no_call_goes_where_a_breaker_is_open_or_a_limit_full_while_another_can_be_asked() {
    let limits = "routing.ejection.enabled = false\nbreaker = { open = 600, longest = 600 }";
    let deployments = [("open", ""), ("full", "requests_per_minute = 1"), ("free", "")];
    for strategy in ["ordered", "weighted", "latency", "cost", "least_busy", "adaptive"] {
        let fails = |_: &Scene| (seconds(0.01), status(500));
        let fleet = Fleet::new(vec![("open", Box::new(fails)), ("full", works()), ("free", works())], 1);
        let engine = fleet.engine(&config(strategy, &deployments, limits));
        for number in 0..200 {
            let options = CallOptions { session: Some(format!("s{number}")), ..CallOptions::default() };
            receipt(&engine, of(options)).await.unwrap();
        }
        let all = |name| fleet.asked(name, seconds(0.0), seconds(100_000.0));
        let seen = fleet.seen.lock();
        let minutes = (seen[seen.len() - 1].at - seen[0].at).as_secs() / 60;
        drop(seen);
        assert!(all("open") <= 5, "{strategy}: {} requests to the open one", all("open"));
        let most = 1 + usize::try_from(minutes).unwrap();
        assert!(all("full") <= most, "{strategy}: {} requests to the full one", all("full"));
    }
}

#[tokio::test(start_paused = true)]
async fn ejection_and_health_can_be_switched_off() {
    for off in ["routing.ejection.enabled = false", "stages.health = false"] {
        let fleet = Fleet::new(vec![("a", refuses()), ("b", works())], 1);
        let engine = fleet.engine(&config("ordered", &[("a", ""), ("b", "")], off));
        for _ in 0..10 {
            receipt(&engine, call()).await.unwrap();
        }
        assert_eq!(first(&engine, &call()), "a", "{off}");
    }
}

#[tokio::test]
async fn streams_that_break_after_they_began_count_as_failures() {
    let breaks = || vec![stream_head(), chunk(r#"{"content":"x"}"#, "null"), Act::Close];
    let provider = Provider::start((0..5).map(|_| breaks()).collect()).await;
    let other = Provider::start(Vec::new()).await;
    let engine = engine(&[provider.base_url(), other.base_url()], "");
    for _ in 0..5 {
        let decision = engine.route(&chat(true)).unwrap();
        assert!(decision.candidates.iter().all(|choice| !choice.reason.is_resting()));
        let Answer::Stream(mut stream) = engine.call(chat(true)).await.unwrap() else { panic!("a stream") };
        while let Some(Ok(_)) = stream.next().await {}
    }
    let decision = engine.route(&chat(true)).unwrap();
    assert_eq!(decision.candidates[1].reason.to_string(), "set aside: 5 failures in a row");
    assert_eq!(other.requests.lock().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_has_come_back_is_passed_over_in_nine_calls_of_ten_at_first_whatever_the_strategy() {
    for strategy in ["ordered", "weighted", "least_busy", "cost", "latency", "adaptive"] {
        let sick_for_a_while = |scene: &Scene| {
            if scene.at < seconds(3.0) { (seconds(0.001), status(500)) } else { (seconds(0.5), wrote(100)) }
        };
        let fleet = Fleet::new(vec![("a", Box::new(sick_for_a_while)), ("b", works())], 1);
        let extra = "[routing.ejection]\nenabled = false\n";
        let engine = fleet.engine(&config(strategy, &[("a", "region = \"eu\""), ("b", "")], extra));
        let for_a = || of(CallOptions { regions: vec!["eu".to_owned()], ..CallOptions::default() });
        let passed_over = || {
            let reasons = (0..1000).map(|_| standing(&engine.route(&call()).unwrap(), "a"));
            reasons.filter(|reason| matches!(reason, Standing::SlowStart { .. })).count()
        };
        for _ in 0..5 {
            receipt(&engine, for_a()).await.unwrap_err();
        }
        assert_eq!(passed_over(), 0, "{strategy}: while it is open its breaker refuses it");
        tokio::time::sleep(seconds(10.0)).await;
        receipt(&engine, for_a()).await.unwrap();
        let first = passed_over();
        assert!((820..=930).contains(&first), "{strategy}: passed over {first} times of 1,000");
        tokio::time::sleep(seconds(5.0)).await;
        let later = passed_over();
        assert!(
            (340..=500).contains(&later),
            "{strategy}: passed over {later} times of 1,000 after five seconds"
        );
        tokio::time::sleep(seconds(5.0)).await;
        assert_eq!(passed_over(), 0, "{strategy}: all of its share after ten seconds");
    }
}
