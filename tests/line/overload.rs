//! A line in which everybody waits too long.

use fairlead::admit::line::{Line, Standing, Ticket, TurnedAway};

use crate::{SECOND, crowd, endless, patient, serve_next};

/// Sixty calls at once, of which one is served every three tenths of a second: from the fourth on, none within one.
fn overloaded() -> (Line, Vec<Ticket>, u64) {
    let mut line = Line::new(endless());
    let tickets = crowd(&mut line, 60, patient(1, 5, 10), 0);
    let mut now = 0;
    while !line.statistics().overloaded {
        now += 3 * SECOND / 10;
        serve_next(&mut line, 10, now);
    }
    (line, tickets, now)
}

#[test]
fn q5_a_line_in_which_nobody_is_served_within_a_second_for_five_is_overloaded() {
    let (_, _, since) = overloaded();
    assert_eq!(since, 6 * SECOND, "0.9 s and 5 s, at the next service");
}

#[test]
fn q5_a_line_in_which_nobody_is_served_at_all_is_overloaded_too() {
    let mut line = Line::new(endless());
    line.join(patient(1, 5, 10), 0).unwrap();
    line.join(patient(1, 5, 10), 5 * SECOND - 1).unwrap();
    assert!(!line.statistics().overloaded);
    let new = line.join(patient(1, 5, 10), 5 * SECOND).unwrap();
    assert_eq!(line.deadline(new), 6 * SECOND);
}

#[test]
fn q5_in_overload_the_newest_goes_first_within_a_priority_and_newcomers_wait_a_second() {
    let (mut line, tickets, now) = overloaded();
    let newest = tickets[59];
    assert_eq!(serve_next(&mut line, 10, now), Some(newest));
    let new = line.join(patient(1, 5, 10), now).unwrap();
    let high = line.join(patient(1, 6, 10), now).unwrap();
    let newer = line.join(patient(1, 5, 10), now).unwrap();
    assert_eq!(line.deadline(new), now + SECOND);
    assert_eq!(line.deadline(tickets[30]), u64::MAX, "who was there before keeps its deadline");
    let served: Vec<_> = std::iter::from_fn(|| serve_next(&mut line, 10, now + SECOND / 2)).collect();
    // Before the others came, it was the turn of the one that was newest then.
    assert_eq!(served[..6], [tickets[58], high, newer, new, tickets[57], tickets[56]]);
    assert_eq!(served.len(), 60 - 21 + 3);
}

#[test]
fn q5_newcomers_who_were_not_served_within_their_second_are_told() {
    let (mut line, _, now) = overloaded();
    let new = line.join(patient(1, 5, 10), now).unwrap();
    let head = line.offered().unwrap();
    line.expire(new, now + SECOND);
    assert!(matches!(line.standing(new), Standing::Away(TurnedAway::TimedOut { .. })));
    assert_eq!(line.offered(), Some(head));
}

#[test]
fn q5_overload_ends_when_the_line_is_empty_and_not_before() {
    let (mut line, _, now) = overloaded();
    while line.len() > 1 {
        serve_next(&mut line, 10, now);
        assert!(line.statistics().overloaded);
    }
    serve_next(&mut line, 10, now);
    assert!(!line.statistics().overloaded);
    let next = line.join(patient(1, 5, 10), now).unwrap();
    assert_eq!(line.deadline(next), u64::MAX);
    assert_eq!(line.statistics().overloads, 1);
}

#[test]
fn q5_a_line_that_serves_somebody_promptly_is_not_overloaded_however_long_others_wait() {
    let mut line = Line::new(endless());
    crowd(&mut line, 100, patient(1, 5, 10), 0);
    for step in 1..100 {
        let now = step * SECOND;
        line.join(patient(2, 5, 10), now - SECOND / 2).unwrap();
        serve_next(&mut line, 10, now);
        serve_next(&mut line, 10, now);
        assert!(!line.statistics().overloaded, "at {step} s");
    }
}

#[test]
fn q3_in_overload_a_lower_priority_still_has_its_turn() {
    let mut line = Line::new(endless());
    let low = line.join(patient(2, 3, 10), 0).unwrap();
    let head = line.join(patient(1, 5, 10), 0).unwrap();
    crowd(&mut line, 60, patient(1, 5, 10), 0);
    assert_eq!(line.offered(), Some(low), "it came first");
    line.step_aside(low, 7, 0);
    assert_eq!(line.offered(), Some(head));
    line.again(low, 0);
    let mut now = 0;
    while line.standing(low) != Standing::Gone {
        now += SECOND / 2;
        line.join(patient(1, 5, 10), now).unwrap();
        serve_next(&mut line, 10, now);
    }
    assert!(line.statistics().overloaded);
    assert!((10 * SECOND..12 * SECOND).contains(&now), "after {} s", now / SECOND);
}

#[test]
fn q5_a_line_that_waits_for_window_after_window_is_not_overloaded() {
    let mut line = Line::new(endless());
    crowd(&mut line, 20, patient(1, 5, 10), 0);
    let mut now = 0;
    while let Some(head) = line.offered() {
        line.tries();
        line.blocked(head, Some(std::time::Duration::from_secs(6)), now);
        now += 6 * SECOND;
        line.again(head, now);
        serve_next(&mut line, 10, now);
        serve_next(&mut line, 10, now);
        assert!(!line.statistics().overloaded, "at {} s", now / SECOND);
    }
    assert_eq!(now, 60 * SECOND);
}
