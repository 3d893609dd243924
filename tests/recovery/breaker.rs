//! The rules of the breaker, one by one.

use std::sync::Arc;
use std::time::Duration;

use fairlead::clock::{self, Instant};
use fairlead::error::{Blow, Kind};
use fairlead::live::breaker::{
    Ask, Breaker, Cause, Counts, Errand, LEAST_SHARE, Pass, Policy, Reason, Role, Slow, State, Transition,
};
use proptest::prelude::*;

const GUARD: Policy = Policy::DEFAULT;
const LONE: Policy = Policy { role: Role::Lone, ..Policy::DEFAULT };

/// A breaker and a time that a test moves by hand.
struct Bench {
    breaker: Arc<Breaker>,
    policy: Policy,
    now: Instant,
}

impl Bench {
    fn new(policy: Policy) -> Self {
        let now = clock::now();
        Self { breaker: Arc::new(Breaker::new(now, 7)), policy, now }
    }

    /// One that has just opened, and for how long.
    fn opened(policy: Policy) -> (Self, Duration) {
        let mut bench = Self::new(policy);
        let open_for = bench.break_it().open_for.unwrap();
        (bench, open_for)
    }

    /// One that is half-open, and its probe.
    fn probing(policy: Policy) -> (Self, Pass) {
        let (mut bench, open_for) = Self::opened(policy);
        bench.pass_time(open_for);
        let probe = bench.pass();
        assert_eq!(probe.errand(), Errand::Probe);
        (bench, probe)
    }

    fn pass_time(&mut self, time: Duration) {
        self.now += time;
    }

    fn ask(&self) -> Ask {
        self.breaker.ask(&self.policy, self.now)
    }

    fn pass(&self) -> Pass {
        match self.ask() {
            Ask::Go(pass) => pass,
            refused => panic!("{refused:?}"),
        }
    }

    fn wait(&self) -> Duration {
        match self.ask() {
            Ask::NotUntil(wait) => wait,
            other => panic!("{other:?}"),
        }
    }

    fn succeed(&self) -> Option<Transition> {
        self.pass().succeeded(self.now)
    }

    fn fail(&self) -> Option<Transition> {
        self.pass().failed(Blow::Hard, Kind::Server, None, self.now)
    }

    fn throttle(&self) -> Option<Transition> {
        self.pass().failed(Blow::Ratio, Kind::RateLimit, None, self.now)
    }

    fn break_it(&mut self) -> Transition {
        (0..5).find_map(|_| self.fail()).unwrap()
    }

    fn state(&self) -> State {
        self.breaker.state(self.now)
    }

