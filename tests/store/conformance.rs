//! What every store must keep to, whatever stands behind it: functions over a store on the stand.

use fairlead::store::{Denial, Limit, When};

use super::stand::{DAY, MINUTE, NANO, SECOND, Stand, bucket, calendar, limit, log, reject, sliding};
use fairlead::store::{Every, Window};

/// A window of each kind, a minute long where it has a length.
pub(crate) fn windows(most: u64) -> [Window; 5] {
    let budget = calendar(Every::Day, "UTC");
    [sliding(MINUTE), log(MINUTE), bucket(MINUTE, most), Window::Concurrency, budget]
}

/// The whole limit can be had, and not one more.
pub(crate) fn l1_the_whole_limit_and_not_one_more(stand: Stand<'_>) {
    for most in [1, 2, 7, 60, 128, 129, 1000] {
        for (number, window) in windows(most).into_iter().enumerate() {
            let account = stand.open(limit(&format!("{most} {number}"), most, window.clone()));
            let holds: Vec<_> = (0..most).map_while(|_| stand.try_one(&account, 1).ok()).collect();
            assert_eq!(holds.len() as u64, most, "{window:?}");
            assert_eq!(stand.used(&account), most, "{window:?}");
            assert!(stand.try_one(&account, 1).is_err(), "{most} of {window:?}");
            drop(holds);
            assert_eq!(stand.used(&account), 0, "{window:?}");
            assert!(stand.try_one(&account, most).is_ok(), "{most} of {window:?}");
        }
    }
}

/// Whoever waits until just before the edge of a window and floods, then floods again behind the edge, gets no more than
/// the limit in any window.
pub(crate) fn l1_a_flood_at_the_edge_of_a_window_gets_one_limit(stand: Stand<'_>) {
    for (name, window) in [("log", log(MINUTE)), ("sliding", sliding(MINUTE))] {
        for most in [10, 1000] {
            let account = stand.open(limit(&format!("{name} {most}"), most, window.clone()));
            stand.advance(MINUTE - stand.grain);
            let flood = || (0..2 * most).filter(|_| stand.spend(&account, 1).is_ok()).count() as u64;
            assert_eq!(flood(), most, "{name}");
            for wait in [stand.grain, SECOND, MINUTE / 2] {
                stand.advance(wait);
                assert_eq!(flood(), 0, "{name}: {wait:?} later");
            }
            stand.advance(MINUTE / 2);
            assert_eq!(flood(), most, "{name}");
            stand.advance(MINUTE * 2);
        }
    }
}

/// Buckets of 100 that get 10 a second: 20 times 5, then a wait of half a second.
pub(crate) fn l2_twenty_times_five_of_a_hundred_then_half_a_second(stand: Stand<'_>) {
    let account = stand.open(limit("bucket", 10, bucket(SECOND, 100)));
    for _ in 0..20 {
        stand.spend(&account, 5).unwrap();
    }
    assert_eq!(stand.spend(&account, 5), Err(When::After(SECOND / 2)));
    stand.advance(SECOND / 2 - stand.grain);
    assert_eq!(stand.spend(&account, 5), Err(When::After(stand.grain)));
    stand.advance(stand.grain);
    assert_eq!(stand.spend(&account, 5), Ok(()));
}

/// A reservation that is denied leaves every other account as it was, wherever in it the denial is.
pub(crate) fn l5_a_denial_leaves_the_others_untouched(stand: Stand<'_>) {
    for (number, window) in windows(10).into_iter().enumerate() {
        for full in 0..3 {
            let open =
                |which: usize| stand.open(limit(&format!("{number} {full} {which}"), 10, window.clone()));
            let accounts = [open(0), open(1), open(2)];
            let _all = stand.try_one(&accounts[full], 10).unwrap();
            let charges: Vec<_> = accounts.iter().map(|account| (account, 0, 3)).collect();
            let denial = stand.try_all(&charges).unwrap_err();
            assert_eq!(denial.charge, full, "{window:?}");
            for (other, account) in accounts.iter().enumerate().filter(|(other, _)| *other != full) {
                assert_eq!(stand.used(account), 0, "{window:?} {other}");
                let _room = stand.try_one(account, 10).unwrap();
            }
        }
    }
}

