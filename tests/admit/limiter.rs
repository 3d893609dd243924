//! One limit by itself, in virtual time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use fairlead::admit::{Late, Limiter, Share, Taking};
use fairlead::clock;
use fairlead::store::{Limit, Measure, Oversize, Scope, Window};
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

fn limiter(most: u64, window: Window) -> Limiter {
    let measure = if window == Window::Concurrency { Measure::Concurrency } else { Measure::Requests };
    Limiter::new(Limit {
        scope: Scope::Global,
        measure,
        identity: Arc::from("alone"),
        most,
        window,
        oversize: Oversize::Reject,
        shadow: false,
    })
}

/// 100 at once, 10 a second.
fn bucket() -> Limiter {
    limiter(100, Window::Bucket { per: 10 * SECOND, burst: 100 })
}

fn slots(most: u64) -> Limiter {
    limiter(most, Window::Concurrency)
}

fn taken(limiter: &Limiter, amount: u64) -> Option<Share> {
    match limiter.try_take(amount, 0) {
        Taking::Taken(share) => Some(share),
        Taking::NotYet(_) => None,
    }
}

fn consume(limiter: &Limiter, amount: u64) -> bool {
    taken(limiter, amount).map(Share::keep).is_some()
}

/// Takes in the background and notes `number` when it was granted; what is taken is used up.
fn queued(
    limiter: &Limiter,
    (amount, subject): (u64, u64),
    number: usize,
    order: &Arc<Mutex<Vec<usize>>>,
) -> JoinHandle<Result<(), Late>> {
    let (limiter, order) = (limiter.clone(), Arc::clone(order));
    tokio::spawn(async move {
        let share = limiter.take(amount, subject, None).await?;
        order.lock().push(number);
        share.keep();
        Ok(())
    })
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn l2_a_bucket_gives_its_capacity_at_once_and_then_what_is_refilled_to_the_millisecond() {
    let bucket = bucket();
    assert_eq!((0..21).filter(|_| consume(&bucket, 5)).count(), 20);
    tokio::time::advance(Duration::from_millis(499)).await;
    assert!(!consume(&bucket, 5), "a millisecond too early");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(consume(&bucket, 5));
    assert_eq!(bucket.used(0), 100);
    tokio::time::advance(Duration::from_secs(3600)).await;
    assert_eq!((0..1000).filter(|_| consume(&bucket, 1)).count(), 100, "never more than the capacity");
}

#[tokio::test(start_paused = true)]
async fn l4_a_wait_ends_when_there_is_room_and_one_that_cannot_is_not_begun() {
    let bucket = bucket();
    assert!(consume(&bucket, 100));
    let began = clock::now();
    bucket.take(20, 0, None).await.unwrap().keep();
    assert_eq!(clock::now() - began, 2 * SECOND);
    let late = bucket.take(20, 0, Some(clock::now() + SECOND)).await.unwrap_err();
    assert_eq!(late, Late { waited: Duration::ZERO, retry_after: 2 * SECOND });
    assert_eq!(bucket.waiting(None), 0);
}

#[tokio::test(start_paused = true)]
async fn l6_nobody_overtakes_neither_by_asking_for_less_nor_by_not_waiting() {
    let (bucket, order) = (bucket(), Arc::default());
    assert!(consume(&bucket, 100));
    let waits: Vec<_> = [50, 1, 30, 2]
        .iter()
        .enumerate()
        .map(|(n, amount)| queued(&bucket, (*amount, 0), n, &order))
        .collect();
    settle().await;
    tokio::time::advance(2 * SECOND).await;
    assert!(!consume(&bucket, 1), "there is room for one, but others wait");
    for wait in waits {
        wait.await.unwrap().unwrap();
    }
    assert_eq!(*order.lock(), [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_line_of_one_subject_holds_up_no_other_and_keeps_its_own_order() {
    let limiter = limiter(1, Window::Sliding { length: SECOND });
    let orders = [Arc::default(), Arc::default()];
    let waits: Vec<_> = (0..6).map(|n| queued(&limiter, (1, 1 + n as u64 % 2), n, &orders[n % 2])).collect();
    settle().await;
    assert_eq!(orders.each_ref().map(|order| order.lock().len()), [1, 1], "one for each subject at once");
    assert!(matches!(limiter.try_take(1, 3), Taking::Taken(_)), "a third one has a count of its own");
    assert_eq!((limiter.waiting(Some(1)), limiter.waiting(None)), (2, 4));
    for wait in waits {
        wait.await.unwrap().unwrap();
    }
    assert_eq!(orders.map(|order| order.lock().clone()), [[0, 2, 4], [1, 3, 5]]);
}

#[tokio::test(start_paused = true)]
async fn q8_a_slot_goes_to_the_next_in_line_when_it_comes_back_and_none_is_lost() {
    let slots = slots(2);
    let held = [taken(&slots, 1).unwrap(), taken(&slots, 1).unwrap()];
    let waiting = slots.clone();
    let next = tokio::spawn(async move { waiting.take(1, 0, None).await });
    settle().await;
    assert!(!next.is_finished());
    drop(held);
    let share = next.await.unwrap().unwrap();
    assert_eq!(slots.used(0), 1);
    share.keep();
    assert_eq!(slots.used(0), 0, "slots are never used up");
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_an_end_ends_with_its_patience_and_says_when_to_come_back() {
    let slots = slots(1);
    let _held = taken(&slots, 1).unwrap();
    let late = slots.take(1, 0, Some(clock::now() + 3 * SECOND)).await.unwrap_err();
    assert_eq!(late.waited, 3 * SECOND);
    assert!(late.retry_after > Duration::ZERO);
    assert_eq!(slots.waiting(None), 0);
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_is_neither_foretold_nor_overload() {
    let slots = slots(1);
    for _ in 0..5 {
        let held = taken(&slots, 1).unwrap();
        let waiting = slots.clone();
        let next = tokio::spawn(async move { waiting.take(1, 0, None).await });
        tokio::time::sleep(100 * SECOND).await;
        drop(held);
        drop(next.await.unwrap().unwrap());
    }
    // By the pace so far a slot comes every 100 s; this one comes after 1 s.
    let held = taken(&slots, 1).unwrap();
    let waiting = slots.clone();
    let until = clock::now() + 2 * SECOND;
    let next = tokio::spawn(async move { waiting.take(1, 0, Some(until)).await });
    tokio::time::sleep(SECOND).await;
    drop(held);
    assert!(next.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn q8_ten_thousand_waits_given_up_at_any_time_leave_nothing_taken() {
    let bucket = bucket();
    let rng = clock::Rng::seeded(11);
    let mut tasks: VecDeque<JoinHandle<_>> = VecDeque::new();
    for _ in 0..10_000 {
        let waiting = bucket.clone();
        tasks.push_back(tokio::spawn(async move { waiting.take(3, 0, None).await.map(drop) }));
        if rng.unit() < 0.1 {
            tokio::time::advance(Duration::from_millis(rng.u64() % 400)).await;
        }
        if rng.unit() < 0.5 {
            tokio::task::yield_now().await;
        }
        if tasks.len() > 50 {
            tasks.pop_front().unwrap().abort();
        }
    }
    for task in tasks {
        task.abort();
        let _ = task.await;
    }
    settle().await;
    assert_eq!((bucket.waiting(None), bucket.used(0)), (0, 0));
    assert!(consume(&bucket, 100));
}

/// When everything of `amounts` is granted, by a plain model: in order, each as soon as what was granted in the window
/// before leaves room.
fn model(most: u64, length: u64, amounts: &[u64]) -> Vec<u64> {
    let mut granted: Vec<(u64, u64)> = Vec::new();
    let mut now = 0;
    for amount in amounts {
        let used = |at: u64| -> u64 {
            granted.iter().filter(|(then, _)| then + length > at).map(|(_, amount)| amount).sum()
        };
        while used(now) + amount > most {
            now += 1;
        }
        granted.push((now, *amount));
    }
    granted.into_iter().map(|(at, _)| at).collect()
}

/// How many cases the property is tried with: few, unless more are asked for.
fn cases() -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(64), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn l1_l3_those_who_wait_are_granted_at_the_first_moment_that_the_window_allows(
        most in 1_u64..12, length in 1_u64..50, asked in prop::collection::vec(1_u64..12, 1..40),
    ) {
        let amounts: Vec<u64> = asked.into_iter().map(|amount| amount.min(most)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let granted = runtime.block_on(async {
            let limiter = limiter(most, Window::Log { length: Duration::from_millis(length) });
            let began = clock::now();
            let tasks: Vec<_> = amounts.iter().map(|amount| {
                let (limiter, amount) = (limiter.clone(), *amount);
                tokio::spawn(async move {
                    let share = limiter.take(amount, 0, None).await.unwrap();
                    share.keep();
                    clock::now() - began
                })
            }).collect();
            let mut granted = Vec::new();
            for task in tasks {
                granted.push(u64::try_from(task.await.unwrap().as_millis()).unwrap());
            }
            granted
        });
        prop_assert_eq!(granted, model(most, length, &amounts));
    }
}