    fn share(&self) -> f64 {
        self.breaker.share(&self.policy, self.now)
    }
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn b1_five_hard_failures_in_a_row_open_it_and_four_do_not() {
    let bench = Bench::new(GUARD);
    for _ in 0..20 {
        for _ in 0..4 {
            assert_eq!(bench.fail(), None);
        }
        for _ in 0..12 {
            assert_eq!(bench.succeed(), None);
        }
    }
    let opened = (0..5).map(|_| bench.fail()).collect::<Vec<_>>().pop().unwrap().unwrap();
    assert_eq!((opened.from, opened.to, opened.reason), (State::Closed, State::Open, Reason::InARow));
    assert_eq!(opened.evidence.in_a_row, 5);
    assert_eq!(opened.evidence.counts, Counts { calls: 325, failed: 85, slow: 0 });
    assert_eq!(opened.evidence.last, vec![Cause::Kind(Kind::Server); 3]);
}

#[test]
fn b1_half_of_ten_in_the_window_opens_it_and_less_or_fewer_do_not() {
    let bench = Bench::new(GUARD);
    let alternate = |bench: &Bench| {
        bench.succeed();
        bench.fail()
    };
    for _ in 0..4 {
        assert_eq!(alternate(&bench), None, "fewer than ten calls");
    }
    let opened = alternate(&bench).unwrap();
    assert_eq!((opened.reason, opened.evidence.counts.calls), (Reason::Failed, 10));

    let mut spread = Bench::new(GUARD);
    for _ in 0..100 {
        assert_eq!(alternate(&spread), None, "never ten within the window");
        spread.pass_time(secs(8.0));
    }
    let healthy = Bench::new(GUARD);
    for _ in 0..100 {
        healthy.succeed();
        assert_eq!(alternate(&healthy), None, "a third");
    }
}

#[test]
fn b1_throttling_counts_in_the_share_only_and_client_errors_nowhere() {
    let mut bench = Bench::new(GUARD);
    for _ in 0..9 {
        assert_eq!(bench.throttle(), None, "no failure in a row");
    }
    assert_eq!(bench.throttle().unwrap().reason, Reason::Failed);
    bench = Bench::new(GUARD);
    for _ in 0..100 {
        assert_eq!(bench.pass().failed(Blow::None, Kind::BadRequest, None, bench.now), None);
        drop(bench.pass());
    }
    assert_eq!(bench.breaker.view(&GUARD, bench.now).evidence.counts, Counts::default());
}

#[test]
fn b2_one_probe_at_a_time_or_as_many_as_configured() {
    let (bench, probe) = Bench::probing(GUARD);
    assert_eq!(bench.wait(), secs(1.0), "its end is not known");
    assert_eq!(probe.succeeded(bench.now).unwrap().to, State::Closed);

    let (bench, first) = Bench::probing(Policy { probes: 3, ..GUARD });
    let (second, third) = (bench.pass(), bench.pass());
    bench.wait();
    assert_eq!(first.succeeded(bench.now), None);
    bench.wait();
    drop(second);
    let again = bench.pass();
    assert_eq!((third.succeeded(bench.now), bench.state()), (None, State::HalfOpen));
    assert_eq!(again.succeeded(bench.now).unwrap().reason, Reason::ProbeAnswered);
}

#[test]
fn b2_a_probe_of_an_earlier_time_still_holds_its_place() {
    let (mut bench, failing) = Bench::probing(Policy { probes: 2, ..GUARD });
    let hanging = bench.pass();
    let again = failing.failed(Blow::Hard, Kind::Server, None, bench.now).unwrap();
    bench.pass_time(again.open_for.unwrap());
    let third = bench.pass();
    bench.wait();
    assert_eq!(third.succeeded(bench.now), None);
    let fourth = bench.pass();
    assert_eq!(fourth.succeeded(bench.now).unwrap().to, State::Closed, "two of this time answered");
    drop(hanging);
}

#[test]
fn b2_a_probe_that_outlives_a_reset_still_holds_its_place() {
    let (mut bench, hanging) = Bench::probing(GUARD);
    bench.breaker.reset(&GUARD, bench.now);
    let open_for = bench.break_it().open_for.unwrap();
    bench.pass_time(open_for);
    assert_eq!(bench.wait(), secs(1.0));
    assert_eq!(bench.breaker.wait(&GUARD, bench.now), Some(secs(1.0)));
    drop(hanging);
    assert_eq!(bench.pass().errand(), Errand::Probe);
}

#[test]
fn b3_a_probes_place_comes_back_on_every_way_out() {
    let ways: [fn(Pass, Instant); 5] = [
        |probe, now| drop(probe.succeeded(now)),
        |probe, now| drop(probe.failed(Blow::Hard, Kind::AttemptTimeout, None, now)),
        |probe, now| drop(probe.failed(Blow::None, Kind::BadRequest, None, now)),
        |probe, _| drop(probe),
        |probe, _| {
            let thrown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _held = probe;
                std::panic::resume_unwind(Box::new("a bug"));
            }));
            assert!(thrown.is_err());
        },
    ];
    for way in ways {
        let (mut bench, probe) = Bench::probing(GUARD);
        bench.wait();
        way(probe, bench.now);
        bench.pass_time(secs(60.0));
        let next = bench.pass();
        assert_eq!(next.errand() == Errand::Probe, bench.state() == State::HalfOpen);
    }
}

#[test]
fn b3_a_cancelled_probe_says_nothing() {
    let (bench, probe) = Bench::probing(GUARD);
    drop(probe);
    assert_eq!(bench.state(), State::HalfOpen);
    assert_eq!(bench.pass().errand(), Errand::Probe, "the next is a probe at once");
}

