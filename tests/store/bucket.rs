//! Buckets that are refilled evenly.

use std::time::Duration;

use fairlead::store::When;
use proptest::prelude::*;

use super::conformance;
use super::models::Tokens;
use super::stand::{MINUTE, NANO, SECOND, Stand, bucket, cases, limit, memory};
use super::windows::{Held, Step, pick, steps};

#[test]
fn l2_twenty_times_five_of_a_hundred_then_half_a_second() {
    memory(conformance::l2_twenty_times_five_of_a_hundred_then_half_a_second);
}

#[test]
fn l8_a_burst_is_whole_whatever_the_rate() {
    for most in [3, 7, 11, 997, 1_000_003] {
        memory(|stand| {
            let account = stand.open(limit("bucket", most, bucket(MINUTE, 7)));
            for number in 0..7 {
                assert_eq!(stand.spend(&account, 1), Ok(()), "{number} of a burst of 7, {most} a minute");
            }
            let interval = u64::try_from(MINUTE.as_nanos()).unwrap().div_ceil(most);
            assert_eq!(
                stand.spend(&account, 1),
                Err(When::After(Duration::from_nanos(interval))),
                "rounded up"
            );
        });
    }
}

#[test]
fn l8_no_rate_is_faster_than_it_says() {
    // What a clock of nanoseconds cannot divide: after a million of them, not one too early or too late.
    for (most, per) in [(3, SECOND), (7, MINUTE), (999_999_937, MINUTE)] {
        memory(|stand| {
            let account = stand.open(limit("bucket", most, bucket(per, 1)));
            let mut passed = 0_u128;
            stand.spend(&account, 1).unwrap();
            for number in 1..=2_000_u128 {
                let Err(When::After(wait)) = stand.spend(&account, 1) else {
                    panic!("{number} comes too early")
                };
                stand.advance(wait);
                passed += wait.as_nanos();
                stand.spend(&account, 1).unwrap();
                let exact = (number * per.as_nanos()).div_ceil(u128::from(most));
                assert!(passed >= exact && passed < exact + number, "{number} at {passed}, not {exact}");
            }
        });
    }
}

#[test]
fn t5_a_bucket_that_was_full_meanwhile_gets_nothing_back() {
    memory(|stand| {
        // 100 a second, 10 at once: full again after a tenth of a second.
        let account = stand.open(limit("bucket", 100, bucket(SECOND, 10)));
        let old = stand.try_one(&account, 10).unwrap();
        stand.advance(SECOND / 2);
        stand.spend(&account, 10).unwrap();
        drop(old);
        assert_eq!(stand.used(&account), 10, "a burst is 10, not 20");
        stand.advance(SECOND / 20);
        let new = stand.try_one(&account, 5).unwrap();
        assert_eq!(stand.used(&account), 10);
        drop(new);
        assert_eq!(stand.used(&account), 5, "in the same shortage it comes back");
    });
}

#[test]
fn t5_two_shortages_of_one_instant_are_two() {
    memory(|stand| {
        let account = stand.open(limit("bucket", 20, bucket(SECOND, 20)));
        let old = stand.try_one(&account, 20).unwrap();
        stand.advance(SECOND * 3 / 4);
        let new = stand.try_one(&account, 2).unwrap();
        // Of 20 that come back, 7 are missing: it is full, and the other 13 are nobody's.
        drop(old);
        stand.spend(&account, 20).unwrap();
        drop(new);
        assert_eq!(stand.used(&account), 20);
    });
}

#[test]
fn t1_what_comes_back_late_is_credited_while_the_shortage_lasts() {
    memory(|stand| {
        // Calls that take ten times as long as the window, and use a tenth of what they reserved.
        let account = stand.open(limit("bucket", 100, bucket(SECOND, 100)));
        let old = stand.try_one(&account, 100).unwrap();
        for _ in 0..20 {
            stand.advance(SECOND / 2);
            stand.spend(&account, 50).unwrap();
        }
        stand.settle(old, 1);
        assert_eq!(stand.used(&account), 1, "99 of it were never used");
    });
}

