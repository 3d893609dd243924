//! Who goes first.

use std::collections::BTreeMap;

use fairlead::admit::line::{Line, Newcomer, Settings, Ticket};
use fairlead::clock::Rng;
use proptest::prelude::*;

use crate::{SECOND, calm, crowd, patient, serve_next};

/// Joins, and notes what it is.
fn join(line: &mut Line, known: &mut BTreeMap<Ticket, Newcomer>, who: Newcomer, now: u64) -> Ticket {
    let ticket = line.join(who, now).unwrap();
    known.insert(ticket, who);
    ticket
}

proptest! {
    /// Two tenants always wait, others come and go; calls have any size, and are served at any speed.
    #[test]
    fn q2_two_who_always_wait_differ_by_at_most_two_of_the_largest_requests(
        costs in prop::collection::vec((1..5000_u64, 1..5000_u64), 300),
        others in prop::collection::vec(prop::option::of((2..6_u64, 1..5000_u64)), 300),
        pauses in prop::collection::vec(0..10 * SECOND, 300),
    ) {
        let mut line = Line::new(calm());
        let mut known = BTreeMap::new();
        let mut now = 0;
        let mut waiting = [0; 2];
        let (mut difference, mut least, mut most) = (0_i64, 0, 0);
        for step in 0..300 {
            for (tenant, cost) in [(0, costs[step].0), (1, costs[step].1)] {
                while waiting[tenant as usize] < 2 {
                    join(&mut line, &mut known, patient(tenant, 5, cost), now);
                    waiting[tenant as usize] += 1;
                }
            }
            if let Some((tenant, cost)) = others[step] {
                join(&mut line, &mut known, patient(tenant, 5, cost), now);
            }
            let ticket = line.offered().unwrap();
            let Newcomer { tenant, cost, .. } = known[&ticket];
            line.serve(ticket, cost, now);
            if tenant < 2 {
                waiting[tenant as usize] -= 1;
                let cost = cost.cast_signed();
                difference += if tenant == 0 { cost } else { -cost };
            }
            (least, most) = (least.min(difference), most.max(difference));
            now += pauses[step];
        }
        // The most that any interval shows.
        prop_assert!(most - least <= 2 * 4999, "{}", most - least);
    }
}

#[test]
fn q2_weights_hold_within_a_twentieth_over_ten_thousand_requests() {
    let rng = Rng::seeded(2);
    let weights = [1.0, 3.0, 6.0];
    let mut line = Line::new(calm());
    let mut known = BTreeMap::new();
    let mut served = [0.0; 3];
    let come = |line: &mut Line, known: &mut BTreeMap<_, _>, tenant: u64| {
        let who = Newcomer { weight: weights[tenant as usize], ..patient(tenant, 5, 1 + rng.u64() % 3000) };
        join(line, known, who, 0);
    };
    (0..3).for_each(|tenant| come(&mut line, &mut known, tenant));
    for _ in 0..10_000 {
        let ticket = line.offered().unwrap();
        let Newcomer { tenant, cost, .. } = known[&ticket];
        come(&mut line, &mut known, tenant);
        line.serve(ticket, cost, 0);
        served[tenant as usize] += cost as f64;
    }
    let all: f64 = served.iter().sum();
    for (tokens, weight) in served.iter().zip(weights) {
        let share = tokens / all / (weight / 10.0);
        assert!((0.95..=1.05).contains(&share), "{share} of the share of weight {weight}");
    }
}

#[test]
fn l6_a_small_request_does_not_overtake_a_large_one_of_its_tenant_and_priority() {
    let mut line = Line::new(calm());
    let costs = [1_000_000, 1, 500, 1];
    let tickets: Vec<Ticket> = costs.iter().map(|cost| line.join(patient(1, 5, *cost), 0).unwrap()).collect();
    line.tries();
    line.blocked(tickets[0], None, 0);
    assert_eq!(line.offered(), None, "the large one waits for room, and nobody passes it");
    line.freed(0);
    let served: Vec<Ticket> = std::iter::from_fn(|| serve_next(&mut line, 1, 0)).collect();
    assert_eq!(served, tickets);
}

#[test]
fn a_higher_priority_goes_first_and_also_before_a_head_that_is_blocked() {
    let mut line = Line::new(calm());
    let low = line.join(patient(1, 3, 10), 0).unwrap();
    line.tries();
    line.blocked(low, None, 0);
    let high = line.join(patient(2, 7, 10), 0).unwrap();
    assert_eq!(line.offered(), Some(high));
    line.blocked(high, None, 0);
    line.freed(0);
    assert_eq!(serve_next(&mut line, 10, 0), Some(high));
    assert_eq!(serve_next(&mut line, 10, 0), Some(low));
}

/// Calls of priority 9 keep five waiting, each is served in a tenth of a second. How long did others wait?
fn waits_beside_urgent_calls(others: &[(u64, u8)], urgent: u64) -> Vec<u64> {
    let mut line = Line::new(Settings::default());
    crowd(&mut line, 5, patient(urgent, 9, 10), 0);
    let join = |(tenant, priority): &(u64, u8)| line.join(patient(*tenant, *priority, 10), 0).unwrap();
    let late: Vec<Ticket> = others.iter().map(join).collect();
    let mut waits = vec![u64::MAX; others.len()];
    for step in 0..600 {
        let now = step * SECOND / 10;
        let served = serve_next(&mut line, 10, now).unwrap();
        match late.iter().position(|ticket| *ticket == served) {
            Some(at) => waits[at] = now,
            None => drop(line.join(patient(urgent, 9, 10), now)),
        }
    }
    waits
}

#[test]
fn q3_every_five_seconds_of_waiting_are_worth_one_priority_and_nobody_starves() {
    for priority in 0..9 {
        for urgent in [1, 2] {
            let wait = waits_beside_urgent_calls(&[(1, priority)], urgent)[0];
            // The urgent ones wait for half a second themselves.
            let aging = u64::from(9 - priority) * 5 * SECOND;
            assert!(
                (aging..=aging + SECOND).contains(&wait),
                "priority {priority} waited {} s",
                wait / SECOND
            );
        }
    }
}

#[test]
fn q3_all_of_many_who_waited_long_are_served_not_one_at_a_time() {
    let tenants: Vec<(u64, u8)> = (10..20).map(|tenant| (tenant, 5)).collect();
    for others in [tenants, vec![(1, 5); 10]] {
        let waits = waits_beside_urgent_calls(&others, 1);
        assert!(waits.iter().all(|wait| *wait <= 23 * SECOND), "{waits:?}");
    }
}

#[test]
fn who_comes_and_goes_one_at_a_time_gets_no_more_than_who_always_waits() {
    let mut line = Line::new(calm());
    let mut served = [0_u64; 2];
    let mut known = BTreeMap::new();
    join(&mut line, &mut known, patient(0, 5, 4000), 0);
    for _ in 0..50 {
        join(&mut line, &mut known, patient(1, 5, 100), 0);
    }
    for _ in 0..4000 {
        let ticket = line.offered().unwrap();
        let Newcomer { tenant, cost, .. } = known[&ticket];
        line.serve(ticket, cost, 0);
        served[tenant as usize] += cost;
        join(&mut line, &mut known, patient(tenant, 5, cost), 0);
    }
    let ratio = served[0] as f64 / served[1] as f64;
    assert!((0.9..1.1).contains(&ratio), "{served:?}");
}