#[test]
fn b4_results_of_an_older_state_are_ignored() {
    let mut bench = Bench::new(GUARD);
    let early: Vec<Pass> = (0..12).map(|_| bench.pass()).collect();
    let open_for = bench.break_it().open_for.unwrap();
    let mut early = early.into_iter();
    let mut late = || early.next().unwrap();
    assert_eq!(late().succeeded(bench.now), None, "a success from before closes nothing");
    bench.pass_time(open_for);
    let probe = bench.pass();
    assert_eq!(late().succeeded(bench.now), None);
    assert_eq!(late().failed(Blow::Hard, Kind::Server, None, bench.now), None);
    drop(late());
    assert_eq!(bench.state(), State::HalfOpen);
    bench.wait();
    assert_eq!(probe.succeeded(bench.now).unwrap().to, State::Closed);
    for _ in 0..7 {
        assert_eq!(late().failed(Blow::Hard, Kind::Server, None, bench.now), None);
    }
    assert_eq!(
        bench.breaker.view(&GUARD, bench.now).evidence.counts,
        Counts { calls: 0, failed: 0, slow: 0 }
    );
}

#[test]
fn b5_a_throttled_probe_has_failed() {
    let (bench, probe) = Bench::probing(GUARD);
    let opened = probe.failed(Blow::Ratio, Kind::RateLimit, None, bench.now).unwrap();
    assert_eq!((opened.from, opened.to, opened.reason), (State::HalfOpen, State::Open, Reason::ProbeFailed));
    assert_eq!(opened.evidence.last.last(), Some(&Cause::Kind(Kind::RateLimit)));
    assert_eq!(opened.evidence.times, 2);
}

/// The fastest of some rounds: what else the machine does only adds.
#[test]
#[expect(clippy::disallowed_methods, reason = "this one measures")]
fn b6_a_refusal_costs_less_than_five_microseconds() {
    let (bench, _) = Bench::opened(GUARD);
    let round = || {
        let begun = std::time::Instant::now();
        for _ in 0..2_000 {
            assert!(matches!(bench.ask(), Ask::NotUntil(_)));
        }
        begun.elapsed() / 2_000
    };
    let fastest = (0..20).map(|_| round()).min().unwrap();
    assert!(fastest < Duration::from_micros(5), "{fastest:?}");
}

#[test]
fn b7_a_refusal_says_how_long_it_lasts() {
    let (mut bench, open_for) = Bench::opened(GUARD);
    assert_eq!(bench.wait(), open_for);
    bench.pass_time(open_for.saturating_sub(Duration::from_nanos(1)));
    assert_eq!(bench.wait(), Duration::from_nanos(1));
    assert_eq!(bench.breaker.wait(&GUARD, bench.now), Some(Duration::from_nanos(1)));
    bench.pass_time(Duration::from_nanos(1));
    assert_eq!(bench.breaker.wait(&GUARD, bench.now), Some(Duration::ZERO), "looking takes no place");
    drop(bench.pass());
}

#[test]
fn b7_a_lone_deployment_is_asked_once_a_second_while_open() {
    let (mut bench, _) = Bench::opened(LONE);
    let mut sent = Vec::new();
    for _ in 0..1_000 {
        match bench.ask() {
            Ask::Go(pass) => {
                assert_eq!(pass.errand(), Errand::Trial);
                sent.push(bench.now);
                assert_eq!(pass.failed(Blow::Hard, Kind::Server, None, bench.now), None);
            }
            Ask::NotUntil(wait) => assert!(wait <= secs(1.0)),
            Ask::Isolated => panic!("by whom?"),
        }
        bench.pass_time(Duration::from_millis(100));
    }
    assert_eq!(sent.len(), 99, "one in each second of a hundred, the first after one");
    assert!(sent.windows(2).all(|two| two[1] - two[0] >= secs(1.0)));
    bench.pass_time(secs(1.0));
    assert_eq!(bench.succeed().unwrap().to, State::Closed, "the first answer closes it");
}

