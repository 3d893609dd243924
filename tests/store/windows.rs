//! Windows that slide: never more than the limit in any of them.

use std::time::Duration;

use fairlead::store::{Account, Hold, When};
use proptest::prelude::*;

use super::conformance::{self, windows};
use super::models::Log;
use super::stand::{MINUTE, SECOND, Stand, bucket, cases, limit, log, memory, sliding};

#[test]
fn l1_the_whole_limit_and_not_one_more() {
    memory(conformance::l1_the_whole_limit_and_not_one_more);
}

#[test]
fn l1_a_flood_at_the_edge_of_a_window_gets_one_limit() {
    memory(conformance::l1_a_flood_at_the_edge_of_a_window_gets_one_limit);
}

#[test]
fn l4_several_that_do_not_fit_wait_for_the_last() {
    memory(conformance::l4_several_that_do_not_fit_wait_for_the_last);
}

#[test]
fn l5_a_denial_leaves_the_others_untouched() {
    memory(conformance::l5_a_denial_leaves_the_others_untouched);
}

#[test]
fn l7_more_than_the_limit_when_nothing_is_in_use_or_never() {
    memory(conformance::l7_more_than_the_limit_when_nothing_is_in_use_or_never);
    memory(conformance::l7_of_nothing_there_is_nothing);
}

/// One step of a schedule.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// This many nanoseconds pass.
    Pass(u64),
    /// As long passes as the last denial said, and a nanosecond less or more.
    PassAsTold(i8),
    Reserve(u64),
    /// One of those that are held comes to so much of a hundredth of what was reserved.
    Settle(usize, u64),
    Drop(usize),
}

/// Steps against a limit of `most` in a window of `length` nanoseconds.
pub(crate) fn steps(most: u64, length: u64) -> impl Strategy<Value = Vec<Step>> {
    let amounts = prop_oneof![
        3 => 0..=most.min(3),
        3 => 0..=most.div_ceil(4),
        1 => 0..=most,
        1 => Just(most),
        1 => most..=most.saturating_mul(3),
    ];
    let times = prop_oneof![
        2 => Just(0_u64),
        2 => 0..=3_u64,
        3 => 0..=length / 7,
        1 => 0..=length,
        1 => length.saturating_sub(2)..=length + 2,
        1 => Just(length * 3),
    ];
    let step = prop_oneof![
        4 => times.prop_map(Step::Pass),
        2 => (-1..=1_i8).prop_map(Step::PassAsTold),
        8 => amounts.prop_map(Step::Reserve),
        3 => (any::<usize>(), prop_oneof![0..=100_u64, 100..=300_u64])
            .prop_map(|(which, share)| Step::Settle(which, share)),
        1 => any::<usize>().prop_map(Step::Drop),
    ];
    proptest::collection::vec(step, 1..60)
}

/// What is held, with what a model knows it by.
pub(crate) struct Held {
    pub(crate) hold: Hold,
    pub(crate) known: usize,
    pub(crate) reserved: u64,
}

/// Holds on to something that one of the steps means.
pub(crate) fn pick(held: &mut Vec<Held>, which: usize) -> Option<Held> {
    (!held.is_empty()).then(|| held.swap_remove(which % held.len()))
}

fn nanos(when: When) -> u64 {
    let When::After(wait) = when else { panic!("{when:?} is no time") };
    u64::try_from(wait.as_nanos()).unwrap()
}

impl Step {
    /// The nanoseconds that pass, if the last denial said `told`.
    pub(crate) fn time(&self, told: u64) -> Option<u64> {
        match self {
            Self::Pass(time) => Some(*time),
            Self::PassAsTold(by) => Some(told.saturating_add_signed(i64::from(*by))),
            _ => None,
        }
    }
}