/// Of several that do not fit, the one that takes longest says how long.
pub(crate) fn l4_several_that_do_not_fit_wait_for_the_last(stand: Stand<'_>) {
    let [short, long] = [("short", SECOND), ("long", MINUTE)].map(|(name, length)| {
        let account = stand.open(limit(name, 1, log(length)));
        stand.spend(&account, 1).unwrap();
        account
    });
    for (order, charge) in [([&short, &long], 1), ([&long, &short], 0)] {
        let denial = stand.try_all(&order.map(|account| (account, 0, 1))).unwrap_err();
        assert_eq!(denial, Denial { charge, when: When::After(MINUTE) });
    }
    stand.advance(MINUTE - NANO.max(stand.grain));
    assert!(stand.try_all(&[(&short, 0, 1), (&long, 0, 1)]).is_err());
    stand.advance(stand.grain);
    assert!(stand.try_all(&[(&short, 0, 1), (&long, 0, 1)]).is_ok());
}

/// What is larger than the limit is let in when nothing else is there, and leaves a debt; or never.
pub(crate) fn l7_more_than_the_limit_when_nothing_is_in_use_or_never(stand: Stand<'_>) {
    for (number, window) in windows(10).into_iter().enumerate() {
        let debt = stand.open(limit(&format!("debt {number}"), 10, window.clone()));
        let little = stand.try_one(&debt, 1).unwrap();
        assert!(stand.try_one(&debt, 25).is_err(), "{window:?}");
        drop(little);
        let much = stand.try_one(&debt, 25).unwrap();
        assert_eq!(stand.used(&debt), 25, "{window:?}");
        assert!(stand.try_one(&debt, 1).is_err(), "{window:?}");
        drop(much);
        let never = stand.open(reject(limit(&format!("reject {number}"), 10, window.clone())));
        assert_eq!(stand.try_one(&never, 11).unwrap_err(), When::Never, "{window:?}");
        assert!(stand.try_one(&never, 10).is_ok(), "{window:?}");
    }
}

/// A limit of nothing lets nothing in, and says so.
pub(crate) fn l7_of_nothing_there_is_nothing(stand: Stand<'_>) {
    for (number, window) in windows(1).into_iter().enumerate() {
        let account = stand.open(limit(&number.to_string(), 0, window));
        assert_eq!(stand.try_one(&account, 1).unwrap_err(), When::Never);
    }
}

/// A limit that only watches counts, says what it would have refused, and refuses nothing.
pub(crate) fn l10_a_limit_that_watches_counts_and_never_refuses(stand: Stand<'_>) {
    for (number, window) in windows(3).into_iter().enumerate() {
        let watching = stand.open(Limit { shadow: true, ..limit(&format!("watching {number}"), 3, window) });
        let strict = stand.open(limit(&format!("strict {number}"), 9, log(DAY)));
        for _ in 0..9 {
            let hold = stand.try_all(&[(&watching, 0, 1), (&strict, 0, 1)]).unwrap();
            std::mem::forget(hold);
        }
        assert_eq!(stand.used(&watching), 9);
        let denial = stand.try_all(&[(&watching, 0, 1), (&strict, 0, 1)]).unwrap_err();
        assert_eq!(denial.charge, 1, "only what refuses is named");
        assert_eq!(stand.used(&watching), 9, "what was refused by another is not counted");
        let standings = stand.store.standings();
        let standing = standings.iter().find(|standing| standing.limit.identity == watching.limit().identity);
        let standing = standing.unwrap();
        // What another has refused is none of its business.
        assert_eq!((standing.granted, standing.denied), (3, 6), "{:?}", standing.limit.window);
    }
}

