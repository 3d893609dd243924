//! How often and after which wait a call is tried again, by what its failure means.
//!
//! Which failures may be tried again at all is not said here: that is the table of errors.

use std::time::Duration;

use super::backoff::{Backoff, Growth, Jitter};
use crate::config::{self, RetryPreset};
use crate::error::{Kind, Same};

/// What a wait depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Too many or too much: throttled, overloaded.
    Throttled,
    /// No connection, or a broken one.
    Connection,
    /// A limit of time passed.
    Timeout,
    /// Anything else that may be tried again.
    Server,
}

impl Class {
    /// The class of failures of this kind.
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Connect | Kind::Dns | Kind::Tls | Kind::ConnectionReset => Self::Connection,
            Kind::Protocol | Kind::Truncated => Self::Connection,
            Kind::ConnectTimeout
            | Kind::WriteTimeout
            | Kind::HeadersTimeout
            | Kind::FirstTokenTimeout
            | Kind::StreamIdleTimeout
            | Kind::AttemptTimeout
            | Kind::PoolTimeout => Self::Timeout,
            kind if matches!(kind.rule().same, Same::Wait) => Self::Throttled,
            _ => Self::Server,
        }
    }
}

/// The time that an attempt may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttemptLimit {
    /// As the timeouts say.
    #[default]
    AsConfigured,
    /// This for the first attempt, twice this for the second, and so on.
    Rising(Duration),
}

impl AttemptLimit {
    /// The limit of the attempt with this number, counted from zero: never more than is `left` of the call.
    pub fn of(self, number: u32, configured: Duration, left: Duration) -> Duration {
        match self {
            Self::AsConfigured => configured.min(left),
            Self::Rising(first) => first.saturating_mul(number.saturating_add(1)).min(left),
        }
    }
}

/// How often and after which wait a call is tried again. A wait that the upstream asked for comes before all of these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Attempts after the first that may have consumed capacity.
    pub max_retries: u32,
    /// After throttling and overload.
    pub throttled: Backoff,
    /// After no connection or a broken one.
    pub connection: Backoff,
    /// After a limit of time passed.
    pub timeout: Backoff,
    /// After any other failure.
    pub server: Backoff,
    /// The time that an attempt may take.
    pub attempt_limit: AttemptLimit,
}

const CAP: Duration = Duration::from_secs(20);
const SOON: Backoff = Backoff::doubling(Duration::from_millis(50), CAP);

impl Policy {
    /// The defaults: two retries, as both SDKs; full jitter from 50 ms, from 1 s after throttling and overload, up
    /// to 20 s (AWS retry 2.1).
    pub const DEFAULT: Self = Self {
        max_retries: 2,
        throttled: Backoff::doubling(Duration::from_secs(1), CAP),
        connection: SOON,
        timeout: SOON,
        server: SOON,
        attempt_limit: AttemptLimit::AsConfigured,
    };

    /// Three attempts, `min(1000 · 2^n + random · 500, 30000)` ms: a common loop by hand. At its cap that formula
    /// waits exactly 30 s; here the last half second below the cap is spread as well.
    pub const HAND_WRITTEN: Self = Self::alike(Backoff {
        jitter: Jitter::Added(Duration::from_millis(500)),
        ..Backoff::doubling(Duration::from_secs(1), Duration::from_secs(30))
    });

    /// Three attempts, waits of 2, 2, 4, 8, 10, 10 ... s: tenacity's `wait_exponential(multiplier=1, min=2, max=10)`,
    /// which is `max(min, min(multiplier · 2^n, max))` with n from 0 (tenacity 9.1).
    pub const TENACITY: Self = Self::alike(Backoff {
        least: Duration::from_secs(2),
        jitter: Jitter::None,
        ..Backoff::doubling(Duration::from_secs(1), Duration::from_secs(10))
    });

    /// Three attempts of 30, 60 and 90 s; 1 s more each time after a timeout, 2 s more each time without a
    /// connection, else as by default.
    pub const RISING: Self = Self {
        connection: linear(Duration::from_secs(2)),
        timeout: linear(Duration::from_secs(1)),
        attempt_limit: AttemptLimit::Rising(Duration::from_secs(30)),
        ..Self::DEFAULT
    };

    /// Two retries with one backoff for every failure.
    pub const fn alike(backoff: Backoff) -> Self {
        Self {
            throttled: backoff,
            connection: backoff,
            timeout: backoff,
            server: backoff,
            max_retries: 2,
            attempt_limit: AttemptLimit::AsConfigured,
        }
    }

