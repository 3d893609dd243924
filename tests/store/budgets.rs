//! Budgets: so much from one date to the next, once.

use std::time::Duration;

use fairlead::clock;
use fairlead::store::{Every, Limit, Measure, Oversize, When, Zone};
use proptest::prelude::*;

use super::models::dates;
use super::stand::{DAY, MINUTE, NANO, NEW_YEAR, SECOND, Stand, calendar, cases, limit, memory};

fn budget(name: &str, most: u64, every: Every, zone: &str) -> Limit {
    Limit { measure: Measure::Cost, oversize: Oversize::Reject, ..limit(name, most, calendar(every, zone)) }
}

/// How long until the budget that is used up begins anew.
fn left(stand: Stand<'_>, name: &str, every: Every, zone: &str) -> Duration {
    let account = stand.open(budget(name, 1, every, zone));
    stand.spend(&account, 1).unwrap();
    let Err(When::After(wait)) = stand.spend(&account, 1) else { panic!("one is one") };
    wait
}

#[test]
fn t8_a_budget_is_whole_again_at_midnight_and_not_before() {
    memory(|stand| {
        let account = stand.open(budget("day", 100, Every::Day, "+08:00"));
        stand.spend(&account, 100).unwrap();
        assert_eq!(stand.spend(&account, 1), Err(When::After(DAY / 3 * 2)), "it is eight in the morning");
        stand.advance(DAY / 3 * 2 - NANO);
        assert_eq!(stand.spend(&account, 1), Err(When::After(NANO)));
        assert_eq!(stand.spend(&account, 0), Err(When::After(NANO)), "nothing is left, not even for nothing");
        stand.advance(NANO);
        assert_eq!(stand.spend(&account, 100), Ok(()));
        assert_eq!(stand.spend(&account, 1), Err(When::After(DAY)));
    });
}

#[test]
fn t8_a_hard_budget_is_exceeded_by_what_was_underestimated_and_no_more() {
    memory(|stand| {
        let account = stand.open(budget("day", 1_000, Every::Day, "UTC"));
        let holds: Vec<_> = (0..20).map_while(|_| stand.try_one(&account, 90).ok()).collect();
        assert_eq!(holds.len(), 11, "reserved before it is spent: 990 of 1000");
        let mut spent = 0;
        for (number, hold) in holds.into_iter().enumerate() {
            let cost = if number % 2 == 0 { 120 } else { 60 };
            stand.settle(hold, cost);
            spent += cost;
        }
        assert_eq!(stand.used(&account), spent);
        assert!(spent <= 1_000 + 6 * 30, "{spent}");
        assert!(stand.spend(&account, 1).is_err());
    });
}

#[test]
fn t8_a_clock_that_is_set_back_gives_no_budget_twice() {
    memory(|stand| {
        let account = stand.open(budget("day", 100, Every::Day, "UTC"));
        let days = |count: u32| clock::pretend(NEW_YEAR + DAY * count + DAY / 2);
        days(1);
        stand.spend(&account, 100).unwrap();
        days(2);
        stand.spend(&account, 100).unwrap();
        for back in [1, 2, 1, 0, 2, 1] {
            days(back);
            assert!(stand.spend(&account, 1).is_err(), "day {back} has come before");
        }
        days(3);
        stand.spend(&account, 100).unwrap();
        // Back and forth over midnight, once a second for ten of them.
        for second in 0..10 {
            clock::pretend(NEW_YEAR + DAY * 4 - SECOND * 5 + SECOND * second);
            assert_eq!(stand.spend(&account, 100).is_ok(), second == 5, "{second}");
            clock::pretend(NEW_YEAR + DAY * 4 - SECOND * 5);
            assert!(stand.spend(&account, 1).is_err(), "{second}");
        }
    });
}

#[test]
fn t8_a_clock_that_was_far_ahead_does_not_hold_a_budget_up() {
    memory(|stand| {
        let account = stand.open(budget("day", 100, Every::Day, "UTC"));
        clock::pretend(NEW_YEAR + DAY * 5000);
        stand.spend(&account, 100).unwrap();
        clock::pretend(NEW_YEAR + DAY / 2);
        assert_eq!(stand.spend(&account, 1), Err(When::After(DAY / 2)), "used up, but only for today");
        stand.advance(DAY / 2);
        assert_eq!(stand.spend(&account, 100), Ok(()));
    });
}

#[test]
fn t5_what_comes_back_on_the_next_day_is_not_credited_to_it() {
    memory(|stand| {
        let account = stand.open(budget("day", 100, Every::Day, "UTC"));
        let [less, more] = [40, 40].map(|amount| stand.try_one(&account, amount).unwrap());
        stand.advance(DAY);
        stand.spend(&account, 50).unwrap();
        stand.settle(less, 0);
        assert_eq!(stand.used(&account), 50);
        stand.settle(more, 60);
        assert_eq!(stand.used(&account), 70, "what was not reserved yesterday is spent today");
    });
}