#[test]
fn b7_an_observer_counts_and_never_opens() {
    let observer = Policy { role: Role::Observer, ..GUARD };
    let bench = Bench::new(observer);
    for _ in 0..100 {
        assert_eq!(bench.fail(), None);
    }
    let evidence = bench.breaker.view(&observer, bench.now).evidence;
    assert_eq!(evidence.counts, Counts { calls: 100, failed: 100, slow: 0 });
    assert_eq!((bench.state(), evidence.in_a_row), (State::Closed, 100));
    let (mut opened, _) = Bench::opened(GUARD);
    opened.policy = observer;
    drop(opened.pass());
    assert_eq!(opened.succeed().unwrap().to, State::Closed, "an open one that became an observer");
}

#[test]
fn b8_a_full_outage_is_seen_after_five_calls_at_any_rate() {
    for gap in [0.001, 1.0, 60.0, 3_600.0] {
        let mut bench = Bench::new(GUARD);
        for _ in 0..50 {
            bench.succeed();
        }
        let mut calls = 0;
        while bench.state() == State::Closed {
            bench.fail();
            calls += 1;
            bench.pass_time(secs(gap));
            if bench.breaker.view(&GUARD, bench.now).evidence.times > 0 {
                break;
            }
        }
        assert_eq!(calls, 5, "every {gap} s");
    }
}

#[test]
fn b9_it_outlives_a_change_of_policy() {
    let (mut bench, open_for) = Bench::opened(GUARD);
    bench.policy = Policy { in_a_row: 3, open: secs(1.0), window: secs(60.0), ..GUARD };
    assert_eq!((bench.wait(), bench.state()), (open_for, State::Open));
    bench.pass_time(open_for);
    assert!(bench.pass().succeeded(bench.now).is_some());
    assert_eq!((0..3).filter_map(|_| bench.fail()).count(), 1, "the new numbers hold");
}

#[test]
fn b9_isolated_by_hand_it_refuses_whatever_its_role_until_it_is_reset() {
    for role in [Role::Guard, Role::Lone, Role::Observer] {
        let mut bench = Bench::new(Policy { role, ..GUARD });
        let out = bench.pass();
        let isolated = bench.breaker.isolate(&bench.policy, bench.now).unwrap();
        assert_eq!((isolated.from, isolated.to), (State::Closed, State::Isolated));
        assert_eq!(bench.breaker.isolate(&bench.policy, bench.now), None);
        bench.pass_time(secs(86_400.0));
        assert!(matches!(bench.ask(), Ask::Isolated));
        assert_eq!((bench.breaker.wait(&bench.policy, bench.now), bench.share()), (None, 0.0));
        assert_eq!(out.succeeded(bench.now), None);
        let reset = bench.breaker.reset(&bench.policy, bench.now).unwrap();
        assert_eq!((reset.from, reset.to, reset.reason), (State::Isolated, State::Closed, Reason::Reset));
        assert_eq!(bench.share(), 1.0, "all of its traffic at once");
        drop(bench.pass());
    }
}

#[test]
fn b9_a_reset_forgets_everything() {
    let (mut bench, _) = Bench::opened(GUARD);
    bench.breaker.reset(&GUARD, bench.now).unwrap();
    assert_eq!(bench.breaker.view(&GUARD, bench.now), Bench::new(GUARD).breaker.view(&GUARD, bench.now));
    assert_eq!(bench.breaker.reset(&GUARD, bench.now), None, "closed already");
    assert_eq!(bench.break_it().evidence.times, 1);
}

proptest! {
    #[test]
    fn open_times_double_are_spread_by_a_fifth_and_end_at_a_minute(times in 1_u32..100, chance in 0.0_f64..1.0) {
        let open_for = GUARD.open_for(times, chance).as_secs_f64();
        let middle = (5.0 * f64::from(times - 1).exp2()).min(50.0);
        prop_assert!((open_for / middle - (0.8 + 0.4 * chance)).abs() < 1e-6);
        prop_assert!(open_for <= 60.0);
    }

    #[test]
    fn no_open_time_overflows(open: u64, longest: u64, times: u32, chance in 0.0_f64..1.0) {
        let (open, longest_open) = (Duration::from_secs(open), Duration::from_secs(longest));
        let policy = Policy { open, longest_open, ..GUARD };
        prop_assert!(policy.open_for(times, chance) <= longest_open);
    }
}