/// What is held is given back once, however it ends.
pub(crate) fn t1_what_is_held_is_settled_once(stand: Stand<'_>) {
    for (number, window) in windows(100).into_iter().enumerate() {
        let open = |which: u32| stand.open(limit(&format!("{number} {which}"), 100, window.clone()));
        let accounts = [open(0), open(1), open(2)];
        let charges: Vec<_> = accounts.iter().map(|account| (account, 0, 40)).collect();
        let used = || [0, 1, 2].map(|which: usize| stand.used(&accounts[which]));
        let settled = if window == Window::Concurrency { 0 } else { 10 };

        drop(stand.try_all(&charges).unwrap());
        assert_eq!(used(), [0, 0, 0], "{window:?}");

        let mut first = stand.try_all(&charges).unwrap();
        let rest = first.split_off(1);
        assert_eq!(used(), [40, 40, 40], "{window:?}");
        drop(first);
        assert_eq!(used(), [0, 40, 40], "{window:?}");
        let mut seen = Vec::new();
        stand.store.settle(rest, &mut |limit, reserved| {
            seen.push((limit.identity.to_string(), reserved));
            10
        });
        assert_eq!(used(), [0, settled, settled], "{window:?}");
        assert_eq!(seen, [(format!("{number} 1"), 40), (format!("{number} 2"), 40)]);

        let mut all = stand.try_all(&charges).unwrap();
        drop(all.split_off(99));
        assert_eq!(used(), [40, settled + 40, settled + 40], "{window:?}");
        drop(all.split_off(0));
        drop(all);
        assert_eq!(used(), [0, settled, settled], "{window:?}");
    }
}

/// What was used above the reservation is a debt, and blocks until it is repaid.
pub(crate) fn t4_what_was_used_above_the_reservation_is_a_debt(stand: Stand<'_>) {
    for (number, window) in windows(100).into_iter().enumerate() {
        if window == Window::Concurrency {
            continue;
        }
        let account = stand.open(limit(&number.to_string(), 100, window.clone()));
        let holds: Vec<_> = (0..5).map(|_| stand.try_one(&account, 20).unwrap()).collect();
        for hold in holds {
            stand.settle(hold, 50);
        }
        assert_eq!(
            stand.used(&account),
            250,
            "{window:?}: exceeded by what was underestimated, and not more"
        );
        let denied = stand.try_one(&account, 1).unwrap_err();
        let When::After(wait) = denied else { panic!("{window:?}: {denied:?}") };
        stand.advance(wait - stand.grain);
        assert_eq!(stand.try_one(&account, 1).unwrap_err(), When::After(stand.grain), "{window:?}");
        stand.advance(stand.grain);
        assert!(stand.try_one(&account, 1).is_ok(), "{window:?}");
        if let Window::Bucket { .. } = window {
            assert_eq!(wait, MINUTE * 151 / 100, "150 too many, and the one that is asked for");
        }
    }
}

/// What comes back when its window is over is nobody's.
pub(crate) fn t5_what_comes_back_after_its_window_is_dropped(stand: Stand<'_>) {
    for (number, window) in windows(100).into_iter().enumerate() {
        let over = match window {
            Window::Concurrency => continue,
            Window::Calendar { .. } => DAY,
            _ => MINUTE + SECOND,
        };
        for settles in [true, false] {
            let account = stand.open(limit(&format!("{number} {settles}"), 100, window.clone()));
            let old = stand.try_one(&account, 80).unwrap();
            stand.advance(over);
            stand.spend(&account, 100).unwrap();
            if settles {
                stand.settle(old, 10);
            } else {
                drop(old);
            }
            assert_eq!(stand.used(&account), 100, "{window:?}");
            assert!(stand.try_one(&account, 1).is_err(), "{window:?}");
        }
    }
}
