//! What it costs to count against limits: a reservation and its settlement, and the memory of a million users.
//!
//! Prints the resident memory that a million users with two limits each have added; then nanoseconds of a reservation
//! and its settlement together, the clock that measures them taken off: the median and the 99th percentile; and the
//! same of whole calls through the engine, over a transport that answers at once.

mod call;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlead::store::{
    Account, Charge, Every, Limit, Measure, Memory, Oversize, Reserved, Reserving, Scope, Store, Window, Zone,
};

const ROUNDS: usize = 300_000;
const USERS: u64 = 1_000_000;
const MINUTE: Duration = Duration::from_secs(60);

fn main() {
    // Before anything else, so that no memory is there to be used again.
    memory();
    let clock = percentiles(|_| ());
    println!("{:36} {:>8} {:>8}", "reserve and settle", "p50 ns", "p99 ns");
    for (whose, users) in [("one count", 1), ("10,000 users", 10_000), ("1,000,000 users", USERS)] {
        for charges in [1, 3] {
            let store = Memory::default();
            let accounts = three(&store);
            let accounts = accounts.get(..charges).expect("there are three");
            let subject = |number: u64| if users == 1 { 0 } else { hashed(number % users) };
            // Everybody has called once: what is measured finds its count.
            (0..users).for_each(|number| once(&store, accounts, subject(number)));
            let (half, most) = percentiles(|number| once(&store, accounts, subject(number * 7919)));
            let (half, most) = (half.saturating_sub(clock.0), most.saturating_sub(clock.0));
            println!("{:36} {half:>8} {most:>8}", format!("{charges} of {whose}"));
        }
    }
    println!("\n{:36} {:>8} {:>8}", "a whole call", "p50 ns", "p99 ns");
    for (name, config) in call::CONFIGS {
        let mut calls = call::Calls::new(config);
        let (half, most) = percentiles(|_| calls.one());
        println!("{name:36} {:>8} {:>8}", half.saturating_sub(clock.0), most.saturating_sub(clock.0));
    }
}

/// A million users call once, then all of them once more.
fn memory() {
    let before = resident();
    let store = Memory::default();
    let [requests, _, cost] = three(&store);
    let accounts = [requests, cost];
    for calls in 1..=2 {
        (0..USERS).for_each(|number| once(&store, &accounts, hashed(number)));
        let counted: usize = store.standings().iter().map(|standing| standing.subjects).sum();
        let (mine, all) = (store.bytes() >> 20, (resident() - before) >> 20);
        println!(
            "{USERS} users, two limits, {calls} calls each: {counted} counts, {mine} MiB counted, {all} MiB resident"
        );
    }
    let begun = Instant::now();
    black_box(store.standings());
    println!("a look at how all of them stand: {} ms", begun.elapsed().as_millis());
}

/// Requests and tokens a minute, and a daily budget.
fn three(store: &Memory) -> [Account; 3] {
    let open = |measure: Measure, most, window| {
        let (identity, oversize) = (Arc::from(measure.name()), Oversize::Debt);
        store.account(Limit { scope: Scope::User, measure, identity, most, window, oversize, shadow: false })
    };
    let sliding = || Window::Sliding { length: MINUTE };
    let day = Window::Calendar { every: Every::Day, zone: Zone::utc() };
    [
        open(Measure::Requests, u64::MAX / 2, sliding()),
        open(Measure::Tokens, u64::MAX / 2, sliding()),
        open(Measure::Cost, u64::MAX / 2, day),
    ]
}

fn once(store: &Memory, accounts: &[Account], subject: u64) {
    let charge = |account| Charge { account, subject, amount: 1_000 };
    let mut charges = [None; 3];
    charges.iter_mut().zip(accounts).for_each(|(place, account)| *place = Some(charge(account)));
    let charges: &[Charge<'_>] = match charges {
        [Some(one), None, None] => &[one],
        [Some(one), Some(two), None] => &[one, two],
        [Some(one), Some(two), Some(three)] => &[one, two, three],
        _ => &[],
    };
    match store.reserve(black_box(charges)) {
        Reserving::Ready(Reserved::Granted(hold)) => store.settle(hold, &mut |_, reserved| reserved / 2),
        Reserving::Ready(Reserved::Denied(denial)) => panic!("{denial:?}"),
        Reserving::Pending(_) => unreachable!("the memory store answers at once"),
    }
}

fn hashed(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn percentiles(mut work: impl FnMut(u64)) -> (u128, u128) {
    let mut times: Vec<u128> = (0..ROUNDS as u64)
        .map(|number| {
            let begun = Instant::now();
            work(number);
            begun.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    (times[ROUNDS / 2], times[ROUNDS * 99 / 100])
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("this is Linux");
    let pages: usize =
        status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}
