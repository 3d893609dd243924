//! Reserve, then settle: exactly once, to the last token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::conformance::{self, windows};
use super::stand::{MINUTE, SECOND, limit, log, memory};
use fairlead::store::Window;

#[test]
fn t1_what_is_held_is_settled_once() {
    memory(conformance::t1_what_is_held_is_settled_once);
}

#[test]
fn t4_what_was_used_above_the_reservation_is_a_debt() {
    memory(conformance::t4_what_was_used_above_the_reservation_is_a_debt);
}

#[test]
fn t5_what_comes_back_after_its_window_is_dropped() {
    memory(conformance::t5_what_comes_back_after_its_window_is_dropped);
}

#[test]
fn t1_a_panic_while_settling_gives_everything_back() {
    memory(|stand| {
        let account = stand.open(limit("tokens", 100, Window::Concurrency));
        let hold = stand.try_all(&[(&account, 0, 40), (&account, 0, 40)]).unwrap();
        let settle = || stand.store.settle(hold, &mut |_, _| panic!("on purpose"));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(settle)).unwrap_err();
        assert_eq!(stand.used(&account), 0);
    });
}

#[test]
fn t1_whoever_settles_may_use_the_store() {
    memory(|stand| {
        let account = stand.open(limit("tokens", 100, log(MINUTE)));
        let hold = stand.try_one(&account, 40).unwrap();
        stand.store.settle(hold, &mut |_, reserved| stand.used(&account) / 2 + reserved / 4);
        assert_eq!(stand.used(&account), 30);
    });
}

#[test]
fn t1_many_refunds_leave_no_memory_behind() {
    super::stand::with_bytes(1 << 20, |stand, store| {
        for (number, window) in windows(100).into_iter().enumerate() {
            let account = stand.open(limit(&number.to_string(), 100, window));
            for subject in 1..=10 {
                for _ in 0..1_000 {
                    drop(stand.try_all(&[(&account, subject, 1)]).unwrap());
                    let nothing = stand.try_all(&[(&account, subject, 0)]).unwrap();
                    stand.keep(nothing);
                    stand.advance(SECOND / 1_000_000);
                }
            }
        }
        assert!(store.bytes() < 20_000, "{} bytes are left of 50,000 refunds", store.bytes());
    });
}

#[test]
fn t1_two_of_one_account_at_the_same_instant_are_told_apart() {
    memory(|stand| {
        for (number, window) in windows(100).into_iter().enumerate() {
            let account = stand.open(limit(&number.to_string(), 100, window.clone()));
            let [first, second] = [10, 20].map(|amount| stand.try_one(&account, amount).unwrap());
            drop(second);
            assert_eq!(stand.used(&account), 10, "{window:?}");
            drop(first);
            assert_eq!(stand.used(&account), 0, "{window:?}");
            // The same account twice in one reservation counts as both together.
            let one = stand.try_one(&account, 1).unwrap();
            assert!(stand.try_all(&[(&account, 0, 60), (&account, 0, 40)]).is_err(), "{window:?}");
            assert_eq!(stand.used(&account), 1, "{window:?}");
            drop(one);
            let both = stand.try_all(&[(&account, 0, 60), (&account, 0, 40)]).unwrap();
            assert_eq!(stand.used(&account), 100, "{window:?}");
            drop(both);
        }
    });
}

#[test]
fn whoever_waits_is_told_of_room_and_may_use_the_store() {
    memory(|stand| {
        let told = Arc::new(AtomicUsize::new(0));
        let account = stand.open(limit("slots", 1, Window::Concurrency));
        let counted = Arc::clone(&told);
        stand.store.on_room(Some(Box::new(move || _ = counted.fetch_add(1, Ordering::Relaxed))));
        let since = || told.swap(0, Ordering::Relaxed);
        let hold = stand.try_one(&account, 1).unwrap();
        assert!(stand.try_one(&account, 1).is_err());
        assert_eq!(since(), 0, "what was denied gives nothing back");
        stand.keep(hold);
        assert_eq!(since(), 1, "a slot is free whatever was used");
        let tokens = stand.open(limit("tokens", 10, log(MINUTE)));
        stand.spend(&tokens, 5).unwrap();
        assert_eq!(since(), 0, "all of it was used");
        let hold = stand.try_one(&tokens, 5).unwrap();
        stand.settle(hold, 4);
        assert_eq!(since(), 1);
        drop(stand.try_one(&tokens, 1).unwrap());
        assert_eq!(since(), 1);
        stand.open(limit("tokens", 10, log(MINUTE)));
        assert_eq!(since(), 0, "nothing has changed");
        stand.open(limit("tokens", 20, log(MINUTE)));
        assert_eq!(since(), 1, "a limit that was raised has room");
        stand.store.on_room(None);
    });
}
