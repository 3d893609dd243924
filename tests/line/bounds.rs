//! Who is sent away, and whether what they are told is true.

use std::time::Duration;

use fairlead::admit::line::{Crowd, Line, Newcomer, Settings, Standing, Ticket, TurnedAway};

use crate::{SECOND, calm, crowd, patient, serve_next};

/// A line that is served once a second, with so many of one tenant in it; and the time.
fn moving(waiting: usize) -> (Line, u64) {
    let mut line = Line::new(calm());
    crowd(&mut line, waiting + 10, patient(1, 5, 10), 0);
    for step in 1..=10 {
        serve_next(&mut line, 10, step * SECOND);
    }
    (line, 10 * SECOND)
}

fn shed(standing: Standing) -> Option<Crowd> {
    match standing {
        Standing::Away(TurnedAway::Shed { crowd, .. }) => Some(crowd),
        _ => None,
    }
}

#[test]
fn a_thousand_may_wait_and_a_hundred_of_one_tenant() {
    let mut line = Line::new(Settings::default());
    for tenant in 0..10 {
        for _ in 0..100 {
            line.join(patient(tenant, 5, 10), 0).unwrap();
        }
        let away = line.join(patient(tenant, 5, 10), 0).unwrap_err();
        assert!(matches!(away, TurnedAway::Full { crowd: Crowd::Tenant, most: 100, .. }), "{away:?}");
    }
    let away = line.join(patient(99, 5, 10), 0).unwrap_err();
    assert!(matches!(away, TurnedAway::Full { crowd: Crowd::Line, most: 1000, .. }), "{away:?}");
    assert_eq!((line.present(), line.statistics().full), (1000, 11));
}

#[test]
fn s0_39_the_lowest_priority_gives_way_first_and_its_newest_before_others() {
    let mut line = Line::new(Settings { most: 4, ..calm() });
    let come = |line: &mut Line, tenant, priority| line.join(patient(tenant, priority, 10), 0).unwrap();
    let [high, old, new, middle] =
        [(1, 8), (2, 2), (3, 2), (4, 4)].map(|(tenant, priority)| come(&mut line, tenant, priority));
    let mut gone = Vec::new();
    for _ in 0..3 {
        come(&mut line, 5, 6);
        let waiting = [high, old, new, middle].into_iter();
        gone.extend(
            waiting
                .filter(|ticket| shed(line.standing(*ticket)).is_some() && !gone.contains(ticket))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(gone, [new, old, middle]);
    assert!(matches!(line.join(patient(6, 6, 10), 0), Err(TurnedAway::Full { .. })), "none is lower");
    assert_eq!((line.len(), line.statistics().shed), (4, 3));
}

#[test]
fn a_tenant_that_has_too_many_gives_way_to_itself() {
    let mut line = Line::new(Settings { most_per_tenant: 2, ..calm() });
    let other = line.join(patient(2, 0, 10), 0).unwrap();
    line.join(patient(1, 5, 10), 0).unwrap();
    let low = line.join(patient(1, 3, 10), 0).unwrap();
    line.join(patient(1, 4, 10), 0).unwrap();
    assert_eq!(shed(line.standing(low)), Some(Crowd::Tenant));
    assert_eq!(shed(line.standing(other)), None);
}

#[test]
fn who_tries_just_now_does_not_give_way_and_who_is_blocked_does() {
    let mut line = Line::new(Settings { most: 1, ..calm() });
    let head = line.join(patient(1, 5, 10), 0).unwrap();
    line.tries();
    assert!(line.join(patient(2, 9, 10), 0).is_err());
    line.blocked(head, None, 0);
    let higher = line.join(patient(2, 9, 10), 0).unwrap();
    assert_eq!(line.offered(), Some(higher));
    assert_eq!(line.news(), [head, head, higher], "offered at first, then sent away");
}

#[test]
fn q6_who_would_wait_beyond_its_deadline_is_told_at_once_and_who_would_not_is_let_in() {
    for waiting in [3, 10, 30] {
        let (mut line, now) = moving(waiting);
        let wait = (waiting as u64 + 1) * SECOND;
        let before = line.len();
        let hasty = Newcomer { deadline: now + wait * 8 / 10, ..patient(1, 5, 10) };
        let Err(TurnedAway::Predicted { wait: told }) = line.join(hasty, now) else { panic!("let in") };
        let error = told.as_secs_f64() / Duration::from_nanos(wait).as_secs_f64();
        assert!((0.8..1.2).contains(&error), "{told:?} instead of {wait}");
        assert_eq!((line.len(), line.statistics().predicted), (before, 1));
        let calm = Newcomer { deadline: now + wait * 12 / 10, ..patient(1, 5, 10) };
        assert!(line.join(calm, now).is_ok());
        // A tenant of its own, or a higher priority, does not wait behind the others.
        assert!(line.join(Newcomer { tenant: 2, ..hasty }, now).is_ok());
        assert!(line.join(Newcomer { priority: 9, ..hasty }, now).is_ok());
    }
}

#[test]
fn q6_who_is_blocked_until_after_the_deadline_of_a_newcomer_makes_it_go_at_once() {
    let mut line = Line::new(calm());
    let head = line.join(patient(1, 5, 10), 0).unwrap();
    line.tries();
    line.blocked(head, Some(Duration::from_secs(20)), 0);
    let hasty = Newcomer { deadline: 10 * SECOND, ..patient(1, 5, 10) };
    let away = line.join(hasty, SECOND).unwrap_err();
    assert_eq!(away.retry_after(), Duration::from_secs(19));
    assert!(line.join(Newcomer { priority: 6, ..hasty }, SECOND).is_ok(), "it goes before, and may fit");
}

#[test]
fn s0_39_a_refusal_tells_truly_when_to_come_back() {
    let mut line = Line::new(Settings { most: 20, ..calm() });
    crowd(&mut line, 20, patient(1, 5, 10), 0);
    let mut refused = Vec::new();
    for step in 1..200 {
        let now = step * SECOND / 2;
        serve_next(&mut line, 10, now);
        line.join(patient(1, 5, 10), now).unwrap();
        refused.push((now, line.join(patient(1, 5, 10), now).unwrap_err().retry_after()));
    }
    // Half a second each, behind twenty. What is said at first, with nothing known, is a second.
    assert_eq!(refused[0].1, Duration::from_secs(1));
    for (at, told) in &refused[3..] {
        assert!((9.0..12.0).contains(&told.as_secs_f64()), "{told:?} at {at}");
    }
}

#[test]
fn q4_who_went_or_waited_too_long_never_has_a_turn() {
    let mut line = Line::new(calm());
    let head = line.join(patient(1, 5, 10), 0).unwrap();
    let hasty = Newcomer { deadline: SECOND, ..patient(1, 5, 10) };
    let expired: Vec<Ticket> = crowd(&mut line, 50_000, hasty, 0);
    let left: Vec<Ticket> = crowd(&mut line, 50_000, patient(1, 5, 10), 0);
    let last = line.join(patient(1, 5, 10), 0).unwrap();
    for ticket in left {
        line.leave(ticket, 0);
    }
    line.news();
    line.serve(head, 10, 2 * SECOND);
    assert_eq!(line.offered(), Some(last));
    assert!(
        expired
            .iter()
            .all(|ticket| matches!(line.standing(*ticket), Standing::Away(TurnedAway::TimedOut { .. })))
    );
    assert_eq!(line.len(), 1);
    let told = line.statistics();
    assert_eq!((told.served, told.left, told.timed_out), (1, 50_000, 50_000));
}