/// Every answer of an exact window is that of the log of everything, and so is every wait.
fn runs_like_the_log(stand: Stand<'_>, most: u64, length: Duration, steps: Vec<Step>) {
    let account = stand.open(limit("tokens", most, log(length)));
    let (mut model, mut held, mut now, mut told) = (Log::default(), Vec::new(), 0_u128, 0);
    for step in steps {
        match step {
            Step::Pass(_) | Step::PassAsTold(_) => {
                let time = step.time(told).unwrap_or_default();
                stand.advance(Duration::from_nanos(time));
                now += u128::from(time);
            }
            Step::Reserve(amount) => match stand.try_one(&account, amount) {
                Ok(hold) => {
                    assert!(model.fits(now, length, most, amount), "{amount} at {now} is too much");
                    held.push(Held { hold, known: model.take(now, amount), reserved: amount });
                }
                Err(when) => {
                    let first = model.first(now, length, most, amount);
                    assert_eq!(u128::from(nanos(when)), first - now, "{amount} at {now}");
                    told = nanos(when);
                }
            },
            Step::Settle(which, share) => {
                if let Some(Held { hold, known, reserved }) = pick(&mut held, which) {
                    let used = reserved * share / 100;
                    stand.settle(hold, used);
                    model.settle(known, (reserved, used), now);
                }
            }
            Step::Drop(which) => {
                if let Some(Held { known, reserved, .. }) = pick(&mut held, which) {
                    model.settle(known, (reserved, 0), now);
                }
            }
        }
        assert_eq!(stand.used(&account), model.within(now, length), "at {now}");
    }
}

