//! Numbers and times as large as they come: nothing panics, nothing is granted twice.

use std::time::Duration;

use fairlead::store::meter::{Fit, Meter, Now};
use fairlead::store::{Every, Limit, Oversize, Window};
use proptest::prelude::*;

use super::stand::{bucket, calendar, cases, limit, log, sliding};

fn extreme() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(u64::MAX - 1),
        Just(u64::MAX / 2),
        Just(1 << 32),
        any::<u64>(),
        0..=1_000_u64,
    ]
}

fn window() -> impl Strategy<Value = Window> {
    (0..5_usize, extreme(), extreme()).prop_map(|(kind, length, burst)| {
        let length = Duration::from_nanos(length);
        let every = [Every::Hour, Every::Day, Every::Week, Every::Month][burst as usize % 4];
        let windows = [
            Window::Concurrency,
            sliding(length),
            log(length),
            bucket(length, burst),
            calendar(every, "UTC"),
        ];
        windows[kind].clone()
    })
}

#[derive(Clone, Debug)]
enum Step {
    Take(u64),
    Correct(u64, u64, u64),
    /// Whatever fits or not, and wherever time goes.
    At(u64, u64, (u64, u64)),
    Renumber(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        extreme().prop_map(Step::Take),
        (extreme(), extreme(), extreme())
            .prop_map(|(stamp, reserved, used)| Step::Correct(stamp, reserved, used)),
        (extreme(), extreme(), extreme(), extreme()).prop_map(|(running, wall, start, end)| Step::At(
            running,
            wall,
            (start, end)
        )),
        extreme().prop_map(Step::Renumber),
    ]
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_numbers_make_a_meter_panic(
        most in extreme(),
        window in window(),
        rejects in any::<bool>(),
        spare in prop_oneof![Just(0), Just(200), Just(usize::MAX)],
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let oversize = if rejects { Oversize::Reject } else { Oversize::Debt };
        let mut limit = Limit { oversize, ..limit("extreme", most, window) };
        let mut meter = Meter::new(&limit.window);
        let mut now = Now { running: 0, wall: 0, span: (0, 1) };
        for step in steps {
            match step {
                Step::Take(amount) => {
                    let fit = meter.fit(&limit, amount, now);
                    if fit == Fit::Fits {
                        prop_assert!(limit.most > 0);
                    }
                    meter.take(&limit, amount, now, spare);
                }
                Step::Correct(stamp, reserved, used) => {
                    meter.correct(&limit, stamp, (reserved, used), now, spare);
                }
                Step::At(running, wall, span) => now = Now { running, wall, span },
                Step::Renumber(most) => limit.most = most,
            }
            meter.used(&limit, now);
            prop_assert!(spare > 0 || meter.heap() == 0);
        }
    }

    #[test]
    fn no_limit_makes_the_store_panic(
        limits in proptest::collection::vec((extreme(), window(), any::<bool>()), 1..4),
        steps in proptest::collection::vec((extreme(), extreme(), extreme(), extreme()), 1..20),
    ) {
        super::stand::memory(|stand| {
            let accounts: Vec<_> = limits
                .iter()
                .map(|(most, window, shadow)| {
                    stand.open(Limit { shadow: *shadow, ..limit("one of them", *most, window.clone()) })
                })
                .collect();
            for (subject, amount, used, time) in steps {
                let charges: Vec<_> = accounts.iter().map(|account| (account, subject, amount)).collect();
                if let Ok(hold) = stand.try_all(&charges) {
                    stand.settle(hold, used);
                }
                // Virtual time ends somewhere, too.
                stand.advance(Duration::from_nanos(time >> 8));
                stand.store.standings();
            }
        });
    }
}

#[test]
fn a_sum_beyond_all_numbers_does_not_forget_the_rest() {
    let limit = limit("sum", 10, log(Duration::from_nanos(100)));
    let mut meter = Meter::new(&limit.window);
    let at = |running| Now { running, wall: 0, span: (0, 1) };
    meter.take(&limit, u64::MAX, at(0), usize::MAX);
    meter.take(&limit, 7, at(50), usize::MAX);
    assert_eq!(meter.used(&limit, at(99)), u64::MAX);
    assert_eq!(meter.used(&limit, at(100)), 7);
    let stamp = meter.take(&limit, u64::MAX, at(120), usize::MAX);
    meter.correct(&limit, stamp, (u64::MAX, 1), at(120), usize::MAX);
    assert_eq!(meter.used(&limit, at(120)), 8);
}

#[test]
fn a_meter_takes_32_bytes() {
    assert!(size_of::<Meter>() <= 32, "{} bytes for each subject of each limit", size_of::<Meter>());
}
