use proptest::prelude::*;

use super::*;
use crate::clock;

const ONE: Needs = Needs { requests: 1, input: 100, output: 50, images: 0 };
const MINUTE: Duration = Duration::from_secs(60);

fn told(kind: LimitKind, limit: u64, remaining: u64, reset: Duration) -> LimitView {
    LimitView { kind, limit: Some(limit), remaining: Some(remaining), reset: Some(reset) }
}

fn requests(limit: u64, remaining: u64, reset: u64) -> [LimitView; 1] {
    [told(LimitKind::Requests, limit, remaining, Duration::from_secs(reset))]
}

fn take(learned: &Arc<Learned>, now: Instant) -> Taken {
    match learned.take(ONE, Terms::default(), now) {
        Taking::Taken(taken) => taken,
        Taking::NotUntil(blocked) => panic!("{blocked:?}"),
    }
}

fn wait(learned: &Learned, now: Instant) -> Option<Duration> {
    match learned.fit(ONE, Terms::default(), now) {
        Fit::Fits => None,
        Fit::NotUntil(blocked) => Some(blocked.wait),
    }
}

fn remaining(learned: &Learned, now: Instant) -> u64 {
    learned.known(now)[0].remaining
}

/// A record, and an attempt that was sent at the start.
fn started() -> (Arc<Learned>, Taken, Instant) {
    let start = clock::now();
    let learned = Arc::new(Learned::new(start));
    let taken = take(&learned, start);
    (learned, taken, start)
}

fn after(start: Instant, seconds: f64) -> Instant {
    start + Duration::from_secs_f64(seconds)
}

#[test]
fn what_is_used_up_waits_for_its_reset_and_is_all_there_then() {
    let (learned, mut first, start) = started();
    assert_eq!(wait(&learned, start), None, "nothing is known");
    first.heard(&requests(10, 0, 20), start);
    assert_eq!(wait(&learned, start), Some(Duration::from_secs(20) + Duration::from_nanos(1)));
    assert!(wait(&learned, after(start, 19.9)).is_some());
    assert_eq!(remaining(&learned, after(start, 20.0)), 10);
    for _ in 0..10 {
        take(&learned, after(start, 20.0)).settle(ONE, after(start, 20.0));
    }
    assert!(wait(&learned, after(start, 20.0)).is_some());
}

#[test]
fn a_host_that_counts_what_is_used_is_used_up_whatever_is_set_aside() {
    let (learned, first, start) = started();
    let (set_aside, used) = (Needs { requests: 1, input: 7, output: 1024, images: 0 }, 27);
    first.settle(ONE, start);
    for call in 1..=185_u32 {
        let now = after(start, f64::from(call) / 10.0);
        let Taking::Taken(mut taken) = learned.take(set_aside, Terms::default(), now) else {
            panic!("call {call}: the host has {} left", 6000 - used * u64::from(call - 1));
        };
        let left = 6000 - used * u64::from(call);
        let reset = Duration::from_secs(60).saturating_sub(now - start);
        taken.heard(&[told(LimitKind::Tokens, 6000, left, reset)], now);
        taken.settle(Needs { output: 20, ..set_aside }, now);
    }
    let now = after(start, 19.0);
    assert_ne!(
        learned.fit(set_aside, Terms::default(), now),
        Fit::Fits,
        "as much as is set aside is not left"
    );
}

#[test]
fn a_reset_in_the_past_is_a_full_limit_whatever_remains() {
    let (learned, mut first, start) = started();
    first.heard(&requests(10, 0, 0), start);
    assert_eq!(remaining(&learned, start), 10);
}

#[test]
fn what_is_on_its_way_is_taken_off_and_what_was_not_sent_comes_back() {
    let (learned, mut first, start) = started();
    let later = after(start, 1.0);
    let second = take(&learned, later);
    let third = take(&learned, later);
    first.heard(&requests(10, 9, 60), later);
    assert_eq!(remaining(&learned, later), 7, "two were sent after the one that was answered");
    drop(second);
    assert_eq!(remaining(&learned, later), 8);
    third.settle(ONE, later);
    assert_eq!(remaining(&learned, later), 8);
}