#[test]
fn the_open_time_grows_in_a_row_and_a_minute_closed_forgives() {
    let (mut bench, mut open_for) = Bench::opened(GUARD);
    for times in 2..=8 {
        bench.pass_time(open_for);
        let opened = bench.fail().unwrap();
        open_for = opened.open_for.unwrap();
        assert_eq!(opened.evidence.times, times);
        assert!(
            (0.8..1.2).contains(&(open_for.as_secs_f64() / (5.0 * f64::from(times - 1).exp2()).min(50.0)))
        );
    }
    for (closed_for, times) in [(59.9, 9), (60.0, 1)] {
        bench.pass_time(open_for);
        bench.succeed().unwrap();
        bench.pass_time(secs(closed_for));
        let opened = bench.break_it();
        open_for = opened.open_for.unwrap();
        assert_eq!(opened.evidence.times, times, "after {closed_for} s");
    }
}

#[test]
fn an_upstreams_wait_lasts_where_it_is_longer_up_to_ten_minutes() {
    for (asked, expected) in [(30.0, 30.0), (100_000.0, 600.0)] {
        let bench = Bench::new(GUARD);
        let fail = |_| bench.pass().failed(Blow::Hard, Kind::Overloaded, Some(secs(asked)), bench.now);
        assert_eq!((0..5).find_map(fail).unwrap().open_for, Some(secs(expected)));
        assert_eq!(bench.wait(), secs(expected));
    }
    let bench = Bench::new(GUARD);
    let fail = |_| bench.pass().failed(Blow::Hard, Kind::Overloaded, Some(secs(0.1)), bench.now);
    assert!((0..5).find_map(fail).unwrap().open_for.unwrap() >= secs(4.0));
}

#[test]
fn a_probe_succeeds_with_the_first_token_and_its_stream_still_counts() {
    let (mut bench, mut probe) = Bench::probing(GUARD);
    let closed = probe.answered(bench.now).unwrap();
    assert_eq!((closed.to, bench.state()), (State::Closed, State::Closed));
    bench.pass_time(secs(40.0));
    assert_eq!(probe.failed(Blow::Hard, Kind::StreamInterrupted, None, bench.now), None);
    let evidence = bench.breaker.view(&GUARD, bench.now).evidence;
    assert_eq!((evidence.counts.failed, evidence.in_a_row), (1, 1));
}

#[test]
fn long_streams_count_as_answers_when_they_begin() {
    let mut bench = Bench::new(GUARD);
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = bench.pass();
        assert_eq!(stream.answered(bench.now), None);
        streams.push(stream);
        if streams.len() % 5 == 0 {
            assert_eq!(bench.fail(), None, "a sixth fails while no stream has ended");
        }
        bench.pass_time(secs(0.2));
    }
    drop(streams);
    assert_eq!(bench.state(), State::Closed, "callers who leave say nothing");
}

#[test]
fn streams_that_begin_and_always_break_open_it() {
    let mut bench = Bench::new(GUARD);
    let mut stream = || {
        let mut stream = bench.pass();
        stream.answered(bench.now);
        bench.pass_time(secs(20.0));
        stream.failed(Blow::Hard, Kind::StreamTruncated, None, bench.now)
    };
    let broken = (1..).find_map(|count| stream().map(|opened| (count, opened))).unwrap();
    assert_eq!((broken.0, broken.1.reason), (5, Reason::InARow));
}

#[test]
fn slow_calls_open_it_where_that_is_asked_for() {
    let slow = Some(Slow { after: secs(2.0), share: 0.8 });
    let slowly = |policy| {
        let mut bench = Bench::new(policy);
        let opened = (0..20).find_map(|_| {
            let pass = bench.pass();
            bench.pass_time(secs(2.5));
            pass.succeeded(bench.now)
        });
        (bench, opened)
    };
    assert_eq!(slowly(GUARD).1, None);
    let (mut bench, opened) = slowly(Policy { slow, ..GUARD });
    let opened = opened.unwrap();
    assert_eq!(
        (opened.reason, opened.evidence.counts),
        (Reason::Slow, Counts { calls: 10, failed: 0, slow: 10 })
    );
    bench.pass_time(opened.open_for.unwrap());
    let (probe, mut late) = (bench.pass(), None);
    bench.pass_time(secs(2.1));
    late.replace(probe.succeeded(bench.now).unwrap());
    assert_eq!(late.unwrap().reason, Reason::ProbeFailed, "a slow probe has failed");
    bench.pass_time(secs(60.0));
    let mut waited = bench.pass();
    bench.pass_time(secs(10.0));
    waited.sent(bench.now);
    assert_eq!(waited.succeeded(bench.now).unwrap().to, State::Closed, "it waited elsewhere");
}