fn runs_like_the_model(stand: Stand<'_>, mut model: Tokens, steps: Vec<Step>) {
    let account = stand.open(limit("tokens", model.most, bucket(model.per, model.burst)));
    let (mut held, mut now, mut told) = (Vec::new(), 0_u128, 0_u64);
    for step in steps {
        match step {
            Step::Pass(_) | Step::PassAsTold(_) => {
                let time = step.time(told).unwrap_or_default();
                stand.advance(Duration::from_nanos(time));
                now += u128::from(time);
                model.pass(now);
            }
            Step::Reserve(amount) => match stand.try_one(&account, amount) {
                Ok(hold) => {
                    assert_eq!(model.wait(amount), 0, "{amount} at {now}");
                    held.push(Held { hold, known: model.take(amount), reserved: amount });
                }
                Err(when) => {
                    told = model.wait(amount) as u64;
                    assert_eq!(when, When::After(Duration::from_nanos(told)), "{amount} at {now}");
                    assert_ne!(told, 0);
                }
            },
            Step::Settle(which, share) => {
                if let Some(Held { hold, known, reserved }) = pick(&mut held, which) {
                    let used = reserved * share / 100;
                    stand.settle(hold, used);
                    model.settle(known, (reserved, used));
                    model.pass(now);
                }
            }
            Step::Drop(which) => {
                if let Some(Held { known, reserved, .. }) = pick(&mut held, which) {
                    model.settle(known, (reserved, 0));
                    model.pass(now);
                }
            }
        }
        assert_eq!(stand.used(&account), model.used(), "at {now}");
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn l2_a_bucket_answers_as_whole_numbers_do(
        (most, length, burst, steps) in
            (prop_oneof![1..=5_u64, 100..=200_u64, 1_000..=1_000_000_u64], 1..=5_000_000_u64, 1..=20_u64)
                .prop_flat_map(|(most, length, tenths)| {
                    let burst = (most * tenths / 10).max(1);
                    (Just(most), Just(length), Just(burst), steps(burst, length))
                }),
    ) {
        let model = Tokens::new(most, Duration::from_nanos(length), burst);
        memory(|stand| runs_like_the_model(stand, model, steps));
    }

    /// In every interval, the burst and what time refills, and not more.
    #[test]
    fn l2_no_interval_has_more_than_the_burst_and_its_time(
        most in 1..=10_000_u64,
        per in 1..=10_000_000_u64,
        burst in 1..=10_000_u64,
        asked in proptest::collection::vec((1..=10_000_u64, 0..=1_000_000_u64), 1..100),
    ) {
        memory(|stand| {
            let account = stand.open(limit("bucket", most, bucket(Duration::from_nanos(per), burst)));
            let (mut taken, mut now) = (Vec::new(), 0_u64);
            for (amount, pause) in asked {
                let amount = amount.min(burst);
                if stand.spend(&account, amount).is_ok() {
                    taken.push((now, amount));
                }
                stand.advance(NANO * u32::try_from(pause).unwrap());
                now += pause;
            }
            for (position, (begin, _)) in taken.iter().enumerate() {
                let mut sum = 0_u128;
                for (end, amount) in &taken[position..] {
                    sum += u128::from(*amount) * u128::from(per);
                    let refilled = u128::from(end - begin) * u128::from(most);
                    prop_assert!(sum <= u128::from(burst) * u128::from(per) + refilled);
                }
            }
            Ok(())
        })?;
    }

    /// Whatever comes back and when: since the bucket was full, no more is used than the burst and what time refilled.
    #[test]
    fn l2_what_comes_back_adds_nothing_to_what_a_full_bucket_gives(
        most in 1..=10_000_u64,
        per in 1..=1_000_000_u64,
        burst in 1..=2_000_u64,
        asked in proptest::collection::vec((1..=2_000_u64, 0..=100_000_u64, any::<bool>()), 1..100),
    ) {
        memory(|stand| {
            let account = stand.open(limit("bucket", most, bucket(Duration::from_nanos(per), burst)));
            let (mut kept, mut now, mut held, mut full_at) = (0_u128, 0_u64, Vec::new(), 0_u64);
            for (amount, pause, comes_back) in asked {
                if stand.used(&account) == 0 {
                    // Those that are held from before cannot have been used within this shortage.
                    (kept, full_at) = (0, now);
                    for (_, own) in &mut held {
                        *own = 0;
                    }
                }
                let amount = amount.min(burst);
                if let Ok(hold) = stand.try_one(&account, amount) {
                    kept += u128::from(amount) * u128::from(per);
                    held.push((hold, amount));
                }
                if comes_back && !held.is_empty() {
                    let (hold, amount) = held.remove(0);
                    drop(hold);
                    kept -= u128::from(amount) * u128::from(per);
                }
                let refilled = u128::from(now - full_at) * u128::from(most);
                prop_assert!(kept <= u128::from(burst) * u128::from(per) + refilled);
                stand.advance(NANO * u32::try_from(pause).unwrap());
                now += pause;
            }
            Ok(())
        })?;
    }
}