/// Of a window that is kept by slots: never more than the limit, and nobody is denied whom a window that is longer by a
/// slot would let in.
fn keeps_to_the_limit(stand: Stand<'_>, most: u64, length: Duration, steps: Vec<Step>) {
    let account = stand.open(limit("tokens", most, sliding(length)));
    let slot = Duration::from_nanos(u64::try_from(length.as_nanos().div_ceil(256)).unwrap());
    let (mut model, mut held, mut now, mut told) = (Log::default(), Vec::new(), 0_u128, 0);
    for step in steps {
        match step {
            Step::Pass(_) | Step::PassAsTold(_) => {
                let time = step.time(told).unwrap_or_default();
                stand.advance(Duration::from_nanos(time));
                now += u128::from(time);
            }
            Step::Reserve(amount) => match stand.try_one(&account, amount) {
                Ok(hold) => {
                    assert!(model.fits(now, length, most, amount), "{amount} at {now} is too much");
                    let known = model.take(now, amount);
                    if amount <= most {
                        let every =
                            model.moments().chain(model.moments().map(|at| at + length.as_nanos() - 1));
                        let fullest = every.filter(|at| *at >= now).map(|at| model.within(at, length)).max();
                        assert!(fullest.unwrap_or_default() <= most, "more than {most} in a window at {now}");
                    }
                    held.push(Held { hold, known, reserved: amount });
                }
                Err(when) => {
                    let longer = length + slot - Duration::from_nanos(1);
                    assert!(!model.fits(now, longer, most, amount), "{amount} at {now} would have fitted");
                    let first = model.first(now, longer, most, amount);
                    assert!(u128::from(nanos(when)) <= first - now, "{amount} at {now} has to wait too long");
                    told = nanos(when);
                }
            },
            // To settle for more takes it now, and may exceed the limit: that is a debt, tried by itself.
            Step::Settle(which, share) => {
                if let Some(Held { hold, known, reserved }) = pick(&mut held, which) {
                    let used = reserved * share.min(100) / 100;
                    stand.settle(hold, used);
                    // What does not count any more here may count a moment longer there.
                    model.settle(known, (reserved, used), now);
                }
            }
            Step::Drop(which) => {
                if let Some(Held { known, reserved, .. }) = pick(&mut held, which) {
                    model.settle(known, (reserved, 0), now);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn l1_an_exact_window_answers_as_the_log_of_everything_does(
        (most, length, steps) in (prop_oneof![1..=5_u64, 100..=200_u64, 1_000..=1_000_000_u64], 1..=5_000_u64)
            .prop_flat_map(|(most, length)| (Just(most), Just(length), steps(most, length))),
    ) {
        memory(|stand| runs_like_the_log(stand, most, Duration::from_nanos(length), steps));
    }

    #[test]
    fn l1_a_window_of_slots_never_holds_more_than_the_limit(
        (most, length, steps) in (prop_oneof![1..=5_u64, 100..=200_u64, 1_000..=1_000_000_u64], 1..=500_000_u64)
            .prop_flat_map(|(most, length)| (Just(most), Just(length), steps(most, length))),
    ) {
        memory(|stand| keeps_to_the_limit(stand, most, Duration::from_nanos(length), steps));
    }

    /// Denied at every instant before the wait is over, admitted at it.
    #[test]
    fn l4_a_wait_is_exact(
        most in prop_oneof![1..=5_u64, 100..=200_u64, 1_000..=1_000_000_u64],
        length in prop_oneof![1..=5_000_u64, 1_000_000_000..=100_000_000_000_u64],
        before in proptest::collection::vec((0..=100_u64, 0..=100_u64), 1..20),
        asked in 1..=300_u64,
        between in 0..=100_u64,
    ) {
        memory(|stand| {
            let length = Duration::from_nanos(length);
            let kinds = [log(length), sliding(length), bucket(length, most), bucket(length, most.div_ceil(10))];
            for (number, window) in kinds.into_iter().enumerate() {
                let account = stand.open(limit(&number.to_string(), most, window.clone()));
                for (amount, pause) in &before {
                    let _ = stand.spend(&account, most * amount / 100);
                    stand.advance(length * u32::try_from(*pause).unwrap() / 400);
                }
                let asked = (most * asked / 100).max(1);
                let Err(when) = stand.spend(&account, asked) else { continue };
                let wait = nanos(when);
                prop_assert!(wait > 0, "{window:?}");
                let earlier = (wait - 1) * between / 100;
                for pause in [earlier, wait - 1 - earlier] {
                    stand.advance(Duration::from_nanos(pause));
                    prop_assert!(stand.spend(&account, asked).is_err(), "{window:?}");
                }
                prop_assert_eq!(stand.spend(&account, asked), Err(When::After(stand.grain)), "{:?}", window);
                stand.advance(stand.grain);
                prop_assert_eq!(stand.spend(&account, asked), Ok(()), "{:?}", window);
            }
            Ok(())
        })?;
    }
}

/// As much as can be had by asking again the moment it is allowed.
fn had(stand: Stand<'_>, account: &Account, amount: u64, until: Duration) -> u64 {
    let (mut passed, mut had) = (Duration::ZERO, 0);
    while passed < until {
        match stand.spend(account, amount) {
            Ok(()) => had += amount,
            Err(When::After(wait)) => {
                assert!(!wait.is_zero(), "denied, and told not to wait");
                stand.advance(wait);
                passed += wait;
            }
            Err(when) => panic!("{when:?}"),
        }
    }
    had
}

#[test]
fn l3_who_asks_all_the_time_gets_99_percent_of_a_limit() {
    let sizes =
        [(1, 1), (2, 1), (5, 1), (60, 1), (128, 1), (129, 1), (1_000, 1), (100_000, 100), (1 << 40, 1 << 33)];
    for (most, amount) in sizes {
        for (number, window) in windows(most).into_iter().take(3).enumerate() {
            memory(|stand| {
                // Neither a window's beginning nor that of a slot.
                stand.advance(SECOND * 7 / 3);
                let account = stand.open(limit(&number.to_string(), most, window.clone()));
                let had = had(stand, &account, amount, MINUTE * 20);
                assert!(had * 100 >= most * 20 * 99, "{had} of {most} a minute in 20: {window:?}");
                assert!(had <= most * 21, "{had} of {most} a minute in 20: {window:?}");
            });
        }
    }
}
