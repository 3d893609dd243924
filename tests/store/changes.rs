//! Limits that change while they are in use, and those that only watch.

use fairlead::store::{Every, Limit, Store, When, Window};
use proptest::prelude::*;

use super::conformance::{self, windows};
use super::stand::{DAY, MINUTE, SECOND, bucket, calendar, cases, limit, log, memory, sliding};

#[test]
fn l10_a_limit_that_watches_counts_and_never_refuses() {
    memory(conformance::l10_a_limit_that_watches_counts_and_never_refuses);
}

#[test]
fn new_numbers_hold_at_once_and_counts_stay() {
    memory(|stand| {
        for (number, window) in windows(100).into_iter().enumerate() {
            let open = |most| stand.open(limit(&number.to_string(), most, window.clone()));
            // Buckets keep their burst: it is a number of its own.
            let rises = !matches!(window, Window::Bucket { .. });
            let before = open(100);
            let hold = stand.try_one(&before, 60).unwrap();
            let after = open(if rises { 50 } else { 100 });
            for account in [&before, &after] {
                assert!(
                    stand.try_one(account, 41).is_err(),
                    "{window:?}: also for who knows only the old one"
                );
                assert_eq!(stand.used(account), 60, "{window:?}");
            }
            let raised = open(if rises { 161 } else { 100 });
            assert_eq!(stand.try_one(&raised, 101).is_ok(), rises, "{window:?}");
            drop(hold);
            assert_eq!(stand.used(&raised), 0, "{window:?}: what was held comes back");
        }
    });
}

#[test]
fn a_window_is_exact_or_not_as_the_limit_rises_and_falls() {
    memory(|stand| {
        stand.advance(DAY);
        let open = |most| stand.open(limit("tokens", most, sliding(MINUTE)));
        for most in [100, 1000, 100, 1000, 128, 129] {
            let account = open(most);
            stand.spend(&account, 50).unwrap();
            assert_eq!(stand.used(&open(if most > 128 { 100 } else { 1000 })), 50, "{most}");
            stand.advance(MINUTE + SECOND / 2);
            assert_eq!(stand.used(&account), 0, "{most}: a window later nothing counts");
        }
    });
}

#[test]
fn a_rate_that_changes_keeps_what_is_missing() {
    // The limits before and after: in how much time how much.
    for (before, after) in [
        ((10, MINUTE), (1_000, MINUTE)),
        ((1_000, MINUTE), (10, MINUTE)),
        ((600, MINUTE), (10, SECOND)),
        ((7, SECOND), (11, MINUTE)),
    ] {
        super::stand::with_bytes(0, |stand, store| {
            let open = |(most, per)| stand.open(limit("bucket", most, bucket(per, 100)));
            let account = open(before);
            stand.advance(SECOND);
            // Everybody's, that of those without room, and one's own.
            stand.spend_for(&account, 0, 80).unwrap();
            stand.spend_for(&account, 1, 80).unwrap();
            store.allow(1 << 20);
            stand.spend_for(&account, 2, 10).unwrap();
            let account = open(after);
            assert_eq!([0, 1, 2].map(|subject| stand.store.used(&account, subject)), [80, 80, 90]);
            let Err(When::After(wait)) = stand.spend(&account, 21) else { panic!("20 are left") };
            let one = after.1.as_nanos().div_ceil(u128::from(after.0));
            assert!(wait.as_nanos() <= one && wait.as_nanos() + 1 >= one, "{wait:?} for one of {after:?}");
        });
    }
}

#[test]
fn a_window_of_another_kind_begins_anew_and_forgets_what_was_held() {
    memory(|stand| {
        for (from, first) in windows(100).into_iter().enumerate() {
            for (to, second) in windows(100).into_iter().enumerate() {
                let is_same = from == to || from < 2 && to < 2;
                let name = format!("{from} {to}");
                let old = stand.open(limit(&name, 100, first.clone()));
                let hold = stand.try_one(&old, 70).unwrap();
                let new = stand.open(limit(&name, 100, second.clone()));
                assert_eq!(stand.used(&new), if is_same { 70 } else { 0 }, "{first:?} to {second:?}");
                let other = stand.try_one(&new, 30).unwrap();
                drop(hold);
                assert_eq!(stand.used(&new), 30, "{first:?} to {second:?}: nothing of the new is given back");
                drop(other);
            }
        }
    });
}

#[test]
fn a_budget_of_a_month_that_becomes_one_of_a_day_is_whole_at_midnight() {
    memory(|stand| {
        let month = stand.open(limit("budget", 100, calendar(Every::Month, "UTC")));
        stand.spend(&month, 80).unwrap();
        let day = stand.open(limit("budget", 50, calendar(Every::Day, "UTC")));
        assert_eq!(stand.used(&day), 80);
        stand.advance(DAY);
        assert_eq!(stand.used(&day), 0);
    });
}

#[test]
fn accounts_of_many_users_that_begin_anew_give_their_memory_back() {
    super::stand::with_bytes(1 << 20, |stand, store| {
        for round in 0..20 {
            let window = if round % 2 == 0 { log(MINUTE) } else { bucket(MINUTE, 10) };
            let account = stand.open(limit("users", 100, window));
            for subject in 1..=500 {
                stand.spend_for(&account, subject, 1).unwrap();
            }
            assert!(store.bytes() < 100_000, "round {round}: {} bytes", store.bytes());
        }
    });
}

proptest! {
    #![proptest_config(cases())]

    /// Whatever the numbers become: a window after the last use nothing counts, and the whole limit can be had.
    #[test]
    fn no_change_of_numbers_loses_or_keeps_anything_for_ever(
        changes in proptest::collection::vec((1..=2_000_u64, 1..=120_u64, 0..=60_u64, 1..=100_u64), 1..12),
        kind in 0..3_usize,
    ) {
        memory(|stand| {
            let numbers = |most: u64, seconds: u64| -> Limit {
                let length = SECOND * u32::try_from(seconds).unwrap();
                limit("one", most, [sliding(length), log(length), bucket(length, most)][kind].clone())
            };
            let mut holds = Vec::new();
            for (most, seconds, pause, percent) in changes {
                let account = stand.open(numbers(most, seconds));
                holds.extend(stand.try_one(&account, (most * percent / 100).max(1)));
                if percent % 3 == 0 {
                    holds.pop();
                }
                stand.advance(SECOND * u32::try_from(pause).unwrap());
            }
            holds.drain(..).for_each(|hold| stand.keep(hold));
            let account = stand.open(numbers(500, 30));
            stand.advance(MINUTE * 3);
            prop_assert_eq!(stand.used(&account), 0);
            prop_assert!(stand.spend(&account, 500).is_ok());
            prop_assert!(stand.spend(&account, 1).is_err());
            Ok(())
        })?;
    }
}