#[test]
fn tokens_come_back_when_less_was_used_and_more_is_a_debt() {
    let (learned, mut first, start) = started();
    first.heard(&[told(LimitKind::Tokens, 1000, 1000, MINUTE)], start);
    let second = take(&learned, after(start, 1.0));
    assert_eq!(remaining(&learned, after(start, 1.0)), 850);
    second.settle(Needs { output: 10, ..ONE }, after(start, 2.0));
    assert_eq!(remaining(&learned, after(start, 2.0)), 890);
    take(&learned, after(start, 3.0)).settle(Needs { output: 2000, ..ONE }, after(start, 4.0));
    assert!(wait(&learned, after(start, 4.0)).is_some(), "below zero until the reset");
    assert_eq!(wait(&learned, after(start, 60.0)), None);
}

#[test]
fn what_comes_back_after_the_window_has_ended_is_not_credited_to_the_next() {
    let (learned, mut first, start) = started();
    first.heard(&requests(10, 5, 10), start);
    let second = take(&learned, after(start, 9.0));
    assert_eq!(remaining(&learned, after(start, 11.0)), 10);
    take(&learned, after(start, 11.0)).settle(ONE, after(start, 11.0));
    second.settle(Needs::default(), after(start, 11.0));
    assert_eq!(remaining(&learned, after(start, 11.0)), 9);
}

#[test]
fn more_than_the_whole_limit_fits_when_all_of_it_is_there() {
    let (learned, mut first, start) = started();
    first.heard(&[told(LimitKind::OutputTokens, 30, 30, MINUTE)], start);
    assert_eq!(wait(&learned, start), None);
    let taken = take(&learned, start);
    assert!(wait(&learned, start).is_some());
    drop(taken);
}

#[test]
fn a_guard_leaves_its_share_to_others() {
    let (learned, mut first, start) = started();
    first.heard(&requests(100, 6, 60), start);
    let guarded = Terms { guard: 0.05, ..Terms::default() };
    assert_eq!(learned.fit(ONE, guarded, start), Fit::Fits);
    take(&learned, start).settle(ONE, start);
    assert!(matches!(learned.fit(ONE, guarded, start), Fit::NotUntil(_)));
    assert_eq!(learned.fit(ONE, Terms::default(), start), Fit::Fits);
}

#[test]
fn a_hint_that_is_hours_away_is_probed_by_one_request_every_ten_minutes() {
    let (learned, mut first, start) = started();
    first.heard(&requests(1000, 0, 5 * 3600), start);
    assert_eq!(wait(&learned, start), Some(Duration::from_secs(600) + Duration::from_nanos(1)));
    let later = after(start, 600.0);
    let mut probe = take(&learned, later);
    assert!(wait(&learned, later).is_some(), "one is enough");
    probe.throttled(&requests(1000, 0, 5 * 3600 - 600), Terms::default(), after(start, 601.0));
    assert!(wait(&learned, after(start, 1100.0)).is_some());
    assert_eq!(wait(&learned, after(start, 1202.0)), None);
}

#[test]
fn no_limit_is_no_limit_however_it_is_written() {
    let (learned, mut first, start) = started();
    let unified = told(LimitKind::UnifiedFiveHours, 100, 0, MINUTE);
    let nothing = LimitView { remaining: None, ..requests(10, 0, 60)[0] };
    first.heard(&[told(LimitKind::Requests, 0, 0, MINUTE), unified, nothing], start);
    assert_eq!(learned.known(start), []);
    assert_eq!(wait(&learned, start), None);
}

