//! Over which time a limit counts, and how it fills up again: neither is in any header, both can be inferred.

use std::time::Duration;

use crate::provider::limit_headers::LimitKind;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Windows that providers use.
const COMMON: [Duration; 5] =
    [Duration::from_secs(1), Duration::from_secs(10), MINUTE, Duration::from_secs(3600), DAY];

/// How a limit comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refill {
    /// All of it at the reset. The careful assumption, held until the host shows otherwise.
    AtOnce,
    /// A little at every moment, as a token bucket.
    Steady,
}

/// The window that a kind names or that is usual for it.
pub(super) fn usual(kind: LimitKind) -> Duration {
    match kind {
        LimitKind::RequestsPerDay | LimitKind::TokensPerDay => DAY,
        LimitKind::UnifiedFiveHours => Duration::from_secs(5 * 3600),
        LimitKind::UnifiedSevenDays => DAY * 7,
        _ => MINUTE,
    }
}

/// The window of a bucket of `limit` that needs `reset` to be full again from `remaining`: the next longer common
/// one, so that an error only makes it slower. `None` where the reading says too little: less than a quarter is
/// used, or it matters whether the host counted when the request came (`delay` ago) or when it answered.
pub(super) fn inferred(limit: u64, remaining: u64, reset: Duration, delay: Duration) -> Option<Duration> {
    let used = limit.saturating_sub(remaining);
    if used.saturating_mul(4) < limit || reset.is_zero() {
        return None;
    }
    let share = limit as f64 / used as f64;
    let least = common(reset.as_secs_f64() * share)?;
    let most = common((reset + delay).as_secs_f64() * share)?;
    (least == most).then_some(least)
}

/// The shortest common window that is not shorter than `seconds`, give or take a tenth.
fn common(seconds: f64) -> Option<Duration> {
    COMMON.into_iter().find(|window| seconds <= window.as_secs_f64() * 1.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_DELAY: Duration = Duration::ZERO;

    #[test]
    fn the_time_to_be_full_tells_the_window_of_a_bucket() {
        let half = |seconds| inferred(100, 50, Duration::from_secs_f64(seconds), NO_DELAY);
        assert_eq!(half(30.0), Some(MINUTE));
        assert_eq!(half(31.0), Some(MINUTE), "whole seconds are rounded");
        assert_eq!(half(0.5), Some(Duration::from_secs(1)));
        assert_eq!(half(43_200.0), Some(DAY));
        assert_eq!(half(200_000.0), None, "longer than any");
    }

    #[test]
    fn a_reading_that_says_too_little_tells_nothing() {
        assert_eq!(inferred(100, 90, Duration::from_secs(6), NO_DELAY), None, "little is used");
        assert_eq!(inferred(100, 0, Duration::ZERO, NO_DELAY), None);
        let slow = Duration::from_secs(30);
        assert_eq!(inferred(100, 50, Duration::from_secs(30), slow), None, "a minute, or two of them");
        assert_eq!(inferred(0, 0, Duration::from_secs(1), NO_DELAY), None);
    }
}