#[test]
fn a_slow_start_is_told_only_while_it_lasts_and_begins_anew_with_each_closing() {
    let (mut bench, open_for) = Bench::opened(GUARD);
    let slow_start = |bench: &Bench| bench.breaker.slow_start(&bench.policy, bench.now);
    for _ in 0..2 {
        assert_eq!(slow_start(&bench), None, "open: nothing starts");
        bench.pass_time(open_for.mul_f64(3.0));
        assert_eq!(slow_start(&bench), None, "half-open: the probes decide");
        bench.succeed().unwrap();
        assert_eq!(slow_start(&bench), Some(LEAST_SHARE));
        bench.pass_time(secs(5.0));
        assert!((slow_start(&bench).unwrap() - 0.55).abs() < 1e-9);
        bench.pass_time(secs(5.0));
        assert_eq!((slow_start(&bench), slow_start(&bench)), (None, None));
        while bench.fail().is_none() {}
    }
}

#[test]
fn after_closing_the_share_grows_from_a_tenth_to_all_in_ten_seconds() {
    let (mut bench, open_for) = Bench::opened(GUARD);
    assert_eq!(bench.share(), 0.0);
    bench.pass_time(open_for);
    assert_eq!((bench.share(), bench.state()), (LEAST_SHARE, State::HalfOpen));
    bench.succeed().unwrap();
    let shares: Vec<f64> = (0..12)
        .map(|_| {
            let share = bench.share();
            bench.pass_time(secs(1.0));
            share
        })
        .collect();
    assert_eq!(shares[0], LEAST_SHARE);
    assert!((shares[5] - 0.55).abs() < 1e-9);
    assert_eq!(shares[10..], [1.0, 1.0]);
    assert!(shares.windows(2).all(|two| two[0] <= two[1]));
    assert_eq!(Bench::new(GUARD).share(), 1.0, "one that never broke needs no start");
}

#[test]
fn the_sensitive_preset_opens_at_fifteen_of_a_hundred_and_not_below_its_volume() {
    let bench = Bench::new(Policy::SENSITIVE);
    for call in 1..=100 {
        let opened = if call % 20 < 3 && call > 20 { bench.fail() } else { bench.succeed() };
        assert_eq!(opened, None, "{call}");
    }
    let few = Bench::new(Policy::SENSITIVE);
    for call in 1..20 {
        let opened = if call % 3 == 0 { few.fail() } else { few.succeed() };
        assert_eq!(opened, None, "{call}");
    }
    few.succeed();
    let opened = few.fail().unwrap();
    assert_eq!(opened.evidence.counts, Counts { calls: 21, failed: 7, slow: 0 });
    assert!(opened.open_for.unwrap() >= secs(24.0) && opened.open_for.unwrap() <= secs(36.0));
}

#[test]
fn a_transition_is_a_sentence_with_its_numbers() {
    let mut bench = Bench::new(GUARD);
    let mut opened = bench.break_it();
    opened.open_for = Some(secs(4.7));
    let said = "opened after 5 failures in a row (last: InternalServerError, InternalServerError, InternalServerError); open for 4.7 s";
    assert_eq!(opened.to_string(), said);
    bench.pass_time(secs(6.0));
    let mut probe = bench.pass();
    assert_eq!(probe.transition().unwrap().to_string(), "half-open, a probe goes out");
    assert_eq!(probe.transition(), None, "told once");
    assert_eq!(probe.succeeded(bench.now).unwrap().to_string(), "closed after a probe answered");
    let named = Cause::Named(Arc::from("OSError"));
    assert_eq!(bench.pass().failed(Blow::Hard, named, None, bench.now), None);
    let last = bench.breaker.view(&GUARD, bench.now).evidence.last;
    assert_eq!(last.iter().map(ToString::to_string).collect::<Vec<_>>(), ["OSError"]);
}