#[test]
fn h3_a_view_may_rise_when_the_limit_changes_or_its_reset_has_passed_and_not_before() {
    let (learned, mut first, start) = started();
    first.heard(&requests(10, 2, 60), start);
    take(&learned, after(start, 10.0)).heard(&requests(10, 9, 50), after(start, 10.5));
    assert_eq!(remaining(&learned, after(start, 10.5)), 1, "the same window: only less");
    take(&learned, after(start, 20.0)).heard(&requests(50, 40, 40), after(start, 20.5));
    assert_eq!(remaining(&learned, after(start, 20.5)), 40, "another limit");
    let mut old = take(&learned, after(start, 30.0));
    take(&learned, after(start, 61.0)).heard(&requests(50, 45, 59), after(start, 61.5));
    assert_eq!(remaining(&learned, after(start, 61.5)), 45, "another window");
    old.heard(&requests(50, 3, 0), after(start, 62.0));
    assert_eq!(remaining(&learned, after(start, 62.0)), 45, "what tells of the last one comes too late");
}

#[test]
fn a_reset_that_moves_before_it_has_come_is_a_bucket_that_refills_steadily() {
    let (learned, mut first, start) = started();
    first.heard(&requests(60, 30, 30), start);
    take(&learned, after(start, 5.0)).heard(&requests(60, 10, 50), after(start, 5.0));
    assert_eq!(remaining(&learned, after(start, 5.0)), 10);
    assert_eq!(remaining(&learned, after(start, 15.0)), 20, "one a second");
}

/// Attempts a second apart in one window of ten minutes, answered in any order. What others take makes the host's
/// numbers what they like.
fn window() -> impl Strategy<Value = (Vec<u64>, Vec<usize>)> {
    prop::collection::vec(0_u64..1000, 1..40).prop_flat_map(|remaining| {
        let order: Vec<usize> = (0..remaining.len()).collect();
        (Just(remaining), Just(order).prop_shuffle())
    })
}

proptest! {
    #[test]
    fn h3_within_a_window_responses_in_any_order_only_tighten_and_end_the_same((host, order) in window()) {
        let start = clock::now();
        let learned = Arc::new(Learned::new(start));
        let mut sent: Vec<Option<Taken>> =
            (0..host.len()).map(|second| Some(take(&learned, after(start, second as f64)))).collect();
        let now = after(start, host.len() as f64);
        let mut before = u64::MAX;
        for place in order {
            let reset = Duration::from_secs(600 - place as u64);
            let view = told(LimitKind::Requests, 1000, host[place], reset);
            let mut taken = sent[place].take().unwrap();
            taken.heard(&[view], now);
            taken.settle(ONE, now);
            let left = remaining(&learned, now);
            prop_assert!(left <= before, "{left} after {before}");
            before = left;
        }
        let last = host.len() as u64 - 1;
        let tightest = (0_u64..).zip(&host).map(|(place, left)| left.saturating_sub(last - place)).min();
        prop_assert_eq!(Some(before), tightest);
    }

    #[test]
    fn h4_what_refusals_teach_never_exceeds_the_configured_rate(
        most in 0.01_f64..100.0,
        events in prop::collection::vec((0_u8..3, 0.0_f64..30.0), 0..200),
    ) {
        let start = clock::now();
        let learned = Arc::new(Learned::new(start));
        let terms = Terms { most_per_second: Some(most), ..Terms::default() };
        let mut now = start;
        let mut running = Vec::new();
        for (event, seconds) in events {
            now = after(now, seconds / 10.0);
            match (event, running.pop()) {
                (1, Some(taken)) => Taken::answered(&taken, terms, now),
                (2, Some(mut taken)) => Taken::throttled(&mut taken, &[], terms, now),
                _ => {}
            }
            if let Taking::Taken(taken) = learned.take(ONE, terms, now) {
                running.push(taken);
            }
            prop_assert!(learned.per_second(now).is_none_or(|rate| rate <= most));
        }
    }

    #[test]
    fn h4_headers_never_make_room_that_an_earlier_word_of_the_same_window_denies(
        limits in prop::collection::vec((1_u64..1000, 0_u64..1000, 0_u64..100), 1..50),
    ) {
        let (learned, mut first, start) = started();
        first.heard(&requests(1000, 0, 300), start);
        for (limit, remaining, seconds) in limits {
            let view = told(LimitKind::Tokens, limit, remaining, Duration::from_secs(seconds));
            first.heard(&[view], after(start, 1.0));
            prop_assert!(wait(&learned, after(start, 1.0)).is_some());
        }
    }
}

