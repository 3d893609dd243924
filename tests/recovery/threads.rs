//! The same promises with many threads at once. What can be proved about every interleaving is in `tests/loom`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use fairlead::clock::{self, Rng};
use fairlead::error::{Blow, Kind};
use fairlead::live::breaker::{Ask, Breaker, Errand, Policy};
use fairlead::retry::allowance::{self, Allowance, Allowed, Cost};

const THREADS: u64 = 64;

#[test]
fn b2_never_more_probes_than_configured_from_64_threads() {
    let open = Duration::from_millis(100);
    let policy = Policy { probes: 3, open, longest_open: open, ..Policy::DEFAULT };
    let origin = clock::now();
    let breaker = Arc::new(Breaker::new(origin, 1));
    let (millis, running, probes) = (AtomicU64::new(0), AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for seed in 0..THREADS {
            let (breaker, millis, running, probes) = (&breaker, &millis, &running, &probes);
            scope.spawn(move || {
                let rng = Rng::seeded(seed);
                for _ in 0..2_000 {
                    let now = origin + Duration::from_millis(millis.fetch_add(10, Ordering::Relaxed));
                    let Ask::Go(mut pass) = breaker.ask(&policy, now) else { continue };
                    let probe = pass.errand() == Errand::Probe;
                    if probe {
                        probes.fetch_add(1, Ordering::Relaxed);
                        assert!(running.fetch_add(1, Ordering::SeqCst) < policy.probes);
                        std::thread::yield_now();
                        running.fetch_sub(1, Ordering::SeqCst);
                    }
                    match rng.u64() % 8 {
                        0 => drop(pass),
                        1 => drop(pass.succeeded(now)),
                        2 => {
                            pass.answered(now);
                        }
                        _ => drop(pass.failed(Blow::Hard, Kind::Server, None, now)),
                    }
                }
            });
        }
    });
    assert!(probes.load(Ordering::Relaxed) > 200, "{probes:?} probes");
    // Nobody holds a place any more: all of them are to be had.
    let later = origin + Duration::from_secs(86_400);
    breaker.reset(&policy, later);
    let fail = |_| match breaker.ask(&policy, later) {
        Ask::Go(pass) => pass.failed(Blow::Hard, Kind::Server, None, later),
        _ => None,
    };
    let open_for = (0..5).find_map(fail).and_then(|opened| opened.open_for).unwrap();
    let passes: Vec<_> = (0..4).map(|_| breaker.ask(&policy, later + open_for)).collect();
    assert_eq!(passes.iter().filter(|ask| matches!(ask, Ask::Go(_))).count(), 3);
}

#[test]
fn r2_64_threads_draw_no_more_than_one_would() {
    let now = clock::now();
    let allowance = Allowance::new(now);
    let drawn = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..100 {
                    allowance.first(now);
                    for _ in 0..3 {
                        let answer = allowance.draw(&allowance::Policy::DEFAULT, Cost::Whole, now);
                        drawn.fetch_add(u64::from(answer == Allowed::Yes), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(drawn.into_inner(), THREADS * 100 / 5 + 10);
}