    /// The policy that a configuration describes.
    pub fn configured(written: &config::Retry) -> Self {
        let policy = match written.preset {
            Some(RetryPreset::HandWritten) => Self::HAND_WRITTEN,
            Some(RetryPreset::Tenacity) => Self::TENACITY,
            Some(RetryPreset::Rising) => Self::RISING,
            None => Self::written(written),
        };
        Self { max_retries: written.max_retries, ..policy }
    }

    fn written(written: &config::Retry) -> Self {
        let jitter = match written.jitter {
            config::Jitter::Full => Jitter::Full,
            config::Jitter::Equal => Jitter::Equal,
            config::Jitter::Decorrelated => Jitter::Decorrelated,
            config::Jitter::None => Jitter::None,
        };
        let from = |base| Backoff { jitter, ..Backoff::doubling(base, written.cap) };
        Self { throttled: from(written.throttled_base), ..Self::alike(from(written.base)) }
    }

    /// The backoff after a failure of this kind.
    pub const fn backoff(&self, kind: Kind) -> &Backoff {
        self.backoff_of(Class::of(kind))
    }

    /// The backoff after a failure of this class.
    pub const fn backoff_of(&self, class: Class) -> &Backoff {
        match class {
            Class::Throttled => &self.throttled,
            Class::Connection => &self.connection,
            Class::Timeout => &self.timeout,
            Class::Server => &self.server,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const fn linear(base: Duration) -> Backoff {
    Backoff {
        base,
        growth: Growth::Linear,
        least: Duration::ZERO,
        cap: Duration::from_secs(60),
        jitter: Jitter::None,
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the arithmetic of these numbers is exact")]
mod tests {
    use super::*;

    fn waits(policy: &Policy, kind: Kind, chance: f64) -> [f64; 7] {
        [0, 1, 2, 3, 4, 5, 6].map(|number| policy.backoff(kind).wait(number, None, chance).as_secs_f64())
    }

    #[test]
    fn the_default_waits_longer_after_throttling() {
        let policy = Policy::DEFAULT;
        assert_eq!(waits(&policy, Kind::Server, 1.0)[..3], [0.05, 0.1, 0.2]);
        assert_eq!(waits(&policy, Kind::ConnectionReset, 1.0)[..3], [0.05, 0.1, 0.2]);
        for kind in [Kind::RateLimit, Kind::Overloaded] {
            assert_eq!(waits(&policy, kind, 1.0), [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]);
        }
    }

    #[test]
    fn the_hand_written_loop_is_what_it_was_below_its_cap() {
        for (chance, random) in [(0.0, 0.0), (0.5, 250.0), (0.999, 499.5)] {
            for (number, wait) in (0..).zip(waits(&Policy::HAND_WRITTEN, Kind::Server, chance)) {
                let formula = f64::min(1000.0 * f64::powi(2.0, number) + random, 30_000.0) / 1000.0;
                let spread = if number < 5 { 0.0 } else { 0.5 * (1.0 - chance) };
                assert!((wait - (formula - spread)).abs() < 1e-9, "{number}: {wait} of {formula}");
            }
        }
    }

    #[test]
    fn tenacitys_waits_are_tenacitys() {
        for chance in [0.0, 0.9] {
            let waits = waits(&Policy::TENACITY, Kind::Server, chance);
            assert_eq!(waits, [2.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]);
        }
    }

    #[test]
    fn rising_waits_and_limits_follow_the_class() {
        let policy = Policy::RISING;
        assert_eq!(waits(&policy, Kind::AttemptTimeout, 0.3)[..3], [1.0, 2.0, 3.0]);
        assert_eq!(waits(&policy, Kind::Connect, 0.3)[..3], [2.0, 4.0, 6.0]);
        assert_eq!(waits(&policy, Kind::RateLimit, 1.0), waits(&Policy::DEFAULT, Kind::RateLimit, 1.0));
        let limit = |number, left| {
            policy.attempt_limit.of(number, Duration::from_secs(300), Duration::from_secs(left)).as_secs()
        };
        assert_eq!([0, 1, 2].map(|number| limit(number, 600)), [30, 60, 90]);
        assert_eq!(limit(2, 45), 45, "the deadline is over all attempts");
        assert_eq!(limit(u32::MAX, 600), 600);
        let configured =
            Policy::DEFAULT.attempt_limit.of(7, Duration::from_secs(300), Duration::from_secs(600));
        assert_eq!(configured.as_secs(), 300);
    }
}