/// A record that has seen some traffic, and an attempt that was sent at its end.
fn busy() -> (Arc<Learned>, Taken, Instant) {
    let (learned, first, start) = started();
    for _ in 0..10 {
        take(&learned, start).settle(ONE, start);
    }
    (learned, first, start)
}

#[test]
fn a_refusal_after_next_to_nothing_tells_no_rate() {
    let (learned, mut first, start) = started();
    first.throttled(&[], Terms::default(), start);
    assert_eq!(learned.per_second(start), None);
}

#[test]
fn what_refusals_taught_is_forgotten_after_a_long_quiet() {
    let (learned, mut first, start) = busy();
    first.throttled(&[], Terms::default(), after(start, 1.0));
    assert!(learned.per_second(after(start, 2.0)).is_some());
    assert!(learned.per_second(after(start, 602.0)).is_none());
}

#[test]
fn a_refusal_that_headers_explain_teaches_no_rate() {
    let (learned, mut first, start) = started();
    first.throttled(&requests(10, 0, 60), Terms::default(), after(start, 1.0));
    assert_eq!(learned.per_second(after(start, 1.0)), None);
    let (learned, mut first, start) = busy();
    first.throttled(&requests(10, 5, 60), Terms::default(), after(start, 1.0));
    assert!(learned.per_second(after(start, 1.0)).is_some(), "sixty a minute may be kept as one a second");
}

/// What part of `per_second` calls is sent between the fifth second and the fifteenth, to a host that refuses
/// everything between `from` and `to` and takes 150 ms to say so. Calls that may not be sent are gone.
fn sent_after_trouble(per_second: u32, from: f64, to: f64) -> f64 {
    let learned = Arc::new(Learned::new(clock::now()));
    let start = clock::now();
    let mut running: std::collections::VecDeque<(f64, Taken)> = std::collections::VecDeque::new();
    let mut sent = 0;
    for number in 0..15 * per_second {
        let at = f64::from(number) / f64::from(per_second);
        while running.front().is_some_and(|(sent_at, _)| sent_at + 0.15 <= at) {
            let (sent_at, mut taken) = running.pop_front().unwrap();
            let now = after(start, sent_at + 0.15);
            if (from..to).contains(&sent_at) {
                taken.throttled(&[], Terms::default(), now);
            } else {
                taken.answered(Terms::default(), now);
            }
            taken.settle(ONE, now);
        }
        if let Taking::Taken(taken) = learned.take(ONE, Terms::default(), after(start, at)) {
            sent += u32::from(at >= 5.0);
            running.push_back((at, taken));
        }
    }
    for (_, taken) in running {
        taken.settle(ONE, start);
    }
    f64::from(sent) / f64::from(10 * per_second)
}

#[test]
fn refusals_before_anything_was_accepted_tell_of_no_rate_and_are_soon_over() {
    for (per_second, to, least) in
        [(100, 0.5, 0.7), (80, 0.1, 0.7), (300, 0.1, 0.7), (300, 2.0, 0.3), (20, 0.5, 0.7)]
    {
        let sent = sent_after_trouble(per_second, 0.0, to);
        assert!(sent > least, "{sent} of {per_second} a second, refused for {to} s");
    }
}

#[test]
fn a_moment_of_refusals_in_steady_traffic_costs_a_part_of_the_rate_and_no_more() {
    for (from, to) in [(3.0, 3.1), (3.0, 3.5), (3.0, 4.5)] {
        let sent = sent_after_trouble(100, from, to);
        assert!(sent > 0.5, "{sent} after refusals from {from} to {to} s");
    }
}
