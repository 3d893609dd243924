//! Limits of many users in bounded memory.

use fairlead::store::meter::{Meter, Now};
use fairlead::store::{Account, Store, When, Window};
use proptest::prelude::*;

use super::models::Log;
use super::stand::{
    DAY, MINUTE, NANO, SECOND, Stand, bucket, cases, limit, log, memory, sliding, with_bytes,
};

/// What each of many users with two limits takes at most.
const BYTES_OF_A_USER: usize = 160;

/// Subjects as hashes give them.
fn hashed(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn two_limits(stand: Stand<'_>) -> [Account; 2] {
    [
        stand.open(limit("requests", 60, sliding(MINUTE))),
        stand.open(limit("tokens", 100_000, sliding(MINUTE))),
    ]
}

fn call(stand: Stand<'_>, [requests, tokens]: &[Account; 2], subject: u64) -> bool {
    let hold = stand.try_all(&[(requests, subject, 1), (tokens, subject, 500)]);
    hold.map(|hold| stand.keep(hold)).is_ok()
}

#[test]
fn l9_many_users_with_two_limits_take_bounded_memory() {
    // A million in the long runs, with what a million needs.
    let users = if cases().cases >= 10_000 { 1_000_000 } else { 100_000 };
    let most = users as usize * BYTES_OF_A_USER;
    with_bytes(most, |stand, store| {
        let accounts = two_limits(stand);
        for number in 0..users {
            assert!(call(stand, &accounts, hashed(number)));
        }
        let standings = stand.store.standings();
        assert_eq!(standings.iter().map(|standing| standing.subjects as u64).sum::<u64>(), 2 * users);
        assert!(store.bytes() <= most, "{} bytes", store.bytes());
        // When nothing of them counts any more, as many others need no more memory.
        stand.advance(MINUTE * 2);
        for number in users..2 * users {
            assert!(call(stand, &accounts, hashed(number)));
        }
        assert!(store.bytes() <= most, "{} bytes", store.bytes());
    });
}

#[test]
fn l9_what_is_spared_is_never_exceeded_however_much_each_user_does() {
    const FEW: usize = 200_000;
    for window in [log(MINUTE), sliding(MINUTE), bucket(MINUTE, 100), Window::Concurrency] {
        with_bytes(FEW, |stand, store| {
            let account = stand.open(limit("requests", 100, window.clone()));
            for round in 0..20 {
                for number in 0..2_000 {
                    if let Ok(hold) = stand.try_all(&[(&account, hashed(number), 1)]) {
                        stand.keep(hold);
                    }
                }
                stand.advance(SECOND);
                assert!(store.bytes() <= FEW, "{window:?}, round {round}: {} bytes", store.bytes());
            }
        });
    }
}

#[test]
fn l9_who_is_unknown_shares_one_count_when_there_is_no_room() {
    with_bytes(0, |stand, store| {
        let account = stand.open(limit("requests", 5, log(MINUTE)));
        let admitted = (0..50).filter(|number| stand.spend_for(&account, hashed(*number), 1).is_ok()).count();
        assert_eq!((admitted, store.bytes()), (5, 0));
        assert_eq!(stand.spend_for(&account, 7, 1), Err(When::After(MINUTE)));
        assert_eq!(stand.store.used(&account, 7), 5);
        // Room comes, while what was shared still counts: all of it may have been theirs.
        stand.advance(MINUTE / 2);
        store.allow(1 << 20);
        assert_eq!(stand.spend_for(&account, 7, 1), Err(When::After(MINUTE / 2)));
        stand.advance(MINUTE / 2);
        for number in 0..50 {
            assert_eq!(stand.spend_for(&account, hashed(number), 5), Ok(()), "each has a limit of its own");
        }
    });
}

#[test]
fn l9_slots_that_are_shared_come_back_to_all() {
    with_bytes(0, |stand, store| {
        let account = stand.open(limit("slots", 3, Window::Concurrency));
        let hold = |subject| stand.try_all(&[(&account, subject, 1)]);
        let mut held: Vec<_> = (1..=3).map(|subject| hold(subject).unwrap()).collect();
        assert!(hold(4).is_err());
        store.allow(1 << 20);
        assert!(hold(4).is_err(), "who holds the slots that are shared is not known");
        let extra = held.pop().unwrap();
        stand.settle(extra, 999);
        held.push(hold(1).unwrap());
        held.clear();
        let own: Vec<_> = (1..=3).map(|_| hold(1).unwrap()).collect();
        assert!(hold(1).is_err());
        assert_eq!(own.len(), 3);
        assert!(hold(2).is_ok());
        drop(own);
        assert!((1..=4).all(|subject| stand.store.used(&account, subject) == 0));
    });
}

#[test]
fn l9_who_is_known_and_idle_is_not_sent_to_those_who_share() {
    with_bytes(1 << 20, |stand, store| {
        let account = stand.open(limit("slots", 3, Window::Concurrency));
        let hold = |subject| stand.try_all(&[(&account, subject, 1)]);
        drop(hold(7).unwrap());
        store.allow(0);
        // Another table has no room: all that is shared is taken.
        let shared: Vec<_> = (100..400).map_while(|subject| hold(subject).ok()).collect();
        assert_eq!(shared.len(), 3);
        let own: Vec<_> = (0..3).map(|_| hold(7).unwrap()).collect();
        assert!(hold(7).is_err());
        assert_eq!(stand.store.used(&account, 7), 3);
        assert_eq!(stand.store.used(&account, 100), 3, "of the shared ones, not one more");
        drop((own, shared));
    });
}

#[test]
fn t4_a_debt_of_somebody_who_was_forgotten_is_a_debt() {
    with_bytes(1 << 20, |stand, store| {
        let account = stand.open(limit("tokens", 100, log(MINUTE)));
        let hold = |subject| stand.try_all(&[(&account, subject, 10)]).unwrap();
        let (less, more) = (hold(7), hold(8));
        stand.advance(MINUTE);
        for number in 0..10_000 {
            stand.spend_for(&account, hashed(number), 1).unwrap();
            stand.advance(SECOND / 10);
        }
        let counted = || stand.store.standings()[0].subjects;
        let before = counted();
        stand.settle(less, 5);
        assert_eq!((stand.store.used(&account, 7), counted()), (0, before), "nobody is counted for nothing");
        stand.settle(more, 15);
        assert_eq!(stand.store.used(&account, 8), 5);
        // Whoever comes in sweeps a few who are forgotten, by where they happen to stand.
        assert!(counted() <= before + 1);
        assert!(store.swept() > 0);
    });
}

#[test]
fn l9_an_attack_of_unknown_keys_costs_each_a_few_steps() {
    with_bytes(2 << 20, |stand, store| {
        let account = stand.open(limit("requests", 60, sliding(MINUTE)));
        let mut number = 0;
        let mut attack = |keys: u64, pause| {
            let before = store.swept();
            for _ in 0..keys {
                number += 1;
                let _ = stand.spend_for(&account, hashed(number), 1);
                stand.advance(pause);
            }
            (store.swept() - before) as f64 / keys as f64
        };
        // While there is room, when there is none and nobody can be forgotten, and when there always is somebody.
        for (keys, pause) in [(40_000, NANO), (400_000, NANO), (400_000, SECOND / 500)] {
            let each = attack(keys, pause);
            assert!(each <= 5.0, "{each} looks for each unknown key");
            assert!(store.bytes() <= 2 << 20);
        }
    });
}

#[test]
fn l9_who_is_in_use_keeps_his_count_under_attack() {
    with_bytes(100_000, |stand, _| {
        let account = stand.open(limit("requests", 5, log(MINUTE)));
        let slots = stand.open(limit("slots", 5, Window::Concurrency));
        let held: Vec<_> = (0..5).map(|_| stand.try_all(&[(&slots, 42, 1)]).unwrap()).collect();
        stand.spend_for(&account, 42, 5).unwrap();
        for number in 0..50_000 {
            let _ = stand.spend_for(&account, hashed(number), 1);
            let _ = stand.spend_for(&slots, hashed(number), 1);
            if number % 1_000 == 0 {
                assert!(stand.spend_for(&account, 42, 1).is_err(), "after {number} others");
            }
            stand.advance(MINUTE / 50_001);
        }
        assert!(stand.try_all(&[(&slots, 42, 1)]).is_err());
        drop(held);
        assert_eq!(stand.store.used(&slots, 42), 0);
        stand.advance(SECOND);
        assert_eq!(stand.spend_for(&account, 42, 5), Ok(()));
    });
}

#[test]
fn l5_a_denial_changes_nothing_even_where_there_is_no_memory() {
    with_bytes(1 << 20, |stand, store| {
        let account = stand.open(limit("requests", 100, log(MINUTE)));
        let full = stand.open(limit("full", 0, log(MINUTE)));
        stand.spend_for(&account, 7, 5).unwrap();
        store.allow(0);
        let denied = |subject| stand.try_all(&[(&account, subject, 1), (&full, 0, 1)]).is_err();
        for _ in 0..59 {
            stand.advance(SECOND);
            assert!(denied(7) && denied(8));
        }
        assert_eq!(stand.store.used(&account, 7), 5);
        stand.advance(SECOND);
        assert_eq!(stand.store.used(&account, 7), 0, "what was taken a minute ago, and nothing later");
        store.allow(1 << 20);
        assert!((100..1_000).all(denied));
        let standings = stand.store.standings();
        assert_eq!(standings[0].subjects, 1, "who was denied is not counted");
        assert_eq!(standings.iter().map(|standing| standing.denied).collect::<Vec<_>>(), [0, 1_018]);
    });
}

#[test]
fn l9_memory_of_those_who_are_idle_goes_to_those_who_are_not() {
    with_bytes(200_000, |stand, store| {
        let account = stand.open(limit("requests", 100, log(MINUTE)));
        let use_all = |subjects: std::ops::Range<u64>| {
            for _ in 0..10 {
                for number in subjects.clone() {
                    stand.spend_for(&account, hashed(number), 1).unwrap();
                }
                stand.advance(SECOND);
            }
        };
        use_all(0..1_000);
        assert!(store.bytes() > 190_000, "{} bytes: it is full", store.bytes());
        stand.advance(MINUTE * 2);
        use_all(0..300);
        assert!((0..300).all(|number| stand.store.used(&account, hashed(number)) == 10));
        // Each second of the ten goes at its own time: nobody's were put together for want of memory.
        stand.advance(MINUTE - SECOND * 5);
        let exact = (0..300).filter(|number| stand.store.used(&account, hashed(*number)) == 4).count();
        assert!(exact >= 270, "{exact} of 300");
    });
}

#[test]
fn l9_who_begins_with_what_was_shared_takes_little_memory() {
    with_bytes(0, |stand, store| {
        let account = stand.open(limit("requests", 100, log(MINUTE)));
        for number in 0..90 {
            stand.spend_for(&account, hashed(number), 1).unwrap();
            stand.advance(SECOND / 10);
        }
        store.allow(1 << 20);
        for number in 0..1_000 {
            assert_eq!(stand.spend_for(&account, hashed(number), 11), Err(When::After(MINUTE - SECOND * 9)));
            stand.spend_for(&account, hashed(number), 10).unwrap();
        }
        assert!(store.bytes() < 1_000 * 200, "{} bytes", store.bytes());
    });
}

#[test]
fn a_bucket_that_was_shared_gives_nothing_back_for_what_was_taken_before() {
    let limit = limit("bucket", 10, bucket(SECOND, 10));
    let at = |running| Now { running, wall: 0, span: (0, 1) };
    let mut shared = Meter::new(&limit.window);
    shared.take(&limit, 9, at(100), 0);
    let mut own = shared.shared(at(200));
    own.correct(&limit, 150, (9, 0), at(200), 0);
    assert_eq!(own.used(&limit, at(200)), 9);
}

#[test]
fn subjects_of_every_form_spread_evenly() {
    // Numbers in a row, hashes, and hashes that differ in their upper half only.
    for form in [|number: u64| number + 1, hashed, |number| (number + 1) << 40] {
        with_bytes(8 << 20, |stand, store| {
            let account = stand.open(limit("requests", 60, sliding(MINUTE)));
            for number in 0..100_000 {
                stand.spend_for(&account, form(number), 1).unwrap();
            }
            let standing = stand.store.standings().remove(0);
            assert_eq!(standing.subjects, 100_000);
            assert!(store.bytes() < 41 * 100_000 * 9 / 4, "{} bytes", store.bytes());
        });
    }
}

#[test]
fn a_look_at_what_is_in_use_counts_nobody() {
    memory(|stand| {
        let account = stand.open(limit("requests", 60, sliding(MINUTE)));
        for number in 0..100 {
            assert_eq!(stand.store.used(&account, hashed(number)), 0);
        }
        assert_eq!(stand.store.standings()[0].subjects, 0);
        stand.spend_for(&account, 7, 9).unwrap();
        let standing = &stand.store.standings()[0];
        assert_eq!((standing.subjects, standing.used), (1, 9));
    });
}

proptest! {
    #![proptest_config(cases())]

    /// However little memory there is and however it changes: nobody gets more than his limit in any window.
    #[test]
    fn l9_no_user_exceeds_his_limit_however_little_memory_there_is(
        most in prop_oneof![1..=5_u64, 120..=140_u64],
        bytes in 0..=3_000_usize,
        steps in proptest::collection::vec((1..=12_u64, 1..=60_u64, 0..=30_u64, 0..=20_u8), 1..120),
    ) {
        with_bytes(bytes, |stand, store| {
            let account = stand.open(limit("tokens", most, sliding(MINUTE)));
            let mut logs: Vec<Log> = (0..13).map(|_| Log::default()).collect();
            let (mut now, mut held) = (0_u128, Vec::new());
            for (subject, percent, pause, chance) in steps {
                let amount = (most * percent / 60).max(1);
                if let Ok(hold) = stand.try_all(&[(&account, subject, amount)]) {
                    let log = &mut logs[subject as usize];
                    prop_assert!(log.fits(now, MINUTE, most, amount), "{} of {} at {}", amount, most, now);
                    held.push((hold, subject, log.take(now, amount), amount));
                }
                match chance {
                    0 => store.allow(bytes * 2),
                    1 => store.allow(bytes / 2),
                    2..=8 if !held.is_empty() => {
                        let (hold, subject, known, amount) = held.swap_remove(usize::from(chance) % held.len());
                        stand.settle(hold, amount / 2);
                        logs[subject as usize].settle(known, (amount, amount / 2), now);
                    }
                    _ => {}
                }
                let pause = SECOND * u32::try_from(pause).unwrap();
                stand.advance(pause);
                now += pause.as_nanos();
            }
            Ok(())
        })?;
    }
}

#[test]
fn l9_budgets_of_a_day_are_forgotten_when_it_is_over() {
    with_bytes(1 << 20, |stand, store| {
        let account =
            stand.open(limit("cost", 100, super::stand::calendar(fairlead::store::Every::Day, "UTC")));
        for day in 0..20 {
            for number in 0..10_000 {
                stand.spend_for(&account, hashed(day * 10_000 + number), 100).unwrap();
            }
            stand.advance(DAY);
        }
        assert!(store.bytes() <= 1 << 20, "{} bytes", store.bytes());
    });
}
