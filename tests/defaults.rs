//! The numbers that hold when nobody wrote any. Tests of what they do scale them down; this one pins them.

use std::time::Duration;

use fairlead::config::{Bounds, Jitter, Pool, Retry, Stages, Timeouts};

#[test]
fn every_phase_has_its_default_limit() {
    let Timeouts { connect, headers, first_token, idle, content_idle, write, pool, attempt, total, tail } =
        Timeouts::default();
    let limits = [connect, headers, first_token, idle, content_idle, write, pool, total, tail]
        .map(|limit| limit.as_millis());
    assert_eq!(limits, [5_000, 10_000, 120_000, 60_000, 300_000, 60_000, 10_000, 600_000, 1_000]);
    assert_eq!(attempt, None);
}

#[test]
fn two_retries_with_backoff_from_50_ms_or_1_s_to_20_s() {
    let Retry { max_retries, base, throttled_base, cap, longest_wait, jitter, budget, preset } =
        Retry::default();
    assert_eq!(max_retries, 2);
    assert_eq!((base, throttled_base), (Duration::from_millis(50), Duration::from_secs(1)));
    assert_eq!((cap, longest_wait), (Duration::from_secs(20), Duration::from_mins(1)));
    assert_eq!((jitter, preset), (Jitter::Full, None));
    assert!(budget.enabled);
    assert_eq!((budget.ratio.to_bits(), budget.floor.to_bits()), (0.2_f64.to_bits(), 1.0_f64.to_bits()));
}

#[test]
fn pools_are_unbounded_and_connections_are_not_kept_for_ever() {
    let Pool { max_connections, max_keepalive_connections, keepalive_expiry, max_age } = Pool::default();
    assert_eq!((max_connections, max_keepalive_connections), (None, None));
    assert_eq!((keepalive_expiry, max_age), (Duration::from_secs(30), Duration::from_mins(10)));
}

#[test]
fn every_part_of_a_response_is_bounded() {
    let Bounds { body, event, line, head, headers, preamble, tail } = Bounds::default();
    assert_eq!((body, event, line), (64 << 20, 1 << 20, 1 << 20));
    assert_eq!((head, headers), (64 << 10, 256));
    assert_eq!((preamble, tail), (64 << 10, 16 << 10));
}

#[test]
fn every_stage_is_on() {
    let Stages { health, admit, retry, transparent_retry, settle } = Stages::default();
    assert!(health && admit && retry && transparent_retry && settle);
}
