//! The gate of a half-open breaker, in every interleaving.

#![allow(clippy::disallowed_methods, reason = "any instant will do: time stands still in a model")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlead_loom::breaker::{Ask, Breaker, Errand, Pass, Policy, State, Transition};
use fairlead_loom::error::{Blow, Kind};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

const POLICY: Policy = Policy { in_a_row: 1, ..Policy::DEFAULT };
/// Chance is the middle, so the open time is.
const OPEN: Duration = Duration::from_secs(5);

fn opened(policy: &Policy) -> (Arc<Breaker>, Instant) {
    let now = Instant::now();
    let breaker = Arc::new(Breaker::new(now, 0));
    let opened = passed(breaker.ask(policy, now)).map(|pass| fail(pass, now));
    assert!(opened.flatten().is_some());
    (breaker, now + OPEN)
}

fn passed(ask: Ask) -> Option<Pass> {
    match ask {
        Ask::Go(pass) => Some(pass),
        Ask::NotUntil(_) | Ask::Isolated => None,
    }
}

fn fail(pass: Pass, now: Instant) -> Option<Transition> {
    pass.failed(Blow::Hard, Kind::Server, None, now)
}

/// Who runs a probe, between its asking and its end.
fn probe(breaker: &Arc<Breaker>, policy: &Policy, running: &AtomicU32, now: Instant) -> Option<Pass> {
    let pass = passed(breaker.ask(policy, now))?;
    if pass.errand() == Errand::Probe {
        assert!(running.fetch_add(1, Ordering::SeqCst) < policy.probes, "too many probes");
        running.fetch_sub(1, Ordering::SeqCst);
    }
    Some(pass)
}

#[test]
fn b2_of_three_who_ask_at_once_as_many_go_as_there_are_probes() {
    for probes in [1, 2] {
        loom::model(move || {
            let policy = Policy { probes, ..POLICY };
            let (breaker, now) = opened(&policy);
            let asking = || {
                let breaker = Arc::clone(&breaker);
                thread::spawn(move || passed(breaker.ask(&policy, now)))
            };
            let threads = [asking(), asking()];
            let own = passed(breaker.ask(&policy, now));
            let passes = threads.map(|thread| thread.join().unwrap());
            let gone = passes.iter().chain([&own]).flatten().count();
            assert_eq!(gone, probes as usize);
        });
    }
}

#[test]
fn b2_b3_a_place_that_comes_back_is_taken_by_one() {
    let ways: [fn(Pass, Instant); 3] = [
        |pass, _| drop(pass),
        |pass, now| drop(pass.failed(Blow::None, Kind::Server, None, now)),
        |pass, now| drop(fail(pass, now)),
    ];
    for way in ways {
        loom::model(move || {
            let (breaker, now) = opened(&POLICY);
            let running = Arc::new(AtomicU32::new(0));
            let other = {
                let (breaker, running) = (Arc::clone(&breaker), Arc::clone(&running));
                thread::spawn(move || {
                    if let Some(pass) = probe(&breaker, &POLICY, &running, now) {
                        way(pass, now);
                    }
                })
            };
            if let Some(pass) = probe(&breaker, &POLICY, &running, now) {
                way(pass, now);
            }
            other.join().unwrap();
            // Whatever happened, nobody holds the place: a minute later a probe goes out.
            let last = passed(breaker.ask(&POLICY, now + Duration::from_secs(60)));
            assert_eq!(last.map(|pass| pass.errand()), Some(Errand::Probe));
        });
    }
}

#[test]
fn b4_a_late_result_and_a_probe_never_mix() {
    loom::model(|| {
        let now = Instant::now();
        let breaker = Arc::new(Breaker::new(now, 0));
        let late = passed(breaker.ask(&POLICY, now)).unwrap();
        assert!(passed(breaker.ask(&POLICY, now)).and_then(|pass| fail(pass, now)).is_some());
        let now = now + OPEN;
        let other = thread::spawn(move || late.succeeded(now).is_none());
        let probe = passed(breaker.ask(&POLICY, now)).unwrap();
        assert_eq!(probe.errand(), Errand::Probe);
        assert_eq!(breaker.state(now), State::HalfOpen, "closed by a success from before the outage");
        assert!(fail(probe, now).is_some());
        assert!(other.join().unwrap(), "ignored");
        assert_eq!(breaker.state(now), State::Open);
    });
}

#[test]
fn b2_of_two_probes_one_answers_and_one_fails() {
    loom::model(|| {
        let policy = Policy { probes: 2, ..POLICY };
        let (breaker, now) = opened(&policy);
        let failing = passed(breaker.ask(&policy, now)).unwrap();
        let answering = passed(breaker.ask(&policy, now)).unwrap();
        let other = thread::spawn(move || fail(failing, now));
        let told = [answering.succeeded(now), other.join().unwrap()];
        assert_eq!(told.iter().flatten().count(), 1, "one change of state, told once");
        assert_eq!(breaker.state(now), State::Open);
    });
}