#[test]
fn t8_days_are_as_long_as_they_are() {
    // Where a clock is put forward or back: that day has 23 or 25 hours, wherever midnight is.
    let days = [
        ("Europe/Berlin", 2026, 3, 29, 23),
        ("Europe/Berlin", 2026, 10, 25, 25),
        ("Europe/Berlin", 2026, 7, 1, 24),
        ("America/New_York", 2026, 3, 8, 23),
        ("America/New_York", 2026, 11, 1, 25),
        ("Australia/Sydney", 2026, 4, 5, 25),
        // Midnight itself is skipped.
        ("America/Santiago", 2026, 9, 6, 23),
        ("Africa/Cairo", 2026, 4, 24, 23),
        // Midnight comes twice.
        ("America/Havana", 2026, 11, 1, 25),
    ];
    let mut tried = 0;
    for (zone, year, month, day, hours) in days {
        if Zone::parse(zone).is_none() {
            continue;
        }
        tried += 1;
        memory(|stand| {
            // From the noon before, in UTC, the budget of the day before ends at the beginning of the day.
            let day = dates::days_before(year, month, day);
            clock::pretend(DAY * u32::try_from(day).unwrap() - DAY / 2);
            stand.advance(left(stand, "before", Every::Day, zone));
            assert_eq!(left(stand, "day", Every::Day, zone), MINUTE * 60 * hours, "{zone}");
        });
    }
    assert!(tried == 0 || tried == days.len(), "a machine knows all zones or none");
}

#[test]
fn t8_spans_follow_each_other_without_a_gap_in_every_zone() {
    let zones =
        ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago"];
    for zone in zones.into_iter().filter(|zone| Zone::parse(zone).is_some()) {
        for (every, shortest, longest) in [
            (Every::Hour, 30, 90),
            (Every::Day, 23 * 60, 25 * 60),
            (Every::Week, 167 * 60, 169 * 60),
            (Every::Month, 27 * 1440, 32 * 1440),
        ] {
            memory(|stand| {
                let account = stand.open(budget("spans", 1, every, zone));
                stand.advance(left(stand, "first", every, zone));
                let mut passed = Duration::ZERO;
                while passed < DAY * 400 {
                    stand.spend(&account, 1).unwrap();
                    let Err(When::After(wait)) = stand.spend(&account, 1) else { panic!("{zone} {every:?}") };
                    assert!(
                        (MINUTE * shortest..=MINUTE * longest).contains(&wait),
                        "{zone} {every:?} {wait:?}"
                    );
                    let wait = if every == Every::Hour { wait + DAY } else { wait };
                    stand.advance(wait);
                    passed += wait;
                }
            });
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn t8_spans_end_when_a_calendar_that_counts_days_says(
        wall in prop_oneof![86_400..=3_000_000_u64, 86_400..=6_000_000_000_u64],
        minutes in -14 * 60..=14 * 60_i64,
    ) {
        let sign = if minutes < 0 { '-' } else { '+' };
        let zone = format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60);
        memory(|stand| {
            clock::pretend(Duration::from_secs(wall));
            for every in [Every::Hour, Every::Day, Every::Week, Every::Month] {
                let end = Duration::from_secs(dates::end(every, minutes * 60, wall));
                let left = left(stand, every.name(), every, &zone);
                prop_assert_eq!(left, end - Duration::from_secs(wall), "{} {:?} at {}", zone, every, wall);
            }
            Ok(())
        })?;
    }

    /// However the clock moves by up to a day, no day's budget is spent twice, and what is used is what was spent since
    /// the last new day.
    #[test]
    fn t8_no_day_is_spent_twice_however_the_clock_moves(
        moves in proptest::collection::vec((-86_400..=86_400_i64, 0..=60_u64), 1..60),
    ) {
        memory(|stand| {
            let account = stand.open(budget("day", 100, Every::Day, "UTC"));
            let (mut wall, mut latest, mut used) = (NEW_YEAR.as_secs(), 0, 0);
            for (moved, amount) in moves {
                wall = wall.saturating_add_signed(moved);
                clock::pretend(Duration::from_secs(wall));
                let day = wall / 86_400;
                if day + 2 < latest {
                    // So far ahead the clock had been wrong: these counts stand for today.
                    latest = day;
                }
                if day > latest {
                    (latest, used) = (day, 0);
                }
                let fits = used < 100 && used + amount <= 100;
                prop_assert_eq!(stand.spend(&account, amount).is_ok(), fits, "{} on day {}", amount, day);
                used += if fits { amount } else { 0 };
            }
            Ok(())
        })?;
    }
}
