//! Eight threads at once: whatever each of them does, together they keep to the limits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::Duration;

use fairlead::clock::Rng;
use fairlead::store::{Account, Charge, Hold, Memory, Reserved, Reserving, Store, Window};
use proptest::prelude::*;

use super::models::Log;
use super::stand::{MINUTE, bucket, cases, limit, log, sliding, virtual_time};

const THREADS: usize = 8;
const ROUNDS: u64 = 12;

fn reserve(store: &Memory, charges: &[Charge<'_>]) -> Option<Hold> {
    match store.reserve(charges) {
        Reserving::Ready(Reserved::Granted(hold)) => Some(hold),
        Reserving::Ready(Reserved::Denied(_)) => None,
        Reserving::Pending(_) => unreachable!("the memory store answers at once"),
    }
}

/// Eight threads do `work`, all in the same instants; between them time moves on by what `pauses` says.
fn together(pauses: &[Duration], work: impl Fn(usize, usize, Duration) + Sync) {
    let runtime = virtual_time();
    let barrier = Barrier::new(THREADS + 1);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (handle, barrier, work) = (runtime.handle().clone(), &barrier, &work);
            scope.spawn(move || {
                let _inside = handle.enter();
                let mut now = Duration::ZERO;
                for (round, pause) in pauses.iter().enumerate() {
                    barrier.wait();
                    work(thread, round, now);
                    now += *pause;
                    barrier.wait();
                }
            });
        }
        for pause in pauses {
            barrier.wait();
            barrier.wait();
            runtime.block_on(tokio::time::advance(*pause));
        }
    });
}

fn pauses(seed: u64, length: Duration) -> Vec<Duration> {
    let rng = Rng::seeded(seed);
    let fractions = [0.0, 0.001, 0.1, 0.3, 0.999_999, 1.0];
    (0..ROUNDS).map(|_| length.mul_f64(fractions[rng.u64() as usize % fractions.len()])).collect()
}

/// What each admission took, of which account, and when.
type Taken = Mutex<Vec<(u128, usize, u64)>>;

fn all_or_nothing(seed: u64, window: &Window) {
    let runtime = virtual_time();
    let store = {
        let _inside = runtime.enter();
        Memory::default()
    };
    drop(runtime);
    let mosts = [40, 60, 300];
    let accounts: Vec<Account> =
        mosts.iter().map(|most| store.account(limit(&most.to_string(), *most, window.clone()))).collect();
    let taken: Taken = Mutex::default();
    let granted = AtomicU64::new(0);
    together(&pauses(seed, MINUTE), |thread, round, now| {
        let rng = Rng::seeded(seed ^ (thread as u64) << 32 ^ (round as u64) << 40);
        for _ in 0..20 {
            let amounts: Vec<u64> = (0..3).map(|_| rng.u64() % 9).collect();
            let mut order = [0, 1, 2];
            order.rotate_left(rng.u64() as usize % 3);
            let charges: Vec<Charge<'_>> = order
                .iter()
                .map(|which| Charge { account: &accounts[*which], subject: 0, amount: amounts[*which] })
                .collect();
            let Some(mut hold) = reserve(&store, &charges) else { continue };
            granted.fetch_add(1, Ordering::Relaxed);
            // A third is never sent, a third is split, the rest is used as it was reserved.
            let keep = |hold, kept: &[usize]| {
                let mut taken = taken.lock().unwrap();
                taken.extend(kept.iter().map(|which| (now.as_nanos(), *which, amounts[*which])));
                store.settle(hold, &mut |_, reserved| reserved);
            };
            match rng.u64() % 3 {
                0 => drop(hold),
                1 => {
                    drop(hold.split_off(1));
                    keep(hold, &order[..1]);
                }
                _ => keep(hold, &order),
            }
        }
    });
    let taken = taken.into_inner().unwrap();
    for (which, most) in mosts.iter().enumerate() {
        let mut model = Log::default();
        for (at, _, amount) in taken.iter().filter(|(_, account, _)| *account == which) {
            model.take(*at, *amount);
        }
        for at in model.moments() {
            assert!(model.within(at, MINUTE) <= *most, "{} of {most} at {at}", model.within(at, MINUTE));
        }
    }
    let standings = store.standings();
    assert!(standings.iter().all(|standing| standing.granted == granted.load(Ordering::Relaxed)));
    assert!(granted.load(Ordering::Relaxed) > 0);
}

proptest! {
    #![proptest_config(fewer())]

    #[test]
    fn l5_eight_threads_get_all_or_nothing_and_never_more_than_the_limit(seed in any::<u64>()) {
        all_or_nothing(seed, &log(MINUTE));
        all_or_nothing(seed, &sliding(MINUTE));
    }
}

/// Threads cost a hundred times what a case costs else.
fn fewer() -> ProptestConfig {
    let all = cases();
    ProptestConfig { cases: (all.cases / 20).max(8), ..all }
}

#[test]
fn t1_eight_threads_leave_nothing_held() {
    let runtime = virtual_time();
    let store = {
        let _inside = runtime.enter();
        Memory::default()
    };
    let windows = [Window::Concurrency, log(MINUTE), sliding(MINUTE), bucket(MINUTE, 1_000)];
    let accounts: Vec<Account> = (0_u64..)
        .zip(windows)
        .map(|(number, window)| store.account(limit(&number.to_string(), 1_000, window)))
        .collect();
    let most_at_once = AtomicU64::new(0);
    let slots = AtomicU64::new(0);
    together(&[Duration::ZERO; 4], |thread, _, _| {
        let subject = thread as u64 % 2;
        for _ in 0..500 {
            let charges: Vec<Charge<'_>> =
                accounts.iter().map(|account| Charge { account, subject, amount: 300 }).collect();
            let Some(mut hold) = reserve(&store, &charges) else { continue };
            let now = slots.fetch_add(300, Ordering::SeqCst) + 300;
            most_at_once.fetch_max(now, Ordering::SeqCst);
            slots.fetch_sub(300, Ordering::SeqCst);
            let rest = hold.split_off(thread % 4);
            drop(hold);
            store.settle(rest, &mut |_, _| 0);
        }
    });
    for (account, subject) in accounts.iter().flat_map(|account| [(account, 0), (account, 1)]) {
        assert_eq!(store.used(account, subject), 0, "{:?} {subject}", account.limit().window);
    }
    // Two subjects with three times 300 each.
    assert!(most_at_once.into_inner() <= 1_800);
}

#[test]
fn eight_threads_of_real_time_keep_to_a_window() {
    // No virtual time: clocks are read before the lock is had, and come in any order.
    let store = Memory::default();
    let length = Duration::from_millis(20);
    let account = store.account(limit("tokens", 100, log(length)));
    let taken: Mutex<Vec<(fairlead::clock::Instant, fairlead::clock::Instant)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..4_000 {
                    let before = fairlead::clock::now();
                    let hold = reserve(&store, &[Charge { account: &account, subject: 0, amount: 1 }]);
                    let after = fairlead::clock::now();
                    if let Some(hold) = hold {
                        store.settle(hold, &mut |_, reserved| reserved);
                        taken.lock().unwrap().push((before, after));
                    }
                }
            });
        }
    });
    let taken = taken.into_inner().unwrap();
    assert!(taken.len() >= 100);
    for (begin, _) in &taken {
        // Those that were surely taken within a window from here.
        let within =
            taken.iter().filter(|(before, after)| before >= begin && *after < *begin + length).count();
        assert!(within <= 100, "{within} in one window");
    }
}
